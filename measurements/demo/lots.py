"""The simulated time in lots: stretches whose files are written, taken in and booked one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from measurements.demo.faults import LateLog, late_log
from measurements.demo.logs import history_csv, late_csv, power_csv, sacct_of
from measurements.demo.note import Simulated, write_bytes
from measurements.demo.recipes import Run
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_period
from measurements.domain.units import MS_PER_S, datetime_from_ms, day_from_ms

FINE_DAYS = 14  # the newest days: every 30 s and with GPUs
PAST = "past"  # folder of what is older
FINE_LOT_DAYS = 4
LEAST_DAYS = 42  # of the stories and their leaderboard: two fortnights before a log that came late
MARGIN = timedelta(days=2)  # no job lasts longer


@dataclass(frozen=True, slots=True)
class Lot:
    """[start, end) of the simulated time, as seen at `now_s`."""

    seed: int
    start_s: int
    end_s: int
    now_s: int
    fine_from_s: int
    first: bool

    @property
    def fine(self) -> bool:
        """Whether it lies in the newer part."""
        return self.start_s >= self.fine_from_s

    @property
    def days(self) -> float:
        return (self.end_s - self.start_s) / DAY_S


def plan_lots(done: Simulated, now_s: int) -> list[Lot]:
    """What is to be simulated so that `done` reaches up to now."""
    return _cut(done, done.until_s, now_s, now_s)


def plan_past(done: Simulated, before_s: int, now_s: int) -> list[Lot]:
    """What is missing of the time before an instant, the newest first."""
    return _cut(done, done.since_s, before_s, now_s)[::-1]


def newest_from_s(now_s: int) -> int:
    """Where the newest part begins, which is shown before the rest is booked: this month and the one before, which
    pages compare, so many days that all of their jobs are whole, and what the stories take."""
    before = (_day(now_s).replace(day=1) - timedelta(days=1)).replace(day=1)
    return min(_start_s(before - MARGIN), _start_s(_day(now_s) - timedelta(days=LEAST_DAYS)))


def _cut(done: Simulated, start_s: int, until_s: int, now_s: int) -> list[Lot]:
    cuts, at_s = [start_s], start_s
    while at_s < until_s:
        at_s = min(_next_cut_s(at_s, done.fine_from_s), until_s)
        cuts.append(at_s)
    return [
        Lot(done.seed, low_s, high_s, now_s, done.fine_from_s, first=low_s == start_s)
        for low_s, high_s in pairwise(cuts)
    ]


def _next_cut_s(at_s: int, fine_from_s: int) -> int:
    """The older part is cut at the months, the newer one every few days."""
    if at_s >= fine_from_s:
        return at_s // DAY_S * DAY_S + FINE_LOT_DAYS * DAY_S
    day = _day(at_s)
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return min(at_s + (following - day).days * DAY_S, fine_from_s)


def write_lot(folder: Path, lot: Lot) -> list[Path]:
    """Write a lot's files: its jobs, then its power logs in the order of their delivery."""
    (folder / PAST).mkdir(parents=True, exist_ok=True)
    jobs = sacct_of(_runs(lot), lot.now_s).encode()
    if not lot.fine:
        label = f"{_day(lot.start_s):%Y-%m}" if _day(lot.start_s).day == 1 else f"{_day(lot.start_s)}"
        power = pa.compress(b"".join(history_csv(lot.seed, _days(lot))), codec="zstd", asbytes=True)
        return [
            write_bytes(folder / PAST / f"jobs-{label}.txt.zst", pa.compress(jobs, codec="zstd", asbytes=True)),
            write_bytes(folder / PAST / f"power-{label}.csv.zst", power),
        ]
    paths = [write_bytes(folder / f"jobs-{stamp(lot.start_s)}.txt", jobs)]
    for day in _days(lot):
        start_s = max(_start_s(day), lot.start_s)
        text = power_csv(lot.seed, day, start_s, min(_start_s(day) + DAY_S, lot.end_s))
        paths.append(write_bytes(folder / f"power-{stamp(start_s)}.csv", text))
    return paths + [write_bytes(folder / log.file_name, late_csv(lot.seed, log)) for log in late_logs(lot)]


def late_logs(lot: Lot) -> list[LateLog]:
    """The logs of earlier days that are delivered in a lot's time."""
    day, found = _day(lot.start_s) - timedelta(days=7), []
    while day <= _day(lot.end_s):
        log = late_log(lot.seed, day)
        if log and lot.start_s <= log.due_s < lot.end_s and _start_s(day) >= lot.fine_from_s:
            found.append(log)
        day += timedelta(days=1)
    return found


def _runs(lot: Lot) -> Iterator[Run]:
    """Each run is in one lot: the one it starts in; what waits, in the last; what ran before, in the first."""
    for run in plan_period(lot.seed, lot.start_s, lot.end_s):
        began_before = lot.first and run.start_s < lot.start_s
        waits = run.start_s >= lot.now_s == lot.end_s
        if lot.start_s <= run.start_s < lot.end_s or began_before or waits:
            yield run


def _days(lot: Lot) -> Iterator[date]:
    """The UTC days that a lot touches."""
    day = _day(lot.start_s)
    while _start_s(day) < lot.end_s:
        yield day
        day += timedelta(days=1)


def stamp(instant_s: int) -> str:
    """An instant for a file's name: the day, and the time where it is not midnight."""
    instant = datetime_from_ms(instant_s * MS_PER_S)
    return f"{instant:%Y-%m-%d}" if instant_s % DAY_S == 0 else f"{instant:%Y-%m-%dT%H%M%S}"


def _day(instant_s: int) -> date:
    return day_from_ms(instant_s * MS_PER_S)


def _start_s(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_S
