"""Files of carbon intensity: one line for each trap of the formats."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from measurements.parsers.detect_intensity import detect_intensity
from measurements.parsers.intensity_records import IntensityOptions, IntensitySlots, PublishedTable
from measurements.parsers.intensity_units import chosen_factor, to_g_per_kwh
from measurements.parsers.records import UnusableFile
from tests.measurements.parsers.reading import NOW_MS, ms, source_of

BERLIN = ZoneInfo("Europe/Berlin")
MAPS = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity gCO₂eq/kWh (LCA),"
    "Low Carbon Percentage,Renewable Percentage,Data Source,Data Estimated,Data Estimation Method\n"
)
MAPS_LATER = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Data estimated\n"
)


def read(folder: Path, content: str | bytes, **options: Any) -> IntensitySlots | PublishedTable:
    """What the detected parser gives."""
    source = source_of(folder, content, "intensity.csv")
    said = {"unit": "", "zone": "DE", "basis": "lifecycle"} | options
    return detect_intensity(source).read(source, IntensityOptions(**said), NOW_MS)


def slots(folder: Path, content: str | bytes, **options: Any) -> IntensitySlots:
    found = read(folder, content, **options)
    assert isinstance(found, IntensitySlots)
    return found


def rows(found: IntensitySlots) -> list[tuple[int, float, float]]:
    """Beginning [ms], length [minutes], value."""
    minutes = (found.end_ms - found.start_ms) / 60_000
    return list(zip(found.start_ms.tolist(), minutes.tolist(), found.g_per_kwh.tolist(), strict=True))


def refusal(folder: Path, content: str | bytes, **options: Any) -> str:
    with pytest.raises(UnusableFile) as caught:
        read(folder, content, **options)
    return str(caught.value)


def series(header: str, *lines: str) -> str:
    return "\n".join([header, *lines]) + "\n"


HOURS = series("timestamp,g_per_kwh", "2025-01-01T00:00Z,100", "2025-01-01T01:00Z,200", "2025-01-01T02:00Z,300")


# --- Units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("g/kWh", 1.0), ("gCO₂eq/kWh", 1.0), ("gCO2e/kWh", 1.0), ("g_per_kwh", 1.0), ("kg/MWh", 1.0),
        ("kgCO2/MWh", 1.0),
        ("kg CO2eq/kWh", 1000.0), ("tCO2/MWh", 1000.0), ("g/MJ", 3.6), ("lbs/MWh", 0.45359237), ("lb/MWh", 0.45359237),
    ],
)  # fmt: skip
def test_a_unit_has_its_factor(unit: str, factor: float) -> None:
    assert to_g_per_kwh(unit) == factor


@pytest.mark.parametrize("unit", ["", "MW", "gC/kWh", "lbs/kWh", "EUR/MWh", "%", "g", "kWh/g"])
def test_what_is_no_unit_of_carbon_intensity_has_none(unit: str) -> None:
    assert to_g_per_kwh(unit) is None


def test_a_thousand_pounds_per_megawatt_hour_are_the_golden_number() -> None:
    assert 1000 * chosen_factor("lbs/MWh", "MOER") == pytest.approx(453.59237, rel=1e-12)


def test_pounds_are_taken_only_if_the_operator_names_them(tmp_path: Path) -> None:
    file = series("timestamp,co2 [lbs/MWh]", "2025-01-01T00:00Z,1000", "2025-01-01T01:00Z,1000")
    assert "--unit lbs/MWh" in refusal(tmp_path, file)
    assert slots(tmp_path, file, unit="lbs/MWh").g_per_kwh.tolist() == pytest.approx([453.59237] * 2)


def test_a_header_without_a_unit_needs_one(tmp_path: Path) -> None:
    file = HOURS.replace("g_per_kwh", "Carbon Intensity")
    assert "--unit" in refusal(tmp_path, file)
    assert slots(tmp_path, file, unit="g/MJ").g_per_kwh.tolist() == pytest.approx([360, 720, 1080])


def test_a_unit_against_the_header_is_refused(tmp_path: Path) -> None:
    assert "leave --unit out" in refusal(tmp_path, HOURS, unit="kg/kWh")


# --- Plain CSV --------------------------------------------------------------------------------------------------------


def test_the_last_slot_is_as_long_as_those_before(tmp_path: Path) -> None:
    assert rows(slots(tmp_path, HOURS))[-1] == (ms("2025-01-01T02:00Z"), 60, 300)


def test_an_end_column_decides_how_long_a_slot_is(tmp_path: Path) -> None:
    file = series("start,end,carbon intensity [kg/MWh]", "2025-01-01T00:00Z,2025-01-01T00:30Z,100")
    assert rows(slots(tmp_path, file)) == [(ms("2025-01-01T00:00Z"), 30, 100)]


def test_one_stamp_alone_needs_a_step(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh", "2025-01-01T00:00Z,100")
    assert "--step" in refusal(tmp_path, file)
    assert rows(slots(tmp_path, file, step_ms=900_000)) == [(ms("2025-01-01T00:00Z"), 15, 100)]


def test_days_are_no_slots(tmp_path: Path) -> None:
    file = series("date,g_per_kwh", "2025-01-01T00:00Z,100", "2025-01-02T00:00Z,100")
    assert "1440 minutes" in refusal(tmp_path, file)


def test_naive_times_need_a_zone_and_are_refused_without(tmp_path: Path) -> None:
    file = HOURS.replace("Z,", ",")
    found = slots(tmp_path, file)
    assert [(row.reason, row.line) for row in found.refusals] == [("time without zone", line) for line in (2, 3, 4)]
    assert rows(slots(tmp_path, file, time_zone=UTC)) == rows(slots(tmp_path, HOURS))
    assert slots(tmp_path, file.replace("timestamp", "timestamp (UTC)")).start_ms.tolist() == [
        ms(f"2025-01-01T0{hour}:00Z") for hour in range(3)
    ]


def test_half_hour_zones_are_read(tmp_path: Path) -> None:
    found = slots(tmp_path, HOURS.replace("Z,", ","), time_zone=ZoneInfo("Asia/Kolkata"))
    assert found.start_ms.tolist()[0] == ms("2024-12-31T18:30Z")


def test_empty_values_are_missing_and_broken_ones_refused_by_line(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh", "2025-01-01T00:00Z,", "2025-01-01T01:00Z,NaN", "2025-01-01T02:00Z,n/a",
                  "2025-01-01T03:00Z,a lot", "2025-01-01T04:00Z,100", "2025-01-01T05:00Z,1e999")  # fmt: skip
    found = slots(tmp_path, file)
    assert (found.missing, found.g_per_kwh.tolist()) == (3, [100])
    assert [(row.reason, row.line) for row in found.refusals] == [("not a number", 5), ("not a number", 7)]


def test_broken_lines_are_refused_and_blank_ones_skipped(tmp_path: Path) -> None:
    file = "\ufeff" + HOURS.replace("\n", "\r\n") + "\r\n2025-01-01T03:00Z,1,2\r\n2025-01-01T04:00Z,400\r\n"
    found = slots(tmp_path, file)
    assert [(row.reason, row.line) for row in found.refusals] == [("wrong number of fields", 6)]
    assert found.line is not None
    assert found.line.tolist() == [2, 3, 4, 7]
    assert found.read == 5


def test_a_line_is_refused_once(tmp_path: Path) -> None:
    found = slots(tmp_path, HOURS + "yesterday,a lot\nyesterday,1\n")
    assert [(row.reason, row.line) for row in found.refusals] == [("not a number", 5), ("unreadable time", 6)]


def test_a_header_in_the_middle_is_refused_alone(tmp_path: Path) -> None:
    found = slots(tmp_path, HOURS + HOURS.replace("2025-01-01", "2025-01-02"))
    assert [(row.reason, row.line) for row in found.refusals] == [("repeated header", 5)]
    assert len(found.start_ms) == 6


def test_times_that_come_again_are_said(tmp_path: Path) -> None:
    found = slots(tmp_path, HOURS + "2025-01-01T02:00Z,350\n")
    assert [length for _, length, _ in rows(found)] == [60] * 4
    assert "1 times come more than once" in found.notes[0]


def test_decimal_commas_are_read_behind_a_semicolon(tmp_path: Path) -> None:
    assert slots(tmp_path, HOURS.replace(",", ";").replace(";100", ";100,5")).g_per_kwh[0] == 100.5


def test_estimates_are_marked(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh,isEstimated", "2025-01-01T00:00Z,1,true", "2025-01-01T01:00Z,1,False")
    assert slots(tmp_path, file).estimated.tolist() == [True, False]
    assert slots(tmp_path, file, estimated=True).estimated.tolist() == [True, True]


def test_when_a_row_was_changed_is_read(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh,updatedAt", "2025-01-01T00:00Z,1,2025-02-01T00:00Z", "2025-01-01T01:00Z,1,")
    updated = slots(tmp_path, file).updated_ms
    assert updated is not None
    assert updated.tolist() == [ms("2025-02-01T00:00Z"), 0]


def test_of_several_columns_one_has_to_be_named(tmp_path: Path) -> None:
    file = series("timestamp,total g/kWh,own g/kWh", "2025-01-01T00:00Z,1,2", "2025-01-01T01:00Z,1,2")
    assert "--column" in refusal(tmp_path, file)
    assert slots(tmp_path, file, column="Own g/kWh").g_per_kwh.tolist() == [2, 2]
    assert "no column 'price'" in refusal(tmp_path, file, column="price")


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "just words\n", "timestamp\n2025-01-01T00:00Z\n"])
def test_what_is_no_carbon_intensity_is_refused_whole(tmp_path: Path, content: str) -> None:
    assert "no carbon intensity" in refusal(tmp_path, content)


def test_a_file_of_a_header_alone_has_nothing(tmp_path: Path) -> None:
    assert len(slots(tmp_path, "timestamp,g_per_kwh\n").start_ms) == 0


def test_a_far_future_is_refused_and_a_forecast_of_days_is_not(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh", "2026-01-05T00:00Z,1", "2026-01-05T01:00Z,1", "2027-01-01T00:00Z,1")
    found = slots(tmp_path, file)
    assert ([row.line for row in found.refusals], len(found.start_ms)) == ([4], 2)


# --- Changes of the clock ---------------------------------------------------------------------------------------------


def autumn(*clock: str) -> str:
    return series("timestamp,g_per_kwh", *(f"2025-10-26 {time},{i}" for i, time in enumerate(clock)))


def test_the_hour_that_comes_twice_is_two_hours(tmp_path: Path) -> None:
    found = slots(tmp_path, autumn("00:00", "01:00", "02:00", "02:00", "03:00"), time_zone=BERLIN)
    assert [start for start, _, _ in rows(found)] == [ms(f"2025-10-25T{22 + i}:00Z") for i in range(2)] + [
        ms(f"2025-10-26T0{i}:00Z") for i in range(3)
    ]
    assert [length for _, length, _ in rows(found)] == [60] * 5


def test_it_is_found_with_the_newest_line_first_too(tmp_path: Path) -> None:
    found = slots(tmp_path, autumn("03:00", "02:30", "02:00", "02:30", "02:00", "01:30"), time_zone=BERLIN)
    assert sorted(rows(found))[1:5] == [
        (ms("2025-10-26T00:00Z"), 30, 4), (ms("2025-10-26T00:30Z"), 30, 3),
        (ms("2025-10-26T01:00Z"), 30, 2), (ms("2025-10-26T01:30Z"), 30, 1),
    ]  # fmt: skip


def test_seen_once_only_it_is_ambiguous(tmp_path: Path) -> None:
    found = slots(tmp_path, autumn("00:00", "01:00", "02:00", "03:00"), time_zone=BERLIN)
    assert [(row.reason, row.line) for row in found.refusals] == [("ambiguous local time", 4)]


def test_an_hour_that_does_not_come_is_refused(tmp_path: Path) -> None:
    file = series("timestamp,g_per_kwh", "2025-03-30 01:00,1", "2025-03-30 02:00,2", "2025-03-30 03:00,3")
    found = slots(tmp_path, file, time_zone=BERLIN)
    assert [(row.reason, row.line) for row in found.refusals] == [("nonexistent local time", 3)]
    assert [length for _, length, _ in rows(found)] == [60, 60]


def test_ends_over_the_change_of_the_clock_are_the_next_ones(tmp_path: Path) -> None:
    clock = ["01:30,02:00", "02:00,02:30", "02:30,02:00", "02:00,02:30", "02:30,03:00", "03:00,03:30"]
    lines = [f"2025-10-26 {pair.replace(',', ',2025-10-26 ')},1" for pair in clock]
    found = slots(tmp_path, series("start,end,g_per_kwh", *lines), time_zone=BERLIN)
    assert [length for _, length, _ in rows(found)] == [30] * 6
    assert np.diff(found.start_ms).tolist() == [1_800_000] * 5


# --- Zones ------------------------------------------------------------------------------------------------------------


def test_a_file_of_another_zone_is_refused_whole(tmp_path: Path) -> None:
    file = MAPS + "2023-01-01 00:00:00,Spain,Spain,ES,82.99,114.42,84.03,50.66,entsoe.eu,false,\n"
    assert "of ES" in refusal(tmp_path, file)


def test_rows_of_other_zones_are_left_and_counted(tmp_path: Path) -> None:
    file = series("timestamp,zone,g_per_kwh", "2025-01-01T00:00Z,DE,1", "2025-01-01T00:00Z,FR,x",
                  "2025-01-01T01:00Z,de,2", "2025-01-01T01:00Z,FR,-")  # fmt: skip
    found = slots(tmp_path, file)
    assert (found.g_per_kwh.tolist(), found.elsewhere, found.missing, list(found.refusals)) == ([1, 2], 2, 0, [])


# --- Electricity Maps, United Kingdom ---------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [MAPS, MAPS_LATER])
def test_electricity_maps_gives_the_value_of_the_basis(tmp_path: Path, header: str) -> None:
    tail = ",84.03,50.66,entsoe.eu" if header == MAPS else ""
    end = "," if header == MAPS else ""
    lines = [f"2023-01-01 0{i}:00:00,Spain,Spain,ES,{i}.5,{i + 100}{tail},{flag}{end}\n" for i, flag in
             enumerate(("false", "true"))]  # fmt: skip
    found = slots(tmp_path, header + "".join(lines), zone="ES", basis="direct")
    assert rows(found) == [(ms("2023-01-01T00:00Z"), 60, 0.5), (ms("2023-01-01T01:00Z"), 60, 1.5)]
    assert (found.estimated.tolist(), found.basis) == ([False, True], "direct")
    assert slots(tmp_path, header + "".join(lines), zone="ES").g_per_kwh.tolist() == [100, 101]


def test_actual_half_hours_are_measured_and_the_rest_forecast(tmp_path: Path) -> None:
    file = series(
        "Datetime (UTC),Actual Carbon Intensity (gCO2/kWh),Forecast Carbon Intensity (gCO2/kWh),Index",
        "2025-01-01T00:00:00,100,90,low", "2025-01-01T00:30:00,,95,low", "2025-01-01T01:00:00,,,low",
    )  # fmt: skip
    found = slots(tmp_path, file, zone="GB")
    assert rows(found) == [(ms("2025-01-01T00:00Z"), 30, 100), (ms("2025-01-01T00:30Z"), 30, 95)]
    assert (found.estimated.tolist(), found.missing, found.basis) == ([False, True], 1, "direct")


def test_a_uk_forecast_is_estimated_and_no_life_cycle(tmp_path: Path) -> None:
    file = series("time,deltaseconds,unix,intensity", "2023-05-04T12:30Z,4659,1683199800.0,11",
                  "2023-05-04T13:00Z,2859,1683201600.0,15")  # fmt: skip
    found = slots(tmp_path, file, zone="GB")
    assert found.estimated.all()
    assert "no life cycle" in found.notes[0]


# --- Tables of years and months ---------------------------------------------------------------------------------------

YEARS = series("Entity,Code,Year,Carbon intensity of electricity (gCO2/kWh)", "Germany,DEU,2019,343",
               "Germany,DEU,2020,301", "France,FRA,2020,51", "Germany,DEU,2021,")  # fmt: skip


def table(folder: Path, content: str, **options: Any) -> PublishedTable:
    found = read(folder, content, **options)
    assert isinstance(found, PublishedTable)
    return found


@pytest.mark.parametrize("zone", ["DE", "DEU", "deu", "Germany"])
def test_years_of_a_zone_are_found_by_code_or_name(tmp_path: Path, zone: str) -> None:
    found = table(tmp_path, YEARS, zone=zone)
    assert (list(found.start), found.g_per_kwh.tolist()) == ([date(2019, 1, 1), date(2020, 1, 1)], [343, 301])
    assert (found.resolution, found.elsewhere, found.missing, found.read) == ("year", 1, 1, 4)


def test_an_unknown_zone_of_a_table_is_refused_with_what_is_near(tmp_path: Path) -> None:
    many = YEARS + "".join(f"Land {i},L{i:02},2020,1\n" for i in range(20))
    message = refusal(tmp_path, many, zone="Germny")
    assert "near to it: Germany" in message
    assert "--zone-in-file" in message


@pytest.mark.parametrize(
    ("header", "cells", "wrong"), [("year,month", "2025,3", "2025,13"), ("month", "2025-03", "2025-13")]
)
def test_months_are_read_in_both_ways(tmp_path: Path, header: str, cells: str, wrong: str) -> None:
    found = table(tmp_path, series(f"zone,{header},g_per_kwh", f"DE,{cells},300", f"DE,{wrong},1"))
    assert (found.resolution, list(found.start)) == ("month", [date(2025, 3, 1)])
    assert [(row.reason, row.line) for row in found.refusals] == [("no year or month", 3)]


def test_a_table_without_a_year_needs_one(tmp_path: Path) -> None:
    file = "index,,in gCO2e/kWh,\nlocation,countryName,carbonIntensity,Type\nDE,Germany,338.66,Country\n"
    assert "--year" in refusal(tmp_path, file)
    assert list(table(tmp_path, file, year=2020).start) == [date(2020, 1, 1)]


def test_a_table_as_json_is_read_and_its_pounds_are_not_without_a_word(tmp_path: Path) -> None:
    file = '{"california": {"emissions": 452.541, "regionCode": "CA"}, "_unit": {"emissions": "lbs/MWh"}}'
    assert "--unit lbs/MWh" in refusal(tmp_path, file, zone="California", year=2016)
    found = table(tmp_path, file, zone="California", year=2016, unit="lbs/MWh")
    assert found.g_per_kwh.tolist() == pytest.approx([205.269145], rel=1e-6)
    assert "no JSON" in refusal(tmp_path, '{"california": ')
    assert "no JSON" in refusal(tmp_path, '[{"a": 1}]')
