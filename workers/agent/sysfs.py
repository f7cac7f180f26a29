"""Small files of the kernel that are read again and again."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_BYTES = 256


class Gone(OSError):
    """The file is there, but holds no number now."""


class Number:
    """A file that holds a number; it stays open, for opening costs ten times what reading does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def text(self) -> str:
        """What it says now; OSError where it can't be read, and the next call opens it anew."""
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._fd, LONGEST_BYTES, 0).decode("ascii", "replace").strip()
        except OSError:
            self.close()
            raise

    def read(self) -> int:
        """The number."""
        text = self.text()
        try:
            return int(text)
        except ValueError:
            raise Gone(f"{text[:40]!r} is no number") from None

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def word(path: Path) -> str:
    """The text of a small file; empty where it is not there or can't be read."""
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def reason(error: OSError) -> str:
    """An error in the words of the system."""
    return error.strerror or str(error)
