"""The buffer on disk: a file for each batch, oldest first, bounded; a kill -9 costs at most the line being written.

Each row is written at once, so that it outlives the process. A file is synced to the disk only once it has to wait
for the server: in quiet times it is sent and deleted before the disk need hear of it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from workers.agent import batch
from workers.agent.losses import Loss, Losses
from workers.agent.trouble import Trouble

logger = logging.getLogger("joulebook-agent")
HELD_ROWS = 3_600  # kept in memory while the disk takes nothing
ASIDE_SHARE = 8  # what the server will never take may fill this part of the buffer


class InUse(Exception):
    """Another agent works in this folder."""


class Spool:
    """Files of batches below a folder; whoever asks for the oldest gets them until they are said to be sent."""

    def __init__(self, folder: Path, most_bytes: int, trouble: Trouble) -> None:
        self.folder, self.aside, self.most_bytes, self.trouble = folder, folder / "aside", most_bytes, trouble
        for path in (folder, self.aside):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._guard = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._guard)
            raise InUse(f"another agent works in {folder}") from None
        self._lock = threading.RLock()
        self._losses = Losses(folder / "lost.json")
        for number in self._losses.dropped:  # counted already, by a process that was killed before it removed them
            with suppress(OSError):
                self._path(number).unlink()
        self._sizes = {int(path.stem): path.stat().st_size for path in sorted(folder.glob("*.csv"))}
        self._next = max([0, *self._sizes, *self._losses.dropped]) + 1
        self._losses.removed()
        self._fd, self._current, self._written = -1, 0, 0
        self._head = self._file_head = b""
        self._held: deque[tuple[bytes, bytes]] = deque()  # the head they belong to, rows
        self._going: frozenset[int] = frozenset()  # being sent now
        self._unsynced: set[int] = set()

    def begin(self, head: bytes) -> None:
        """From now on rows belong to a table with this head; what was written before is a batch of its own."""
        with self._lock:
            self.rotate()
            self._head = head

    def rotate(self) -> None:
        """What was written so far is a batch; the next row begins a new file."""
        with self._lock:
            self._write_held()
            self._finish()
            self._keep_to_the_bound()

    def _finish(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._unsynced.add(self._current)
            self._fd, self._written = -1, 0

    def append(self, rows: bytes) -> None:
        """Write rows; while the disk takes nothing they are held in memory, and some are lost in the end."""
        with self._lock:
            self._held.append((self._head, rows))
            while len(self._held) > HELD_ROWS:
                self._lose(batch.parse(b"".join(self._held.popleft())), None)
            self._write_held()

    def _write_held(self) -> None:
        try:
            while self._held:
                head, rows = self._held[0]
                if self._fd >= 0 and head != self._file_head:
                    self._finish()
                if self._fd < 0:
                    self._open(head)
                self._write(rows)
                self._held.popleft()
        except OSError as error:
            self.trouble.begin("buffer", f"{self.folder}: {error.strerror}; readings are held in memory")
        else:
            self.trouble.end("buffer")

    def _open(self, head: bytes) -> None:
        path = self._path(self._next)
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._current, self._next, self._written = self._next, self._next + 1, 0
        try:
            self._write(head)
        except OSError:
            os.close(self._fd)
            self._fd = -1
            self._remove(self._current)
            raise
        self._file_head = head

    def _write(self, data: bytes) -> None:
        """All of it or nothing: what a full disk cut off is taken away again."""
        try:
            if os.write(self._fd, data) != len(data):
                raise OSError(errno.ENOSPC, "no space left on the device")
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._written)
            raise
        self._written += len(data)
        self._sizes[self._current] = self._written

    def oldest(self, most_bytes: int) -> list[tuple[int, batch.Batch]]:
        """The first batches that can go in one request, one at least; they are not dropped until it is answered."""
        out: list[tuple[int, batch.Batch]] = []
        size = 0
        for number in self._waiting():
            found = self._load(number)
            if found is None:
                self._remove(number)
                continue
            size += self._sizes.get(number, 0)
            if out and (size > most_bytes or not found.follows(out[0][1])):
                break
            out.append((number, found))
        with self._lock:
            self._going = frozenset(number for number, _ in out)
        return out

    def _waiting(self) -> list[int]:
        with self._lock:
            return [number for number in sorted(self._sizes) if number != self._current or self._fd < 0]

    def _load(self, number: int) -> batch.Batch | None:
        """A batch; None if nothing in its file can be used."""
        try:
            found = batch.parse(self._path(number).read_bytes())
        except OSError:
            return None
        return found if found and found.lines else None

    def sent(self, numbers: Sequence[int]) -> None:
        """They are in the store."""
        with self._lock:
            self._going = frozenset()
            for number in numbers:
                self._remove(number)

    def not_sent(self) -> None:
        """They stay; now the disk must hold them even if the node loses its power."""
        with self._lock:
            self._going = frozenset()
            unsynced, self._unsynced = sorted(self._unsynced & self._sizes.keys()), set()
        for number in unsynced:
            with suppress(OSError):
                _sync(self._path(number))
        if unsynced:
            with suppress(OSError):
                _sync(self.folder)

    def set_aside(self, number: int, reason: str) -> None:
        """The server will never take it: kept with the reason, so that a person can look."""
        with self._lock:
            self._going = frozenset()
            target = self.aside / f"{int(time.time())}-{number}.csv"
            with suppress(OSError):
                self._path(number).rename(target)
                target.with_suffix(".reason").write_text(reason + "\n", encoding="utf-8")
            self._remove(number)
            self._bound_aside()

    def _bound_aside(self) -> None:
        files = sorted(self.aside.iterdir(), key=lambda path: path.name)
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total <= self.most_bytes // ASIDE_SHARE:
                break
            total -= path.stat().st_size
            path.unlink()

    def _keep_to_the_bound(self) -> None:
        """Drop the oldest batches that are not on their way, and count what they held."""
        total = sum(self._sizes.values())
        for number in sorted(self._sizes):
            if total <= self.most_bytes:
                break
            if number not in self._going and (number != self._current or self._fd < 0):
                total -= self._sizes[number]
                self._lose(self._load(number), number)
                self._remove(number)
        self._losses.removed()
        if not self._losses.saved:
            self._losses.save()

    def _lose(self, gone: batch.Batch | None, number: int | None) -> None:
        if gone is None:
            return
        if not self._losses.readings:
            logger.error("the buffer of %d MiB is full: the oldest readings are dropped", self.most_bytes >> 20)
        self._losses.add(gone, number)

    def lost(self) -> list[Loss]:
        """What was dropped and the server does not know of."""
        with self._lock:
            return self._losses.untold()

    def told_lost(self, told: Sequence[Loss]) -> None:
        """The server knows of these."""
        with self._lock:
            self._losses.told(told)

    def _remove(self, number: int) -> None:
        with self._lock:
            with suppress(OSError):
                self._path(number).unlink()
            self._sizes.pop(number, None)
            self._unsynced.discard(number)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.csv"

    def size(self) -> int:
        """Bytes that wait."""
        with self._lock:
            return sum(self._sizes.values())

    def close(self) -> None:
        """Finish the batch and let another agent in."""
        self.rotate()
        self.not_sent()
        os.close(self._guard)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
