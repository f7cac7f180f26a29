"""Lists of people: CSV, and what sacctmgr writes (after its manual and its format strings; no site's own data)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from measurements.parsers.members import MemberList
from measurements.parsers.members_csv import read_members_csv
from measurements.parsers.records import UnusableFile
from measurements.parsers.sacctmgr import read_sacctmgr
from tests.measurements.parsers.reading import source_of

DUMP = """# To edit this file start with a cluster line for the new cluster
# Cluster - 'cluster_name':MaxNodesPerJob=50
# Followed by Accounts you want in this fashion (root is created by default)...
Cluster - 'alpha':Fairshare=1:QOS='normal'
Parent - 'root'
User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1
Account - 'physics':Description='physics of it all: big':Organization='science':Fairshare=1
Account - 'biology':Description='biology':Organization='science'
Parent - 'physics'
Account - 'optics':Description='light':Organization='science'
User - 'alice':DefaultAccount='physics':Coordinator='physics,biology':Fairshare=1
User - 'bob':DefaultAccount='physics'
Parent - 'optics'
User - 'carol':DefaultAccount='optics'
User - 'bob':DefaultAccount='physics':Partition='gpu'
User - 'bob':DefaultAccount='physics':Partition='cpu'
"""


def dumped(folder: Path, text: str) -> MemberList:
    return read_sacctmgr(source_of(folder, text, "alpha.cfg"))


def csv(folder: Path, *rows: str, header: str = "project,username,role,valid_from,valid_to") -> MemberList:
    return read_members_csv(source_of(folder, "\n".join([header, *rows]) + "\n", "members.csv"))


def test_a_dump_names_accounts_their_parents_members_and_coordinators(tmp_path: Path) -> None:
    found = dumped(tmp_path, DUMP)
    assert found.refusals == []
    assert [(p.name, p.parent, p.title) for p in found.projects] == [
        ("physics", "", "physics of it all: big"), ("biology", "", None), ("optics", "physics", "light"),
    ]  # fmt: skip
    assert {(m.project, m.username, m.role) for m in found.members} == {
        ("physics", "alice", "leader"), ("biology", "alice", "leader"), ("physics", "bob", "member"),
        ("optics", "carol", "member"), ("optics", "bob", "member"),
    }  # fmt: skip
    assert len(found.members) == 5  # an association of each partition is one membership
    assert found.complete == {"member", "leader"}


def test_lines_that_are_no_dump_are_refused_with_their_number_and_the_rest_goes_in(tmp_path: Path) -> None:
    found = dumped(tmp_path, DUMP + "Parent - 'nowhere'\nrubbish\nPrinter - 'x'\nUser - ''\n")
    assert [(r.reason, r.line) for r in found.refusals] == [
        ("parent not known", 17), ("not a line of a dump", 18), ("unknown title", 19), ("no user", 20),
    ]  # fmt: skip
    assert all(r.detail for r in found.refusals)
    assert len(found.members) == 5


def test_a_table_of_associations_names_members_and_no_leaders(tmp_path: Path) -> None:
    text = (
        "Cluster|Account|User|ParentName\nalpha|root||\nalpha|physics||root\nalpha|optics||physics\nalpha|optics|bob|\n"
    )
    found = dumped(tmp_path, text)
    assert [(p.name, p.parent) for p in found.projects] == [("physics", ""), ("optics", "physics")]
    assert [(m.project, m.username, m.role, m.line) for m in found.members] == [("optics", "bob", "member", 5)]
    assert found.complete == {"member"}


def test_a_table_of_coordinators_names_leaders(tmp_path: Path) -> None:
    found = dumped(
        tmp_path, "Account|Descr|Org|Coordinators\nphysics|all|science|alice,bob\noptics|light|science|\na|b\n"
    )
    assert [(m.project, m.username, m.role) for m in found.members] == [
        ("physics", "alice", "leader"), ("physics", "bob", "leader"),
    ]  # fmt: skip
    assert found.complete == {"leader"}
    assert [(r.reason, r.line) for r in found.refusals] == [("wrong number of fields", 4)]


@pytest.mark.parametrize("text", ["a|b\n1|2\n", "# nothing\nCluster - 'alpha'\n"], ids=["table", "dump"])
def test_a_file_without_accounts_is_refused_as_a_whole(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnusableFile, match="sacctmgr"):
        dumped(tmp_path, text)


def test_csv_has_roles_with_days_and_describes_projects(tmp_path: Path) -> None:
    rows = ["physics,alice,Leader,2026-01-01,,,The physicists", "optics,bob,member,,2026-03-01,physics,", "maths,,,,,,"]
    found = csv(tmp_path, *rows, header="project,username,role,valid_from,valid_to,parent,title")
    assert found.refusals == []
    assert [(m.project, m.username, m.role, m.valid_from, m.valid_to) for m in found.members] == [
        ("physics", "alice", "leader", date(2026, 1, 1), None), ("optics", "bob", "member", None, date(2026, 3, 1)),
    ]  # fmt: skip
    assert [(p.name, p.parent, p.title) for p in found.projects] == [
        ("physics", None, "The physicists"), ("optics", "physics", None), ("maths", None, None),
    ]  # fmt: skip
    assert not found.complete


def test_bad_rows_of_a_csv_are_refused_each_with_its_reason(tmp_path: Path) -> None:
    found = csv(
        tmp_path,
        "physics,alice,boss,,",
        "physics,alice,leader,01.03.2026,",
        "physics,alice,leader,2026-03-01,2026-03-01",
        ",alice,leader,,",
        "physics,,leader,,",
        "physics,alice,leader",
        "physics,alice,leader,,2026-03-01",
        "physics,alice,leader,2026-02-28,",
        "physics,alice,leader,2026-03-01,",
    )
    assert [(r.reason, r.line) for r in found.refusals] == [
        ("unknown role", 2), ("bad valid_from", 3), ("ends before it begins", 4), ("no project", 5), ("no username", 6),
        ("too few fields", 7), ("overlapping periods", 9),
    ]  # fmt: skip
    assert [m.line for m in found.members] == [8, 10]


def test_a_table_cut_to_a_width_is_refused_with_the_cure(tmp_path: Path) -> None:
    text = "   Account      Descr        Org \n---------- ---------- ---\n      phys   Physics  uni\n"
    with pytest.raises(UnusableFile, match="--parsable2"):
        read_sacctmgr(source_of(tmp_path, text))
