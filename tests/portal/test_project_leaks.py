"""What a leader can learn of fewer people than the site allows: nothing, however the project's pages are asked.

The joules of `project_world` are powers of two, so that every figure says whose use is in it. All figures that a leader
can get hold of, and all differences of two of them, must contain the use of five people besides the leader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings

from measurements.domain.disclosure import REST
from measurements.models import Membership, PageRead, Project, UsageDay
from measurements.selectors.project import SHOWN_GROUPS, access
from measurements.selectors.project_sums import sum_shown_until
from measurements.selectors.project_totals import totals
from tests.portal.project_world import (
    DEPUTY,
    EX_LEADER,
    EX_MEMBER,
    LEADER,
    MEMBER,
    PARTS,
    PEOPLE,
    PROJECT,
    STRANGER,
    SUB,
    build,
    parts_of,
    people_in,
)  # fmt: skip

K = 5
UTC = ZoneInfo("UTC")
PAGES = ("/projects/{}/", "/projects/{}/energy.csv", "/projects/{}/budget/", "/projects/{}/members/")
PERIODS = (
    "", "first=2025-01-01&last=2025-03-31", "first=2025-01-01&last=2025-01-31", "first=2025-03-01&last=2025-03-31",
    "first=2025-01-11&last=2025-01-12", "first=2025-01-13&last=2025-03-12", "first=2025-03-13&last=2025-03-31",
    "span=month&at=2025-01-05", "span=month&at=2025-02-05", "span=quarter&at=2025-02-01", "span=year&at=2025-02-01",
    "span=day&at=2025-01-12", "days=7", "first=2024-12-31&last=2025-01-01", "first=2025-02-12&last=2025-03-01",
)  # fmt: skip
GROUPS = (*(f"group={one.value}" for one in SHOWN_GROUPS), "group=user", "group=cluster")
TWISTS = (
    "", "bars=day", "bars=hour", "compare=year", "project=optics", "state=FAILED", "partition=gpu", "user=adam",
    "node_type=gpu", "metric=waste",
)  # fmt: skip


@pytest.fixture(autouse=True)
def world(db: None) -> None:
    build()


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def figures(client: Client, name: str) -> Iterator[float]:
    """Every energy that the table of a project can be made to say."""
    asked = [*product(PERIODS, GROUPS[:4], TWISTS[:1]), *product(PERIODS[:3], GROUPS, TWISTS[:1]),
             *product(PERIODS[1:2], GROUPS[:1], TWISTS)]  # fmt: skip
    for period, group, twist in asked:
        response = client.get(f"/projects/{name}/energy.csv?format=json&{period}&{group}&{twist}")
        if response.status_code == 404:
            continue
        answer = json.loads(response.getvalue())
        places = [i for i, column in enumerate(answer["columns"]) if column["unit"] == "J"]
        for row in answer["rows"]:
            yield from (row[place] for place in places if row[place])


def months(client: Client, name: str) -> Iterator[float]:
    """Those of the interface."""
    for since, until in product(("2025-01-01", "2025-01-12", "2025-03-01"), ("2025-02-01", "2025-03-13", "2025-04-01")):
        for row in client.get(f"/api/v1/projects/{name}/months?since={since}&until={until}").json():
            yield from (row[key] for key in ("energy_j", "failed_j", "idle_j", "filled_j") if row[key])


def assert_nothing_small(said: set[frozenset[int]], viewer: str) -> None:
    for one in said:
        assert len(people_in(one, viewer)) >= K, sorted(PARTS[i].person for i in one)
    for one, other in product(said, said):
        if one < other:
            between = people_in(other - one, viewer)
            assert not between or len(between) >= K, (between, sorted(one), sorted(other))


@pytest.mark.parametrize("viewer", [LEADER, DEPUTY])
def test_no_figure_and_no_difference_of_two_is_of_fewer_than_five_people(viewer: str) -> None:
    client = client_of(viewer)
    said = {parts_of(joules) for name in (PROJECT, SUB) for joules in figures(client, name)}
    said |= {parts_of(joules) for name in (PROJECT, SUB) for joules in months(client, name)}
    assert said, "something is shown"
    assert_nothing_small(said, viewer)


def test_what_is_shown_is_not_nothing() -> None:
    """January and March in sums, January's node types apart; February is of three people."""
    who = access(User.objects.get(username=LEADER), PROJECT)
    assert who is not None
    found = totals(who, [date(2025, 1, 1), date(2025, 3, 1)], UTC, SHOWN_GROUPS[0])
    assert found is not None
    assert found.shown == (True, False, True)
    january = parts_of(float(found.usage.cells.energy_j[0].sum()))
    assert january == frozenset(i for i, part in enumerate(PARTS) if part.day.month == 1)
    apart = {name for name, j in zip(found.usage.groups, found.usage.cells.energy_j[0], strict=True) if j}
    assert apart == {"cpu", REST}  # new is one person's, and with gpu it is seven's
    assert found.failed_j[0] is None  # one person's


