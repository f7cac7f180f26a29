"""Remote write and line protocol over HTTP: what is mapped is stored, what is not is no fault, what is broken said."""

from __future__ import annotations

import base64
import gzip
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.test import Client, override_settings
from django.utils import timezone

from measurements.models import Channel, ChannelPeriod, Cluster, Quarantine, Token
from measurements.services.tokens import make_token
from tests.measurements.services.pushing import cluster_of, held

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
MS = int(NOW.timestamp() * 1000)
Series = tuple[dict[str, str], list[tuple[int, float]]]


@pytest.fixture
def cluster() -> Cluster:
    return cluster_of("n1", "n2")


@pytest.fixture
def secret(cluster: Cluster) -> str:
    return make_token(cluster, "prometheus", [Token.Scope.POWER_WRITE], by="olga", now=NOW)[1]


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = b""
    while value >= 0x80:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def write_request(*series: Series) -> bytes:
    """Remote write 1.0, made by hand: WriteRequest, packed as a snappy block."""
    request = b""
    for labels, samples in series:
        one = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        for at, value in samples:
            one += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at))
        request += field(1, one)
    return bytes(pa.Codec("snappy").compress(request, asbytes=True))


def power(watts: float, node: str = "n1", metric: str = "ipmi_dcmi_power_consumption_watts") -> Series:
    return {"__name__": metric, "instance": f"{node}:9290", "job": "ipmi"}, [(MS, watts), (MS - 10_000, watts + 1)]


def remote(client: Client, secret: str, body: bytes, kind: str = "application/x-protobuf", **more: str) -> Any:
    headers = {"Authorization": f"Bearer {secret}", "Content-Encoding": "snappy"} | more
    return client.post("/api/v1/prometheus/write", body, content_type=kind, headers=headers)


def influx(client: Client, secret: str, body: str | bytes, query: str = "", **more: str) -> Any:
    data = body.encode() if isinstance(body, str) else body
    headers = {"Authorization": f"Token {secret}"} | more
    return client.post(f"/api/v2/write?org=o&bucket=b{query}", data, content_type="text/plain", headers=headers)


def stored(cluster: Cluster) -> set[tuple[str, int, int]]:
    return held(cluster)


def test_remote_write_is_stored_under_node_channel_and_source(client: Client, cluster: Cluster, secret: str) -> None:
    body = write_request(power(345), power(200, "n2"), power(1, metric="go_goroutines"))
    for _ in range(2):
        assert remote(client, secret, body).status_code == 204
    assert Channel.objects.filter(name="node").count() == 2
    assert set(ChannelPeriod.objects.values_list("source", flat=True)) == {"ipmi_dcmi"}
    found = held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert found == {
        ("n1", MS, 345_000),
        ("n1", MS - 10_000, 346_000),
        ("n2", MS, 200_000),
        ("n2", MS - 10_000, 201_000),
    }


def test_series_that_are_no_power_are_no_fault_of_the_sender(client: Client, cluster: Cluster, secret: str) -> None:
    assert remote(client, secret, write_request(power(1, metric="up"))).status_code == 204
    answer = remote(client, secret, write_request(power(345, "ghost")))
    assert answer.status_code == 400
    assert b"unknown node" in answer.content
    assert Quarantine.objects.filter(reason="unknown node").exists()


def test_what_is_no_remote_write_1_is_refused(client: Client, secret: str) -> None:
    body = write_request(power(345))
    assert remote(client, secret, body, "text/plain").status_code == 415
    two = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert remote(client, secret, body, two).status_code == 415
    assert remote(client, secret, body, **{"Content-Encoding": "gzip"}).status_code == 415
    assert remote(client, secret, b"\xff\xff\xff\xff\xff").status_code in (400, 413)
    assert remote(client, secret, body[:-5]).status_code == 400
    assert remote(client, "jb_wrong", body).status_code == 401


