"""Takes files of carbon intensities: slots or published means, whichever they hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from django.db import transaction

from measurements.domain.carbon import HIGHEST_G_PER_KWH, LOWEST_G_PER_KWH, Basis
from measurements.domain.units import QUARTERS_PER_DAY, day_start_ms, ms_from_datetime
from measurements.models import IntensitySeries, PublishedValue, ReferenceFactor
from measurements.parsers.detect_intensity import detect_intensity
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots, PublishedTable
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.source import Source
from measurements.services.factors import OtherValue, publish
from measurements.services.intensity import (
    ABSURD,
    NEGATIVE,
    OtherZone,
    Stored,
    counted,
    log_import,
    new_series,
    store_slots,
)

ANOTHER = "another value for the same time"
# What a format's publisher is, and what its values are of, where nobody says otherwise.
KNOWN_SOURCES: dict[str, dict[str, str]] = {
    "electricitymaps": {"source_title": "Electricity Maps", "mix": "consumption", "source_url": "https://www.electricitymaps.com"},
    "entsoe": {
        "source_title": "ENTSO-E, generation by production type",
        "mix": "production",
        "source_url": "https://transparency.entsoe.eu",
    },
    "uk": {
        "source_title": "UK Carbon Intensity service",
        "mix": "consumption",
        "source_url": "https://carbonintensity.org.uk",
        "licence": "CC BY 4.0",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file."""

    source: str
    fmt: str
    resolution: str  # slots, month, year
    stored: Stored
    notes: list[str]

    @property
    def usable(self) -> bool:
        """Whether anything in it was of use, now or before."""
        return self.stored.stored + self.stored.changed + self.stored.unchanged > 0


class _Undone(Exception):
    """Rolls a dry run back."""


def take_intensity(
    source: Source,
    series: IntensitySeries,
    options: IntensityOptions,
    now: datetime,
    *,
    fmt: str | None = None,
    author: str = "",
    dry_run: bool = False,
) -> Taken:
    """Store what a file holds for a series, which is created if it is not stored yet.

    Raises UnusableFile, with the reason and the cure, where nothing of it can be taken: then nothing is changed.
    """
    parser = detect_intensity(source, fmt)
    options = replace(options, basis=series.basis, zone=options.zone or series.zone)
    if parser.name == "entsoe":
        options = replace(options, fuels=fuel_factors(Basis(series.basis)))
    found = parser.read(source, options, ms_from_datetime(now))
    taken: list[Taken] = []
    try:
        with transaction.atomic():
            stored = _series(series, parser.name, now)
            if isinstance(found, IntensitySlots):
                done = store_slots(stored, found, now, source=source.name, author=author, sha256=source.sha256)
                taken.append(Taken(source.name, parser.name, "slots", done, [*found.notes]))
            else:
                done = _publish(stored, found, now)
                log_import(stored, done, now, source=source.name, author=author, sha256=source.sha256)
                taken.append(Taken(source.name, parser.name, found.resolution, done, [*found.notes]))
            if dry_run or not taken[0].usable:
                raise _Undone
    except _Undone:
        pass
    except (OtherZone, OtherValue) as fault:
        raise UnusableFile(f"{source.name}: {fault}") from fault
    else:
        series.pk = stored.pk
    return taken[0]


def fuel_factors(basis: Basis) -> dict[str, float]:
    """The emission factors of fuels on a basis [g CO2e/kWh]; of several of one fuel the last holds."""
    rows = ReferenceFactor.objects.filter(kind=ReferenceFactor.Kind.FUEL, basis=basis.value).order_by("pk")
    return dict(rows.values_list("key", "value"))


def _series(series: IntensitySeries, fmt: str, now: datetime) -> IntensitySeries:
    """The series itself, or what is said of it stored as a new one."""
    if series.pk is not None:
        return series
    names = [field.name for field in IntensitySeries._meta.concrete_fields if field.name != "id"]
    said = {name: getattr(series, name) for name in names if getattr(series, name) not in (None, "")}
    fields: dict[str, Any] = KNOWN_SOURCES.get(fmt, {}) | said
    for name, option in (("mix", "--mix production or --mix consumption"), ("source_title", "--source-title")):
        if name not in fields:
            raise UnusableFile(f"a new series needs {option}: what is the file's values' {name.replace('_', ' ')}?")
    return new_series(now, **fields)


def _publish(series: IntensitySeries, table: PublishedTable, now: datetime) -> Stored:
    """Store the means of a table; all of them, or none where one is published with another value."""
    values, refused = _judged(table)
    new = publish(series, values, table.resolution, now=now)
    days = np.array([_days(start, table.resolution) for start in values], np.int64)
    means = np.array(list(values.values()), np.float64)
    last = max(values, default=None)
    return Stored(
        read=table.read,
        stored=new,
        changed=0,
        unchanged=len(values) - new,
        missing=table.missing,
        incomplete=0,
        elsewhere=table.elsewhere,
        estimated=0,
        refused=counted([*table.refusals, *refused]),
        largest_change_g_per_kwh=0.0,
        mean_g_per_kwh=float((means * days).sum() / days.sum()) if values else None,
        quarters=int(days.sum()) * QUARTERS_PER_DAY,
        first_ms=day_start_ms(min(values)) if values else None,
        last_ms=None if last is None else day_start_ms(_next(last, table.resolution)),
    )


def _judged(table: PublishedTable) -> tuple[dict[date, float], list[Refusal]]:
    """Values by first day, and what is wrong with the others; a table is small: row by row."""
    values: dict[date, float] = {}
    refused = []
    for start, value, line in zip(table.start, table.g_per_kwh.tolist(), table.line.tolist(), strict=True):
        reason = ""
        if value < LOWEST_G_PER_KWH:
            reason = NEGATIVE
        elif value > HIGHEST_G_PER_KWH:
            reason = ABSURD
        elif values.setdefault(start, value) != value:
            reason = ANOTHER
        if reason:
            refused.append(Refusal(reason, line, text=f"{start} {value:g} g/kWh"))
    return values, refused


def _next(start: date, resolution: str) -> date:
    if resolution == PublishedValue.Resolution.MONTH and start.month < 12:
        return start.replace(month=start.month + 1)
    return date(start.year + 1, 1, 1)


def _days(start: date, resolution: str) -> int:
    return (_next(start, resolution) - start).days
