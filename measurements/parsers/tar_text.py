"""A tar archive as one text: each file behind a line ``==> path <==``, as ``tail -n +1 FILE…`` prints them.

So an archive of one file a node is one input, read in one pass and with bounded memory, and a line has a number.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, cast

from measurements.parsers.pieces import BrokenStream, Pieces

_MAGIC, _MAGIC_AT = b"ustar", 257
_STEP_BYTES = 64 << 10
FILE_LINE = r"^==> (?P<path>.+) <==$"
_DATED = re.compile(r"(?P<name>.+?)[-_.]\d{4}-?\d\d-?\d\d(?:[T_-]?\d{2,6})?")
_ENDINGS = frozenset({".txt", ".log", ".csv", ".json", ".out", ".gz", ".zst"})


def is_tar(start: bytes) -> bool:
    """Whether the first bytes are those of a tar archive."""
    return start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def tar_as_text(raw: Iterator[bytes]) -> Iterator[bytes]:
    """The files of an archive, in its order; links, folders and devices are left out.

    Raises BrokenStream after the last good byte.
    """
    stream = Pieces(raw)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", errorlevel=1) as archive:
            for member in archive:
                if member.isreg():
                    yield from _file(archive, member)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BrokenStream("truncated tar", f"{error}; the archive ends too early or is damaged") from error


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    path = "".join(letter if letter.isprintable() else "?" for letter in member.name)
    yield f"==> {path} <==\n".encode("utf-8", "replace")
    last = b"\n"
    content = archive.extractfile(member)
    while content and (piece := content.read(_STEP_BYTES)):
        yield piece
        last = piece[-1:]
    if last != b"\n":
        yield b"\n"


def node_of_path(path: str) -> str | None:
    """The node that a file is of by its name: ``n001.txt``, ``n001-2025-05-29.txt``."""
    return dated_name(path) or _stem(path) or None


def dated_name(path: str) -> str | None:
    """The same only where the name carries a date: any other may say something else."""
    match = _DATED.fullmatch(_stem(path))
    return match["name"] if match else None


def _stem(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    while PurePosixPath(name).suffix in _ENDINGS:
        name = PurePosixPath(name).stem
    return name
