"""Operators are told once that a source is late and once that it is back; by a real mail server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils import timezone

from measurements.models import Cluster, DigestChoice, Feed, Heartbeat, Token
from measurements.selectors.sources import source_states
from measurements.services.alerts import alert_due, recipients
from measurements.services.feeds import disable
from measurements.services.tokens import make_token, note_uses, revoke_token
from portal.wording_boards import minute
from tests.measurements.services.pushing import NOW, cluster_of, send, token_for
from tests.services.mail import MailServer, mail_server

OLGA = "olga@example.org"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def server(db: None) -> Iterator[MailServer]:
    with (
        mail_server() as found,
        override_settings(**found.settings, DEFAULT_FROM_EMAIL="Joulebook <energy@example.org>", ALERT_MAILS=[OLGA]),
    ):
        yield found


def sender(cluster: Cluster) -> Token:
    """A sender that has sent something now, late after ten minutes."""
    token = token_for(cluster, "rack 7")
    Token.objects.filter(pk=token.pk).update(late_after_s=600, newest_ms=NOW.timestamp() * 1000, last_used_at=NOW)
    token.refresh_from_db()
    return token


def feed(cluster: Cluster) -> Feed:
    return Feed.objects.create(
        cluster=cluster, name="slurm", kind=Feed.Kind.SLURM_JOBS, every_s=60, late_after_s=300,
        cursor_ms=int(NOW.timestamp() * 1000), next_at=NOW, last_ok_at=NOW,
    )  # fmt: skip


def subjects(server: MailServer) -> list[str]:
    return [str(mail["Subject"]) for _, mail in server.taken]


def test_one_mail_when_it_is_late_and_one_when_it_is_back(server: MailServer) -> None:
    cluster = cluster_of("n1")
    token = sender(cluster)
    feed(cluster)
    assert alert_due(NOW + 4 * MINUTE) is None
    assert alert_due(NOW + 6 * MINUTE)
    for minutes in (7, 8, 9):
        assert alert_due(NOW + minutes * MINUTE) is None
    assert alert_due(NOW + 12 * MINUTE)
    assert alert_due(NOW + 60 * MINUTE) is None
    assert subjects(server) == ["Joulebook: 1 source is late (slurm)", "Joulebook: 1 source is late (rack 7)"]
    text = server.taken[1][1].get_content()
    assert "rack 7 (atlas, pushed readings)" in text
    assert "Times are in the zone" in text
    assert "/operations/sources/" in text
    back_ms = int((NOW + 61 * MINUTE).timestamp() * 1000)
    Feed.objects.update(cursor_ms=back_ms)
    note_uses([(token, back_ms)], NOW + 61 * MINUTE)
    assert alert_due(NOW + 62 * MINUTE)
    assert alert_due(NOW + 63 * MINUTE) is None
    assert subjects(server)[2:] == ["Joulebook: 2 are back (slurm, rack 7)"]
    assert [recipient for recipient, _ in server.taken] == [OLGA] * 3


def test_a_sender_of_which_all_is_refused_is_told_with_the_reason_and_when_it_is_back(
    server: MailServer, own_var: Path
) -> None:
    token = token_for(cluster_of("n1"), "rack 7")
    for minutes in range(7):
        now = NOW + minutes * MINUTE
        token.refresh_from_db()
        send(token, [(now, "ghost", 100.0)], now)
        [state] = [one for one in source_states(now) if one.kind == "sender"]
        assert (state.state, state.newest_at, state.refused_since) == ("refused", None, NOW)
        assert bool(alert_due(now)) == (minutes == 5)  # one who tries a token may be wrong once
    send(token, [(NOW + 7 * MINUTE, "n1", 100.0)], NOW + 7 * MINUTE)
    assert not alert_due(NOW + 7 * MINUTE).late  # type: ignore[union-attr]
    assert subjects(server) == [
        "Joulebook: all that 1 source sends is refused (rack 7)",
        "Joulebook: 1 is back (rack 7)",
    ]
    text = server.taken[0][1].get_content()
    assert "rack 7 (atlas, pushed readings): since 1 Mar 2025, 12:00, mostly: unknown node" in text
    assert "/operations/quarantine/?days=90&cluster=atlas&reason=unknown+node" in text
    assert "is late" not in text
    newest = (NOW + 7 * MINUTE, "n1", 100.0)
    for minutes in (10, 16):
        token.refresh_from_db()
        send(token, [(NOW, "ghost", 100.0)], NOW + minutes * MINUTE)
    assert alert_due(NOW + 16 * MINUTE)
    token.refresh_from_db()
    assert send(token, [newest], NOW + 17 * MINUTE).duplicates == 1  # nothing newer, and of use
    assert alert_due(NOW + 17 * MINUTE)
    numbers = [mail["Message-ID"] for _, mail in server.taken]
    assert len(set(numbers)) == 4


@pytest.mark.django_db
@pytest.mark.usefixtures("own_var")
def test_one_body_without_use_makes_no_sender_that_brought_readings_one_of_which_all_is_refused() -> None:
    token = token_for(cluster_of("n1"), "rack 7")
    send(token, [(NOW, "n1", 100.0)])
    token.refresh_from_db()
    send(token, [(NOW, "ghost", 100.0)], NOW + 2 * MINUTE)

    def state(minutes: int) -> str:
        [one] = source_states(NOW + minutes * MINUTE)[:1]
        return one.state

    assert state(6) == "ok"
    assert state(7) == "refused"
    Token.objects.update(late_after_s=60)
    assert state(3) == "refused"  # late, and why it is


def test_one_that_sends_what_is_far_too_old_is_late_though_nobody_said_when_it_would_be(
    server: MailServer, own_var: Path
) -> None:
    token = token_for(cluster_of("n1"), "rack 7")
    send(token, [(NOW - timedelta(days=630), "n1", 100.0)])
    [state] = [one for one in source_states(NOW) if one.kind == "sender"]
    assert (state.state, state.newest_at, state.behind_s) == ("late", NOW - timedelta(days=630), 630 * 86_400.0)
    assert alert_due(NOW)
    assert "is its clock wrong" in server.taken[0][1].get_content()
    token.refresh_from_db()
    send(token, [(NOW - timedelta(hours=20), "n1", 100.0)], NOW + 2 * MINUTE)
    assert {one.state for one in source_states(NOW + 2 * MINUTE)} == {"ok"}
    Token.objects.update(late_after_s=600)
    [state] = [one for one in source_states(NOW + 2 * MINUTE) if one.kind == "sender"]
    assert (state.state, state.behind_s) == ("late", 20 * 3600.0 + 120.0)


def test_a_token_in_use_is_told_once_before_its_end_and_once_when_it_is_used_after_it(
    server: MailServer, own_var: Path, client: Client
) -> None:
    day, start = timedelta(days=1), timezone.now()
    token, secret = make_token(
        cluster_of("n1"), "rack 7", ["power:write"], by="olga", now=start - 350 * day, expires_at=start + 15 * day
    )
    make_token(token.cluster, "not used", ["power:write"], by="olga", now=start - 350 * day, expires_at=start + day)

    def push() -> int:
        body = f"timestamp,node,watts\n{timezone.now().isoformat()},n1,100\n"
        shown = {"Authorization": f"Bearer {secret}"}
        return client.post("/api/v1/power", body, content_type="text/csv", headers=shown).status_code

    def told(now: datetime) -> list[str]:
        before = len(server.taken)
        for minutes in range(3):
            alert_due(now + minutes * MINUTE)
        return subjects(server)[before:]

    assert push() == 200
    assert told(start + day - 5 * MINUTE) == []
    assert told(start + day) == ["Joulebook: 1 token ends soon (rack 7)"]
    text = server.taken[0][1].get_content()
    assert token.expires_at is not None
    assert f"rack 7 (atlas, pushed readings): ends {minute(token.expires_at)}; ask olga" in text
    assert "write it over the file" in text
    assert "/operations/tokens/" in text
    assert "late" not in text
    assert told(start + 16 * day) == []  # it has ended, and nobody uses it
    Token.objects.filter(pk=token.pk).update(expires_at=start)
    assert push() == 401
    assert told(timezone.now()) == ["Joulebook: 1 token is used after its end (rack 7)"]
    assert "used last" in server.taken[1][1].get_content()
    assert push() == 401
    assert told(timezone.now() + day) == []


def test_what_is_switched_off_or_revoked_says_nothing(server: MailServer) -> None:
    cluster = cluster_of("n1")
    token, asked = sender(cluster), feed(cluster)
    revoke_token(token, NOW)
    disable(asked)
    assert alert_due(NOW + 60 * MINUTE) is None
    Feed.objects.update(alerted_at=NOW)
    assert alert_due(NOW + 61 * MINUTE) is None
    assert Feed.objects.get().alerted_at is None
    assert server.taken == []


def test_what_cannot_be_sent_is_tried_again_the_later_the_more_often_it_failed(server: MailServer) -> None:
    feed(cluster_of("n1"))
    server.refused[OLGA] = "451 later"
    tries = [minutes for minutes in range(10, 40) if alert_due(NOW + minutes * MINUTE) or failed_at(minutes)]
    assert tries == [10, 12, 16, 24]
    assert Feed.objects.get().alerted_at is None
    server.refused.clear()
    assert alert_due(NOW + 40 * MINUTE)
    assert (len(server.taken), Heartbeat.objects.filter(name__contains="alert").count()) == (1, 0)


@pytest.mark.django_db
def test_a_mail_server_that_is_away_delays_the_mail_and_neither_loses_nor_doubles_it() -> None:
    server = MailServer()  # nobody listens on its port yet
    away = override_settings(**server.settings, DEFAULT_FROM_EMAIL="Joulebook <energy@example.org>", ALERT_MAILS=[OLGA])
    cluster = cluster_of("n1")
    token = sender(cluster)
    feed(cluster)
    with away:
        assert [alert_due(NOW + minutes * MINUTE) for minutes in range(6, 12)] == [None] * 6
        assert Feed.objects.get().alerted_at is None
        with mail_server(server):
            told = [minutes for minutes in range(12, 60) if alert_due(NOW + minutes * MINUTE)]
            assert len(told) == 1
            assert told[0] <= 14  # as soon as it may try again
            assert subjects(server) == ["Joulebook: 2 sources are late (slurm, rack 7)"]
        back_ms = int((NOW + 60 * MINUTE).timestamp() * 1000)
        Feed.objects.update(cursor_ms=back_ms)
        note_uses([(token, back_ms)], NOW + 60 * MINUTE)
        assert alert_due(NOW + 61 * MINUTE) is None  # away again
        with mail_server(server):
            assert sum(alert_due(NOW + minutes * MINUTE) is not None for minutes in range(62, 65)) == 1
        assert subjects(server)[1:] == ["Joulebook: 2 are back (slurm, rack 7)"]
        assert not Heartbeat.objects.filter(name__contains="alert").exists()


@pytest.mark.django_db
def test_what_was_back_before_the_mail_could_be_sent_is_not_told_at_all() -> None:
    server = MailServer()
    feed(cluster_of("n1"))
    with override_settings(**server.settings, DEFAULT_FROM_EMAIL="energy@example.org", ALERT_MAILS=[OLGA]):
        assert alert_due(NOW + 6 * MINUTE) is None
        Feed.objects.update(cursor_ms=int((NOW + 7 * MINUTE).timestamp() * 1000))
        with mail_server(server):
            assert [alert_due(NOW + minutes * MINUTE) for minutes in (8, 9, 10)] == [None] * 3
    assert server.taken == []


def test_a_mail_that_was_taken_and_not_confirmed_comes_again_under_its_number(server: MailServer) -> None:
    feed(cluster_of("n1"))
    server.last_word = ""
    assert alert_due(NOW + 6 * MINUTE) is None
    server.last_word = "250 taken"
    assert alert_due(NOW + 9 * MINUTE)
    numbers = [mail["Message-ID"] for _, mail in server.taken]
    assert (len(numbers), len(set(numbers))) == (2, 1)  # mail programs show one
    assert alert_due(NOW + 12 * MINUTE) is None


def failed_at(minutes: int) -> bool:
    return Heartbeat.objects.filter(name__contains="alert", at=NOW + minutes * MINUTE).exists()


@pytest.mark.django_db
def test_without_the_setting_operators_who_get_mails_are_told_and_nobody_where_none_are_sent() -> None:
    may = Permission.objects.get(codename="view_operations")
    for name in ("olga", "oscar", "quiet", "gone"):
        person = User.objects.create_user(name, f"{name}@example.org", is_active=name != "gone")
        person.user_permissions.add(may)
    User.objects.create_user("alice", "alice@example.org")
    DigestChoice.objects.create(username="quiet", weekly=False, monthly=False)
    with override_settings(ALERT_MAILS=[], DIGESTS="off"):
        assert recipients() == []
    with override_settings(ALERT_MAILS=[], DIGESTS="weekly"):
        assert recipients() == ["olga@example.org", "oscar@example.org"]
    with override_settings(ALERT_MAILS=["root@example.org"], DIGESTS="weekly"):
        assert recipients() == ["root@example.org"]


@pytest.mark.django_db
@pytest.mark.usefixtures("own_var")
def test_every_source_is_in_one_list_and_late_ones_come_first() -> None:
    cluster = cluster_of("n1")
    token = sender(cluster)
    feed(cluster)
    send(token, [(NOW, "n1", 100.0)])
    states = source_states(NOW + 6 * MINUTE)
    assert [(one.name, one.state) for one in states] == [("slurm", "late"), ("rack 7", "ok")]
    assert [one.lag_s for one in states] == [360.0, 360.0]
    assert source_states(NOW + 6 * MINUTE, User.objects.create_user("alice")) == []
