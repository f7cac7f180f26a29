"""The page and the command of tokens: a secret is shown once, and only operators who may make one see how."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from measurements.domain.token_secrets import PREFIX_LENGTH
from measurements.models import Cluster, Token
from measurements.selectors.tokens import TokenRefused, token_of, token_states
from measurements.services.machine import create_cluster
from measurements.services.tokens import make_token, note_uses, revoke_token
from portal.push_body import ROOM
from tests.conftest import People
from tests.measurements.services.pushing import cluster_of

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
PAGES = ("/operations/tokens/", "/operations/tokens/new/")


@pytest.fixture
def cluster() -> Cluster:
    return create_cluster("atlas")


@pytest.fixture
def onlooker(people: People) -> User:
    """May see operations and change nothing."""
    people.charlie.user_permissions.add(Permission.objects.get(codename="view_operations"))
    return User.objects.get(pk=people.charlie.pk)


def made(cluster: Cluster, name: str = "rack 1", **more: Any) -> tuple[Token, str]:
    return make_token(cluster, name, [Token.Scope.POWER_WRITE], by="olga", now=NOW, **more)


def test_a_token_is_made_on_the_page_and_its_secret_shown_this_once(
    client: Client, people: People, cluster: Cluster
) -> None:
    client.force_login(people.olga)
    said = {"name": "rack 1", "cluster": cluster.pk, "scopes": ["power:write"], "days": "30", "late_after_s": "60"}
    answer = client.post("/operations/tokens/new/", said)
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    token = token_of(secret, "power:write", timezone.now())
    assert (token.name, token.made_by, token.late_after_s) == ("rack 1", "olga", 60)
    assert token.expires_at is not None
    for page in PAGES:
        assert secret not in client.get(page).content.decode()
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("olga", str(token.pk))
    assert secret not in entry.change_message + entry.object_repr


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"scopes": []}, {"scopes": ["admin"]}, {"cluster": 0}, {"days": "0"}, {"late_after_s": "x"}]
)
def test_what_makes_no_token_is_said_beside_its_field(
    client: Client, people: People, cluster: Cluster, wrong: dict[str, object]
) -> None:
    client.force_login(people.olga)
    said = {"name": "rack 1", "cluster": cluster.pk, "scopes": ["power:write"]} | wrong
    answer = client.post("/operations/tokens/new/", said)
    assert 'role="alert"' in answer.content.decode()
    assert not Token.objects.exists()


def options(page: bytes) -> list[tuple[str, str]]:
    """Value and words of the choice of clusters."""
    select = page.decode().split('<select name="cluster"')[1].split("</select>")[0]
    return re.findall(r'<option value="(\d*)"[^>]*>\s*([^<]*?)\s*</option>', select)


def test_the_only_cluster_is_shown_and_among_several_none_is_taken_for_granted(
    client: Client, people: People, cluster: Cluster
) -> None:
    client.force_login(people.olga)
    assert options(client.get("/operations/tokens/new/").content) == [(str(cluster.pk), "atlas")]
    first = create_cluster("aaa-typing-error")
    known = [("", "choose the cluster"), (str(first.pk), first.name), (str(cluster.pk), "atlas")]
    answer = client.get("/operations/tokens/new/")
    assert options(answer.content) == known
    assert b"selected" not in answer.content.split(b'<select name="cluster"')[1].split(b"</select>")[0].replace(
        b'value="" selected', b""
    )
    answer = client.post("/operations/tokens/new/", {"name": "rack 1", "cluster": "", "scopes": ["power:write"]})
    assert "cluster" in answer.context["form"].errors
    assert not Token.objects.exists()
    said = {"name": "", "cluster": cluster.pk, "scopes": ["power:write"]}
    answer = client.post("/operations/tokens/new/", said)
    assert f'<option value="{cluster.pk}" selected>' in answer.content.decode(), "what was chosen stays chosen"
    client.post("/operations/tokens/new/", said | {"name": "rack 1"})
    assert Token.objects.get().cluster == cluster


def test_a_name_that_cannot_be_read_is_said_to_be_that_and_not_taken(
    client: Client, people: People, cluster: Cluster
) -> None:
    client.force_login(people.olga)
    said = {"name": "rack\x071", "cluster": cluster.pk, "scopes": ["power:write"]}
    shown = client.post("/operations/tokens/new/", said).content.decode()
    assert "a name that can be read" in shown
    assert "already" not in shown


def test_a_name_is_given_once_a_cluster(client: Client, people: People, cluster: Cluster) -> None:
    made(cluster)
    client.force_login(people.olga)
    said = {"name": "rack 1", "cluster": cluster.pk, "scopes": ["power:write"]}
    assert "of this name already" in client.post("/operations/tokens/new/", said).content.decode()
    assert Token.objects.count() == 1


def test_a_token_is_revoked_after_a_question(client: Client, people: People, cluster: Cluster) -> None:
    token, secret = made(cluster)
    client.force_login(people.olga)
    address = f"/operations/tokens/{token.pk}/revoke/"
    assert "rack 1" in client.get(address).content.decode()
    assert token_of(secret, "power:write", NOW) == token
    assert client.post(address).status_code == 302
    with pytest.raises(TokenRefused, match="revoked"):
        token_of(secret, "power:write", NOW)
    client.post(address)
    assert LogEntry.objects.count() == 1


def test_who_may_only_look_can_make_and_revoke_nothing(client: Client, onlooker: User, cluster: Cluster) -> None:
    token, _ = made(cluster)
    client.force_login(onlooker)
    page = client.get("/operations/tokens/")
    assert page.status_code == 200
    assert "/revoke/" not in page.content.decode()
    for address in ("/operations/tokens/new/", f"/operations/tokens/{token.pk}/revoke/"):
        assert client.get(address).status_code == client.post(address).status_code == 404
    assert Token.objects.get().revoked_at is None


def test_for_users_there_is_no_such_page(client: Client, people: People, cluster: Cluster) -> None:
    client.force_login(people.alice)
    for page in PAGES:
        assert client.get(page).status_code == 404


def test_a_sender_is_late_when_it_was_silent_for_longer_than_was_said(cluster: Cluster) -> None:
    token, _ = made(cluster, late_after_s=300)
    made(cluster, "never used", late_after_s=1)
    made(cluster, "no limit")
    newest = NOW - timedelta(seconds=10)
    note_uses([(token, int(newest.timestamp() * 1000))], NOW)

    def late(now: datetime) -> set[str]:
        return {state.token.name for state in token_states(now) if state.late}

    assert late(NOW + timedelta(seconds=300)) == set()
    assert late(NOW + timedelta(seconds=400)) == {"rack 1"}


def test_who_holds_a_gpu_may_be_told_again_long_after_it_was_seen_and_a_reading_may_not(cluster: Cluster) -> None:
    for name, scope in (("prolog", Token.Scope.JOBS_WRITE), ("agent", Token.Scope.POWER_WRITE)):
        token, _ = make_token(cluster, name, [scope], by="olga", now=NOW)
        note_uses([(token, int((NOW - timedelta(days=3)).timestamp() * 1000))], NOW)
    assert {state.token.name: state.late for state in token_states(NOW)} == {"agent": True, "prolog": False}


def test_late_senders_and_states_are_shown(client: Client, people: People, cluster: Cluster) -> None:
    token, _ = made(cluster, late_after_s=60)
    made(cluster, "old", expires_at=NOW + timedelta(days=1))
    note_uses([(token, int(NOW.timestamp() * 1000))], NOW)
    client.force_login(people.olga)
    text = client.get("/operations/tokens/").content.decode()
    for words in ("1 sender is late", "expired", token.prefix):
        assert words in text


@pytest.mark.usefixtures("own_var")
def test_a_sender_of_which_all_is_refused_is_not_in_time_on_any_page(
    client: Client, people: People, cluster: Cluster
) -> None:
    _, secret = made(cluster)
    body = f"timestamp,node,watts\n{timezone.now().isoformat()},ghost,100\n"
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/power", body, content_type="text/csv", headers=headers).status_code == 422
    client.force_login(people.olga)
    why = 'href="/operations/quarantine/?days=90&amp;cluster=atlas&amp;reason=unknown%20node">unknown node</a>'
    for page in ("/operations/tokens/", "/operations/sources/"):
        text = client.get(page).content.decode()
        assert '<span class="status bad">all refused</span>' in text, page
        assert "All that 1 sender sends is refused." in text
        assert why in text
        for wrong in ("in time", "No sender is late", "No source is late", 'status ok">sends'):
            assert wrong not in text, page
    [step] = [one for one in client.get("/operations/").context["steps"] if "rack 1" in one.sentence]
    assert (step.shape, step.word, step.why) == ("bad", "all refused", "unknown node")
    assert step.address == "/operations/quarantine/?days=90&cluster=atlas&reason=unknown+node"
    assert client.get(step.address).context["reasons"][0].reason == "unknown node"


BROKEN = [
    ("/api/v1/power", {"data": '{"samples": [', "content_type": "application/json"}, 400),
    ("/api/v1/power", {"data": "timestamp,node,watts\n", "content_type": "text/html"}, 415),
    ("/api/v1/prometheus/write", {"data": "x", "content_type": "application/x-protobuf"}, 415),
    ("/api/v2/write", {"data": b"no gzip", "headers": {"Content-Encoding": "deflate"}}, 415),
    ("/api/v2/write", {"data": b"\x1f\x8b\x08broken", "headers": {"Content-Encoding": "gzip"}}, 400),
]


@pytest.mark.usefixtures("own_var")
@pytest.mark.parametrize(("path", "sent", "status"), BROKEN)
def test_a_sender_whose_bodies_cannot_be_read_is_not_in_time_either(
    client: Client, people: People, cluster: Cluster, path: str, sent: dict[str, Any], status: int
) -> None:
    cluster_of("n1")
    token, secret = made(cluster)
    shown = {"Authorization": f"Bearer {secret}"}
    request = {"content_type": "text/plain"} | sent | {"headers": sent.get("headers", {}) | shown}
    assert client.post(path, **request).status_code == status
    client.force_login(people.olga)
    for page in ("/operations/tokens/", "/operations/sources/"):
        text = client.get(page).content.decode()
        assert '<span class="status bad">all refused</span>' in text, page
        assert "unusable body. Broken, too large, or of another form than it says" in text
        assert "reason=unusable" not in text  # nothing of it is in quarantine
    [step] = [one for one in client.get("/operations/").context["steps"] if "rack 1" in one.sentence]
    assert (step.address, step.why) == ("/operations/tokens/", "unusable body")
    good = f"timestamp,node,watts\n{timezone.now().isoformat()},n1,100\n"
    assert client.post("/api/v1/power", good, content_type="text/csv", headers=shown).status_code == 200
    token.refresh_from_db()
    assert (token.refused_since, token.refused_for) == (None, "")


def test_a_sender_that_only_has_to_come_again_did_nothing_wrong(client: Client, cluster: Cluster) -> None:
    token, secret = made(cluster)
    ROOM.take(settings.PUSH_WAITING_MIB << 20)
    try:
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.post("/api/v2/write", "a b=1", content_type="text/plain", headers=headers).status_code == 429
    finally:
        ROOM.give(settings.PUSH_WAITING_MIB << 20)
    token.refresh_from_db()
    assert (token.last_used_at, token.refused_since) == (None, None)


@pytest.mark.usefixtures("own_var")
def test_a_sender_of_old_readings_is_late_by_them_on_every_page(
    client: Client, people: People, cluster: Cluster
) -> None:
    cluster_of("n1")
    _, secret = made(cluster)
    body = f"timestamp,node,watts\n{(timezone.now() - timedelta(days=30)).isoformat()},n1,100\n"
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/power", body, content_type="text/csv", headers=headers).status_code == 200
    client.force_login(people.olga)
    for page in ("/operations/tokens/", "/operations/sources/"):
        text = client.get(page).content.decode()
        assert "what it sends is 30 d old: is its clock wrong" in text.replace("\u00a0", " "), page
        assert "in time" not in text
    [step] = [one for one in client.get("/operations/").context["steps"] if "rack 1" in one.sentence]
    assert (step.shape, step.word, step.address) == ("bad", "late", "/operations/tokens/")


def test_who_uses_a_token_after_its_end_is_turned_away_as_ever_and_shown_to_operators(
    client: Client, people: People, cluster: Cluster
) -> None:
    _, expired = made(cluster, "old", expires_at=NOW + timedelta(days=1))
    token, revoked = made(cluster, "gone")
    made(cluster, "asleep", expires_at=NOW + timedelta(days=1))
    made(cluster, "at rest")
    revoke_token(token, NOW)
    wrong = revoked[:PREFIX_LENGTH] + "x" * (len(revoked) - PREFIX_LENGTH)

    def shown(secret: str) -> tuple[int, str]:
        answer = client.post(
            "/api/v1/power", "", content_type="text/csv", headers={"Authorization": f"Bearer {secret}"}
        )
        return answer.status_code, answer.json()["detail"]

    assert shown(wrong) == shown("jb_nothing") == (401, "no such token")
    assert not Token.objects.exclude(knocked_at=None).exists()
    assert shown(expired) == (401, "this token has expired")
    assert shown(revoked) == (401, "this token was revoked")
    first = dict(Token.objects.exclude(knocked_at=None).values_list("name", "knocked_at"))
    assert set(first) == {"old", "gone"}
    shown(expired)
    assert dict(Token.objects.exclude(knocked_at=None).values_list("name", "knocked_at")) == first
    client.force_login(people.olga)
    page = client.get("/operations/tokens/").content.decode()
    for words in ("2 tokens are still used after their end", "expired, still used", "revoked, still used"):
        assert page.count(words) == 1, words
    assert page.count('status off">expired<') == 1
    assert client.get("/operations/sources/").content.decode().count("ended, still used") == 2
    found = [one for one in client.get("/operations/").context["steps"] if one.word == "ended"]
    assert [(one.shape, one.address) for one in found] == [("bad", "/operations/tokens/")] * 2
    Token.objects.update(knocked_at=timezone.now() - timedelta(days=2))
    assert "still used" not in client.get("/operations/tokens/").content.decode()


def test_that_it_was_used_after_its_end_need_not_be_noted_for_the_answer(
    client: Client, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expired = made(cluster, expires_at=NOW + timedelta(days=1))

    def full(*_: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("portal.senders.note_knock", full)
    answer = client.post("/api/v1/power", "", content_type="text/csv", headers={"Authorization": f"Bearer {expired}"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "this token has expired")


def test_a_token_in_use_is_said_to_end_two_weeks_before_or_in_the_second_half_of_a_short_life(
    client: Client, people: People, cluster: Cluster
) -> None:
    day = timedelta(days=1)
    token, _ = made(cluster, expires_at=NOW + 365 * day)
    brief, _ = made(cluster, "brief", expires_at=NOW + 2 * day)
    made(cluster, "not used", expires_at=NOW + 2 * day)
    note_uses([(token, None)], NOW + 340 * day)
    note_uses([(brief, None)], NOW)

    def ending(now: datetime) -> set[str]:
        return {state.token.name for state in token_states(now) if state.ends_soon}

    assert ending(NOW) == set()
    assert ending(NOW + day) == {"brief"}
    assert ending(NOW + 350 * day) == set()
    assert ending(NOW + 352 * day) == {"rack 1"}
    assert ending(NOW + 355 * day) == set()  # replaced meanwhile: nobody uses it
    now = timezone.now()
    Token.objects.filter(pk=token.pk).update(last_used_at=now, expires_at=now + 3 * day)
    client.force_login(people.olga)
    page = client.get("/operations/tokens/").content.decode()
    assert "1 token in use ends soon. To replace it make another" in page
    assert page.count('status warn">ends soon<') == 1
    assert 'status warn">ends soon<' in client.get("/operations/sources/").content.decode()
    [step] = [one for one in client.get("/operations/").context["steps"] if one.word == "ends soon"]
    assert "rack 1" in step.sentence


def test_the_command_makes_lists_and_revokes(cluster: Cluster) -> None:
    def run(*words: str) -> str:
        out = io.StringIO()
        call_command("token", *words, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    secret = run("add", "rack 1", "--cluster", "atlas").strip()
    token_of(secret, "power:write", timezone.now())  # it is used
    told = json.loads(run("add", "prolog", "--cluster", "atlas", "--scope", "jobs:write", "--days", "1", "--json"))
    assert told["scopes"] == ["jobs:write"]
    assert "rack 1" in run("list")
    listed = json.loads(run("list", "--json"))["tokens"]
    assert secret not in json.dumps(listed)
    assert [row["name"] for row in listed] == ["prolog", "rack 1"]
    with pytest.raises(CommandError) as fault:
        run("revoke", secret[:6] + "x" + secret[6:])
    assert secret[12:] not in str(fault.value)
    run("revoke", secret)  # as it was found somewhere
    with pytest.raises(TokenRefused):
        token_of(secret, "power:write", timezone.now())
    with pytest.raises(CommandError, match="already"):
        run("add", "rack 1", "--cluster", "atlas")
    with pytest.raises(CommandError, match="no token begins with 'jb_nothing'; give all 12 letters of token list"):
        run("revoke", "jb_nothing")
    with pytest.raises(CommandError, match="no token begins with 'jb_nothingyy'; see token list"):
        run("revoke", "jb_nothingyyyy")
