"""The page and the command of tokens: a secret is shown once, and only operators who may make one see how."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from measurements.models import Cluster, Token
from measurements.selectors.tokens import TokenRefused, token_of, token_states
from measurements.services.machine import create_cluster
from measurements.services.tokens import make_token, note_uses
from tests.conftest import People

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


def test_late_senders_and_states_are_shown(client: Client, people: People, cluster: Cluster) -> None:
    token, _ = made(cluster, late_after_s=60)
    made(cluster, "old", expires_at=NOW + timedelta(days=1))
    note_uses([(token, int(NOW.timestamp() * 1000))], NOW)
    client.force_login(people.olga)
    text = client.get("/operations/tokens/").content.decode()
    for words in ("1 sender is late", "expired", token.prefix):
        assert words in text


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
