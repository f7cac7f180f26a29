"""`/carbon/` and emissions on `/`: the grid's hours, the load over them, what was emitted, and what if.

The pages' small day under a grid worked out by hand: 300 g/kWh, but 600 from 01:00 to 02:00 and 100 from 03:00 to
04:00; from 20:00 on estimated, and the last hour is missing: there the year's 500 holds. By contract 50.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from measurements.domain.chain import together
from measurements.domain.units import HOUR_MS, J_PER_KWH, QUARTER_MS, day_start_ms, ms_from_datetime
from measurements.models import Cluster, PublishedValue, ReferenceFactor, Supply
from measurements.parsers.intensity_records import IntensitySlots
from measurements.selectors.equivalents import equivalents
from measurements.selectors.grid import RUNGS, GridReport, grid_report
from measurements.selectors.own_timing import own_timing
from measurements.selectors.usage import Asked, Scope, usage
from measurements.selectors.usage_emissions import Quarters
from measurements.services.intensity import new_series, store_slots
from measurements.services.pricing import add_supply
from portal.templatetags.quantities import emissions, intensity
from tests.conftest import People
from tests.portal.world import BOBS_J, DAY, HOUR, PERIOD, TRAIN_J, WIDE_J

NOW = datetime(2025, 3, 20, tzinfo=UTC)
FIRST = date.fromisoformat(DAY)
URL = f"/carbon/?{PERIOD}"
MINE = f"/?{PERIOD}"
GRID = [300.0] * 24
GRID[1], GRID[3] = 600.0, 100.0
GRID_MEAN = sum(GRID[:23]) / 23  # of the hours that are known
DARK_J = 600.0 * HOUR  # alice's job on the node without a meter, by its rated power
ALICES_G = (WIDE_J * 600 + TRAIN_J * 100 + DARK_J * 300) / J_PER_KWH
ALICES_J = WIDE_J + TRAIN_J + DARK_J
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def priced(site: None) -> Cluster:
    """Slots and a year for the location, a year for the contract; no PUE."""
    cluster = Cluster.objects.get()
    made = {"zone": "DE", "basis": "lifecycle", "edition": "2025/1", "source_title": "The grid", "licence": "CC BY 4.0"}
    hours, year = (new_series(NOW, slug=slug, mix="consumption", **made) for slug in ("hours", "year"))
    PublishedValue.objects.create(series=year, start=date(2025, 1, 1), g_per_kwh=500.0)
    start = day_start_ms(FIRST) + HOUR_MS * np.arange(23, dtype=np.int64)
    estimated = np.arange(23) >= 20
    store_slots(hours, IntensitySlots(start, start + HOUR_MS, np.array(GRID[:23]), estimated), NOW, source="test")
    add_supply(Supply(cluster=cluster, slots=hours, yearly=year), NOW)
    contract = new_series(NOW, slug="contract", mix="supplier", method="market_based", **made)
    PublishedValue.objects.create(series=contract, start=date(2025, 1, 1), g_per_kwh=50.0)
    add_supply(Supply(cluster=cluster, yearly=contract, method="market_based"), NOW)
    return cluster


def report_of(cluster: Cluster, now: datetime = NOW, zone: ZoneInfo = UTC_ZONE) -> GridReport:
    return grid_report(cluster, FIRST, FIRST, zone, now)


def quarters_of(person: User, zone: ZoneInfo = UTC_ZONE) -> Quarters:
    return usage(Scope(username=person.username), Asked(FIRST, FIRST, zone)).quarters


def shown(client: Client, person: User, url: str = URL) -> str:
    """As a reader sees it: without line breaks."""
    client.force_login(person)
    response = client.get(url)
    assert response.status_code == 200
    return re.sub(r"[ \n]+", " ", response.content.decode())


def payload(text: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        text.split(f'id="{name}-data" type="application/json">')[1].split("</script>")[0]
    )
    return found


# --- The grid's hours -------------------------------------------------------------------------------


def test_lowest_mean_and_highest_are_those_of_the_hours(priced: Cluster) -> None:
    found = report_of(priced)
    assert found.lowest is not None
    assert found.highest is not None
    assert (found.lowest.g_per_kwh, found.lowest.at) == (100.0, datetime(2025, 3, 10, 3, tzinfo=UTC))
    assert (found.highest.g_per_kwh, found.highest.at) == (600.0, datetime(2025, 3, 10, 1, tzinfo=UTC))
    assert found.mean_g_per_kwh == pytest.approx((sum(GRID[:23]) + 500) / 24)
    assert found.resolved_share == pytest.approx(23 / 24)


def test_measured_estimated_and_yearly_hours_are_told_apart(priced: Cluster) -> None:
    curve = report_of(priced).curve
    assert [RUNGS[rung].value for rung in curve.rung[::4]] == ["measured"] * 20 + ["estimated"] * 3 + ["yearly"]
    assert curve.g_per_kwh[::4].tolist() == [*GRID[:23], 500.0]


def test_of_a_bucket_known_in_two_ways_the_longer_one_is_named(priced: Cluster) -> None:
    """A period of nine days has buckets of three hours: 21:00 to 24:00 is two hours estimated, one the year's."""
    found = grid_report(priced, FIRST, date(2025, 3, 18), UTC_ZONE, NOW)
    assert RUNGS[found.curve.rung[7]].value == "estimated"
    assert found.curve.g_per_kwh[7] == pytest.approx((300 + 300 + 500) / 3)
    assert RUNGS[found.curve.rung[6]].value == "measured"  # two hours, and the third estimated


