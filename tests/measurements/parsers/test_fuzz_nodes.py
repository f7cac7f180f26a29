"""Whatever becomes of lists of nodes, states, people and GPU holds: nothing is taken that does not stand there."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers.detect_nodes import NODE_PARSERS
from measurements.parsers.gpu_holds import of_text
from measurements.parsers.members import LEADER, MEMBER, MemberList
from measurements.parsers.members_csv import read_members_csv
from measurements.parsers.node_states import StateRecord, is_off, read_states
from measurements.parsers.records import NodeRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.sacctmgr import read_sacctmgr
from measurements.parsers.source import Source
from tests.measurements.parsers.damage import damaged, each_example, put, replaced
from tests.measurements.parsers.job_oracle import EARLIEST_MS, LATEST_MS, hosts_in, is_text
from tests.measurements.parsers.said import filled, goes_on, is_when, lines_of, number, records, text_of, unpacked
from tests.measurements.parsers.test_gpu_holds import block, held
from tests.measurements.parsers.test_members import DUMP
from tests.measurements.parsers.test_nodes import SCONTROL

OPTIONS = [ParseOptions(time_zone=UTC), ParseOptions(time_zone=ZoneInfo("Europe/Berlin")), ParseOptions()]
FIGURES = ("memory_gib", "idle_w", "rated_w", "ceiling_w", "floor_w", "gpu_idle_w")


def check_told(refusals: Sequence[Refusal], notes: Sequence[str] = ()) -> set[int]:
    """The lines that were refused; what is said of them can be stored."""
    for one in refusals:
        assert one.reason
        assert one.line >= 1
        assert len(one.text) <= 500
        (one.text + one.detail).encode()
    "".join(notes).encode()
    return {one.line for one in refusals}


def check_name(name: str, most: int = 255) -> None:
    is_text(name, most)
    assert name


# --- nodes --------------------------------------------------------------------------------------------------------

HEADER = (
    "node,node_type,cpus,gpus,threads_per_core,cpu_model,memory_gib,idle_w,rated_w,ceiling_w,valid_from,level,parent"
)
TABLE = (
    f'{HEADER}\n"n[01-02,7]",gpu,64,4,2,EPYC,512,150.5,900,3000,2025-03-01T12:00:00Z,,\nm1,cpu,8,,,,,,,,,,r1\n'
    '"m2","a ""b"", c",8,,,,,,,,1740830400,node,\nr1,rack,,,,,,,,9000,,rack,\n'
)
CLUSTER = {
    "name": "c",
    "subClusters": [
        {"name": "main", "nodes": "n[1-3]", "processorType": "EPYC", "socketsPerNode": 2, "coresPerSocket": 8,
         "threadsPerCore": 2, "topology": {"accelerators": [{"id": "0", "model": "A100"}, {"id": "1", "type": "x"}]}},
        {"name": "big", "nodes": "b1,n3", "socketsPerNode": 4, "coresPerSocket": 8, "threadsPerCore": 1},
    ],
    "metricConfig": [],
}  # fmt: skip
NODES = {
    "meta": {},
    "nodes": [
        {"name": "cn1", "cpus": 128, "real_memory": 515000, "threads": 2, "gres": "gpu:a100:4(S:0)", "state": ["IDLE"]},
        {"name": "cn2", "cpus": 64, "real_memory": 257000, "threads": 1, "gres": "", "state": "FUTURE"},
        {"name": "cn3", "cpus": 1, "state": []},
    ],
}  # fmt: skip


def nodes_in(name: str, raw: bytes, options: ParseOptions, place: Path) -> tuple[list[NodeRecord], set[int]]:
    """The nodes of a file and the lines that were refused."""
    put(place, raw)
    found, refusals, notes = NODE_PARSERS[name](Source(place), options)
    for node in found:
        check_name(node.node)
        assert node.node.isprintable()
        check_name(node.node_type, 128)
        for text in (node.cpu_model, node.gpu_model, node.parent):
            is_text(text, 255)
        assert all(count is None or 0 <= count < 1 << 31 for count in (node.cpus, node.gpus))
        assert node.threads_per_core is None or 0 < node.threads_per_core < 1 << 15
        assert all(getattr(node, one) is None or 0 <= getattr(node, one) < float("inf") for one in FIGURES)
        assert node.valid_from_ms is None or EARLIEST_MS <= node.valid_from_ms <= LATEST_MS
    return found, check_told(refusals, notes)


def check_table(raw: bytes, options: ParseOptions, place: Path) -> int:
    try:
        found, told = nodes_in("csv", raw, options, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    header = min(filled(lines, 1))
    for node in found:
        rows = (list(map(str.strip, row)) for row in records(lines, node.line))
        if lines[header] == HEADER:
            said = (dict(zip(HEADER.split(","), row, strict=False)) for row in rows if row and len(row) == 13)
            assert any(is_node(node, row, options) for row in said), node
        else:
            assert any(any(node.node in hosts_in(cell) for cell in row) for row in rows), node
    told |= {node.line for node in found}
    assert [line for line in filled(lines, header + 1) - told if not goes_on(lines, line, told)] == []
    return len(found)


def is_node(node: NodeRecord, row: dict[str, str], options: ParseOptions) -> bool:
    """Whether a row says a node."""
    return (
        node.node in hosts_in(row["node"])
        and node.node_type == row["node_type"].replace("\0", "\ufffd")
        and all(
            getattr(node, name) in (None, number(row[name]))
            for name in ("cpus", "gpus", "threads_per_core", "memory_gib", "idle_w", "rated_w", "ceiling_w")
        )
        and (node.valid_from_ms is None or is_when(node.valid_from_ms, row["valid_from"], options.time_zone))
        and (node.level, node.parent) == (row["level"].lower(), row["parent"].replace("\0", "\ufffd"))
    )


def check_scontrol(raw: bytes, options: ParseOptions, place: Path) -> int:
    try:
        found, told = nodes_in("scontrol", raw, options, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    if "".join(lines).lstrip().startswith(("{", "[")):  # what was damaged so is read as JSON
        return len(found)
    starts = [line for line in filled(lines, 1) if lines[line].startswith("NodeName=")]
    for node in found:
        end = min((line for line in starts if line > node.line), default=len(lines))
        text = " ".join(lines[node.line : end])
        assert node.node in hosts_in(text.removeprefix("NodeName=").split(maxsplit=1)[0])
        assert node.cpus is None or node.cpus in numbers_of("CPUTot|CPUs", text)
        assert node.threads_per_core is None or node.threads_per_core in numbers_of("ThreadsPerCore", text)
        assert node.memory_gib is None or round(node.memory_gib * 1024) in numbers_of("RealMemory", text)
        assert not node.gpus or node.gpus <= sum(map(int, re.findall(r"\d+", text)))
    last = {node.node: node.line for node in found}
    for line in set(starts) - told - set(last.values()):
        end = min((one for one in starts if one > line), default=len(lines))
        text = " ".join(lines[line:end])
        again = hosts_in(text.removeprefix("NodeName=").split(maxsplit=1)[0])
        assert "FUTURE" in text.upper() or (again and all(last.get(host, 0) > line for host in again)), text
    return len(found)


def numbers_of(names: str, text: str) -> set[int]:
    """The numbers behind some words."""
    return {int(one) for one in re.findall(rf"(?:{names})=(\d+)", text, re.IGNORECASE)}


def check_nodes_json(name: str, key: str, raw: bytes, options: ParseOptions, place: Path) -> int:
    try:
        found, told = nodes_in(name, raw, options, place)
    except UnusableFile:
        return 0
    text = text_of(raw).removeprefix("\ufeff")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    listed = document.get(key) if isinstance(document, dict) else document
    if not isinstance(listed, list) or text.count(f'"{key}"') > 1 or unpacked(raw)[1]:
        assert all(re.sub(r"\d+$", "", node.node) in text for node in found)
        return len(found)
    for node in found:
        said = listed[node.line - 1]
        assert node.node in hosts_in(said["nodes" if name == "clustercockpit" else "name"])
        counts = {one for one in said.values() if type(one) is int} | {
            int(one) for one in re.findall(r"\d+", str(said))
        }
        sockets, cores, threads = (said.get(one) for one in ("socketsPerNode", "coresPerSocket", "threadsPerCore"))
        assert node.cpus is None or node.cpus in (counts if sockets is None else {sockets * cores * threads})
        assert node.threads_per_core is None or node.threads_per_core in counts
        assert node.memory_gib is None or round(node.memory_gib * 1024) in counts
    taken = {node.line for node in found} | told
    named = {node.node for node in found}
    for line, said in enumerate(listed, start=1):
        names = hosts_in(said.get("nodes" if name == "clustercockpit" else "name")) if isinstance(said, dict) else []
        if name == "scontrol":
            left_out = "FUTURE" in str(said.get("state")).upper() if isinstance(said, dict) else False
            assert line in taken or left_out or (names and named.issuperset(names)), said
        else:
            assert line in taken or not names or named.issuperset(names), said
    return len(found)


# --- states ---------------------------------------------------------------------------------------------------------

EVENTS = "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User"
PLAIN = "node,start,end,state,reason"
STATES = [
    f"{EVENTS}\nc|n[1-2]|2025-03-01T00:00:00|2025-03-01T06:00:00|IDLE+POWERED_DOWN|ran out of | work|slurm(64030)\n"
    "c||2025-03-01T00:00:00|Unknown||Cluster Registered TRES|\nc|n3|2025-03-02T00:00:00|Unknown|DOWN*|Not|slurm\n",
    f"{EVENTS}|\nc|n3|2025-10-26T02:30:00|Unknown|IDLE~|x|s|\nc|n4|2025-03-30T03:30:00|2025-03-31T00:00:00|DRAIN||s|\n",
    f'{PLAIN}\n"n[1-2]",2025-03-01T00:00:00Z,1740830400,off,"it, ""burnt"""\nn3,1740830400,,DOWN,\n',
]


