"""The one writer of projects and memberships, whatever names them: a list, Slurm's accounting, later a directory.

Each membership keeps its source. A list with dates (CSV) is a history: its rows are stored as they are. A list of who
belongs now (Slurm's) is a state: whoever is new in it begins, whoever is gone ends on that day. What another source
or the admin says is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.db import transaction

from measurements.models import Membership, Project
from measurements.parsers.members import MemberList, MemberRecord, ProjectRecord
from measurements.parsers.members_csv import overlap
from measurements.parsers.records import Refusal

ROWS_AT_ONCE = 1_000
LEADS = ("leader", "deputy")
Source = Membership.Source
Key = tuple[int, str, str]  # project, username, role


@dataclass(slots=True)
class PeopleReport:
    """What loading a list did, or would do."""

    projects_created: int = 0
    projects_changed: int = 0
    created: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    refusals: list[Refusal] = field(default_factory=list)


class _DryRun(Exception):
    """Takes back what was tried."""


def load_members(found: MemberList, source: str, today: date, *, since: date | None, dry_run: bool) -> PeopleReport:
    """Write a list; with ``dry_run`` say what it would do.

    ``since``: from when on roles hold that a state names and that the site did not know (None: from the beginning
    if nothing of this source is known yet, else from today).
    """
    try:
        with transaction.atomic():
            report = _load(found, source, today, since)
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return report


def _load(found: MemberList, source: str, today: date, since: date | None) -> PeopleReport:
    report = PeopleReport()
    first_load = not Membership.objects.filter(source=source).exists()
    projects = _projects(found, report)
    if found.complete:
        begin = since if since is not None else (None if first_load else today)
        _state(found, projects, source, today, begin, report)
    else:
        _history(found.members, projects, source, report)
    return report


# --- Projects -------------------------------------------------------------------------------------------


def _projects(found: MemberList, report: PeopleReport) -> dict[str, Project]:
    """All projects that are named, by name, created and described."""
    known = {project.name: project for project in Project.objects.select_for_update()}
    parents = {record.parent for record in found.projects if record.parent}
    named = {record.name for record in found.projects} | {m.project for m in found.members} | parents
    fresh = [Project(name=name) for name in sorted(named - known.keys())]
    Project.objects.bulk_create(fresh, ROWS_AT_ONCE)
    report.projects_created = len(fresh)
    known |= {project.name: project for project in fresh}
    changed = {
        record.name
        for record in found.projects
        if _described(record, known, report) and record.name not in {p.name for p in fresh}
    }
    Project.objects.bulk_update([known[name] for name in sorted(named)], ["parent", "title"], 500)
    report.projects_changed = len(changed)
    return known


def _described(record: ProjectRecord, known: dict[str, Project], report: PeopleReport) -> bool:
    """Whether what a list says of a project is new; nothing ever lies below itself."""
    project = known[record.name]
    before = (project.parent_id, project.title)
    if record.title is not None:
        project.title = record.title[:255]
    if record.parent is not None:
        parent = known[record.parent] if record.parent else None
        if parent is not None and _lies_below(parent, project, known):
            detail = f"{record.name} would lie below itself; check parent of {record.parent}"
            report.refusals.append(Refusal("below itself", record.line, detail))
        else:
            project.parent = parent
    return (project.parent_id, project.title) != before


def _lies_below(project: Project, above: Project, known: dict[str, Project]) -> bool:
    by_pk = {one.pk: one for one in known.values()}
    at: Project | None = project
    for _ in range(len(by_pk)):
        if at is None:
            return False
        if at.pk == above.pk:
            return True
        at = by_pk.get(at.parent_id) if at.parent_id else None
    return True


# --- A history ------------------------------------------------------------------------------------------


def _history(members: Sequence[MemberRecord], projects: dict[str, Project], source: str, report: PeopleReport) -> None:
    """Rows with dates, found again by project, person, role and first day."""
    known = _by_key(Membership.objects.select_for_update())
    fresh: list[Membership] = []
    changed: list[Membership] = []
    for record in members:
        rows = known.setdefault((projects[record.project].pk, record.username, record.role), [])
        same = next((row for row in rows if row.valid_from == record.valid_from), None)
        if same is not None and same.valid_to == record.valid_to:
            report.unchanged += 1
        elif (other := _in_the_way(record, rows, same, source)) is not None:
            report.refusals.append(_refused(record, other))
        elif same is not None:
            same.valid_to = record.valid_to
            changed.append(same)
        else:
            row = _row(record, projects, source, record.valid_from)
            rows.append(row)
            fresh.append(row)
    _write(fresh, changed, report)


def _in_the_way(
    record: MemberRecord, rows: Iterable[Membership], same: Membership | None, source: str
) -> Membership | None:
    """A row that the record contradicts: the same one of another source, or one at the same time."""
    if same is not None and same.source != source:
        return same
    span = (record.valid_from, record.valid_to)
    return next((row for row in rows if row is not same and overlap(row.valid_from, row.valid_to, *span)), None)


def _refused(record: MemberRecord, row: Membership) -> Refusal:
    span = f"{row.valid_from or 'the beginning'} to {row.valid_to or 'now'}"
    detail = f"{record.username} is {record.role} of {record.project} from {span} ({row.get_source_display()})"
    return Refusal("overlapping periods", record.line, f"{detail}; end or remove that one first")


# --- A state --------------------------------------------------------------------------------------------


def _state(
    found: MemberList,
    projects: dict[str, Project],
    source: str,
    today: date,
    begin: date | None,
    report: PeopleReport,
) -> None:
    """Who belongs now: the new ones begin, and, if no line was refused, those who are gone end."""
    known = _by_key(Membership.objects.select_for_update())
    named = {(projects[m.project].pk, m.username, m.role): m for m in found.members}
    fresh: list[Membership] = []
    changed: list[Membership] = []
    for key, record in named.items():
        rows = known.get(key, [])
        if any(_holds(row, today) for row in rows) or _leads_already(key, known, today, named):
            report.unchanged += 1
        elif (row := _ended_today(rows, source, today)) is not None:
            row.valid_to = None
            changed.append(row)
        else:
            fresh.append(_row(record, projects, source, _free(begin, rows, today)))
    _write(fresh, changed, report)
    if not found.refusals and found.members:
        _end(known, named, found.complete, source, today, report)


def _leads_already(key: Key, known: dict[Key, list[Membership]], today: date, named: dict[Key, MemberRecord]) -> bool:
    """Whether a plain member leads the project, as a list of leaders said."""
    project, username, role = key
    if role != "member":
        return False
    above = [(project, username, lead) for lead in LEADS]
    return any(lead in named or any(_holds(row, today) for row in known.get(lead, [])) for lead in above)


def _free(begin: date | None, rows: Sequence[Membership], today: date) -> date | None:
    """From when on a role can be written without a day in common with those that are over."""
    taken = any(overlap(row.valid_from, row.valid_to, begin, None) for row in rows)
    return today if taken else begin


def _end(
    known: dict[Key, list[Membership]],
    named: dict[Key, MemberRecord],
    roles: frozenset[str],
    source: str,
    today: date,
    report: PeopleReport,
) -> None:
    """End what a complete list no longer names, of this source only."""
    gone = [
        row
        for key, rows in known.items()
        if key not in named and key[2] in roles
        for row in rows
        if row.source == source and _holds(row, today)
    ]
    begun_today = [row for row in gone if row.valid_from is not None and row.valid_from >= today]
    for row in gone:
        row.valid_to = today
    Membership.objects.filter(pk__in=[row.pk for row in begun_today]).delete()
    over = [row for row in gone if row not in begun_today]
    Membership.objects.bulk_update(over, ["valid_to"], 500)
    report.ended = len(gone)


# --- Rows -----------------------------------------------------------------------------------------------


def _by_key(rows: Iterable[Membership]) -> dict[Key, list[Membership]]:
    found: dict[Key, list[Membership]] = {}
    for row in rows:
        found.setdefault((row.project_id, row.username, row.role), []).append(row)
    return found


def _holds(row: Membership, today: date) -> bool:
    begun = row.valid_from is None or row.valid_from <= today
    return begun and (row.valid_to is None or row.valid_to > today)


def _ended_today(rows: Iterable[Membership], source: str, today: date) -> Membership | None:
    return next((row for row in rows if row.source == source and row.valid_to == today), None)


def _row(record: MemberRecord, projects: dict[str, Project], source: str, begin: date | None) -> Membership:
    return Membership(
        project=projects[record.project],
        username=record.username,
        role=record.role,
        valid_from=begin,
        valid_to=record.valid_to,
        source=source,
    )


def _write(fresh: list[Membership], changed: list[Membership], report: PeopleReport) -> None:
    Membership.objects.bulk_create(fresh, ROWS_AT_ONCE)
    Membership.objects.bulk_update([row for row in changed if row.pk], ["valid_to"], 500)
    report.created, report.changed = len(fresh), len(changed)
