"""Four days of a small machine with gaps, times off and meters above: what is shown is worked out here by hand.

2025-03-28 to 31 UTC, over the change of the clock in Berlin, samples each 5 minutes. a1 draws 200 W, and its BMC is
dead on the 29th from 06:00 to 18:00. a2 draws 100 W and is switched off on the 30th from 00:00 to 12:00. b1 draws
400 W, gpu0 100 W of them. hall (1000 W) stands above all of them and above cool (150 W).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from measurements.models import Node, NodeState
from tests.portal.world import run

CLUSTER = "alpha"
NOW = datetime(2025, 4, 10, tzinfo=UTC)
START_S = 1_743_120_000  # 2025-03-28T00:00Z
DAY_S, HOUR_S, STEP_S, HALF_S = 86_400, 3_600, 300, 150
END_S = START_S + 4 * DAY_S
WATTS = {"a1": 200.0, "a2": 100.0, "b1": 400.0}
SILENT = {
    "a1": (START_S + DAY_S + 6 * HOUR_S, START_S + DAY_S + 18 * HOUR_S),
    "a2": (START_S + 2 * DAY_S, START_S + 2 * DAY_S + 12 * HOUR_S),
}
ABOVE = {"hall": 1000.0, "cool": 150.0}
NODES = """node,node_type,cpus,gpus,idle_w,rated_w,level,parent
hall,site,,,,,facility,
cool,site,,,,,infrastructure,hall
a1,thin,4,0,50,300,node,hall
a2,thin,4,0,50,300,node,hall
b1,fat,8,1,90,500,node,hall
"""
# job, user, from [s], until [s], node, name, cpus
JOBS = [
    ("770001", "alice", START_S + 10 * HOUR_S, START_S + 34 * HOUR_S, "a1", "alices run", 4),
    ("770002", "zelda", START_S + 48 * HOUR_S, START_S + 54 * HOUR_S, "b1", "secret-<i>plan", 4),
    ("770003", "alice", START_S + 51 * HOUR_S, START_S + 57 * HOUR_S, "b1", "alices half", 4),
]
SECRETS = ("770002", "zelda", "secret-")


def spans(node: str) -> list[tuple[int, int]]:
    """The times in which a node is covered: its samples hold for half an interval at the ends of a stretch."""
    if node not in SILENT:
        return [(START_S - HALF_S, END_S + HALF_S)]
    begin, end = SILENT[node]
    return [(START_S - HALF_S, begin + HALF_S), (end - HALF_S, END_S + HALF_S)]


def covered_s(node: str, start_s: int, end_s: int) -> int:
    """How much of [start, end) is covered."""
    return sum(max(min(end, end_s) - max(begin, start_s), 0) for begin, end in spans(node))


def metered_j(start_s: int, end_s: int) -> float:
    """What the nodes' meters show in [start, end)."""
    return sum(watts * covered_s(node, start_s, end_s) for node, watts in WATTS.items())


def held_j(start_s: int, end_s: int) -> float:
    """What jobs had of it: b1's halves add up to what its held cores and the rest draw."""
    total = 0.0
    for _job, _user, begin, end, node, _name, cpus in JOBS:
        share = 1.0 if node == "a1" else cpus / 8 * 300 / 400  # gpu0 of b1 is nobody's
        total += WATTS[node] * share * covered_s(node, max(begin, start_s), max(min(end, end_s), max(begin, start_s)))
    return total


def build(folder: Path) -> None:
    """Ingest and book it all."""
    lines = ["timestamp,node,watts,channel"]
    for t in range(START_S, END_S + 1, STEP_S):
        for node, watts in (WATTS | ABOVE).items():
            begin, end = SILENT.get(node, (0, 0))
            if not begin < t < end:
                lines.append(f"{t},{node},{watts},node")
        lines.append(f"{t},b1,100,gpu0")
    jobs = ["job_id,user,account,state,start,end,nodes,submit,name,cpus"]
    for job, user, begin, end, node, name, cpus in JOBS:
        jobs.append(f'{job},{user},physics,COMPLETED,{begin},{end},{node},{begin},"{name}",{cpus}')
    files = {"nodes.csv": NODES, "power.csv": "\n".join(lines) + "\n", "jobs.csv": "\n".join(jobs) + "\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    run("load_nodes", folder / "nodes.csv")
    _states()
    run("ingest_power", folder / "power.csv")
    run("ingest_jobs", folder / "jobs.csv")
    run("attribute")


def _states() -> None:
    """As sacctmgr would say it: a2 is switched off, a1 only drained."""
    said = {"a1": ("DRAIN", "on", "BMC does not answer"), "a2": ("POWERED_DOWN", "off", "power saving")}
    for name, (state, power, reason) in said.items():
        begin, end = (at * 1000 for at in SILENT[name])
        node = Node.objects.get(name=name)
        NodeState.objects.create(node=node, start_ms=begin, end_ms=end, state=state, power=power, reason=reason)
