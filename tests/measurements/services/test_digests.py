"""Mails: to whom, when, once; against a real mail server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from measurements.models import Cluster, Digest, DigestChoice, DirtyDay, PageRead
from measurements.selectors.digests import Turn, addressees, last_turn, turns_due
from measurements.services import digests
from measurements.services.digests import IN_DOUBT, Letter, choose, claim, forget_digests, send_due, send_turns
from tests.services.mail import MailServer, mail_server

WEEKLY, MONTHLY = Digest.Kind.WEEKLY, Digest.Kind.MONTHLY
MONDAY_SIX = datetime(2026, 3, 9, 5, tzinfo=UTC)  # 06:00 in Berlin
WEEK = Turn(WEEKLY, date(2026, 3, 2), date(2026, 3, 8))
HOUR = timedelta(hours=1)
LATER = timedelta(hours=1, minutes=1)  # a mail is claimed a little after its turn began
SENDER = "Joulebook <energy@cluster.example>"


def compose(user: User, kind: Digest.Kind, first: date) -> Letter | None:
    """A mail that says who it is for; charlie ran nothing, and of mallory's week nothing can be made."""
    if user.username == "charlie":
        return None
    if user.username == "mallory":
        raise ZeroDivisionError
    text = f"Grüße an {user.username}: 12,3 kWh, {first} – CO₂e"
    return Letter(f"Ihre Woche für {user.username}: 8 % weniger", text, f"<p>{text}</p>", {"X-Kind": str(kind)})


@pytest.fixture
def server(db: None) -> Iterator[MailServer]:
    """A mail server, and a site that sends both kinds through it."""
    with (
        mail_server() as found,
        override_settings(
            **found.settings,
            DIGESTS="both",
            DEFAULT_FROM_EMAIL=SENDER,
            DIGEST_COMPOSER=f"{__name__}.compose",
            TIME_ZONE="Europe/Berlin",
        ),
    ):
        yield found


def person(name: str, **more: Any) -> User:
    return User.objects.create_user(name, f"{name}@example.org", **more)


def states() -> dict[str, str]:
    return dict(Digest.objects.values_list("username", "state"))


# --- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "weekly", "monthly"),
    [
        (date(2026, 3, 9), (date(2026, 3, 2), date(2026, 3, 8)), (date(2026, 2, 1), date(2026, 2, 28))),
        (date(2026, 3, 15), (date(2026, 3, 2), date(2026, 3, 8)), (date(2026, 2, 1), date(2026, 2, 28))),
        (date(2027, 1, 1), (date(2026, 12, 21), date(2026, 12, 27)), (date(2026, 12, 1), date(2026, 12, 31))),
    ],
)
def test_a_period_is_a_week_from_monday_or_a_month(
    today: date, weekly: tuple[date, date], monthly: tuple[date, date]
) -> None:
    assert last_turn(WEEKLY, today) == Turn(WEEKLY, *weekly)
    assert last_turn(MONTHLY, today) == Turn(MONTHLY, *monthly)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (MONDAY_SIX - timedelta(seconds=1), []),
        (MONDAY_SIX, [WEEKLY]),
        (MONDAY_SIX + timedelta(days=3) - HOUR, [WEEKLY]),
        (MONDAY_SIX + timedelta(days=3), []),  # switched on later in the week: nobody gets old news
        (datetime(2026, 6, 1, 4, tzinfo=UTC), [WEEKLY, MONTHLY]),  # in summer 06:00 is 04:00 UTC
        (datetime(2026, 6, 1, 3, 59, tzinfo=UTC), []),
    ],
)
def test_mails_are_due_at_six_in_the_sites_zone(server: MailServer, at: datetime, due: list[Digest.Kind]) -> None:
    assert [turn.kind for turn in turns_due(at)] == due


@pytest.mark.parametrize(("setting", "kinds"), [("off", []), ("weekly", [WEEKLY]), ("monthly", []), ("both", [WEEKLY])])
def test_the_site_says_which_kinds_are_sent(server: MailServer, setting: str, kinds: list[Digest.Kind]) -> None:
    with override_settings(DIGESTS=setting):
        assert [turn.kind for turn in turns_due(MONDAY_SIX)] == kinds


def test_without_a_sender_nothing_is_ever_sent(server: MailServer) -> None:
    person("alice")
    with override_settings(DEFAULT_FROM_EMAIL=""):
        assert send_due(MONDAY_SIX) == []
        assert list(send_turns([WEEK], MONDAY_SIX)) == []
    assert (server.taken, states()) == ([], {})


def test_a_week_that_is_still_being_booked_waits_for_a_day_at_most(server: MailServer) -> None:
    cluster = Cluster.objects.create(name="c")
    DirtyDay.objects.create(cluster=cluster, day=date(2026, 3, 9), version=1)  # today is never done
    assert turns_due(MONDAY_SIX) == [WEEK]
    DirtyDay.objects.create(cluster=cluster, day=date(2026, 3, 8), version=1)
    assert turns_due(MONDAY_SIX + 23 * HOUR) == []
    assert turns_due(MONDAY_SIX + 24 * HOUR) == [WEEK]


