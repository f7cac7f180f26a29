"""`/` of a demo before anybody logs in, looking around it, and `/` of a site that is new."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from measurements.demo.note import Simulated, write_note
from measurements.demo.people import LOOK_AS
from measurements.models import Batch, Cluster, Feed, Node
from measurements.selectors.setup import checklist
from portal.checklist import Line
from tests.conftest import People
from tests.portal import world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_var")]


@pytest.fixture
def demo(own_var: Path) -> Iterator[None]:
    """A demo of which nothing is simulated yet but its beginning."""
    write_note(
        Path(settings.JOULEBOOK_VAR),
        Simulated(seed=1, since_s=world.DAY_S, fine_from_s=world.DAY_S, until_s=world.DAY_S),
    )
    with override_settings(JOULEBOOK_DEMO=True):
        yield


@pytest.mark.usefixtures("person")
def test_the_setting_alone_lets_nobody_in(client: Client) -> None:
    with override_settings(JOULEBOOK_DEMO=True):
        assert client.post("/demo/look-as/", {"role": "student"}).status_code == 404


@pytest.fixture
def person() -> User:
    return User.objects.create_user(LOOK_AS["student"], password="demo")


def text(client: Client, url: str = "/") -> str:
    return unescape(client.get(url).content.decode())


# --- A demo -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("demo")
def test_the_front_page_before_anything_is_booked_says_so(client: Client) -> None:
    page = text(client)
    assert "Nothing is booked yet." in page
    assert "Simulated cluster: no figure here is a measurement." in page
    assert [role for role in (*LOOK_AS, "public") if f'value="{role}"' in page] == [*LOOK_AS, "public"]


@pytest.mark.usefixtures("demo")
def test_look_as_logs_in_and_public_logs_out(client: Client, person: User) -> None:
    assert client.post("/demo/look-as/", {"role": "student"})["Location"] == "/"
    assert text(client).count("My energy") >= 1
    assert client.get("/").wsgi_request.user == person
    client.post("/demo/look-as/", {"role": "public"})
    assert not client.get("/").wsgi_request.user.is_authenticated


@pytest.mark.usefixtures("demo", "person")
@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [("/jobs/", "/jobs/"), ("https://elsewhere.example/", "/"), ("//elsewhere.example", "/"), ("", "/")],
)
def test_looking_as_somebody_never_leads_elsewhere(client: Client, wanted: str, leads_to: str) -> None:
    assert client.post("/demo/look-as/", {"role": "student", "next": wanted})["Location"] == leads_to


@pytest.mark.usefixtures("demo", "person")
def test_what_is_no_role_or_no_story_is_not_found(client: Client) -> None:
    assert client.post("/demo/look-as/", {"role": "root"}).status_code == 404
    assert client.post("/demo/look-as/", {"role": "operator"}).status_code == 404, "there is no such person here"
    assert client.get("/demo/stories/nothing/").status_code == 404
    assert client.get("/demo/look-as/").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/demo/look-as/", {"role": "student"}).status_code == 403


@pytest.mark.usefixtures("person")
def test_outside_a_demo_nobody_is_let_in(client: Client) -> None:
    assert client.post("/demo/look-as/", {"role": "student"}).status_code == 404
    assert client.get("/demo/stories/runtime/").status_code == 404
    assert client.get("/").status_code == 302, "to the login"
    page = text(client, "/login/")
    assert "Simulated" not in page
    assert "look-as" not in page


# --- A new site ---------------------------------------------------------------------------------


def states(client: Client) -> list[str]:
    """The set-up's steps as the page shows them: done, missing, or optional."""
    return [line.state for line in client.get("/").context["checklist"]]


def run(*argv: str) -> None:
    call_command(*argv, stdout=StringIO(), stderr=StringIO())