def check_states(raw: bytes, options: ParseOptions, place: Path) -> int:
    put(place, raw)
    try:
        found, refusals, notes = read_states(Source(place), options)
    except UnusableFile:
        return 0
    told = check_told(refusals, notes)
    lines = lines_of(raw)
    header = min(filled(lines, 1))
    bar = "|" in lines[header]
    for one in found:
        check_name(one.node)
        check_name(one.state, 64)
        is_text(one.reason, 1024)
        assert one.end_ms is None or EARLIEST_MS <= one.start_ms <= one.end_ms <= LATEST_MS
        rows = [lines[one.line].split("|")] if bar else list(records(lines, one.line))
        assert any(is_state(one, list(map(str.strip, row)), lines[header], options) for row in rows), one
    told |= {one.line for one in found}
    if lines[header] in (EVENTS, f"{EVENTS}|", PLAIN):
        for line in filled(lines, header + 1) - told:
            assert goes_on(lines, line, told) or re.match(r'\s*(c?[^|]*\|\s*\||"?\s*"?,)', lines[line]), lines[line]
    return len(found)


def is_state(one: StateRecord, row: list[str], header: str, options: ParseOptions) -> bool:
    """Whether a row says a state: by the places of a known header, else anywhere in it."""
    places = {EVENTS: (1, 2, 3, 4), f"{EVENTS}|": (1, 2, 3, 4), PLAIN: (0, 1, 2, 3)}.get(header)
    if places is None:
        return (
            any(one.node in hosts_in(cell) for cell in row)
            and any(is_when(one.start_ms, cell, options.time_zone) for cell in row)
            and (one.end_ms is None or any(is_when(one.end_ms, cell, options.time_zone) for cell in row))
        )
    if len(row) <= max(places):
        return False
    node, start, end, state = (row[place] for place in places)
    return (
        one.node in hosts_in(node)
        and is_when(one.start_ms, start, options.time_zone)
        and (one.end_ms is None or is_when(one.end_ms, end, options.time_zone))
        and (one.end_ms is not None or end.casefold() in ("", "unknown", "none", "0", "n/a", "null", "(null)"))
        and one.state == state.replace("\0", "\ufffd")[:64]
        and one.is_off == is_off(state)
    )


