"""One or two nodes and a few readings, small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.pipeline.rich_input import JOBS_HEADER, write
from tests.pipeline.site import Farm, Site

C = ("--cluster", "c")
Command = list[str | Path]


def small_site(farm: Farm, folder: Path, nodes: str = "n1,a,8\nn2,a,8\n") -> Site:
    """A cluster c of nodes of 8 cores."""
    path = folder / "nodes.csv"
    path.write_text(f"node,node_type,cpus\n{nodes}", encoding="utf-8")
    site = farm.new()
    site.do("load_nodes", path, *C)
    return site


def power(path: Path, readings: Sequence[str], interval: str = "60") -> Command:
    """The command that takes readings given as ``2026-03-01T12:00Z,n1,100``."""
    return ["ingest_power", write(path, "timestamp,node,watts", list(readings)), *C, "--interval", interval]


def steady(day: str, node: str = "n1", watts: int = 100, every_minutes: int = 60) -> list[str]:
    """A reading of the same power every so often, all day."""
    minutes = range(0, 1440, every_minutes)
    return [f"{day}T{m // 60:02d}:{m % 60:02d}:00Z,{node},{watts}" for m in minutes]


def jobs(path: Path, *records: str) -> Command:
    """The command that takes job records."""
    return ["ingest_jobs", write(path, JOBS_HEADER, list(records)), *C]


def record(
    job_id: str,
    start: str,
    end: str,
    nodes: str = "n1",
    *,
    user: str = "alice",
    account: str = "physics",
    cpus: str = "",
    state: str = "",
) -> str:
    """A job record; submitted in February, so that a corrected one is known again."""
    shown = state or ("COMPLETED" if end else "RUNNING")
    quoted = f'"{nodes}"' if "," in nodes else nodes
    return f"{job_id},{user},{account},{shown},{start},{end},{quoted},2026-02-28T00:00:00Z,main,train,{cpus},,,,"
