"""Slurm hostlists: ``cn[001-003,007],gpu1`` to host names and back.

Grammar: items divided by commas outside brackets, each ``prefix[a-b,c,...]suffix`` with any number of
bracket groups; leading zeros of a range's low end fix the width of its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

DEFAULT_LIMIT = 65_536  # Slurm's own bound on a range
NO_HOSTS = frozenset({"", "none assigned", "none", "(null)", "n/a"})

_ITEM = re.compile(r"((?:[^,\[\]]|\[[^\[\]]*\])+)(?:,|\Z)")
_PIECE = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")
# At most 18 digits, so that every number fits int64.
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
_NAME = re.compile(r"[^\s,\[\]\x00-\x1f\x7f]+")
_LAST_NUMBER = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)", re.DOTALL)


class HostlistError(ValueError):
    """A text that is no hostlist; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    """One range of a bracket group, both ends included."""

    low: int
    high: int
    width: int

    def __len__(self) -> int:
        return self.high - self.low + 1

    def texts(self) -> Iterator[str]:
        return (f"{number:0{self.width}d}" for number in range(self.low, self.high + 1))


_Group = list[_Numbers] | str


def expand(text: str, limit: int = DEFAULT_LIMIT) -> list[str]:
    """The host names of a hostlist, each once, in the order of their first mention.

    Parameters
    ----------
    text : str
        A hostlist. ``None assigned``, ``(null)`` and an empty text name no host.
    limit : int
        Most hosts to give back, counted before any name is made.

    Returns
    -------
    list of str

    Raises
    ------
    HostlistError
        Unbalanced or nested brackets, no number in brackets, low > high, blanks inside a name, too many hosts.

    Examples
    --------
    >>> expand("d07n07s02,d09n04s[01-02],d13n[03,07-08]")
    ['d07n07s02', 'd09n04s01', 'd09n04s02', 'd13n03', 'd13n07', 'd13n08']
    """
    if text.strip().lower() in NO_HOSTS:
        return []
    items = [_groups(item) for item in _split(text.strip())]
    count = sum(prod(_count(group) for group in item) for item in items)
    if count > limit:
        raise HostlistError(f"{count} hosts are more than {limit}")
    return list(dict.fromkeys(name for item in items for name in _names(item)))


def compress(names: Iterable[str]) -> str:
    """The shortest plain hostlist of some host names: sorted, consecutive last numbers joined in one bracket group.

    The same set of names always gives the same text, and ``expand`` gives the set back.

    Raises
    ------
    HostlistError
        A name that a hostlist can't hold (commas, brackets, blanks, or a word such as ``(null)``).

    Examples
    --------
    >>> compress(["cn010", "cn009", "cn011", "login"])
    'cn[009-011],login'
    """
    numbered: dict[tuple[str, str], list[str]] = {}
    plain: list[str] = []
    for name in dict.fromkeys(names):
        _check_name(name)
        match = _LAST_NUMBER.fullmatch(name)
        if match is None:
            plain.append(name)
        else:
            numbered.setdefault((match[1], match[3]), []).append(match[2])
    folded = [_fold(prefix, suffix, digits) for (prefix, suffix), digits in numbered.items()]
    return ",".join(sorted(folded + plain))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in NO_HOSTS:
        raise HostlistError(f"{name[:80]!r} is no host name")


def _split(text: str) -> Iterator[str]:
    """The items of a hostlist; empty ones (a comma too many) are left out."""
    position = 0
    while position < len(text):
        if text[position] == ",":
            position += 1
            continue
        match = _ITEM.match(text, position)
        if match is None:
            raise HostlistError(f"brackets do not match in {text[:80]!r}")
        yield match[1].strip()
        position = match.end()


def _groups(item: str) -> list[_Group]:
    """``rack[0-3]_n[1,5]`` as literal texts and bracket groups, in order."""
    if not item or re.search(r"[\s\x00-\x1f\x7f]", item):
        raise HostlistError(f"blank or control character in {item[:80]!r}")
    groups: list[_Group] = []
    for match in _PIECE.finditer(item):
        groups.append(match[2] if match[2] is not None else [_numbers(part) for part in match[1].split(",")])
    return groups


def _numbers(part: str) -> _Numbers:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise HostlistError(f"{part[:80]!r} is no range of numbers")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        raise HostlistError(f"the range {part} runs backwards")
    return _Numbers(low, high, len(match[1]))


def _count(group: _Group) -> int:
    return 1 if isinstance(group, str) else sum(len(numbers) for numbers in group)


def _names(groups: list[_Group]) -> Iterator[str]:
    choices = ([group] if isinstance(group, str) else _texts(group) for group in groups)
    return ("".join(pieces) for pieces in product(*choices))


def _texts(group: list[_Numbers]) -> list[str]:
    return [text for numbers in group for text in numbers.texts()]


def _fold(prefix: str, suffix: str, digits: list[str]) -> str:
    """``["1", "2", "3", "7"]`` as ``prefix[1-3,7]suffix``."""
    if len(digits) == 1:
        return f"{prefix}{digits[0]}{suffix}"
    runs: list[list[str]] = []
    for text in sorted(digits, key=lambda text: (len(text), text)):
        if runs and text == f"{int(runs[-1][-1]) + 1:0{len(runs[-1][0])}d}":
            runs[-1].append(text)
        else:
            runs.append([text])
    parts = (run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"{prefix}[{','.join(parts)}]{suffix}"
