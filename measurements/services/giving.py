"""Files given on the page: the uploads of a form, or what lies below a folder that the site allows. Enters `Intake`.

Of a path only a link is kept at first: the worker that tries the file copies it, so that what was tried is what is
taken whatever becomes of the original, and nobody waits for a page.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from measurements.models import Cluster, Intake
from measurements.parsers.recognise import Recognised, recognise
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source, expand
from measurements.parsers.watched import Watched
from measurements.services.intake import enter, new_draft, source_of, var
from measurements.services.taking import KNOWN_OPTIONS
from measurements.store import sync_to_disk

AT_ONCE = 200  # files of one form
COPY_BYTES = 4 << 20
RESERVE_BYTES = 64 << 20  # that stay free for the site's own writing
NAME_BYTES = 200
UNNAMED = "input"


class Upload:
    """A file that is coming in: its bytes go to disk as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self._draft = new_draft()
        self._path = self._draft / _safe(name)
        self._out: BinaryIO = self._path.open("wb")

    def write(self, data: bytes) -> None:
        """Take a piece in; OSError where the disk is full."""
        self._out.write(data)
        self.size += len(data)

    def close(self) -> None:
        """All of it is here."""
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()

    def discard(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self._out.close()
        shutil.rmtree(self._draft, ignore_errors=True)

    def give(self, cluster: Cluster, content: str, options: dict[str, Any], by: str, now: datetime) -> Intake:
        """Enter it, to be tried."""
        source = Source(self._path, self.name)
        return _enter(self._draft, source, cluster, content, options, by, now, self.size)


def room_for(size: int) -> bool:
    """Whether the disk has room for so many bytes more."""
    return shutil.disk_usage(var()).free - RESERVE_BYTES >= size


def allowed_folders() -> tuple[Path, ...]:
    """The folders below which files may be given by their path."""
    return tuple(Path(folder).resolve() for folder in settings.IMPORT_FOLDERS)


def give_path(
    text: str, cluster: Cluster, content: str, options: dict[str, Any], by: str, now: datetime
) -> list[Intake]:
    """Enter a file, or all files of a folder; `UnusableFile` where it may not be read, or is not there."""
    sources = [*_allowed_sources(text)]
    if not sources:
        raise UnusableFile(f"{text}: no file in it")
    if len(sources) > AT_ONCE:
        raise UnusableFile(f"{text}: more than {AT_ONCE} files; give a folder below it, or use the command")
    return [_link(source, cluster, content, options, by, now) for source in sources]


def _allowed_sources(text: str) -> Iterator[Source]:
    path = Path(text)
    if "\0" in text or not path.is_absolute() or not _is_below(path.resolve()):
        folders = ", ".join(map(str, allowed_folders()))
        raise UnusableFile(f"{text[:NAME_BYTES]!r} lies in none of the folders that may be read: {folders}")
    if not (path.is_file() or path.is_dir()):
        raise UnusableFile(f"{text}: no such file or folder")
    for source in expand([str(path)], var() / "spool"):
        real = source.path.resolve()
        if not _is_below(real):
            raise UnusableFile(f"{source.name}: a link that leads out of the folders that may be read")
        if real.is_file():
            yield source


def _is_below(real: Path) -> bool:
    return any(real.is_relative_to(folder) for folder in allowed_folders())


def _link(source: Source, cluster: Cluster, content: str, options: dict[str, Any], by: str, now: datetime) -> Intake:
    draft = new_draft()
    place = draft
    if source.folder or source.meta_path:
        place = draft / _safe((source.folder or source.path.parent).name)
        place.mkdir()
    for path in filter(None, {source.path, source.meta_path}):
        (place / _safe(path.name)).symlink_to(path.resolve())
    return _enter(draft, source, cluster, content, options, by, now, source.path.stat().st_size)


def _enter(
    draft: Path,
    source: Source,
    cluster: Cluster,
    content: str,
    options: dict[str, Any],
    by: str,
    now: datetime,
    size: int,
) -> Intake:
    """A row to be tried; where nobody says what it holds, by what it looks like."""
    guess = _guess(source)
    holds = content or guess.content or Intake.Content.POWER
    known = KNOWN_OPTIONS[Intake.Content(holds)]
    return enter(
        draft,
        cluster=cluster,
        content=holds,
        source=source.name[-1024:],
        options={name: value for name, value in options.items() if name in known and value not in (None, "", [])},
        state=Intake.State.TRYING,
        given_by=by,
        size_bytes=size,
        done_bytes=0,
        preview={"guessed": guess.content, "guessed_format": guess.format},
        queued_at=now,
    )


def _guess(source: Source) -> Recognised:
    try:
        return recognise(source)
    except UnusableFile:
        return Recognised()  # trying it says why


def settle(intake: Intake, keeper_of: Callable[[Watched], Callable[[int], None]]) -> None:
    """Put copies in the place of links; `UnusableFile` where one leads elsewhere by now."""
    links = [path for path in sorted((var() / intake.path).rglob("*")) if path.is_symlink()]
    if not links:
        return
    for link in links:
        with _opened(link) as original:
            size = os.fstat(original.fileno()).st_size
            if not room_for(size):
                raise UnusableFile(f"no room for a copy of {size >> 20} MiB on the disk of JOULEBOOK_VAR: make room")
            draft = link.with_name(f".{link.name}")
            draft.unlink(missing_ok=True)
            tick = keeper_of(Watched(link, intake.source))
            with draft.open("wb") as copy:
                while piece := original.read(COPY_BYTES):
                    copy.write(piece)
                    tick(0)
            sync_to_disk(draft)
            draft.replace(link)
    source_of(intake)


def _opened(link: Path) -> BinaryIO:
    """The file that a link means, if it is a plain file and lies where files may be read, as it is now."""
    target = link.readlink()
    try:
        number = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as fault:
        raise UnusableFile(f"{target}: {fault.strerror}; is it still there?") from fault
    real = Path(f"/proc/self/fd/{number}").readlink()
    if not stat.S_ISREG(os.fstat(number).st_mode) or not _is_below(real):
        os.close(number)
        raise UnusableFile(f"{target}: it leads out of the folders that may be read by now")
    return os.fdopen(number, "rb")


def _safe(name: str) -> str:
    """A file's name as it may be on disk; its own name is kept beside."""
    kept = "".join(letter for letter in Path(name).name if letter.isprintable()).lstrip(".")
    return kept.encode(errors="replace")[:NAME_BYTES].decode(errors="ignore") or UNNAMED
