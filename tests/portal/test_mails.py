"""What a mail says, that it ends by its own link, and the pages about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from measurements.models import Budget, Digest, DigestChoice, Edition, Membership, PageRead, Project
from measurements.selectors.digests import last_turn
from measurements.services.digests import Letter, choose, send_due
from portal.digest import compose, read_stop, stop_token
from tests.conftest import People
from tests.portal.board_world import make_board, make_edition, seat
from tests.portal.world import run
from tests.services.mail import MailServer, mail_server

WEEKLY, MONTHLY = Digest.Kind.WEEKLY, Digest.Kind.MONTHLY
WEEK, MARCH = date(2025, 3, 10), date(2025, 3, 1)
MONDAY_SIX = datetime(2025, 3, 17, 6, tzinfo=UTC)
SENDER = "energy@cluster.example"
CREW = tuple(f"crew{i}" for i in range(6))
NOBR = "\u00a0"


def job(number: int, user: str, at: str, minutes: int, state: str = "COMPLETED", node: str = "thin1") -> str:
    account = "physics" if node == "thin1" else "optics"
    begin = datetime.fromisoformat(at).replace(tzinfo=UTC)
    end = begin + timedelta(minutes=minutes)
    times = f"{int(begin.timestamp())},{int(end.timestamp())}"
    return f"{number},{user},{account},{state},{times},{node},{int(begin.timestamp())},train,4,,"


# thin1 draws 100 W all day. alice: 200 Wh in the week before, then 100 Wh and 50 Wh of a job that failed; each of
# the crew 50 Wh on a day of February, 100 Wh on one of March.
JOBS = [
    job(1, "alice", "2025-03-03T01:00", 120),
    job(2, "alice", "2025-03-10T01:00", 60),
    job(3, "alice", "2025-03-10T03:00", 30, "FAILED"),
    job(4, "dave", "2025-03-10T05:00", 60, node="dark1"),
    *(job(10 + i, name, f"2025-02-10T{2 * i:02d}:00", 30) for i, name in enumerate(CREW)),
    *(job(20 + i, name, f"2025-03-12T{2 * i:02d}:00", 60) for i, name in enumerate(CREW)),
]


@pytest.fixture
def two_weeks(people: People, own_var: Path, tmp_path: Path) -> People:
    """Booked, and the people have addresses."""
    minutes = [
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) + 60 * minute
        for day in ("2025-02-10", "2025-03-03", "2025-03-10", "2025-03-12", "2025-04-02")
        for minute in range(12 * 60 + 1)
    ]
    files = {
        "nodes.csv": "node,node_type,cpus,gpus,idle_w,rated_w\nthin1,thin,4,0,50,300\ndark1,dark,4,0,50,600\n",
        "power.csv": "timestamp,node,watts\n" + "".join(f"{t},thin1,100\n" for t in minutes),
        "jobs.csv": "job_id,user,account,state,start,end,nodes,submit,name,cpus,gpus,gpu_indices\n" + "\n".join(JOBS),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    run("load_nodes", tmp_path / "nodes.csv")
    run("ingest_power", tmp_path / "power.csv")
    run("ingest_jobs", tmp_path / "jobs.csv")
    run("attribute")
    for user in User.objects.all():
        User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.org")
    return people


@pytest.fixture
def vera(two_weeks: People) -> User:
    """Leads the project in which all of it ran, and runs nothing."""
    Membership.objects.create(project=Project.objects.create(name="physics"), username="vera", role="leader")
    return User.objects.create_user("vera", "vera@example.org")


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server, through which the site sends."""
    with (
        mail_server() as found,
        override_settings(**found.settings, DIGESTS="both", DEFAULT_FROM_EMAIL=SENDER),
    ):
        yield found


def written(user: User, kind: Digest.Kind = WEEKLY, first: date = WEEK) -> Letter:
    user.refresh_from_db()
    letter = compose(user, kind, first)
    assert letter is not None
    return letter


# --- what it says -----------------------------------------------------------------------------------------------------


