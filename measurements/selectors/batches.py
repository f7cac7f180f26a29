"""What came in, and what of it was refused."""

from __future__ import annotations

import gzip
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Count, QuerySet, Sum

from measurements.models import Batch, Quarantine

BATCHES_PER_PAGE = 50
LINES_SHOWN = 200
EXAMPLES_SHOWN = 5  # batches named for a reason
_EXAMPLES_READ = 500


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches; empty where all."""

    cluster: str = ""
    content: str = ""
    refused: bool = False  # only those of which something was refused
    reason: str = ""  # only those of which something was refused for it


@dataclass(frozen=True, slots=True)
class BatchesPage:
    """Some batches, newest first; ``next_key`` names the place to go on from, None at the end."""

    rows: tuple[Batch, ...]
    next_key: int | None


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line as it was."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasonSum:
    """All refusals for one reason in a period."""

    reason: str
    count: int
    batches: int
    newest: tuple[Quarantine, ...]  # of the newest batches, with their batch


def batches(wanted: BatchFilter, before: int | None = None) -> BatchesPage:
    """Newest first, from those older than the batch ``before`` on."""
    rows = Batch.objects.select_related("cluster").order_by("-pk")
    if wanted.cluster:
        rows = rows.filter(cluster__name=wanted.cluster)
    if wanted.content:
        rows = rows.filter(content=wanted.content)
    if wanted.refused:
        rows = rows.filter(refused__gt=0)
    if wanted.reason:
        rows = rows.filter(quarantine__reason=wanted.reason)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: BATCHES_PER_PAGE + 1])
    page = tuple(found[:BATCHES_PER_PAGE])
    return BatchesPage(page, page[-1].pk if len(found) > BATCHES_PER_PAGE else None)


def refusals_of(batch: Batch) -> tuple[Quarantine, ...]:
    """By reason, most lines first, without the lines themselves."""
    return tuple(batch.quarantine.defer("lines").order_by("-count", "first_line"))


def refused_lines(row: Quarantine) -> Iterator[RefusedLine]:
    """A reason's lines, unpacked as they are asked for."""
    with gzip.open(io.BytesIO(bytes(row.lines)), "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            number, _, text = line.rstrip("\n").partition("\t")
            yield RefusedLine(int(number), text)


def first_lines(row: Quarantine, limit: int = LINES_SHOWN) -> tuple[RefusedLine, ...]:
    """The first few of them."""
    return tuple(islice(refused_lines(row), limit))


def reasons(start: datetime, end: datetime, cluster: str = "", content: str = "") -> tuple[ReasonSum, ...]:
    """Why something was refused in batches that came in in [start, end), most lines first."""
    rows = Quarantine.objects.filter(batch__committed_at__gte=start, batch__committed_at__lt=end)
    if cluster:
        rows = rows.filter(batch__cluster__name=cluster)
    if content:
        rows = rows.filter(batch__content=content)
    newest = _newest(rows)
    sums = rows.order_by().values_list("reason").annotate(Sum("count"), Count("batch", distinct=True))
    found = [ReasonSum(reason, count, batches, tuple(newest[reason])) for reason, count, batches in sums]
    return tuple(sorted(found, key=lambda row: (-row.count, row.reason)))


def _newest(rows: QuerySet[Quarantine]) -> dict[str, list[Quarantine]]:
    found: dict[str, list[Quarantine]] = defaultdict(list)
    for row in rows.defer("lines").select_related("batch__cluster").order_by("-batch", "first_line")[:_EXAMPLES_READ]:
        if len(found[row.reason]) < EXAMPLES_SHOWN:
            found[row.reason].append(row)
    return found


def may_see_lines(viewer: AbstractUser | AnonymousUser, content: str) -> bool:
    """Whether a viewer may read what lines said: those of job records name people and their jobs."""
    return content != Batch.Content.JOBS or viewer.has_perm("measurements.view_all_jobs")