# --- people ---------------------------------------------------------------------------------------------------------

PEOPLE = "project,username,role,valid_from,valid_to,parent,title"
ROLES = [
    f'{PEOPLE}\nphys,alice,leader,2025-01-01,2026-01-01,,"Physics, all"\nphys,bob,Member,,,,\noptics,,,,,phys,Light\n',
    "role,project,username\nmember,a,b\nleader,a,c\ndeputy,a,b\n",
]
TABLES = [
    "Cluster|Account|User|ParentName\nc|root|||\nc|phys||root\nc|optics||phys\nc|optics|carol|\nc|phys|alice|\n",
    "Account|Descr|Org|Coord Accounts\nphys|physics|science|alice,bob\noptics|light|science|\n",
]


def people_of(read: Callable[[Source], MemberList], raw: bytes, place: Path) -> MemberList:
    """A list whose names can be stored."""
    put(place, raw)
    found = read(Source(place))
    check_told(found.refusals, found.warnings)
    for project in found.projects:
        check_name(project.name)
        is_text(project.parent or "", 255)
        is_text((project.title or "")[:255], 255)
    for member in found.members:
        check_name(member.project)
        check_name(member.username)
        assert not member.valid_from or not member.valid_to or member.valid_from < member.valid_to
    return found


def check_people(raw: bytes, _options: ParseOptions, place: Path) -> int:
    try:
        found = people_of(read_members_csv, raw, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    header = min(filled(lines, 1))
    names = lines[header].split(",")
    for member in found.members:
        rows = [list(map(str.strip, row)) for row in records(lines, member.line)]
        if lines[header] in (PEOPLE, "role,project,username"):
            said = [dict(zip(names, row, strict=False)) for row in rows if len(row) == len(names)]
            who = (member.project, member.username, member.role)
            assert any(who == (row["project"], row["username"], row["role"].lower()) for row in said)
            days = [{str(member.valid_from or ""), str(member.valid_to or "")} for _ in said]
            assert any(
                day == {iso(row.get("valid_from")), iso(row.get("valid_to"))}
                for day, row in zip(days, said, strict=True)
            )
        else:
            assert any({member.project, member.username} <= set(row) for row in rows)
    told = {one.line for one in found.projects} | {one.line for one in found.members}
    told |= {one.line for one in found.refusals}
    assert [line for line in filled(lines, header + 1) - told if not goes_on(lines, line, told)] == []
    return len(found.members)


def iso(cell: str | None) -> str:
    try:
        return str(date.fromisoformat(cell)) if cell else ""
    except ValueError:
        return "no day"


def check_sacctmgr(raw: bytes, _options: ParseOptions, place: Path) -> int:
    """Every role is a word of its line, of the account that the dump or the row is at."""
    try:
        found = people_of(read_sacctmgr, raw, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    for member in found.members:
        words = words_of(lines[member.line])
        assert member.username in words, (member, lines[member.line])
        assert member.project in words or member.project in parent_at(lines, member.line), (member, lines)
        assert member.role in (MEMBER, LEADER)
    for project in found.projects:
        assert project.name in words_of(lines[project.line])
        assert not project.parent or project.parent in words_of(lines[project.line]) | parent_at(lines, project.line)
    told = {one.line for one in found.refusals}
    assert told <= set(range(1, len(lines)))
    return len(found.members)


def words_of(line: str) -> set[str]:
    """What stands in a line between signs that part it."""
    return {
        word.strip()
        for parts in (r"\|", r"[|,]", r"['\":|,=]| - ", r"['\":|,]| - ", r"['\"]| - |:", r"['\"]", r"[,'\"]", "'", '"')
        for word in re.split(parts, line)
    }


def parent_at(lines: Sequence[str], line: int) -> set[str]:
    """The words of the last line before it that may say a parent: none of an account, a user, a comment."""
    above = (one for one in range(line, 0, -1) if lines[one].strip() and not OTHER.match(lines[one]))
    return words_of(lines[next(above, 0)])


OTHER = re.compile(r"(account|user|qos|tres|wckey|federation|resource) - |#", re.IGNORECASE)


# --- GPUs -----------------------------------------------------------------------------------------------------------

HELD = [
    (block(1, held("n1", "0-1", 2) + held("n[2-3]", "3", 1)) + block(2, held("n1", "2", 1), name="a b=c")).encode(),
    (block(3, held("n1", "0", 1), name="x\n" + block(2, held("n9", "0-3", 4))) + block(1, "")).encode(),
]


def check_holds(raw: bytes, _options: ParseOptions, _place: Path) -> int:
    """Every hold is a line behind the job's own one."""
    text = raw.decode("utf-8", "replace")
    holds, refusals = of_text(text, {"1", "2"})
    check_told(refusals)
    parts = re.split(r"^(?=JobId=)", text, flags=re.MULTILINE)
    for hold in holds:
        assert hold.job_id in ("1", "2")
        own = [part for part in parts if re.match(rf"JobId={hold.job_id}(?: |\n|$)", part)]
        assert len(own) == 1
        found = re.findall(r"^ {5}Nodes=(\S+) (.*)", own[0], re.MULTILINE)
        lists = [(nodes, one) for nodes, rest in found for one in re.findall(r"IDX:([0-9,;-]+)", rest)]
        assert any(hold.node in hosts_in(nodes) and is_index(hold.index, indices) for nodes, indices in lists)
        assert any(is_when(hold.seen_ms, one, UTC) for one in re.findall(r"StartTime=(\S*)", own[0]))
        assert EARLIEST_MS <= hold.seen_ms <= LATEST_MS
        check_name(hold.node)
    return len(holds)


def is_index(index: int, text: str) -> bool:
    """Whether an index is one of a list."""
    ends = (part.partition("-") for part in re.split("[,;]", text))
    return any(low.isdigit() and int(low) <= index <= int(high or low) for low, _, high in ends)


def made(good: Sequence[str]) -> Callable[[random.Random], tuple[bytes, ParseOptions]]:
    packed = [one.encode() for one in good]
    return lambda draw: (damaged(draw, packed), draw.choice(OPTIONS))


def bare(good: Sequence[bytes]) -> Callable[[random.Random], tuple[bytes, ParseOptions]]:
    return lambda draw: (replaced(draw, draw.choice(good), most=30), OPTIONS[0])


Check = Callable[[bytes, ParseOptions, Path], int]
CHECKS: dict[str, tuple[Callable[[random.Random], tuple[bytes, ParseOptions]], Check]] = {
    "nodes": (made([TABLE]), check_table),
    "scontrol": (
        made([SCONTROL, "NodeName=a[1-2] CPUTot=4 State=IDLE\nNodeName=a2 CPUTot=8 State=DOWN\n"]),
        check_scontrol,
    ),
    "scontrol json": (made([json.dumps(NODES)]), lambda *said: check_nodes_json("scontrol", "nodes", *said)),
    "cluster": (made([json.dumps(CLUSTER)]), lambda *said: check_nodes_json("clustercockpit", "subClusters", *said)),
    "states": (made(STATES), check_states),
    "members": (made(ROLES), check_people),
    "sacctmgr": (made([DUMP, *TABLES]), check_sacctmgr),
    "holds": (bare(HELD), check_holds),
}
FAILED: dict[str, list[tuple[bytes, ParseOptions]]] = {  # what once crashed a parser, or made another record
    "holds": [(HELD[0].replace(b"IDX:3", index), OPTIONS[0]) for index in (b"IDX:3-", b"IDX:99", b"IDX:,")]
    + [(HELD[0].replace(b"2025-03-01T12:00:00", b"0001-01-01"), OPTIONS[0])]
    + [(HELD[0].replace(b"   User", b"x", 1).replace(b"JobId=2", job), OPTIONS[0]) for job in (b"JobId=2;", b"Job=2")],
    "scontrol": [(SCONTROL.replace("S:0-1", "IDX:0-").encode(), OPTIONS[0]), (b"NodeName=(null) CPUs=4\n", OPTIONS[0])],
    "sacctmgr": [(TABLES[0].replace("phys||root", "phys||ro\0t").encode(), OPTIONS[0])]
    + [(DUMP.replace("Parent - 'op", parent).encode(), OPTIONS[0]) for parent in ("Parent - 'x", "P\0 - 'op")]
    + [(DUMP.replace("'physics,biology':", led).encode(), OPTIONS[0]) for led in ("'physics,biology:", "x")],
    "nodes": [
        (TABLE.replace(*change).encode(), OPTIONS[0])
        for change in ((",r1\n", ",r\0\n"), ("m1,cpu", f"m1,{'t' * 129}"), ("m1", "m" * 256), ("64,4,2", "64,4,40000"))
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "list"


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", CHECKS)
def test_damaged_lists(name: str, place: Path) -> None:
    make, check = CHECKS[name]
    for example in FAILED.get(name, []):
        check(*example, place)
    each_example(make, lambda example: check(*example, place))


def test_the_lists_that_are_damaged_are_good(place: Path) -> None:
    options = OPTIONS[0]
    good: dict[str, list[Any]] = {
        "nodes": [TABLE], "scontrol": [SCONTROL], "scontrol json": [json.dumps(NODES)],
        "cluster": [json.dumps(CLUSTER)], "states": STATES, "members": ROLES, "sacctmgr": [DUMP, *TABLES],
    }  # fmt: skip
    found = {name: [CHECKS[name][1](one.encode(), options, place) for one in texts] for name, texts in good.items()}
    assert found == {
        "nodes": [6], "scontrol": [2], "scontrol json": [2], "cluster": [4], "states": [3, 2, 3], "members": [2, 3],
        "sacctmgr": [5, 2, 2],
    }  # fmt: skip
    assert [check_holds(one, options, place) for one in HELD] == [5, 0]
