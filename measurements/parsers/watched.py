"""An input of which one sees how far it has been read, and that may be read in part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from measurements.parsers.source import BLOCK_BYTES, LINE_LIMIT_BYTES, Source


class Watched(Source):
    """As `Source`; ``limit`` ends what is read in blocks of lines after so many unpacked bytes.

    Documents that can only be read as a whole (JSON, XML; 256 MiB at most) are.
    """

    def __init__(
        self, path: Path, name: str | None = None, folder: Path | None = None, limit: int | None = None
    ) -> None:
        super().__init__(path, name, folder)
        self.limit = limit
        self.cut = False  # there was more than the limit
        self.done = 0  # bytes on disk that were read
        self._digest = ""

    @property
    def size(self) -> int:
        """How many bytes it has on disk."""
        return self._size

    @property
    def sha256(self) -> str:
        """As that of `Source`."""
        return self._digest or self.fingerprint(lambda _count: None)

    def fingerprint(self, tick: Callable[[int], None]) -> str:
        """The same; ``tick`` is called for each piece, in the caller's thread."""
        digest = hashlib.sha256()
        for piece in super()._raw():
            digest.update(piece)
            tick(0)
        if self.meta_path:
            digest.update(self.meta_path.read_bytes())
        self._digest = digest.hexdigest()
        return self._digest

    def blocks(self, size: int = BLOCK_BYTES, longest: int = LINE_LIMIT_BYTES) -> Iterator[tuple[int, bytes]]:
        """As those of `Source`, up to the limit."""
        given = 0
        for first, block in super().blocks(size, longest):
            if self.limit is not None and given >= self.limit:
                self.cut = True
                return
            given += len(block)
            yield first, block

    def _raw(self) -> Iterator[bytes]:
        at = 0
        for piece in super()._raw():
            at += len(piece)
            self.done = max(self.done, at)
            yield piece
