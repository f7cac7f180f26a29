"""Files that are tried before they are taken: the dry run, and what an operator decides then. Writes `Intake`.

Each step is one conditional update of the row: a second click, or a second operator, finds that it is done.
"""

from __future__ import annotations

import errno
import logging
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F, Q

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
from measurements.services.preview import preview
from measurements.services.taking import check_options

logger = logging.getLogger(__name__)
State = Intake.State
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
    except Exception as fault:
        logger.exception("%s: trying it failed unexpectedly", intake)
        found = {"fault": f"unexpected error: {type(fault).__name__}: {fault}"}
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
    found = preview(intake.content, intake.cluster, source, intake.options, now(), keeper)
    part = {"bytes": source.done, "of": source.size} if source.cut else None
    return found | {"sha256": sha256, "part": part, "known": known, "size": source.size}


def _of_disk(fault: OSError) -> str:
    if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"unexpected error: {fault}"
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
    if not rows.update(state=State.WITHDRAWN, finished_at=now, claimed_by="", claimed_until=None, preview={}):
        return False
    folder = var() / Intake.objects.values_list("path", flat=True).get(pk=pk)
    shutil.rmtree(folder, ignore_errors=True)  # what is left by a reader at work is swept
    return True