def test_a_broken_mapping_file_of_the_site_loses_no_reading(
    client: Client, cluster: Cluster, secret: str, own_var: Path
) -> None:
    mappings = own_var / "mappings"
    mappings.mkdir(parents=True)
    (mappings / "rack.toml").write_text('[[series]]\nmetric = "rack_power"\n')  # half of it, as an editor saves it
    line = f"node_power,hostname=n1,type=node value=345.5 {MS * 10**6}\n"
    for answer in (remote(client, secret, write_request(power(345))), influx(client, secret, line)):
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")  # with 400 they would drop it
        assert b"rack.toml: [[series]] 1 (rack_power): unit: missing" in answer.content
    assert Token.objects.get().refused_for == "broken mapping file"  # operators see it
    (mappings / "rack.toml").unlink()
    assert remote(client, secret, write_request(power(345))).status_code == 204
    assert held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))


def test_a_bomb_says_its_size_and_is_not_unpacked(client: Client, secret: str) -> None:
    bomb = bytes(pa.Codec("snappy").compress(b"\0" * (3 << 20), asbytes=True))
    with override_settings(PUSH_UNPACKED_MIB=1):
        assert remote(client, secret, bomb).status_code == 413
    lying = varint(10) + bomb[4:]
    assert remote(client, secret, lying).status_code == 400


@pytest.mark.parametrize(("precision", "scale"), [("", 10**6), ("ns", 10**6), ("us", 1000), ("ms", 1), ("s", 0.001)])
def test_line_protocol_is_read_by_its_precision(
    client: Client, cluster: Cluster, secret: str, precision: str, scale: float
) -> None:
    line = f"node_power,hostname=n1,type=node value=345.5 {int(MS * scale)}\n"
    answer = influx(client, secret, line, f"&precision={precision}" if precision else "")
    assert (answer.status_code, answer.content) == (204, b"")
    found = held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert found == {("n1", MS, 345_500)}


def test_line_protocol_comes_packed_with_any_of_its_logins_and_to_the_first_version_s_address(
    client: Client, cluster: Cluster, secret: str
) -> None:
    line = f"node_power,hostname=n1,type=node value=345.5 {MS * 10**6}\n".encode()
    basic = "Basic " + base64.b64encode(f"any:{secret}".encode()).decode()
    packed = gzip.compress(line)
    assert influx(client, secret, packed, **{"Content-Encoding": "gzip", "Authorization": basic}).status_code == 204
    headers = {"Authorization": basic}
    answer = client.post("/write?db=x", line, content_type="application/octet-stream", headers=headers)
    assert answer.status_code == 204
    assert client.get("/ping").status_code == 204
    assert len(held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))) == 1


def test_a_broken_line_is_named_and_the_others_are_stored(client: Client, cluster: Cluster, secret: str) -> None:
    good = f"node_power,hostname=n1,type=node value=345.5 {MS * 10**6}\n"
    answer = influx(client, secret, f"{good}what is this\ncpu,host=n1 usage_idle=5 {MS * 10**6}\n")
    assert answer.status_code == 400
    assert "line 2" in answer.json()["message"]
    assert answer.json()["code"] == "invalid"
    assert len(held(cluster, NOW - timedelta(hours=1), NOW + timedelta(hours=1))) == 1
    assert influx(client, secret, f"cpu,host=n1 usage_idle=5 {MS * 10**6}\n").status_code == 204
    ghost = influx(client, secret, f"node_power,hostname=ghost,type=node value=345.5 {MS * 10**6}\n")
    assert (ghost.status_code, "unknown node" in ghost.json()["message"]) == (422, True)
    assert influx(client, secret, good, "&precision=h").status_code == 400
    seconds = influx(client, secret, f"node_power,hostname=n1,type=node value=345 {round(NOW.timestamp())}")
    assert seconds.status_code == 400
    assert "times were read as ns: is ?precision= right?" in seconds.json()["message"]
    assert influx(client, "jb_wrong", good).status_code == 401
    assert influx(client, secret, "").status_code == 204


def test_a_page_of_another_site_cannot_make_a_browser_send(client: Client, people: Any) -> None:
    client.force_login(people.olga)
    assert client.post("/api/v2/write", b"x", content_type="text/plain").status_code == 401
    assert client.get("/api/v2/write").status_code == 405
