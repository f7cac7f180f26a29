"""What a text says, read once more and by other means than the parsers do: what they give is compared with it.

It takes more than they do (every delimiter, both readings of an ambiguous time): a parser may refuse what it likes,
but it may give nothing that does not stand here.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "[n/a]", "-"})
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
CLOCK = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d)(?::?(\d\d))?(?::?(\d\d))?(?:[.,](\d+))?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
MOST_LINES = 50  # of one row with quotes


def unpacked(raw: bytes) -> tuple[bytes, bool]:
    """What a file holds, of a damaged gzip all before the damage; and whether it was damaged."""
    if not raw.startswith(b"\x1f\x8b"):
        return raw, False
    whole = bytearray()
    while raw:
        inflater = zlib.decompressobj(31)
        try:
            for at in range(len(raw)):
                whole += inflater.decompress(raw[at : at + 1])
                if inflater.eof:
                    break
        except zlib.error:
            return bytes(whole), True
        if not inflater.eof:
            return bytes(whole), True
        raw = raw[at + 1 :].lstrip(b"\0")
    return bytes(whole), False


def text_of(raw: bytes) -> str:
    """The text of a file; bytes that are no UTF-8 are replaced."""
    whole = unpacked(raw)[0]
    if whole.startswith((b"\xff\xfe", b"\xfe\xff")):
        return whole.decode("utf-16", "replace")
    return whole.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def lines_of(raw: bytes) -> list[str]:
    """Its lines, the first at place 1."""
    return ["", *(line.removesuffix("\r") for line in text_of(raw).split("\n"))]


def filled(lines: Sequence[str], first: int) -> set[int]:
    """The numbers of the lines from one on that are not blank."""
    return {number for number in range(first, len(lines)) if lines[number].strip()}


def number(cell: str) -> float | None:
    """A cell as a number, if it is one; a decimal may be written with a comma."""
    cell = cell.strip()
    found = cell if NUMBER.fullmatch(cell) else cell.replace(",", ".", 1)
    return float(found) if NUMBER.fullmatch(found) else None


def instants(cell: str, zone: tzinfo | None) -> set[int]:
    """The instants [ms] that a cell can mean."""
    cell = cell.strip()
    if NUMBER.fullmatch(cell):
        seconds = float(cell)
        return {round(seconds * 1000)} if abs(seconds) < 1e12 else set()
    found = CLOCK.fullmatch(cell)
    if found is None:
        return set()
    *fields, fraction, offset = found.groups()
    try:
        shown = datetime(*(int(one or 0) for one in fields), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return set()
    shown += timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    return {round((one - EPOCH) / timedelta(milliseconds=1)) for one in _in_zone(shown, offset, zone)}


def _in_zone(shown: datetime, offset: str | None, zone: tzinfo | None) -> list[datetime]:
    if offset is not None:
        sign = -1 if offset[0] == "-" else 1
        digits = offset.strip("Zz+-").replace(":", "").ljust(4, "0")
        return [shown - sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))]
    return [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)] if zone is not None else []


def is_when(t_ms: int, cell: str, zone: tzinfo | None) -> bool:
    """Whether a cell can mean an instant, to a millisecond."""
    return any(abs(t_ms - one) <= 1 for one in instants(cell, zone))


def is_much(value: float, cell: str, scale: float) -> bool:
    """Whether a stored value is a cell's number in whole units of ``1 / scale``."""
    found = number(cell)
    return found is not None and abs(value - found * scale) <= 0.5 + abs(value) * 1e-12


def records(lines: Sequence[str], line: int, delimiter: str = ",") -> Iterator[list[str]]:
    """The cells of the row that begins at a line, which may end in it or, where it has quotes, in one of the next."""
    yield lines[line].split(delimiter)
    text = lines[line]
    for following in [*lines[line + 1 : line + MOST_LINES + 1], None]:
        if '"' not in text:
            return
        try:
            rows = list(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error:
            rows = []
        if len(rows) == 1:
            yield rows[0]
        if following is None:
            return
        text = f"{text}\n{following}"


def goes_on(lines: Sequence[str], line: int, rows: set[int]) -> bool:
    """Whether a line may belong to a row with an open quote that begins above it."""
    return any(above in rows and '"' in lines[above] for above in range(max(line - MOST_LINES, 1), line))
