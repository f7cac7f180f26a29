"""Bodies of Prometheus remote write, made by hand from the specification's field numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from measurements.parsers.records import UnusableFile
from measurements.parsers.remote_write import RemoteWrite, unpacked
from tests.measurements.parsers.reading import NOW_MS
from tests.measurements.parsers.series_reading import T0_MS, catalogue, plain, refused

DCGM = {"__name__": "DCGM_FI_DEV_POWER_USAGE", "gpu": "0", "Hostname": "n1"}
Written = tuple[Mapping[str, str], Sequence[tuple[float, int]]]


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def sample(value: float, t_ms: int) -> bytes:
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t_ms))


def label(name: str, value: str) -> bytes:
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def request(*series: Written) -> bytes:
    """A WriteRequest, not packed."""
    return b"".join(
        field(1, b"".join(label(*pair) for pair in labels.items()) + b"".join(sample(*one) for one in samples))
        for labels, samples in series
    )


def packed(raw: bytes) -> bytes:
    return bytes(pa.compress(raw, codec="snappy", asbytes=True))


def test_samples_of_series_come_out_with_their_times_and_series_as_lines() -> None:
    body = packed(request((DCGM, [(68.5, T0_MS), (69.0, T0_MS + 15_000)]), (DCGM | {"gpu": "1"}, [(70.0, T0_MS)])))
    chunk = RemoteWrite(catalogue()).chunk(body, NOW_MS)
    assert plain(chunk) == [
        ("n1", "gpu0", "gauge", 0, 68_500),
        ("n1", "gpu0", "gauge", 15_000, 69_000),
        ("n1", "gpu1", "gauge", 0, 70_000),
    ]
    assert chunk.line.tolist() == [1, 1, 2]


def test_a_stale_marker_ends_a_series_and_is_no_value() -> None:
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    assert math.isnan(stale)
    chunk = RemoteWrite(catalogue()).chunk(packed(request((DCGM, [(68.0, T0_MS), (stale, T0_MS + 1)]))), NOW_MS)
    assert plain(chunk) == [("n1", "gpu0", "gauge", 0, 68_000)]
    assert refused(chunk) == []


def test_what_is_known_of_series_is_kept_from_request_to_request() -> None:
    known = catalogue()
    for _ in range(3):
        RemoteWrite(known).chunk(packed(request((DCGM, [(1.0, T0_MS)]))), NOW_MS)
    assert len(known) == 1
    assert len(known.remembered("remote write")) == 1


def test_unknown_fields_metadata_and_exemplars_are_passed_over() -> None:
    series = b"".join(label(*pair) for pair in DCGM.items()) + sample(1.0, T0_MS) + field(3, b"\x08\x01")
    body = packed(field(1, series) + field(3, b"\x08\x01\x12\x03abc"))
    assert plain(RemoteWrite(catalogue()).chunk(body, NOW_MS)) == [("n1", "gpu0", "gauge", 0, 1_000)]


def test_a_series_with_labels_that_are_none_is_refused_alone() -> None:
    twice = label("__name__", "a_watts") + label("__name__", "b_watts") + sample(1.0, T0_MS)
    broken = field(1, b"\x0a\x7fx") + sample(1.0, T0_MS)
    body = packed(field(1, twice) + field(1, broken) + request((DCGM, [(1.0, T0_MS)])))
    chunk = RemoteWrite(catalogue()).chunk(body, NOW_MS)
    assert refused(chunk) == [("unreadable series", 1), ("unreadable series", 2)]
    assert len(plain(chunk)) == 1


def test_labels_that_are_no_text_are_refused_and_do_not_stop_the_rest() -> None:
    nasty = (
        label("__name__", DCGM["__name__"])
        + label("gpu", "0")
        + field(1, field(1, b"Hostname") + field(2, b"\xff\xfe"))
    )
    body = packed(field(1, nasty + sample(1.0, T0_MS)) + request((DCGM, [(2.0, T0_MS)])))
    chunk = RemoteWrite(catalogue()).chunk(body, NOW_MS)
    assert refused(chunk) == [("unusable label", 1)]
    assert [row[4] for row in plain(chunk)] == [2_000]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no Snappy block"),
        (b"\xff" * 20, "no Snappy block"),
        (request((DCGM, [(1.0, T0_MS)])), "no Snappy block|no WriteRequest|more than"),
        (packed(request((DCGM, [(1.0, T0_MS)])))[:-4], "no Snappy block"),
        (packed(b"\x0a\xff\xff\xff\xff\x0f12"), "no WriteRequest"),
    ],
)
def test_a_body_that_is_none_is_refused_with_a_sentence(body: bytes, said: str) -> None:
    with pytest.raises(UnusableFile, match=said):
        RemoteWrite(catalogue()).chunk(body, NOW_MS)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = packed(b"\0" * (64 << 20))
    assert len(bomb) < 4 << 20
    with pytest.raises(UnusableFile, match="67108864 bytes when unpacked"):
        unpacked(bomb)
    assert len(unpacked(bomb, 64 << 20)) == 64 << 20


def test_an_empty_request_gives_nothing() -> None:
    assert plain(RemoteWrite(catalogue()).chunk(packed(b""), NOW_MS)) == []