# --- to whom ----------------------------------------------------------------------------------------------------------


def test_only_active_people_with_an_address_who_want_it_get_it(server: MailServer) -> None:
    for name in ("alice", "bob", "dave"):
        person(name)
    person("gone", is_active=False)
    User.objects.create_user("erin")
    choose("bob", weekly=False)
    choose("dave", monthly=False)
    assert [user.username for user in addressees(WEEK, MONDAY_SIX)] == ["alice", "dave"]
    send_due(MONDAY_SIX)
    assert [to for to, _ in server.taken] == ["alice@example.org", "dave@example.org"]


def test_a_choice_leaves_the_other_one_alone(db: None) -> None:
    choose("alice", weekly=False)
    choose("alice", monthly=False)
    choose("alice", weekly=True)
    choice = DigestChoice.objects.get()
    assert (choice.weekly, choice.monthly) == (True, False)


# --- what arrives -----------------------------------------------------------------------------------------------------


def test_what_arrives_has_both_parts_umlauts_and_the_headers_of_a_machine(server: MailServer) -> None:
    person("alice")
    send_due(MONDAY_SIX)
    [(_, mail)] = server.taken
    assert mail["Subject"] == "Ihre Woche für alice: 8 % weniger"
    assert (mail["From"], mail["To"]) == (SENDER, "alice@example.org")
    assert (mail["Auto-Submitted"], mail["X-Kind"]) == ("auto-generated", "weekly")
    assert mail["Message-ID"].startswith("<weekly.2026-03-02.")
    assert "alice" not in mail["Message-ID"]
    assert mail.get_content_type() == "multipart/alternative"
    plain, html = mail.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    for part in (plain, html):
        assert "Grüße an alice: 12,3 kWh, 2026-03-02 – CO₂e" in part.get_content()
    digest = Digest.objects.get()
    assert (digest.state, digest.attempts, digest.sent_at, digest.error) == ("sent", 1, digest.claimed_at, "")


def test_who_has_nothing_to_read_gets_nothing_and_is_not_asked_again(server: MailServer) -> None:
    person("charlie")
    send_due(MONDAY_SIX)
    assert send_due(MONDAY_SIX + HOUR) == []
    assert (server.taken, states()) == ([], {"charlie": "quiet"})


