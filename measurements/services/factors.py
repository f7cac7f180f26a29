"""Stores published factors: the one writer of values of years and months and of reference factors.

Nothing of an edition is ever changed: another value needs another edition. All of a file goes in, or nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from measurements.domain.carbon import HIGHEST_G_PER_KWH, LOWEST_G_PER_KWH
from measurements.models import IntensitySeries, PublishedValue, ReferenceFactor
from measurements.parsers.factor_package import Edition, Factor, GridSeries, Publication, Value, read_edition
from measurements.services.intensity import new_series
from measurements.services.pricing import reprice_series

PACKAGE = Path(__file__).resolve().parent.parent / "factors"
CURE = "nothing of this edition is changed; another value needs another edition, with a slug of its own"
_FIXED = ("zone", "basis", "method", "gas", "mix", "signal", "source_title", "edition", "packaged")
_SHOWN = 3


class OtherValue(ValueError):
    """An edition that is stored says something else."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading an edition did, or would do."""

    name: str
    series: int  # new
    values: int  # new, of years and months
    factors: int  # new
    unchanged: int  # values and factors that are stored already
    days_priced: int


def package() -> list[Path]:
    """The files that come with the software, by name: of two factors of a fuel the later one is the first choice."""
    return sorted(PACKAGE.glob("*.toml"))


def load_package(now: datetime, paths: Sequence[Path] | None = None, *, dry_run: bool = False) -> list[Loaded]:
    """Store what the package, or a site's own files of the same form, have that is new.

    UnusableFile or OtherValue: of the file that is named nothing was stored, of those before it all.
    """
    files = package() if paths is None else list(paths)
    return [load_edition(read_edition(path), now, packaged=paths is None, dry_run=dry_run) for path in files]


def load_edition(edition: Edition, now: datetime, *, packaged: bool = False, dry_run: bool = False) -> Loaded:
    """Store what is new of one file; a second time changes nothing."""
    with transaction.atomic():
        factors = _new_factors(edition, now, packaged=packaged)
        series, values = _new_values(edition, packaged=packaged)
        done = Loaded(
            name=edition.name,
            series=sum(one.pk is None for one in series),
            values=sum(map(len, values)),
            factors=len(factors),
            unchanged=_said(edition) - len(factors) - sum(map(len, values)),
            days_priced=0,
        )
        if dry_run:
            return done
        ReferenceFactor.objects.bulk_create(factors)
        days = _store(series, values, now)
    return Loaded(done.name, done.series, done.values, done.factors, done.unchanged, days)


def publish(
    series: IntensitySeries,
    values: Mapping[date, float],
    resolution: str = PublishedValue.Resolution.YEAR,
    notes: Mapping[date, str] | None = None,
    now: datetime | None = None,
) -> int:
    """Add values of years or months to a series; how many are new. OtherValue where one is stored and differs."""
    notes = notes or {}
    wanted = [Value(start, resolution, value, notes.get(start, "")) for start, value in sorted(values.items())]
    for value in wanted:
        _check(series.slug, value)
    with transaction.atomic():
        stored = PublishedValue.objects.filter(series=series)
        new = _missing(series.slug, wanted, {(row.resolution, row.start): row.g_per_kwh for row in stored})
        _store([series], [new], now or timezone.now())
    return len(new)


# --- Carbon intensity ---------------------------------------------------------------------------------


def _new_values(edition: Edition, *, packaged: bool) -> tuple[list[IntensitySeries], list[list[Value]]]:
    """The series of an edition, those that are not stored without an id, and the values that each lacks."""
    slugs = [one.slug for one in edition.series]
    known = {row.slug: row for row in IntensitySeries.objects.filter(slug__in=slugs)}
    stored: dict[int, dict[tuple[str, date], float]] = {}
    for row in PublishedValue.objects.filter(series__in=known.values()):
        stored.setdefault(row.series_id, {})[row.resolution, row.start] = row.g_per_kwh
    series, values = [], []
    for said in edition.series:
        wanted = _series(said, edition.source, packaged=packaged)
        found = known.get(said.slug)
        if found is not None:
            _same(found, wanted)
        series.append(found or wanted)
        values.append(_missing(said.slug, said.values, stored.get(found.pk, {}) if found else {}))
    return series, values


