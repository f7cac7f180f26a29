"""manage.py import_intensity: series made and filled from files, the real ones among them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from measurements.domain.slotting import ESTIMATED
from measurements.domain.units import QUARTERS_PER_DAY
from measurements.models import FactorImport, IntensitySeries, PublishedValue, ReferenceFactor, SlotDay
from measurements.selectors.slot_days import slot_values

pytestmark = pytest.mark.django_db
NEW = ("--zone", "DE", "--basis", "lifecycle", "--mix", "production", "--source-title", "test")
HOURS = "timestamp,g_per_kwh\n2025-01-01T00:00Z,100\n2025-01-01T01:00Z,200\n"


def run(*words: str | Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object of --json, and what was said."""
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command("import_intensity", *map(str, words), "--json", stdout=out, stderr=err)
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, json.loads(out.getvalue()), err.getvalue()


def done(*words: str | Path) -> dict[str, Any]:
    code, found, said = run(*words)
    assert code == 0, said
    return found


def fault(*words: str | Path) -> tuple[int, str]:
    """The exit code and the sentence of a call that cannot be."""
    with pytest.raises(CommandError) as caught:
        call_command("import_intensity", *map(str, words), stdout=StringIO(), stderr=StringIO())
    return caught.value.returncode, str(caught.value)


