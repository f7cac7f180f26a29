"""Prometheus remote write 1.0: a protobuf ``WriteRequest`` in one Snappy block.

``WriteRequest{timeseries=1}``, ``TimeSeries{labels=1, samples=2}``, ``Label{name=1, value=2}``,
``Sample{value=1 double, timestamp=2 int64 ms}``. The labels of a series are kept as bytes and read once for all
requests that have them. A stale marker is a NaN, and a NaN is no sample. A sample's line is its series' position in
the request, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from measurements.parsers.mapping_rules import Action
from measurements.parsers.records import PowerChunk, UnusableFile
from measurements.parsers.series import Catalogue, SeriesSamples
from measurements.parsers.series_texts import CodeCache

LARGEST_BYTES = 32 << 20  # of a request that is unpacked
MOST_PARTS = 1_000_000  # series, labels and samples of a request: two bytes may be one, and take 100 in memory
_SIZES = {1: 8, 5: 4}  # bytes of the fields of fixed length, by wire type
_A_SERIES = 1 << 3 | 2  # the tag of field 1, bytes
_NO_REQUEST = "no WriteRequest of Prometheus remote write 1.0"
_SMALL_BYTES = 1 << 20  # in a request of this size there is no harm
_PACKAGE = "joulebook.prometheus"
_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES: dict[str, tuple[tuple[str, int, Any, bool, str], ...]] = {
    "Label": (("name", 1, _Field.TYPE_BYTES, False, ""), ("value", 2, _Field.TYPE_BYTES, False, "")),
    "Sample": (("value", 1, _Field.TYPE_DOUBLE, False, ""), ("timestamp", 2, _Field.TYPE_INT64, False, "")),
    "TimeSeries": (
        ("labels", 1, _Field.TYPE_BYTES, True, ""),  # messages, read where they are new
        ("samples", 2, _Field.TYPE_MESSAGE, True, "Sample"),
    ),
    "WriteRequest": (("timeseries", 1, _Field.TYPE_MESSAGE, True, "TimeSeries"),),
}


class RemoteWrite:
    """Reads the bodies of requests with a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._codes = CodeCache(self._new, catalogue.remembered("remote write"))

    def chunk(
        self, body: bytes, now_ms: int, told: set[int] | None = None, largest_bytes: int = LARGEST_BYTES
    ) -> PowerChunk:
        """The samples of a request; UnusableFile if it is none."""
        request, content = _messages()["WriteRequest"](), unpacked(body, largest_bytes)
        if len(content) > _SMALL_BYTES and _is_crowded(content):
            raise UnusableFile(f"more than {MOST_PARTS:,} series, labels and samples: send smaller requests")
        try:
            request.ParseFromString(content)
        except DecodeError as error:
            raise UnusableFile(f"{_NO_REQUEST} ({error})") from error
        codes: list[int] = []
        counts: list[int] = []
        times: list[int] = []
        values: list[float] = []
        for series in request.timeseries:
            samples = series.samples
            codes.append(self._codes.one(tuple(series.labels)))
            counts.append(len(samples))
            times += [sample.timestamp for sample in samples]
            values += [sample.value for sample in samples]
        line = np.repeat(np.arange(1, len(codes) + 1, dtype=np.int64), counts)
        columns = SeriesSamples(
            np.repeat(np.array(codes, np.int32), counts), np.array(times, np.int64), np.array(values, np.float64), line
        )
        return self.catalogue.chunk(columns, now_ms, told)

    def _new(self, raw: tuple[bytes, ...]) -> int:
        """The code of a series by its labels as they came."""
        labels: dict[str, str] = {}
        for one in raw:
            label = _messages()["Label"]()
            try:
                label.ParseFromString(one)
            except DecodeError:
                return self.catalogue.fixed(Action.REFUSE, "a label that is none", "unreadable series")
            name = label.name.decode("utf-8", errors="replace")
            if name in labels:
                return self.catalogue.fixed(Action.REFUSE, f"the label {name[:80]!r} twice", "unreadable series")
            labels[name] = label.value.decode("utf-8", errors="replace")
        return self.catalogue.code(labels.pop("__name__", ""), labels)


def unpacked(body: bytes, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """The content of a Snappy block; UnusableFile if it is none, or too large to be unpacked."""
    size = _declared_size(body)
    if size > largest_bytes:
        raise UnusableFile(f"{size} bytes when unpacked, more than {largest_bytes}: send smaller requests")
    try:
        return bytes(pa.decompress(body, decompressed_size=size, codec="snappy", asbytes=True)) if size else b""
    except (OSError, pa.ArrowException) as error:
        raise UnusableFile("no Snappy block: remote write sends Content-Encoding: snappy") from error


def _declared_size(body: bytes) -> int:
    """How long a Snappy block says that it is unpacked: a number in base 128 before it, the least digit first."""
    size = 0
    for place, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return size
    raise UnusableFile("no Snappy block: remote write sends Content-Encoding: snappy")


def _is_crowded(content: bytes) -> bool:
    """Whether a request holds more series, labels and samples than are read at once; counted before it is read."""
    count = 0
    for tag, start, end in _fields(content, 0, len(content)):
        count += 1
        if tag == _A_SERIES:
            count += sum(1 for _ in islice(_fields(content, start, end), MOST_PARTS))
        if count > MOST_PARTS:
            return True
    return False


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tag, start and end of all of a message's fields; UnusableFile where it is none."""
    while at < end:
        tag, at = _varint(content, at, end)
        kind, size = tag & 7, 0
        if kind in (0, 2):
            size, at = _varint(content, at, end)
        start, at = at, at + (size if kind == 2 else _SIZES.get(kind, 0))
        if tag < 8 or kind not in (0, *_SIZES, 2) or at > end:
            raise UnusableFile(_NO_REQUEST)
        yield tag, start, at


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number in base 128, and where it ends; UnusableFile if it does not."""
    value = 0
    for place, byte in enumerate(content[at : min(at + 10, end)]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise UnusableFile(_NO_REQUEST)


@cache
def _messages() -> dict[str, Any]:
    """The classes of the messages, made from their description above."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated, of in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                added.type_name = f".{_PACKAGE}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in _MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}