def test_whose_mail_cannot_be_composed_stops_nobody_else(server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("mallory", "nina"):
        person(name)
    send_due(MONDAY_SIX)
    assert states() == {"mallory": "failed", "nina": "sent"}
    assert Digest.objects.get(username="mallory").error == "unexpected ZeroDivisionError: see the log"
    assert "ZeroDivisionError" in caplog.text


def test_an_address_that_is_none_fails_before_the_server_is_asked(server: MailServer) -> None:
    User.objects.create_user("alice", email="alice@ex\nBcc: all@example.org")
    send_due(MONDAY_SIX)
    assert (server.taken, states()) == ([], {"alice": "failed"})


def test_members_see_that_their_projects_sums_were_mailed(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_project(user: User, kind: Digest.Kind, first: date) -> Letter:
        return Letter("s", "t", "<p>t</p>", projects=("imaging",))

    person("victor")
    monkeypatch.setattr(digests, "composer", lambda: with_project)
    send_due(MONDAY_SIX)
    assert list(PageRead.objects.values_list("reader", "project", "page")) == [("victor", "imaging", "mail")]


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_mail_is_sent_once_however_often_it_is_due(server: MailServer) -> None:
    person("alice")
    for hours in range(30):
        send_due(MONDAY_SIX + hours * LATER)
    assert len(server.taken) == 1


def test_who_comes_second_leaves_a_claimed_mail_alone_for_an_hour(server: MailServer) -> None:
    person("alice")
    assert claim("alice", WEEK, MONDAY_SIX) is not None  # and then its process died
    assert claim("alice", WEEK, MONDAY_SIX) is None
    assert send_due(MONDAY_SIX + HOUR - timedelta(seconds=1)) == []
    send_due(MONDAY_SIX + HOUR)
    assert (len(server.taken), Digest.objects.get().attempts) == (1, 2)


def test_a_process_that_slept_over_its_claim_sends_nothing(server: MailServer) -> None:
    alice = person("alice")
    late: list[User] = []

    def slow(user: User, kind: Digest.Kind, first: date) -> Letter | None:
        if not late:
            late.append(user)
            send_due(MONDAY_SIX + HOUR)  # another process, an hour later
        return compose(user, kind, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "composer", lambda: slow)
        assert digests.send_one(alice, WEEK, MONDAY_SIX) is None
    assert (len(server.taken), Digest.objects.get().state) == (1, "sent")


def test_a_mail_whose_claims_all_died_is_given_up(server: MailServer) -> None:
    person("alice")
    for hours in range(3):
        assert claim("alice", WEEK, MONDAY_SIX + hours * HOUR) is not None
    assert send_due(MONDAY_SIX + 3 * HOUR) == []
    assert Digest.objects.get().error == digests.GIVEN_UP


# --- what fails -------------------------------------------------------------------------------------------------------


def test_a_refused_recipient_is_tried_three_times_an_hour_apart(server: MailServer) -> None:
    for name in ("alice", "bob"):
        person(name)
    server.refused["alice@example.org"] = "550 5.1.1 no such mailbox"
    send_due(MONDAY_SIX)
    found = Digest.objects.get(username="alice")
    assert (found.state, found.error) == ("failed", "the mail server refused it: 550 5.1.1 no such mailbox")
    assert [to for to, _ in server.taken] == ["bob@example.org"]
    assert send_due(MONDAY_SIX + HOUR / 2) == []
    for hours in range(1, 10):
        send_due(MONDAY_SIX + hours * LATER)
    found.refresh_from_db()
    assert (found.state, found.attempts, len(server.taken)) == ("failed", 3, 1)


def test_a_greylisted_mail_arrives_with_the_second_attempt(server: MailServer) -> None:
    person("alice")
    server.refused["alice@example.org"] = "451 4.7.1 come back later"
    send_due(MONDAY_SIX)
    server.refused.clear()
    send_due(MONDAY_SIX + LATER)
    found = Digest.objects.get()
    assert (found.state, found.attempts, found.error, len(server.taken)) == ("sent", 2, "", 1)


def test_a_mail_refused_at_its_end_is_tried_again(server: MailServer) -> None:
    person("alice")
    server.last_word = "554 5.7.1 looks like spam"
    send_due(MONDAY_SIX)
    assert Digest.objects.get().error == "the mail server refused it: 554 5.7.1 looks like spam"
    server.taken.clear()
    server.last_word = "250 taken"
    send_due(MONDAY_SIX + LATER)
    assert (len(server.taken), states()) == (1, {"alice": "sent"})


def test_what_may_have_arrived_is_never_sent_again(server: MailServer) -> None:
    person("alice")
    server.last_word = ""  # it has the mail, but the connection breaks
    send_due(MONDAY_SIX)
    server.last_word = "250 taken"
    for hours in range(1, 10):
        send_due(MONDAY_SIX + hours * LATER)
    found = Digest.objects.get()
    assert (len(server.taken), found.state) == (1, "failed")
    assert found.error.startswith(IN_DOUBT)


def test_a_process_that_died_while_it_handed_over_is_not_repeated(server: MailServer) -> None:
    person("alice")
    claim("alice", WEEK, MONDAY_SIX)
    Digest.objects.update(sent_at=MONDAY_SIX)
    assert send_due(MONDAY_SIX + 2 * HOUR) == []
    assert (server.taken, Digest.objects.get().error) == ([], IN_DOUBT)


def test_a_server_that_is_away_costs_nobody_an_attempt(db: None, caplog: pytest.LogCaptureFixture) -> None:
    server = MailServer()  # not started
    for name in ("alice", "bob"):
        person(name)
    with override_settings(
        **server.settings, DIGESTS="weekly", DEFAULT_FROM_EMAIL=SENDER, DIGEST_COMPOSER=f"{__name__}.compose",
        TIME_ZONE="Europe/Berlin",
    ):  # fmt: skip
        for hours in range(5):
            [outcome] = send_due(MONDAY_SIX + hours * LATER)  # the first one is enough to know
            assert not outcome.reached
        assert states() == {"alice": "failed"}
        assert "cannot be reached" in caplog.text
        with mail_server(server):
            send_due(MONDAY_SIX + 5 * LATER)
    assert [to for to, _ in server.taken] == ["alice@example.org", "bob@example.org"]
    assert set(Digest.objects.values_list("state", "attempts")) == {("sent", 1)}


def test_old_mails_are_forgotten_after_a_year(server: MailServer) -> None:
    claim("alice", WEEK, MONDAY_SIX)
    assert forget_digests(MONDAY_SIX + timedelta(days=366)) == 0
    assert forget_digests(MONDAY_SIX + timedelta(days=367)) == 1


def test_a_turn_ends_after_a_few_seconds_and_goes_on_with_the_next(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice", "bob", "dave"):
        person(name)
    monkeypatch.setattr(digests, "TURN_S", 0.001)
    sent = [len(send_due(MONDAY_SIX)) for _ in range(4)]
    assert sent == [1, 1, 1, 0]


def test_due_at_is_six_also_where_the_clocks_change() -> None:
    turn = Turn(WEEKLY, date(2026, 3, 23), date(2026, 3, 29))
    assert turn.due_at(ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 30, 4, tzinfo=UTC)
