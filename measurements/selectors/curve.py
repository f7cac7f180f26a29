"""The power curve of a job: what the meters of its nodes showed while it held them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import or_

from measurements.domain.curves import (
    Curve,
    PartRefused,
    Refusal,
    Span,
    bucket_edges,
    curve_of,
    energy_j,
    shortest_ms,
    total_of,
    uncovered,
)
from measurements.domain.units import DAY_MS
from measurements.models import Allocation, AllocationEnergy, Channel, Job
from measurements.selectors.components import NO_GPU, PartCurve, part_channels, part_curves
from measurements.selectors.metered import MeteredNodes

NODES_ONE_BY_ONE = 8  # up to here each node has a curve of its own
MOST_SAMPLES = 4_000_000  # what a page may read; a job of more is not drawn
MOST_GAPS = 50


@dataclass(frozen=True, slots=True)
class NodeCurve:
    """One node's meter while the job held the node."""

    node: str
    curve: Curve


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a node was held and not measured."""

    node: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class JobCurve:
    """The sum over the nodes that have samples, and each of them if they are few; beside it what parts of them drew."""

    total: Curve
    nodes: tuple[NodeCurve, ...]  # empty if there are many
    drawn_nodes: int
    held_nodes: int
    whole: Span  # the job's; ``total`` may be a part of it
    shortest_ms: int  # of a part that is shown alone
    energy_j: float  # of the nodes drawn, where they are measured
    runs_ms: tuple[int, ...]  # when its runs began
    parts: tuple[PartCurve, ...] = ()
    gaps: tuple[Gap, ...] = ()  # of the nodes drawn, oldest first; of very many the first
    more_gaps: bool = False

    @property
    def shown(self) -> Span:
        """The time that is drawn."""
        return Span(int(self.total.edges_ms[0]), int(self.total.edges_ms[-1]))


@dataclass(frozen=True, slots=True)
class _Held:
    run: int
    node: str
    start_ms: int
    end_ms: int | None  # None: it runs
    gpu_mask: int  # of the GPUs it held; 0: all, or not known which


@dataclass(frozen=True, slots=True)
class _Reading:
    """Meters and samples of a job's nodes, for a part of it or the whole."""

    nodes: MeteredNodes
    channels: list[Channel]  # of parts of nodes
    times: dict[int, list[tuple[int, int]]]  # per node, wherever the job was on it
    whole: Span


def job_curve(job: Job, samples: int, shown: Span | None = None) -> JobCurve | None:
    """The curve of a job of so many ledger samples, or a part of it, finer: the same joules in shorter buckets.

    None if it has none, or more samples than a page may read. Of a part only its days are read: whole ones, because
    an interval is the median of a day. Raises `PartRefused` if there is no such part.
    """
    held = _held(job)
    reading = _read(held, samples, shown) if held and samples > 0 else None
    if reading is None:
        return None
    nodes, whole = reading.nodes, reading.whole
    part = shown.within(whole) if shown else whole
    nominal = nodes.nominal_ms(part.start_ms)
    shortest = shortest_ms(nominal, whole)
    if part.length_ms < shortest:
        raise PartRefused(Refusal.TOO_SHORT, shortest)
    times = {pk: part.cut(parts) for pk, parts in reading.times.items()}
    edges = bucket_edges(part.start_ms, part.end_ms, nominal)
    curves = {pk: curve_of(nodes.windows(pk, parts), edges) for pk, parts in times.items()}
    measured = _measured(job) if shown else set()
    drawn = {pk: held[pk][0].node for pk, curve in curves.items() if pk in measured or curve.covered_ms.any()}
    if not drawn:
        return None
    few = sorted((name, pk) for pk, name in drawn.items()) if len(drawn) <= NODES_ONE_BY_ONE else []
    masks = {pk: reduce(or_, (stay.gpu_mask for stay in stays)) for pk, stays in held.items()}
    gaps = _gaps(nodes, drawn, curves, times)
    return JobCurve(
        total=total_of([curves[pk] for pk in drawn]),
        nodes=tuple(NodeCurve(name, curves[pk]) for name, pk in few),
        drawn_nodes=len(drawn),
        held_nodes=len(held),
        whole=whole,
        shortest_ms=shortest,
        energy_j=sum(energy_j(curves[pk]) for pk in drawn),
        runs_ms=_runs(held),
        parts=part_curves(nodes, reading.channels, times, masks, edges, silent=shown is not None),
        gaps=tuple(gaps[:MOST_GAPS]),
        more_gaps=len(gaps) > MOST_GAPS,
    )


