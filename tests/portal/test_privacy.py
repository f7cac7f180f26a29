"""`/privacy/` says what holds, who looked is noted and shown, and everybody takes away their own data and no more."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zipfile import ZipFile

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Sum
from django.http import HttpResponseBase
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from measurements.models import (
    Board,
    BoardEvent,
    Budget,
    Cluster,
    Digest,
    DigestChoice,
    Dismissal,
    Edition,
    FactorImport,
    IntensitySeries,
    Job,
    JobTags,
    Membership,
    NameConsent,
    Objection,
    PageRead,
    Project,
    Report,
    Seat,
    SiteFactor,
    Statement,
    Supply,
    TagEdit,
    WorkloadJob,
)
from measurements.selectors.own_data import EXEMPT, LEFT_OUT, OWN
from measurements.selectors.seats import whose
from measurements.services.audit import Page, note_project_read, note_reads
from portal import privacy
from portal.archives import archive
from portal.privacy_tables import kept
from tests.conftest import People
from tests.portal.world import DAY

URL, DATA = "/privacy/", "/privacy/my-data.zip"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODE = "/clusters/alpha/nodes/mixed1/?span=week&end=2025-03-12T00:00Z"
PHYSICS = f"/api/v1/projects/physics?since={DAY}"


def page(client: Client, language: str = "en-gb") -> str:
    response = client.get(URL, headers={"accept-language": language})
    assert response.status_code == 200
    return response.content.decode()


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def sent(response: HttpResponseBase) -> bytes:
    return response.getvalue()


def noted() -> set[tuple[str, str, str, str, int]]:
    """Who read what how often: a row is of one day, which may turn between two reads."""
    what = ("reader", "username", "project", "page")
    return set(PageRead.objects.order_by().values(*what).annotate(times=Sum("count")).values_list(*what, "times"))


# --- Who looked is noted -------------------------------------------------------------------------

LOOKED = [
    ("/jobs/alpha/123/", {("alice", "", "job")}),
    ("/jobs/alpha/123/?format=csv", {("alice", "", "job")}),
    ("/jobs/alpha/36_1/", {("alice", "", "job"), ("bob", "", "node")}),
    ("/jobs/?user=bob", {("bob", "", "jobs")}),
    ("/jobs/", {("alice", "", "jobs"), ("bob", "", "jobs")}),
    ("/jobs.csv?user=alice", {("alice", "", "jobs table")}),
    ("/jobs.csv?format=json", {("alice", "", "jobs table"), ("bob", "", "jobs table")}),
    ("/jobs/compare/?job=alpha/123&job=alpha/300", {("alice", "", "comparison"), ("bob", "", "comparison")}),
    (NODE, {("alice", "", "node"), ("bob", "", "node")}),
    ("/api/v1/jobs/alpha/300", {("bob", "", "api job")}),
    ("/api/v1/jobs/alpha/36_*", {("alice", "", "api job"), ("bob", "", "api job")}),
    (PHYSICS, {("", "physics", "api project")}),
    ("/projects/physics/", {("", "physics", "project")}),
    ("/projects/physics/energy.csv", {("", "physics", "project table")}),
]


@pytest.mark.parametrize(("address", "wanted"), LOOKED, ids=[address for address, _ in LOOKED])
def test_whose_jobs_an_operator_is_shown_is_noted(
    site: None, people: People, address: str, wanted: set[tuple[str, str, str]]
) -> None:
    client = logged_in(people.olga)
    for _ in range(2):
        response = client.get(address)
        assert response.status_code == 200
        sent(response)
    assert noted() == {("olga", *subject, 2) for subject in wanted}


@pytest.mark.parametrize("address", [a for a, _ in LOOKED])
def test_what_is_one_s_own_and_what_is_not_shown_is_not_noted(site: None, people: People, address: str) -> None:
    for user in (people.alice, people.charlie):
        sent(logged_in(user).get(address))
    assert noted() == set()


def test_who_names_a_job_that_they_may_not_see_has_not_seen_it(site: None, people: People) -> None:
    assert logged_in(people.charlie).get("/jobs/alpha/123/").status_code == 404
    assert logged_in(people.alice).get("/jobs/compare/?job=alpha/123&job=alpha/300").status_code == 404
    assert noted() == set()


@pytest.fixture
def unwritable(site: None, people: People) -> None:
    """Nothing can be noted."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE measurements_pageread RENAME TO gone")


