"""Real logs with official figures, through the real commands."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from measurements.domain.hostlist import expand
from tests.pipeline.rich_input import write
from tests.pipeline.site import Farm, Site

J_PER_KWH = 3_600_000.0
RUNS = (
    "v2.0_Fujitsu_GX2570M6_A100-SXM4-40GBx8_bert-99_offline",
    "v2.0_NVIDIA_Xavier_NX_3d-unet-99_offline",
    "v2.1_Dell_XE8545_A100_SXM_80GBx4_bert-99.9_server",
    "v3.0_Dell_r7515_q4_pro_resnet50_offline",
    "v3.0_NVIDIA_H100-PCIe-80GBx8_bert-99_server",
    "v3.0_NVIDIA_H100-PCIe-80GBx8_resnet50_offline",
    "v3.0_NVIDIA_Orin_resnet50_singlestream",
    "v3.0_Qualcomm_g292_z43_q16e_bert-99_offline",
    "v3.0_Qualcomm_g292_z43_q16e_resnet50_offline",
)


def described(farm: Farm, folder: Path, cluster: str, nodes: list[str]) -> Site:
    """A site with a cluster of some nodes of which nothing is known."""
    site = farm.new()
    (folder / "nodes.csv").write_text("node,node_type\n" + "".join(f"{node},a\n" for node in nodes))
    site.do("load_nodes", folder / "nodes.csv", "--cluster", cluster)
    return site


# --- MLPerf: energy of a window of an analyser's log ------------------------------------------------------------------


def readings(log: Path) -> tuple[np.ndarray, np.ndarray]:
    """Instants [s] and powers [W] of a PTDaemon log, read without the code under test.

    Of a double the larger counts; -2 W is the analyser's word for a failed reading.
    """
    found: dict[float, float] = {}
    for line in log.read_text().splitlines():
        cells = line.split(",")
        instant = datetime.strptime(cells[1], "%m-%d-%Y %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
        if float(cells[3]) <= 0:
            continue
        found[instant] = max(float(cells[3]), found.get(instant, 0.0))
    ordered = sorted(found)
    return np.array(ordered), np.array([found[t] for t in ordered])


def clipped_trapezoid(t: np.ndarray, watts: np.ndarray, start: float, end: float) -> float:
    """Energy [J] between two instants of a log without gaps."""
    inside = (t > start) & (t < end)
    grid = np.concatenate(([start], t[inside], [end]))
    power = np.interp(grid, t, watts)
    return float(np.sum((power[1:] + power[:-1]) / 2 * np.diff(grid)))


@pytest.mark.parametrize("name", RUNS)
def test_an_mlperf_run_is_within_a_thousandth_of_its_official_energy(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path, name: str
) -> None:
    folder = shared_data / "mlperf_inference" / name
    expected = json.loads((folder / "expected.json").read_text())
    begin, end = expected["window"]["begin_utc"], expected["window"]["end_utc"]
    site = described(sqlite_farm, tmp_path, "lab", ["sut"])
    taken = site.json("ingest_power", folder / "spl.txt", "--cluster", "lab", "--node", "sut", "--time-zone", "UTC")
    assert taken["read"] == expected["counts"]["lines_in_spl"]
    header = "job_id,user,account,state,start,end,nodes"
    job = write(tmp_path / "job.csv", header, [f"1,alice,mlperf,COMPLETED,{begin},{end},sut"])
    site.do("ingest_jobs", job, "--cluster", "lab")
    site.do("attribute")
    found = site.json("energy", "job", "lab", "1")
    assert found["energy_j"] == pytest.approx(expected["official"]["energy_J_implied"], rel=1e-3)
    assert found["coverage"] == 1
    window = [datetime.fromisoformat(text).timestamp() for text in (begin, end)]
    t, watts = readings(folder / "spl.txt")
    assert found["energy_j"] == pytest.approx(clipped_trapezoid(t, watts, *window), rel=1e-9)
    whole = site.json("energy", "node", "sut")["metered_j"]
    assert whole > found["energy_j"]
    assert found["elapsed_s"] == pytest.approx(expected["window"]["seconds"], abs=1e-9)


def test_all_nine_runs_are_there(shared_data: Path) -> None:
    present = {path.name for path in (shared_data / "mlperf_inference").iterdir() if path.is_dir()}
    assert present == set(RUNS)


# --- Emmy: 32 nodes for a day, 9 % of the samples missing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kwh", "coverage"),
    [((), 175.190058, 0.999320), (("--max-gap", "60"), 159.193622, 0.907853)],
    ids=["default rules", "max gap 60 s"],
)
def test_emmy(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path, options: tuple[str, ...], kwh: float, coverage: float
) -> None:
    folder = shared_data / "job_archive" / "emmy_1403244"
    meta = json.loads((folder / "meta.json").read_text())
    site = described(sqlite_farm, tmp_path, "emmy", [row["hostname"] for row in meta["resources"]])
    taken = site.json("ingest_power", folder, "--cluster", "emmy", *options)
    assert [(row["reason"], row["count"]) for row in taken["refused"]] == [("zero watts", 1)]
    site.do("ingest_jobs", folder, "--cluster", "emmy")
    site.do("attribute")
    found = site.json("energy", "job", "emmy", "1403244")
    assert found["energy_j"] / J_PER_KWH == pytest.approx(kwh, abs=1e-6)
    assert found["coverage"] == pytest.approx(coverage, abs=1e-6)
    assert len(found["nodes"]) == 32
    assert found["elapsed_s"] == 32 * meta["duration"]


# --- phillips: 4046 jobs, as XDMoD counts them ------------------------------------------------------------------------

FIRST_DAY = date(2016, 12, 22)
CPU_HOURS = (200.9567, 288, 288, 288, 288, 531.1822, 1824, 1824, 1920.5911, 2541.9711, 1773.2872)
PRINTED = 5.1e-5  # the official figures have four decimals


@pytest.fixture(scope="module")
def phillips(sqlite_farm: Farm, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All jobs booked; each node that a job ran on draws 1 W all the time."""
    folder = tmp_path_factory.mktemp("phillips")
    log = shared_data / "slurm_accounting" / "xdmod_phillips" / "phillips.log"
    lists = {line.split("|", 25)[24] for line in log.read_text().splitlines()} - {"None assigned"}
    nodes = sorted({node for text in lists for node in expand(text)})
    site = described(sqlite_farm, folder, "phillips", nodes)
    start = int(datetime(2016, 12, 22, tzinfo=UTC).timestamp())
    instants = range(start, start + 11 * 86_400 + 1, 600)
    with (folder / "power.csv").open("w") as file:
        file.write("timestamp,node,watts\n")
        for node in nodes:
            file.writelines(f"{t},{node},1\n" for t in instants)
    site.do("ingest_power", folder / "power.csv", "--cluster", "phillips", "--interval", "600")
    taken = site.json("ingest_jobs", log, "--cluster", "phillips", "--format", "sacct-xdmod", "--time-zone", "UTC")
    assert taken["read"] == 4285
    site.do("attribute", "--cluster", "phillips")
    return site