def _read(held: Mapping[int, Sequence[_Held]], samples: int, shown: Span | None) -> _Reading | None:
    """Read what matters to the part; None if that is too much of a whole."""
    channels = part_channels(held)
    nodes = MeteredNodes(list(held), channels)
    known = _known(held, nodes)
    part = shown.within(known) if shown else known
    read = samples * min(1.0, _days_ms(part) / known.length_ms) if shown else samples
    if read > MOST_SAMPLES:
        if shown:
            raise PartRefused(Refusal.TOO_MUCH)
        return None
    if read * (1 + len(channels) / len(held)) > MOST_SAMPLES:
        nodes, channels = MeteredNodes(list(held)), []
    nodes.read(part.start_ms, part.end_ms)
    times = {pk: [(stay.start_ms, nodes.end_ms(pk, stay.end_ms)) for stay in stays] for pk, stays in held.items()}
    return _Reading(nodes, channels, times, Span(known.start_ms, max(end for t in times.values() for _, end in t)))


def _known(held: Mapping[int, Sequence[_Held]], nodes: MeteredNodes) -> Span:
    """From its first start to its last end; of what runs, to the last sample."""
    start = min(part.start_ms for parts in held.values() for part in parts)
    ends = [part.end_ms if part.end_ms is not None else nodes.last_sample_ms[pk] for pk in held for part in held[pk]]
    return Span(start, max(*ends, start + 1))


def _days_ms(span: Span) -> int:
    """How long its whole days are: they are read."""
    return (-(-span.end_ms // DAY_MS) - span.start_ms // DAY_MS) * DAY_MS


def _measured(job: Job) -> set[int]:
    """The nodes of which anything of it is booked: a part's sum is of them all, also while one is silent."""
    rows = AllocationEnergy.objects.filter(job=job, covered_us__gt=0).order_by()
    return set(rows.values_list("node_id", flat=True))


def _runs(held: Mapping[int, Sequence[_Held]]) -> tuple[int, ...]:
    """When its runs began on nodes that are known here."""
    starts: dict[int, int] = {}
    for part in chain.from_iterable(held.values()):
        starts[part.run] = min(part.start_ms, starts.get(part.run, part.start_ms))
    return tuple(sorted(starts.values()))


def _gaps(
    nodes: MeteredNodes, names: dict[int, str], curves: dict[int, Curve], times: dict[int, list[tuple[int, int]]]
) -> list[Gap]:
    """Of nodes that have any, to the millisecond."""
    some = [pk for pk in names if curves[pk].covered_ms.sum() < curves[pk].held_ms.sum()]
    found = [Gap(names[pk], start, end) for pk in some for start, end in uncovered(nodes.windows(pk, times[pk]))]
    return sorted(found, key=lambda gap: (gap.start_ms, gap.node))


def _held(job: Job) -> dict[int, list[_Held]]:
    """Per known node the times the job was on it."""
    rows = Allocation.objects.filter(run__job=job, node__isnull=False).order_by("start_ms", "node_name")
    found: dict[int, list[_Held]] = {}
    columns = ("node_id", "run_id", "node_name", "start_ms", "end_ms", "gpus", "gpu_mask", "exclusive")
    for node, run, name, start, end, gpus, mask, exclusive in rows.values_list(*columns):
        if end is None or end > start:
            none = exclusive is False and not gpus
            found.setdefault(node, []).append(
                _Held(run, name, start, end, NO_GPU if none else 0 if exclusive else mask)
            )
    return found