def test_what_has_not_begun_is_not_shown(priced: Cluster) -> None:
    found = report_of(priced, now=datetime(2025, 3, 10, 2, 10, tzinfo=UTC))
    assert len(found.prices.at_ms) == 9
    assert found.curve.edges_ms[-1] - found.curve.edges_ms[0] == 9 * QUARTER_MS
    assert found.lowest is not None
    assert found.lowest.g_per_kwh == 300.0
    future = report_of(priced, now=datetime(2025, 3, 9, tzinfo=UTC))
    assert future.mean_g_per_kwh is None


# --- The load over them -----------------------------------------------------------------------------


def test_the_load_lies_in_the_grids_hours_as_worked_out_by_hand(priced: Cluster) -> None:
    """From 00:00 to 12:00, and the last sample's half minute: 49 quarter hours, of which a third is 16 1/3."""
    found = report_of(priced).timing
    assert found is not None
    of_hour = {1: 700 * HOUR + 100 * (HOUR - 19 * 60), 3: 800 * HOUR}
    rest_j = 10 * 800 * HOUR + 30 * 800
    total_j = sum(of_hour.values()) + rest_j
    assert found.drawn_g_per_kwh == pytest.approx((of_hour[1] * 600 + of_hour[3] * 100 + rest_j * 300) / total_j)
    assert found.grid_g_per_kwh == pytest.approx((4 * 600 + 4 * 100 + 41 * 300) / 49)
    assert found.greenest_share == pytest.approx((of_hour[3] + rest_j * (49 / 3 - 4) / 41) / total_j)
    assert found.known_share == 1.0


def test_while_it_goes_on_the_load_ends_before_the_quarter_hour_that_may_be_half_booked(priced: Cluster) -> None:
    """The last energy is that of half a minute after 12:00; the day before yesterday nothing more can come."""
    found = report_of(priced, now=datetime(2025, 3, 10, 14, tzinfo=UTC)).curve
    assert found.power_w[:5].tolist() == pytest.approx([800.0] * 5)
    assert found.power_w[7:48].tolist() == pytest.approx([800.0] * 41)  # thin1 was silent before
    assert np.isnan(found.power_w[48:]).all()
    assert report_of(priced).curve.power_w[48] == pytest.approx(800 * 30 / 900)


def test_the_emissions_of_jobs_and_what_nobody_held_are_the_clusters(priced: Cluster) -> None:
    found = report_of(priced)
    jobs_g = (WIDE_J * 600 + 500 * HOUR * 100 + BOBS_J * 300 + DARK_J * 300) / J_PER_KWH
    assert found.jobs.location_g == pytest.approx(jobs_g, rel=1e-9)
    assert found.whole.location_g == together([found.jobs, found.own]).location_g
    assert found.whole.market_g == pytest.approx(found.whole.facility_j / J_PER_KWH * 50, rel=1e-9)


def test_what_if_moves_the_metered_energy_of_jobs_and_nothing_else(priced: Cluster) -> None:
    found = report_of(priced)
    jobs_j = WIDE_J + 500 * HOUR + BOBS_J
    drawn_g = (WIDE_J * 600 + 500 * HOUR * 100 + BOBS_J * 300) / J_PER_KWH
    assert [shift.reach_h for shift in found.shifts] == [12, 24]
    for shift in found.shifts:
        assert shift.drawn_g == pytest.approx(drawn_g, rel=1e-9)
        assert shift.shifted_g == pytest.approx(jobs_j * 100 / J_PER_KWH, rel=1e-9)
    assert found.jobs.location_g is not None
    assert found.jobs.location_g > found.shifts[0].drawn_g  # it keeps what is filled besides, and nothing is taken off


