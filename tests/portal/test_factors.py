"""The factor pages: what holds, what it would change, who may; files tried before they are stored."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, PriceDay, PublishedValue, SiteFactor, SlotDay, Supply
from measurements.selectors.emissions import cluster_footprints
from measurements.services.intensity import new_series
from tests.conftest import People
from tests.portal.world import DAY_S

NOW = datetime(2025, 3, 20, tzinfo=UTC)
URL = "/operations/factors/"
PUE = {"value": "1.5", "source_title": "energy manager", "reason": "measured by hand", "valid_from": "2025-01-01"}


@pytest.fixture
def manager(site: None, people: People) -> Client:
    """Someone who may declare factors."""
    user = User.objects.create_user("mona")
    wanted = Permission.objects.filter(codename__in=["view_operations", "manage_factors"])
    user.user_permissions.add(*wanted)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def looker(site: None, people: People) -> Client:
    """Someone who may see operations only."""
    user = User.objects.create_user("lou")
    user.user_permissions.add(Permission.objects.get(codename="view_operations"))
    client = Client()
    client.force_login(user)
    return client


def words(answer: object) -> str:
    return re.sub(r"[ \n]+", " ", answer.content.decode())  # type: ignore[attr-defined]


def test_an_empty_cluster_says_what_is_missing_and_what_follows(manager: Client) -> None:
    shown = words(manager.get(URL))
    assert "No carbon intensity: there are no emissions." in shown
    assert "No PUE: counted as 1." in shown
    assert "Nothing has been declared yet." in shown


def test_what_is_typed_is_tried_before_it_holds(manager: Client) -> None:
    """Everything drawn × 1.5; nothing is stored until it has been seen."""
    shown = words(manager.post(f"{URL}declare/pue/", PUE))
    assert "What it would change" in shown
    assert "+50.0\u00a0%" in shown
    assert not SiteFactor.objects.exists()
    answer = manager.post(f"{URL}declare/pue/", PUE | {"store": "1"}, follow=True)
    assert "days were priced anew" in words(answer)
    row = SiteFactor.objects.get()
    assert (row.value, row.author, row.reason, row.valid_from) == (1.5, "mona", "measured by hand", date(2025, 1, 1))
    cluster = Cluster.objects.get()
    day = cluster_footprints(cluster, DAY_S * 1000, (DAY_S + 86_400) * 1000, ms_from_datetime(NOW))
    assert day.own.pue == pytest.approx(1.5)
    assert "energy manager" in words(manager.get(URL))
    assert "mona: measured by hand" in words(manager.get(URL))


def test_a_second_row_leaves_the_first_in_the_history(manager: Client) -> None:
    manager.post(f"{URL}declare/pue/", PUE | {"store": "1"})
    manager.post(f"{URL}declare/pue/", PUE | {"value": "1.2", "store": "1", "source_title": "plant"})
    assert SiteFactor.objects.count() == 2
    shown = words(manager.get(URL))
    assert shown.count("1 Jan 2025") >= 3
    assert ">1.5<" in shown


@pytest.mark.parametrize(
    ("kind", "typed", "said"),
    [
        ("pue", {"value": "0.9"}, "a PUE is facility energy ÷ IT energy, 1 or more"),
        ("infrastructure", {"value": "17.6"}, "give the share of the nodes&#x27; energy"),
        ("wue", {"value": "-1"}, "is not from 0"),
        ("tariff", {"value": "0.3", "currency": "EUR", "bands": "always 0.2"}, "is no band of a tariff"),
        (
            "tariff",
            {"value": "0.3", "currency": "EUR", "bands": "mon-fri 08:00-20:00 0.2\nfri 19:00-21:00 0.1"},
            "both hold at fri 19:00",
        ),
        ("pue", {"value": "1.3", "source_url": "javascript:alert(1)"}, "is no address of a page"),
        ("pue", {"value": "1.3", "valid_from": "0001-01-01"}, "is before 1970-01-01"),
        ("renewable", {"value": "50"}, "give the share, 0.5 and not 50"),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(
    manager: Client, kind: str, typed: dict[str, str], said: str
) -> None:
    shown = words(manager.post(f"{URL}declare/{kind}/", {"source_title": "x", "store": "1"} | typed))
    assert said in shown
    assert not SiteFactor.objects.exists()


def test_series_of_one_supply_agree(manager: Client) -> None:
    made = [
        new_series(NOW, slug=slug, zone="DE", basis=basis, mix="production", source_title=slug)
        for slug, basis in (("cradle", "lifecycle"), ("stack", "direct"))
    ]
    for series in made:
        PublishedValue.objects.create(series=series, start=date(2025, 1, 1), g_per_kwh=400.0)
        PublishedValue.objects.create(series=series, start=date(2025, 3, 1), resolution="month", g_per_kwh=300.0)
    typed = {"method": "location_based", "monthly": made[0].pk, "yearly": made[1].pk, "store": "1"}
    assert "one supply has one basis" in words(manager.post(f"{URL}declare/intensity/", typed))
    assert not Supply.objects.exists()
    manager.post(f"{URL}declare/intensity/", typed | {"yearly": made[0].pk})
    assert Supply.objects.get().monthly == made[0]
    assert PriceDay.objects.exists()


def test_only_who_may_declare_declares(looker: Client, people: People, client: Client) -> None:
    assert looker.get(URL).status_code == 200
    assert "Declare" not in words(looker.get(URL))
    for asked in (looker.get(f"{URL}declare/pue/"), looker.post(f"{URL}declare/pue/", PUE | {"store": "1"})):
        assert asked.status_code == 404
    assert not SiteFactor.objects.exists()
    client.force_login(people.charlie)
    for address in (URL, f"{URL}series/", f"{URL}declare/pue/"):
        assert client.get(address).status_code == 404


def test_a_file_is_tried_and_then_stored(manager: Client, looker: Client) -> None:
    series = new_series(NOW, slug="ours", zone="DE", basis="lifecycle", mix="consumption", source_title="ours")
    text = "timestamp,carbon intensity [g/kWh]\n2025-03-10T00:00Z,100\n2025-03-10T01:00Z,-5\n2025-03-10T02:00Z,300\n"

    def file() -> SimpleUploadedFile:
        return SimpleUploadedFile("hours.csv", text.encode())

    shown = words(manager.post(f"{URL}series/ours/", {"file": file()}))
    assert "What the file would do" in shown
    assert "1 × negative carbon intensity" in shown
    assert not SlotDay.objects.exists()
    assert looker.post(f"{URL}series/ours/", {"file": file(), "store": "1"}).status_code == 404
    shown = words(manager.post(f"{URL}series/ours/", {"file": file(), "store": "1"}))
    assert SlotDay.objects.filter(series=series).count() == 1
    assert "hours.csv, mona" in shown
    assert "2025-03" in shown
    wrong = SimpleUploadedFile("wrong.csv", b"timestamp,carbon intensity [lbs/MWh]\n2025-03-10T00:00Z,900\n")
    assert "lbs/MWh" in words(manager.post(f"{URL}series/ours/", {"file": wrong, "store": "1"}))


def test_editions_stand_beside_each_other(manager: Client) -> None:
    for slug, value in (("old", 363.0), ("new", 353.0)):
        series = new_series(
            NOW, slug=slug, zone="DE", basis="direct", mix="production", gas="CO2", source_title="UBA", edition=slug
        )
        PublishedValue.objects.create(series=series, start=date(2024, 1, 1), g_per_kwh=value)
    contract = new_series(
        NOW, slug="ours", zone="DE", basis="direct", mix="supplier", method="market_based", source_title="contract"
    )
    PublishedValue.objects.create(series=contract, start=date(2024, 1, 1), g_per_kwh=10.0)
    shown = words(manager.get(f"{URL}series/?zone=DE"))
    assert "<td>353</td><td>363</td><td>10.0</td>" in shown
    assert manager.get(f"{URL}series/?zone=ZZ").status_code == 404


def test_ten_queries_are_enough(manager: Client, django_assert_max_num_queries: object) -> None:
    new_series(NOW, slug="ours", zone="DE", basis="lifecycle", mix="consumption", source_title="ours")
    manager.post(f"{URL}declare/pue/", PUE | {"store": "1"})
    for address in (URL, f"{URL}series/", f"{URL}series/?zone=DE", f"{URL}series/ours/", f"{URL}declare/pue/"):
        with django_assert_max_num_queries(10):  # type: ignore[operator]
            assert manager.get(address).status_code == 200
