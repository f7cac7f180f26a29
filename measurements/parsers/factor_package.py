"""Published factors in TOML: a publication and edition a file, as the offline package holds them (docs/factors.md)."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from measurements.domain.carbon import HIGHEST_G_PER_KWH, Basis, Method
from measurements.parsers.records import UnusableFile

G_PER_KWH = "g/kWh"
YEAR, MONTH = "year", "month"
GASES = ("CO2", "CO2e")
MIXES = ("production", "consumption", "supplier", "residual")
SIGNALS = ("average", "marginal")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ZONE = re.compile(r"[A-Z]{2,3}(-[A-Z0-9]+)*")
_PERIOD = re.compile(r"(?P<year>(19|20)\d\d)(-(?P<month>0[1-9]|1[0-2]))?")
_SOURCE_TEXTS = {"title": 255, "url": 1024, "edition": 64, "page": 64, "licence": 64, "attribution": 255, "note": 512}
_SERIES_KEYS = {"slug", "basis", "gas", "mix", "method", "signal", "unit", "page", "note", "notes", "zones"}
_FACTOR_KEYS = {"key", "basis", "value", "low", "high", "unit", "page"}
_LEAST = {  # tables of a file, and the keys that each must have
    "source": {*_SOURCE_TEXTS, "retrieved"},
    "series": {"slug", "basis", "gas", "mix", "method", "signal", "unit", "zones"},
    "fuels": {"key", "basis", "value", "unit"},
    "equivalents": {"key", "value", "unit"},
}
_UNIT_OF_EQUIVALENTS = re.compile(r"(g|kg|kWh)/[a-z]+")


@dataclass(frozen=True, slots=True)
class Publication:
    """Where the values of a file are from."""

    title: str
    url: str
    edition: str
    page: str
    licence: str
    attribution: str
    note: str
    retrieved: date


@dataclass(frozen=True, slots=True)
class Value:
    """The mean of a year or a month."""

    start: date
    resolution: str  # year, month
    g_per_kwh: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class GridSeries:
    """Carbon intensity of one zone; the slug is the file's with the zone behind it."""

    slug: str
    zone: str
    basis: str
    gas: str
    mix: str
    method: str
    signal: str
    page: str
    note: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """An emission factor of a fuel, or an equivalent (without a basis)."""

    kind: str  # fuel, equivalent
    key: str
    basis: str
    value: float
    low: float | None
    high: float | None
    unit: str
    page: str


@dataclass(frozen=True, slots=True)
class Edition:
    """All that a file holds."""

    name: str
    source: Publication
    series: tuple[GridSeries, ...] = field(default=())
    factors: tuple[Factor, ...] = field(default=())


