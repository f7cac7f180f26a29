"""What lies in quarantine: by reason, by batch, line by line, as somebody filters it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet, Sum

from measurements.models import Quarantine
from measurements.selectors.batches import RefusedLine, refused_lines

ROWS_PER_PAGE = 50
EXAMPLES_SHOWN = 5  # batches named for a reason
_EXAMPLES_READ = 500
MOST_DOWNLOADED = 1_000_000  # lines of one file
ROWS_LOOKED_INTO = 300  # for a node: its name stands in the lines alone, which are packed
LINES_LOOKED_AT = 200_000

STATES = {
    "open": Q(count__gt=0, replayed_at=None),
    "tried": Q(count__gt=0, replayed_at__isnull=False),
    "waiting": Q(replayed_at=None) & ~Q(replayed_by=""),
    "in": Q(replayed__gt=0),
    "asked": ~Q(replayed_by=""),
}


@dataclass(frozen=True, slots=True)
class RefusedFilter:
    """Which refusals; empty where all that are refused now."""

    start: datetime | None = None  # of when their batches came in
    end: datetime | None = None
    cluster: str = ""
    reason: str = ""
    source: str = ""  # a part of the batch's name: a file, ``feed slurm``, ``push``
    content: str = ""
    node: str = ""
    state: str = ""  # open, tried (again, in vain), waiting (to be tried), in (lines of it went in)
    batch: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasonSum:
    """All refusals for one reason."""

    reason: str
    count: int
    batches: int
    replayed: int  # lines that went in since
    newest: tuple[Quarantine, ...]  # of the newest batches, with their batch


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Some reasons of batches, newest batch first; ``next_key`` names the place to go on from."""

    rows: tuple[Quarantine, ...]
    next_key: int | None


def refused_rows(wanted: RefusedFilter) -> QuerySet[Quarantine]:
    """The reasons of batches that a filter is about."""
    rows = Quarantine.objects.filter(STATES.get(wanted.state, Q(count__gt=0)))
    said = {
        "batch__committed_at__gte": wanted.start,
        "batch__committed_at__lt": wanted.end,
        "batch__cluster__name": wanted.cluster,
        "batch__content": wanted.content,
        "batch__source__icontains": wanted.source,
        "batch": wanted.batch,
        "reason": wanted.reason,
    }
    rows = rows.filter(**{name: value for name, value in said.items() if value not in ("", None)})
    rows = rows.filter(reason__in=wanted.reasons) if wanted.reasons else rows
    return rows.filter(pk__in=_of_node(rows, wanted.node)) if wanted.node else rows


def _of_node(rows: QuerySet[Quarantine], node: str) -> list[int]:
    """Those of the newest rows in whose lines a node is named, as far as they are looked at."""
    named, found, left = _naming(node), [], LINES_LOOKED_AT
    for row in rows.order_by("-pk")[:ROWS_LOOKED_INTO].iterator(chunk_size=10):
        for line in refused_lines(row):
            left -= 1
            if named.search(line.text):
                found.append(row.pk)
                break
            if left <= 0:
                return found
    return found


def _naming(node: str) -> re.Pattern[str]:
    """A node's name as a word of its own: n1 is not in n10, nor in cn1."""
    return re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(node)}(?![A-Za-z0-9_-])")


def reasons(rows: QuerySet[Quarantine]) -> tuple[ReasonSum, ...]:
    """By reason, most lines first."""
    newest: dict[str, list[Quarantine]] = defaultdict(list)
    shown = rows.defer("lines").select_related("batch__cluster").order_by("-batch_id", "first_line")
    for row in shown[:_EXAMPLES_READ]:
        if len(newest[row.reason]) < EXAMPLES_SHOWN:
            newest[row.reason].append(row)
    sums = rows.order_by().values_list("reason")
    figures = sums.annotate(Sum("count"), Count("batch", distinct=True), Sum("replayed"))
    found = [
        ReasonSum(reason, count, batches, replayed, tuple(newest[reason]))
        for reason, count, batches, replayed in figures
    ]
    return tuple(sorted(found, key=lambda row: (-row.count, row.reason)))


def refused_page(rows: QuerySet[Quarantine], before: int | None = None) -> RefusedPage:
    """Some of them with their batches, newest first, from those older than ``before`` on."""
    shown = rows.defer("lines").select_related("batch__cluster").order_by("-pk")
    found = list((shown if before is None else shown.filter(pk__lt=before))[: ROWS_PER_PAGE + 1])
    page = tuple(found[:ROWS_PER_PAGE])
    return RefusedPage(page, page[-1].pk if len(found) > ROWS_PER_PAGE else None)


def all_lines(rows: QuerySet[Quarantine], most: int = MOST_DOWNLOADED) -> Iterator[tuple[Quarantine, RefusedLine]]:
    """Their lines, oldest batch first, a row at a time in memory; ``most`` at most."""
    for row in rows.select_related("batch__cluster").order_by("batch_id", "pk").iterator(chunk_size=10):
        for line in refused_lines(row):
            if most <= 0:
                return
            most -= 1
            yield row, line


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far what was asked for has come."""

    asked: int
    waiting: int
    went_in: int  # lines, ever
    left: int  # of what was tried

    @property
    def share(self) -> float:
        """Of it that is done."""
        return 1 - self.waiting / self.asked if self.asked else 1.0


def replay_progress(wanted: RefusedFilter) -> ReplayProgress:
    """Of the refusals of a filter, whatever became of them, those that somebody asked to be tried again."""
    found = {name: value for name, value in asdict(wanted).items() if name not in ("state", "node")}
    rows = refused_rows(RefusedFilter(**found, state="asked"))
    sums = rows.aggregate(
        asked=Count("pk"),
        waiting=Count("pk", filter=Q(replayed_at=None)),
        went_in=Sum("replayed", default=0),
        left=Sum("count", filter=Q(replayed_at__isnull=False), default=0),
    )
    return ReplayProgress(**sums)
