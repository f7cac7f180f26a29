"""A site through the real commands: jobs with what they do and draw are written as logs, taken in, attributed.

Times are in steps of a quarter hour since 2025-03-03T00:00Z; the meters, which count joules, are read at each. A node
draws IDLE_W, its two GPUs GPU_IDLE_W each, and what the job that holds it does beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
from django.core.management import call_command
from django.utils import timezone

from measurements.services.rollups import rebuild_rollups

START_S = 1_740_960_000  # 2025-03-03T00:00Z
FIRST = date(2025, 3, 3)
STEP_S = 900
DAY = 96  # steps
IDLE_W, GPU_IDLE_W, GPUS = 100.0, 30.0, 2
GPU_SHARE = 0.8  # of what a job draws beyond idle


@dataclass(frozen=True)
class Work:
    """One job."""

    user: str
    begin: int  # step
    busy: int  # steps from its beginning on
    length: int  # steps
    nodes: tuple[str, ...]
    watts: float = 300.0  # beyond idle, of each node while it is busy
    work: float = 0.0  # 0: none declared
    state: str = "COMPLETED"
    account: str = "physics"
    tags: str = "workload=nnunet phase=inference"

    @property
    def beyond_idle_j(self) -> float:
        """What it draws beyond idle [J]."""
        return self.watts * self.busy * STEP_S * len(self.nodes)


def build(folder: Path, cluster: str, jobs: Iterable[Work], days: int) -> None:
    """Take it all in and book it, on a cluster of this name."""
    done = list(jobs)
    nodes = sorted({node for job in done for node in job.nodes})
    files = {
        "load_nodes": _nodes_csv(nodes),
        "ingest_power": _power_csv(nodes, done, days * DAY),
        "ingest_jobs": _jobs_csv(done),
    }
    for command, text in files.items():
        path = folder / f"{cluster}-{command}.csv"
        path.write_text(text, encoding="utf-8")
        run(command, str(path), cluster)
    run("attribute", None, cluster)
    rebuild_rollups(timezone.now)


def run(command: str, path: str | None, cluster: str) -> str:
    """What a command says."""
    out = StringIO()
    call_command(command, *([path] if path else []), "--cluster", cluster, stdout=out, stderr=StringIO())
    return out.getvalue()


def _nodes_csv(nodes: list[str]) -> str:
    rows = ["node,node_type,cpus,gpus,idle_w,rated_w,gpu_idle_w"]
    for node in nodes:
        gpus = GPUS if node.startswith("g") else 0
        rows.append(f"{node},{node.rstrip('0123456789')},4,{gpus},{IDLE_W:g},400,{GPU_IDLE_W if gpus else ''}")
    return "\n".join(rows) + "\n"


def _watts(nodes: list[str], jobs: list[Work], steps: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Beyond idle, by node and step."""
    found = {node: np.zeros(steps) for node in nodes}
    for job in jobs:
        for node in job.nodes:
            found[node][job.begin : job.begin + job.busy] += job.watts
    return found


def _power_csv(nodes: list[str], jobs: list[Work], steps: int) -> str:
    rows = ["timestamp,node,joules,channel"]
    for node, beyond in _watts(nodes, jobs, steps).items():
        gpus = GPUS if node.startswith("g") else 0
        channels = {"node": beyond + IDLE_W + gpus * GPU_IDLE_W}
        channels |= {f"gpu{gpu}": GPU_IDLE_W + GPU_SHARE * beyond / gpus for gpu in range(gpus)}
        for channel, watts in channels.items():
            joules = np.concatenate([[0.0], np.cumsum(watts * STEP_S)]).tolist()
            rows += [f"{START_S + STEP_S * i},{node},{value:.3f},{channel}" for i, value in enumerate(joules)]
    return "\n".join(rows) + "\n"


def _jobs_csv(jobs: list[Work]) -> str:
    rows = ["job_id,user,account,state,start,end,nodes,submit,name,cpus,gpus,comment"]
    for place, job in enumerate(jobs):
        begin, end = (START_S + STEP_S * step for step in (job.begin, job.begin + job.length))
        gpus = GPUS if job.nodes[0].startswith("g") else ""
        work = f" work={job.work:.6f} queries" if job.work else ""
        comment = f"{job.tags}{work if job.tags else ''}"
        rows.append(
            f'{1000 + place},{job.user},{job.account},{job.state},{begin},{end},"{",".join(job.nodes)}",{START_S},'
            f'job,4,{gpus},"{comment}"'
        )
    return "\n".join(rows) + "\n"
