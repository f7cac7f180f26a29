"""What somebody sent, as an input: in memory, unpacked, of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measurements.parsers.json_text import loads
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

MOST_VALUES = 2_000_000  # of a document: a byte or two may be one, and take 100 in memory


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


def json_object(body: bytes) -> dict[str, Any]:
    """A body that is one JSON object, of a bounded number of values; UnusableFile if it is none."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise UnusableFile(f"the body: more than {MOST_VALUES:,} values: send it in parts")
    try:
        document = loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnusableFile(f"the body: no JSON: {fault}") from fault
    if not isinstance(document, dict):
        raise UnusableFile('the body: no JSON object: a list stands in one, as {"samples": […]} or {"holds": […]}')
    return document
