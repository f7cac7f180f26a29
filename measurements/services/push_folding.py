"""Each minute: what was pushed becomes one segment a day, and what it touches is marked dirty, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime
from itertools import accumulate

from measurements.domain.samples import concatenate, resolve
from measurements.domain.units import EPOCH_DAY
from measurements.models import Cluster, Segment
from measurements.services.push_levels import PUSHED
from measurements.services.reach import Reach, mark_reached, note_reach
from measurements.services.upkeep import FOLDED, merge
from measurements.store import SampleStore

SEGMENTS_AT_ONCE = 500  # about two minutes of pushes; where nobody folded for hours there are more
ROWS_AT_ONCE = 2_000_000  # a feed that catches up brings many at once
LOTS_AT_ONCE = 40  # of one turn: the rest has its turn a minute later
BREATH_S = 0.01


def fold_all_pushes(now: datetime) -> None:
    """The chore: all clusters, a bounded number of segments."""
    for cluster in Cluster.objects.filter(segments__level=PUSHED).distinct():
        fold_pushes(cluster, lots=LOTS_AT_ONCE)


def fold_pushes(cluster: Cluster, *, lots: int | None = None) -> int:
    """Fold what was pushed and mark it, in lots of one day and batch; how many segments are folded."""
    folded = done = 0
    while (lots is None or done < lots) and (lot := _next_lot(cluster)):
        swapped = _fold(cluster, lot)
        if not swapped:  # another process was quicker
            return folded
        folded, done = folded + swapped, done + 1
        time.sleep(BREATH_S)
    return folded


def _next_lot(cluster: Cluster) -> list[Segment]:
    """The oldest pushes of one day and batch."""
    waiting = Segment.objects.filter(cluster=cluster, level=PUSHED)
    first = waiting.order_by("batch_no", "day", "pk").defer("inline").first()
    if first is None:
        return []
    lot = list(waiting.filter(batch_no=first.batch_no, day=first.day).order_by("pk")[:SEGMENTS_AT_ONCE])
    rows = list(accumulate((segment.rows for segment in lot), initial=0))
    return [segment for segment, before in zip(lot, rows, strict=False) if before < ROWS_AT_ONCE]


def _fold(cluster: Cluster, lot: Sequence[Segment]) -> int:
    day = lot[0].day
    reach = _reach(lot, day)  # of thousands of samples: they are read for it once more

    def mark(locked: Cluster) -> None:
        mark_reached(locked, reach)

    return merge(cluster, day, [*_smaller(cluster, lot), *lot], FOLDED, mark)


def _reach(lot: Sequence[Segment], day: date) -> Reach:
    """What the samples of a lot touch."""
    store, reach = SampleStore(), Reach()
    samples, _ = resolve(concatenate([store.everything(segment) for segment in lot]))
    note_reach(reach, samples, (day - EPOCH_DAY).days)
    return reach


def _smaller(cluster: Cluster, lot: Sequence[Segment]) -> list[Segment]:
    """Folded segments of the same day and batch that are no larger than what is merged: sizes double.

    So an hour leaves a handful of segments, and each sample is written anew a handful of times.
    """
    folded = Segment.objects.filter(cluster=cluster, day=lot[0].day, batch_no=lot[0].batch_no, level=FOLDED)
    rows, found = sum(segment.rows for segment in lot), []
    for segment in folded.order_by("rows", "pk"):
        if segment.rows > rows:
            break
        found.append(segment)
        rows += segment.rows
    return found