def test_the_page_says_it_in_words_and_in_a_table(priced: Cluster, people: People, client: Client) -> None:
    text = shown(client, people.alice)
    found = report_of(priced)
    nbsp = "\u00a0"
    for words in (
        f"Between 100{nbsp}g/kWh (10 Mar 2025, 03:00) and 600{nbsp}g/kWh (10 Mar 2025, 01:00)",
        f"Of the time: 83.3{nbsp}% measured, 12.5{nbsp}% estimated and 4.1{nbsp}% mean of the year.",
        f"The carbon intensity of the energy: 100{nbsp}% measured.",
        "was drawn in the greenest third of the time; a flat load would have 33.3",
        f"<td>{emissions(found.jobs.location_g)}</td><td>{emissions(found.jobs.market_g)}</td>",
        f"<td>{emissions(found.own.location_g)}</td><td>{emissions(found.own.market_g)}</td>",
        "What if: another time",
        "It is subtracted from no figure.",
        "within 12 hours before or after",
        "zone DE, lifecycle, consumption mix, CO₂e, edition 2025/1, CC BY 4.0",
        "edition 2025/1, of 2025, CC BY 4.0",
        "How this was computed",
    ):
        assert words in text, words
    drawn = payload(text, "intensity-chart")
    assert drawn["looks"][::4] == ["measured"] * 20 + ["estimated"] * 3 + ["mean"]
    assert payload(text, "load-chart")["t"] == drawn["t"]
    assert text.count('<th scope="row" class="when">') == 96


def test_the_switch_stays_in_the_address_and_both_stand_in_the_table(
    priced: Cluster, people: People, client: Client
) -> None:
    text, found = shown(client, people.alice, f"{URL}&method=market"), report_of(priced)
    assert "Emissions, market-based" in text
    assert 'type="hidden" name="method" value="market"' in text
    assert "method=market" in text.split('rel="prev"')[0].rsplit("<a ", 1)[1]
    for grams in (found.whole.location_g, found.whole.market_g):
        assert f"<td>{emissions(grams)}</td>" in text
    assert 'name="method"' not in shown(client, people.alice)
    for place in ("/carbon/", "/"):
        chips = [escape(f"?{PERIOD}{more}") for more in ("", "&method=market")]
        first, then = (shown(client, people.alice, f"{place}?{PERIOD}{more}") for more in ("", "&method=market"))
        for text, marks in ((first, (' aria-current="true"', "")), (then, ("", ' aria-current="true"'))):
            assert f'<a href="{chips[0]}"{marks[0]}>Location-based</a>' in text
            assert f'<a href="{chips[1]}"{marks[1]}>Market-based</a>' in text


def test_without_a_contract_there_is_no_switch(priced: Cluster, people: People, client: Client) -> None:
    add_supply(Supply(cluster=priced, method="market_based"), NOW)
    text = shown(client, people.alice, f"{URL}&method=market")
    assert "there is no market-based figure" in text
    assert "Emissions, market-based" not in text
    assert 'name="method"' not in text


def test_without_factors_the_page_says_so_and_operators_get_the_command(
    site: None, people: People, client: Client
) -> None:
    text = shown(client, people.alice)
    assert "no carbon intensity is known in this period" in text
    assert "set_factors" not in text
    assert "CO₂e" not in text
    operator = User.objects.create_user("oskar")
    operator.user_permissions.add(Permission.objects.get(codename="view_operations"))
    assert "set_factors --cluster alpha --zone" in shown(client, operator)


def test_several_clusters_are_chosen_in_the_address(priced: Cluster, people: People, client: Client) -> None:
    Cluster.objects.create(name="beta")
    assert f"{DAY}&amp;cluster=beta" in shown(client, people.alice)
    assert "For beta no carbon intensity is known" in shown(client, people.alice, f"{URL}&cluster=beta")
    client.force_login(people.alice)
    assert client.get(f"{URL}&cluster=gamma").status_code == 404


def test_an_empty_site_and_nobody(db: None, people: People, client: Client) -> None:
    assert client.get("/carbon/").status_code == 302
    assert "No cluster is known here yet." in shown(client, people.alice, "/carbon/")


def test_in_german(priced: Cluster, people: People, client: Client) -> None:
    client.force_login(people.alice)
    client.post("/language/setlang/", {"language": "de", "next": "/"})
    assert "83,3" in shown(client, people.alice)


# --- One's own page ---------------------------------------------------------------------------------


