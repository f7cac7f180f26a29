"""What every page is given: where one can go from it, and whether the cluster is made up."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from measurements.demo.note import write_past
from measurements.models import Board, Edition
from portal.context import VERSION, navigation
from tests.conftest import People
from tests.house import ROOT

LINK = re.compile(r'<li><a href="([^"]+)"( aria-current="(?:page|true)")?>([^<]+)</a></li>')
NOTICE = "Simulated cluster: no figure here is a measurement."


def places(html: str) -> list[tuple[str, str, str]]:
    """The navigation of a page: address, name, mark."""
    found = html.partition('<nav class="places"')[2].partition("</nav>")[0]
    return [(address, unescape(name), mark.strip()) for address, mark, name in LINK.findall(found)]


def test_a_person_is_shown_where_they_can_go(client: Client, people: People) -> None:
    client.force_login(people.alice)
    assert places(client.get("/jobs/").content.decode()) == [
        ("/", "My energy", ""),
        ("/jobs/", "Jobs", 'aria-current="page"'),
        ("/clusters/", "Clusters", ""),
        ("/node-types/", "Node types", ""),
        ("/workloads/", "Workloads", ""),
        ("/leaderboards/", "Leaderboards", ""),
        ("/carbon/", "Carbon", ""),
    ]


def test_an_administrator_goes_everywhere_and_each_place_is_there(client: Client, people: People) -> None:
    client.force_login(people.olga)
    found = places(client.get("/operations/").content.decode())
    names = ["My energy", "Jobs", "Projects", "Clusters", "Node types", "Workloads", "Leaderboards", "Carbon"]
    names += ["Operations", "Admin"]
    assert [name for _address, name, _mark in found] == names
    assert [client.get(address, follow=True).status_code for address, _name, _mark in found] == [200] * len(names)


@pytest.mark.django_db
def test_a_simulated_cluster_says_which_of_its_months_are_still_being_booked(client: Client, own_var: Path) -> None:
    def said() -> bool:
        return "Its months before 30 Aug 2025 are still being booked" in client.get("/login/").content.decode()

    with override_settings(JOULEBOOK_DEMO=True):
        assert not said()
        write_past(own_var, 1_756_512_000)
        assert said()
        write_past(own_var, None)
        assert not said()
    write_past(own_var, 1_756_512_000)
    assert not said(), "a real site"


def test_a_page_below_a_place_marks_the_place(people: People) -> None:
    request = RequestFactory().get("/jobs/compare/")
    request.user = people.alice
    assert [place.label for place in navigation(request) if place.current == "true"] == ["Jobs"]


def test_nobody_goes_nowhere_but_to_public_leaderboards(people: People, client: Client) -> None:
    def shown(**board: str) -> list[tuple[str, str, str]]:
        Board.objects.update(**board)
        return places(client.get("/login/").content.decode())

    assert shown() == []
    board = Board.objects.create(
        slug="types", title="Types", kind="node_types", scope="node_type", workload="w", audience="public",
        created_at=timezone.now(),
    )  # fmt: skip
    day = date(2025, 3, 1)
    edition = Edition.objects.create(board=board, number=1, first=day, last=day, drafted_at=timezone.now())
    assert shown() == [], "a draft is nobody's"
    Edition.objects.filter(pk=edition.pk).update(state="published", sha256="x", drafted_by="olga", approved_by="omar")
    assert shown() == [("/leaderboards/", "Leaderboards", "")]
    assert shown(audience="site") == []
    assert shown(audience="public", kind="failed_energy", scope="user") == [], "boards of people are off"
    with override_settings(BOARDS_OF_PERSONS=True):
        assert shown() == [("/leaderboards/", "Leaderboards", "")]


@pytest.mark.parametrize("staff", [True, False])
def test_the_admin_is_for_staff(people: People, staff: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    request = RequestFactory().get("/")
    request.user = User.objects.create_user("erin", is_staff=staff)
    assert ("Admin" in [place.label for place in navigation(request)]) is staff


@pytest.mark.parametrize("address", ["/", "/jobs/", "/nothing/", "/admin/", "/login/"])
def test_a_demo_says_so_on_every_page_and_a_real_site_never(client: Client, people: People, address: str) -> None:
    client.force_login(people.olga)
    real = client.get(address, follow=True).content.decode()
    with override_settings(JOULEBOOK_DEMO=True):
        demo = client.get(address, follow=True).content.decode()
    assert (NOTICE in real, NOTICE in demo) == (False, True)
    assert ("simulated" in real.partition("</title>")[0], "simulated" in demo.partition("</title>")[0]) == (False, True)


def test_the_version_is_that_of_the_project(client: Client, people: People) -> None:
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    client.force_login(people.alice)
    assert f"Joulebook {VERSION}" in client.get("/").content.decode()
