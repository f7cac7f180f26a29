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
    IntArray,
)
from measurements.models import FactorImport, IntensitySeries, SlotDay
from measurements.parsers.intensity_records import IntensitySlots
from measurements.parsers.records import Refusal
from measurements.selectors.slot_days import slot_values
from measurements.services.pricing import reprice_series

NEGATIVE = "negative carbon intensity"
ABSURD = f"carbon intensity above {HIGHEST_G_PER_KWH:g} g/kWh"
OFF_GRID = "slot that is no whole number of quarter hours"


class OtherZone(ValueError):
    """The source is of another zone or basis than the series."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing some slots did, in quarter hours but for ``read``."""

    read: int
    stored: int  # new
    changed: int  # revised
    unchanged: int
    missing: int
    refused: list[dict[str, Any]]  # {reason, count, first_line, example}
    largest_change_g_per_kwh: float
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
    slotted = on_quarters(slots.start_ms[good], slots.end_ms[good], slots.g_per_kwh[good], slots.estimated[good])
    with transaction.atomic():
        IntensitySeries.objects.select_for_update(no_key=True).get(pk=series.pk)
        merged = _Merged(series, slotted, _newest(slots, good))
        done = Stored(
            read=slots.read or len(slots.start_ms),
            stored=int(merged.new.sum()),
            changed=int(merged.revised.sum()),
            unchanged=len(slotted.quarter) - int(merged.new.sum()) - int(merged.revised.sum()),
            missing=slots.missing + int(np.isnan(slots.g_per_kwh).sum()),
            refused=_counted([*slots.refusals, *refused]),
            largest_change_g_per_kwh=merged.largest_change,
            first_ms=int(slotted.quarter[0]) * QUARTER_MS if len(slotted.quarter) else None,
            last_ms=int(slotted.quarter[-1] + 1) * QUARTER_MS if len(slotted.quarter) else None,
        )
        touched = done.stored + done.changed
        if not dry_run and (touched or not keep_quiet):
            _log(series, done, source, author, sha256, now)
        if not dry_run and touched:
            first, last = merged.write(now)
            reprice_series(series, now, first, last)
    return done


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
    refused = [
        Refusal(reason, 0, text=f"{slots.start_ms[row]} {value[row]:g} g/kWh")
        for reason, rows in wrong.items()
        for row in np.flatnonzero(rows).tolist()
    ]
    return known & ~np.any(list(wrong.values()), axis=0), refused


def _counted(refusals: Iterable[Refusal]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for refusal in refusals:
        row = found.setdefault(
            refusal.reason, {"reason": refusal.reason, "count": 0, "first_line": refusal.line, "example": refusal.text}
        )
        row["count"] += 1
    return sorted(found.values(), key=lambda row: (-row["count"], row["reason"]))


def _newest(slots: IntensitySlots, good: BoolArray) -> int | None:
    """When the publisher last changed any of them."""
    return int(slots.updated_ms[good].max()) if slots.updated_ms is not None and good.any() else None


class _Merged:
    """What is stored of some quarter hours, and what they become."""

    def __init__(self, series: IntensitySeries, slotted: Slotted, updated_ms: int | None) -> None:
        self.series = series
        empty = not len(slotted.quarter)
        self.first_day = 0 if empty else int(slotted.quarter[0]) // QUARTERS_PER_DAY
        self.days = 0 if empty else int(slotted.quarter[-1]) // QUARTERS_PER_DAY - self.first_day + 1
        self.values, self.kinds = slot_values(series.pk, EPOCH_DAY + timedelta(days=self.first_day), self.days)
        place = slotted.quarter - self.first_day * QUARTERS_PER_DAY
        before, kind = self.values[place], self.kinds[place]
        worse = (kind == MEASURED) & (slotted.kind == ESTIMATED) & (updated_ms is None)
        differs = (before != slotted.g_per_kwh) | (kind != slotted.kind)
        self.new = np.isnan(before)
        self.revised = ~self.new & differs & ~worse
        self.largest_change = float(np.abs(before - slotted.g_per_kwh)[self.revised].max(initial=0.0))
        write = self.new | self.revised
        self.values[place[write]], self.kinds[place[write]] = slotted.g_per_kwh[write], slotted.kind[write]
        self.touched = np.unique(place[write] // QUARTERS_PER_DAY)

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


def _log(series: IntensitySeries, done: Stored, source: str, author: str, sha256: str, now: datetime) -> None:
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
