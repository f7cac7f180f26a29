"""From columns as a format gives them to `PowerChunk`: units, refusals, and hours that come twice.

Every line-based power parser hands its rows to a `ChunkMaker`: ``make`` for each block,
``finish`` at the end of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import DAY_MS, BoolArray, FloatArray, IntArray, Kind
from measurements.parsers.records import PowerChunk, Refusal
from measurements.parsers.source import Source, shown
from measurements.parsers.times import CURES, REASONS, TimeFault, Times, utc_text

Codes = NDArray[np.int32]
Name = TypeVar("Name", str, tuple[str, Kind])
LineText = Callable[[int], str]
PENDING_LIMIT_ROWS = 4_000_000  # rows of an hour that comes twice, held until its second pass is seen: 150 MB
LONGEST_NODE, LONGEST_CHANNEL = 255, 64  # characters of a name that a database holds
STORED_MAX = float(2**63 - 1024)  # the largest float64 below 2**63: what int64 holds


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples as columns of equal length; ``value`` is W or J, NaN where nothing was measured.

    ``node`` and ``channel`` are codes into ``nodes`` and ``channels``.
    """

    nodes: Sequence[str]
    channels: Sequence[str]
    kinds: Sequence[Kind]  # one for each channel
    node: Codes
    channel: Codes
    times: Times
    value: FloatArray
    line: IntArray


@dataclass(slots=True)
class ChunkMaker:
    """Makes the chunks of one file."""

    source: Source
    interval_ms: int | None = None
    warnings: list[str] = field(default_factory=list)  # told with the first chunk
    _folds: list[PowerChunk] = field(default_factory=list)
    _fold_ms: list[IntArray] = field(default_factory=list)

    def make(self, rows: Rows, text: LineText, refusals: Sequence[Refusal] = ()) -> Iterator[PowerChunk]:
        """The chunk of one block; rows whose hour comes twice are kept for later.

        ``text(line)`` gives a line of the block, for refusals.
        """
        measured = ~np.isnan(rows.value)
        stored, faulty = _stored(rows, measured)
        readable = rows.times.fault == TimeFault.NONE
        refused = [*refusals, *_time_refusals(rows, measured & ~readable, text), *_range_refusals(rows, faulty, text)]
        good = measured & readable & ~faulty
        nameless = good & _nameless(rows)
        if nameless.any():
            refused += _name_refusals(rows, nameless, text)
            good &= ~nameless
        twice = good & (rows.times.fold_ms != 0)
        if twice.any():
            self._folds.append(_chunk(rows, stored, twice))
            self._fold_ms.append(rows.times.fold_ms[twice])
            good &= ~twice
        yield self._with(_chunk(rows, stored, good), refused)
        if sum(len(held.t_ms) for held in self._folds) > PENDING_LIMIT_ROWS:
            yield from self._decide()

    def finish(self) -> Iterator[PowerChunk]:
        """What is left at the end of the file; at least one chunk a file, for its warnings."""
        yield from self._decide()
        yield self._with(EMPTY, [])

    def _with(self, chunk: PowerChunk, refusals: list[Refusal]) -> PowerChunk:
        """The chunk with what else there is to tell."""
        told, self.warnings = tuple(self.warnings), []
        refusals = sorted([*refusals, *self.source.take_refusals()], key=lambda refusal: refusal.line)
        return PowerChunk(
            chunk.nodes, chunk.channels, chunk.kinds, chunk.node, chunk.channel, chunk.t_ms, chunk.value, chunk.line,
            refusals, self.interval_ms, told,
        )  # fmt: skip

    def _decide(self) -> Iterator[PowerChunk]:
        """Rows of hours that came twice, decided by the order of lines."""
        if not self._folds:
            return
        held, fold_ms = joined(self._folds), np.concatenate(self._fold_ms)
        self._folds, self._fold_ms = [], []
        late, decided = decide_by_order(held, fold_ms)
        t_ms = held.t_ms + np.where(late, fold_ms, 0)
        yield self._with(_picked(held, t_ms, decided), self._undecided(held, ~decided))

    def _undecided(self, held: PowerChunk, which: BoolArray) -> list[Refusal]:
        lines, first = np.unique(held.line[which], return_index=True)
        texts = self.source.texts(lines.tolist())
        reason, cure = REASONS[TimeFault.AMBIGUOUS], CURES[TimeFault.AMBIGUOUS]
        earliest = held.t_ms[which][first]
        return [
            Refusal(reason, line, f"{utc_text(ms)} or later by the hour set back: {cure}", texts.get(line, ""))
            for line, ms in zip(lines.tolist(), earliest.tolist(), strict=True)
        ]


def decide_by_order(held: PowerChunk, fold_ms: IntArray) -> tuple[BoolArray, BoolArray]:
    """Which rows of an hour that comes twice belong to its second pass, and of which that is known.

    Within a node and channel, in file order, the hour must show exactly one step back, by at
    least half of what the clock was set back; smaller steps are jitter and decide nothing.
    The rows before it are the first pass, the step itself and what follows the second.
    """
    series = held.node.astype(np.int64) * len(held.channels) + held.channel
    change = _change_of_clock(held.t_ms)
    order = np.lexsort((held.line, change, series))
    t_ms, series, change = held.t_ms[order], series[order], change[order]
    same = (np.diff(series) == 0) & (np.diff(change) == 0)
    back = np.append(False, same & (-np.diff(t_ms) * 2 >= fold_ms[order][1:]))
    group = np.cumsum(np.append(False, ~same))
    steps = np.bincount(group, weights=back).astype(np.int64)
    seen = np.cumsum(back)
    first_row = np.searchsorted(group, np.arange(len(steps)))
    late, decided = np.empty(len(order), bool), np.empty(len(order), bool)
    late[order] = seen > seen[first_row][group]
    decided[order] = steps[group] == 1
    return late, decided


