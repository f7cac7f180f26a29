"""The one place that reads the time stamps of logs and job records.

Scalars (job records):
    ``parse_instant(text, zone, now_ms) -> int`` [ms since the epoch, UTC], or a ``TimeRefused``
    ``instant_candidates(text, zone) -> (ms,)`` or ``(earlier ms, later ms)`` in a fold
    ``decide_by_elapsed(starts, ends, elapsed_s) -> (start ms, end ms)``
    ``check_range(ms, now_ms) -> int``
Columns (power logs):
    ``parse_times(texts, zone, now_ms) -> Times``, and its parts ``times_from_zoned``,
    ``times_from_local``, ``times_from_epoch`` for columns that are numbers already.

Accepted: ISO 8601 with offset or Z, with T or a blank, with up to nine fractional digits;
epoch seconds, also fractional. Naive times need a zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import IntEnum
from itertools import product
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from measurements.domain.units import DAY_MS, MS_PER_S, BoolArray, FloatArray, IntArray

EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00Z: nothing older is a power log
MINUTE_MS = 60_000
NS_PER_MS = 1_000_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: the origin of local clock readings
_FAR_MS = 4_102_444_800_000  # 2100-01-01: beyond it no zone is asked, the range check refuses anyway
_ISO = re.compile(
    r"(?P<year>\d{4})-?(?P<month>\d\d)-?(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r" ?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)


class TimeFault(IntEnum):
    """Why a time stamp was refused."""

    NONE = 0
    UNREADABLE = 1
    NO_ZONE = 2
    AMBIGUOUS = 3
    NONEXISTENT = 4
    OUT_OF_RANGE = 5


REASONS: dict[TimeFault, str] = {
    TimeFault.UNREADABLE: "unreadable time",
    TimeFault.NO_ZONE: "time without zone",
    TimeFault.AMBIGUOUS: "ambiguous local time",
    TimeFault.NONEXISTENT: "nonexistent local time",
    TimeFault.OUT_OF_RANGE: "time out of range",
}
CURES: dict[TimeFault, str] = {
    TimeFault.UNREADABLE: "use ISO 8601 with an offset, or epoch seconds",
    TimeFault.NO_ZONE: "give the zone of the file's clock with --time-zone",
    TimeFault.AMBIGUOUS: "the clock was set back: log with an offset or in UTC",
    TimeFault.NONEXISTENT: "the clock was set forward: is --time-zone right?",
    TimeFault.OUT_OF_RANGE: "before 2000-01-01 or more than a day ahead; epoch times are in seconds",
}


class TimeRefused(ValueError):
    """A time stamp that is not taken; ``reason`` is stable, the message adds the text and the cure."""

    fault: ClassVar[TimeFault]

    def __init__(self, text: object) -> None:
        super().__init__(f"{text!r}: {CURES[self.fault]}")
        self.reason = REASONS[self.fault]


class UnreadableTime(TimeRefused):
    fault = TimeFault.UNREADABLE


class TimeWithoutZone(TimeRefused):
    fault = TimeFault.NO_ZONE


class AmbiguousTime(TimeRefused):
    fault = TimeFault.AMBIGUOUS


class NonexistentTime(TimeRefused):
    fault = TimeFault.NONEXISTENT


class TimeOutOfRange(TimeRefused):
    fault = TimeFault.OUT_OF_RANGE


class TimeKind(IntEnum):
    """How a time stamp is written."""

    EPOCH = 1
    ZONED = 2
    LOCAL = 3


@dataclass(frozen=True, slots=True)
class Times:
    """A column of instants; where ``fault`` is not NONE, ``t_ms`` means nothing.

    ``t_ms`` is UTC; of an ambiguous local time it is the earlier reading, and ``fold_ms``
    (0 elsewhere) is what to add for the later one.
    """

    t_ms: IntArray
    fold_ms: IntArray
    fault: NDArray[np.int8]


def time_kind(text: str) -> TimeKind | None:
    """How a time stamp is written, by its shape alone; None if it is none."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return TimeKind.EPOCH
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    return TimeKind.ZONED if match["offset"] else TimeKind.LOCAL


def parse_instant(text: str, zone: tzinfo | None, now_ms: int | None = None) -> int:
    """One time stamp as ms since the epoch, UTC; an ambiguous local time is refused.

    With ``now_ms`` a time before 2000 or more than a day after now is refused too.
    """
    candidates = instant_candidates(text, zone)
    if len(candidates) > 1:
        raise AmbiguousTime(text)
    return candidates[0] if now_ms is None else check_range(candidates[0], now_ms)


