"""load_members: who belongs to which project, from lists with days and from lists of today."""

from __future__ import annotations

import json
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from measurements.models import Membership, Project
from tests.measurements.parsers.test_members import DUMP

pytestmark = pytest.mark.django_db
HEADER = "project,username,role,valid_from,valid_to,parent,title"


def load(folder: Path, text: str, *options: str, name: str = "list.txt") -> dict[str, Any]:
    (folder / name).write_text(text, encoding="utf-8")
    out = StringIO()
    call_command("load_members", str(folder / name), "--json", *options, stdout=out, stderr=StringIO())
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def csv(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def rows() -> set[tuple[str, str, str, date | None, date | None, str]]:
    return {
        (m.project.name, m.username, m.role, m.valid_from, m.valid_to, m.source)
        for m in Membership.objects.select_related("project")
    }


def test_a_dump_goes_in_once_however_often_it_is_loaded(tmp_path: Path) -> None:
    first = load(tmp_path, DUMP)
    assert (first["projects_created"], first["created"], first["ended"]) == (3, 5, 0)
    before = rows()
    assert ("physics", "alice", "leader", None, None, "sacctmgr") in before
    assert Project.objects.get(name="optics").parent == Project.objects.get(name="physics")
    again = load(tmp_path, DUMP)
    assert (again["created"], again["changed"], again["ended"], again["unchanged"]) == (0, 0, 0, 5)
    assert (again["projects_created"], again["projects_changed"]) == (0, 0)
    assert rows() == before


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> date:
    """This day, also where it turns within a test."""
    day = timezone.localdate()
    monkeypatch.setattr(timezone, "localdate", lambda: day)
    return day


def test_who_is_gone_from_a_dump_ends_today_and_who_is_new_begins_today(tmp_path: Path, today: date) -> None:
    load(tmp_path, DUMP)
    changed = DUMP.replace("User - 'carol'", "User - 'dora'").replace(
        "Coordinator='physics,biology'", "Coordinator='physics'"
    )
    answer = load(tmp_path, changed)
    assert (answer["created"], answer["ended"]) == (1, 2)
    assert ("optics", "carol", "member", None, today, "sacctmgr") in rows()
    assert ("biology", "alice", "leader", None, today, "sacctmgr") in rows()
    assert ("optics", "dora", "member", today, None, "sacctmgr") in rows()
    load(tmp_path, DUMP)  # as before: what ended today goes on, what began today never was
    assert ("optics", "carol", "member", None, None, "sacctmgr") in rows()
    assert not Membership.objects.filter(username="dora").exists()


def test_who_comes_back_later_gets_a_row_of_their_own_and_the_past_stays(tmp_path: Path, today: date) -> None:
    load(tmp_path, DUMP)
    Membership.objects.filter(username="carol").update(valid_to=today - timedelta(days=30))
    load(tmp_path, DUMP)
    assert {(m.valid_from, m.valid_to) for m in Membership.objects.filter(username="carol")} == {
        (None, today - timedelta(days=30)), (today, None),
    }  # fmt: skip


def test_what_the_admin_or_a_csv_says_is_never_ended_by_a_dump(tmp_path: Path) -> None:
    physics = Project.objects.create(name="physics")
    Membership.objects.create(project=physics, username="zoe", role="leader", source="admin")
    Membership.objects.create(project=physics, username="bob", role="member", source="admin")
    load(tmp_path, csv("physics,yves,deputy,2025-01-01,,,"))
    load(tmp_path, DUMP)
    load(tmp_path, DUMP.replace("User - 'bob':DefaultAccount='physics'\n", ""))
    assert ("physics", "zoe", "leader", None, None, "admin") in rows()
    assert ("physics", "bob", "member", None, None, "admin") in rows()
    assert ("physics", "yves", "deputy", date(2025, 1, 1), None, "csv") in rows()
    assert Membership.objects.filter(project=physics, username="bob").count() == 1


@pytest.mark.parametrize("fault", ["rubbish\n", ""], ids=["a refused line", "a partial list"])
def test_a_list_that_is_not_whole_ends_nobody(tmp_path: Path, fault: str) -> None:
    load(tmp_path, DUMP)
    before = rows()
    shorter = DUMP.replace("User - 'carol':DefaultAccount='optics'\n", fault)
    answer = load(tmp_path, shorter, *(() if fault else ("--partial",)))
    # What stands below a line that nobody can read may belong to another account: it is refused with it.
    assert (answer["ended"], answer["refused"]) == (0, 3 if fault else 0)
    assert rows() == before


def test_a_table_of_members_does_not_end_leaders(tmp_path: Path) -> None:
    load(tmp_path, DUMP)
    answer = load(
        tmp_path, "Cluster|Account|User|ParentName\nalpha|physics||root\nalpha|physics|bob|\nalpha|physics|alice|\n"
    )
    assert Membership.objects.on(timezone.localdate()).filter(role="leader").count() == 2
    assert not Membership.objects.filter(username="alice", role="member").exists()
    assert answer["ended"] == 2  # carol and bob of optics


def test_a_dry_run_says_it_all_and_changes_nothing(tmp_path: Path) -> None:
    answer = load(tmp_path, DUMP, "--dry-run")
    assert (answer["dry_run"], answer["created"], answer["projects_created"]) == (True, 5, 3)
    assert not Membership.objects.exists()
    assert not Project.objects.exists()


def test_a_csv_is_a_history_that_ends_nothing_by_itself(tmp_path: Path) -> None:
    load(tmp_path, csv("physics,alice,leader,,2025-06-01,,", "physics,bob,leader,2025-06-01,,,"))
    assert rows() == {
        ("physics", "alice", "leader", None, date(2025, 6, 1), "csv"),
        ("physics", "bob", "leader", date(2025, 6, 1), None, "csv"),
    }
    answer = load(tmp_path, csv("physics,bob,leader,2025-06-01,2025-09-01,,"))
    assert (answer["changed"], answer["created"], answer["ended"]) == (1, 0, 0)
    assert len(rows()) == 2


def test_what_contradicts_the_admin_or_itself_is_refused_with_its_line(tmp_path: Path) -> None:
    physics = Project.objects.create(name="physics")
    Membership.objects.create(project=physics, username="zoe", role="leader", source="admin")
    text = csv(
        "physics,zoe,leader,,2025-06-01,,",
        "physics,zoe,leader,2025-07-01,,,",
        "optics,,,,,physics,",
        "physics,,,,,optics,",
    )
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    err = StringIO()
    call_command("load_members", str(tmp_path / "list.csv"), stderr=err)
    assert "line 2: overlapping periods" in err.getvalue()
    assert "line 3: overlapping periods" in err.getvalue()
    assert "line 5: below itself" in err.getvalue()
    assert rows() == {("physics", "zoe", "leader", None, None, "admin")}


def test_a_first_day_can_be_said_of_a_state(tmp_path: Path) -> None:
    load(tmp_path, DUMP, "--since", "2026-01-01")
    assert {row[3] for row in rows()} == {date(2026, 1, 1)}


@pytest.mark.parametrize(("text", "options", "code"), [
    ("project,username\na,b\n", (), 1), ("nothing\n", (), 1), (DUMP, ("--format", "ldap"), 2),
])  # fmt: skip
def test_exit_codes_are_those_of_all_commands(tmp_path: Path, text: str, options: tuple[str, ...], code: int) -> None:
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    with pytest.raises((CommandError, SystemExit)) as seen:
        call_command("load_members", str(tmp_path / "list.txt"), *options, stderr=StringIO())
    found = getattr(seen.value, "returncode", None) or getattr(seen.value, "code", None)
    assert found == code


def test_a_csv_may_be_divided_by_semicolons(tmp_path: Path) -> None:
    answer = load(tmp_path, "project;username;role\nphys;anna;leader\nphys;bob;member\n", "--partial")
    assert (answer["created"], answer["refused"]) == (2, 0)
    assert {row[:3] for row in rows()} == {("phys", "anna", "leader"), ("phys", "bob", "member")}