def test_phillips_in_all(phillips: Site) -> None:
    found = phillips.json("energy", "cluster", "phillips")
    assert found["jobs"] == 4046
    assert found["cpu_hours"] == pytest.approx(11767.9883, abs=PRINTED)
    assert found["wall_hours"] == pytest.approx(438.8203, abs=PRINTED)
    assert found["node_hours"] == pytest.approx(1344.8686, abs=PRINTED)
    assert found["gpu_hours"] == pytest.approx(506.9128, abs=PRINTED)


def test_phillips_by_utc_day(phillips: Site) -> None:
    for i, hours in enumerate(CPU_HOURS):
        day = FIRST_DAY + timedelta(days=i)
        period = ("--since", day.isoformat(), "--until", (day + timedelta(days=1)).isoformat())
        assert phillips.json("energy", "cluster", "phillips", *period)["cpu_hours"] == pytest.approx(
            hours, abs=PRINTED
        ), day


def test_one_watt_a_node_is_the_node_hours_in_watt_hours(phillips: Site) -> None:
    found = phillips.json("energy", "cluster", "phillips")
    assert found["energy_j"] / 3600 == pytest.approx(found["node_hours"], rel=1e-9)
    assert found["coverage"] == 1
    assert found["quality"] in ("metered", "coarse", "partial", "apportioned")
