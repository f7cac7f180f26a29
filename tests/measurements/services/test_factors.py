"""The package in the database: loaded once, never changed, extended by new years, and priced at once."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from measurements.domain.carbon import Part, Rung
from measurements.models import Cluster, IntensitySeries, PublishedValue, ReferenceFactor, Supply
from measurements.parsers.records import UnusableFile
from measurements.selectors.prices import price_list
from measurements.selectors.zones import default_series, near_zones
from measurements.services.factors import OtherValue, load_package, publish
from measurements.services.intensity import new_series
from measurements.services.machine import create_cluster
from measurements.services.pricing import add_supply
from tests.measurements.parsers.test_factor_package import FUEL, SERIES, SOURCE

NOW = datetime(2026, 2, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def own(folder: Path, text: str = SOURCE + SERIES + FUEL, name: str = "own.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def stored() -> list[Any]:
    """All that factors are, but for ids."""
    return [
        *IntensitySeries.objects.order_by("slug").values_list("slug", "zone", "basis", "edition", "packaged"),
        *PublishedValue.objects.order_by("series__slug", "start").values_list("series__slug", "start", "g_per_kwh"),
        *ReferenceFactor.objects.order_by("kind", "key", "basis", "edition").values_list("key", "basis", "value"),
    ]


def command(*words: str) -> str:
    out = StringIO()
    call_command("load_factors", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_package_is_loaded_once() -> None:
    assert "grid-ember-2025.toml: 93 new series, 93 new values" in command()
    before = stored()
    assert command() == "factors: nothing new\n"
    assert stored() == before
    assert set(IntensitySeries.objects.values_list("packaged", "method")) == {(True, "location_based")}
    germany = IntensitySeries.objects.get(slug="uba-2025-ghg-upstream-de")
    assert germany.source_title.startswith("Umweltbundesamt")
    assert germany.edition == "Climate Change 13/2025"
    assert germany.retrieved_on == date(2026, 8, 1)
    assert germany.values.get(start=date(2024, 1, 1)).note == "estimated"


def test_the_newest_row_of_a_fuel_is_the_ipccs() -> None:
    load_package(NOW)
    rows = ReferenceFactor.objects.filter(kind="fuel", key="gas", basis="direct").order_by("pk")
    assert [row.value for row in rows] == [392, 370]


def test_loading_again_asks_little_and_writes_nothing() -> None:
    load_package(NOW)
    with CaptureQueriesContext(connection) as seen:
        done = load_package(NOW)
    assert len(seen.captured_queries) < 40, "not one a value"
    assert {one.series + one.values + one.factors for one in done} == {0}
    assert sum(one.unchanged for one in done) == 93 + 56 + 3 + 22 + 1 + 4
    writing = [q["sql"] for q in seen.captured_queries if q["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert writing == []


def test_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    found = json.loads(command("--dry-run", "--json"))
    assert sum(one["values"] for one in found["files"]) == 93 + 56
    command(str(own(tmp_path)), "--dry-run")
    assert stored() == []


def test_another_value_of_the_same_edition_is_refused_and_nothing_of_it_changed(tmp_path: Path) -> None:
    load_package(NOW, [own(tmp_path)])
    before = stored()
    changed = SOURCE + SERIES.replace("2024 = 350.5", "2024 = 351, 2025 = 300") + FUEL.replace("gas", "oil")
    with pytest.raises(CommandError, match=r"report-2025-de: 2024 is stored as 350.5, not 351 g/kWh; nothing of this"):
        command(str(own(tmp_path, changed)))
    assert stored() == before
    with pytest.raises(OtherValue, match="fuel gas direct is stored as 370"):
        load_package(NOW, [own(tmp_path, SOURCE + SERIES + FUEL.replace("370", "371"))])
    with pytest.raises(OtherValue, match="basis is stored as 'lifecycle', the file says 'direct'"):
        load_package(NOW, [own(tmp_path, SOURCE + SERIES.replace('"lifecycle"', '"direct"'))])
    assert stored() == before


def test_editions_stand_beside_one_another(tmp_path: Path) -> None:
    """DE 2024 is 363 in one edition and 353 in the next: the first stays."""
    load_package(NOW)
    later = SOURCE.replace('"2025"', '"2026"') + SERIES.replace("report-2025", "report-2026").replace("350.5", "353")
    load_package(NOW, [own(tmp_path), own(tmp_path, later, "later.toml")])
    values = PublishedValue.objects.filter(series__zone="DE", start=date(2024, 1, 1))
    found = dict(values.values_list("series__slug", "g_per_kwh"))
    assert (found["report-2025-de"], found["report-2026-de"], found["uba-2025-co2-de"]) == (350.5, 353, 363)


def test_new_years_of_an_edition_are_added_and_priced(tmp_path: Path) -> None:
    load_package(NOW, [own(tmp_path)])
    cluster = create_cluster("alpha")
    day = date(2025, 6, 1)
    add_supply(Supply(cluster=cluster, yearly=IntensitySeries.objects.get(slug="report-2025-de")), NOW)
    assert priced(cluster, day) == (350.5, Rung.EARLIER_YEAR)
    (done,) = load_package(NOW, [own(tmp_path, SOURCE + SERIES.replace("2024 = 350.5", "2024 = 350.5, 2025 = 300"))])
    assert (done.series, done.values, done.unchanged) == (0, 1, 3)
    assert priced(cluster, day) == (300.0, Rung.YEARLY)


def priced(cluster: Cluster, day: date) -> tuple[float, Rung]:
    prices = price_list(cluster, day, day)
    return float(prices.part(Part.LOCATION)[48]), prices.origins[prices.origin[Part.LOCATION, 48]].rung


def test_a_broken_file_stops_the_command_and_what_came_before_it_stays(tmp_path: Path) -> None:
    broken = own(tmp_path, SOURCE + "[[series", "broken.toml")
    with pytest.raises(CommandError, match=r"broken\.toml: no TOML"):
        command(str(own(tmp_path)), str(broken))
    assert IntensitySeries.objects.count() == 2
    with pytest.raises(UnusableFile):
        load_package(NOW, [broken])


def test_a_sites_own_series_is_not_taken_for_a_packaged_one(tmp_path: Path) -> None:
    load_package(NOW, [own(tmp_path)])
    assert set(IntensitySeries.objects.values_list("packaged", flat=True)) == {False}
    load_package(NOW)
    other = SOURCE + SERIES.replace("report-2025", "ember-2025")
    with pytest.raises(OtherValue, match="ember-2025-de"):
        load_package(NOW, [own(tmp_path, other)])


# --- One value by hand ----------------------------------------------------------------------------------


def test_publish_adds_what_is_new_and_refuses_another_value() -> None:
    series = new_series(NOW, slug="own", zone="DE", basis="direct", mix="supplier", source_title="contract")
    assert publish(series, {date(2024, 1, 1): 40.0, date(2025, 1, 1): 35.0}) == 2
    assert publish(series, {date(2025, 1, 1): 35.0}) == 0
    assert publish(series, {date(2025, 3, 1): 31.0}, "month", {date(2025, 3, 1): "estimated"}) == 1
    with pytest.raises(OtherValue, match="own: 2025 is stored as 35, not 36 g/kWh"):
        publish(series, {date(2025, 1, 1): 36.0, date(2026, 1, 1): 30.0})
    assert series.values.count() == 3


@pytest.mark.parametrize(("start", "value"), [(date(2025, 2, 1), 1), (date(2025, 1, 1), -1), (date(2025, 1, 1), 4e3)])
def test_publish_refuses_what_is_no_value_of_a_year(start: date, value: float) -> None:
    series = new_series(NOW, slug="own", zone="DE", basis="direct", mix="supplier", source_title="contract")
    with pytest.raises(ValueError, match="own:"):
        publish(series, {start: value})


# --- Zones ------------------------------------------------------------------------------------------------


def test_a_zones_first_choice_is_its_national_lifecycle_series(tmp_path: Path) -> None:
    assert default_series("DE") is None
    load_package(NOW)
    assert str(default_series("DE")) == "uba-2025-ghg-upstream-de"
    assert str(default_series("FR")) == "ember-2025-fr"
    load_package(NOW, [own(tmp_path)])
    assert str(default_series("DE")) == "uba-2025-ghg-upstream-de", "a site's own series is chosen by name only"


def test_near_names_of_an_unknown_zone() -> None:
    load_package(NOW)
    assert near_zones("UK") == ["GB"]
    assert near_zones("DE-LU") == ["DE"]
    assert near_zones("fr") == ["FR"]
    assert len(near_zones("Atlantis")) > 3
