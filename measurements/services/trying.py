"""Files that are tried before they are taken: the dry run, and what an operator decides then. Writes `Intake`.

Each step is one conditional update of the row: a second click, or a second operator, finds that it is done.
"""

from __future__ import annotations

import errno
import logging
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q, QuerySet

from measurements.models import Intake
from measurements.parsers.records import UnusableFile
from measurements.selectors.imports import known_of
from measurements.services.giving import settle
from measurements.services.intake import (
    MOST_ATTEMPTS,
    Clock,
    Keeper,
    LeaseLost,
    Stopped,
    claim_one,
    source_of,
    var,
)
from measurements.services.marks import give_back
from measurements.services.preview import glimpse, preview
from measurements.services.taking import check_options

logger = logging.getLogger(__name__)
State = Intake.State
FORGOTTEN = "nobody decided on it in time"
IN_THE_LOG = "; the log of whoever tried it has it in full: it is a fault of this site, please report it"
UNDECIDED = (State.TRYING, State.TRIED)


def try_next(now: Clock, checkpoint: Callable[[], None] = lambda: None) -> bool:
    """Try one file that waits for it and nobody else is at; whether there was one. Nothing of it is stored."""
    intake = claim_one(Intake.objects.filter(state=State.TRYING), now())
    if intake is None:
        return False
    if intake.attempts > MOST_ATTEMPTS:
        _tried(intake, {"fault": f"whoever read it was killed {MOST_ATTEMPTS} times: is it too large?"}, now())
        return True
    try:
        found = _try(intake, now, checkpoint)
    except UnusableFile as fault:
        found = {"fault": str(fault)}
    except (Stopped, InterfaceError, OperationalError):  # it isn't the file's fault
        Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by).update(attempts=F("attempts") - 1)
        give_back([intake])
        raise
    except LeaseLost:
        logger.info("%s: withdrawn, or somebody else has taken it over", intake)
        return True
    except OSError as fault:
        found = {"fault": _of_disk(fault)}
    except Exception as fault:  # whatever a parser gets wrong of one file keeps no other file from being tried
        logger.exception("%s: trying it failed unexpectedly", intake)
        found = {"fault": f"unexpected error: {type(fault).__name__}: {fault}{IN_THE_LOG}"}
    _tried(intake, found, now())
    return True


def _try(intake: Intake, now: Clock, checkpoint: Callable[[], None]) -> dict[str, Any]:
    limit = None if intake.preview.get("whole") else settings.IMPORT_TRY_MIB << 20
    settle(intake, lambda copied: Keeper(intake, copied, now, checkpoint))
    source = source_of(intake, limit)
    keeper = Keeper(intake, source, now, checkpoint)
    known = known_of(intake.cluster)
    sha256 = source.fingerprint(keeper)
    keeper.note()
    try:
        found = preview(intake.content, intake.cluster, source, intake.options, now(), keeper)
    except UnusableFile as fault:
        found = {"fault": str(fault)} | glimpse(intake.content, source, intake.options, now())
    part = {"bytes": source.done, "of": source.size} if source.cut else None
    return found | {"sha256": sha256, "part": part, "known": known, "size": source.size}


def _of_disk(fault: OSError) -> str:
    if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
        logger.error("%s: it can't be read", fault)
        return f"unexpected error: {fault}{IN_THE_LOG}"
    free_mib = shutil.disk_usage(var()).free >> 20
    return f"no room on the disk of JOULEBOOK_VAR ({free_mib} MiB are free): make room, then try it again"


def _tried(intake: Intake, found: dict[str, Any], at: datetime) -> None:
    """Keep what was found, if the file still waits for it."""
    kept = {key: intake.preview[key] for key in ("guessed", "guessed_format", "whole") if key in intake.preview}
    mine = Intake.objects.filter(pk=intake.pk, claimed_by=intake.claimed_by, state=State.TRYING)
    mine.update(
        state=State.TRIED,
        preview=kept | found | {"tried_at": at.isoformat(), "version": secrets.token_hex(8)},
        report={},
        error=str(found.get("fault", ""))[:2000],
        size_bytes=found.get("size", F("size_bytes")),
        done_bytes=F("size_bytes"),
        attempts=0,
        faults=0,
        claimed_by="",
        claimed_until=None,
    )


def accept(pk: int, version: str, now: datetime) -> bool:
    """Let a file be taken as it was tried; False where somebody decided already, or it was tried anew since."""
    row = Intake.objects.filter(pk=pk, state=State.TRIED).first()
    if row is None or row.preview.get("version") != version or not row.preview.get("usable"):
        return False
    sure = Intake.objects.filter(pk=pk, state=State.TRIED, preview=row.preview)
    return bool(sure.update(state=State.QUEUED, queued_at=now, done_bytes=0, attempts=0, faults=0, error=""))


def try_again(pk: int, version: str, content: str, options: dict[str, Any], *, whole: bool = False) -> bool:
    """Try a file anew, with other options; False as for `accept`. `UnusableFile` where an option makes no sense."""
    check_options(content, options)
    row = Intake.objects.filter(pk=pk, state=State.TRIED).first()
    if row is None or row.preview.get("version") != version:
        return False
    kept = {key: row.preview.get(key, "") for key in ("guessed", "guessed_format")} | {"whole": whole}
    sure = Intake.objects.filter(pk=pk, state=State.TRIED, preview=row.preview)
    return bool(
        sure.update(
            state=State.TRYING, content=content, options=options, preview=kept, error="", done_bytes=0, attempts=0
        )
    )


def withdraw(pk: int, now: datetime) -> bool:
    """Take a file back that nobody has begun to take, and remove its bytes; whether it could be."""
    untouched = Q(state=State.QUEUED, attempts=0, claimed_by="") & ~Q(given_by="")
    rows = Intake.objects.filter(Q(state__in=UNDECIDED) | untouched, pk=pk)
    return _take_back(rows, pk, now)


def forgotten_at(row: Intake) -> datetime | None:
    """When a file that nobody decides on is withdrawn by itself."""
    tried_at = row.preview.get("tried_at") if row.state == State.TRIED else None
    return datetime.fromisoformat(tried_at) + timedelta(days=settings.IMPORT_KEEP_DAYS) if tried_at else None


def forget_undecided(now: datetime) -> int:
    """Withdraw the files that were tried so long ago that nobody will decide on them; how many."""
    given = now - timedelta(days=settings.IMPORT_KEEP_DAYS)
    waiting = Intake.objects.filter(state=State.TRIED, queued_at__lte=given).order_by("pk")
    due = [row for row in waiting if (at := forgotten_at(row)) is not None and at <= now]
    # One that was tried anew, or accepted, since it was looked at has another preview or state.
    return sum(
        _take_back(Intake.objects.filter(pk=row.pk, state=State.TRIED, preview=row.preview), row.pk, now, FORGOTTEN)
        for row in due
    )


def _take_back(rows: QuerySet[Intake], pk: int, now: datetime, why: str = "") -> bool:
    """Withdraw a file if it is still one of ``rows``, and give its room on the disk back."""
    state = {"state": State.WITHDRAWN, "finished_at": now, "claimed_by": "", "claimed_until": None}
    if not rows.update(**state, preview={}, error=why):
        return False
    folder = var() / Intake.objects.values_list("path", flat=True).get(pk=pk)
    shutil.rmtree(folder, ignore_errors=True)  # what is left by a reader at work is swept
    return True