def test_ones_jobs_ran_greener_or_less_green_than_the_grid(priced: Cluster, people: People) -> None:
    found = own_timing(quarters_of(people.alice), UTC_ZONE, ms_from_datetime(NOW))
    assert found.timing is not None
    assert found.timing.drawn_g_per_kwh == pytest.approx(ALICES_G / (ALICES_J / J_PER_KWH), rel=1e-9)
    assert found.timing.grid_g_per_kwh == pytest.approx(GRID_MEAN, rel=1e-12)
    assert found.energy_j[[1, 3, 5]].tolist() == pytest.approx([WIDE_J, TRAIN_J, DARK_J])
    assert found.energy_j.sum() == pytest.approx(ALICES_J)
    assert found.grid_g_per_kwh[:23].tolist() == GRID[:23]
    assert np.isnan(found.grid_g_per_kwh[23])  # the year's mean is no hour's


def test_hours_of_the_day_are_those_of_the_site(priced: Cluster, people: People) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = own_timing(quarters_of(people.alice, berlin), berlin, ms_from_datetime(NOW))
    assert found.energy_j[[2, 4, 6]].tolist() == pytest.approx([WIDE_J, TRAIN_J, DARK_J])
    india = ZoneInfo("Asia/Kolkata")  # half an hour off: an hour's energy lies in two
    found = own_timing(quarters_of(people.alice, india), india, ms_from_datetime(NOW))
    assert found.energy_j[[8, 9]].tolist() == pytest.approx([TRAIN_J / 2, TRAIN_J / 2])


def test_ones_page_has_emissions_hours_and_steps(priced: Cluster, people: People, client: Client) -> None:
    text = shown(client, people.alice, MINE)
    shown_g = emissions(ALICES_G).split("\u00a0")[0]
    for words in (
        f'<span class="value">{shown_g}</span><span class="unit">&nbsp;g\u00a0CO₂e</span>',
        f"Your jobs ran at {intensity(ALICES_G / (ALICES_J / J_PER_KWH))} on average; the grid's mean over the period "
        f"was {intensity(GRID_MEAN)}: ",
        "than a flat load",
        "What if: another time",
        "How this was computed",
    ):
        assert words.replace("'", "&#x27;") in text, words
    assert len(payload(text, "hours-chart")["grid"]["values"]) == 24
    market = shown(client, people.alice, f"{MINE}&method=market")
    by_contract = emissions(ALICES_J / J_PER_KWH * 50).split("\u00a0")[0]
    assert f'"figure small"><span class="value">{by_contract}</span>' in market
    assert f"<dd>{emissions(ALICES_G)}</dd>" in market
    by_hour = shown(client, people.alice, f"{MINE}&metric=emissions")
    assert f'<th scope="row">Total</th><td>{shown_g}</td>' in by_hour


def test_ones_page_without_factors_shows_no_emissions(site: None, people: People, client: Client) -> None:
    text = shown(client, people.alice, MINE)
    assert "No carbon intensity is configured for this time." in text
    assert "hours-chart" not in text
    assert "g CO₂e" not in text.replace("\u00a0", " ")


def test_a_years_mean_says_nothing_of_hours(priced: Cluster, people: People, client: Client) -> None:
    add_supply(Supply(cluster=priced, yearly=Supply.objects.filter(slots__isnull=False)[0].yearly), NOW)
    for url in (URL, MINE):
        text = shown(client, people.alice, url)
        assert "when it was green cannot be said" in text
        assert "What if" not in text


# --- Equivalents ------------------------------------------------------------------------------------


@pytest.fixture
def likes(db: None) -> None:
    """Three that are shown, one of them revised, and one that is not."""
    for key, value, unit, on in (
        ("car-eu", 100.0, "g/km", True), ("train", 41.0, "g/km", True), ("car-eu", 175.0, "g/km", True),
        ("household-day", 8.0, "kWh/day", True), ("kettle", 0.1, "kWh/boil", False),
    ):  # fmt: skip
        ReferenceFactor.objects.create(
            kind="equivalent", key=key, value=value, unit=unit, shown=on, created_at=NOW, source_title=f"of {key}",
            edition="2023",
        )  # fmt: skip


def test_two_equivalents_at_most_energy_first_each_with_its_source(likes: None) -> None:
    found = equivalents(80 * J_PER_KWH, 35_000.0)
    assert [(each.factor.key, each.amount) for each in found] == [("household-day", 10.0), ("train", 35_000 / 41)]
    assert [each.factor.key for each in equivalents(80 * J_PER_KWH, None)] == ["household-day"]


def test_below_one_kilowatt_hour_there_are_none(likes: None) -> None:
    assert equivalents(J_PER_KWH - 1, 500.0) == ()
    assert len(equivalents(J_PER_KWH, 500.0)) == 2


def test_equivalents_stand_on_both_pages_with_source_and_year(
    priced: Cluster, likes: None, people: People, client: Client
) -> None:
    for url in (URL, MINE):
        text = shown(client, people.alice, url)
        assert "As much electricity as a typical British household uses in" in text
        assert "of household-day, 2023" in text
