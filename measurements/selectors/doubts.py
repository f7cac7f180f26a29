"""What plausibility rules found: which samples the ledger leaves out, and what operators are shown of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from django.db.models import Count, F, Q, QuerySet

from measurements.domain.samples import Samples
from measurements.domain.units import BoolArray, IntArray, datetime_from_ms, day_from_ms
from measurements.models import Doubt, Segment
from measurements.store import SampleStore, Selection

Spans = Mapping[int, Sequence[tuple[int, int]]]  # channel → [start, end)
Breaks = Mapping[int, Sequence[int]]  # channel → instants [ms since 1970, UTC] across which nothing is bridged


def refused_spans(nodes: Iterable[int], start_ms: int, end_ms: int) -> Spans:
    """By channel of some nodes the spans around [start, end) whose samples count for nothing."""
    rows = Doubt.objects.filter(
        channel__node__in=nodes,
        day__gte=day_from_ms(start_ms),
        day__lte=day_from_ms(end_ms - 1),
        state=Doubt.State.REFUSED,
    ).order_by("channel_id", "start_ms")
    found: dict[int, list[tuple[int, int]]] = {}
    for channel, start, end in rows.values_list("channel_id", "start_ms", "end_ms"):
        found.setdefault(channel, []).append((start, end))
    return found


def without(samples: Samples, spans: Spans) -> tuple[Samples, Breaks]:
    """Samples, sorted by node, channel and time, without those in some spans of their channels, and where they end.

    A single reading that is left out is a reading that is missing, and the max gap says what becomes of it. Several in
    a row are a hole: nothing is bridged across it, however long a gap was declared.
    """
    if not spans or not len(samples):
        return samples, {}
    cuts = np.flatnonzero(samples.channel[1:] != samples.channel[:-1]) + 1
    starts = np.append(0, cuts)
    ends = np.append(cuts, len(samples))
    keep = np.ones(len(samples), bool)
    for low, high in zip(starts.tolist(), ends.tolist(), strict=True):
        for start, end in spans.get(int(samples.channel[low]), ()):
            first, last = np.searchsorted(samples.t_ms[low:high], (start, end))
            keep[low + first : low + last] = False
    return (samples, {}) if keep.all() else (samples.take(keep), _breaks(samples, keep))


def _breaks(samples: Samples, keep: BoolArray) -> Breaks:
    """The first of each two readings of a channel that are left out one after the other."""
    found: dict[int, list[int]] = {}
    gone = ~keep
    both = gone[:-1] & gone[1:] & (samples.channel[1:] == samples.channel[:-1])
    for at in np.flatnonzero(both & np.append(True, ~both[:-1])).tolist():
        found.setdefault(int(samples.channel[at]), []).append(int(samples.t_ms[at]))
    return found


def outside(t_ms: IntArray, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Which instants are in none of some spans."""
    keep = np.ones(len(t_ms), bool)
    for start, end in spans:
        first, last = np.searchsorted(t_ms, (start, end))
        keep[first:last] = False
    return keep


# --- What operators are shown ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DoubtFilter:
    """Which of them; empty: all."""

    cluster: str = ""
    node: str = ""
    rule: str = ""
    state: str = ""
    first: date | None = None
    before: date | None = None


@dataclass(frozen=True, slots=True)
class OneDoubt:
    """What a rule found, with all that a sentence about it says."""

    pk: int
    cluster: str
    node: str
    node_id: int
    channel_id: int
    channel: str
    kind: str
    day: date
    rule: str
    state: str
    start_ms: int
    end_ms: int
    samples: int
    detail: Mapping[str, Any]
    decided_by: str
    decided_at: datetime | None
    note: str

    @property
    def energy_j(self) -> float | None:
        """What its samples stand for if they are taken [J]: an estimate."""
        return self.detail.get("energy_j")

    @property
    def started_at(self) -> datetime:
        """The first sample."""
        return datetime_from_ms(self.start_ms)

    @property
    def ended_at(self) -> datetime:
        """The last sample."""
        return datetime_from_ms(self.end_ms - 1)

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        start, end = (datetime_from_ms(ms).isoformat() for ms in (self.start_ms, self.end_ms))
        times = {"start": start, "end": end, "day": self.day.isoformat()}
        decided = {"decided_by": self.decided_by, "note": self.note}
        decided_at = self.decided_at.isoformat() if self.decided_at else None
        names = ("cluster", "node", "channel", "rule", "state", "samples")
        said = {name: getattr(self, name) for name in names}
        return {"id": self.pk} | said | times | {"detail": dict(self.detail)} | decided | {"decided_at": decided_at}