def test_where_no_intensity_and_no_tariff_is_known_nothing_is_said_of_emissions_and_cost() -> None:
    client = client_of(LEADER)
    context: Any = client.get(f"/projects/{PROJECT}/?first=2025-01-01&last=2025-05-31").context
    assert [bool(tile.shown) for tile in context["tiles"]] == [True, False, False, True]
    rows = client.get(f"/api/v1/projects/{PROJECT}/months?since=2025-01-01&until=2025-06-01").json()
    assert [(row["shown"], row["emissions_g_co2e"]) for row in rows] == [
        (True, None), (False, None), (True, None), (False, None), (False, None),
    ]  # fmt: skip


def test_whoever_looks_does_not_count() -> None:
    who = access(User.objects.get(username=LEADER), PROJECT)
    assert who is not None
    found = totals(who, [date(2025, 5, 1)], UTC, SHOWN_GROUPS[0])
    assert found is not None
    assert found.shown == (False,)
    assert found.usage.energy_j == 0.0


def test_the_sum_is_told_and_its_failed_part_where_enough_people_failed() -> None:
    with override_settings(SMALLEST_GROUP=3):
        who = access(User.objects.get(username=LEADER), PROJECT)
        assert who is not None
        found = totals(who, [date(2025, 2, 1)], UTC, SHOWN_GROUPS[0])
    assert found is not None
    assert (found.shown, found.failed_j) == ((True,), (0.0,))


@pytest.mark.parametrize("viewer", [EX_LEADER, MEMBER, EX_MEMBER, STRANGER])
def test_to_everybody_else_a_project_is_as_one_that_is_nowhere(viewer: str) -> None:
    client = client_of(viewer)
    for page, name in product(PAGES, (PROJECT, SUB, "nowhere")):
        assert client.get(page.format(name)).status_code == 404, page
    for name in (PROJECT, SUB, "nowhere"):
        assert client.get(f"/api/v1/projects/{name}/months").status_code == 404
    assert client.get("/projects/").status_code == 404
    assert "/projects/" not in client.get("/").content.decode()
    assert not PageRead.objects.exists()


def test_a_leader_of_one_project_sees_no_other_one() -> None:
    client = client_of(LEADER)
    assert client.get("/projects/biology/").status_code == client.get("/projects/nowhere/").status_code == 404


def test_who_led_and_leads_again_sees_the_time_of_the_role_only() -> None:
    Membership.objects.create(project_id=Membership.objects.get(username=EX_LEADER).project_id, username=EX_LEADER,
                              role="leader", valid_from=date(2025, 3, 1))  # fmt: skip
    seen = {PARTS[i].day.month for joules in months(client_of(EX_LEADER), PROJECT) for i in parts_of(joules)}
    assert seen == {3}


@pytest.mark.parametrize("viewer", [LEADER, DEPUTY])
def test_no_name_of_anybody_or_any_job_stands_on_a_leader_s_pages(viewer: str) -> None:
    client = client_of(viewer)
    for period, group in product(PERIODS[1:4], GROUPS[:2]):
        for page, name in product(("/projects/", *PAGES), (PROJECT, SUB)):
            body = client.get(f"{page.format(name)}?{period}&{group}").getvalue().decode()
            for word in (*PEOPLE, "secret-of", "7000", "7001", "7002"):
                assert word not in body, (page, word)


def test_members_pages_are_not_there_where_leaders_see_totals() -> None:
    assert client_of(LEADER).get(f"/projects/{PROJECT}/members/").status_code == 404


def test_leaders_see_no_job_of_others_by_way_of_the_lists_of_jobs() -> None:
    client = client_of(LEADER)
    for address in ("/jobs/", f"/jobs/?project={PROJECT}", f"/jobs.csv?project={PROJECT}", "/jobs/?user=adam"):
        assert "secret-of-adam" not in client.get(address).getvalue().decode()
    answer = client.get(f"/api/v1/projects/{PROJECT}?since=2025-01-01&until=2025-04-01")
    assert answer.json()["jobs"] <= 1  # their own


def test_groups_stand_in_an_order_that_says_nothing_of_what_is_not_shown() -> None:
    for group in SHOWN_GROUPS:
        answer = json.loads(client_of(LEADER).get(
            f"/projects/{PROJECT}/energy.csv?format=json&first=2025-01-01&last=2025-01-31&group={group.value}"
        ).getvalue())  # fmt: skip
        names = [column["name"] for column in answer["columns"]]
        assert [i for i, name in enumerate(names) if "others together" in name] in ([], [len(names) - 4])


