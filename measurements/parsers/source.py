"""One input to be read: a file, a job folder, or a stream spooled to disk, decompressed as it is read.

Memory stays bounded whatever comes in: blocks are cut at newlines, and a line too long to
be one is dropped piece by piece while it is read.

    ``expand(paths, spool_dir) -> list[Source]``
    ``source.blocks(size, longest) -> Iterator[(first line number, bytes)]``, then ``source.take_refusals()``
    ``source.lines() -> Iterator[(line number, text)]``
    ``source.head() -> bytes``, ``source.read_all() -> bytes``, ``source.texts(lines) -> {line: text}``
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from measurements.parsers.decompress import BrokenStream, decompressed, packing
from measurements.parsers.foreign import what_it_is
from measurements.parsers.records import Refusal, UnusableFile

BLOCK_BYTES = 4 << 20
LINE_LIMIT_BYTES = 1 << 20
HEAD_BYTES = 64 << 10
WHOLE_LIMIT_BYTES = 256 << 20  # of a document that can only be read as a whole (JSON)
TEXT_LIMIT = 500  # characters of a refused line that are kept
DATA_NAMES = ("data.json", "data.json.gz", "data.json.zst")
ARCHIVE_NAMES = frozenset({"cluster.json", "version.txt", "meta.json"})  # of a job archive, beside the job folders
_BOM = b"\xef\xbb\xbf"
_COPY_BYTES = 1 << 20
_TEXT_CONTROLS = (9, 10, 12, 13, 27, 31)  # that texts hold: 31 is ASCII's unit separator, between fields


@dataclass(slots=True)
class _Open:
    """What is known of a line that is still being read."""

    longest: int  # bytes; what has more is no line
    number: int = 1
    parts: list[bytes] = field(default_factory=list)


class Source:
    """One input. ``name`` is what the operator called it; ``folder`` is set for a job folder."""

    def __init__(self, path: Path, name: str | None = None, folder: Path | None = None) -> None:
        self.path = path
        self.name = name or str(folder or path)
        self.folder = folder
        self._size = _size(path, self.name)  # a log that still grows is read up to here
        self._refusals: list[Refusal] = []

    @cached_property
    def sha256(self) -> str:
        """Of the raw bytes, as they lie on disk; of a job folder data.json, then meta.json."""
        digest = hashlib.sha256()
        for piece in self._raw():
            digest.update(piece)
        if self.meta_path:
            with self.meta_path.open("rb") as meta:
                while piece := meta.read(_COPY_BYTES):
                    digest.update(piece)
        return digest.hexdigest()

    @property
    def meta_path(self) -> Path | None:
        """The meta.json that belongs to a job's data, or None."""
        beside = self.path.with_name("meta.json")
        return beside if self.path.name in DATA_NAMES and beside.is_file() else None

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first bytes, decompressed and without a byte order mark; raises UnusableFile if it is no text."""
        start = bytearray()
        with suppress(BrokenStream):
            for piece in decompressed(self._raw):
                start += piece
                if len(start) >= size:
                    break
        start = bytearray(start[:size].removeprefix(_BOM))
        self._require_text(bytes(start))
        return bytes(start)

    def packing(self) -> tuple[str, ...]:
        """How it is packed, from the outside in: gzip, zstd, tar, UTF-16."""
        return packing(self._raw)

    def read_all(self, limit: int = WHOLE_LIMIT_BYTES) -> bytes:
        """The whole content, for formats that cannot be read in pieces."""
        whole = bytearray()
        try:
            for piece in decompressed(self._raw):
                whole += piece
                if len(whole) > limit:
                    raise UnusableFile(f"{self.name}: more than {limit >> 20} MiB in one document; split it")
        except BrokenStream as broken:
            raise UnusableFile(f"{self.name}: {broken.reason} ({broken.detail}); copy the file anew") from broken
        return bytes(whole.removeprefix(_BOM))

    def blocks(self, size: int = BLOCK_BYTES, longest: int = LINE_LIMIT_BYTES) -> Iterator[tuple[int, bytes]]:
        """The content in blocks of whole lines, each with the number of its first line.

        A block has about ``size`` bytes, at most a line more. Lines of more than ``longest`` bytes and what is
        behind a break of a compressed file become refusals, see `take_refusals`.
        """
        self.head()  # an empty or binary file is refused as a whole
        line = _Open(longest)
        try:
            for piece in _without_mark(decompressed(self._raw)):
                for start in range(0, len(piece), size):
                    yield from self._cut(line, piece[start : start + size], size)
        except BrokenStream as broken:
            yield from self._close_broken(line, broken)
        else:
            yield from self._numbered(line, b"".join(line.parts))

    def take_refusals(self) -> list[Refusal]:
        """What `blocks` refused since the last call."""
        taken, self._refusals = self._refusals, []
        return taken

    def lines(self) -> Iterator[tuple[int, str]]:
        """Every line with its number, without its line end; bytes that are no UTF-8 are replaced."""
        for first, block in self.blocks():
            text = block.removesuffix(b"\n").decode("utf-8", errors="replace")
            for number, line in enumerate(text.split("\n"), start=first):
                yield number, line.removesuffix("\r")

    def texts(self, lines: Iterable[int]) -> dict[int, str]:
        """The text of some lines, read anew: for refusals that are decided only at the end of a file."""
        wanted, untold = set(lines), self.take_refusals()
        found = {number: text[:TEXT_LIMIT] for number, text in self.lines() if number in wanted} if wanted else {}
        self._refusals = untold  # those of this second reading are told the first time
        return found

    def _raw(self) -> Iterator[bytes]:
        left = self._size
        with _opened(self.path, self.name) as stream:
            while left > 0 and (piece := stream.read(min(_COPY_BYTES, left))):
                left -= len(piece)
                yield piece

    def _require_text(self, start: bytes) -> None:
        if not start.strip():
            raise UnusableFile(f"{self.name}: empty; nothing to read")
        if foreign := what_it_is(start):
            raise UnusableFile(f"{self.name}: {foreign}")
        sample = start[: 8 << 10]
        odd = sum(map(sample.count, map(bytes, ([0], *([c] for c in range(1, 32) if c not in _TEXT_CONTROLS)))))
        odd += sample.decode("utf-8", errors="replace").count("\ufffd")
        if b"\0" in sample.partition(b"\n")[0] or odd * 10 > len(sample):
            raise UnusableFile(
                f"{self.name}: not a text file; give text (UTF-8, or UTF-16 with its byte order mark), plain or packed "
                "with gzip or zstd"
            )

    def _cut(self, line: _Open, piece: bytes, size: int) -> Iterator[tuple[int, bytes]]:
        """Take a piece in; give a block once there is enough for one."""
        line.parts.append(piece)
        held = sum(map(len, line.parts))
        if held < size and (held < line.longest or b"\n" in piece):
            return
        whole = b"".join(line.parts)
        end = whole.rfind(b"\n") + 1
        rest = whole[end:]
        if len(rest) > line.longest:
            rest = rest[: line.longest + 1]  # enough to know it again as too long
        line.parts = [rest] if rest else []
        yield from self._numbered(line, whole[:end])

    def _numbered(self, line: _Open, block: bytes) -> Iterator[tuple[int, bytes]]:
        """A block in the parts between its overlong lines, each with the number of its first line."""
        start = 0
        for begin, end in [*_long_lines(block, line.longest), (len(block), len(block))]:
            if begin > start:
                yield line.number, block[start:begin]
                line.number += newlines(block[start:begin])
            if end > begin:
                self._refuse_long(line, block[begin:end])
                line.number += 1
            start = end

    def _refuse_long(self, line: _Open, text: bytes) -> None:
        detail = f"more than {line.longest >> 20} MiB without a line end"
        self._refusals.append(Refusal("line too long", line.number, detail, shown(text)))

    def _close_broken(self, line: _Open, broken: BrokenStream) -> Iterator[tuple[int, bytes]]:
        """Give the whole lines before a break; the line that was cut is refused, for its values may be cut too."""
        kept, newline, cut = b"".join(line.parts).rpartition(b"\n")
        yield from self._numbered(line, kept + newline)
        self._refusals.append(Refusal(broken.reason, line.number, f"{broken.detail}; copy the file anew", shown(cut)))


def newlines(block: bytes) -> int:
    """How many line ends a block holds; four times as fast as bytes.count where they are frequent."""
    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord(b"\n")))


def shown(line: bytes) -> str:
    """A refused line as it is kept: as text, cut."""
    return line[: TEXT_LIMIT * 4].decode("utf-8", errors="replace").rstrip("\r\n")[:TEXT_LIMIT]


def expand(paths: Iterable[str | os.PathLike[str]], spool_dir: Path) -> list[Source]:
    """The inputs behind what an operator named: files, ``-`` (standard input), pipes, and folders with all in them.

    A folder holding meta.json and data.json is one input: a ClusterCockpit job.
    """
    found: list[Source] = []
    for path in paths:
        if os.fspath(path) == "-":
            found.append(_spooled(sys.stdin.buffer, "standard input", spool_dir))
        elif Path(path).is_dir():
            inside = _inside(Path(path))
            if not inside:
                raise UnusableFile(f"{path}: an empty folder")
            found.extend(inside)
        else:
            found.append(_from_file(Path(path), spool_dir))
    return found


def _from_file(path: Path, spool_dir: Path) -> Source:
    if path.exists() and not path.is_file():  # a named pipe, <(zcat …)
        with _opened(path, str(path)) as stream:
            return _spooled(stream, str(path), spool_dir)
    return Source(path)


def _spooled(stream: BinaryIO, name: str, spool_dir: Path) -> Source:
    """A stream as a file in ``spool_dir``; the caller owns that folder and removes it."""
    spool_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=spool_dir, prefix="input-", delete=False) as copy:
        while piece := stream.read(_COPY_BYTES):
            copy.write(piece)
    return Source(Path(copy.name), name)


def _inside(folder: Path) -> list[Source]:
    """The inputs of a folder and all folders in it, in the order of their names."""
    job = job_folder(folder)
    if job:
        return [job]
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise _cannot_read(str(folder), error) from error
    folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    files = [entry for entry in entries if entry.is_file() and entry.name not in ARCHIVE_NAMES]
    return [Source(path) for path in files] + [source for inner in folders for source in _inside(inner)]


def job_folder(folder: Path) -> Source | None:
    """A ClusterCockpit job folder as an input, or None if it is none."""
    if not (folder / "meta.json").is_file():
        return None
    data = next((folder / name for name in DATA_NAMES if (folder / name).is_file()), folder / "meta.json")
    return Source(data, folder=folder)


def _size(path: Path, name: str) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError) as error:
        raise _cannot_read(name, error) from error


def _opened(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _cannot_read(name, error) from error


def _cannot_read(name: str, error: Exception) -> UnusableFile:
    cause = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UnusableFile(f"{name}: {cause}; is the path right and readable?")


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same without a byte order mark at its start."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= len(_BOM):
            yield start.removeprefix(_BOM)
            break
    else:
        yield start
    yield from pieces


def _long_lines(block: bytes, longest: int) -> list[tuple[int, int]]:
    """Where the lines beyond the limit begin and end (behind their newline), in order."""
    found, begin = [], 0
    while len(block) - begin > longest:
        # the last newline within reach of this line's beginning: all before it is short enough
        last = block.rfind(b"\n", begin, begin + longest + 1)
        if last >= 0:
            begin = last + 1
            continue
        end = block.find(b"\n", begin) + 1 or len(block)
        found.append((begin, end))
        begin = end
    return found
