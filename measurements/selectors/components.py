"""What parts of a job's nodes drew while it held them: GPUs, processors, memory, where they have channels of their own.

Parts are inside what the meter measures, or beside it: they are shown as "of which" and never added to a total.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from measurements.domain.channel_names import gpu_index
from measurements.domain.curves import Curve, curve_of, energy_j, total_of
from measurements.domain.units import MS_PER_S, IntArray, Kind
from measurements.models import Channel
from measurements.selectors.metered import MeteredNodes

FAMILIES = ("gpu", "cpu", "dram")
NO_GPU = -1  # instead of a mask: none of the node's GPUs is the job's
Times = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PartCurve:
    """One family of channels, summed over the nodes that have it."""

    family: str  # gpu, cpu, dram
    curve: Curve
    energy_j: float
    covered_s: float  # node-seconds
    held_s: float  # node-seconds of the nodes that have such channels
    nodes: int

    @property
    def whole(self) -> bool:
        """Whether all of its time is covered, to a thousandth."""
        return self.covered_s >= 0.999 * self.held_s


def part_channels(nodes: Iterable[int]) -> list[Channel]:
    """The channels of single parts of some nodes."""
    rows = Channel.objects.filter(node__in=list(nodes)).order_by("node", "name", "kind")
    return [channel for channel in rows if family_of(channel.name) in FAMILIES]


def family_of(channel: str) -> str:
    """The gpu of gpu3."""
    return channel.rstrip("0123456789")


def part_curves(
    metered: MeteredNodes,
    channels: Sequence[Channel],
    times: Mapping[int, Times],
    gpu_masks: Mapping[int, int],
    edges_ms: IntArray,
    *,
    silent: bool = False,
) -> tuple[PartCurve, ...]:
    """Per family the power of its channels on nodes held at some times; of GPUs those in a node's mask, 0 being all.

    Channels that were never measured in these times are left out, unless ``silent`` ones have to stay: in a part of
    a curve, of which the whole may know them.
    """
    found = []
    for family in FAMILIES:
        groups: dict[int, list[Channel]] = {}
        for channel in _with_samples(metered, channels):
            if family_of(channel.name) == family and _held(channel, gpu_masks.get(channel.node_id, 0)):
                groups.setdefault(channel.node_id, []).append(channel)
        curves = [
            curve_of(metered.channel_windows(node, times[node], group), edges_ms) for node, group in groups.items()
        ]
        curves = [curve for curve in curves if silent or curve.covered_ms.any()]
        if curves:
            found.append(_part(family, curves))
    return tuple(found)


def _with_samples(metered: MeteredNodes, channels: Sequence[Channel]) -> list[Channel]:
    """Of a gauge and a counter of one name the counter."""
    chosen: dict[tuple[int, str], Channel] = {}
    for channel in channels:
        key = (channel.node_id, channel.name)
        if channel.pk in metered.samples and (key not in chosen or channel.kind == Kind.COUNTER):
            chosen[key] = channel
    return list(chosen.values())


def _held(channel: Channel, mask: int) -> bool:
    index = gpu_index(channel.name)
    return index is None or (mask != NO_GPU and (not mask or bool(mask >> index & 1)))


def _part(family: str, curves: Sequence[Curve]) -> PartCurve:
    joules = sum(energy_j(curve) for curve in curves)
    total = total_of(curves)
    covered_s, held_s = float(total.covered_ms.sum()) / MS_PER_S, float(total.held_ms.sum()) / MS_PER_S
    return PartCurve(family, total, joules, covered_s, held_s, len(curves))
