"""Whatever becomes of job records, every job that is taken stands in what is left of them, and no row is lost."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers.detect_jobs import JOB_PARSERS, detect_jobs
from measurements.parsers.records import JobRecord, ParseOptions, UnusableFile
from measurements.parsers.sacct_text import XDMOD_FIELDS
from measurements.parsers.source import Source
from tests.measurements.parsers.damage import damaged, each_example, put, replaced
from tests.measurements.parsers.job_oracle import (
    hosts_in,
    is_instant,
    is_row,
    is_somewhere,
    is_state,
    is_word,
    leaves,
    taken,
)
from tests.measurements.parsers.said import filled, goes_on, lines_of, records, text_of, unpacked

OPTIONS = [ParseOptions(time_zone=UTC), ParseOptions(time_zone=ZoneInfo("Europe/Berlin")), ParseOptions()]
NAME_LINES = 20
Made = tuple[bytes, ParseOptions, str | None]

# --- rows of text -------------------------------------------------------------------------------------------------

CSV = "job_id,user,account,state,start,end,nodes,submit,partition,name,cpus,gpus,gpu_indices,cluster"
CSV_OTHER = "nodes,end,start,state,account,user,job_id,cpus"
OF_CSV = {"job_id": "jobid", "nodes": "nodelist", "cpus": "ncpus"}
TABLES = [
    f"{CSV}\n36_1,alice,phys,COMPLETED,2025-03-01T12:00:00Z,1740834000,\"n[1-2],m3\",,main,\"a,b\nc\",4,1,3,\n"
    "7,bob,,CANCELLED by 7,2025-10-26T02:10:00,2025-10-26 03:30:00,n1,,,x,2,,,\n"
    "8,bob,,RUNNING,1740830400,,n1,,,,,2,0-1,c\n"
    "9.host,bob,b,FAILED,1740830400,1740830400,n1,1740830000,,\"\"\"q\"\"\",,,,\n"
    "10.batch,b,b,CD,1740830400,1740830401,n,,,,,,,\n",
    f"{CSV_OTHER}\n\"n[01-03]\",1740834000,1740830400,TO,a,b,93+0,64\r\nn1,Unknown,1740830400,R,a,b,94,\r\n"
    "None assigned,1740834000,1740830400,CA,a,b,95,\r\n",
]  # fmt: skip
SACCT = (
    "JobID|JobIDRaw|User|Account|State|Submit|Start|End|Elapsed|NodeList|AllocTRES|ConsumedEnergyRaw|Suspended|JobName"
)
SACCT_EARLY = "JobID|JobName|State|Start|End|ElapsedRaw|NCPUS|MaxRSS|NTasks|NodeList|User|"
LISTS = [
    f"{SACCT}\n"
    "36_1|38|alice|phys|COMPLETED|2025-03-01T11:00:00|2025-03-01T12:00:00|2025-03-01T13:00:00|01:00:00|n[1-2]|"
    "cpu=7,gres/gpu=2,mem=3G,energy=12|1.5K|00:00:00|a|b\nof two lines\n"
    "36_1.batch|38.batch|||COMPLETED|||2025-03-01T13:00:00|01:00:00|n1|cpu=7||00:00:00|batch\n"
    "39|39|bob|phys|CANCELLED by 7|2025-10-26T01:00:00|2025-10-26T02:10:00|2025-10-26T02:20:00|00:10:00|n1|"
    "cpu=1|0|00:00:00|x\n"
    "40|40|bob|phys|RUNNING|2025-10-26T01:00:00|2025-03-01T12:00:00|Unknown|1-00:10:00|n1|cpu=1||00:00:00|x\n"
    "41|41|bob|phys|TIMEOUT|2025-03-01T11:00:00|2025-03-01T12:00:00|Unknown|00:10:00|n3|||00:05:00|\n",
    f"warning: something\n{SACCT_EARLY}\n"
    "5|a|b|COMPLETED|1740830400|1740830460|60|4|||n1|alice|\n5.0|srun|COMPLETED|1740830400|1740830460|60|4|12K|4|n1||\n"
    "6|of\ntwo lines|FAILED|1740830400|1740830460|60|4|||n[2-3]|bob|\n"
    f"{SACCT_EARLY}\n7_[1-3]|x|PENDING|Unknown|Unknown|0|4|||None assigned|bob|\n",
]  # fmt: skip
DECLARED = "sacct:JobID,State,JobName,Start,End,NodeList"
BARE = [
    "1|COMPLETED|x|1740830400|1740830460|n1\n2|FAILED|a|b|1740830400|1740830460|n[1-2]\n3.batch|CD|y|1|2|n1\n"
    "4|COMPLETED|one\ntwo|1740830400|1740830460|n1\n",
]
XDMOD = [
    "36_1|38|c|main|normal|phys|g|1|alice|2|2025-03-01T11:00:00|2025-03-01T11:30:00|2025-03-01T12:00:00|"
    "2025-03-01T13:00:00|01:00:00|0:0|COMPLETED|2|7|7|3Gn|cpu=7|cpu=7,gres/gpu:a100=2|02:00:00|n[1-2]|na|me\n"
    "39|39|c|main|normal|phys|g|1|bob|2|2025-03-01T11:00:00|Unknown|2025-03-01T12:00:00|Unknown|00:20:00|0:0|"
    "NODE_FAIL|1|1|1|3000Mc|||02:00:00|n4|x\n",
]  # fmt: skip
KNOWN = {SACCT, SACCT_EARLY, DECLARED[6:].replace(",", "|"), "|".join(XDMOD_FIELDS)}


def read(raw: bytes, options: ParseOptions, fmt: str | None, place: Path) -> tuple[list[JobRecord], set[int], int]:
    """The jobs of a file, the lines of those and of the refusals, and how many rows are no jobs."""
    put(place, raw)
    source = Source(place)
    found, refusals, skipped = taken(list(detect_jobs(source, fmt)(source, options)))
    return found, {one.line for one in found} | {one.line for one in refusals}, skipped


def check_table(raw: bytes, options: ParseOptions, fmt: str | None, place: Path) -> int:
    """Every job stands in the row of its line."""
    try:
        found, told, skipped = read(raw, options, fmt, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    header = min(filled(lines, 1))
    names = [OF_CSV.get(name, name) for name in lines[header].split(",")]
    known = lines[header] in (CSV, CSV_OTHER)
    for job in found:
        assert job.line > header
        rows = list(records(lines, job.line))
        if known:
            said = (dict(zip(names, row, strict=False)) for row in rows if len(row) == len(names))
            assert any(is_row(job, row, options.time_zone, each_node=True) for row in said), job
        else:
            assert any(is_somewhere(job, row, options.time_zone) for row in rows), job
    left = [line for line in filled(lines, header + 1) - told if not goes_on(lines, line, told)]
    assert len(left) <= skipped, left
    return len(found)


def check_list(raw: bytes, options: ParseOptions, fmt: str | None, place: Path) -> int:
    """Every job stands in the row of its line, whose name may go on in the next ones."""
    try:
        found, told, skipped = read(raw, options, fmt, place)
    except UnusableFile:
        return 0
    lines = lines_of(raw)
    heads = {line for line in filled(lines, 1) if is_head(lines[line])}
    for job in found:
        above = max((line for line in heads if line < job.line), default=0)
        first = 0 if fmt else min(heads, default=0)  # what stands above it is read by it too
        named = DECLARED[6:].replace(",", "|") if fmt == DECLARED else "|".join(XDMOD_FIELDS)
        head = lines[above or first] if above or first else named
        rows = list(continued(lines, job.line, head))
        if head in KNOWN:
            assert any(is_row(job, row, options.time_zone, each_node=False) for row in rows), job
        else:
            assert any(is_somewhere(job, list(row.values()), options.time_zone) for row in rows), job
    whole = [
        line for line in filled(lines, 1) - told - heads if lines[line].count("|") in widths_at(lines, heads, line)
    ]
    assert len(whole) <= skipped, whole
    return len(found)


def widths_at(lines: Sequence[str], heads: set[int], line: int) -> set[int]:
    """How many bars a row has at a line, where the headers above it are good ones: under others rows may run on."""
    above = sorted(head for head in heads if head < line)
    return {lines[above[-1]].count("|")} if above and all(lines[head] in KNOWN for head in above) else set()


def is_head(line: str) -> bool:
    """Whether a line may name columns."""
    names = {name.strip().lower().partition("%")[0] for name in line.split(bar_of(line))}
    return bool(names & {"jobid", "jobidraw"}) and "state" in names


def bar_of(head: str) -> str:
    """What divides the names of a header, where it is one text everywhere."""
    between = set(re.findall(r"[^A-Za-z0-9_%-]+", head))
    return between.pop() if len(between) == 1 else "|"


def continued(lines: Sequence[str], line: int, head: str) -> Iterator[dict[str, str]]:
    """The row that begins at a line as one of the ways to read it: its name may hold bars and line ends."""
    bar = bar_of(head)
    names = [name.strip().lower().partition("%")[0] for name in head.split(bar)]
    end = names.pop() if names[-1] == "" else None
    at = names.index("jobname") if "jobname" in names else len(names) - 1
    text = ""
    for following in lines[line : line + NAME_LINES + 1]:
        text = f"{text}\n{following}" if text else following
        cells = (text if end is None else text.removesuffix(bar)).split(bar)
        surplus = len(cells) - len(names)
        if surplus >= 0:
            cells[at : at + surplus + 1] = [bar.join(cells[at : at + surplus + 1])]
            yield dict(zip(names, map(str.strip, cells), strict=True))


# --- Slurm's JSON -------------------------------------------------------------------------------------------------


def wrapped(value: float) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": value}


ACCOUNTED = {
    "job_id": 7, "user": "alice", "account": "phys", "name": "x", "state": {"current": ["COMPLETED"]},
    "nodes": "n[1-2]",
    "time": {"start": 1740830400, "end": 1740834000, "submission": 1740830000, "elapsed": 3600, "suspended": 0},
    "tres": {"allocated": [{"type": "cpu", "name": "", "count": 6}, {"type": "energy", "name": "", "count": 1200}]},
    "steps": [{"tres": {"requested": {"max": [{"type": "mem", "count": 4096}]}}, "tasks": {"count": 2}, "time": {}}],
    "array": {"job_id": 5, "task_id": wrapped(3)}, "association": {"user": "alice", "account": "phys"},
}  # fmt: skip
CONTROLLED = {
    "job_id": 8, "user_name": "bob", "account": "b", "job_state": ["RUNNING"], "nodes": "n3,m1",
    "start_time": wrapped(1740830400), "end_time": wrapped(1740920000), "submit_time": wrapped(1740830399),
    "tres_alloc_str": "cpu=4,gres/gpu=2,mem=1G", "gres_detail": ["gpu:a100:1(IDX:2)", "gpu:a100:1(IDX:0)"],
    "job_resources": {"nodes": {"whole": True, "allocation": [{"name": "n3", "cpus": {"count": 1}}]}},
    "het_job_id": wrapped(8), "het_job_offset": wrapped(1), "time_limit": wrapped(60),
}  # fmt: skip
ENDED = {**ACCOUNTED, "job_id": 9, "array": {}, "state": ["TIMEOUT"], "time": {"start": 1740830400.5, "elapsed": 60}}
DOCUMENTS = [
    {"meta": {"slurm": {"version": "24.05"}}, "jobs": [ACCOUNTED, ENDED], "errors": [], "warnings": [{"error": "x"}]},
    {"jobs": [CONTROLLED, {**CONTROLLED, "job_state": "COMPLETED", "job_id": 10, "het_job_id": wrapped(0)}]},
    [ENDED, ACCOUNTED],
]
DECODER = json.JSONDecoder()


def check_json(raw: bytes, options: ParseOptions, _fmt: str | None, place: Path) -> int:
    """Every job is one of the document's; where it is whole, the one at its place."""
    try:
        found, told, skipped = read(raw, options, "slurm-json", place)
    except UnusableFile:
        return 0
    text = text_of(raw).removeprefix("\ufeff")
    try:
        document = json.loads(text)
        listed = document["jobs"] if isinstance(document, dict) else document
    except (ValueError, KeyError):
        listed = None
    if listed is not None and text.count('"jobs"') <= 1 and not unpacked(raw)[1]:
        assert len(listed) == len(told) + skipped
        assert all(is_job(job, listed[job.line - 1]) for job in found), found
    else:
        inner = list(objects(text))
        assert all(any(is_job(job, one) for one in inner) for job in found), found
    return len(found)


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Every object of a text that is whole."""
    for start in (match.start() for match in re.finditer("{", text)):
        try:
            one, _ = DECODER.raw_decode(text, start)
        except ValueError:
            continue
        yield one


def is_job(job: JobRecord, said: Any) -> bool:
    """Whether an object says a job."""
    if not isinstance(said, dict) or job.raw_id not in of(said, "job_id"):
        return False
    array, het = said.get("array"), said.get("het")
    ids = {str(job.raw_id)}
    ids |= {f"{a}_{t}" for a in of(said, "array_job_id") | of(array, "job_id") for t in tasks_of(said, array)}
    ids |= {f"{h}+{o}" for h in of(said, "het_job_id") | of(het, "job_id")
            for o in of(said, "het_job_offset") | of(het, "job_offset")}  # fmt: skip
    users = [said.get("user"), said.get("user_name"), member(said, "association", "user"), ""]
    numbers = {float(one) for one in leaves(said) if type(one) in (int, float)}
    wall_s = (job.elapsed_s or 0) + job.suspended_s
    counts = {round(one) for one in numbers if abs(one) < 1e30}
    counts |= {int(one) for text in leaves(said) if isinstance(text, str) for one in re.findall(r"\d{1,20}", text)}
    hosts = [share.node for share in job.shares]
    state = said.get("job_state", said.get("state"))
    return (
        job.job_id in ids
        and any(is_word(job.username, one) for one in users if isinstance(one, str))
        and any(is_state(job.state, one) for one in [*leaves(state), ",".join(map(str, leaves(state)))])
        and is_instant(job.submit_ms, numbers)
        and (is_instant(job.start_ms, numbers) or is_instant(job.start_ms, numbers, -wall_s))
        and (is_instant(job.end_ms, numbers) or is_instant(job.end_ms, numbers, wall_s))
        and (not hosts or hosts == hosts_in(said.get("nodes")))
        and (job.cpus is None or job.cpus in counts or job.cpus in {one * 1024 for one in counts})
        and (job.consumed_energy_j is None or job.consumed_energy_j in {*numbers, *map(float, counts)})
    )


def member(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def of(value: object, name: str) -> set[int]:
    """A whole number under a name, plain or wrapped."""
    found = member(value, name)
    plain = member(found, "number") if isinstance(found, dict) else found
    return {int(plain)} if type(plain) in (int, float) and plain == plain // 1 else set()  # type: ignore[operator]


def tasks_of(said: Mapping[str, Any], array: object) -> set[str]:
    named = [said.get("array_task_string"), member(array, "task")]
    one = of(said, "array_task_id") | of(array, "task_id")
    return {str(task) for task in one} | {f"[{text}]" for text in named if isinstance(text, str)}


# --- job folders --------------------------------------------------------------------------------------------------

META: dict[str, Any] = {
    "jobId": 398764, "user": "alice", "project": "physics", "cluster": "fritz", "subCluster": "main",
    "partition": "work", "jobState": "completed", "startTime": 1740830400, "duration": 177, "numHwthreads": 4,
    "walltime": 3600, "arrayJobId": 398000, "numAcc": 2, "exclusive": 1, "metaData": {"jobName": "sim é"},
    "resources": [
        {"hostname": "f0649", "hwthreads": [0, 1], "accelerators": ["00000000:49:00.0"]},
        {"hostname": "f0650", "hwthreads": [0, 1], "accelerators": ["1"]},
    ],
}  # fmt: skip
METAS = [META, {**META, "jobState": "running", "duration": 0, "resources": [{"hostname": "f1"}], "shared": "none"}]


def check_meta(raw: bytes, options: ParseOptions, _fmt: str | None, place: Path) -> int:
    """The job is what its meta.json says."""
    put(place.with_name("meta.json"), raw)
    place.with_name("data.json").touch()
    source = Source(place.with_name("data.json"))
    try:
        found, refusals, skipped = taken(list(JOB_PARSERS["clustercockpit"](source, options)))
    except UnusableFile:
        return 0
    assert (len(found) + len(refusals), skipped) == (1, 0)
    for job in found:
        said = json.loads(raw)
        assert type(said["jobId"]) in (int, str)
        assert job.job_id == str(said["jobId"])
        assert job.raw_id == int(job.job_id)
        assert is_word(job.username, said.get("user") or "")
        assert is_word(job.account, said.get("project") or "")
        assert type(said["startTime"]) in (int, float)
        assert job.start_ms is not None
        assert abs(job.start_ms - said["startTime"] * 1000) <= 1
        duration = said.get("duration") or 0
        assert type(duration) in (int, float)
        assert job.end_ms is None or abs(job.end_ms - job.start_ms - duration * 1000) <= 2
        assert is_state("CANCELLED" if job.state == "CANCELLED" else job.state, said["jobState"]) or (
            job.state == "CANCELLED" and said["jobState"] == "stopped"
        )
        by_host = {one["hostname"]: one for one in said["resources"]}
        assert [share.node for share in job.shares] == list(by_host)
        for share in job.shares:
            threads, gpus = by_host[share.node].get("hwthreads"), by_host[share.node].get("accelerators")
            assert share.cpus is None or (isinstance(threads, list) and share.cpus == len(threads))
            assert share.gpus is None or (isinstance(gpus, list) and share.gpus == len(gpus))
        assert job.cpus is None or job.cpus == said["numHwthreads"]
        assert job.gpus is None or job.gpus == said["numAcc"]
    return len(found)


def texts(good: Sequence[str], fmt: str | None = None) -> Callable[[random.Random], Made]:
    packed = [one.encode() for one in good]
    return lambda draw: (damaged(draw, packed), draw.choice(OPTIONS), fmt)


def meta_of(draw: random.Random) -> Made:
    return replaced(draw, json.dumps(draw.choice(METAS)).encode(), most=12), OPTIONS[0], None


Check = Callable[[bytes, ParseOptions, str | None, Path], int]
CHECKS: dict[str, tuple[Callable[[random.Random], Made], Check]] = {
    "csv": (texts(TABLES), check_table),
    "sacct": (texts(LISTS), check_list),
    "declared": (texts(BARE, DECLARED), check_list),
    "xdmod": (texts(XDMOD, "sacct-xdmod"), check_list),
    "slurm json": (texts([json.dumps(one) for one in DOCUMENTS]), check_json),
    "clustercockpit": (meta_of, check_meta),
}
FAILED: dict[str, list[Made]] = {  # what once crashed a parser, or of which it made another job
    "sacct": [
        (b"JobID|State|Start|End|NodeList|SLUID\n1|CD|1740830400|1740830460|n1|%s\n" % (b"s" * 99), OPTIONS[0], None),
        (b"JobID|State|Start|End|NodeList\n1|CD|1740830400|1740830460|%s\n" % (b"n" * 256), OPTIONS[0], None),
        (b"JobID|State|Start|End|NodeList\n1+99999999999|CD|1740830400|1740830460|n\n", OPTIONS[0], None),
        (b"JobID|State|Start|End|ElapsedRaw|NodeList\n6|F||1740830400|1740830460|n1\n", OPTIONS[0], None),
        (b"JobID|State|Start|End|ElapsedRaw|NodeList\n6|F|1740830400||9999999999|n1\n", OPTIONS[0], None),
        (b"JobID|State|Start|End|NodeList|AllocTRES\n1|CD|1740830400|1740830460|n|cpu=3G\n", OPTIONS[0], None),
    ],
    "csv": [(f"{CSV_OTHER}\nn[1-9],1740830460,1740830400,CD,,,1,2000000000\n".encode(), OPTIONS[0], None)],
    "slurm json": [(json.dumps({"jobs": [{**ACCOUNTED, "time_limit": 2.0**63}]}).encode(), OPTIONS[0], None)],
    "clustercockpit": [
        (json.dumps(META | more).encode(), OPTIONS[0], None)
        for more in (
            {"jobId": 2.5}, {"jobId": True}, {"jobId": "1_0"}, {"startTime": "1740830400"}, {"duration": -5},
            {"user": "\ud800"}, {"metaData": {"jobName": "\0"}}, {"jobState": "odd"}, {"numHwthreads": -1},
            {"resources": [{"hostname": None}]}, {"resources": [{"hostname": "n", "accelerators": "49:00"}]},
        )
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "jobs"


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", CHECKS)
def test_damaged_jobs(name: str, place: Path) -> None:
    make, check = CHECKS[name]
    for made in FAILED.get(name, []):
        check(*made, place)
    each_example(make, lambda made: check(*made, place))


def test_the_jobs_that_are_damaged_are_good(place: Path) -> None:
    options = OPTIONS[1]
    assert [check_table(one.encode(), options, None, place) for one in TABLES] == [3, 3]
    assert [check_list(one.encode(), options, None, place) for one in LISTS] == [3, 2]
    assert [check_list(one.encode(), options, DECLARED, place) for one in BARE] == [3]
    assert [check_list(one.encode(), options, None, place) for one in XDMOD] == [2]
    assert [check_json(json.dumps(one).encode(), options, None, place) for one in DOCUMENTS] == [2, 2, 2]
    assert [check_meta(json.dumps(one).encode(), options, None, place) for one in METAS] == [1, 1]
