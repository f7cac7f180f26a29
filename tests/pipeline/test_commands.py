"""The public faces to the letter: what sites script against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.rich_input import write
from tests.pipeline.site import Farm, Site
from tests.pipeline.small import C, jobs, power, record, small_site, steady

INGEST_KEYS = {"batch", "read", "stored", "duplicates", "refused"}
ATTRIBUTE_KEYS = {"metered_j", "jobs_j", "unallocated_j", "covered_s", "off_s", "gap_s", "node_days"}
ENERGY_KEYS = {
    "energy_j",
    "gpu_energy_j",
    "covered_s",
    "elapsed_s",
    "coverage",
    "density",
    "quality",
    "samples",
    "jobs",
    "cpu_hours",
    "node_hours",
    "gpu_hours",
    "emissions_g_co2e",
}
DAY, NEXT = "2026-03-01", "2026-03-02"
SLUID = "s0123456789ABC"
START_MS = 1772359200000  # 2026-03-01T10:00Z


@pytest.fixture(scope="module")
def booked(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two nodes at 100 W for two days; jobs of two people on them, one over midnight."""
    folder = tmp_path_factory.mktemp("booked")
    site = small_site(sqlite_farm, folder)
    readings = [line for day in (DAY, NEXT) for node in ("n1", "n2") for line in steady(day, node, every_minutes=30)]
    site.do(*power(folder / "power.csv", readings, "1800"))
    site.do(
        *jobs(
            folder / "jobs.csv",
            record("5_1", f"{DAY}T10:00:00Z", f"{DAY}T11:00:00Z", "n1"),
            record("5_2", f"{DAY}T11:00:00Z", f"{DAY}T13:00:00Z", "n1"),
            record("8+0", f"{DAY}T10:00:00Z", f"{DAY}T11:00:00Z", "n2", user="bob", account="chemistry"),
            record("8+1", f"{DAY}T11:00:00Z", f"{DAY}T14:00:00Z", "n2", user="bob", account="chemistry"),
            record("12", f"{DAY}T20:00:00Z", f"{NEXT}T02:00:00Z", "n[1-2]", user="bob"),
            record("13", f"{DAY}T09:00:00Z", f"{DAY}T09:00:00Z", "n1", user="bob", state="FAILED"),
        )
    )
    site.do("attribute")
    return site


@pytest.fixture
def site(booked: Site) -> Site:
    """A copy that a test may change."""
    return booked.copy()


def hours_of(site: Site, *what: str) -> float:
    """Energy in hours of 100 W."""
    found = site.json("energy", *what)
    assert found.keys() >= ENERGY_KEYS
    return float(found["energy_j"]) / 360_000