def test_the_subject_says_the_energy_and_how_it_changed(two_weeks: People) -> None:
    assert written(two_weeks.alice).subject == "Your week: 150 Wh, 25 % less than the week before"


def test_text_and_html_say_the_same_figures(two_weeks: People) -> None:
    letter = written(two_weeks.alice)
    html = letter.html.replace(NOBR, " ").replace("&#x27;", "'")
    for sentence in (
        "Your week, Mon 10 Mar 2025 – Sun 16 Mar 2025",
        "Your jobs drew 150 Wh. In the week before it was 200 Wh: this is 25 % less.",
        "All of your jobs' time was measured.",
        "50.0 Wh (33.3 % of the energy) came to nothing: jobs that failed, timed out or were cancelled.",
    ):
        assert sentence in letter.text
        assert sentence in html
    assert NOBR not in letter.text + letter.subject


def test_the_best_advice_comes_as_one_thing_to_do(two_weeks: People, client: Client) -> None:
    with override_settings(WASTE_LEAST_KWH=0.0):
        letter = written(two_weeks.alice)
    assert letter.text.count("One thing to do:") == 1
    assert "/waste/?span=week&at=2025-03-10" in letter.text
    client.force_login(two_weeks.alice)
    assert client.get("/waste/?span=week&at=2025-03-10").status_code == 200


def test_links_name_the_period_and_lead_to_pages_that_are_there(two_weeks: People, client: Client) -> None:
    letter = written(two_weeks.alice)
    client.force_login(two_weeks.alice)
    links = re.findall(r"http://localhost:8000(\S*)", letter.text)
    assert "/?span=week&at=2025-03-10" in links
    assert "/?span=week&at=2025-03-10&group=state&metric=waste" in links
    assert [client.get(link).status_code for link in links] == [200] * len(links)
    assert set(re.findall(r'href="http://localhost:8000([^"]*)"', letter.html.replace("&amp;", "&"))) == set(links)


def test_the_text_has_no_words_of_its_own_for_the_catalogue_reads_the_html_alone() -> None:
    text, html = (
        set(re.findall(r'{% translate "(.*?)" %}', (settings.ROOT / "templates" / "mails" / name).read_text()))
        for name in ("digest.txt", "digest.html")
    )
    assert text
    assert text <= html


def test_a_mail_loads_nothing_and_follows_nobody(two_weeks: People) -> None:
    html = written(two_weeks.alice).html
    assert not re.search(r"<img|<script|<link|<iframe|url\(|@import|src=|<table", html)
    assert re.search(r'<meta name="color-scheme" content="light dark">', html)


def test_in_german_for_whoever_chose_it(two_weeks: People) -> None:
    choose("alice", language="de")
    letter = written(two_weeks.alice)
    assert '<html lang="de">' in letter.html
    with override_settings(DIGEST_LANGUAGE="de"):
        assert '<html lang="de">' in written(two_weeks.alice).html
        assert '<html lang="de">' in written(User.objects.create_user("crew0")).html
        choose("alice", language="en-gb")
        assert '<html lang="en-gb">' in written(two_weeks.alice).html


def test_without_a_job_in_both_times_there_is_nothing_to_say(two_weeks: People) -> None:
    assert compose(two_weeks.charlie, WEEKLY, WEEK) is None
    assert compose(two_weeks.alice, WEEKLY, date(2025, 3, 24)) is None


def test_a_week_without_a_job_is_said_when_the_one_before_had_some(two_weeks: People) -> None:
    letter = written(two_weeks.alice, first=date(2025, 3, 17))
    assert letter.subject == "Your week: no job ran"
    assert "None of your jobs ran. In the week before it was 150 Wh." in letter.text


def test_not_measured_is_neither_nothing_nor_zero(two_weeks: People) -> None:
    letter = written(User.objects.create_user("dave"))
    assert letter.subject == "Your week: jobs ran, but nothing was measured"
    assert "0 Wh" not in letter.text.replace("600 Wh", "")