def joined(chunks: Sequence[PowerChunk]) -> PowerChunk:
    """Chunks as one, their names numbered anew."""
    nodes: dict[str, int] = {}
    channels: dict[tuple[str, Kind], int] = {}  # a meter may have a power and a counter in one channel
    node = [renumbered(chunk.node, chunk.nodes, nodes) for chunk in chunks]
    channel = [
        renumbered(chunk.channel, list(zip(chunk.channels, chunk.kinds, strict=True)), channels) for chunk in chunks
    ]
    return PowerChunk(
        list(nodes), [name for name, _ in channels], [kind for _, kind in channels],
        np.concatenate(node), np.concatenate(channel),
        np.concatenate([chunk.t_ms for chunk in chunks]),
        np.concatenate([chunk.value for chunk in chunks]),
        np.concatenate([chunk.line for chunk in chunks]),
    )  # fmt: skip


def renumbered(codes: Codes, names: Sequence[Name], known: dict[Name, int]) -> Codes:
    """Codes into ``names`` as codes into ``known``, which grows by the names that are new."""
    table = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int32)
    return table[codes] if len(table) else codes


def _change_of_clock(t_ms: IntArray) -> IntArray:
    """A number for each change of the clock: instants of one lie within a day of each other."""
    instants, of_row = np.unique(t_ms, return_inverse=True)
    return np.cumsum(np.append(0, np.diff(instants) > DAY_MS))[of_row]


def _stored(rows: Rows, measured: BoolArray) -> tuple[IntArray, BoolArray]:
    """Values in mW or µJ, and which of them are too large for that."""
    scale = np.array([kind.stored_per_unit for kind in rows.kinds], dtype=np.float64)
    scaled = rows.value * (scale[0] if len(set(scale)) == 1 else scale[rows.channel])
    faulty = measured & ~(np.abs(scaled) <= STORED_MAX)
    fits = measured if not faulty.any() else measured & ~faulty
    if not fits.all():
        scaled = np.where(fits, scaled, 0.0)
    return np.rint(scaled).astype(np.int64), faulty


def _chunk(rows: Rows, stored: IntArray, which: BoolArray) -> PowerChunk:
    whole = PowerChunk(
        rows.nodes, rows.channels, rows.kinds, rows.node, rows.channel, rows.times.t_ms, stored, rows.line
    )
    return _picked(whole, rows.times.t_ms, which)


def _picked(chunk: PowerChunk, t_ms: IntArray, which: BoolArray) -> PowerChunk:
    """Some rows of a chunk."""
    pick = slice(None) if which.all() else which
    return PowerChunk(
        chunk.nodes, chunk.channels, chunk.kinds,
        chunk.node[pick], chunk.channel[pick], t_ms[pick], chunk.value[pick], chunk.line[pick],
    )  # fmt: skip


def _time_refusals(rows: Rows, which: BoolArray, text: LineText) -> list[Refusal]:
    """One for each line whose time cannot be taken."""
    if not which.any():
        return []
    lines, first = np.unique(rows.line[which], return_index=True)
    faults = rows.times.fault[which][first]
    return [
        Refusal(REASONS[TimeFault(fault)], line, CURES[TimeFault(fault)], text(line))
        for line, fault in zip(lines.tolist(), faults.tolist(), strict=True)
    ]


def _range_refusals(rows: Rows, which: BoolArray, text: LineText) -> list[Refusal]:
    """One for each value that no channel can hold."""
    return [
        Refusal("out of range", line, f"{value:g} {rows.kinds[code].unit} is no power or energy", text(line))
        for line, value, code in zip(
            rows.line[which].tolist(), rows.value[which].tolist(), rows.channel[which].tolist(), strict=True
        )
    ]


def _nameless(rows: Rows) -> BoolArray:
    """Which rows are of a node or channel that cannot be called so."""
    nodes, channels = (
        np.array([len(name) > most or not name.isprintable() or "\ufffd" in name for name in names] or [False], bool)
        for names, most in ((rows.nodes, LONGEST_NODE), (rows.channels, LONGEST_CHANNEL))
    )
    if not nodes.any() and not channels.any():
        return np.zeros(len(rows.line), bool)
    return nodes[rows.node] | channels[rows.channel]


def _name_refusals(rows: Rows, which: BoolArray, text: LineText) -> list[Refusal]:
    """One for each line that names what no node or channel is called."""
    detail = f"a node has at most {LONGEST_NODE} printable characters, a channel {LONGEST_CHANNEL}"
    return [Refusal("unusable label", line, detail, text(line)) for line in np.unique(rows.line[which]).tolist()]


def line_text(first: int, block: bytes) -> LineText:
    """Gives lines of a block by number; the block is split only when the first is asked for."""

    @cache
    def lines() -> list[bytes]:
        return block.split(b"\n")

    return lambda line: shown(lines()[line - first])


_NO_INT = np.zeros(0, np.int64)
_NO_CODE = np.zeros(0, np.int32)
EMPTY = PowerChunk((), (), (), _NO_CODE, _NO_CODE, _NO_INT, _NO_INT, _NO_INT)
