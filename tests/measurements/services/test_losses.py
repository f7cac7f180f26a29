"""What senders lost is counted once, whatever is told again, and stands by node and day where operators look."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from measurements.domain.losses import LOST, Loss
from measurements.models import Batch, Quarantine, Token
from measurements.parsers import agent_losses
from measurements.selectors.sources import source_states, with_losses
from measurements.services.losses import note_losses
from measurements.services.replay_lines import form_of
from measurements.services.tokens import make_token
from tests.measurements.services.pushing import NOW, cluster_of, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_var")]
NOW_S = NOW.timestamp()


def loss(node: str = "n1", number: str = "a1", readings: int = 100, first_s: float = NOW_S - 600) -> Loss:
    return Loss(node, number, readings, int(first_s * 1000), int((first_s + 60) * 1000))


def lines() -> list[str]:
    return [
        line.split("\t")[1]
        for row in Quarantine.objects.filter(reason=LOST).order_by("batch")
        for line in gzip.decompress(bytes(row.lines)).decode().splitlines()
    ]


def test_told_again_it_counts_once_and_told_larger_by_what_is_new() -> None:
    token = token_for(cluster_of("n1", "n2"))
    assert note_losses(token, [loss(), loss("n2")], NOW) == 200
    assert note_losses(token, [loss(), loss("n2")], NOW + timedelta(days=3)) == 0
    assert note_losses(token, [loss(readings=150), loss(number="b2", readings=5)], NOW) == 55
    assert note_losses(token, [loss(readings=120)], NOW) == 0  # an older request that comes late
    batch = Batch.objects.get()
    assert (batch.refused, batch.read, batch.stored, batch.quarantine.get().count) == (255, 255, 0, 255)
    assert lines()[0] == "n1: 150 readings from 2025-03-01T11:50:30Z to 2025-03-01T11:51:30Z (a1)"
    assert len(lines()) == 3
    assert form_of(batch.quarantine.get()) == ""  # there is nothing to try again


def test_each_day_and_sender_has_its_own() -> None:
    cluster = cluster_of("n1")
    one, other = token_for(cluster), make_token(cluster, "rack 2", [Token.Scope.POWER_WRITE], by="olga", now=NOW)[0]
    note_losses(one, [loss(), loss(first_s=NOW_S - 86_400, number="a2")], NOW)
    note_losses(other, [loss(readings=7)], NOW)
    counts = {(b.options["lost"], b.options["day"]): b.refused for b in Batch.objects.all()}
    assert counts == {("agents", "2025-02-28"): 100, ("agents", "2025-03-01"): 100, ("rack 2", "2025-03-01"): 7}
    assert {state.name: state.lost for state in with_losses(source_states(NOW), NOW)} == {"agents": 200, "rack 2": 7}
    later = NOW + timedelta(days=8)
    assert {state.lost for state in with_losses(source_states(later), later)} == {0}


def body(lost: object) -> bytes:
    sample = {"timestamp": NOW_S, "node": "n1", "channel": "node", "watts": 300}
    return json.dumps({"node": "n1", "samples": [sample], "lost": lost}).encode()


SAID = {"id": "a1", "readings": 9, "from": NOW_S - 60, "to": NOW_S - 50}


@pytest.mark.parametrize(
    "odd",
    [
        {"readings": 5, "from": 1.0, "to": 2.0}, "lost", 5, [5, None, "x"], [SAID | {"id": "a b"}], [SAID | {"id": 5}],
        [SAID | {"readings": -1}], [SAID | {"readings": 1.5}], [SAID | {"readings": True}], [SAID | {"from": NOW_S}],
        [SAID | {"to": 1e300}], [SAID | {"to": None}], [SAID | {"readings": 10**30}],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_passed_over(odd: object) -> None:
    assert agent_losses.read(body(odd)) == []
    assert [one.readings for one in agent_losses.read(body([odd, SAID]))] == [9]


def test_a_push_tells_it_and_asked_again_it_counts_once(client: Client) -> None:
    cluster = cluster_of("n1")
    _, secret = make_token(cluster, "agents", [Token.Scope.POWER_WRITE], by="olga", now=NOW)
    headers = {"Authorization": f"Bearer {secret}"}
    for status, said in ((200, [SAID]), (200, [SAID]), (200, [SAID | {"readings": 12}])):
        answer = client.post("/api/v1/power", body(said), "application/json", headers=headers)
        assert answer.status_code == status, answer.content
    assert Quarantine.objects.get().count == 12
    ghost = json.dumps(
        {"node": "ghost", "samples": [{"timestamp": NOW_S, "node": "ghost", "watts": 5}], "lost": [SAID]}
    )
    answer = client.post("/api/v1/power", ghost, "application/json", headers=headers)
    assert (answer.status_code, Quarantine.objects.filter(reason=LOST).count()) == (422, 1)  # it will be told again
    olga = User.objects.create_user("olga")
    olga.user_permissions.add(Permission.objects.get(codename="view_operations"))
    client.force_login(olga)
    page = client.get("/operations/sources/").content.decode()
    assert "12 readings lost before they could be sent" in page
    found = client.get("/operations/quarantine/", {"days": "90", "reason": LOST}).content.decode()
    assert "n1: 12 readings from 2025-03-01T11:59:30Z" in found