def file(folder: Path, content: str, name: str = "ci.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def stored(slug: str, first: date, days: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return slot_values(IntensitySeries.objects.get(slug=slug).pk, first, days)[0]


def kinds(slug: str, first: date, days: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return slot_values(IntensitySeries.objects.get(slug=slug).pk, first, days)[1]


# --- The command ------------------------------------------------------------------------------------------------------


def test_a_series_is_made_filled_and_filled_again(tmp_path: Path) -> None:
    path = file(tmp_path, HOURS)
    found = done(path, "--series", "de", *NEW, "--edition", "2025", "--licence", "CC BY 4.0", "--gas", "CO2")
    assert {key: found[key] for key in ("series", "zone", "read", "stored", "changed", "unchanged", "refused")} == {
        "series": "de", "zone": "DE", "read": 2, "stored": 2, "changed": 0, "unchanged": 0, "refused": [],
    }  # fmt: skip
    assert (found["first"], found["last"]) == ("2025-01-01T00:00Z", "2025-01-01T02:00Z")
    assert found["mean_g_per_kwh"] == 150
    series = IntensitySeries.objects.get()
    assert (series.basis, series.mix, series.gas, series.edition) == ("lifecycle", "production", "CO2", "2025")
    again = done(path, "--series", "de")
    assert (again["stored"], again["unchanged"]) == (0, 2)
    assert (SlotDay.objects.count(), FactorImport.objects.count()) == (1, 2)
    assert len(FactorImport.objects.all()[0].sha256) == 64


def test_a_dry_run_says_it_all_and_writes_nothing(tmp_path: Path) -> None:
    found = done(file(tmp_path, HOURS), "--series", "de", *NEW, "--dry-run")
    assert (found["stored"], found["dry_run"]) == (2, True)
    assert not IntensitySeries.objects.exists()
    done(file(tmp_path, HOURS), "--series", "de", *NEW)
    assert done(file(tmp_path, HOURS.replace(",200", ",201")), "--series", "de", "--dry-run")["changed"] == 1
    assert stored("de", date(2025, 1, 1), 1)[4] == 200
    assert FactorImport.objects.count() == 1


def test_an_unknown_series_or_zone_is_refused_with_what_is_near(tmp_path: Path) -> None:
    path = file(tmp_path, HOURS)
    assert fault(path, "--series", "de") == (1, fault(path, "--series", "de")[1])
    assert "--zone Z --basis" in fault(path, "--series", "de")[1]
    code, said = fault(path, "--series", "de", *NEW, "--zone", "DX")
    assert code == 1
    assert "'DX' is not known" in said
    assert "DE" in said


def test_a_series_stays_what_it_is(tmp_path: Path) -> None:
    path = file(tmp_path, HOURS)
    done(path, "--series", "de", *NEW)
    code, said = fault(path, "--series", "de", "--basis", "direct")
    assert (code, "basis 'lifecycle', not 'direct'" in said) == (2, True)


def test_a_file_of_which_nothing_can_be_taken_leaves_no_series(tmp_path: Path) -> None:
    code, found, said = run(file(tmp_path, HOURS.replace("00\n", "00000\n")), "--series", "de", *NEW)
    assert code == 1
    assert [(row["reason"], row["count"], row["first_line"]) for row in found["refused"]] == [
        ("carbon intensity above 3000 g/kWh", 2, 2)
    ]
    assert "first on line 2" in said
    code, found, said = run(file(tmp_path, HOURS.replace("g_per_kwh", "lbs/MWh")), "--series", "de", *NEW)
    assert (code, "--unit lbs/MWh" in found["refused"][0]["reason"]) == (1, True)
    code, found, said = run(tmp_path / "none.csv", "--series", "de", *NEW)
    assert (code, "No such file" in said) == (1, True)
    assert not IntensitySeries.objects.exists()


def test_negative_values_are_refused_and_the_rest_goes_in(tmp_path: Path) -> None:
    found = done(file(tmp_path, HOURS + "2025-01-01T02:00Z,-5\n"), "--series", "de", *NEW)
    assert found["refused"] == [{"reason": "negative carbon intensity", "count": 1, "first_line": 4}]
    assert found["read"] == found["stored"] + 1


def test_a_new_series_says_its_mix_and_source(tmp_path: Path) -> None:
    _, found, _ = run(file(tmp_path, HOURS), "--series", "de", "--zone", "DE", "--basis", "direct")
    assert "--mix" in found["refused"][0]["reason"]


def test_several_files_go_into_one_series_and_the_mean_is_over_time(tmp_path: Path) -> None:
    quarters = "timestamp,g_per_kwh\n2025-01-02T00:00Z,900\n2025-01-02T00:15Z,900\n"
    found = done(file(tmp_path, HOURS), file(tmp_path, quarters, "b.csv"), tmp_path / "no", "--series", "de", *NEW)
    assert found["mean_g_per_kwh"] == pytest.approx((8 * 150 + 2 * 900) / 10)
    assert found["refused"][0]["reason"].startswith(str(tmp_path / "no"))


def test_years_are_published_and_never_changed(tmp_path: Path) -> None:
    table = "Code,Year,g/kWh\nDEU,2023,400\nDEU,2024,350\nFRA,2024,50\nDEU,2022,-1\n"
    found = done(file(tmp_path, table), "--series", "de", *NEW)
    assert (found["resolution"], found["stored"], found["elsewhere"]) == (["year"], 2, 1)
    assert [row["reason"] for row in found["refused"]] == ["negative carbon intensity"]
    assert found["mean_g_per_kwh"] == pytest.approx((400 * 365 + 350 * 366) / 731)
    assert done(file(tmp_path, table), "--series", "de")["unchanged"] == 2
    code, found, _ = run(file(tmp_path, table.replace("350", "353").replace("2022", "2021")), "--series", "de")
    assert (code, "another value needs another edition" in found["refused"][0]["reason"]) == (1, True)
    assert list(PublishedValue.objects.values_list("g_per_kwh", flat=True)) == [400, 350]


def test_generation_is_priced_with_the_stored_fuels_of_the_basis(tmp_path: Path) -> None:
    content = (
        "Area,MTU (UTC),Fossil Gas - Actual Aggregated [MW],Wind Onshore - Actual Aggregated [MW]\n"
        "DE,01.01.2020 00:00 - 01.01.2020 00:15,100,300\n"
    )
    series = ("--series", "mix", "--zone", "DE", "--basis", "lifecycle")
    code, found, _ = run(file(tmp_path, content), *series)
    assert (code, "load them first" in found["refused"][0]["reason"]) == (1, True)
    for key, basis, value in (("gas", "lifecycle", 490), ("wind-onshore", "lifecycle", 11), ("gas", "direct", 370)):
        ReferenceFactor.objects.create(
            kind="fuel", key=key, basis=basis, value=value, unit="g/kWh", source_title="t", created_at=datetime.now(UTC)
        )
    assert done(file(tmp_path, content), *series)["mean_g_per_kwh"] == pytest.approx(130.75)
    assert IntensitySeries.objects.get().mix == "production"


# --- Real data --------------------------------------------------------------------------------------------------------


@pytest.fixture
def grids(shared_data: Path) -> Path:
    return shared_data / "carbon_intensity"


def expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["recomputed"]
    return found


@pytest.mark.parametrize(("name", "zone", "year"), [("ES_2023", "ES", 2023), ("US-CAL-CISO_2022", "US-CAL-CISO", 2022)])
@pytest.mark.parametrize(("basis", "figure"), [("lifecycle", "lca"), ("direct", "direct")])
def test_an_electricity_maps_year_agrees(grids: Path, name: str, zone: str, year: int, basis: str, figure: str) -> None:
    folder = grids / "electricitymaps_hourly"
    known = expected(folder / f"{name}_hourly.expected.json")
    found = done(folder / f"{name}_hourly.csv", "--series", "maps", "--zone", zone, "--basis", basis)
    assert (found["read"], found["stored"], found["refused"]) == (known["rows"], known["rows_with_value"], [])
    assert found["estimated"] == known["estimated_rows"]
    assert found["mean_g_per_kwh"] == pytest.approx(known[f"mean_{figure}"], rel=1e-12)
    value, kind = stored("maps", date(year, 1, 1), 365), kinds("maps", date(year, 1, 1), 365)
    assert not np.isnan(value).any()
    assert int((kind == ESTIMATED).sum()) == 4 * known["estimated_rows"]
    if figure == "lca":
        assert (value.min(), value.max()) == (known["min_lca"], known["max_lca"])


def entsoe(grids: Path, country: str, short: str, *words: str) -> dict[str, Any]:
    path = grids / f"entsoe_{country}_2020" / f"{short}_ci.csv"
    return done(path, "--series", country, "--zone", country.upper(), "--basis", "lifecycle", "--mix", "production",
                "--source-title", "t", "--time-zone", "UTC", "--unit", "g/kWh", *words)  # fmt: skip


def of_2020(slug: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return stored(slug, date(2020, 1, 1), 366)


def test_germany_2020_agrees_and_its_missing_quarters_stay_missing(grids: Path) -> None:
    known = expected(grids / "entsoe_de_2020" / "expected.json")
    found = entsoe(grids, "de", "ger")
    assert (found["read"], found["stored"], found["refused"]) == (known["rows"], known["rows"], [])
    year = of_2020("de")
    assert np.nanmean(year) == pytest.approx(known["mean_2020"], rel=1e-12)
    whole = stored("de", date(2019, 12, 20), 387)
    assert (np.nanmin(whole), np.nanmax(whole)) == (known["min"], known["max"])
    missing = [divmod(int(i), QUARTERS_PER_DAY) for i in np.flatnonzero(np.isnan(year))]
    assert missing == [((date(2020, 12, 19) - date(2020, 1, 1)).days, quarter) for quarter in (93, 95)]
    assert entsoe(grids, "de", "ger")["unchanged"] == known["rows"]


def rows_of(path: Path) -> tuple[list[datetime], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Stamps and values, read without the code under test."""
    cells = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [datetime.fromisoformat(cell[0]) for cell in cells], np.array([float(cell[1]) for cell in cells])


def test_great_britain_2020_changes_from_half_to_quarter_hours(grids: Path) -> None:
    known = expected(grids / "entsoe_gb_2020" / "expected.json")
    found = entsoe(grids, "gb", "gb")
    assert (found["read"], found["stored"], found["refused"]) == (known["rows"], known["rows"], [])
    stamps, rows = rows_of(grids / "entsoe_gb_2020" / "gb_ci.csv")
    in_2020 = np.array([stamp.year == 2020 for stamp in stamps])
    assert rows[in_2020].mean() == pytest.approx(known["mean_2020"], rel=1e-12)  # a plain mean of rows
    change = datetime(2020, 10, 31)  # noqa: DTZ001 - as the file writes it
    last_hour = datetime(2020, 10, 31, 23)  # noqa: DTZ001 - of the first day of quarter hours: in halves again
    halves = [stamp < change or stamp in (last_hour, last_hour + timedelta(minutes=30)) for stamp in stamps]
    weight = np.where(halves, 2, 1)
    year = of_2020("gb")
    over_time = np.average(rows[in_2020], weights=weight[in_2020])
    assert np.nanmean(year) == pytest.approx(over_time, rel=1e-12)
    assert abs(over_time - known["mean_2020"]) > 1  # what weighting by time is for
    at = (change.date() - date(2020, 1, 1)).days * QUARTERS_PER_DAY
    before, after = year[:at], year[at:]
    assert not np.isnan(year).any()
    assert (before[0::2] == before[1::2]).all()  # both halves of each half hour
    assert (after[0:92:2] != after[1:92:2]).all()
    assert (after[92:96:2] == after[93:96:2]).all()
    assert after.tolist()[:3] == [rows[stamps.index(change + timedelta(minutes=15 * i))] for i in range(3)]
    assert before.tolist()[-2:] == [rows[stamps.index(change - timedelta(minutes=30))]] * 2


def test_a_uk_forecast_goes_in_as_estimated(grids: Path) -> None:
    path = grids / "uk_forecast" / "carbon_intensity_24h.csv"
    found = done(path, "--series", "uk", "--zone", "GB", "--basis", "direct")
    assert (found["read"], found["stored"], found["estimated"], found["refused"]) == (96, 96, 96, [])
    assert set(kinds("uk", date(2023, 5, 5), 1).tolist()) == {ESTIMATED}


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("co2js_average_intensities.json", "co2js", ()),
        ("codecarbon_global_energy_mix.json", "codecarbon_gCO2_per_kWh", ("--unit", "g/kWh")),
        ("green_algorithms_CI_aggregated.csv", "green_algorithms_gCO2_per_kWh", ("--year", "2022")),
    ],
)
@pytest.mark.parametrize("zone", ["FR", "DE", "PL", "GB", "US"])
def test_published_years_agree(grids: Path, name: str, key: str, words: tuple[str, ...], zone: str) -> None:
    code = {"FR": "FRA", "DE": "DEU", "PL": "POL", "GB": "GBR", "US": "USA"}[zone]
    known = json.loads((grids / "yearly" / "expected.json").read_text())["read_off_the_files"][code][key]
    known = known["gCO2_per_kWh"] if isinstance(known, dict) else known
    done(grids / "yearly" / name, "--series", "s", *NEW, "--zone", zone, *words)
    assert PublishedValue.objects.get().g_per_kwh == known


def test_every_year_of_a_country_is_published(grids: Path) -> None:
    found = done(grids / "yearly" / "codecarbon_eu_2020.csv", "--series", "de", *NEW)
    assert (found["stored"], found["first"], found["last"]) == (21, "2000-01-01T00:00Z", "2021-01-01T00:00Z")
