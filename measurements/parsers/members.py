"""What every list of people gives back: projects with what lies above them, roles with their days, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from measurements.parsers.job_rows import WORD_LIMIT, RowRefused, require_few
from measurements.parsers.records import Refusal
from measurements.parsers.source import TEXT_LIMIT

MEMBER, LEADER, DEPUTY = ROLES = ("member", "leader", "deputy")
MEMBERS_LIMIT = 1_000_000  # of one file


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project; None where the list says nothing."""

    line: int
    name: str
    parent: str | None = None  # "": it has none
    title: str | None = None


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A role of a person, in [valid_from, valid_to) where the list has dates."""

    line: int
    project: str
    username: str
    role: str
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(slots=True)
class MemberList:
    """What a file holds."""

    projects: list[ProjectRecord] = field(default_factory=list)
    members: list[MemberRecord] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    complete: frozenset[str] = frozenset()  # roles of which the list names everybody who has them now

    def refuse(self, line: int, refused: RowRefused, text: str) -> None:
        """A line that is not taken."""
        self.refusals.append(Refusal(refused.reason, line, str(refused)[:TEXT_LIMIT], text[:TEXT_LIMIT]))
        require_few(len(self.refusals), "the list of people")


def word(value: str, what: str) -> str:
    """A name of a person or project as it may be stored."""
    if not value:
        raise RowRefused(f"no {what}", f"give the {what} as Slurm names it")
    if len(value) > WORD_LIMIT or not value.isprintable():
        raise RowRefused(f"bad {what}", f"at most {WORD_LIMIT} printable characters")
    return value


def joined(lists: Sequence[MemberList]) -> MemberList:
    """Several files as one list, each thing once."""
    found = MemberList(complete=frozenset().union(*(one.complete for one in lists)))
    for one in lists:
        found.projects += one.projects
        found.members += one.members
        found.refusals += one.refusals
        found.warnings += one.warnings
    return found