def test_a_new_site_tells_its_steps_and_each_command_takes_one(client: Client, tmp_path: Path) -> None:
    page = text(client)
    assert states(client) == ["missing"] * 4 + ["optional", "missing"]
    assert "manage.py createsuperuser" in page
    assert "manage.py load_nodes nodes.txt --cluster NAME" in page
    assert "manage.py feed add NAME-nodes --kind slurm-nodes --cluster NAME" in page
    assert "docs/slurm.md" in page

    root = User.objects.create_superuser("root", password="a long password")
    assert client.get("/").status_code == 302, "from now on there is something to keep"
    client.force_login(root)
    assert states(client) == ["done", *["missing"] * 3, "optional", "missing"]

    (tmp_path / "nodes.csv").write_text(world.NODES)
    run("load_nodes", str(tmp_path / "nodes.csv"), "--cluster", "alpha")
    assert states(client)[:4] == ["done", "done", "missing", "missing"]
    assert "4 nodes are described." in text(client)
    assert "manage.py ingest_power power.csv --cluster alpha" in text(client)

    (tmp_path / "power.csv").write_text(world.power_csv())
    run("ingest_power", str(tmp_path / "power.csv"), "--cluster", "alpha")
    assert states(client)[:4] == ["done", "done", "done", "missing"]
    assert "Last seen: 10 Mar 2025, 12:00" in text(client)

    (tmp_path / "jobs.csv").write_text(
        "job_id,user,account,state,start,end,nodes\n1,alice,physics,COMPLETED,never,never,thin1\n"
    )
    with pytest.raises(SystemExit):
        run("ingest_jobs", str(tmp_path / "jobs.csv"), "--cluster", "alpha")
    assert states(client)[3] == "missing", "all of it was refused"

    world.build(tmp_path)
    assert client.get("/").context.get("checklist") is None, "complete: it is on /operations/ only"
    assert "Job records have come in." in text(client, "/operations/")


@pytest.mark.usefixtures("site")
def test_emissions_take_the_commands_that_the_set_up_names(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))

    def steps() -> dict[str, Line]:
        return {line.title: line for line in client.get("/operations/").context["checklist"]}

    pue, factor = "Power usage effectiveness (PUE)", "Emission factor"
    with override_settings(TIME_ZONE="Europe/Paris"):
        assert (steps()[pue].state, steps()[factor].state) == ("optional", "missing")
        commands = [command.split("manage.py ")[1].split() for command in steps()[factor].commands]
    assert commands == [["load_factors"], ["set_factors", "--cluster", "alpha", "--zone", "FR"]]
    for command in commands:
        run(*command)
    run("set_factors", "--cluster", "alpha", "--pue", "1.4", "--source", "report")
    assert (steps()[pue].state, steps()[factor].state) == ("done", "done")
    assert "A carbon intensity is declared: energy becomes emissions." in text(client, "/operations/")
    assert (steps()[pue].commands, steps()[factor].commands) == ((), ())

    later = Cluster.objects.create(name="later")
    assert (steps()[pue].state, steps()[factor].state) == ("done", "done"), "a typing error lacks nothing"
    Node.objects.create(cluster=later, name="l1")
    assert (steps()[pue].state, steps()[factor].state) == ("optional", "missing")
    assert steps()[factor].commands[1].endswith("set_factors --cluster later --zone CODE")


@pytest.mark.usefixtures("site")
def test_the_steps_are_of_the_cluster_looked_at_else_of_the_one_furthest_along(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    Batch.objects.filter(content="jobs").delete()
    Cluster.objects.create(name="aaa-typing-error")
    Node.objects.create(cluster=Cluster.objects.create(name="ab.c"), name="b1")

    def commands(query: str = "") -> list[str]:
        (jobs,) = [line for line in client.get(f"/operations/{query}").context["checklist"] if line.title == "Jobs"]
        return [command.split("manage.py ")[-1] for command in jobs.commands]

    assert commands()[0] == "feed add alpha-jobs --kind slurm-jobs --cluster alpha"
    assert [one for one in commands("?cluster=none") if "cluster" in one] == [
        one for one in commands() if "cluster" in one
    ]
    assert commands("?cluster=ab.c")[0] == "feed add ab-c-jobs --kind slurm-jobs --cluster ab.c"
    run(*commands("?cluster=ab.c")[0].split())
    run(*commands("?cluster=aaa-typing-error")[0].split())
    assert sorted(Feed.objects.values_list("name", "cluster__name")) == [
        ("aaa-typing-error-jobs", "aaa-typing-error"),
        ("ab-c-jobs", "ab.c"),
    ]
    (factor,) = [line for line in client.get("/operations/").context["checklist"] if line.title == "Emission factor"]
    assert "--cluster alpha" in factor.commands[1]
    (factor,) = [
        line for line in client.get("/operations/?cluster=ab.c").context["checklist"] if line.title == "Emission factor"
    ]
    assert "--cluster ab.c" in factor.commands[1]


def test_the_checklist_takes_four_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(4):
        checklist()


def test_the_steps_are_for_operators(client: Client, people: People) -> None:
    client.force_login(people.alice)
    page = text(client)
    assert "Set-up" not in page
    assert "createsuperuser" not in page
