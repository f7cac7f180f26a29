"""gzip, zstd and UTF-16 as streams that give all that can be had before a break, and say where it broke."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

import pyarrow as pa

from measurements.parsers.pieces import BrokenStream, Pieces
from measurements.parsers.tar_text import is_tar, tar_as_text

__all__ = ["BrokenStream", "decompressed", "packing"]

PIECE_BYTES = 1 << 20  # most that one step decompresses: a bomb stays bounded
_STEP_BYTES = 64 << 10
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TAR_BYTES = 512  # what tells a tar archive
_GZIP_BITS = 31  # a gzip wrapper with the largest window


def decompressed(open_raw: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """The content of a stream, plain or compressed, by its first bytes; ``open_raw`` reads it from its start.

    A tar archive is given as one text. Raises BrokenStream after the last good byte.
    """
    plain = _unpacked(open_raw)
    start = b""
    try:
        while len(start) < _TAR_BYTES and (piece := next(plain, b"")):
            start += piece
    except BrokenStream:
        yield start
        raise
    whole = chain([start], plain)
    if is_tar(start):
        yield from tar_as_text(whole)
    else:
        yield from _as_utf8(whole) if start.startswith(_UTF16) else whole


def packing(open_raw: Callable[[], Iterator[bytes]]) -> tuple[str, ...]:
    """How a stream is packed, from the outside in: gzip or zstd, then tar or UTF-16."""
    first = next(open_raw(), b"")
    outer = "gzip" if first.startswith(_GZIP) else "zstd" if first.startswith(_ZSTD) else ""
    start = b""
    with suppress(BrokenStream):
        for piece in _unpacked(open_raw):
            start += piece
            if len(start) >= _TAR_BYTES:
                break
    inner = "tar" if is_tar(start) else "UTF-16" if start.startswith(_UTF16) else ""
    return tuple(filter(None, (outer, inner)))


def _as_utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """UTF-16 with its mark, as Excel saves "Unicode text"."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _unpacked(open_raw: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    raw = open_raw()
    first = next(raw, b"")
    if first.startswith(_GZIP):
        yield from _gunzip(chain([first], raw))
    elif first.startswith(_ZSTD):
        yield from _unzstd(open_raw)
    else:
        yield from chain([first], raw)


def _gunzip(raw: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream."""
    inflater = zlib.decompressobj(_GZIP_BITS)
    data = next(raw, b"")
    while True:
        before = inflater.copy()
        try:
            piece = inflater.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            yield _salvage(before, data)
            raise BrokenStream("corrupt gzip", str(error)) from error
        yield piece
        if inflater.eof:
            data = inflater.unused_data.lstrip(b"\0") or _next_nonzero(raw)
            if not data:
                return
            if not data.startswith(_GZIP[: len(data)]):
                raise BrokenStream("corrupt gzip", "other bytes behind the end of the compressed data")
            inflater = zlib.decompressobj(_GZIP_BITS)
            continue
        data = inflater.unconsumed_tail or next(raw, b"")
        if not data and not piece:  # nothing left to read, and nothing left inside
            raise BrokenStream("truncated gzip", "the compressed data ends too early")


def _next_nonzero(raw: Iterator[bytes]) -> bytes:
    """The next bytes behind a member; zeros pad it (tapes)."""
    for piece in raw:
        if stripped := piece.lstrip(b"\0"):
            return stripped
    return b""


def _salvage(inflater: zlib._Decompress, data: bytes) -> bytes:
    """What can be had of data in which decompression fails (at most a piece): byte by byte up to the fault."""
    good = bytearray()
    with suppress(zlib.error):
        for i in range(len(data)):
            good += inflater.decompress(data[i : i + 1])
    return bytes(good)


def _unzstd(open_raw: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """All frames of a zstd stream."""
    good = 0
    with _zstd_stream(open_raw) as stream:
        try:
            while piece := stream.read(_STEP_BYTES):
                yield piece
                good += len(piece)
        except OSError as error:
            yield _salvage_zstd(open_raw, good)
            reason = "truncated zstd" if "runcated" in str(error) else "corrupt zstd"
            raise BrokenStream(reason, "the compressed data ends too early or is damaged") from error


def _salvage_zstd(open_raw: Callable[[], Iterator[bytes]], good: int) -> bytes:
    """What the failing step had already decompressed: read anew, and byte by byte up to the fault."""
    rest = bytearray()
    with _zstd_stream(open_raw) as stream, suppress(OSError):
        while good > 0:
            good -= len(stream.read(min(good, _STEP_BYTES)))
        while byte := stream.read(1):
            rest += byte
    return bytes(rest)


def _zstd_stream(open_raw: Callable[[], Iterator[bytes]]) -> pa.CompressedInputStream:
    return pa.CompressedInputStream(pa.PythonFile(Pieces(open_raw()), mode="r"), "zstd")
