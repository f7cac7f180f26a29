"""The power curve of a job: what the meters of its nodes showed while it held them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

from measurements.domain.curves import Curve, bucket_edges, curve_of, total_of, uncovered
from measurements.models import Allocation, Job
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
    parts: tuple[PartCurve, ...] = ()
    gaps: tuple[Gap, ...] = ()  # of the nodes drawn, oldest first; of very many the first
    more_gaps: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    node: str
    start_ms: int
    end_ms: int | None  # None: it runs
    gpu_mask: int  # of the GPUs it held; 0: all, or not known which


def job_curve(job: Job, samples: int) -> JobCurve | None:
    """The curve of a job of so many ledger samples; None if it has none, or more than a page may read."""
    held = _held(job)
    if not held or not 0 < samples <= MOST_SAMPLES:
        return None
    channels = part_channels(held)
    if samples * (1 + len(channels) / len(held)) > MOST_SAMPLES:
        channels = []
    nodes = MeteredNodes(list(held), channels)
    start = min(part.start_ms for parts in held.values() for part in parts)
    ends = [part.end_ms if part.end_ms is not None else nodes.last_sample_ms[pk] for pk in held for part in held[pk]]
    nodes.read(start, max(ends))
    times = {pk: [(part.start_ms, nodes.end_ms(pk, part.end_ms)) for part in parts] for pk, parts in held.items()}
    edges = bucket_edges(start, max(end for parts in times.values() for _, end in parts), nodes.nominal_ms(start))
    curves = {pk: curve_of(nodes.windows(pk, parts), edges) for pk, parts in times.items()}
    drawn = [pk for pk, curve in curves.items() if curve.covered_ms.any()]
    if not drawn:
        return None
    total = total_of([curves[pk] for pk in drawn])
    few = drawn if len(drawn) <= NODES_ONE_BY_ONE else []
    names = sorted((held[pk][0].node, pk) for pk in few)
    masks = {pk: reduce(or_, (part.gpu_mask for part in parts)) for pk, parts in held.items()}
    gaps = _gaps(nodes, {pk: held[pk][0].node for pk in drawn}, curves, times)
    return JobCurve(
        total=total,
        nodes=tuple(NodeCurve(name, curves[pk]) for name, pk in names),
        drawn_nodes=len(drawn),
        held_nodes=len(held),
        parts=part_curves(nodes, channels, times, masks, edges),
        gaps=tuple(gaps[:MOST_GAPS]),
        more_gaps=len(gaps) > MOST_GAPS,
    )


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
    columns = ("node_id", "node_name", "start_ms", "end_ms", "gpus", "gpu_mask", "exclusive")
    for node, name, start, end, gpus, mask, exclusive in rows.values_list(*columns):
        if end is None or end > start:
            none = exclusive is False and not gpus
            found.setdefault(node, []).append(_Held(name, start, end, NO_GPU if none else 0 if exclusive else mask))
    return found
