"""Readings pushed over HTTP: who may, in which forms, how much, and what the sender is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client, override_settings
from django.utils import timezone

from measurements.models import Batch, Cluster, GpuHold, Node, NodeAlias, Quarantine, Segment, Token
from measurements.services.directories import forget_directories
from measurements.services.tokens import make_token, revoke_token
from portal.push_body import ROOM
from portal.senders import secret_in
from tests.conftest import People
from tests.measurements.services.pushing import cluster_of, held

pytestmark = pytest.mark.django_db
CSV = "text/csv"
GPU = "GPU-8f3c2a10-1111-2222-3333-444455556666"
NOW = timezone.now().replace(microsecond=0)
NOW -= timedelta(minutes=10) if (NOW.hour, NOW.minute // 10) == (0, 0) else timedelta(0)  # all readings are of one day


@pytest.fixture
def cluster() -> Cluster:
    return cluster_of("n1", "n2")


@pytest.fixture
def secret(cluster: Cluster) -> str:
    return new_secret(cluster)


def new_secret(cluster: Cluster, name: str = "rack 1", **more: Any) -> str:
    return make_token(cluster, name, [Token.Scope.POWER_WRITE], by="olga", now=NOW, **more)[1]


def post(
    client: Client, secret: str, body: bytes | str, kind: str = CSV, path: str = "/api/v1/power", **headers: str
) -> Any:
    data = body if isinstance(body, bytes) else body.encode()
    shown = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.post(path, data, content_type=kind, headers={**shown, **headers})


def lines(count: int = 3, node: str = "n1") -> str:
    rows = [f"{(NOW - timedelta(seconds=10 * i)).isoformat()},{node},{300 + i}\n" for i in range(count)]
    return "timestamp,node,watts\n" + "".join(rows)


def stored(cluster: Cluster) -> set[tuple[str, int, int]]:
    return held(cluster, NOW - timedelta(days=2), NOW + timedelta(days=2))


def test_csv_is_stored_and_told(client: Client, cluster: Cluster, secret: str) -> None:
    answer = post(client, secret, lines())
    assert answer.status_code == 200
    assert answer.json() == {"stored": 3, "duplicates": 0, "pending": 0, "refused": []}
    assert len(stored(cluster)) == 3
    assert post(client, secret, lines()).json()["duplicates"] == 3
    assert Segment.objects.count() == 1


@pytest.mark.parametrize("body", ['[{"timestamp": 1, "node": "n1", "watts": 3}]', '{"readings": []}'])
def test_json_of_another_form_is_shown_the_right_one(client: Client, secret: str, body: str) -> None:
    answer = post(client, secret, body, "application/json")
    assert answer.status_code == 400
    assert '{"samples": [' in answer.json()["detail"]


@pytest.mark.parametrize("pack", [gzip.compress])
def test_a_packed_body_is_unpacked(
    client: Client, cluster: Cluster, secret: str, pack: Callable[[bytes], bytes]
) -> None:
    answer = post(client, secret, pack(lines().encode()), **{"Content-Encoding": "gzip"})
    assert answer.json()["stored"] == 3


def test_a_body_without_samples_asks_whether_a_node_is_known_and_leaves_nothing(
    client: Client, cluster: Cluster, secret: str
) -> None:
    def asked(node: object) -> Any:
        body = json.dumps({"node": node, "samples": []})
        answer = post(client, secret, body, "application/json")
        assert answer.status_code == 200
        return answer.json()

    nothing = {"stored": 0, "duplicates": 0, "pending": 0, "refused": []}
    assert asked("n1") == asked("n1.cluster.example") == asked("") == asked(None) == nothing
    detail = f"n9 is not described in the cluster {cluster.name}"
    refused = [{"reason": "unknown node", "count": 0, "first_line": 0, "detail": detail}]
    assert asked("n9") == nothing | {"refused": refused}
    node = Node.objects.create(cluster=cluster, name="n10")
    NodeAlias.objects.create(node=node, alias="n9")
    forget_directories()
    assert asked("n9") == nothing
    assert not Batch.objects.exists()
    assert not Quarantine.objects.exists()
    assert Token.objects.get().last_used_at is None


def test_what_helps_against_times_without_a_zone_fits_what_was_pushed(
    client: Client, people: People, cluster: Cluster, secret: str
) -> None:
    answer = post(client, secret, f"timestamp,node,watts\n{NOW:%Y-%m-%d %H:%M:%S},n1,300\n")
    assert (answer.status_code, answer.json()["refused"][0]["reason"]) == (422, "time without zone")
    client.force_login(people.olga)
    page = client.get(f"/operations/batches/{Batch.objects.get().pk}/").content.decode()
    assert "What is pushed writes an offset or Z behind its times, or epoch seconds." in page
    assert "Of a file: give it again, and say the zone of its clock" in page


def test_json_says_the_same_with_what_is_known_of_channels(client: Client, cluster: Cluster, secret: str) -> None:
    at = NOW.timestamp()
    samples = [
        {"timestamp": at, "node": "n1", "channel": "node", "watts": 345.5},
        {"timestamp": NOW.isoformat(), "node": "n1", "channel": "gpu0", "joules": 1234.5},
        {"timestamp": at, "node": "n1", "channel": "node", "watts": None},
        {"timestamp": at, "node": "n1", "channel": "cpu0", "watts": 0},
        {"timestamp": "soon", "node": "n1", "watts": 100},
        "what",
    ]
    channels = {"gpu0": {"source": "nvml", "uuid": "GPU-1234", "interval_ms": 1000, "mig": []}}
    body = json.dumps({"node": "n1", "agent": "0.1", "samples": samples, "channels": channels})
    answer = post(client, secret, body, "application/json")
    told = answer.json()
    assert (answer.status_code, told["stored"]) == (200, 2)
    reasons = {row["reason"]: (row["count"], row["first_line"]) for row in told["refused"]}
    assert reasons == {"zero watts": (1, 4), "unreadable time": (1, 5), "unreadable line": (1, 6)}
    from measurements.models import ChannelPeriod, GpuPlace

    assert GpuPlace.objects.get().uuid == "GPU-1234"
    assert ChannelPeriod.objects.get().source == "nvml"


def test_what_is_refused_names_line_and_reason_and_the_good_part_is_stored(
    client: Client, cluster: Cluster, secret: str
) -> None:
    answer = post(client, secret, lines() + f"{NOW.isoformat()},n1,lots\n{NOW.isoformat()},ghost,5\n")
    assert (answer.status_code, answer.json()["stored"]) == (200, 3)
    assert {(row["reason"], row["first_line"]) for row in answer.json()["refused"]} == {
        ("not a number", 5),
        ("unknown node", 6),
    }
    answer = post(client, secret, lines(node="ghost"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "line 2"
    assert answer.json()["errors"][0]["reason"].startswith("unknown node: ")
    assert answer.json()["refused"][0]["detail"].endswith("load it with load_nodes, then try it again in quarantine")
    naive = post(client, secret, "timestamp,node,watts\n2025-03-01 12:00:00,n1,345\n").json()
    assert naive["refused"][0]["detail"] == "write an offset or Z behind times, or epoch seconds"
    assert "--time-zone" not in str(naive), "a sender has no options of a command"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (CSV, b"\x00\x01\x02binary", 400),
        (CSV, b"neither,nor\n1,2\n", 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"samples": {}}', 400),
        ("application/json", b'{"samples": [], "channels": {"gpu0": {"interval_ms": -1}}}', 400),
        ("application/x-www-form-urlencoded", b"timestamp,node,watts\n", 415),
        (CSV, b"\n", 200),
        ("application/json", b'{"samples": []}', 200),
    ],
)
def test_a_body_of_no_known_form_is_told_so(client: Client, secret: str, kind: str, body: bytes, status: int) -> None:
    answer = post(client, secret, body, kind)
    assert answer.status_code == status, answer.content
    assert status == 200 or answer.json()["detail"]


def test_an_unknown_or_broken_packing_is_refused(client: Client, secret: str) -> None:
    packed = gzip.compress(lines().encode())
    assert post(client, secret, packed, **{"Content-Encoding": "br"}).status_code == 415
    answer = post(client, secret, packed[:-20], **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "gzip" in answer.json()["detail"]


def test_who_may_send(client: Client, cluster: Cluster, secret: str) -> None:
    other = make_token(cluster, "prolog", [Token.Scope.JOBS_WRITE], by="olga", now=NOW)[1]
    expired = new_secret(cluster, "old", expires_at=NOW + timedelta(hours=1))
    Token.objects.filter(name="old").update(expires_at=NOW - timedelta(hours=1))
    revoked = new_secret(cluster, "gone")
    revoke_token(Token.objects.get(name="gone"), NOW)
    for shown, status in (
        ("", 401),
        ("jb_nothing", 401),
        (secret[:-1] + ("A" if secret[-1] != "A" else "B"), 401),
        (secret + "A", 401),
        ("x" * 100_000, 401),
        (expired, 401),
        (revoked, 401),
        (other, 403),
        (secret, 200),
    ):
        answer = post(client, shown, lines())
        assert answer.status_code == status, answer.content
        if status == 401:
            assert answer["WWW-Authenticate"].startswith("Bearer")
    assert len(stored(cluster)) == 3


def test_a_login_is_no_token_and_a_token_no_login(client: Client, secret: str, people: Any) -> None:
    client.force_login(people.olga)
    assert post(client, "", lines()).status_code == 401
    client.logout()
    answer = client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401


def test_a_secret_is_found_in_the_headers_that_senders_know() -> None:
    assert secret_in("Bearer jb_1") == secret_in("Token jb_1") == secret_in("token  jb_1 ") == "jb_1"
    assert secret_in("Basic YW55Ym9keTpqYl8x") == "jb_1"
    assert secret_in("Basic !!") == secret_in("Digest x") == secret_in("") == ""


def test_only_the_digest_of_a_secret_is_kept(secret: str) -> None:
    row = Token.objects.get()
    assert len(secret) == 46
    assert secret.startswith(row.prefix)
    assert secret not in str(Token.objects.values().get())


def test_a_body_that_is_too_large_is_refused_packed_and_unpacked(client: Client, cluster: Cluster, secret: str) -> None:
    with override_settings(PUSH_BODY_MIB=0):
        assert post(client, secret, lines()).status_code == 413
    bomb = gzip.compress(b"0" * (3 << 20), 9)
    assert len(bomb) < 10_000
    with override_settings(PUSH_UNPACKED_MIB=1):
        assert post(client, secret, bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    assert ROOM.taken == 0
    assert not stored(cluster)


def test_when_too_much_waits_the_sender_is_told_when_to_come_again(
    client: Client, cluster: Cluster, secret: str
) -> None:
    whole = settings.PUSH_WAITING_MIB << 20
    ROOM.take(whole)  # as others would that are being read
    answer = post(client, secret, lines())
    ROOM.give(whole)
    assert (answer.status_code, int(answer["Retry-After"])) == (429, 5)
    assert ROOM.taken == 0
    with override_settings(PUSH_WAITING_MIB=0):  # there will never be room for it
        assert post(client, secret, lines()).status_code == 413
    assert post(client, secret, lines()).status_code == 200


def test_a_database_that_is_away_acknowledges_nothing(
    client: Client, cluster: Cluster, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("measurements.services.push.note_uses", away)
        answer = post(client, secret, lines())
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not stored(cluster)
    with monkeypatch.context() as patched:
        patched.setattr("portal.senders.token_of", away)
        assert post(client, secret, lines()).status_code == 503
    assert post(client, secret, lines()).status_code == 200


def test_a_token_writes_to_its_own_cluster_alone(client: Client, secret: str) -> None:
    from measurements.parsers.records import NodeRecord
    from measurements.services.machine import create_cluster, load_nodes

    other = create_cluster("other")
    load_nodes(other, [NodeRecord(1, "n1", "big"), NodeRecord(2, "o1", "big")])
    assert post(client, secret, lines(node="o1")).status_code == 422
    assert post(client, secret, lines(node="n1")).status_code == 200
    assert not stored(other)


def test_holds_of_gpus_are_taken_once(client: Client, cluster: Cluster) -> None:
    jobs = make_token(cluster, "prolog", [Token.Scope.JOBS_WRITE], by="olga", now=NOW)[1]
    holds = [
        {"job_id": "123", "node": "n1", "index": 0, "seen": NOW.isoformat()},
        {"job_id": 123, "node": "n1", "gpu": GPU, "seen": NOW.timestamp(), "via": "agent"},
    ]
    said = {"path": "/api/v1/gpu-holds", "kind": "application/json"}
    answer = post(client, jobs, json.dumps({"holds": holds}), **said)
    assert (answer.status_code, answer.json()["stored"]) == (200, 2), answer.content
    assert post(client, jobs, json.dumps({"holds": holds}), **said).json()["duplicates"] == 2
    assert GpuHold.objects.count() == 2
    for wrong in ({}, {"job_id": "1"}, {"job_id": "1", "node": "n1"}, {"job_id": "1", "node": "n1", "index": -1}):
        answer = post(client, jobs, json.dumps({"holds": [wrong]}), **said)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("hold 1")


def test_the_description_names_what_is_pushed(client: Client) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path in ("/api/v1/power", "/api/v1/gpu-holds"):
        assert "requestBody" in paths[path]["post"]
        assert paths[path]["post"]["security"]


def test_times_are_judged_by_the_clock_of_the_server(client: Client, secret: str) -> None:
    ahead = datetime.now(UTC) + timedelta(days=3)
    answer = post(client, secret, f"timestamp,node,watts\n{ahead.isoformat()},n1,300\n")
    assert answer.status_code == 422
    assert "time out of range" in answer.json()["errors"][0]["reason"]