def test_a_budget_s_sum_says_nothing_of_what_its_months_hide() -> None:
    who = access(User.objects.get(username=LEADER), PROJECT)
    assert who is not None
    today = date(2025, 4, 20)
    # February's three people are the year's sum less January and March, so the sum stops before them.
    assert sum_shown_until(who, date(2025, 1, 1), date(2025, 12, 31), UTC, today) == date(2025, 1, 31)
    assert sum_shown_until(who, date(2025, 3, 1), date(2025, 12, 31), UTC, today) == date(2025, 3, 31), "not today"
    assert sum_shown_until(who, date(2025, 2, 1), date(2025, 2, 28), UTC, today) is None
    assert sum_shown_until(who, date(2025, 3, 13), date(2025, 4, 30), UTC, today) is None
    assert sum_shown_until(who, date(2025, 1, 1), date(2025, 1, 31), UTC, today, states=("FAILED",)) is None


def test_pseudonyms_cannot_be_joined_over_periods_or_viewers_and_say_no_name() -> None:
    with override_settings(LEADER_SEES="pseudonyms"):
        seen: list[set[str]] = []
        for viewer, period in product(
            (LEADER, DEPUTY), ("first=2025-03-01&last=2025-03-31", "first=2025-03-02&last=2025-03-31")
        ):
            context: Any = client_of(viewer).get(f"/projects/{PROJECT}/members/?{period}").context
            seen.append({row.name for row in context["rows"]})
            body = client_of(viewer).get(f"/projects/{PROJECT}/members/?{period}").content.decode()
            assert not [name for name in PEOPLE if name in body]
            assert "secret-of" not in body
    assert all(len(names) >= 7 for names in seen)
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_pseudonyms_of_too_few_people_are_withheld() -> None:
    with override_settings(LEADER_SEES="pseudonyms"):
        page = client_of(LEADER).get(f"/projects/{PROJECT}/members/?first=2025-02-01&last=2025-02-28")
    assert page.context["rows"] == []
    assert page.context["too_few"]


def test_where_leaders_see_names_they_see_them_from_their_first_day_on() -> None:
    with override_settings(LEADER_SEES="names"):
        page = client_of(DEPUTY).get(f"/projects/{PROJECT}/members/?first=2025-01-01&last=2025-03-31").content.decode()
        assert "secret-of-adam" in page
        table = client_of(DEPUTY).get(f"/projects/{PROJECT}/energy.csv?format=json&first=2025-01-01&last=2025-03-31")
        rows = json.loads(table.getvalue())["rows"]
        jobs = client_of(DEPUTY).get("/jobs/").content.decode()
    assert {row[0][:7] for row in rows} == {"2025-03"}
    assert "70001" not in jobs
    assert "former" in page  # xavier was a member


def test_who_reads_a_project_is_noted() -> None:
    client_of(LEADER).get(f"/projects/{PROJECT}/")
    assert {(row.reader, row.project) for row in PageRead.objects.all()} == {(LEADER, PROJECT)}


def test_a_project_of_one_person_is_their_own() -> None:
    Membership.objects.create(project=Project.objects.create(name="solo"), username="adam", role="leader")
    row = UsageDay.objects.get(username="adam", state="FAILED")
    row.pk, row.account = None, "solo"
    row.save()
    who = access(User.objects.get(username="adam"), "solo")
    assert who is not None
    found = totals(who, [date(2025, 1, 1)], UTC, SHOWN_GROUPS[0])
    assert found is not None
    assert found.shown == (True,)
    row.pk, row.username, row.day = None, "beth", date(2024, 1, 12)  # once somebody else was there it is not
    row.save()
    hidden = totals(who, [date(2025, 1, 1)], UTC, SHOWN_GROUPS[0])
    assert hidden is not None
    assert hidden.shown == (False,)


def test_the_smallest_group_is_the_site_s() -> None:
    assert settings.SMALLEST_GROUP == K


def test_an_operator_sees_every_account_described_or_not() -> None:
    User.objects.create_superuser("olga")
    client = client_of("olga")
    UsageDay.objects.filter(account=SUB).update(account="unheard-of")
    page = client.get("/projects/").content.decode()
    assert [name for name in ("biology", PROJECT, "unheard-of") if f">{name}</a>" in page] == [
        "biology", PROJECT, "unheard-of",
    ]  # fmt: skip
    for name in (PROJECT, "unheard-of"):
        for address in PAGES:
            assert client.get(f"{address.format(name)}?first=2025-01-01&last=2025-03-31").status_code == 200, address
    march = client.get("/api/v1/projects/unheard-of/months?since=2025-03-01&until=2025-04-01").json()
    assert [people_in(parts_of(row["energy_j"]), "olga") for row in march] == [{"adam", "beth"}]
