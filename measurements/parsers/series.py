"""The one door for everything that names a metric with labels: series become samples of channels by the mappings.

A `Catalogue` knows each distinct series once, under a code; samples come as columns of codes, instants and values.
What no mapping knows is refused once a series, never guessed; what is plainly no power is left out and counted.

    ``catalogue.code(metric, labels) -> int``
    ``catalogue.chunk(samples, now_ms) -> PowerChunk``, and ``catalogue.summary()`` at the end of a file
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from measurements.domain.units import DAY_MS, BoolArray, FloatArray, IntArray
from measurements.parsers.chunks import STORED_MAX, Codes
from measurements.parsers.mapping_rules import Action, Mappings
from measurements.parsers.records import GpuAt, PowerChunk, Refusal, UnreadSamples
from measurements.parsers.series_known import LONGEST_SERIES, TOO_LONG, Known, Table
from measurements.parsers.series_rivals import Rivalry
from measurements.parsers.source import TEXT_LIMIT
from measurements.parsers.times import CURES, EARLIEST_MS, REASONS, TimeFault, utc_text

SHOWN_METRICS = 5
MOST_INDEX = 1023  # of a GPU on its node
MOST_UNREAD = 10_000  # samples of refused series that one chunk keeps for a reason
T = TypeVar("T")
_BETTER = "the same channel comes from a better series of the same exporter"
_INCOMPLETE = "parts of a sum that lack another part at their instant"
TWO_SERIES = "two series for one channel"
CURES_OF_SERIES = {
    "no mapping for this metric": "say in a mapping file what it is (docs/how-to/add-an-exporter.md)",
    "no mapping for these labels": "the metric is known, but not with these labels: say in a mapping file what it is",
    "no node": "no label names the node: give it with --node, or name the label in a mapping file",
    "series without a name": "ask for the metric itself, not for a function or a sum of it",
    "unusable label": "node or channel can't be called so: correct the label, or name another one in a mapping file",
    TOO_LONG: f"more than {LONGEST_SERIES:,} characters: leave labels out where it is sent",
    TWO_SERIES: "tell them apart in a mapping file (where), or let one be instead_of the other",
}


@dataclass(frozen=True, slots=True)
class SeriesSamples:
    """Samples of series as columns of equal length; ``value`` is in the unit of the series, NaN where it is none."""

    code: Codes
    t_ms: IntArray
    value: FloatArray
    line: IntArray

    def take(self, which: BoolArray | IntArray) -> SeriesSamples:
        """Those under a mask or at an index."""
        return SeriesSamples(self.code[which], self.t_ms[which], self.value[which], self.line[which])


class Catalogue:
    """All series met so far; ``node`` is the node of those whose labels name none.

    ``most``: UnusableFile where there are more different ones.
    """

    def __init__(
        self, mappings: Mappings, node: str | None = None, time_cure: str = "", most: int | None = None
    ) -> None:
        self.known = Known(mappings, node, most)
        self.time_cure = time_cure or CURES[TimeFault.OUT_OF_RANGE]
        self._rivalry = Rivalry(self.known)
        self._by_text: dict[str, dict[Any, Any]] = {}
        self._told: set[int] = set()
        self._unused: dict[str, dict[str, None]] = {}  # why → metrics, in order

    def __len__(self) -> int:
        return len(self.known)

    def plain(self, metric: str) -> int | None:
        """The code of a metric that is left out whatever its labels; None if they matter."""
        return self.known.plain(metric)

    def fixed(self, action: Action, text: str, reason: str) -> int:
        """A code for what is refused or left out whatever the mappings say."""
        return self.known.fixed(action, text, reason)

    def remembered(self, form: str) -> dict[Any, Any]:
        """Codes by what names a series in some form; whoever reads that form fills it."""
        return self._by_text.setdefault(form, {})

    def code(self, metric: str, labels: Mapping[str, str]) -> int:
        """The code of a series, by which its samples are given."""
        return self.known.code(metric, labels)

    def reads(self, code: Codes) -> BoolArray:
        """Which series are read: what is wrong with a line of another one is not worth a word."""
        action = self.known.table().action[code]
        found: BoolArray = (action == _READ) | (action == _INDEX)
        return found

    def is_read(self, code: int) -> bool:
        """Whether a series is read."""
        return self.known.series[code].action in (Action.READ, Action.INDEX)

    def chunk(self, samples: SeriesSamples, now_ms: int, told: set[int] | None = None) -> PowerChunk:
        """Some samples in the stored units; a value that is not finite is none.

        A series that is refused is told once: in the life of the catalogue, or for each ``told`` that is given.
        """
        told = self._told if told is None else told
        table = self.known.table()
        refusals: list[Refusal] = []
        unread: list[UnreadSamples] = []
        for reason, codes in self._refused_series(samples).items():
            refusals += self._refuse(codes, reason, samples, told)
            unread += self._unread(codes, reason, samples)
        action = table.action[samples.code]
        measured = samples.take(np.isfinite(samples.value) & ((action == _READ) | (action == _INDEX)))
        timely = (measured.t_ms >= EARLIEST_MS) & (measured.t_ms <= now_ms + DAY_MS)
        if not timely.all():
            refusals += self._out_of_time(measured.take(~timely))
            measured = measured.take(timely)
        index = table.action[measured.code] == _INDEX
        places = self._places(measured.take(index)) if index.any() else []
        read = measured.take(~index) if index.any() else measured
        replaced, beside = self._rivalry.judged(read.code, read.t_ms)
        self._note(_BETTER, replaced)
        refusals += self._refuse(beside, TWO_SERIES, read, told)
        unread += self._unread(beside, TWO_SERIES, read)
        if replaced or beside:
            read = read.take(~np.isin(read.code, [*replaced, *beside]))
        return replace(self._made(table, read, refusals, places), unread=unread)

    def summary(self) -> list[str]:
        """What was left out since it was last asked, a sentence a cause."""
        found = []
        for why, metrics in self._unused.items():
            shown = ", ".join(list(metrics)[:SHOWN_METRICS]) + (", …" if len(metrics) > SHOWN_METRICS else "")
            count = "1 metric" if len(metrics) == 1 else f"{len(metrics)} metrics"
            found.append(f"{count} left out ({shown}): {why}")
        self._unused = {}
        return found

    def _note(self, why: str, codes: Sequence[int]) -> None:
        if codes:
            self._unused.setdefault(why, {}).update(dict.fromkeys(self.known.series[one].metric for one in codes))

    def _refused_series(self, samples: SeriesSamples) -> dict[str, list[int]]:
        """By reason the series that are refused as a whole; those that are left out are noted."""
        present = np.flatnonzero(np.bincount(samples.code, minlength=len(self.known)))
        wrong: dict[str, list[int]] = {}
        others = present[~np.isin(self.known.table().action[present], (_READ, _INDEX))]
        for one in others.tolist():
            series = self.known.series[one]
            if series.action == Action.IGNORE:
                self._note(series.reason, [one])
            else:
                wrong.setdefault(series.reason, []).append(one)
        return wrong

    def _unread(self, codes: Sequence[int], reason: str, samples: SeriesSamples) -> Iterator[UnreadSamples]:
        """The samples of refused series, within a bound."""
        whole = [one for one in codes if self.known.series[one].whole]
        if not whole:
            return
        place = np.full(len(self.known), -1, np.int64)
        place[whole] = np.arange(len(whole))
        rows = np.flatnonzero((place[samples.code] >= 0) & np.isfinite(samples.value))
        if len(rows):
            kept = samples.take(rows[:MOST_UNREAD])
            texts = [self.known.series[one].whole for one in whole]
            more = len(rows) > MOST_UNREAD
            yield UnreadSamples(reason, texts, place[kept.code], kept.t_ms, kept.value, kept.line, more)

    def _refuse(self, codes: Sequence[int], reason: str, samples: SeriesSamples, told: set[int]) -> Iterator[Refusal]:
        """One refusal for each series that was not told yet, on its first line."""
        fresh = [one for one in codes if one not in told]
        told.update(fresh)
        if not fresh:
            return
        first = np.full(len(self.known), np.iinfo(np.int64).max)
        np.minimum.at(first, samples.code, samples.line)
        for one in fresh:
            text = self.known.series[one].text
            yield Refusal(
                reason,
                int(first[one]),
                f"{text}: {CURES_OF_SERIES[reason]}" if reason in CURES_OF_SERIES else text,
                text,
            )

    def _out_of_time(self, samples: SeriesSamples) -> Iterator[Refusal]:
        reason = REASONS[TimeFault.OUT_OF_RANGE]
        columns = (samples.code, samples.value, samples.t_ms, samples.line)
        for one, value, ms, at in zip(*(column.tolist() for column in columns), strict=True):
            series = self.known.series[one]
            text = f"{series.whole} {value!r} {ms}" if series.whole else f"{series.text[: TEXT_LIMIT - 30]} {ms}"
            yield Refusal(reason, at, f"{_instant(ms)}: {self.time_cure}", text)

    def _places(self, samples: SeriesSamples) -> list[GpuAt]:
        """What series say about the index of a GPU."""
        found: dict[tuple[str, str], GpuAt] = {}
        rows = zip(samples.code.tolist(), samples.t_ms.tolist(), samples.value.tolist(), strict=True)
        for one, ms, index in rows:
            series = self.known.series[one]
            if series.uuid and 0 <= index <= MOST_INDEX and index == int(index):
                found.setdefault((series.node, series.uuid), GpuAt(series.node, int(index), series.uuid, ms))
        return list(found.values())

    def _made(self, table: Table, read: SeriesSamples, refusals: list[Refusal], places: list[GpuAt]) -> PowerChunk:
        """The samples that are read, scaled, as a chunk."""
        with np.errstate(over="ignore"):  # what is infinite then is refused like whatever is out of range
            value = read.value * table.scale[read.code]
        scaled = SeriesSamples(read.code, read.t_ms, value, read.line)
        large = np.abs(scaled.value) > STORED_MAX
        if large.any():
            for one, at in zip(scaled.code[large].tolist(), scaled.line[large].tolist(), strict=True):
                text = self.known.series[one].text
                refusals.append(Refusal("out of range", at, "no power or energy is that large", text))
            scaled = scaled.take(~large)
        if table.parts[scaled.code].any():
            scaled = self._added(table, scaled)
        code = scaled.code
        nodes, node = _only(list(self.known.nodes), table.node[code])
        channels, channel = _only(list(self.known.channels), table.channel[code])
        return PowerChunk(
            nodes, [name for name, _, _ in channels], [kind for _, kind, _ in channels],
            node, channel, scaled.t_ms, np.rint(scaled.value).astype(np.int64), scaled.line, refusals,
            facts=[facts for _, _, facts in channels],
            gpus=self._gpus(code, node, channel),
            places=places,
        )  # fmt: skip

    def _gpus(self, code: Codes, node: Codes, channel: Codes) -> dict[tuple[int, int], str]:
        """The UUIDs of the GPUs that samples are of, by the codes of node and channel."""
        present, where = np.unique(code, return_index=True)
        rows = zip(present.tolist(), node[where].tolist(), channel[where].tolist(), strict=True)
        series = self.known.series
        return {(at, of): series[one].uuid for one, at, of in rows if series[one].uuid}

    def _added(self, table: Table, samples: SeriesSamples) -> SeriesSamples:
        """The same with parts added up, where all of them are there at one instant; a part said twice counts once."""
        adds = table.parts[samples.code] > 0
        parts = samples.take(adds)
        slot, part = table.slot[parts.code], table.part[parts.code]
        order = np.lexsort((parts.value, part, parts.t_ms, slot))
        last = np.append(_changes(slot[order], parts.t_ms[order], part[order])[1:], np.True_)
        parts = parts.take(order[last])
        starts = np.flatnonzero(_changes(table.slot[parts.code], parts.t_ms))
        count = np.diff(np.append(starts, len(parts.code)))
        whole = count == table.parts[parts.code[starts]]
        self._note(_INCOMPLETE, np.unique(parts.code[np.repeat(~whole, count)]).tolist())
        sums = np.add.reduceat(parts.value, starts)[whole]
        first, rest = parts.take(starts[whole]), samples.take(~adds)
        return SeriesSamples(
            np.concatenate((rest.code, first.code)), np.concatenate((rest.t_ms, first.t_ms)),
            np.concatenate((rest.value, sums)), np.concatenate((rest.line, first.line)),
        )  # fmt: skip


_READ, _INDEX = Action.READ.value, Action.INDEX.value


def _only(names: list[T], codes: Codes) -> tuple[list[T], Codes]:
    """The names that occur, and the codes into them."""
    present = np.flatnonzero(np.bincount(codes, minlength=1)) if len(codes) else np.zeros(0, np.int64)
    place = np.zeros(len(names) + 1, np.int32)
    place[present] = np.arange(len(present))
    return [names[one] for one in present.tolist()], place[codes]


def _changes(*columns: IntArray) -> BoolArray:
    """Where a row differs from the one before it; the first one does."""
    found = np.zeros(len(columns[0]), bool)
    found[:1] = True
    for column in columns:
        found[1:] |= column[1:] != column[:-1]
    return found


def _instant(ms: int) -> str:
    """An instant for messages, also one that no calendar has."""
    return utc_text(ms) if abs(ms) < 10**14 else f"{ms} ms since 1970"