def _series(said: GridSeries, source: Publication, *, packaged: bool) -> IntensitySeries:
    return IntensitySeries(
        slug=said.slug,
        zone=said.zone,
        basis=said.basis,
        method=said.method,
        gas=said.gas,
        mix=said.mix,
        signal=said.signal,
        packaged=packaged,
        note=" ".join(filter(None, [said.note, source.note])),
        **_sourced(source, said.page),
    )


def _sourced(source: Publication, page: str) -> dict[str, Any]:
    return {
        "source_title": source.title,
        "source_url": source.url,
        "edition": source.edition,
        "page": page or source.page,
        "licence": source.licence,
        "attribution": source.attribution,
        "retrieved_on": source.retrieved,
    }


def _same(stored: IntensitySeries, wanted: IntensitySeries) -> None:
    for name in _FIXED:
        before, after = getattr(stored, name), getattr(wanted, name)
        if before != after:
            raise OtherValue(f"{stored.slug}: {name} is stored as {before!r}, the file says {after!r}; {CURE}")


def _missing(slug: str, said: Iterable[Value], stored: Mapping[tuple[str, date], float]) -> list[Value]:
    """Those that are not stored; OtherValue where one is, with another value."""
    new, other = [], []
    for value in said:
        before = stored.get((value.resolution, value.start))
        if before is None:
            new.append(value)
        elif before != value.g_per_kwh:
            other.append(f"{_period(value)} is stored as {before:g}, not {value.g_per_kwh:g} g/kWh")
    if other:
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        raise OtherValue(f"{slug}: {'; '.join(other[:_SHOWN])}{more}; {CURE}")
    return new


def _store(series: Sequence[IntensitySeries], values: Sequence[Sequence[Value]], now: datetime) -> int:
    """Write values, and price the days anew that they change; how many days."""
    rows = []
    for one, new in zip(series, values, strict=True):
        stored = one if one.pk else new_series(now, **_fields(one))
        rows += [
            PublishedValue(
                series=stored,
                resolution=value.resolution,
                start=value.start,
                g_per_kwh=value.g_per_kwh,
                note=value.note,
            )
            for value in new
        ]
    PublishedValue.objects.bulk_create(rows, 500)
    return sum(reprice_series(one, now) for one, new in zip(series, values, strict=True) if one.pk and new)


def _fields(series: IntensitySeries) -> dict[str, Any]:
    return {
        field.attname: getattr(series, field.attname) for field in series._meta.concrete_fields if field.name != "id"
    }


def _check(slug: str, value: Value) -> None:
    first = value.start.replace(day=1, month=value.start.month if value.resolution == "month" else 1)
    if value.start != first:
        raise ValueError(f"{slug}: {value.start} is not the first day of a {value.resolution}")
    if not LOWEST_G_PER_KWH <= value.g_per_kwh <= HIGHEST_G_PER_KWH:
        raise ValueError(
            f"{slug}: {value.g_per_kwh:g} g/kWh is not from {LOWEST_G_PER_KWH:g} to {HIGHEST_G_PER_KWH:g}; "
            "is the unit right?"
        )


def _period(value: Value) -> str:
    return f"{value.start:%Y-%m}" if value.resolution == "month" else f"{value.start:%Y}"


# --- Fuels and equivalents ----------------------------------------------------------------------------


def _new_factors(edition: Edition, now: datetime, *, packaged: bool) -> list[ReferenceFactor]:
    source = edition.source
    rows = ReferenceFactor.objects.filter(source_title=source.title, edition=source.edition)
    stored = {(row.kind, row.key, row.basis): row for row in rows}
    new, other = [], []
    for said in edition.factors:
        found = stored.get((said.kind, said.key, said.basis))
        if found is None:
            new.append(_factor(said, source, now, packaged=packaged))
        elif (found.value, found.low, found.high, found.unit) != (said.value, said.low, said.high, said.unit):
            other.append(
                f"{said.kind} {said.key} {said.basis}".rstrip() + f" is stored as {found.value:g} {found.unit}"
            )
    if other:
        raise OtherValue(f"{edition.name}: {'; '.join(other[:_SHOWN])}; {CURE}")
    return new


def _factor(said: Factor, source: Publication, now: datetime, *, packaged: bool) -> ReferenceFactor:
    return ReferenceFactor(
        kind=said.kind,
        key=said.key,
        basis=said.basis,
        value=said.value,
        low=said.low,
        high=said.high,
        unit=said.unit,
        packaged=packaged,
        created_at=now,
        **_sourced(source, said.page),
    )


def _said(edition: Edition) -> int:
    return len(edition.factors) + sum(len(one.values) for one in edition.series)
