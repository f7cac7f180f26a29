"""What programs that are made for others expect of an answer: each keeps, drops and sends again by rules of its own."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from measurements.models import Cluster
from portal.push_body import ROOM
from portal.senders import secret_in
from tests.measurements.services.pushing import cluster_of, held
from tests.portal.test_push_series import power, remote, write_request
from tests.portal.test_push_series import secret as secret

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
SECOND = int(NOW.timestamp())
NODE = f"node_power,hostname=n1,type=node value=345.5 {SECOND}"
LINE = f"{NODE}{'0' * 9}\n"  # in ns, as Telegraf's are


@pytest.fixture
def cluster() -> Cluster:
    return cluster_of("n1", "n2")


def send(client: Client, path: str, body: str, authorization: str) -> Any:
    return client.post(path, body, content_type="text/plain; charset=utf-8", headers={"Authorization": authorization})


def samples(cluster: Cluster) -> set[tuple[str, int, int]]:
    return held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))


def test_prometheus_and_telegrafs_first_version_are_never_told_429_for_they_drop_what_is(
    client: Client, cluster: Cluster, secret: str
) -> None:
    basic = "Basic " + base64.b64encode(f"any:{secret}".encode()).decode()
    whole = settings.PUSH_WAITING_MIB << 20
    ROOM.take(whole)
    try:
        answers = [
            remote(client, secret, write_request(power(345))),
            send(client, "/write?db=telegraf", LINE, basic),
            send(client, "/api/write?cluster=alpha", f"{NODE}\n", f"Bearer {secret}"),
            send(client, "/api/v2/write?org=any&bucket=any", LINE, f"Token {secret}"),
        ]
    finally:
        ROOM.give(whole)
    assert [answer.status_code for answer in answers] == [503, 503, 503, 429]
    assert {answer["Retry-After"] for answer in answers} == {"5"}
    assert not samples(cluster)


def test_vmagents_own_packing_is_turned_away_with_415_upon_which_it_sends_snappy(client: Client, secret: str) -> None:
    more = {"Content-Encoding": "zstd", "X-VictoriaMetrics-Remote-Write-Version": "1"}
    assert remote(client, secret, b"\x28\xb5\x2f\xfd" + b"x" * 50, **more).status_code == 415


def test_the_http_sink_of_cc_metric_collector_sends_seconds_and_takes_nothing_but_200(
    client: Client, cluster: Cluster, secret: str
) -> None:
    for path in ("/api/write/?cluster=alpha", "/api/write?cluster=alpha"):
        answer = send(client, path, f"{NODE}\n", f"Bearer {secret}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert samples(cluster) == {("n1", SECOND * 1000, 345_500)}
    assert send(client, "/api/write", f"{NODE}\n", "Bearer jb_wrong").status_code == 401
    assert send(client, "/api/write", "no line at all\n", f"Bearer {secret}").status_code == 400


def test_influxs_clients_show_a_user_and_a_password_as_a_token(client: Client, cluster: Cluster, secret: str) -> None:
    assert secret_in("Token any:jb_1") == "jb_1"
    answer = send(client, "/api/v2/write?org=o&bucket=b&precision=s", f"{NODE}\n", f"Token meter:{secret}")
    assert answer.status_code == 204
    assert len(samples(cluster)) == 1


def test_telegrafs_first_version_makes_its_database_and_finds_it_made(client: Client, secret: str) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"any:{secret}".encode()).decode()}
    answer = client.post("/query", {"q": 'CREATE DATABASE "telegraf"'}, headers=basic)
    assert (answer.status_code, answer.json()) == (200, {"results": [{"statement_id": 0}]})
    answer = client.post("/query", {"q": "SELECT * FROM power; CREATE DATABASE x"}, headers=basic)
    assert (answer.status_code, "error" in answer.json()) == (400, True)
    assert client.post("/query", {"q": 'CREATE DATABASE "x"'}).status_code == 401
    assert client.get("/query?q=SHOW+DATABASES", headers=basic).status_code == 405


def test_a_token_in_the_address_opens_nothing(client: Client, cluster: Cluster, secret: str) -> None:
    for path in (f"/write?db=x&u=any&p={secret}", f"/api/v2/write?token={secret}", f"/api/write?jwt={secret}"):
        answer = client.post(path, LINE, content_type="text/plain")
        assert answer.status_code == 401
        assert secret not in answer.content.decode()
    assert not samples(cluster)