def read_edition(path: Path) -> Edition:
    """Read a file of factors; UnusableFile says what is wrong with it, where, and what would be right."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UnusableFile(f"{path}: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UnusableFile(f"{path.name}: no TOML: {fault}") from fault
    return _Reader(path.name).edition(said)


class _Reader:
    """Reads the tables of one file; every refusal names the file and the place in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def edition(self, said: Mapping[str, Any]) -> Edition:
        self._keys("the file", said, set(_LEAST), {"source"})
        series = tuple(one for table in self._tables(said, "series") for one in self._series(table))
        kinds = (("fuel", "fuels"), ("equivalent", "equivalents"))
        factors = tuple(self._factor(kind, table) for kind, tables in kinds for table in self._tables(said, tables))
        self._once([one.slug for one in series], "series")
        self._once([f"{one.kind} {one.key} {one.basis}".rstrip() for one in factors], "factor")
        if not series and not factors:
            self._refuse("the file", "it has no values: add [[series]], [[fuels]] or [[equivalents]]")
        return Edition(self.name, self._source(said["source"]), series, factors)

    def _source(self, said: Any) -> Publication:
        self._keys("[source]", said, _LEAST["source"], _LEAST["source"])
        for key, most in _SOURCE_TEXTS.items():
            text = said[key]
            if not isinstance(text, str) or not text.strip() or len(text) > most:
                self._refuse(f"[source] {key}", f"say it in 1 to {most} characters")
        retrieved = said["retrieved"]
        if not isinstance(retrieved, date) or isinstance(retrieved, datetime):
            self._refuse("[source] retrieved", "give the day without quotation marks: retrieved = 2026-01-31")
        return Publication(**said)

    def _series(self, said: Mapping[str, Any]) -> Iterator[GridSeries]:
        where = f"[[series]] {said.get('slug', '')}".rstrip()
        self._keys(where, said, _SERIES_KEYS, _LEAST["series"])
        self._unit(where, said["unit"])
        self._match(where, "slug", said["slug"], _SLUG.fullmatch, "small letters, digits and hyphens")
        choices = {"basis": [*Basis], "gas": GASES, "mix": MIXES, "method": [*Method], "signal": SIGNALS}
        fixed = {key: self._one_of(where, key, said[key], list(known)) for key, known in choices.items()}
        notes = said.get("notes", {})
        if not isinstance(said["zones"], dict) or not said["zones"]:
            self._refuse(where, "it has no zones: add [series.zones] with ZONE = { YEAR = value }")
        for zone, values in said["zones"].items():
            self._match(where, "zone", zone, _ZONE.fullmatch, "a code such as DE, EU or US-CAL-CISO")
            yield GridSeries(
                slug=f"{said['slug']}-{zone.lower()}",
                zone=zone,
                page=str(said.get("page", "")),
                note=str(said.get("note", "")),
                values=tuple(self._values(f"{where} {zone}", values, notes)),
                **fixed,
            )

    def _values(self, where: str, said: Any, notes: Mapping[str, str]) -> Iterator[Value]:
        if not isinstance(said, dict) or not said:
            self._refuse(where, "it has no values: say YEAR = value")
        for period, value in said.items():
            found = _PERIOD.fullmatch(period)
            if found is None:
                self._refuse(f"{where} {period}", "this is no year (2024) and no month (2024-03)")
            start = date(int(found["year"]), int(found["month"] or 1), 1)
            number = self._number(f"{where} {period}", value, HIGHEST_G_PER_KWH)
            yield Value(start, MONTH if found["month"] else YEAR, number, str(notes.get(period, "")))

    def _factor(self, kind: str, said: Mapping[str, Any]) -> Factor:
        where = f"{kind} {said.get('key', '')}".rstrip()
        fuel = kind == "fuel"
        self._keys(where, said, _FACTOR_KEYS, _LEAST["fuels" if fuel else "equivalents"])
        self._match(where, "key", said["key"], _SLUG.fullmatch, "small letters, digits and hyphens")
        if fuel:
            self._unit(where, said["unit"])
        else:
            self._match(where, "unit", said["unit"], _UNIT_OF_EQUIVALENTS.fullmatch, "such as g/km or kWh/day")
        most = HIGHEST_G_PER_KWH if fuel else 1e9
        low, value, high = (
            None if said.get(key) is None else self._number(f"{where} {key}", said[key], most)
            for key in ("low", "value", "high")
        )
        assert value is not None  # noqa: S101 - one of the keys that must be there
        if not (value if low is None else low) <= value <= (value if high is None else high):
            self._refuse(where, "low, value and high are not in this order")
        basis = self._one_of(where, "basis", said["basis"], list(Basis)) if fuel else ""
        return Factor(kind, said["key"], basis, value, low, high, said["unit"], str(said.get("page", "")))

    # --- Checks ----------------------------------------------------------------------------------

    def _refuse(self, where: str, why: str) -> NoReturn:
        raise UnusableFile(f"{self.name}, {where}: {why}")

    def _tables(self, said: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        tables = said.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._refuse(name, f"write it as [[{name}]]")
        return list(tables)

    def _keys(self, where: str, said: Any, known: set[str], least: set[str]) -> None:
        if not isinstance(said, dict):
            self._refuse(where, "this must be a table")
        if missing := sorted(least - set(said)):
            self._refuse(where, f"{', '.join(missing)} is missing")
        if unknown := sorted(set(said) - known):
            self._refuse(where, f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")

    def _match(self, where: str, what: str, text: Any, fits: Callable[[str], object], form: str) -> None:
        if not isinstance(text, str) or not fits(text):
            self._refuse(where, f"{what} {text!r}: it must be {form}")

    def _one_of(self, where: str, what: str, value: Any, known: list[str]) -> str:
        if value not in known:
            self._refuse(where, f"{what} {value!r} is none of {', '.join(known)}")
        return str(value)

    def _unit(self, where: str, unit: Any) -> None:
        if unit != G_PER_KWH:
            cure = "; 1 lb/MWh is 0.45359237 g/kWh" if "lb" in str(unit) else ""
            self._refuse(where, f"unit {unit!r}: convert the values to {G_PER_KWH}{cure}")

    def _number(self, where: str, value: Any, most: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(where, f"{value!r} is no number")
        if not 0 <= value <= most:
            self._refuse(where, f"{value:g} is not from 0 to {most:g}: is the unit right?")
        return float(value)

    def _once(self, names: list[str], what: str) -> None:
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            self._refuse(what, f"there twice: {', '.join(twice)}")