@pytest.mark.parametrize("address", ["/jobs/alpha/123/", "/jobs/", NODE, "/api/v1/jobs/alpha/123", PHYSICS])
def test_what_cannot_be_noted_is_not_shown(unwritable: None, people: People, address: str) -> None:
    response = logged_in(people.olga).get(address)
    assert response.status_code == 503
    for word in (b"wide", b"alice", b"966000", b"kWh"):
        assert word not in sent(response)
    assert b"noted" in sent(response)


def test_one_s_own_pages_do_not_depend_on_it(unwritable: None, people: People) -> None:
    for address in ("/", "/jobs/", "/jobs/alpha/123/", "/api/v1/jobs/alpha/123"):
        assert logged_in(people.alice).get(address).status_code == 200


def test_a_table_breaks_off_before_the_first_row_that_cannot_be_noted(unwritable: None, people: People) -> None:
    with pytest.raises(Exception, match="olga reads"):
        sent(logged_in(people.olga).get("/jobs.csv"))


# --- Who looked is shown -------------------------------------------------------------------------


def reads_table(client: Client) -> str:
    return page(client).split('id="looked"')[1].split("</section>")[0]


def test_a_person_sees_who_looked_and_others_do_not(site: None, people: People) -> None:
    logged_in(people.olga).get("/jobs/alpha/123/")
    note_project_read("victor", ["physics"], Page.PROJECT, timezone.now())
    alices, bobs = (reads_table(logged_in(user)) for user in (people.alice, people.bob))
    assert "olga" in alices
    assert "a job&#x27;s page: your jobs" in alices
    assert "olga" not in bobs
    for shown in (alices, bobs):
        assert "the project&#x27;s page: physics" in shown
    assert "Nobody but you" in reads_table(logged_in(people.charlie))
    assert 'id="looked"' not in page(Client())


def test_a_long_list_ends_with_where_the_rest_is(db: None, people: People) -> None:
    for i in range(201):
        note_reads(f"reader{i:03}", ["alice"], Page.JOB, timezone.now())
    shown = reads_table(logged_in(people.alice))
    assert shown.count("<tr") == 201
    assert "The newest 200" in shown


def test_each_page_that_is_noted_has_a_name() -> None:
    assert set(privacy.PAGES) == set(Page)
    names = [privacy.page_name(kind) for kind in Page]
    assert len(set(names)) == len(names)
    assert privacy.page_name("of an older version") == "of an older version"


# --- The page says what holds --------------------------------------------------------------------


def test_it_needs_no_login_and_every_page_leads_there(db: None, client: Client) -> None:
    assert "not for appraising anybody" in page(client)
    assert 'lang="de"' in page(client, "de")
    assert f'href="{URL}"' in client.get("/login/").content.decode().split("<footer")[1]


def test_a_setting_that_changes_changes_the_page(db: None, client: Client) -> None:
    shown = page(client)
    for words in (
        "at least 5 people besides",
        ">totals<",
        "365 days",
        "people no mails",
        "JOULEBOOK_CONTACT",
        "14\u00a0d",
    ):
        assert words in shown, words
    with override_settings(
        LEADER_SEES="names", SMALLEST_GROUP=7, AUDIT_KEEP_DAYS=91, CONTACT="ask@example.org", DIGESTS="both",
        DEFAULT_FROM_EMAIL="energy@example.org", SESSION_COOKIE_AGE=3 * 86_400, LANGUAGE_COOKIE_AGE=5 * 86_400,
    ):  # fmt: skip
        shown = page(client)
    for words in (
        "its members by name", ">names<", "<strong>7</strong>", "91 days", "mailto:ask@example.org",
        "weekly and monthly mails with their figures from energy@example.org", "3\u00a0d", "5\u00a0d",
    ):  # fmt: skip
        assert words in shown, words
    assert "Your name beside a figure" not in shown


@pytest.mark.parametrize("sees", ["totals", "pseudonyms", "names"])
def test_each_way_of_what_leaders_see_is_said(db: None, client: Client, sees: str) -> None:
    with override_settings(LEADER_SEES=sees):
        said = privacy.leader_sentences()
        shown = page(client)
    assert escape(said[sees]) in shown
    assert not any(escape(sentence) in shown for kind, sentence in said.items() if kind != sees)


