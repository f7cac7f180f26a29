"""Whatever becomes of a file of carbon intensities, factors, mappings or bands: no value is taken that is not in it."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from measurements.parsers.detect_intensity import INTENSITY_PARSERS
from measurements.parsers.factor_package import read_edition
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots
from measurements.parsers.mapping_files import rules_of
from measurements.parsers.mappings import SHIPPED
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.tariff_bands import WrongBand, band_text, check_bands, read_band
from tests.measurements.parsers.damage import damaged, each_example, put, replaced
from tests.measurements.parsers.reading import NOW_MS
from tests.measurements.parsers.said import NUMBER, filled, goes_on, is_when, lines_of, number, records, text_of
from tests.measurements.parsers.test_factor_package import FUEL, SERIES, SOURCE
from tests.measurements.parsers.test_generation import FACTORS, HOUR, WIDE
from tests.measurements.parsers.test_intensity_files import MAPS

DAY_MS = 86_400_000
OPTIONS = [
    IntensityOptions(zone="DE", basis="lifecycle", unit="", time_zone=UTC, fuels=FACTORS),
    IntensityOptions(zone="DE", basis="direct", time_zone=ZoneInfo("Europe/Berlin"), fuels=FACTORS, step_ms=3_600_000),
    IntensityOptions(zone="DE", basis="lifecycle", unit="kg/MWh", year=2024, fuels={}),
]
GRAMS, PER_KWH = (1e-3, 1.0, 1e3, 1e6), (1.0, 1e-3, 1e-6, 3600.0, 3.6, 3.6e-3)
FACTOR = (0.45359237, *{mass * energy for mass in GRAMS for energy in PER_KWH})  # of the units that may be said
GOOD: dict[str, list[str]] = {
    "electricitymaps": [
        f"{MAPS}2025-01-01 00:00:00,Germany,Germany,DE,100.5,200,1,2,x,true,y\n"
        "2025-01-01 01:00:00,Germany,Germany,DE,101,201,1,2,x,false,\n"
        "2025-01-01 01:00:00,France,France,FR,7,8,1,2,x,,\n",
    ],
    "csv": [
        "timestamp,g_per_kwh\n2025-10-26T02:00:00,100\n2025-10-26T02:30:00,\n2025-10-26T02:00:00,300\n",
        "start;end;carbon intensity [kg/MWh];estimated;updatedAt\n"
        "2025-01-01T00:00Z;2025-01-01T00:15Z;12,5;1;1740830400\n"
        "2025-01-01T00:15Z;2025-01-01T00:30Z;-;0;\n",
    ],
    "uk": [
        "Datetime (UTC),Actual Carbon Intensity (gCO2/kWh),Forecast Carbon Intensity (gCO2/kWh),Index\n"
        "2025-01-01T00:00Z,100,110,low\n2025-01-01T00:30Z,,120,low\n",
        "time,deltaseconds,unix,intensity\n2025-01-01T00:00Z,0,1735689600,100\n2025-01-01T00:30Z,1800,1735691400,90\n",
    ],
    "entsoe": [
        "\n".join((WIDE, f"{HOUR.format('00', '01')},100,300,n/e", f"{HOUR.format('01', '02')},400,0,n/e", "")),
        '"MTU (CET/CEST)","Area","Production Type","Generation (MW)"\n'
        '"01/01/2020 00:00:00 - 01/01/2020 01:00:00","BZN|DE-LU (DE)","Fossil Gas",100\n'
        '"01/01/2020 00:00:00 - 01/01/2020 01:00:00","BZN|DE-LU (DE)","Wind Onshore",300\n',
    ],
    "table": [
        "Entity,Code,Year,Carbon intensity of electricity (gCO2/kWh)\nGermany,DE,2023,380.5\n"
        "Germany,DE,2024,x\nF,FR,2024,1\n",
        json.dumps({"DE": {"ci": 380.5}, "FR": {"ci": 50}, "_unit": {"ci": "g/kWh"}}),
        json.dumps([{"zone": "DE", "year": 2024, "month": "3", "ci": "12.5"}, {"zone": "FR", "year": 1, "ci": None}]),
    ],
}  # fmt: skip
Made = tuple[bytes, IntensityOptions]
FAILED: dict[str, list[Made]] = {  # what once crashed a parser, numbered its lines wrong, or was taken though cut
    "uk": [
        (
            b'time,deltaseconds,unix,intensity\n2025-01-01T00:30Z,1800,1735691400,"990\n',
            replace(OPTIONS[0], unit="g/kWh", basis="direct", year=2024),
        )
    ],
    "electricitymaps": [
        (GOOD["electricitymaps"][0].replace("Estimated,", f"Estimated,{end}").encode(), OPTIONS[0]) for end in "\r\f"
    ],
    "table": [(text, OPTIONS[0]) for text in (b"[" * 100_000, b"[7]", b"{}", b"[]", b'{"_unit": 7, "DE": {"ci": 1}}')],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "intensity.csv"


def check_told(refusals: Sequence[Refusal], notes: Sequence[str]) -> set[int]:
    for one in refusals:
        assert one.reason
        assert one.line >= 1
        assert len(one.text) <= 500
        (one.text + one.detail).encode()
    "".join(notes).encode()
    return {one.line for one in refusals}


def check_intensity(name: str, raw: bytes, options: IntensityOptions, place: Path) -> int:
    """Every value is a number of its row in some unit, and every slot begins at a time of it."""
    put(place, raw)
    try:
        found = INTENSITY_PARSERS[name].read(Source(place), options, NOW_MS)
    except UnusableFile:
        return 0
    told = check_told(found.refusals, found.notes)
    assert found.line is not None
    assert np.isfinite(found.g_per_kwh).all()
    assert found.read >= len(set(found.line.tolist()) | told)
    lines = lines_of(raw)
    text = text_of(raw).lstrip("\ufeff")
    if name == "table" and text.lstrip().startswith(("{", "[")):
        numbers = {float(one) for one in NUMBER.findall(text)}
        assert all(near(value, numbers) for value in found.g_per_kwh.tolist())
        return len(found.g_per_kwh)
    for row, (line, value) in enumerate(zip(found.line.tolist(), found.g_per_kwh.tolist(), strict=True)):
        rows = [row for delimiter in ",;\t|" for row in records(lines, line, delimiter)]
        cells = [cell.strip() for row in rows for cell in row]
        if name == "entsoe":
            assert 0 <= value <= max(FACTORS.values())
        else:
            assert near(value, {one for cell in cells if (one := number(cell)) is not None}), (value, cells)
        if isinstance(found, IntensitySlots) and name != "entsoe":
            start, end = int(found.start_ms[row]), int(found.end_ms[row])
            zones = (options.time_zone, UTC)
            assert any(is_when(start, cell.split(" (")[0], zone) for cell in cells for zone in zones), (start, cells)
            assert EARLIEST_MS <= start <= NOW_MS + 8 * DAY_MS
            assert end <= NOW_MS + 9 * DAY_MS
    if isinstance(found, IntensitySlots) and name != "entsoe" and not found.elsewhere:
        seen = set(found.line.tolist()) | told
        left = [line for line in filled(lines, 2) - seen if not goes_on(lines, line, seen | {line})]
        assert len(left) <= found.missing + 20, left  # and what stands above the header
    return len(found.g_per_kwh)


EARLIEST_MS = 946_684_800_000


def near(value: float, numbers: set[float]) -> bool:
    """Whether a value is one of the numbers in a unit."""
    return any(abs(value - one * factor) <= 1e-9 + abs(value) * 1e-9 for one in numbers for factor in FACTOR)


# --- TOML -----------------------------------------------------------------------------------------------------------

EDITION = (SOURCE + SERIES + FUEL + "low = 290\n").encode()


def check_edition(raw: bytes, place: Path) -> int:
    """Every value is a number of the file."""
    put(place, raw)
    try:
        found = read_edition(place)
    except UnusableFile:
        return 0
    numbers = {float(one) for one in NUMBER.findall(raw.decode().replace("_", ""))}
    values = [value.g_per_kwh for series in found.series for value in series.values]
    values += [one for factor in found.factors for one in (factor.low, factor.value, factor.high) if one is not None]
    assert all(value in numbers for value in values)
    return len(values)


def check_mapping(raw: bytes, _place: Path) -> int:
    """Taken or turned away."""
    try:
        content = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return 0  # `load_mappings` says so
    try:
        rules = rules_of(content, "own.toml")
    except UnusableFile:
        return 0
    return len(rules)


def check_band(raw: bytes, _place: Path) -> int:
    """A band that is taken can be typed again, and its price stands in the text."""
    text = raw.decode("utf-8", "replace")
    try:
        band = read_band(text)
    except WrongBand:
        return 0
    assert band["price"] in {float(one) for one in NUMBER.findall(text)}
    assert read_band(band_text(band)) == {**band, "price": float(f"{band['price']:g}")}
    check_bands([band])
    return 1


TEXTS: dict[str, tuple[list[bytes], Callable[[bytes, Path], int]]] = {
    "edition": ([EDITION], check_edition),
    "mapping": (
        [path.read_bytes() for path in sorted(SHIPPED.glob("*.toml")) if path.stat().st_size < 2_000],
        check_mapping,
    ),
    "band": ([b"mon-fri 08:00-20:00 0.31", b"sat,sun 00:00-24:00 0.2", b"daily 22:00-06:00 0.19"], check_band),
}

FAILED_TEXTS = {
    "mapping": [b'[node]\nlabels = ["i"]\n[[series]]\nmetric = "m"\nchannel = "gpu{m[inor}"\nunit = "mW"\ndc = true\n']
}


def made(good: Sequence[str]) -> Callable[[random.Random], Made]:
    packed = [one.encode() for one in good]
    return lambda draw: (damaged(draw, packed), draw.choice(OPTIONS))


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", GOOD)
def test_damaged_intensities(name: str, place: Path) -> None:
    for example in FAILED.get(name, []):
        check_intensity(name, *example, place)
    each_example(made(GOOD[name]), lambda example: check_intensity(name, *example, place))


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", TEXTS)
def test_damaged_texts(name: str, place: Path) -> None:
    good, check = TEXTS[name]
    for raw in FAILED_TEXTS.get(name, []):
        check(raw, place)
    each_example(lambda draw: replaced(draw, draw.choice(good), most=20), lambda raw: check(raw, place))


def test_the_files_that_are_damaged_are_good(place: Path) -> None:
    for name, texts in GOOD.items():
        for text in texts:
            options = replace(OPTIONS[1], unit="g/kWh" if "kg" not in text and name != "entsoe" else "", year=2024)
            assert check_intensity(name, text.encode(), options, place) > 0, text
    assert all(check(raw, place) > 0 for good, check in TEXTS.values() for raw in good)