def check_range(ms: int, now_ms: int) -> int:
    """The instant itself, if it lies between 2000-01-01 and a day after now."""
    if not EARLIEST_MS <= ms <= now_ms + DAY_MS:
        raise TimeOutOfRange(f"{ms / MS_PER_S:.3f} s since 1970")
    return ms


def instant_candidates(text: str, zone: tzinfo | None) -> tuple[int, ...]:
    """The instants a time stamp can mean [ms]: one, or (earlier, later) where the clock was set back."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return (_ms_from_seconds(text),)
    match = _ISO.fullmatch(text)
    if match is None:
        raise UnreadableTime(text)
    local_ms = _clock_ms(match, text)
    if match["offset"]:
        return (local_ms - _offset_ms(match["offset"], text),)
    if zone is None:
        raise TimeWithoutZone(text)
    return _localised(local_ms, zone, text)


def decide_by_elapsed(starts: tuple[int, ...], ends: tuple[int, ...], elapsed_s: float | None) -> tuple[int, int]:
    """Of the instants a start and an end can mean, the one pair that is ``elapsed_s`` apart.

    Wall time may exceed the elapsed time (suspension), by less than half an hour; two
    pairs that fit equally well (both ends in one fold) are refused.
    """
    pairs = list(product(starts, ends))
    if len(pairs) == 1:
        return pairs[0]
    if elapsed_s is None:
        raise AmbiguousTime("start or end")
    misfit = {pair: abs(pair[1] - pair[0] - elapsed_s * MS_PER_S) for pair in pairs}
    ranked = sorted(pairs, key=lambda pair: misfit[pair])
    if misfit[ranked[0]] == misfit[ranked[1]] or misfit[ranked[0]] >= 30 * MINUTE_MS:
        raise AmbiguousTime("start or end")
    return ranked[0]


def parse_times(texts: pa.Array, zone: tzinfo | None, now_ms: int) -> Times:
    """A column of time stamps; one way of writing for all of it is fast, a mixture is read one by one."""
    kind = time_kind(str(texts[0])) if len(texts) else TimeKind.EPOCH
    try:
        if kind is TimeKind.EPOCH:
            return times_from_epoch(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), now_ms)
        if kind is TimeKind.ZONED:
            return times_from_zoned(_ns(texts, pa.timestamp("ns", tz="UTC")), now_ms)
        if kind is TimeKind.LOCAL:
            return times_from_local(_ns(texts, pa.timestamp("ns")), zone, now_ms)
    except pa.ArrowInvalid:
        pass  # at least one is written in another way
    return _times_one_by_one(texts.to_pylist(), zone, now_ms)


def times_from_epoch(seconds: FloatArray, now_ms: int) -> Times:
    """Instants from seconds since the epoch, rounded to the nearest ms."""
    in_range = np.abs(seconds) < _FAR_MS  # also false for NaN
    t_ms = np.rint(np.where(in_range, seconds, 0) * MS_PER_S).astype(np.int64)
    return _checked(t_ms, np.zeros(len(t_ms), np.int64), np.zeros(len(t_ms), np.int8), now_ms)


def times_from_zoned(ns: IntArray, now_ms: int) -> Times:
    """Instants from nanoseconds since the epoch, UTC."""
    t_ms = ms_from_ns(ns)
    return _checked(t_ms, np.zeros(len(t_ms), np.int64), np.zeros(len(t_ms), np.int8), now_ms)


def times_from_local(ns: IntArray, zone: tzinfo | None, now_ms: int) -> Times:
    """Instants from clock readings in a zone, given as nanoseconds from 1970-01-01T00:00 on that clock."""
    local_ms = ms_from_ns(ns)
    zero = np.zeros(len(local_ms), np.int64)
    if zone is None:
        return Times(local_ms, zero, np.full(len(local_ms), TimeFault.NO_ZONE, np.int8))
    before_ms, after_ms = _offsets_ms(local_ms, zone)
    fault = np.where(before_ms < after_ms, TimeFault.NONEXISTENT, TimeFault.NONE).astype(np.int8)
    return _checked(local_ms - before_ms, np.maximum(before_ms - after_ms, 0), fault, now_ms)


def ms_from_ns(ns: IntArray) -> IntArray:
    """Nearest ms, half to even."""
    whole, rest = np.divmod(ns, NS_PER_MS)
    if not rest.any():
        return whole
    half = NS_PER_MS // 2
    return whole + ((rest > half) | ((rest == half) & (whole % 2 == 1)))


def _checked(t_ms: IntArray, fold_ms: IntArray, fault: NDArray[np.int8], now_ms: int) -> Times:
    """The same with instants out of range marked."""
    outside: BoolArray = (t_ms < EARLIEST_MS) | (t_ms > now_ms + DAY_MS)
    if outside.any():
        fault = np.where(outside, np.int8(TimeFault.OUT_OF_RANGE), fault)
    return Times(t_ms, fold_ms, fault)


def _ns(texts: pa.Array, kind: pa.DataType) -> IntArray:
    return pc.cast(pc.cast(texts, kind), pa.int64()).to_numpy(zero_copy_only=False)


def _times_one_by_one(texts: list[str | None], zone: tzinfo | None, now_ms: int) -> Times:
    """A column in which time stamps are written in several ways."""
    t_ms, fold_ms = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    fault = np.zeros(len(texts), np.int8)
    for i, text in enumerate(texts):
        try:
            candidates = instant_candidates(text or "", zone)
            t_ms[i], fold_ms[i] = check_range(candidates[0], now_ms), candidates[-1] - candidates[0]
        except TimeRefused as refused:
            fault[i] = refused.fault
    return Times(t_ms, fold_ms, fault)


def _ms_from_seconds(text: str) -> int:
    seconds = float(text)
    if not abs(seconds) < _FAR_MS:
        raise TimeOutOfRange(text)
    return round(seconds * MS_PER_S)


def _clock_ms(match: re.Match[str], text: str) -> int:
    """What the clock showed, in ms from 1970-01-01T00:00 on the same clock."""
    fields = (int(match[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second"))
    try:
        shown = datetime(*fields)  # type: ignore[arg-type]  # noqa: DTZ001 - the zone is applied by the caller
    except ValueError as error:
        raise UnreadableTime(text) from error
    ns = int((match["fraction"] or "0").ljust(9, "0")[:9])
    whole_ms = (shown - _EPOCH) // timedelta(milliseconds=1)
    return int(ms_from_ns(np.array([whole_ms * NS_PER_MS + ns]))[0]) if abs(whole_ms) < _FAR_MS else whole_ms


def _offset_ms(offset: str, text: str) -> int:
    if offset in "Zz":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise UnreadableTime(text)
    return (-1 if offset[0] == "-" else 1) * (hours * 60 + minutes) * MINUTE_MS


def _localised(local_ms: int, zone: tzinfo, text: str) -> tuple[int, ...]:
    before_ms, after_ms = _zone_offsets(local_ms, zone)
    if before_ms < after_ms:
        raise NonexistentTime(text)
    return (local_ms - before_ms,) if before_ms == after_ms else (local_ms - before_ms, local_ms - after_ms)


def _zone_offsets(local_ms: int, zone: tzinfo) -> tuple[int, int]:
    """The zone's offsets [ms] that a clock reading can have: before and after a change of the clock.

    They are equal but in the hour of a change: falling offsets there mean that the reading
    comes twice, rising ones that it does not come at all.
    """
    if not EARLIEST_MS - DAY_MS <= local_ms < _FAR_MS:
        return 0, 0  # refused as out of range, whatever the zone
    shown = (_EPOCH + timedelta(milliseconds=local_ms)).replace(tzinfo=zone)
    before, after = (shown.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return before // timedelta(milliseconds=1), after // timedelta(milliseconds=1)


def _offsets_ms(local_ms: IntArray, zone: tzinfo) -> tuple[IntArray, IntArray]:
    """``_zone_offsets`` of a column: the zone is asked once a day, and once a minute on days of change."""
    day, of_day = np.unique(local_ms // DAY_MS, return_inverse=True)
    edges = np.array([_zone_offsets(int(d) * DAY_MS, zone) + _zone_offsets(int(d + 1) * DAY_MS, zone) for d in day])
    edges = edges.reshape(-1, 4)
    before_ms, after_ms = edges[of_day, 0].copy(), edges[of_day, 0].copy()
    changing = np.flatnonzero((edges != edges[:, :1]).any(axis=1)[of_day])
    if len(changing):
        minute, of_minute = np.unique(local_ms[changing] // MINUTE_MS, return_inverse=True)
        exact = np.array([_zone_offsets(int(m) * MINUTE_MS, zone) for m in minute])
        before_ms[changing], after_ms[changing] = exact[of_minute].T
    return before_ms, after_ms


def utc_text(ms: int) -> str:
    """An instant as text for messages."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(ms))).isoformat()