def test_times_of_which_unlike_shares_were_measured_are_not_compared(two_weeks: People, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text(
        "job_id,user,account,state,start,end,nodes,submit,name,cpus,gpus,gpu_indices\n"
        + job(5, "alice", "2025-03-10T05:00", 120, node="dark1")
    )
    run("ingest_jobs", tmp_path / "more.csv")
    run("attribute")
    letter = written(two_weeks.alice)
    assert letter.subject == "Your week: 150 Wh"
    assert "as far as that was measured" in letter.text
    assert "Before, 100 % was measured: the two times cannot be held against each other." in letter.text
    assert "less" not in letter.text


def test_leaders_get_their_projects_month_by_the_rule_of_its_page(vera: User) -> None:
    letter = written(vera, MONTHLY, MARCH)
    assert letter.subject == "Your March 2025: project physics"
    # 6 × 100 Wh, alice's 350 Wh; in February 6 × 50 Wh
    assert "- physics: 950 Wh, 3.17 times as much." in letter.text
    assert "/?span" not in letter.text.split("- physics")[0]
    assert letter.projects == ("physics",)
    assert compose(vera, WEEKLY, WEEK) is None, "leaders see whole months"


def test_leaders_are_warned_of_a_budget_until_it_is_well_again(vera: User) -> None:
    budget = Budget.objects.create(
        project=Project.objects.get(), owner="vera", first=date(2025, 1, 1), last=date(2025, 12, 31), amount=0.35
    )
    letter = written(vera, MONTHLY, MARCH)
    budgets = letter.text.split("Budgets:")[1].split("http")[0]
    assert "- physics: " in budgets
    assert "% used" in budgets.replace(NOBR, " "), "300 Wh of February, and of March what may be shown"
    Budget.objects.filter(pk=budget.pk).update(amount=100.0)
    assert "Budgets:" not in written(User.objects.get(username="vera"), MONTHLY, MARCH).text


def test_leaders_get_no_figures_of_few_people(vera: User) -> None:
    with override_settings(SMALLEST_GROUP=10):
        vera = User.objects.get(username="vera")
        assert compose(vera, MONTHLY, MARCH) is None


def test_nobody_else_gets_a_projects_figures(vera: User, two_weeks: People) -> None:
    assert "physics" not in written(two_weeks.alice, MONTHLY, MARCH).text
    User.objects.filter(username="olga").update(is_superuser=True)
    assert compose(two_weeks.olga, MONTHLY, MARCH) is None, "who may see all is not written about all"


def test_a_simulated_cluster_says_so(two_weeks: People) -> None:
    with override_settings(JOULEBOOK_DEMO=True):
        letter = written(two_weeks.alice)
    assert letter.subject.endswith("(simulated)")
    assert "Simulated cluster" in letter.text
    assert "Simulated cluster" in letter.html


# --- sent, and ended by its own link ----------------------------------------------------------------------------------


def test_the_link_of_a_mail_that_arrived_ends_these_mails(
    two_weeks: People, server: MailServer, client: Client
) -> None:
    send_due(MONDAY_SIX)
    mails = dict(server.taken)
    assert sorted(mails) == ["alice@example.org"]
    assert mails["alice@example.org"]["Subject"] == "Your week: 150 Wh, 25 % less than the week before"
    link = mails["alice@example.org"]["List-Unsubscribe"].strip()  # it is folded
    assert re.fullmatch(r"<http://localhost:8000/mails/stop/[^/>]+/>", link)
    path = urlsplit(link.strip("<>")).path
    assert "alice" not in path
    page = client.get(path).content.decode()
    assert "You are about to end the weekly mail." in page
    assert not DigestChoice.objects.exists(), "programs that look at links end nothing"
    assert client.post(path).status_code == 200
    assert list(DigestChoice.objects.values_list("username", "weekly", "monthly")) == [("alice", False, True)]
    server.taken.clear()
    send_due(MONDAY_SIX + timedelta(days=7))
    assert server.taken == []


def test_one_click_needs_neither_cookie_nor_token_of_a_form(two_weeks: People) -> None:
    program = Client(enforce_csrf_checks=True)
    path = f"/mails/stop/{stop_token(two_weeks.alice, MONTHLY)}/"
    assert program.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert list(DigestChoice.objects.values_list("username", "monthly")) == [("alice", False)]


def test_one_click_is_offered_over_https_only(two_weeks: People) -> None:
    assert "List-Unsubscribe-Post" not in written(two_weeks.alice).headers
    with override_settings(SITE_URL=urlsplit("https://energy.example.org")):
        headers = written(two_weeks.alice).headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Unsubscribe"].startswith("<https://energy.example.org/mails/stop/")


@pytest.mark.parametrize("token", ["x", "WzEsIndlZWtseSJd:1xUk00:fTDJEQxsI9LYnBHUHR-74f1sUlqT2rYYAqJo9eZ9rgA"])
def test_a_token_of_nobody_ends_nothing(people: People, client: Client, token: str) -> None:
    assert read_stop(token) is None
    assert client.get(f"/mails/stop/{token}/").status_code == 404
    assert client.post(f"/mails/stop/{token}/").status_code == 404
    assert not DigestChoice.objects.exists()


def test_the_token_of_somebody_who_is_gone_ends_nothing(people: People, client: Client) -> None:
    token = stop_token(people.alice, WEEKLY)
    people.alice.delete()
    assert client.post(f"/mails/stop/{token}/").status_code == 404


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_keeps_what_a_person_wants(people: People, client: Client) -> None:
    client.force_login(people.alice)
    with override_settings(DIGESTS="both", DEFAULT_FROM_EMAIL=SENDER):
        assert client.get("/mails/").content.decode().count(" checked") == 2
        client.post("/mails/", {"monthly": "1", "language": "de"})
        assert client.get("/mails/").content.decode().count(" checked") == 1
    choice = DigestChoice.objects.get()
    assert (choice.username, choice.weekly, choice.monthly, choice.language) == ("alice", False, True, "de")


def test_a_kind_the_site_does_not_send_is_not_asked_for_and_not_changed(people: People, client: Client) -> None:
    client.force_login(people.alice)
    with override_settings(DIGESTS="monthly", DEFAULT_FROM_EMAIL=SENDER):
        assert 'name="weekly"' not in client.get("/mails/").content.decode()
        client.post("/mails/", {"language": "en-gb"})
    choice = DigestChoice.objects.get()
    assert (choice.weekly, choice.monthly) == (True, False)


@pytest.mark.parametrize("language", ["", "tlh", "../../x"])
def test_a_language_that_is_none_changes_nothing(people: People, client: Client, language: str) -> None:
    client.force_login(people.alice)
    client.post("/mails/", {"language": language})
    assert not DigestChoice.objects.exists()


def test_the_page_shows_ones_own_mails_only(people: People, client: Client) -> None:
    for name, state, error in (("alice", "failed", "the mail server refused it: 550"), ("bob", "failed", "of bob")):
        Digest.objects.create(
            username=name, kind=WEEKLY, first=WEEK, state=state, error=error, claimed_at=MONDAY_SIX, attempts=1
        )
    client.force_login(people.alice)
    page = client.get("/mails/").content.decode()
    assert "the mail server refused it: 550" in page
    assert "of bob" not in page


def test_the_page_says_when_no_mail_is_sent_or_no_address_known(people: People, client: Client) -> None:
    client.force_login(people.alice)
    assert "This site sends no mails." in client.get("/mails/").content.decode()
    with override_settings(DIGESTS="both", DEFAULT_FROM_EMAIL=SENDER):
        assert "No mail address is known of you" in client.get("/mails/").content.decode()


def test_the_preview_is_the_mail_itself(two_weeks: People, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.views.mails.timezone.localdate", lambda *_: date(2025, 3, 17))
    client.force_login(two_weeks.alice)
    answer = client.get("/mails/preview/weekly/")
    assert re.sub("stop/[^/]+", "", answer.content.decode()) == re.sub("stop/[^/]+", "", written(two_weeks.alice).html)
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}='$", answer["Content-Security-Policy"])
    text = client.get("/mails/preview/weekly/?format=text")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert text.content.decode().startswith("Subject: Your week: 150 Wh, 25 % less than the week before\n\nYour week,")
    assert not Digest.objects.exists()


def test_a_preview_with_nothing_to_say_says_so(people: People, client: Client) -> None:
    client.force_login(people.charlie)
    assert "so no mail would be sent" in client.get("/mails/preview/monthly/").content.decode()
    assert client.get("/mails/preview/daily/").status_code == 404


def test_who_looks_at_a_preview_with_a_projects_sums_is_noted(
    vera: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.views.mails.timezone.localdate", lambda *_: date(2025, 4, 2))
    client.force_login(vera)
    assert "950" in client.get("/mails/preview/monthly/").content.decode()
    assert list(PageRead.objects.values_list("reader", "project", "page")) == [("vera", "physics", "mail")]


# --- the command ------------------------------------------------------------------------------------------------------


def told(*words: str) -> str:
    out = StringIO()
    call_command("send_digests", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def at_monday(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's clock."""
    monkeypatch.setattr("measurements.management.commands.send_digests.now", lambda: MONDAY_SIX)


def test_the_command_shows_what_would_be_sent_and_sends_nothing(two_weeks: People, at_monday: None) -> None:
    text = told("--kind", "weekly", "--dry-run", "--user", "alice")
    assert "Subject: Your week: 150 Wh, 25 % less than the week before" in text
    [row] = json.loads(told("--kind", "weekly", "--dry-run", "--user", "alice", "--json"))["mails"]
    assert (row["user"], row["kind"], row["first"], row["state"]) == ("alice", "weekly", "2025-03-10", "shown")
    assert not Digest.objects.exists()


def test_the_command_sends_once(two_weeks: People, server: MailServer, at_monday: None) -> None:
    first = json.loads(told("--kind", "weekly", "--json"))["mails"]
    assert {(row["user"], row["state"]) for row in first} == {
        ("alice", "sent"), ("bob", "quiet"), ("charlie", "quiet"), ("olga", "quiet"),
    }  # fmt: skip
    assert json.loads(told("--kind", "weekly", "--json"))["mails"] == []
    assert len(server.taken) == 1


def test_the_command_fails_when_a_mail_does(two_weeks: People, server: MailServer, at_monday: None) -> None:
    server.refused["alice@example.org"] = "550 no"
    with pytest.raises(CommandError, match="not every mail could be sent") as fault:
        told("--user", "alice")
    assert fault.value.returncode == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [((), "this site sends no mails"), (("--user", "nobody", "--dry-run"), "no user 'nobody'")],
)
def test_the_command_says_what_is_missing(db: None, words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        told(*words)


def test_last_turns_of_the_command_are_those_of_the_chore() -> None:
    assert last_turn(WEEKLY, MONDAY_SIX.date()).first == WEEK


def test_a_mail_says_that_one_is_in_an_edition_under_review(two_weeks: People) -> None:
    before = compose(two_weeks.alice, WEEKLY, WEEK)
    assert before is not None
    edition = make_edition(make_board("idle", kind="idle_accelerators", scope="project"), Edition.State.REVIEW, 1)
    seat(edition, "alice", "physics", project="physics")
    for user, told in ((two_weeks.alice, True), (two_weeks.bob, False)):
        letter = compose(user, WEEKLY, WEEK)
        said = f"{letter.text} {letter.html}" if letter else ""
        assert (said.count("You are in an edition of “Board idle” that is under review until") == 2) == told
        assert (said.count("/leaderboards/idle/1/review/") == 2) == told
        assert "4711" not in said, "the figures are on the page alone"
    assert "under review" not in before.text
