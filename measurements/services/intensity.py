"""Stores carbon intensities: the one writer of series, their slots, and what came in for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction

from measurements.domain.carbon import HIGHEST_G_PER_KWH, LOWEST_G_PER_KWH
from measurements.domain.packing import packed
from measurements.domain.slotting import ESTIMATED, MEASURED, Slotted, is_slot, on_quarters
from measurements.domain.units import (
    EPOCH_DAY,
    QUARTER_MS,
    QUARTERS_PER_DAY,
    BoolArray,
    FloatArray,
    IntArray,
    ms_from_datetime,
)
from measurements.models import FactorImport, IntensitySeries, SlotDay
from measurements.parsers.intensity_records import IntensitySlots
from measurements.parsers.records import Refusal
from measurements.parsers.times import utc_text
from measurements.selectors.slot_days import slot_values
from measurements.services.pricing import reprice_series

NEGATIVE = "negative carbon intensity"
ABSURD = f"carbon intensity above {HIGHEST_G_PER_KWH:g} g/kWh"
OFF_GRID = "slot that is no whole number of quarter hours"


class OtherZone(ValueError):
    """The source is of another zone or basis than the series."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the slots of one source: read = stored + changed + unchanged + missing + refused + elsewhere.

    ``missing`` are those without a value, ``incomplete`` (part of unchanged) those of a quarter hour that they do not
    fill.
    """

    read: int
    stored: int  # with a quarter hour that was not known
    changed: int  # revised
    unchanged: int
    missing: int
    incomplete: int
    elsewhere: int  # of other zones
    estimated: int  # of those that are new, revised or as before
    refused: list[dict[str, Any]]  # {reason, count, first_line, example}
    largest_change_g_per_kwh: float
    mean_g_per_kwh: float | None  # over the time that the source covers
    quarters: int  # how much time that is
    first_ms: int | None
    last_ms: int | None  # where the last slot ends


def new_series(now: datetime, **fields: Any) -> IntensitySeries:
    """Create a series; its slug, zone, basis, mix and source have to be given."""
    fields.setdefault("retrieved_on", now.date())
    series = IntensitySeries(**fields)
    series.full_clean()
    series.save(force_insert=True)
    return series


def store_slots(
    series: IntensitySeries,
    slots: IntensitySlots,
    now: datetime,
    *,
    source: str,
    author: str = "",
    sha256: str = "",
    dry_run: bool = False,
    keep_quiet: bool = False,
) -> Stored:
    """Store slots of a series and price the days they change anew; a dry run only says what would be.

    A measured value takes the place of an estimated one, never the other way round unless the publisher changed it
    since it was stored. With ``keep_quiet`` an input that changes nothing leaves no trace (a provider asked every
    half hour).
    """
    _check(series, slots)
    good, refused = _judged(slots)
    columns = _Columns(slots, good)
    with transaction.atomic():
        IntensitySeries.objects.select_for_update(no_key=True).get(pk=series.pk)
        merged = _Merged(series, columns)
        done = _report(slots, columns, merged, refused)
        touched = done.stored + done.changed
        if not dry_run and (touched or not keep_quiet):
            log_import(series, done, now, source=source, author=author, sha256=sha256)
        if not dry_run and touched:
            first, last = merged.write(now)
            reprice_series(series, now, first, last)
    return done


def _report(slots: IntensitySlots, columns: _Columns, merged: _Merged, refused: list[Refusal]) -> Stored:
    slotted = columns.slotted
    new = columns.holding(merged.new)
    changed = ~new & columns.holding(merged.revised)
    empty = not len(slotted.quarter)
    return Stored(
        read=slots.read or len(slots.start_ms),
        stored=int(new.sum()),
        changed=int(changed.sum()),
        unchanged=len(new) - int(new.sum()) - int(changed.sum()),
        missing=slots.missing + int(np.isnan(slots.g_per_kwh).sum()),
        incomplete=int((~columns.holding(np.ones(len(slotted.quarter), bool))).sum()),
        elsewhere=slots.elsewhere,
        estimated=int(columns.estimated.sum()),
        refused=counted([*slots.refusals, *refused]),
        largest_change_g_per_kwh=merged.largest_change,
        mean_g_per_kwh=None if empty else float(slotted.g_per_kwh.mean()),
        quarters=len(slotted.quarter),
        first_ms=None if empty else int(slotted.quarter[0]) * QUARTER_MS,
        last_ms=None if empty else int(slotted.quarter[-1] + 1) * QUARTER_MS,
    )


def _check(series: IntensitySeries, slots: IntensitySlots) -> None:
    for what, asked, found in (("zone", series.zone, slots.zone), ("basis", series.basis, slots.basis)):
        if found and found != asked:
            raise OtherZone(f"{what} {found}: the series {series.slug} is of {what} {asked}; nothing is stored")


def _judged(slots: IntensitySlots) -> tuple[BoolArray, list[Refusal]]:
    """Which rows are good, and what is wrong with the others; a missing value is neither."""
    value = slots.g_per_kwh
    known = ~np.isnan(value)
    wrong = {
        NEGATIVE: known & (value < LOWEST_G_PER_KWH),
        ABSURD: known & (value > HIGHEST_G_PER_KWH),
        OFF_GRID: known & ~is_slot(slots.start_ms, slots.end_ms),
    }
    line = np.zeros(len(value), np.int64) if slots.line is None else slots.line
    refused = [
        Refusal(reason, int(line[row]), text=f"{utc_text(slots.start_ms[row])} {value[row]:g} g/kWh")
        for reason, rows in wrong.items()
        for row in np.flatnonzero(rows).tolist()
    ]
    return known & ~np.any(list(wrong.values()), axis=0), refused


def counted(refusals: Iterable[Refusal]) -> list[dict[str, Any]]:
    """Refusals by reason, the most frequent first."""
    found: dict[str, dict[str, Any]] = {}
    for refusal in refusals:
        row = found.setdefault(
            refusal.reason,
            {
                "reason": refusal.reason,
                "count": 0,
                "first_line": refusal.line,
                "example": refusal.text or refusal.detail,
            },
        )
        row["count"] += 1
        if refusal.line < row["first_line"]:
            row |= {"first_line": refusal.line, "example": refusal.text}
    return sorted(found.values(), key=lambda row: (-row["count"], row["reason"]))


class _Columns:
    """The good slots of a source, and the quarter hours that they fill."""

    def __init__(self, slots: IntensitySlots, good: BoolArray) -> None:
        self.start_ms, self.end_ms = slots.start_ms[good], slots.end_ms[good]
        self.estimated = slots.estimated[good]
        self.slotted = self._on_quarters(slots.g_per_kwh[good])
        self.updated_ms = None if slots.updated_ms is None else self._on_quarters(slots.updated_ms[good]).g_per_kwh

    def _on_quarters(self, values: FloatArray | IntArray) -> Slotted:
        return on_quarters(self.start_ms, self.end_ms, values.astype(np.float64), self.estimated)

    def holding(self, quarters: BoolArray) -> BoolArray:
        """Which slots have one of these among the quarter hours that they lie in."""
        before = np.append(0, np.cumsum(quarters))
        first = np.searchsorted(self.slotted.quarter, self.start_ms // QUARTER_MS)
        last = np.searchsorted(self.slotted.quarter, (self.end_ms - 1) // QUARTER_MS, "right")
        held: BoolArray = before[last] > before[first]
        return held


class _Merged:
    """What is stored of some quarter hours, and what they become."""

    def __init__(self, series: IntensitySeries, columns: _Columns) -> None:
        slotted = columns.slotted
        self.series = series
        empty = not len(slotted.quarter)
        self.first_day = 0 if empty else int(slotted.quarter[0]) // QUARTERS_PER_DAY
        self.days = 0 if empty else int(slotted.quarter[-1]) // QUARTERS_PER_DAY - self.first_day + 1
        self.values, self.kinds = slot_values(series.pk, EPOCH_DAY + timedelta(days=self.first_day), self.days)
        place = slotted.quarter - self.first_day * QUARTERS_PER_DAY
        before, kind = self.values[place], self.kinds[place]
        worse = (kind == MEASURED) & (slotted.kind == ESTIMATED)
        if columns.updated_ms is not None and worse.any():
            worse &= columns.updated_ms <= self._stored_ms()[place]
        differs = (before != slotted.g_per_kwh) | (kind != slotted.kind)
        self.new = np.isnan(before)
        self.revised = ~self.new & differs & ~worse
        self.largest_change = float(np.abs(before - slotted.g_per_kwh)[self.revised].max(initial=0.0))
        write = self.new | self.revised
        self.values[place[write]], self.kinds[place[write]] = slotted.g_per_kwh[write], slotted.kind[write]
        self.touched = np.unique(place[write] // QUARTERS_PER_DAY)

    def _stored_ms(self) -> IntArray:
        """When each quarter hour's day was last written."""
        first = EPOCH_DAY + timedelta(days=self.first_day)
        rows = SlotDay.objects.filter(series=self.series, day__gte=first, day__lt=first + timedelta(days=self.days))
        stored_ms = np.zeros(self.days, np.int64)
        for day, updated_at in rows.values_list("day", "updated_at"):
            stored_ms[(day - first).days] = ms_from_datetime(updated_at)
        return np.repeat(stored_ms, QUARTERS_PER_DAY)

    def write(self, now: datetime) -> tuple[date, date]:
        """Replace the days that changed; the first and the last of them."""
        days = [EPOCH_DAY + timedelta(days=self.first_day + int(i)) for i in self.touched]
        rows = [
            SlotDay(series=self.series, day=day, updated_at=now, g_per_kwh=packed(values), kinds=_bytes(kinds))
            for day, values, kinds in zip(days, self._of(self.values), self._of(self.kinds), strict=True)
        ]
        SlotDay.objects.bulk_create(
            rows,
            500,
            update_conflicts=True,
            unique_fields=["series", "day"],
            update_fields=["g_per_kwh", "kinds", "updated_at"],
        )
        return days[0], days[-1]

    def _of(self, values: Any) -> Any:
        return values.reshape(-1, QUARTERS_PER_DAY)[self.touched]


def _bytes(kinds: IntArray) -> bytes:
    return kinds.astype(np.uint8).tobytes()


def log_import(
    series: IntensitySeries, done: Stored, now: datetime, *, source: str, author: str = "", sha256: str = ""
) -> None:
    """Keep what once came in for a series."""
    FactorImport.objects.create(
        series=series,
        source=source[:1024],
        sha256=sha256,
        read=done.read,
        stored=done.stored,
        changed=done.changed,
        refused=done.refused,
        first_ms=done.first_ms,
        last_ms=done.last_ms,
        author=author,
        created_at=now,
    )
