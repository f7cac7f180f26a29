"""A small cluster on one day, through the real commands: what the pages show is worked out here by hand.

2025-03-10, samples each minute. thin1 draws 100 W, thin2 200 W, but thin1 is silent from 01:20 to 01:40. mixed1
draws 500 W with its GPUs, gpu0 150 W of them and gpu1 100 W. dark1 has no meter. The rated power is 300 W of a thin
node, 600 W of dark1, and not known of mixed1.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from django.core.management import call_command

CLUSTER = "alpha"
DAY = "2025-03-10"
DAY_S = 1_741_564_800  # 2025-03-10T00:00Z
PERIOD = f"first={DAY}&last={DAY}"
HOUR = 3_600

NODES = """node,node_type,cpus,gpus,idle_w,rated_w
thin1,thin,4,0,50,300
thin2,thin,4,0,50,300
mixed1,mixed,8,2,90,
dark1,dark,4,0,50,600
"""

# job, user, account, state, from [s], until [s], nodes, submit, name, cpus, gpus, gpu indices
JOBS = [
    # thin1: 60 - 20 min at 100 W, each end of the gap held for 30 s more; thin2: 60 min at 200 W.
    ("123", "alice", "physics", "COMPLETED", 1 * HOUR, 2 * HOUR, "thin[1-2]", "wide", "4", "", ""),
    # Half the cores of mixed1 and gpu0: (500 - 250) × 4 ÷ 8 + 150 = 275 W for an hour; bob has the other half.
    ("36_1", "alice", "physics", "COMPLETED", 3 * HOUR, 4 * HOUR, "mixed1", "train", "4", "1", "0"),
    ("36_2", "bob", "physics", "COMPLETED", 3 * HOUR, 4 * HOUR, "mixed1", "train", "4", "1", "1"),
    ("93+1", "alice", "physics", "COMPLETED", 5 * HOUR, 6 * HOUR, "dark1", "unmetered", "4", "", ""),
    ("200", "alice", "physics", "FAILED", 7 * HOUR, 7 * HOUR, "thin1", "no time", "4", "", ""),
    ("201", "alice", "physics", "COMPLETED", 8 * HOUR, 9 * HOUR, "thin9", "elsewhere", "4", "", ""),
    ("202", "alice", "physics", "PENDING", None, None, "", "waits", "4", "", ""),
    ("300", "bob", "physics", "COMPLETED", 10 * HOUR, 11 * HOUR, "thin2", "bob's <b>own</b>", "4", "", ""),
]
WIDE_J = 100.0 * (HOUR - 19 * 60) + 200.0 * HOUR  # of the 20 minutes of silence one is held
TRAIN_J = 275.0 * HOUR
BOBS_J = 200.0 * HOUR


def power_csv() -> str:
    """Half a day of samples."""
    lines = ["timestamp,node,watts,channel"]
    for minute in range(12 * 60 + 1):
        t = DAY_S + 60 * minute
        if not 80 < minute < 100:
            lines.append(f"{t},thin1,100,node")
        lines += [f"{t},thin2,200,node", f"{t},mixed1,500,node", f"{t},mixed1,150,gpu0", f"{t},mixed1,100,gpu1"]
    return "\n".join(lines) + "\n"


def jobs_csv() -> str:
    """The plain form, times as epoch seconds."""
    rows = ["job_id,user,account,state,start,end,nodes,submit,name,cpus,gpus,gpu_indices"]
    for job, user, account, state, start, end, nodes, name, cpus, gpus, indices in JOBS:
        begin, finish = ("" if at is None else str(DAY_S + at) for at in (start, end))
        held = f"{cpus},{gpus},{indices}"
        rows.append(f'{job},{user},{account},{state},{begin},{finish},"{nodes}",{DAY_S},"{name}",{held}')
    return "\n".join(rows) + "\n"


def build(folder: Path) -> None:
    """Ingest and book it all."""
    files = {"nodes.csv": NODES, "power.csv": power_csv(), "jobs.csv": jobs_csv()}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    run("load_nodes", folder / "nodes.csv")
    run("ingest_power", folder / "power.csv")
    run("ingest_jobs", folder / "jobs.csv")
    run("attribute")


def run(command: str, *paths: Path) -> str:
    """What a command says on stdout."""
    out = StringIO()
    call_command(command, *map(str, paths), "--cluster", CLUSTER, stdout=out, stderr=StringIO())
    return out.getvalue()
