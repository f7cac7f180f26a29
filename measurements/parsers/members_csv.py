"""CSV ``project,username,role[,valid_from,valid_to,parent,title]``: days as YYYY-MM-DD, ``valid_to`` not included.

A row without ``username`` and ``role`` describes its project only. Two periods of one person and role in a project
that overlap contradict each other: the later row is refused.
"""

from __future__ import annotations

from datetime import date

from measurements.parsers.csv_rows import Fields, csv_rows, fields_of, first_row, header
from measurements.parsers.job_rows import Lines, RowRefused, clean
from measurements.parsers.members import MEMBERS_LIMIT, ROLES, MemberList, MemberRecord, ProjectRecord, word
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

_REQUIRED = ("project", "username", "role")
_OPTIONAL = ("valid_from", "valid_to", "parent", "title")


def read_members_csv(source: Source) -> MemberList:
    """The roles and projects of a file."""
    lines = Lines(source.lines())
    names, separator = first_row(lines)
    columns, warnings = header(names, _REQUIRED, _OPTIONAL, source.name)
    found = MemberList(warnings=warnings)
    taken: dict[tuple[str, str, str], list[MemberRecord]] = {}
    for line, text, row in csv_rows(lines, len(columns), separator):
        try:
            if isinstance(row, RowRefused):
                raise row
            fields = fields_of(columns, row)
            project, member = _project(line, fields), _member(line, fields)
            if member is not None:
                _no_overlap(taken.setdefault((member.project, member.username, member.role), []), member)
                found.members.append(member)
            found.projects.append(project)
        except RowRefused as refused:
            found.refuse(line, refused, text)
        if len(found.members) > MEMBERS_LIMIT:
            raise UnusableFile(f"{source.name}: more than {MEMBERS_LIMIT} rows; split it")
    found.refusals += source.take_refusals()
    return found


def _project(line: int, row: Fields) -> ProjectRecord:
    """What is said of the project; an empty field of a column says nothing."""
    name = word(row["project"], "project")
    parent = row.get("parent") or None
    if parent == name:
        raise RowRefused("below itself", f"{name} cannot lie below {name}; leave parent empty")
    return ProjectRecord(line, name, word(parent, "parent") if parent else None, clean(row.get("title", "")) or None)


def _member(line: int, row: Fields) -> MemberRecord | None:
    if not row["username"] and not row["role"]:
        return None
    role = row["role"].lower()
    if role not in ROLES:
        raise RowRefused("unknown role", f"{row['role'][:80]!r} is none of {', '.join(ROLES)}")
    begin, end = _day(row, "valid_from"), _day(row, "valid_to")
    if begin and end and end <= begin:
        raise RowRefused("ends before it begins", f"{begin} to {end}: valid_to is the first day on which it is over")
    return MemberRecord(line, word(row["project"], "project"), word(row["username"], "username"), role, begin, end)


def _day(row: Fields, column: str) -> date | None:
    text = row.get(column, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RowRefused(f"bad {column}", f"{text[:80]!r} is no day; give one as 2026-03-01") from None


def _no_overlap(others: list[MemberRecord], new: MemberRecord) -> None:
    for other in others:
        if overlap(other.valid_from, other.valid_to, new.valid_from, new.valid_to):
            raise RowRefused("overlapping periods", f"line {other.line} has the same role at that time; join the two")
    others.append(new)


def overlap(begin: date | None, end: date | None, other_begin: date | None, other_end: date | None) -> bool:
    """Whether two spans of days [begin, end) have a day in common; None is open.

    >>> overlap(None, date(2026, 3, 1), date(2026, 3, 1), None)
    False
    >>> overlap(None, date(2026, 3, 2), date(2026, 3, 1), None)
    True
    """
    return (begin or date.min) < (other_end or date.max) and (other_begin or date.min) < (end or date.max)
