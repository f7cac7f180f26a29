"""Whoever has a token can fill neither memory nor hours: what is small packed and large in memory is turned away."""

from __future__ import annotations

import gzip
from typing import Any

import pyarrow as pa
import pytest
from django.test import Client

from measurements.models import Cluster
from measurements.parsers import body as bodies
from measurements.parsers import remote_write
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import UnusableFile
from measurements.parsers.remote_write import RemoteWrite, _is_crowded
from measurements.parsers.series import Catalogue
from measurements.services import catalogues
from tests.portal.test_push import lines, post
from tests.portal.test_push_series import MS, field, influx, power, remote, varint, write_request
from tests.portal.test_push_series import cluster as cluster
from tests.portal.test_push_series import secret as secret

pytestmark = pytest.mark.django_db


def snappy(content: bytes) -> bytes:
    return bytes(pa.Codec("snappy").compress(content, asbytes=True))


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\x00" * 1_100_000,  # empty series
        field(1, b"\x12\x00" * 1_100_000),  # empty samples of one
        field(1, b"\x0a\x00" * 1_100_000),  # empty labels of one
        b"\x18\x01" + b"\x8a\x01\x00" + b"\x0a\x00" * 1_100_000,  # behind what is not looked at
        b"\x18\x01" * 1_100_000,  # what is not looked at, again and again
        bytes(63 << 20),
        b"\x0b" + b"\x0a\x00" * 1_100_000,  # inside of what no longer exists
    ],
)
def test_a_request_of_a_million_empty_parts_is_not_even_parsed(client: Client, secret: str, content: bytes) -> None:
    answer = remote(client, secret, snappy(content))
    assert answer.status_code == 400
    assert len(snappy(content)) < len(content) / 10


def test_what_is_counted_is_what_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count is of all series, labels and samples of an ordinary request, no more and no less."""
    series = field(1, field(1, field(1, b"a") + field(2, b"b")) + field(2, b"\x10" + varint(MS)))
    content = series * 3
    monkeypatch.setattr(remote_write, "MOST_PARTS", 9)
    assert not _is_crowded(content)
    monkeypatch.setattr(remote_write, "MOST_PARTS", 8)
    assert _is_crowded(content)


@pytest.mark.parametrize(
    "body", [b'{"samples": [' + b"[]," * 1_100_000 + b"[]]}", b'{"a": [' + b"1," * 2_100_000 + b"1]}"]
)
def test_json_of_millions_of_values_is_not_even_parsed(client: Client, secret: str, body: bytes) -> None:
    packed = gzip.compress(body)
    assert len(packed) < 10_000
    answer = post(client, secret, packed, "application/json", **{"Content-Encoding": "gzip"})
    assert (answer.status_code, "2,000,000 values" in answer.json()["detail"]) == (400, True)


def test_what_is_packed_twice_is_turned_away_for_nobody_knows_its_size(client: Client, secret: str) -> None:
    twice = gzip.compress(gzip.compress(lines().encode()))
    answer = post(client, secret, twice, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, "packed twice" in answer.json()["detail"]) == (400, True)


def test_line_protocol_is_read_block_by_block_and_lines_keep_their_numbers(
    client: Client, cluster: Cluster, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    from measurements.parsers.line_protocol import LineProtocol

    plain = LineProtocol.chunk

    def chunk(self: LineProtocol, text: bytes, *more: Any) -> Any:
        sizes.append(len(text))
        return plain(self, text, *more)

    monkeypatch.setattr(LineProtocol, "chunk", chunk)
    body = (
        b"# of a rack"
        + b"\n" * (9 << 20)
        + b"what is this\n"
        + f"node_power,hostname=n1,type=node value=345.5 {MS}000000\n".encode()
    )
    answer = influx(client, secret, gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert f"partial write: line {(9 << 20) + 1}: unreadable line" in answer.json()["message"]
    assert len(sizes) > 2
    assert max(sizes) < 6 << 20


def test_ever_new_labels_end_where_the_memory_for_them_ends(
    client: Client, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "MOST_SERIES", 20)
    monkeypatch.setattr(catalogues, "MOST_NEW", 10)
    monkeypatch.setattr(catalogues, "_kept", {})
    answer = remote(client, secret, write_request(*(power(345, f"ghost{i}") for i in range(40))))
    assert (answer.status_code, b"more than 30 different series" in answer.content) == (400, True)
    assert remote(client, secret, write_request(power(345))).status_code == 204  # the next one finds room again


def test_a_name_without_end_is_refused_and_not_remembered() -> None:
    catalogue = Catalogue(load_mappings(None))
    reader = RemoteWrite(catalogue)
    for metric in ("ipmi_dcmi_power_consumption_watts", "up"):
        for i in range(3):
            labels = {"__name__": metric, "instance": "n1", "odd": f"{i}" + "x" * 4_000}
            chunk = reader.chunk(write_request((labels, [(MS, 300.0)])), MS, set())
            assert [refusal.reason for refusal in chunk.refusals] == (
                ["name and labels too long"] if metric != "up" else []
            )
    assert len(catalogue) == 2
    assert not catalogue.remembered("remote write")


def test_a_document_is_an_object() -> None:
    assert bodies.json_object(b'{"a": 1}') == {"a": 1}
    for wrong in (b"[]", b"{", b"\xff"):
        with pytest.raises(UnusableFile):
            bodies.json_object(wrong)