def test_leaderboards_of_people_are_named_as_they_are_set(db: None, client: Client) -> None:
    off, on = "No leaderboard compares people.", "can object, before it is published"
    shown = page(client)
    assert off in shown
    assert "Which place is yours" not in shown
    assert f"<strong>{settings.BOARDS_REVIEW_DAYS}</strong>" in shown
    assert on in shown
    with override_settings(BOARDS_OF_PERSONS=True, BOARDS_REVIEW_DAYS=23):
        shown = page(client)
    assert off not in shown
    assert "Which place is yours" in shown
    assert "bands of several under made-up names" in shown
    assert "<strong>23</strong>" in shown


def test_it_says_how_many_may_see_every_job(db: None, client: Client, people: People) -> None:
    assert "Operators who may see every job: 1 person" in page(client)
    for name in ("fred", "freda"):
        user = User.objects.create_user(name, is_active=name == "fred")
        user.user_permissions.add(Permission.objects.get(codename="view_all_jobs"))
    assert "Operators who may see every job: 2 people" in page(client)


def test_the_site_sets_no_cookie_that_is_not_named(site: None, people: People) -> None:
    people.alice.set_password("secret")
    people.alice.save()
    client = Client()
    client.get("/login/")
    client.post("/login/", {"username": "alice", "password": "secret"})
    client.post("/language/setlang/", {"language": "de", "next": "/"})
    for address in ("/", "/jobs/", URL, "/jobs/alpha/123/"):
        client.get(address)
    assert set(client.cookies) == {"csrftoken", "sessionid", "django_language"}
    assert set(client.cookies) | {"messages"} == {cookie.name for cookie in privacy.cookies()}
    assert "csrftoken</code>" in page(client)


def test_ten_queries_are_enough_however_many_looked(site: None, people: People) -> None:
    client = logged_in(people.alice)
    counts = []
    for many in (1, 50):
        for i in range(many):
            note_reads(f"reader{i}", ["alice"], Page.JOB, timezone.now())
        with CaptureQueriesContext(connection) as seen:
            page(client)
        counts.append(len(seen.captured_queries))
    assert counts[0] == counts[1] <= 10


# --- Every table that names persons is named -----------------------------------------------------

NAMING = {"username", "user", "reader", "author", "owner", "created_by", "drafted_by", "edited_by", "answered_by"}


def names_persons(model: type[models.Model], seen: frozenset[type[models.Model]] = frozenset()) -> bool:
    """A field that holds a name, a reference to a login, or one to such a row of a job."""
    for field in model._meta.concrete_fields:
        if field.name in NAMING or field.related_model is User:
            return True
        above: Any = field.related_model
        if above and above not in seen | {model} and hangs_on_a_job(above):
            return True
    return model is User


def hangs_on_a_job(model: type[models.Model]) -> bool:
    if model is Job:
        return True
    above = [f.related_model for f in model._meta.concrete_fields if f.related_model not in (None, model)]
    return any(isinstance(one, type) and hangs_on_a_job(one) for one in above)


def test_tables_that_name_persons_are_found() -> None:
    found = {m._meta.label for m in apps.get_models(include_auto_created=True) if names_persons(m)}
    assert {"auth.User", "auth.User_groups", "measurements.Allocation", "measurements.AllocationEnergy"} <= found
    assert {"measurements.Statement", "measurements.SiteFactor", "measurements.PageRead"} <= found
    assert not {"measurements.NodeDay", "measurements.TypeDay", "measurements.Project", "auth.Group"} & found


def test_every_model_that_names_persons_can_be_taken_away_or_is_exempt_for_a_reason() -> None:
    found = {m._meta.label for m in apps.get_models(include_auto_created=True) if names_persons(m)}
    assert found - {own.model._meta.label for own in OWN} == set(EXEMPT)
    assert all(EXEMPT.values())


def test_every_table_has_its_purpose_and_each_once() -> None:
    named = [name for row in kept() for name in row.tables]
    assert sorted(named) == sorted(own.name for own in OWN)
    assert all(row.what and row.purpose and row.keeping for row in kept())


