"""Which BMC belongs to which node, and what it is asked with: by a template, or by a file with a line a node."""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from measurements.feeds.about import FeedError
from measurements.parsers.csv_lines import is_name

NODE = "{node}"
COLUMNS = ("node", "address", "chassis", "user", "password_file")
_MOST_FILE_BYTES = 16 << 20
_MOST_SECRET_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Bmc:
    """One node's BMC; empty where the feed's own options hold, or the BMC has but one chassis."""

    node: str
    address: str
    chassis: str = ""
    user: str = ""
    password_file: str = ""

    @property
    def key(self) -> str:
        """What it is remembered by."""
        return f"{self.node} {self.address} {self.chassis}"


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks; the password is never shown."""

    user: str = ""
    password_file: str = ""
    password: str = field(default="", repr=False)


class AskError(Exception):
    """Why one BMC gave nothing; ``wait_s``: ask it again no sooner [s]."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fault_of_template(template: str) -> str:
    """What is wrong with a template of addresses, or nothing."""
    rest = template.replace(NODE, "")
    if NODE not in template or "{" in rest or "}" in rest:
        return f"{template!r}: put {NODE} where a node's name belongs, and nothing else in braces"
    return ""


def by_template(template: str, nodes: Iterable[str]) -> list[Bmc]:
    """A BMC for each node."""
    return [Bmc(node, template.replace(NODE, node)) for node in nodes]


def by_file(path: Path) -> list[Bmc]:
    """Those of a file: ``node,address`` and, where a first line names them, chassis, user and password_file."""
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise FeedError(f"{path} is larger than {_MOST_FILE_BYTES >> 20} MiB")
        with path.open(encoding="utf-8", newline="") as stream:
            lines = (line for line in stream if line.strip() and not line.lstrip().startswith("#"))
            rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise FeedError(f"the list of BMCs {path} cannot be read: {fault}") from fault
    names = rows.pop(0) if rows and rows[0][0].lower() == "node" else list(COLUMNS[:2])
    if not set(names) <= set(COLUMNS) or names[:2] != list(COLUMNS[:2]):
        raise FeedError(f"{path}: the first line names {', '.join(names)}; known are {', '.join(COLUMNS)}")
    return [_of_row(path, number, names, row) for number, row in enumerate(rows, start=1)]


def _of_row(path: Path, number: int, names: list[str], row: list[str]) -> Bmc:
    said = dict(zip(names, row, strict=False))
    if len(row) > len(names) or not (said["node"] and is_name(said["node"]) and said.get("address")):
        raise FeedError(f"{path}, entry {number}: {','.join(row)[:120]!r} is no {','.join(names)}")
    return Bmc(**said)


@cache
def _text_at(path: str, changed_ns: int) -> str:
    """A secret as it stood at that time; who asks a thousand BMCs reads it once."""
    with Path(path).open(encoding="utf-8") as stream:
        lines = stream.read(_MOST_SECRET_BYTES).splitlines()
    return lines[0] if lines else ""


def password_of(path: str) -> str:
    """The first line of a file that only its owner, and at most a group, can read."""
    try:
        about = Path(path).stat()
        if about.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise AskError(f"{path} is open to others: chmod 600 it")
        return _text_at(path, about.st_mtime_ns)
    except (OSError, UnicodeDecodeError) as fault:
        raise AskError(f"the password in {path} cannot be read: {getattr(fault, 'strerror', None) or fault}") from fault


def login_of(bmc: Bmc, user: str, password_file: str) -> Login:
    """Who asks this BMC: as its own line says, else as the feed does."""
    path = bmc.password_file or password_file
    return Login(bmc.user or user, path, password_of(path) if path else "")
