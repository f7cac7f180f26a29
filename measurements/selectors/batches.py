"""What came in, and what of it was refused."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.models import Batch, Quarantine

BATCHES_PER_PAGE = 50
LINES_SHOWN = 200
BESIDE = 0  # the number of a kept line that was not refused itself


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
        rows = rows.filter(quarantine__reason=wanted.reason, quarantine__count__gt=0)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: BATCHES_PER_PAGE + 1])
    page = tuple(found[:BATCHES_PER_PAGE])
    return BatchesPage(page, page[-1].pk if len(found) > BATCHES_PER_PAGE else None)


def refusals_of(batch: Batch) -> tuple[Quarantine, ...]:
    """By reason, most lines first, without the lines themselves."""
    return tuple(batch.quarantine.filter(count__gt=0).defer("lines").order_by("-count", "first_line"))


def refused_lines(row: Quarantine) -> Iterator[RefusedLine]:
    """A reason's lines, unpacked as they are asked for; without what is kept beside them."""
    with gzip.open(io.BytesIO(bytes(row.lines)), "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            number, _, text = line.rstrip("\n").partition("\t")
            if int(number) != BESIDE:
                yield RefusedLine(int(number), text)


def first_lines(row: Quarantine, limit: int = LINES_SHOWN) -> tuple[RefusedLine, ...]:
    """The first few of them."""
    return tuple(islice(refused_lines(row), limit))


def may_see_lines(viewer: AbstractUser | AnonymousUser, content: str) -> bool:
    """Whether a viewer may read what lines said: those of job records name people and their jobs."""
    return content != Batch.Content.JOBS or viewer.has_perm("measurements.view_all_jobs")