def test_fields_are_the_models_own_and_what_is_left_out_has_its_reason(db: None, client: Client) -> None:
    shown = page(client)
    for own in OWN:
        assert ", ".join(own.columns()).replace("'", "&#x27;") in shown
        known = {field.name for field in own.model._meta.concrete_fields}
        assert set(own.left_out) <= known
        assert len(own.columns()) == len(known) - len(own.left_out), own.name
    assert {name for own in OWN for name in own.left_out} == set(LEFT_OUT)


# --- One's own data ------------------------------------------------------------------------------


def mark(who: str, user: User) -> None:
    """A row in each table beside those of jobs, all of whose words name this person."""
    cluster, at = Cluster.objects.get(), timezone.now()
    group = Group.objects.create(name=f"{who}-group")
    user.groups.add(group)
    content = ContentType.objects.get_for_model(Job)
    user.user_permissions.add(Permission.objects.create(name=f"{who}-right", content_type=content, codename=who))
    project = Project.objects.create(name=f"{who}-project")
    series = IntensitySeries.objects.create(slug=f"{who}-series", zone="DE", basis="direct", mix="production")
    rows: list[models.Model] = [
        Membership(project=project, username=who),
        Budget(project=project, owner=who, first=date(2026, 1, 1), last=date(2026, 2, 1), amount=1, note=f"{who}-note"),
        Report(sha256=f"{who}-sha", username=who, created_at=at, body=f"{who}-body"),
        Dismissal(username=who, advice="memory", subject=f"{who}-subject", dismissed_at=at),
        DigestChoice(username=who, weekly=False),
        Digest(username=who, kind="weekly", first=date(2026, 1, 5), claimed_at=at, error=f"{who}-error"),
        PageRead(reader=f"{who}-reader", username=who, page="job", day=date(2026, 1, 5), last_at=at),
        PageRead(reader=f"{who}-leader", project=f"{who}-project", page="project", day=date(2026, 1, 5), last_at=at),
        PageRead(reader=who, username="somebody", page=f"{who}-page", day=date(2026, 1, 5), last_at=at),
        SiteFactor(cluster=cluster, kind="pue", value=1.2, author=who, reason=f"{who}-reason", created_at=at),
        Supply(cluster=cluster, author=who, reason=f"{who}-supply", created_at=at),
        FactorImport(series=series, source=f"{who}-file", author=who, created_at=at),
        Statement(cluster=cluster, year=2000 + user.pk, edition=1, figures="{}", sha256=f"{who}-closed", closed_by=user,
                  closed_at=at, reason=f"{who}-why"),
        LogEntry(user=user, object_repr="somebody", action_flag=2, content_type=content),
        *of_boards_and_tags(who),
    ]  # fmt: skip
    for row in rows:
        row.save()
    Job.objects.filter(username=who).update(comment=f"{who}-comment", admin_comment=f"=1+1 {who}")


def of_boards_and_tags(who: str) -> list[models.Model]:
    """As `mark`: somebody else answered their objection, and they somebody else's."""
    job = Job.objects.filter(username=who).order_by("pk")[0]
    board = Board.objects.create(
        slug=f"{who}-board",
        title="Failed energy",
        kind="failed_energy",
        scope="user",
        created_by="olga",
        created_at=NOON,
    )
    days = {"first": date(2026, 1, 1), "last": date(2026, 1, 31), "drafted_at": NOON}
    edition = Edition.objects.create(board=board, number=1, drafted_by="olga", frozen="{}", **days)
    return [
        WorkloadJob(
            job=job, cluster=job.cluster, username=who, account="physics", workload=f"{who}-workload", excused=False,
            nodes=1, gpus=0, start_ms=0, end_ms=1, runtime_s=1, held_s=1, energy_j=1, gpu_energy_j=0, gpu_held_s=0,
            gpu_idle_s=0, gpu_idle_j=0, coverage=1, quality="metered", scope=1, lot=0,
        ),
        JobTags(job=job, size=f"{who}-size", size_origin="comment"),
        TagEdit(job=job, workload=f"{who}-workload", edited_by=who, edited_at=NOON),
        Seat(edition=edition, whose=whose(edition.pk, who), pseudonym=f"{who}-pseudonym", own={"jobs": 3}),
        Objection(edition=edition, username=who, at=NOON, text=f"{who}-text", answered_by=who),
        NameConsent(board=board, username=who, given_at=NOON),
        BoardEvent(board=board, at=NOON, username=who, what="drafted", note=f"{who}-event"),
    ]  # fmt: skip


