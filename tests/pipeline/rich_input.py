"""A small cluster with a bit of everything, two days around midnight: written as the files an operator would have.

n1 gauge, shared; n2 gauge with two GPUs; n3 counters (package and DRAM) that wrap; n4 one whole-node counter; n5 a
slow gauge; n6 without a meter; n7 that is described late. Powers are seeded random numbers in mW, so that sums round.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NODES = """node,node_type,cpus,gpus,idle_w,rated_w,ceiling_w
n1,cpu,64,,120,350,900
n2,gpu,32,2,150,400,2500
n3,cpu,64,,110,350,900
n4,cpu,64,,110,350,900
n5,old,16,,80,200,500
n6,old,16,,80,200,500
"""
LATE_NODE = "node,node_type,cpus\nn7,old,16\n"
MIDNIGHT = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
FIRST, LAST = MIDNIGHT - 4 * 3600, MIDNIGHT + 4 * 3600
WRAP_J = 262_143.328  # of n3's counters
POWER_HEADER = "timestamp,node,watts,channel"
COUNTER_HEADER = "timestamp,node,joules,channel"
JOBS_HEADER = (
    "job_id,user,account,state,start,end,nodes,submit,partition,name,cpus,gpus,gpu_indices,exclusive,total_cpu_s"
)
COUNTER_OPTIONS = ("--wrap-joules", str(WRAP_J))

Row = tuple[int, str, str, str]  # second, node, value, channel


@dataclass(frozen=True, slots=True)
class Input:
    """The samples that stand in the end, and the job records."""

    gauges: list[Row]
    counters: list[Row]
    jobs: list[str]


def iso(second: float) -> str:
    """An instant as an operator writes it."""
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lines(rows: Iterable[Row]) -> list[str]:
    """As CSV, without the header."""
    return [f"{iso(second)},{node},{value},{channel}" for second, node, value, channel in rows]


def write(path: Path, header: str, body: Sequence[str]) -> Path:
    """A CSV file."""
    path.write_text("\n".join([header, *body]) + "\n", encoding="utf-8")
    return path


def rich_input() -> Input:
    """The same each time."""
    draw = random.Random(20260302)
    gauges: list[Row] = []
    every = (("n1", "node", 60, 130, 600), ("n2", "node", 60, 400, 1800), ("n5", "node", 600, 80, 300))
    for node, channel, step, low, high in (*every, ("n2", "gpu0", 60, 30, 350), ("n2", "gpu1", 60, 30, 350)):
        for second in range(FIRST, LAST, step):
            missing = channel == "node" and node == "n1" and 0 <= second - (MIDNIGHT - 7200) < 900
            if not missing and draw.random() > 0.02:
                gauges.append((second, node, f"{draw.uniform(low, high):.3f}", channel))
    gauges += [(second, "n7", f"{draw.uniform(90, 200):.3f}", "node") for second in range(FIRST, MIDNIGHT, 300)]
    gauges.sort()
    counters: list[Row] = []
    for node, channel, low, high in (("n3", "cpu0", 60, 240), ("n3", "dram0", 10, 40), ("n4", "node", 120, 500)):
        total = draw.uniform(0, 100_000)
        for second in range(FIRST, LAST, 120):
            total += draw.uniform(low, high) * 120
            shown = total % WRAP_J if node == "n3" else total
            if draw.random() > 0.02:
                counters.append((second, node, f"{shown:.6f}", channel))
    counters.sort()
    return Input(gauges, counters, _jobs(draw))


def job(
    job_id: str,
    user: str,
    start: float,
    end: float | None,
    nodes: str,
    *,
    account: str = "physics",
    state: str = "COMPLETED",
    submit: float | None = None,
    cpus: int | str = "",
    gpus: int | str = "",
    indices: str = "",
    exclusive: str = "",
    cpu_s: float | str = "",
) -> str:
    """One line of the plain jobs CSV; start and end are seconds after midnight."""
    begin, finish = iso(MIDNIGHT + start), "" if end is None else iso(MIDNIGHT + end)
    given = iso(MIDNIGHT + (start - 600 if submit is None else submit))
    quoted = f'"{nodes}"' if "," in nodes else nodes
    return (
        f"{job_id},{user},{account},{state},{begin},{finish},{quoted},{given},main,train,"
        f"{cpus},{gpus},{indices},{exclusive},{cpu_s}"
    )


def _jobs(draw: random.Random) -> list[str]:
    """Shared, exclusive, over midnight, with GPUs, running, requeued, of zero length, of an array, on odd nodes."""
    found = [
        job("1", "alice", -9000, 5000, "n1", cpus=16, cpu_s=120_000.5),
        job("2", "bob", -6000.25, 3600.125, "n1", cpus=24, cpu_s=90_000),
        job("3", "alice", -12000, -60, "n[1-2]", cpus=7, gpus=1),
        job("4", "bob", -3000, 9000, "n2", account="chemistry", cpus=8, gpus=1, indices="0"),
        job("5_1", "charlie", -8000, -2000, "n3", exclusive="true"),
        job("5_2", "charlie", -2000, 7000, "n3", exclusive="true"),
        job("8+0", "alice", -4000, 4000, "n4", account="biology", cpus=20),
        job("8+1", "alice", -4000, 4000, "n5", account="biology", cpus=5),
        job("9", "bob", -10000, 10000, "n6", account="chemistry", cpus=4),
        job("10", "charlie", -7000, -5000, "n7", cpus=4),
        job("11", "alice", -1000, -1000, "n1", state="FAILED", cpus=4),
        job("12", "bob", 1000, None, "n5", state="RUNNING", cpus=3),
        job("13", "alice", -5000, -4000, "n4", state="NODE_FAIL", submit=-6000, cpus=4),
        job("13", "alice", -3500, 500, "n4", submit=-3900, cpus=4),
        job("14", "bob", 5000, 12000, "n[1-4]", cpus=9),
    ]
    # Many at the same time on one node: their order may not matter.
    crowd = [("bob", "alice", "charlie")[i % 3] for i in range(9)]
    found += [job(str(100 + i), user, -2500, 2500, "n5", cpus=1 + i % 3) for i, user in enumerate(crowd)]
    for number in range(200, 225):  # small ones, with milliseconds
        start = draw.randrange(FIRST * 1000, LAST * 1000 - 2_000_000) / 1000 - MIDNIGHT
        length = draw.randrange(1, 1_800_000) / 1000
        node, user = draw.choice(("n1", "n2", "n4")), draw.choice(("alice", "bob", "charlie"))
        found.append(job(str(number), user, start, start + length, node, cpus=draw.randrange(1, 9)))
    return found


def write_history(folder: Path) -> list[list[str | Path]]:
    """The files of a history with overlaps, duplicates, late and refused samples and corrected jobs; its commands."""
    whole = rich_input()
    draw = random.Random(7)
    early = [row for row in whole.gauges if row[0] < MIDNIGHT + 1800 and row[1] != "n7"]
    late = [row for row in early if draw.random() < 0.15]
    kept = sorted(set(early) - set(late))
    wrong = [(t, node, f"{float(value) + 1:.3f}", channel) for t, node, value, channel in kept[300:420]]
    doubled = [(t, node, f"{float(value) - 2:.3f}", channel) for t, node, value, channel in kept[500:540]]
    refused: list[Row] = [(MIDNIGHT + i, "n1", value, "node") for i, value in enumerate(("0", "-3", "4294967295"))]
    first = [row for row in kept if row not in set(kept[300:420])]
    rest = [row for row in whole.gauges if row[0] >= MIDNIGHT + 1800]
    old_jobs = [line.replace("COMPLETED", "RUNNING", 1) for line in whole.jobs[:2]]
    moved = job("3", "alice", -11000, -600, "n[1-3]", cpus=7, gpus=1, submit=-12600)
    moved_again = whole.jobs[2]
    files: list[tuple[str, str, list[str], tuple[str, ...]]] = [
        ("p1.csv", POWER_HEADER, lines(sorted(first + wrong)), ()),
        ("p2.csv", POWER_HEADER, lines([*kept[300:420], *kept[500:540], *doubled, *refused]), ()),
        ("p3.csv", COUNTER_HEADER, lines(whole.counters[:400]), COUNTER_OPTIONS),
        ("p4.csv", COUNTER_HEADER, lines(whole.counters[380:]), COUNTER_OPTIONS),
        ("p5.csv", POWER_HEADER, lines([row for row in whole.gauges if row[1] == "n7"]), ()),
        ("p6.csv", POWER_HEADER, lines(rest), ()),
        ("p7.csv", POWER_HEADER, lines(late), ()),
    ]
    commands: list[list[str | Path]] = [
        ["ingest_power", write(folder / name, header, body), "--cluster", "c", *options]
        for name, header, body, options in files
    ]
    jobs = [
        write(folder / "j1.csv", JOBS_HEADER, [*old_jobs, moved, *whole.jobs[3:30]]),
        write(folder / "j2.csv", JOBS_HEADER, [*whole.jobs[:2], moved_again, *whole.jobs[25:]]),
    ]
    return [
        *commands[:4],
        ["ingest_jobs", jobs[0], "--cluster", "c"],
        *commands[4:],
        ["ingest_jobs", jobs[1], "--cluster", "c"],
    ]


def write_nodes(folder: Path) -> list[list[str | Path]]:
    """The description of the machine; its commands."""
    (folder / "nodes.csv").write_text(NODES, encoding="utf-8")
    (folder / "late.csv").write_text(LATE_NODE, encoding="utf-8")
    return [["load_nodes", folder / name, "--cluster", "c"] for name in ("nodes.csv", "late.csv")]


def split(rows: Sequence[Row], parts: int, key: Callable[[Row], int]) -> list[list[Row]]:
    """Rows dealt out to some parts."""
    found: list[list[Row]] = [[] for _ in range(parts)]
    for row in rows:
        found[key(row) % parts].append(row)
    return found
