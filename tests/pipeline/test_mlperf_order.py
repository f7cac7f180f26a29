"""The nine open MLPerf inference runs as jobs: the workload page's order by energy per query is the published one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from measurements.domain.workload_figures import FEWEST_RANKED

SINGLE_STREAM = "singlestream"  # publishes mJ per query; the others W and queries per second
QUERIES = "queries"


@dataclass(frozen=True)
class Run:
    """A published result, and how it is declared as a job."""

    folder: Path
    system: str
    workload: str
    target: str
    scenario: str
    official: dict[str, Any]
    window: dict[str, Any]
    queries: int  # of the load generator's log; of an offline run it counts one

    @property
    def node_type(self) -> str:
        """The system's name without what is in parentheses."""
        return self.system.split("(")[0].strip().replace(" ", "-").lower()

    @property
    def node(self) -> str:
        """A node of its own for each run."""
        return self.folder.name.replace(".", "-").replace("_", "-").lower()

    @property
    def work(self) -> int:
        """Queries: as counted, or throughput × window."""
        return self.queries if self.queries > 1 else round(self.official["performance_result"] * self.window["seconds"])

    @property
    def per_query_j(self) -> float:
        """From the published figures alone."""
        if self.scenario == SINGLE_STREAM:
            return float(self.official["value"]) / 1000
        if self.queries > 1:
            return float(self.official["value"]) * float(self.window["seconds"]) / self.queries
        return float(self.official["value"]) / float(self.official["performance_result"])


def read(folder: Path) -> Run:
    """Benchmark names like bert-99.9 have the target in them."""
    said = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    *_, benchmark, scenario = folder.name.split("_")
    name, dash, target = benchmark.rpartition("-99")
    workload = name if dash else benchmark
    target = f"99{target}" if dash else ""
    official, counts = said["official"], said["counts"]
    return Run(
        folder, official["system_name"], workload, target, scenario, official, said["window"],
        counts["result_query_count"],
    )  # fmt: skip


@pytest.fixture
def runs(shared_data: Path, tmp_path: Path, db: None) -> list[Run]:
    """All of them, through the public commands."""
    found = [read(folder) for folder in sorted((shared_data / "mlperf_inference").glob("v*"))]
    assert len(found) == 9
    assert len({run.node_type for run in found}) == 7
    nodes = ["node,node_type", *(f"{run.node},{run.node_type}" for run in found)]
    (tmp_path / "nodes.csv").write_text("\n".join(nodes), encoding="utf-8")
    jobs = ["job_id,user,account,state,start,end,nodes,exclusive,comment"]
    for number, run in enumerate(found, 1):
        times = f"{run.window['begin_utc']},{run.window['end_utc']}"
        target = f" target={run.target}" if run.target else ""
        said = f"workload={run.workload} phase=inference scenario={run.scenario}{target} work={run.work} {QUERIES}"
        jobs.append(f"{number},bench,mlperf,COMPLETED,{times},{run.node},true,{said}")
    (tmp_path / "jobs.csv").write_text("\n".join(jobs), encoding="utf-8")
    call_command("load_nodes", str(tmp_path / "nodes.csv"), "--cluster", "mlperf", verbosity=0)
    for run in found:
        log = str(run.folder / "spl.txt")
        call_command("ingest_power", log, "--cluster", "mlperf", "--node", run.node, "--time-zone", "UTC", verbosity=0)
    call_command("ingest_jobs", str(tmp_path / "jobs.csv"), "--cluster", "mlperf", verbosity=0)
    call_command("attribute", verbosity=0)
    return found


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("operator"))
    return client


def comparisons(client: Client, workload: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(client.get(f"/api/v1/workloads/{workload}").content)["comparisons"]
    return found


def published_order(runs: list[Run]) -> list[str]:
    return [run.node_type for run in sorted(runs, key=lambda run: run.per_query_j)]


def test_the_order_by_energy_per_query_is_that_of_the_published_results(runs: list[Run], operator: Client) -> None:
    compared = 0
    for workload in sorted({run.workload for run in runs}):
        for one in comparisons(operator, workload):
            cell = (workload, one["size"], one["target"])
            alike = [run for run in runs if (run.workload, run.scenario, run.target) == cell]
            assert [row["node_type"] for row in one["node_types"]] == published_order(alike), cell
            expected = sorted(run.per_query_j for run in alike)
            measured = [row["energy_per_unit_j"]["median"] for row in one["node_types"]]
            assert measured == pytest.approx(expected, rel=1e-3)
            assert (one["unit"], one["phase"]) == (QUERIES, "inference")
            compared += len(alike)
    assert compared == 9


def test_over_all_scenarios_and_targets_of_a_workload_the_page_has_the_same_order(
    runs: list[Run], operator: Client
) -> None:
    for workload in sorted({run.workload for run in runs}):
        page = operator.get(f"/workloads/{workload}/?view=together")
        (table,) = page.context["tables"]
        shown = [(row["of"].node_type, row["size"]) for row in table["rows"]]
        alike = sorted((run for run in runs if run.workload == workload), key=lambda run: run.per_query_j)
        assert shown == [(run.node_type, run.scenario) for run in alike]
        content = page.content.decode()
        places = [content.index(f'<th scope="row">{name}</th>') for name, _ in dict.fromkeys(shown)]
        assert places == sorted(places)
        assert "not ranked" in content


def test_single_runs_prove_nothing_and_the_page_says_so(runs: list[Run], operator: Client) -> None:
    for one in comparisons(operator, "resnet50"):
        assert not one["ranked"]
        assert all(row["rank"] is None and row["ties"] == [] for row in one["node_types"])
        assert all(row["energy_per_unit_j"]["median_interval"] is None for row in one["node_types"])
    page = operator.get("/workloads/resnet50/?size=offline").content.decode()
    assert f"Not ranked: fewer than {FEWEST_RANKED} jobs" in page
    assert "Of one job there is no interval, and nothing is proven" in page
    offline = [run for run in runs if (run.workload, run.scenario) == ("resnet50", "offline")]
    ordered = published_order(offline)
    assert len(ordered) == 3
    places = [page.index(f'<th scope="row">{name}</th>') for name in ordered]
    assert all(before < after for before, after in pairwise(places))