@pytest.fixture
def marked(site: None, people: People) -> People:
    """alice and bob have a row in each table."""
    for who, user in (("alice", people.alice), ("bob", people.bob)):
        mark(who, user)
    return people


def taken(user: User) -> dict[str, str]:
    response = logged_in(user).get(DATA)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/zip"
    assert "no-store" in response.headers["Cache-Control"]
    with ZipFile(io.BytesIO(sent(response))) as files:
        assert files.testzip() is None
        return {name: files.read(name).decode() for name in files.namelist()}


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


ALL_OF: dict[str, Callable[[str], int]] = {
    "jobs": lambda who: Job.objects.filter(username=who).count(),
    "reads-by-others": lambda who: 2,
    "groups": lambda who: 1,
}


def test_every_table_has_all_rows_of_the_person(marked: People) -> None:
    files = taken(marked.alice)
    assert set(files) == {"read-me.txt", *(f"{own.name}.csv" for own in OWN)}
    for own in OWN:
        rows = lines(files[f"{own.name}.csv"])
        assert rows, own.name
        assert len(rows) == own.rows("alice").count()
        assert list(rows[0]) == list(own.columns())
    for name, count in ALL_OF.items():
        assert len(lines(files[f"{name}.csv"])) == count("alice")
    for own in OWN:
        assert f"{own.name}.csv" in files["read-me.txt"]


def test_nothing_of_anybody_else_is_in_it(marked: People) -> None:
    for mine, other in ((marked.alice, "bob"), (marked.bob, "alice")):
        whole = "\n".join(taken(mine).values())
        assert other not in whole
        assert "somebody" not in whole  # at whose page one looked
        for word in ("-comment", "-group", "-right", "-project", "-note", "-body", "-reader", "-leader", "-closed"):
            assert mine.get_username() + word in whole
        assert mine.password not in whole


def test_all_rows_of_all_people_together_are_all_rows(marked: People) -> None:
    """Else a table could lack rows that its own lookup does not find."""
    for own in OWN:
        if own.name in ("account", "reads-of-others", "reads-by-others"):
            continue
        ours = sum(own.rows(who).count() for who in ("alice", "bob"))
        assert ours == own.model._default_manager.count(), own.name


def test_packed_figures_are_written_out_and_formulas_are_harmless(marked: People) -> None:
    files = taken(marked.alice)
    for row in lines(files["ledger.csv"]):
        assert sum(map(float, row["quarters"].split())) == pytest.approx(float(row["energy_j"]))
    assert {row["admin_comment"] for row in lines(files["jobs.csv"])} == {"'=1+1 alice"}


def test_rows_lead_to_each_other(marked: People) -> None:
    files = taken(marked.alice)
    keys = {name: {row["row"] for row in lines(files[f"{name}.csv"])} for name in ("jobs", "runs", "allocations")}
    for name, column, target in (
        ("runs", "job_row", "jobs"), ("allocations", "run_row", "runs"), ("ledger", "allocation_row", "allocations"),
        ("job-energy", "job_row", "jobs"),
    ):  # fmt: skip
        assert {row[column] for row in lines(files[f"{name}.csv"])} <= keys[target]


def test_only_who_is_logged_in_has_data_and_only_their_own(marked: People, client: Client) -> None:
    assert client.get(DATA).status_code == 302
    assert logged_in(marked.alice).post(DATA).status_code == 405
    assert taken(marked.charlie)["jobs.csv"].count("\r\n") == 1
    whole = "\n".join(taken(User.objects.get(username="olga")).values())
    assert "alice" not in whole


def test_reading_one_s_own_data_is_not_noted(marked: People) -> None:
    before = noted()
    taken(marked.alice)
    assert noted() == before


def test_an_archive_is_sent_piece_by_piece() -> None:
    asked: list[int] = []

    def text() -> Any:
        for i in range(100):
            asked.append(i)
            yield f"{i:06}\r\n" * 10_000

    pieces = archive([("a.txt", text()), ("ä.txt", ["grün"])])
    first = next(pieces)
    assert first
    assert asked == [0]
    with ZipFile(io.BytesIO(first + b"".join(pieces))) as files:
        assert files.read("ä.txt").decode() == "grün"
        assert len(files.read("a.txt")) == 100 * 10_000 * 8
