"""What somebody sent, as an input: in memory, unpacked, of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from measurements.parsers.source import Source


class Body(Source):
    """The bytes of a request."""

    def __init__(self, content: bytes, name: str = "the body") -> None:
        self.path = Path(name)
        self.name = name
        self.folder = None
        self._content = content
        self._size = len(content)
        self._refusals = []

    def _raw(self) -> Iterator[bytes]:
        yield self._content
