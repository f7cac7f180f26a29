"""One list inside a JSON document, member by member, with memory for one member at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from measurements.parsers.decompress import BrokenStream, decompressed
from measurements.parsers.json_text import storable
from measurements.parsers.source import Source

READ_BYTES = 1 << 16
MEMBER_LIMIT_CHARS = 32 << 20  # of one member of the list, or of what stands beside the list
_BLANKS = re.compile(r"[ \t\n\r]*")
_WORDS = ("true", "false", "null", "NaN", "-Infinity")
_DECODER = json.JSONDecoder()


class BrokenJson(ValueError):
    """Text that is no JSON from some place on; ``reason`` is stable."""

    def __init__(self, reason: str, detail: object) -> None:
        super().__init__(str(detail)[:200])
        self.reason = reason


class JsonList:
    """The list under ``key`` of a document (or the document itself, if it is a list).

    Objects under the names ``inside`` are gone into. ``beside`` holds the other members once the iteration is over.
    """

    def __init__(self, source: Source, key: str, inside: Collection[str] = ()) -> None:
        self.key = key
        self.inside = inside
        self.found = False
        self.beside: dict[str, Any] = {}
        self._text = _Text(source)

    def __iter__(self) -> Iterator[Any]:
        """The members in order; raises BrokenJson behind the last good one."""
        if self._text.peek() == "[":
            yield from self._members()
        else:
            yield from self._of_object()
        if self._text.peek():
            raise BrokenJson(
                "broken JSON", "text behind the end of the document; give each document as a file of its own"
            )

    def _of_object(self) -> Iterator[Any]:
        self._text.take("{")
        while self._text.peek() != "}":
            name = self._text.value()
            self._text.take(":")
            if name == self.key and self._text.peek() == "[":
                yield from self._members()
            elif name in self.inside and self._text.peek() == "{":
                yield from self._of_object()
            else:
                self.beside[str(name)] = self._text.value()
            if self._text.peek() != "}":
                self._text.take(",")
        self._text.take("}")

    def _members(self) -> Iterator[Any]:
        self.found = True
        self._text.take("[")
        while self._text.peek() != "]":
            yield self._text.value()
            if self._text.peek() != "]":
                self._text.take(",")
        self._text.take("]")


class _Text:
    """The document's text: what has been read of it and not yet been used."""

    def __init__(self, source: Source) -> None:
        self._pieces = _decoded(source)
        self._held = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blank = _BLANKS.match(self._held, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Go past a character that must come now."""
        found = self.peek()
        if found != expected:
            reason = "broken JSON" if found else "truncated JSON"
            raise BrokenJson(reason, f"{found!r} instead of {expected!r}" if found else "the document ends too early")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                self._require_more(error)
                continue
            if end < len(self._held) or not self._more():  # at the very end of the text a number may go on
                text, self._at = self._held[self._at : end], end
                return storable(value, text)

    def _require_more(self, error: Exception) -> None:
        if isinstance(error, RecursionError):
            raise BrokenJson("broken JSON", "nested too deeply") from error
        if len(self._held) - self._at > MEMBER_LIMIT_CHARS:
            raise BrokenJson("broken JSON", error) from error
        cut = _is_cut(error, self._held)
        if not self._more():
            raise BrokenJson("truncated JSON" if cut else "broken JSON", error) from error

    def _more(self) -> bool:
        """Read at least as much as is held, so that what is read again and again stays a constant factor."""
        self._held, self._at = self._held[self._at :], 0
        parts, wanted = [self._held], max(len(self._held), READ_BYTES)
        while wanted > 0 and (piece := next(self._pieces, "")):
            parts.append(piece)
            wanted -= len(piece)
        self._held = "".join(parts)
        return len(parts) > 1


def _is_cut(error: Exception, text: str) -> bool:
    """Whether a value is wrong only because the text ends there."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    rest = text[error.pos :].strip()
    return error.msg.startswith("Unterminated string") or any(word.startswith(rest) for word in _WORDS)


def _decoded(source: Source) -> Iterator[str]:
    """The text of an input in pieces that are never empty, without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    try:
        for piece in decompressed(partial(_raw, source)):
            if text := decoder.decode(piece):
                yield text
    except BrokenStream as broken:
        raise BrokenJson(broken.reason, broken.detail) from broken
    if text := decoder.decode(b"", final=True):
        yield text


def _raw(source: Source) -> Iterator[bytes]:
    with source.path.open("rb") as file:
        yield from iter(lambda: file.read(READ_BYTES), b"")
