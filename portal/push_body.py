"""What a sender sends: read and unpacked piece by piece, and never more of it than there is room for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest

from measurements.parsers.decompress import BrokenStream, decompressed, packing
from portal.patience import patience_with

MIB = 1 << 20
_HEAD_BYTES = 512
_PIECE_BYTES = 64 << 10
WORTH = 7  # bytes of memory that a byte of a body takes while it is parsed, judged and stored, about
RETRY_AFTER_S = 5
ENCODINGS = ("", "identity", "gzip", "zstd")
SNAPPY = "snappy"
_BROKEN_OFF = "the body breaks off, or did not come in time: nothing of it was taken; send it again"


class Refused(Exception):
    """A request that is not taken: status, and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class Room:
    """How much of what was sent may be in memory at once, over all threads of this process."""

    _taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int, busy: int = 429) -> None:
        """Take room for some bytes, or refuse: the sender comes again, and memory does not grow."""
        with self._lock:
            if self._taken + count > settings.PUSH_WAITING_MIB * MIB:
                raise Refused(busy, f"too much is waiting to be stored; come again in {RETRY_AFTER_S} s")
            self._taken += count

    def give(self, count: int) -> None:
        """Give it back."""
        with self._lock:
            self._taken -= count

    @property
    def taken(self) -> int:
        """Bytes that are taken now."""
        return self._taken


ROOM = Room()


@contextmanager
def body_of(request: HttpRequest, *, snappy: bool = False, busy: int = 429) -> Iterator[bytes]:
    """The body, unpacked but for ``snappy`` (of known size); its room is free again when the block ends.

    ``busy``: the status of "come again". Prometheus and Telegraf's influxdb (version 1) drop what is answered with
    429, as any 4xx, and keep what is answered with 503.
    """
    taken: list[int] = []

    def take(count: int) -> None:
        if sum(taken) + count > settings.PUSH_WAITING_MIB * MIB:  # there is never room for it: coming again is no help
            raise Refused(413, f"it takes more memory than {settings.PUSH_WAITING_MIB} MiB: send it in parts")
        ROOM.take(count, busy)
        taken.append(count)

    try:
        yield _snapped(request, take) if snappy else _unpacked(request, take)
    finally:
        ROOM.give(sum(taken))


def _unpacked(request: HttpRequest, take: Callable[[int], None]) -> bytes:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} is none of gzip, zstd, snappy, identity")
    packed = _packed(request, take)
    found, size, limit = [], 0, settings.PUSH_UNPACKED_MIB * MIB
    try:
        for piece in decompressed(lambda: iter([packed])):
            size += len(piece)
            if size > limit:
                raise Refused(413, f"more than {settings.PUSH_UNPACKED_MIB} MiB unpacked: send it in parts")
            take(len(piece) * WORTH)
            found.append(piece)
    except BrokenStream as broken:
        raise Refused(400, f"{broken.reason}: {broken.detail}") from broken
    content = b"".join(found)
    if {"gzip", "zstd"} & set(packing(lambda: iter([content[:_HEAD_BYTES]]))):
        raise Refused(400, "packed twice: what is inside has no bounded size; pack it once")
    return content


def _snapped(request: HttpRequest, take: Callable[[int], None]) -> bytes:
    if request.headers.get("Content-Encoding", "").strip().lower() != SNAPPY:
        raise Refused(415, "remote write comes with Content-Encoding: snappy")
    packed = _packed(request, take)
    take(_snappy_size(packed) * WORTH)
    return packed


def _packed(request: HttpRequest, take: Callable[[int], None]) -> bytes:
    limit = settings.PUSH_BODY_MIB * MIB
    too_large = Refused(413, f"more than {settings.PUSH_BODY_MIB} MiB: send it in parts")
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise too_large
    parts, size = [], 0
    for piece in _pieces(request):
        size += len(piece)
        if size > limit:
            raise too_large
        take(len(piece))
        parts.append(piece)
    if size < int(request.META.get("CONTENT_LENGTH") or 0):  # its last number may be cut, and look like another one
        raise Refused(503, _BROKEN_OFF)
    return b"".join(parts)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    """The body as it comes; whoever is silent in the middle of it, or drips, keeps no thread of ours for long."""
    stream = _stream(request)
    with patience_with(request.META, settings.PUSH_WAIT_S):
        try:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
        except Exception as fault:  # of the server: it is no part of any interface which
            raise Refused(503, _BROKEN_OFF) from fault


def _stream(request: HttpRequest) -> _Stream:
    """Django reads by Content-Length; of a chunked body, as Go's clients send it, the server knows the end."""
    environ: dict[str, Any] = request.META
    if environ.get("wsgi.input_terminated") and "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        stream: _Stream = environ["wsgi.input"]
        return stream
    return request


def _snappy_size(packed: bytes) -> int:
    """What a snappy block says that it unpacks to: known before it is unpacked."""
    size = shift = 0
    for byte in packed[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > settings.PUSH_UNPACKED_MIB * MIB:
        raise Refused(413, f"more than {settings.PUSH_UNPACKED_MIB} MiB unpacked: send it in parts")
    return size