_ONE = (
    *(
        "pk",
        "cluster__name",
        "channel__node__name",
        "channel__node_id",
        "channel_id",
        "channel__name",
        "channel__kind",
        "day",
        "rule",
    ),
    *("state", "start_ms", "end_ms", "samples", "detail", "decided_by", "decided_at", "note"),
)


def doubts(wanted: DoubtFilter, *, limit: int | None, after: int = 0) -> list[OneDoubt]:
    """Those that are wanted, newest day first; ``after`` so many, ``limit`` at most."""
    rows = filtered(wanted).order_by("-day", "cluster__name", "rule", "channel__node__name", "start_ms", "pk")
    lot = rows.values_list(*_ONE)[after : None if limit is None else after + limit]
    return [OneDoubt(*row) for row in lot]


def filtered(wanted: DoubtFilter) -> QuerySet[Doubt]:
    """The rows of a filter."""
    conditions = {
        "cluster__name": wanted.cluster,
        "channel__node__name": wanted.node,
        "rule": wanted.rule,
        "state": wanted.state,
        "day__gte": wanted.first,
        "day__lt": wanted.before,
    }
    return Doubt.objects.filter(**{name: value for name, value in conditions.items() if value})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How much of something is left out of the ledger because rules found it."""

    doubts: int
    samples: int
    energy_j: float  # as if taken: an estimate

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self.doubts > 0


def left_out(wanted: DoubtFilter) -> LeftOut:
    """Of all that is wanted what is refused."""
    rows = filtered(replace(wanted, state=Doubt.State.REFUSED)).order_by("pk").values_list("samples", "detail")
    found = [(samples, detail.get("energy_j") or 0.0) for samples, detail in rows]
    return LeftOut(len(found), sum(s for s, _ in found), math.fsum(e for _, e in found))


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of a rule are in a state."""

    rule: str
    state: str
    count: int


def counted(wanted: DoubtFilter) -> list[Counted]:
    """By rule and state."""
    rows = filtered(wanted).order_by("rule", "state").values_list("rule", "state").annotate(Count("pk"))
    return [Counted(*row) for row in rows]


Points = tuple[IntArray, IntArray]  # instants [ms since 1970, UTC], values [mW or µJ]
BESIDE_MS = 720_000  # shown before and behind what was found, at least
MOST_POINTS = 240


def stretches(found: Sequence[OneDoubt]) -> dict[int, Points]:
    """By doubt the samples of its stretch and some of its neighbours, thinned to what a small curve can show."""
    if not found:
        return {}
    windows = {one.pk: _window(one) for one in found}
    wanted = Q()
    for one in found:
        low, high = windows[one.pk]
        days = (day_from_ms(low), day_from_ms(high - 1))
        wanted |= Q(cluster__name=one.cluster, day__range=days, first_ms__lt=high, last_ms__gte=low)
    rows = list(Segment.objects.filter(wanted).order_by("day", "batch_no", "pk").annotate(of=F("cluster__name")))
    curves = {}
    for one in found:
        mine = [row for row in rows if row.of == one.cluster]
        points = _points(one, windows[one.pk], mine)
        if points is not None:
            curves[one.pk] = points
    return curves


def _window(one: OneDoubt) -> tuple[int, int]:
    margin = max((one.end_ms - one.start_ms) // 2, BESIDE_MS)
    return one.start_ms - margin, one.end_ms + margin


def _points(one: OneDoubt, window: tuple[int, int], rows: Sequence[Segment]) -> Points | None:
    """Evenly chosen samples, and the first and highest of what was found."""
    low, high = window
    near = [row for row in rows if row.first_ms < high and row.last_ms >= low]
    selection = Selection(np.array([one.node_id], np.int32), low, high, np.array([one.channel_id], np.int32))
    try:
        samples = SampleStore().resolved(near, selection)
    except FileNotFoundError:  # folded since the rows were read: this once there is no curve
        return None
    if not len(samples):
        return None
    chosen = np.linspace(0, len(samples) - 1, min(len(samples), MOST_POINTS)).astype(np.int64)
    first, last = np.searchsorted(samples.t_ms, (one.start_ms, one.end_ms))
    if first < last:
        chosen = np.append(chosen, [first, first + int(np.argmax(samples.value[first:last]))])
    chosen = np.unique(chosen)
    return samples.t_ms[chosen], samples.value[chosen]