# --- energy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "hours", "count"),
    [
        (("job", "c", "5_1"), 1, 1),
        (("job", "c", "5_*"), 3, 2),
        (("job", "c", "8+1"), 3, 1),
        (("job", "c", "8+*"), 4, 2),
        (("job", "c", "12"), 12, 1),
        (("job", "c", "13"), 0, 1),
        (("user", "alice"), 3, 2),
        (("user", "bob"), 16, 4),
        (("project", "physics"), 15, 4),
        (("project", "chemistry", "--cluster", "c"), 4, 2),
        (("node", "n1"), 9, 4),
        (("node", "n2", "--cluster", "c"), 10, 3),
        (("cluster", "c"), 19, 6),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_the_energy_of(site: Site, what: tuple[str, ...], hours: float, count: int) -> None:
    assert hours_of(site, *what) == pytest.approx(hours, rel=1e-12)
    assert site.json("energy", *what)["jobs"] == count


def test_days_are_half_open_and_utc(site: Site) -> None:
    assert hours_of(site, "job", "c", "12", "--since", NEXT) == pytest.approx(4, rel=1e-12)
    assert hours_of(site, "job", "c", "12", "--until", NEXT) == pytest.approx(8, rel=1e-12)
    assert hours_of(site, "user", "bob", "--since", DAY, "--until", NEXT) == pytest.approx(12, rel=1e-12)
    first = site.json("energy", "cluster", "c", "--since", DAY, "--until", NEXT)
    second = site.json("energy", "cluster", "c", "--since", NEXT, "--until", "2026-03-03")
    assert (first["jobs"], second["jobs"]) == (6, 1)
    assert first["node_hours"] + second["node_hours"] == 19
    assert site.json("energy", "cluster", "c", "--until", DAY)["node_hours"] == 0


def test_a_job_tells_its_runs_and_nodes(site: Site) -> None:
    found = site.json("energy", "job", "c", "12")
    assert [(run["start"], run["end"], run["state"]) for run in found["runs"]] == [
        (f"{DAY}T20:00:00Z", f"{NEXT}T02:00:00Z", "COMPLETED")
    ]
    assert [(node["node"], node["energy_j"]) for node in found["nodes"]] == [("n1", 2_160_000), ("n2", 2_160_000)]
    assert (found["covered_s"], found["elapsed_s"], found["coverage"]) == (43_200, 43_200, 1)
    assert (found["cpu_hours"], found["node_hours"], found["gpu_hours"]) == (96, 12, 0)
    assert found["samples"] == 24
    assert found["quality"] == "metered"


def test_a_job_of_zero_length_counts_and_has_no_coverage(site: Site) -> None:
    found = site.json("energy", "job", "c", "13")
    assert (found["energy_j"], found["coverage"], found["quality"], found["jobs"]) == (0, None, "none", 1)


def test_a_sluid_names_its_job(site: Site, tmp_path: Path) -> None:
    header = "JobID|JobIDRaw|SLUID|User|Account|State|Submit|Start|End|NodeList|NCPUS|JobName"
    row = f"77|77|{SLUID}|alice|physics|COMPLETED|{DAY}T14:00:00|{DAY}T15:00:00|{DAY}T16:00:00|n1|8|a|b"
    (tmp_path / "sacct.txt").write_text(f"{header}\n{row}\n")
    site.do("ingest_jobs", tmp_path / "sacct.txt", *C, "--time-zone", "UTC")
    site.do("attribute")
    assert hours_of(site, "job", "c", SLUID) == hours_of(site, "job", "c", "77") == pytest.approx(1, rel=1e-12)
    assert [row["name"] for row in site.rows("Job") if row["job_id"] == "77"] == ["a|b"]  # surplus bars are the name's


def test_without_json_it_is_a_sentence(site: Site) -> None:
    said = site.do("energy", "job", "c", "5_1")
    assert said.out.startswith("job c 5_1: 0.1 kWh in 1 jobs")


# --- exit codes -------------------------------------------------------------------------------------------------------

UNKNOWN = [
    ("energy", "job", "c", "999"),
    ("energy", "job", "nowhere", "1"),
    ("energy", "user", "nobody"),
    ("energy", "project", "nothing"),
    ("energy", "node", "n99"),
    ("energy", "cluster", "nowhere"),
    ("energy", "user", "alice", "--cluster", "nowhere"),
    ("attribute", "--cluster", "nowhere"),
    ("ingest_power", "power.csv", "--cluster", "nowhere"),
    ("ingest_jobs", "jobs.csv", "--cluster", "nowhere"),
    ("tend", "--cluster", "nowhere"),
    ("seal", "--cluster", "nowhere", "--before", DAY),
]
USAGE = [
    ("energy", "job", "c"),
    ("energy", "user", "a", "b"),
    ("energy", "planet", "earth"),
    ("energy", "user", "alice", "--since", "yesterday"),
    ("energy", "user", "alice", "--since", NEXT, "--until", DAY),
    ("attribute", "--policy", "fair"),
    ("attribute", "--since", "2026-13-01"),
    ("ingest_power", "power.csv"),
    ("ingest_power", "--cluster", "c"),
    ("ingest_power", "power.csv", "--cluster", "c", "--interval", "0"),
    ("ingest_power", "power.csv", "--cluster", "c", "--max-gap", "soon"),
    ("ingest_power", "power.csv", "--cluster", "c", "--time-zone", "Mars/Base"),
    ("ingest_jobs", "jobs.csv", "--cluster", "c", "--nonsense"),
    ("load_nodes", "nodes.csv"),
]


@pytest.mark.parametrize("argv", UNKNOWN, ids=" ".join)
def test_an_unknown_name_is_exit_1_and_nothing_on_stdout(site: Site, argv: tuple[str, ...]) -> None:
    answer = site.manage(*argv, "--json")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.strip()
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("argv", USAGE, ids=" ".join)
def test_a_usage_error_is_exit_2_and_nothing_on_stdout(site: Site, argv: tuple[str, ...]) -> None:
    answer = site.manage(*argv)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.strip()
    assert "Traceback" not in answer.err


def test_known_duplicates_are_usable_and_nothing_dirty_is_success(site: Site, tmp_path: Path) -> None:
    again = site.json(*power(tmp_path / "power.csv", steady(DAY, "n1", every_minutes=30), "1800"))
    assert again.keys() >= INGEST_KEYS
    assert (again["read"], again["stored"], again["duplicates"], again["refused"]) == (48, 0, 48, [])
    done = site.json("attribute")
    assert done.keys() >= ATTRIBUTE_KEYS
    assert done["node_days"] == 0


# --- attribute --------------------------------------------------------------------------------------------------------


def test_attribute_tells_the_whole_cluster_or_the_period(site: Site) -> None:
    whole = site.json("attribute", "--cluster", "c")
    assert whole["jobs_j"] == pytest.approx(19 * 360_000, rel=1e-12)
    assert whole["jobs_j"] + whole["unallocated_j"] == pytest.approx(whole["metered_j"], rel=1e-12)
    day = site.json("attribute", "--cluster", "c", "--since", NEXT, "--until", "2026-03-03")
    assert day["node_days"] == 2
    assert day["metered_j"] == pytest.approx(2 * 23.75 * 360_000, rel=1e-12)  # to 23:30 and half an interval
    assert day["jobs_j"] == pytest.approx(4 * 360_000, rel=1e-12)
    assert day["covered_s"] + day["gap_s"] == 2 * 86_400
    assert site.json("attribute", "--policy", "hybrid")["metered_j"] == whole["metered_j"]


# --- dry run, folders, standard input ---------------------------------------------------------------------------------


def everything(site: Site) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables that input may write."""
    names = ("Batch", "Segment", "Quarantine", "Channel", "ChannelPeriod", "MeterPeriod", "Job", "Run", "Allocation")
    marks = ("DirtyNodeDay", "DirtyJob", "DirtyDay", "PendingCorrection", "Node", "Cluster")
    return site.tables(*names, *marks)


def test_a_dry_run_says_the_same_and_stores_nothing(site: Site, tmp_path: Path) -> None:
    samples = power(tmp_path / "new.csv", [f"{NEXT}T12:10:00Z,n1,300", f"{NEXT}T12:10:00Z,n9,300"])
    gpu = [
        "ingest_power",
        write(tmp_path / "gpu.csv", "timestamp,node,watts,channel", [f"{DAY}T12:00Z,n1,50,gpu0"]),
        *C,
    ]
    more = jobs(tmp_path / "more.csv", record("40", f"{DAY}T01:00:00Z", f"{DAY}T02:00:00Z", "n1"))
    before, files = everything(site), sorted(site.var.rglob("*.parquet"))
    for command in (samples, gpu, more):
        said = site.json(*command, "--dry-run")
        assert said["batch"] is None
        assert (everything(site), sorted(site.var.rglob("*.parquet"))) == (before, files)
        really = site.json(*command)
        same = ("read", "stored", "duplicates", "refused")
        assert [said[name] for name in same] == [really[name] for name in same]
        before = everything(site)
        files = sorted(site.var.rglob("*.parquet"))


def test_a_job_folder_is_taken_by_both(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "4321"
    folder.mkdir()
    meta = {
        "jobId": 4321,
        "user": "alice",
        "project": "physics",
        "cluster": "c",
        "subCluster": "a",
        "partition": "main",
        "numNodes": 1,
        "exclusive": 1,
        "jobState": "completed",
        "startTime": 1772496000,
        "duration": 600,
        "resources": [{"hostname": "n1"}],
    }
    series = [{"hostname": "n1", "data": [300.0] * 11}]
    data = {"cpu_power": {"node": {"unit": {"base": "W"}, "timestep": 60, "series": series}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "data.json").write_text(json.dumps(data))
    assert site.json("ingest_power", folder, *C)["stored"] == 11
    assert site.json("ingest_jobs", folder, *C)["stored"] == 1
    site.do("attribute")
    assert site.json("energy", "job", "c", "4321")["elapsed_s"] == 600


def test_standard_input_is_a_file(site: Site, tmp_path: Path) -> None:
    path = write(tmp_path / "more.csv", "timestamp,node,watts", [f"{NEXT}T12:10:00Z,n1,300"])
    answer = site.do("ingest_power", "-", *C, "--json", stdin=str(path))
    assert answer.json()["stored"] == 1
    assert "standard input: 1 read" in answer.err
    assert list((site.var / "spool").iterdir()) == []


def test_no_progress_bar_in_a_pipe(site: Site, tmp_path: Path) -> None:
    answer = site.do(*power(tmp_path / "more.csv", [f"{NEXT}T12:10:00Z,n1,300"]))
    assert answer.out == ""
    assert "\r" not in answer.err
    assert "%" not in answer.err


def test_another_cluster_in_the_file_is_overruled_with_a_warning(site: Site, tmp_path: Path) -> None:
    header = "JobID|Cluster|User|Account|State|Submit|Start|End|NodeList|JobName"
    row = f"78|elsewhere|alice|physics|COMPLETED|{DAY}T14:00:00|{DAY}T15:00:00|{DAY}T16:00:00|n1|x"
    (tmp_path / "sacct.txt").write_text(f"{header}\n{row}\n")
    said = site.do("ingest_jobs", tmp_path / "sacct.txt", *C, "--time-zone", "UTC", "--json")
    assert said.json()["stored"] == 1
    assert "elsewhere" in said.err
    assert [row["name"] for row in site.rows("Cluster")] == ["c"]
