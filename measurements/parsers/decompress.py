"""gzip and zstd as streams that give all that can be had before a break, and say where it broke."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

PIECE_BYTES = 1 << 20  # most that one step decompresses: a bomb stays bounded
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_BITS = 31  # a gzip wrapper with the largest window


class BrokenStream(Exception):  # noqa: N818 - named for what it is: what came before it is good
    """A compressed stream that ends too early or is damaged."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class _Inflater(Protocol):
    """What of zlib's decompression object is used."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...
    def copy(self) -> _Inflater: ...


def decompressed(raw: Iterator[bytes]) -> Iterator[bytes]:
    """The content of a stream, plain or compressed, by its first bytes.

    Raises BrokenStream after the last good byte.
    """
    first = next(raw, b"")
    if first.startswith(_GZIP):
        yield from _gunzip(_chain(first, raw))
    elif first.startswith(_ZSTD):
        yield from _unzstd(_chain(first, raw))
    else:
        yield from _chain(first, raw)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _gunzip(raw: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream."""
    inflater: _Inflater = zlib.decompressobj(_GZIP_BITS)
    data = b""
    while True:
        if inflater.eof:
            data = inflater.unused_data.lstrip(b"\0") or _next_nonzero(raw)
            if not data:
                return
            if not data.startswith(_GZIP[: len(data)]):
                raise BrokenStream("corrupt gzip", "other bytes behind the end of the compressed data")
            inflater = zlib.decompressobj(_GZIP_BITS)
        elif not data and not (data := next(raw, b"")):
            raise BrokenStream("truncated gzip", "the compressed data ends too early")
        before = inflater.copy()
        try:
            yield inflater.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            yield from _salvage(before, data)
            raise BrokenStream("corrupt gzip", str(error)) from error
        data = inflater.unconsumed_tail


def _next_nonzero(raw: Iterator[bytes]) -> bytes:
    """The next bytes behind a member; zeros pad it (tapes)."""
    for piece in raw:
        if stripped := piece.lstrip(b"\0"):
            return stripped
    return b""


def _salvage(inflater: _Inflater, data: bytes) -> Iterator[bytes]:
    """What can be had of data in which decompression fails: byte by byte up to the fault."""
    for i in range(len(data)):
        try:
            yield inflater.decompress(data[i : i + 1])
        except zlib.error:
            return


def _unzstd(raw: Iterator[bytes]) -> Iterator[bytes]:
    """All frames of a zstd stream."""
    with pa.CompressedInputStream(pa.PythonFile(_Reader(raw), mode="r"), "zstd") as stream:
        while True:
            try:
                piece = stream.read(ZSTD_STEP_BYTES)
            except OSError as error:
                reason = "truncated zstd" if "runcated" in str(error) else "corrupt zstd"
                raise BrokenStream(reason, "the compressed data ends too early or is damaged") from error
            if not piece:
                return
            yield piece


ZSTD_STEP_BYTES = 64 << 10


class _Reader(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
