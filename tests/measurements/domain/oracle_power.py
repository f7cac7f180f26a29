"""The oracle's first half: samples as straight lines of power, by integration rules 1 and 2, in fractions.

Times are ticks of half a millisecond, because half of a nominal interval of 15 001 ms is a
whole number of them; powers are mW and energies µJ, as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from measurements.domain.attribution import Series

TICKS_PER_MS = 2
UNDECLARED_CEILING_MW = 1_000_000_000  # 1 MW


@dataclass(frozen=True)
class Piece:
    """A straight line of power over [start, end), both in ticks."""

    start: int
    end: int
    first_mw: Fraction
    last_mw: Fraction

    def at(self, tick: int) -> Fraction:
        """Power in mW at a tick of the piece, its end included."""
        slope = Fraction(tick - self.start, self.end - self.start)
        return self.first_mw + (self.last_mw - self.first_mw) * slope


@dataclass(frozen=True)
class Line:
    """Power at both ends of one elementary interval, in mW."""

    first: Fraction
    last: Fraction

    def __sub__(self, other: Line) -> Line:
        return Line(self.first - other.first, self.last - other.last)

    def energy_uj(self, ticks: Fraction | int) -> Fraction:
        return (self.first + self.last) / 2 * Fraction(ticks) / TICKS_PER_MS


def split_at(line: Line, level: Fraction) -> list[tuple[Line, Fraction]]:
    """The line cut where it crosses a level: parts, each with its fraction of the length."""
    if (line.first - level) * (line.last - level) >= 0:
        return [(line, Fraction(1))]
    at = (level - line.first) / (line.last - line.first)
    return [(Line(line.first, level), at), (Line(level, line.last), 1 - at)]


def gauge_pieces(series: Series) -> list[Piece]:
    """Rule 1: lines between neighbours of a stretch, and half an interval held at its ends."""
    ticks = [int(t) * TICKS_PER_MS for t in series.t_ms]
    power = [Fraction(int(v)) for v in series.value]
    half = int(series.nominal_ms)  # in ticks
    pieces = []
    for i, tick in enumerate(ticks):
        if i == 0 or not _joined(series, i - 1):
            pieces.append(Piece(tick - half, tick, power[i], power[i]))
        if i + 1 < len(ticks) and _joined(series, i):
            pieces.append(Piece(tick, ticks[i + 1], power[i], power[i + 1]))
        else:
            pieces.append(Piece(tick, tick + half, power[i], power[i]))
    return pieces


def _joined(series: Series, i: int) -> bool:
    length_ms = int(series.t_ms[i + 1]) - int(series.t_ms[i])
    return length_ms <= series.max_gap_ms and (length_ms <= series.nominal_ms or not _left_out(series, i))


def _left_out(series: Series, i: int) -> bool:
    return any(int(series.t_ms[i]) < t <= int(series.t_ms[i + 1]) for t in series.breaks_ms)


def counter_step(series: Series, i: int, ceiling_mw: int) -> tuple[Fraction | None, int]:
    """Rule 2: mean power in mW from reading i to the next (None: a gap), and µJ known but not placed.

    A ceiling of -1 is not declared: then steps are held against 1 MW, and how soon the counter
    could wrap is not known.
    """
    length_ms = int(series.t_ms[i + 1]) - int(series.t_ms[i])
    rise_uj = int(series.value[i + 1]) - int(series.value[i])
    most_mw = ceiling_mw if ceiling_mw >= 0 else UNDECLARED_CEILING_MW
    most_uj = length_ms * most_mw
    round_uj = length_ms * series.wrap_limit_mw if ceiling_mw < 0 <= series.wrap_limit_mw else most_uj
    may_have_wrapped_unseen = ceiling_mw >= 0 and 0 < series.wrap_uj <= most_uj
    too_long = length_ms > series.max_gap_ms or may_have_wrapped_unseen or _left_out(series, i)
    if any(int(series.t_ms[i]) < begin <= int(series.t_ms[i + 1]) for begin in series.begins_ms):
        return None, 0  # the readings are of two devices
    if rise_uj >= 0:
        if too_long or rise_uj > most_uj:
            return None, rise_uj
        return Fraction(rise_uj, length_ms), 0
    unwrapped_uj = rise_uj + series.wrap_uj
    if too_long or series.wrap_uj == 0 or not 0 <= unwrapped_uj <= min(round_uj, most_uj):
        return None, 0
    return Fraction(unwrapped_uj, length_ms), 0


def counter_pieces(series: Series, ceiling_mw: int) -> list[Piece]:
    """Rule 2 as pieces of constant power."""
    pieces = []
    for i in range(len(series.t_ms) - 1):
        power, _ = counter_step(series, i, ceiling_mw)
        if power is not None:
            start, end = (int(t) * TICKS_PER_MS for t in series.t_ms[i : i + 2])
            pieces.append(Piece(start, end, power, power))
    return pieces
