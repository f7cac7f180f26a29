"""Generation by production type: the mix, and what is not in it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from measurements.parsers.generation_fuels import FUELS, production_type
from measurements.parsers.generation_mix import Generation, intensity_of
from tests.measurements.parsers.reading import ms
from tests.measurements.parsers.test_intensity_files import refusal, rows, series, slots

FACTORS = {"hard-coal": 820.0, "gas": 490.0, "wind-onshore": 11.0, "hydro": 24.0, "biomass": 230.0}
TYPES = ("Fossil Gas", "Wind Onshore", "Nuclear")
WIDE = ",".join(["Area", "MTU", *(f"{kind}  - Actual Aggregated [MW]" for kind in TYPES)])
HOUR = "Germany (DE),01.01.2020 {}:00 - 01.01.2020 {}:00 (UTC)"


def mix(**generated: list[float]) -> tuple[list[float], list[str]]:
    """Of types whose blanks are underscores; what is called charged_… is consumption."""
    amounts = {name.replace("_", " "): np.array(values) for name, values in generated.items()}
    consumed = {name.removeprefix("charged "): v for name, v in amounts.items() if name.startswith("charged ")}
    rest = {name: v for name, v in amounts.items() if not name.startswith("charged ")}
    found, notes = intensity_of(Generation(rest, consumed), FACTORS)
    return found.tolist(), notes


def table(folder: Path, content: str, **options: Any) -> Any:
    return slots(folder, content, **({"fuels": FACTORS} | options))


def test_a_column_a_type_becomes_the_mix(tmp_path: Path) -> None:
    file = series(WIDE, f"{HOUR.format('00', '01')},100,300,n/e", f"{HOUR.format('01', '02')},400,0,n/e")
    found = table(tmp_path, file)
    assert rows(found) == [
        (ms("2020-01-01T00:00Z"), 60, pytest.approx((100 * 490 + 300 * 11) / 400)),
        (ms("2020-01-01T01:00Z"), 60, 490),
    ]
    assert (found.basis, found.estimated.any()) == ("lifecycle", False)


def test_a_row_a_type_becomes_the_same(tmp_path: Path) -> None:
    lines = [f'"01/01/2020 0{hour}:00:00 - 01/01/2020 0{hour + 1}:00:00","BZN|DE-LU","{kind}",{mw}'
             for hour, kind, mw in ((0, "Fossil Gas", 100), (0, "Wind Onshore", 300), (1, "Fossil Gas", 400),
                                    (1, "Wind Onshore", 0))]  # fmt: skip
    file = series('"MTU (CET/CEST)","Area","Production Type","Generation (MW)"', *lines)
    found = table(tmp_path, file, zone="DE-LU")
    assert [(start, value) for start, _, value in rows(found)] == [
        (ms("2019-12-31T23:00Z"), pytest.approx(130.75)), (ms("2020-01-01T00:00Z"), 490),
    ]  # fmt: skip
    assert found.read == 4


def test_the_hour_that_comes_twice_is_marked(tmp_path: Path) -> None:
    header = "MTU (CET/CEST),Area,Fossil Gas - Actual Aggregated [MW]"
    clock = ["01:00:00", "02:00:00 (CEST)", "02:00:00 (CET)", "03:00:00", "04:00:00"]
    lines = [f"25/10/2020 {start} - 25/10/2020 {end}" for start, end in pairwise(clock)]
    found = table(tmp_path, series(header, *(f"{line},DE,1" for line in lines)))
    assert [(start, length) for start, length, _ in rows(found)] == [
        (ms("2020-10-24T23:00Z") + 3_600_000 * i, 60) for i in range(4)
    ]


def test_a_slot_in_which_a_type_is_silent_is_missing(tmp_path: Path) -> None:
    file = series(WIDE, f"{HOUR.format('00', '01')},-,300,n/e", f"{HOUR.format('01', '02')},400,0,n/e")
    found = table(tmp_path, file)
    assert (found.missing, found.g_per_kwh.tolist()) == (1, [490])


def test_another_area_is_refused_and_so_is_a_site_without_fuels(tmp_path: Path) -> None:
    file = series(WIDE, f"{HOUR.format('00', '01')},1,1,n/e")
    assert "Germany (DE)" in refusal(tmp_path, file, zone="FR", fuels=FACTORS)
    assert "emission factors of fuels" in refusal(tmp_path, file)


def test_types_that_nobody_has_a_factor_of_are_no_mix(tmp_path: Path) -> None:
    file = series("Area,MTU (UTC),Solar - Actual Aggregated [MW]", "DE,01.01.2020 00:00 - 01.01.2020 01:00,5")
    assert "has an emission factor" in refusal(tmp_path, file, fuels=FACTORS)


def test_storage_counts_when_it_discharges_with_the_mean_at_charging() -> None:
    # charged 3:1 in hours of 490 and 11 g/kWh: 370.25; then half of the third hour's 11 g/kWh is storage
    found, notes = mix(
        Fossil_Gas=[100, 0, 0], Wind_Onshore=[0, 100, 100], Hydro_Pumped_Storage=[np.nan, 0, 100],
        charged_Hydro_Pumped_Storage=[30, 10, np.nan],
    )  # fmt: skip
    assert found == pytest.approx([490, 11, (11 + 370.25) / 2])
    assert "370.2 g/kWh" in notes[-1]


def test_storage_of_which_nobody_says_what_charged_it_is_left_out() -> None:
    found, notes = mix(Fossil_Gas=[100], Hydro_Pumped_Storage=[100])
    assert found == [490]
    assert "left out" in notes[-1]


def test_what_has_no_factor_is_left_out_with_its_share() -> None:
    found, notes = mix(Fossil_Gas=[90], Other=[10])
    assert found == [490]
    assert any("other" in note and "10.0%" in note for note in notes)


def test_a_stand_in_is_named() -> None:
    found, notes = mix(**{"Fossil_Brown_coal/Lignite": [1.0], "Waste": [1.0]})
    assert found == [(820 + 230) / 2]
    assert "lignite is counted as hard-coal" in notes
    assert "waste is counted as biomass" in notes


def test_own_use_below_zero_counts_as_nothing() -> None:
    found, notes = mix(Fossil_Gas=[1], Wind_Onshore=[-5])
    assert found == [490]
    assert any("below 0" in note for note in notes)


def test_nothing_generated_is_no_intensity() -> None:
    assert np.isnan(mix(Fossil_Gas=[0])[0]).all()


def test_every_type_of_entsoe_has_its_place() -> None:
    assert production_type("Hydro Pumped Storage  - Actual Consumption [MW]") == ("hydro pumped storage", True)
    assert production_type("Day-ahead Price [EUR/MWh]") is None
    assert len(FUELS) == 22  # 21 types, one of them in two spellings
