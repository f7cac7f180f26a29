"""What formats say of channels beside their samples: which source feeds one, what it covers, which GPU it is.

A channel has one source at a time. The first that comes is written; samples of another one are refused (`judge`), so
that two meters of different scope are never mixed into one curve. A change of source is declared by a person, dated,
and so is whatever else a person declared: formats fill only what is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from measurements.domain.channel_names import gpu_index
from measurements.domain.units import EPOCH_DAY
from measurements.models import ChannelPeriod, Cluster
from measurements.parsers.records import ChannelFacts
from measurements.services.channels import Declaration, declare_channels
from measurements.services.gpu_places import GpuSeen, Places, in_force, note_gpu_places, places_of

AT_UUID = "gpu@"  # begins the name of a channel whose GPU is known by its UUID alone
_FIELDS = ("nominal_ms", "max_gap_ms", "wrap_uj", "source", "covers_gpus", "dc")
Said = dict[str, Any]


@dataclass(slots=True)
class FactsDraft:
    """What inputs say that was not known: written with their samples by `write_facts`."""

    channels: dict[int, tuple[Declaration, int]] = field(default_factory=dict)  # id → what is said, first day
    gpus: set[GpuSeen] = field(default_factory=set)

    def add(self, other: FactsDraft) -> None:
        """Take in what another input says."""
        for channel, (said, day) in other.channels.items():
            known, first = self.channels.get(channel, (said, day))
            self.channels[channel] = (known, min(first, day))
        self.gpus |= other.gpus


class KnownFacts:
    """What is declared of a cluster's channels and GPUs; read where it is needed, and once."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.settled: set[tuple[int, ChannelFacts, int]] = set()  # (channel, facts, day) that nobody contradicts
        self._periods: dict[int, list[tuple[int, Said]]] = {}  # channel → from which day on, what is declared
        self._places: Places | None = None
        self._index: dict[tuple[int, str], tuple[int, int]] = {}  # (node, UUID) → since when [ms], index

    def look(self, channels: Iterable[int]) -> None:
        """Read what is declared of some channels."""
        missing = [one for one in channels if one not in self._periods]
        if not missing:
            return
        found: dict[int, list[tuple[int, Said]]] = {one: [] for one in missing}
        rows = ChannelPeriod.objects.filter(channel_id__in=missing).order_by("valid_from")
        for channel, day, *values in rows.values_list("channel_id", "valid_from", *_FIELDS):
            said = {name: value for name, value in zip(_FIELDS, values, strict=True) if value not in (None, "", False)}
            if values[4] is False:  # that GPUs are not covered is said, too
                said["covers_gpus"] = False
            found[channel].append(((day - EPOCH_DAY).days, said))
        self._periods |= found

    def sources(self, channel: int) -> list[tuple[int, str]]:
        """From which day on which source feeds a channel; empty if nobody said."""
        steps = [(day, said.get("source", "")) for day, said in self._periods.get(channel, [])]
        return steps if any(source for _, source in steps) else []

    def adopt(self, channel: int, facts: ChannelFacts, day: int, draft: FactsDraft) -> None:
        """Note what is said of a channel from a day on, where nothing is declared yet."""
        steps = self._periods[channel]
        before = [step for step in steps if step[0] <= day]
        current = before[-1][1] if before else {}
        said = {name: value for name, value in said_by(facts).items() if name not in current}
        if not said:
            return
        steps.insert(len(before), (day, current | said))
        known, first = draft.channels.get(channel, (Declaration(**said), day))
        draft.channels[channel] = (known, min(first, day))

    def name_of(self, node: int, channel: str) -> str | None:
        """A channel's name; of a GPU that is known by its UUID alone that of its index, None if nobody told it."""
        if not channel.startswith(AT_UUID):
            return channel
        self.places()
        since_and_index = self._index.get((node, channel.removeprefix(AT_UUID)))
        return f"gpu{since_and_index[1]}" if since_and_index else None

    def places(self) -> Places:
        """Which GPU is behind which index."""
        if self._places is None:
            self._places = places_of(self.cluster)
            for (node, index), steps in self._places.items():
                for since_ms, uuid in steps:
                    self._note_index(node, index, uuid, since_ms)
        return self._places

    def see(self, node: int, index: int | None, uuid: str, t_ms: int, draft: FactsDraft) -> None:
        """Note which GPU has an index at an instant, if that is new."""
        if index is None or not uuid or node < 0:
            return
        steps = self.places().setdefault((node, index), [])
        if in_force(steps, t_ms) != uuid:
            steps.append((t_ms, uuid))
            steps.sort()
            self._note_index(node, index, uuid, t_ms)
            draft.gpus.add(GpuSeen(t_ms, node, index, uuid))

    def see_channel(self, node: int, name: str, uuid: str, t_ms: int, draft: FactsDraft) -> None:
        """Note the GPU behind a channel that has samples from an instant on."""
        self.see(node, gpu_index(name), uuid, t_ms, draft)

    def _note_index(self, node: int, index: int, uuid: str, since_ms: int) -> None:
        known = self._index.get((node, uuid))
        if known is None or known[0] <= since_ms:
            self._index[node, uuid] = (since_ms, index)


def said_by(facts: ChannelFacts) -> Said:
    """What facts state, by the fields of a channel's declaration."""
    return Declaration(
        nominal_ms=facts.interval_ms,
        wrap_uj=facts.wrap_uj,
        source=facts.source or None,
        covers_gpus=facts.covers_gpus,
        dc=facts.dc or None,
    ).said()


def write_facts(cluster: Cluster, draft: FactsDraft) -> bool:
    """Write what inputs say that is new, the cluster's row locked; False if a channel got another source meanwhile.

    What another one wrote first stays. Where nothing is new it costs nothing.
    """
    taken = _taken_meanwhile(draft)
    for declaration in {said for said, _ in draft.channels.values()}:
        days = {
            channel: EPOCH_DAY + timedelta(days=day)
            for channel, (said, day) in draft.channels.items()
            if said == declaration and channel not in taken
        }
        declare_channels(cluster, days, declaration)
    if draft.gpus:
        note_gpu_places(draft.gpus)
    return not taken


def _taken_meanwhile(draft: FactsDraft) -> set[int]:
    """The channels that were given another source since it was looked."""
    if not draft.channels:
        return set()
    rows = ChannelPeriod.objects.filter(channel_id__in=draft.channels).exclude(source="").order_by("valid_from")
    now: dict[int, str] = {}
    for channel, day, source in rows.values_list("channel_id", "valid_from", "source"):
        if (day - EPOCH_DAY).days <= draft.channels[channel][1]:
            now[channel] = source
    return {
        channel
        for channel, (said, _) in draft.channels.items()
        if said.source is not None and now.get(channel, said.source) != said.source
    }
