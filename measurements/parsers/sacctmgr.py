"""Slurm's accounting: ``sacctmgr dump CLUSTER``, ``sacctmgr -P show assoc`` or ``sacctmgr -P show account withcoord``.

The dump is a file of lines ``Title - 'value':Key='Value':…`` in which accounts and users belong to the last ``Parent``.
Coordinators become leaders. The account ``root`` holds the administrators and is nobody's project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from measurements.parsers.job_rows import RowRefused, clean
from measurements.parsers.members import LEADER, MEMBER, MemberList, MemberRecord, ProjectRecord, word
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source

ROOT = "root"
_NO_NAME = frozenset("'\"=")  # what no account is called, but a torn line holds
UNKNOWN = "\0"  # a parent whose line was refused
_TITLES_BELOW = frozenset({"account", "user"})
_BELOW = re.compile(r"(?:account|user) - ", re.IGNORECASE)  # lines that cannot be a broken one of a parent
_LINE = re.compile(r"(\w+) - (?:'([^']*)'|\"([^\"]*)\"|([^:'\"]*))((?::.*)?)$", re.DOTALL)
_OPTION = re.compile(r":(\w+)[+-]?=(?:'([^']*)'|\"([^\"]*)\"|([^:]*))")
_CUT = re.compile(r" *(?:Account|User|Cluster) +(?:Descr|Def Acct|Account|Admin|Coord)")  # its tables for the eye
_IGNORED = frozenset({"qos", "tres", "wckey", "federation", "resource"})
_ASSOC = {"account", "user"}
_COORDINATORS = ("coordinators", "coord accounts", "coordaccounts")


def read_sacctmgr(source: Source) -> MemberList:
    """The roles and projects of a dump or of a table."""
    first = next((text for _, text in source.lines() if text.strip() and not text.startswith("#")), "")
    source.take_refusals()
    if _CUT.match(first):
        raise UnusableFile(f"{source.name}: columns of sacctmgr cut to a width; ask for --parsable2 (-P)")
    found = _table(source, first) if "|" in first else _dump(source)
    found.refusals += source.take_refusals()
    if not found.projects and not found.refusals:
        raise UnusableFile(f"{source.name}: no account in it; give what 'sacctmgr dump CLUSTER' wrote")
    return found


# --- The dump -------------------------------------------------------------------------------------------


def _dump(source: Source) -> MemberList:
    found = MemberList(complete=frozenset({MEMBER, LEADER}))
    roles = _Roles(found)
    parent, known = "", {ROOT}
    for line, text in source.lines():
        if not text.strip() or text.startswith("#"):
            continue
        try:
            if not _BELOW.match(text):
                before, parent = parent, UNKNOWN
            title, value, options = _parsed(text)
            if title == "parent":
                if value not in known:
                    raise RowRefused("parent not known", f"no line 'Account - {value!r}' comes before it")
                parent = value
            elif title in _TITLES_BELOW:
                _below(found, roles, line, (title, word(value, title), parent), options)
                known |= {value} if title == "account" else set()
            else:
                parent = before
        except RowRefused as refused:
            found.refuse(line, refused, text)
    roles.close()
    return found


def _below(found: MemberList, roles: _Roles, line: int, said: tuple[str, str, str], options: Mapping[str, str]) -> None:
    """An account or a user (title, name, parent): below a parent that nobody knows neither is taken."""
    title, name, parent = said
    led = options.get("coordinator", "")
    if parent == UNKNOWN:
        raise RowRefused("parent not known", "the line above that says it was refused; give the file unchanged")
    if title == "account":
        _account(found, line, name, parent, options.get("description"))
    elif not _NO_NAME.isdisjoint(led):
        raise RowRefused("not a line of a dump", "a quote that is not closed; give the file unchanged")
    else:
        roles.add(line, parent, name, MEMBER)
        for account in filter(None, map(str.strip, led.split(","))):
            roles.add(line, word(account, "account"), name, LEADER)


def _parsed(text: str) -> tuple[str, str, dict[str, str]]:
    match = _LINE.match(text)
    if match is None:
        raise RowRefused("not a line of a dump", "expected Title - 'value':Key='Value'; give the file unchanged")
    title = match[1].lower()
    if title not in {"cluster", "parent", "account", "user"} | _IGNORED:
        raise RowRefused("unknown title", f"{match[1]!r}; known: Cluster, Parent, Account, User")
    value = match[2] or match[3] or match[4] or ""
    options = {o[1].lower(): o[2] or o[3] or o[4] or "" for o in _OPTION.finditer(match[5])}
    return title, value.strip(), options


def _account(found: MemberList, line: int, name: str, parent: str, title: str | None) -> None:
    if name == ROOT:
        return
    if not parent:
        raise RowRefused("account before any parent", "a dump says Parent - 'root' first; give the file unchanged")
    # Slurm writes the name as the description where nobody gave one.
    found.projects.append(
        ProjectRecord(line, name, "" if parent == ROOT else parent, clean(title) if title not in (None, name) else None)
    )


class _Roles:
    """Each role once; who leads an account is not its plain member besides."""

    def __init__(self, found: MemberList) -> None:
        self.found = found
        self.lines: dict[tuple[str, str, str], int] = {}

    def add(self, line: int, account: str, username: str, role: str) -> None:
        if account and account != ROOT:
            self.lines.setdefault((account, username, role), line)

    def close(self) -> None:
        for (account, username, role), line in self.lines.items():
            if role == LEADER or (account, username, LEADER) not in self.lines:
                self.found.members.append(MemberRecord(line, account, username, role))


# --- Tables ---------------------------------------------------------------------------------------------


def _table(source: Source, first: str) -> MemberList:
    columns = [name.strip().lower() for name in first.split("|")]
    coordinators = next((name for name in _COORDINATORS if name in columns), "")
    if "account" not in columns or not (coordinators or set(columns) >= _ASSOC):
        raise UnusableFile(
            f"{source.name}: no columns Account, User or Account, Coordinators; make it with "
            "'sacctmgr -P show assoc format=cluster,account,user,parentname' or 'sacctmgr -P show account withcoord'"
        )
    found = MemberList(complete=frozenset({LEADER if coordinators else MEMBER}))
    roles = _Roles(found)
    for line, text, row in _rows(source, columns):
        try:
            if len(row) != len(columns):
                raise RowRefused("wrong number of fields", f"{len(row)} instead of {len(columns)}")
            fields = dict(zip(columns, row, strict=True))
            account = word(fields["account"], "account")
            if coordinators:
                _coordinated(found, roles, line, account, fields[coordinators])
            elif fields["user"]:
                roles.add(line, account, word(fields["user"], "user"), MEMBER)
            else:
                _described(found, line, account, fields.get("parentname") or fields.get("par name"))
        except RowRefused as refused:
            found.refuse(line, refused, text)
    roles.close()
    return found


def _rows(source: Source, columns: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """All but the header, wherever it is."""
    for line, text in source.lines():
        row = [field.strip() for field in text.split("|")]
        if text.strip() and not text.startswith("#") and [field.lower() for field in row] != columns:
            yield line, text, row


def _described(found: MemberList, line: int, account: str, parent: str | None) -> None:
    """An account's own row; without the column nothing is said of what lies above it."""
    if account != ROOT:
        found.projects.append(ProjectRecord(line, account, "" if parent == ROOT else parent and word(parent, "parent")))


def _coordinated(found: MemberList, roles: _Roles, line: int, account: str, names: str) -> None:
    _described(found, line, account, None)
    for name in names.split(","):
        if name.strip():
            roles.add(line, account, word(name.strip(), "user"), LEADER)
