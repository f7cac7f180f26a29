"""Real files of what sites have beside metric servers, through the real commands, against figures of their origin."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from measurements.domain.mlperf_training import PowerLog, run_energy_j, score_j
from measurements.domain.units import MS_PER_S, MW_PER_W, UJ_PER_J
from tests.pipeline.rich_input import write
from tests.pipeline.site import Farm, Site

JOBS = "job_id,user,account,state,start,end,nodes"
Series = tuple[np.ndarray, np.ndarray]  # instants [s], values [W or J]


def site_of(farm: Farm, folder: Path, nodes: Iterable[str], cluster: str = "c") -> Site:
    """A site with a cluster of nodes of which nothing is known."""
    site = farm.new()
    site.do(
        "load_nodes", write(folder / "nodes.csv", "node,node_type", [f"{n},a" for n in nodes]), "--cluster", cluster
    )
    return site


def stored(site: Site) -> dict[tuple[str, str], Series]:
    """What the store holds, by node and channel, gauges in W and counters in J."""
    found: dict[tuple[str, str], Series] = {}
    for line in site.samples().splitlines():
        _, node, channel, kind, _, ascending, t_ms, value = json.loads(line.removeprefix("samples "))
        assert ascending
        unit = MW_PER_W if kind == "gauge" else UJ_PER_J
        t, v = (np.frombuffer(bytes.fromhex(text), np.int64) for text in (t_ms, value))
        found[node, channel] = (t / MS_PER_S, v / unit)
    return found


def trapezoid(t: np.ndarray, watts: np.ndarray, longest_s: float = np.inf) -> float:
    """Energy [J] between the first and the last reading, gaps beyond ``longest_s`` left out."""
    steps = np.diff(t)
    return float((((watts[1:] + watts[:-1]) / 2) * np.where(steps > longest_s, 0, steps)).sum())


def expected_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return found


# --- nvidia-smi -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "zone"), [("nvidia_smi_3090", "UTC"), ("nvidia_smi_a100", "Europe/London")])
def test_nvidia_smi_csv(sqlite_farm: Farm, shared_data: Path, tmp_path: Path, name: str, zone: str) -> None:
    folder = shared_data / "gpu" / name
    figures = expected_of(folder)["recomputed"]
    site = site_of(sqlite_farm, tmp_path, ["n1"])
    said = ("--cluster", "c", "--node", "n1", "--time-zone", zone)
    unsaid = site.manage("ingest_power", folder / "gpudata.csv", *said)
    assert unsaid.code == 1
    assert "--channel gpu0" in unsaid.err
    taken = site.json("ingest_power", folder / "gpudata.csv", *said, "--channel", "gpu0")
    assert (taken["read"], taken["stored"], taken["refused"]) == (figures["rows"], figures["rows"], [])
    t, watts = stored(site)["n1", "gpu0"]
    assert t[-1] - t[0] == pytest.approx(figures["seconds"], abs=1e-6)
    assert trapezoid(t, watts) == pytest.approx(figures["energy_J_trapezoid_power_draw"], rel=1e-6)
    pulses = [int(line) / 1e6 for line in (folder / "timestamps.csv").read_text().split()[1:]]
    assert t[0] < pulses[0] < pulses[-1] < t[-1] or name == "nvidia_smi_3090"  # the zone is right: the load lies inside


def test_nvidia_smi_on_an_h200_as_it_was_captured(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    (capture,) = (shared_data / "gpu" / "nvidia_smi_capture").glob("linux-*.txt")
    lines = capture.read_text().splitlines()
    header = next(line for line in lines if line.startswith("timestamp, driver_version"))
    rows = [lines[i + 1] for i, line in enumerate(lines) if line == header]
    draw = header.split(", ").index("power.draw [W]")
    assert len(rows) == 2
    log = write(tmp_path / "gpus.csv", "Failed to initialize NVML: Driver/library version mismatch", [header, *rows])
    site = site_of(sqlite_farm, tmp_path, ["n1"])
    taken = site.json("ingest_power", log, "--cluster", "c", "--node", "n1", "--time-zone", "UTC")
    assert [(row["reason"], row["first_line"]) for row in taken["refused"]] == [("wrong number of fields", 1)]
    _, watts = stored(site)["n1", "gpu0"]
    assert watts.tolist() == [float(row.split(", ")[draw].removesuffix(" W")) for row in rows]


def test_nvidia_smi_xml_old_and_new(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "gpu" / "nvidia_smi_capture"
    site = site_of(sqlite_farm, tmp_path, ["new", "old"])
    for node, name in (("new", "a100-sxm4-v12.xml"), ("old", "tesla-t4.xml")):
        site.do("ingest_power", folder / name, "--cluster", "c", "--node", node, "--time-zone", "UTC")
    found = stored(site)
    assert {key: watts.tolist() for key, (_, watts) in found.items()} == {
        ("new", "gpu1"): [67.03],  # one of four, by its minor number; the module's reading is N/A
        ("old", "gpu0"): [26.78],
    }
    assert found["new", "gpu1"][0].tolist() == [datetime(2023, 8, 4, 11, 44, 30, tzinfo=UTC).timestamp()]


# --- IPMI -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def harvard(
    sqlite_farm: Farm, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Site, dict[str, Any]]:
    """One minute of all 1724 nodes of a cluster, in one archive."""
    archive = shared_data / "ipmi" / "fasrc_snapshot" / "2025-05-29.tar.gz"
    with tarfile.open(archive) as files:
        names = [Path(one.name).name.removesuffix("-2025-05-29.txt") for one in files if one.isfile()]
    site = site_of(sqlite_farm, tmp_path_factory.mktemp("harvard"), names)
    return site, site.json("ingest_power", archive, "--cluster", "c")


def test_a_whole_cluster_of_ipmitool_in_one_archive(harvard: tuple[Site, dict[str, Any]], shared_data: Path) -> None:
    site, taken = harvard
    figures = expected_of(shared_data / "ipmi" / "fasrc_snapshot")["recomputed"]
    assert isinstance(taken["batch"], int)  # one source, one batch
    assert {row["reason"] for row in taken["refused"]} == {"zero watts"}
    assert len(site.rows("Node")) == figures["files"] == 1724
    whole = {node: float(watts[0]) for (node, channel), (_, watts) in stored(site).items() if channel == "node"}
    zeros = figures["files"] - figures["files_without_a_system_power_reading"] - len(whole)
    assert 0 <= zeros <= sum(row["count"] for row in taken["refused"])  # 0 W is no reading of a powered node
    assert sum(whole.values()) == figures["sum_of_system_power_W"]  # and a zero adds nothing
    assert max(whole.values()) == figures["max_W"]
    for prefix, group in figures["by_name_prefix"].items():
        mine = [watts for node, watts in whole.items() if node.startswith(prefix)]
        assert sum(mine) == group["sum_W"], prefix
        assert len(mine) <= group["nodes"]


def test_a_shared_chassis_is_no_node_s_power(harvard: tuple[Site, dict[str, Any]]) -> None:
    site, taken = harvard
    assert any(warning.startswith("Chassis Power: not used") for warning in taken["warnings"])
    channels = {channel for _, channel in stored(site)}
    assert channels <= {"node", "cpu", "dram", "gpu", "fan", "psu1", "psu2", "riser1", "riser2"}


def test_a_day_of_ipmitool_with_an_outage(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ipmi" / "fasrc_day"
    figures = expected_of(folder)["recomputed"]
    site = site_of(sqlite_farm, tmp_path, figures)
    logs = sorted(folder.glob("*-2025-06-03.txt"))
    taken = site.json("ingest_power", *logs, "--cluster", "c", "--max-gap", "300")
    assert [(row["reason"], row["count"]) for row in taken["refused"]] == [
        ("zero watts", sum(one["samples"] for one in figures.values() if one["max_W"] == 0))
    ]
    site.do("attribute")
    found = stored(site)
    for node, one in figures.items():
        if one["max_W"] == 0:
            assert (node, "node") not in found
            continue
        t, watts = found[node, "node"]
        assert len(t) == one["samples"]
        assert trapezoid(t, watts) == pytest.approx(one["energy_J_trapezoid_first_to_last"], rel=1e-9)
        without_gaps = trapezoid(t, watts, longest_s=300)
        assert without_gaps == pytest.approx(one["energy_J_trapezoid_gaps_over_300s_skipped"], rel=1e-9)
        edges = 2 * (1 + int((np.diff(t) > 300).sum()))  # half an interval is held at each
        metered = site.json("energy", "node", node)["metered_j"]
        assert without_gaps < metered <= without_gaps + edges * 31 * one["max_W"]


def test_dcmi_as_two_tools_print_it(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ipmi" / "dcmi_text"
    site = site_of(sqlite_farm, tmp_path, ["n1", "n2"])
    for node, name in (("n1", "ipmi-dcmi.txt"), ("n2", "ipmitool_dcmi_power_reading.txt")):
        said = ("--cluster", "c", "--node", node)
        assert site.manage("ingest_power", folder / name, *said).code == 1  # the BMC's clock has no zone
        site.do("ingest_power", folder / name, *said, "--time-zone", "UTC")
    found = stored(site)
    assert [(t.tolist(), watts.tolist()) for t, watts in (found["n1", "node"], found["n2", "node"])] == [
        ([datetime(2023, 11, 3, 8, 36, 29, tzinfo=UTC).timestamp()], [332.0]),
        ([datetime(2024, 2, 14, 17, 9, 10, tzinfo=UTC).timestamp()], [2578.0]),
    ]


# --- MLPerf Training --------------------------------------------------------------------------------------------------

TRAINING = ("smc_1node_llama2_ac", "smc_1node_llama2_dc", "smc_8node_llama2_ac", "smc_8node_ssd_dc_dirty")


def entries(log: Path) -> list[dict[str, Any]]:
    """The entries of a log, read without the code under test."""
    return [json.loads(line.split(" ", 1)[1]) for line in log.read_text().splitlines() if line.startswith(":::MLLOG")]


def power_log(log: Path) -> PowerLog:
    """One node's log as its own rule reads it."""
    rows = entries(log)
    (start,) = (row["time_ms"] for row in rows if row["key"] == "power_measurement_start")
    stop = next((row["time_ms"] for row in rows if row["key"] == "power_measurement_stop"), start)
    readings = [(row["time_ms"], float(row["value"])) for row in rows if row["key"] == "power_reading"]
    factor = next((float(row["value"]) for row in rows if row["key"] == "conversion_eff"), 1.0)
    return PowerLog(start, stop, np.array([t for t, _ in readings]), np.array([w for _, w in readings]), factor)


def switches_w(folder: Path) -> float:
    return sum(float(row["value"]) for log in folder.glob("sw_*.txt") for row in entries(log))


@pytest.mark.parametrize("name", TRAINING)
def test_the_official_rule_of_mlperf_training_to_one_joule(shared_data: Path, name: str) -> None:
    folder = shared_data / "mlperf_training" / name
    expected = expected_of(folder)
    runs = []
    for run in expected["runs"]:
        power = folder / "power" / run["run"]
        logs = {log.stem: power_log(log) for log in sorted(power.glob("node_*.txt"))}
        nodes_j = run_energy_j(list(logs.values()), 0.0, run["seconds"])
        assert nodes_j == pytest.approx(run["energy_J_rule_of_origin"], abs=1)
        switches_j = switches_w(power) * run["seconds"]
        assert switches_j == pytest.approx(run["energy_J_switches_rule_of_origin"], abs=1)
        runs.append((run["seconds"], run_energy_j(list(logs.values()), switches_w(power), run["seconds"])))
    if expected.get("official"):
        assert score_j(runs, expected["scaling_factor"]) == pytest.approx(expected["official"]["energy_J"], abs=1)


def in_the_run(t: np.ndarray, watts: np.ndarray, start: float, end: float) -> float:
    """Energy [J] of a window, the first and last reading held to its edges."""
    grid = np.concatenate(([start], inside(t, watts, start, end)[0], [end]))
    return trapezoid(grid, np.interp(grid, t, watts))


def inside(t: np.ndarray, watts: np.ndarray, start: float, end: float) -> Series:
    """The readings within a window."""
    mine = (t > start) & (t < end)
    return t[mine], watts[mine]


def as_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / MS_PER_S, UTC).isoformat(timespec="milliseconds")


@pytest.fixture(scope="module", params=TRAINING)
def training(
    request: pytest.FixtureRequest, sqlite_farm: Farm, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Site, Path, dict[str, Any]]:
    """A submission's runs as jobs, each on nodes of its own: runs overlap, so node_1 is another machine in each."""
    folder = shared_data / "mlperf_training" / request.param
    tmp = tmp_path_factory.mktemp(request.param)
    (tmp / "logs").mkdir()
    nodes: dict[str, list[str]] = {}
    for i, run in enumerate(expected_of(folder)["runs"], start=1):
        for log in sorted((folder / "power" / run["run"]).glob("*.txt")):
            nodes.setdefault(str(i), []).append(f"run{i}-{log.stem}")
            shutil.copy(log, tmp / "logs" / f"run{i}-{log.name}")
    site = site_of(sqlite_farm, tmp, [node for mine in nodes.values() for node in mine if "sw_" not in node])
    taken = site.json("ingest_power", tmp / "logs", "--cluster", "c")
    rows = []
    for i, run in enumerate(expected_of(folder)["runs"], start=1):
        window = f"{as_time(run['run_start_ms'])},{as_time(run['run_stop_ms'])}"
        mine = ",".join(node for node in nodes[str(i)] if "sw_" not in node)
        rows.append(f'{i},alice,mlperf,COMPLETED,{window},"{mine}"')
    site.do("ingest_jobs", write(tmp / "jobs.csv", JOBS, rows), "--cluster", "c")
    site.do("attribute")
    return site, folder, taken


def test_mlperf_training_is_refused_where_it_is_no_reading(training: tuple[Site, Path, dict[str, Any]]) -> None:
    _, folder, taken = training
    logs = [entries(log) for log in folder.glob("power/*/*.txt")]
    readings = [row["value"] for rows in logs for row in rows if row["key"] == "power_reading"]
    refused = {row["reason"]: row["count"] for row in taken["refused"]}
    estimates = len(list(folder.glob("power/*/sw_0.txt")))
    assert refused.get("estimate without a time", 0) == estimates
    assert refused.get("negative power", 0) == sum(value < 0 for value in readings)
    assert set(refused) <= {"estimate without a time", "negative power", "zero watts"}
    assert taken["read"] == len(readings) + estimates


def test_mlperf_training_integrated_over_the_run(training: tuple[Site, Path, dict[str, Any]]) -> None:
    site, folder, _ = training
    jobs = {row["id"]: row["job_id"] for row in site.rows("Job")}
    booked = {jobs[row["job_id"]]: row for row in site.rows("JobEnergy")}
    for i, run in enumerate(expected_of(folder)["runs"], start=1):
        window = run["run_start_ms"] / MS_PER_S, run["run_stop_ms"] / MS_PER_S
        logs = [power_log(log) for log in sorted((folder / "power" / run["run"]).glob("node_*.txt"))]
        whole = sum(in_the_run(log.t_ms / MS_PER_S, log.watts, *window) for log in logs)
        assert whole == pytest.approx(run["energy_J_trapezoid_clipped_edges_held"], rel=1e-5)
        taken = [plausible(log) for log in logs]
        found = booked[str(i)]
        # A log that does not reach the run's ends is held for half an interval there, and no further.
        within = sum(trapezoid(*inside(t, watts, *window)) for t, watts in taken)
        held = sum(in_the_run(t, watts, *window) for t, watts in taken)
        assert within < found["energy_j"] <= held * (1 + 1e-6)
        assert within == pytest.approx(held, rel=0.03)
        assert found["covered_us"] > 0.98 * found["elapsed_us"]


def plausible(log: PowerLog) -> Series:
    """The readings that the ledger takes: of a double the larger, and none at or below zero."""
    best: dict[int, float] = {}
    for t, watts in zip(log.t_ms.tolist(), log.watts.tolist(), strict=True):
        if watts > 0:
            best[t] = max(watts, best.get(t, 0.0))
    return np.array(sorted(best)) / MS_PER_S, np.array([best[t] for t in sorted(best)])


# --- GEOPM ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", ["aurora_cap1800", "aurora_cap2500"])
def test_a_geopm_trace_is_within_two_thousandths_of_its_report(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path, cap: str
) -> None:
    folder = shared_data / "node_energy_geopm" / cap
    expected = expected_of(folder)
    (trace,) = folder.glob("*trace*")
    site = site_of(sqlite_farm, tmp_path, ["x1921c0s2b0n0"])
    assert site.manage("ingest_power", trace, "--cluster", "c").code == 1  # local time: --time-zone is missing
    taken = site.json("ingest_power", trace, "--cluster", "c", "--time-zone", "America/Chicago")
    assert taken["refused"] == []
    found = stored(site)
    t, joules = found["x1921c0s2b0n0", "node"]
    assert joules[-1] - joules[0] == expected["recomputed_from_trace"]["BOARD_POWER"]["counter_difference_J"]
    for part in ("cpu", "dram", "gpu"):
        _, counter = found["x1921c0s2b0n0", part]
        assert counter[-1] - counter[0] == pytest.approx(expected["official"][f"{part}_energy_J"], rel=2e-3)
    job = f"1,alice,spec,COMPLETED,{t[0]:.3f},{t[-1]:.3f},x1921c0s2b0n0"
    site.do("ingest_jobs", write(tmp_path / "jobs.csv", JOBS, [job]), "--cluster", "c")
    site.do("attribute")
    booked = site.json("energy", "job", "c", "1")
    assert booked["energy_j"] == pytest.approx(expected["official"]["board_energy_J"], rel=2e-3)
    assert booked["coverage"] == 1


# --- Redfish ----------------------------------------------------------------------------------------------------------


def test_redfish_snapshots(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "redfish"
    values = expected_of(folder)["values"]
    chassis = "dmtf_rackmount1/Chassis/1U"
    site = site_of(sqlite_farm, tmp_path, ["dmtf_rackmount1", "dell"])
    at = ("--cluster", "c", "--at", "2025-03-01T12:00:00Z")
    assert "--at" in site.manage("ingest_power", folder / chassis / "Power/index.json", "--cluster", "c").err
    site.do("ingest_power", folder / chassis / "Power/index.json", *at)
    site.do("ingest_power", folder / "telegraf_dell/dell_power.json", *at, "--node", "dell")
    later = ("--cluster", "c", "--at", "2025-03-01T12:01:00Z")
    site.do("ingest_power", folder / chassis / "EnvironmentMetrics/index.json", *later)
    site.do("ingest_power", folder / chassis / "Sensors/TotalEnergy/index.json", *later)
    found = stored(site)
    noon = datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()
    power = values[f"{chassis}/Power/index.json"][0]["PowerConsumedWatts"]
    metrics = values[f"{chassis}/EnvironmentMetrics/index.json"]["PowerWatts"]["Reading"]
    assert [part.tolist() for part in found["dmtf_rackmount1", "node"]] == [[noon, noon + 60], [power, metrics]]
    assert found["dmtf_rackmount1", "node_energy"][1].tolist() == [325_675 * 3.6e6]
    assert found["dell", "node"][1].tolist() == [values["telegraf_dell/dell_power.json"][0]["PowerConsumedWatts"]]


@pytest.mark.parametrize("name", ["telegraf_dell/dell_chassisinvalid.json", "telegraf_dell/dell_powerinvalid.json"])
def test_a_broken_redfish_document_is_refused_with_what_to_do(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path, name: str
) -> None:
    site = site_of(sqlite_farm, tmp_path, ["dell"])
    said = ("--cluster", "c", "--node", "dell", "--at", "2025-03-01T12:00:00Z")
    answer = site.manage("ingest_power", shared_data / "redfish" / name, *said, "--format", "redfish")
    assert answer.code == 1
    assert "not valid JSON" in answer.err
    assert "Traceback" not in answer.err


# --- a facility's meter -----------------------------------------------------------------------------------------------


def test_a_meter_s_power_and_counter_in_one_table(sqlite_farm: Farm, tmp_path: Path) -> None:
    site = sqlite_farm.new()
    meters = write(tmp_path / "nodes.csv", "node,node_type,level,parent", ["hall,meter,facility,", "n1,a,node,hall"])
    site.do("load_nodes", meters, "--cluster", "c")
    lines = [f"2025-03-01T12:{i:02d}:00Z,{100 + i % 2},{5 + i * 0.1:.1f}" for i in range(60)]
    table = write(tmp_path / "hall.csv", "time,Feeder 1,Counter", lines)
    names = ("--rename", "Feeder 1=hall [kW]", "--rename", "Counter=hall [kWh]")
    taken = site.json("ingest_power", table, "--cluster", "c", *names)
    assert (taken["stored"], taken["refused"]) == (120, [])
    assert sorted((row["name"], row["kind"]) for row in site.rows("Channel")) == [
        ("node", "counter"),
        ("node", "gauge"),
    ]
    site.do("attribute")
    assert site.json("energy", "node", "hall")["metered_j"] == pytest.approx(5.9 * 3.6e6, rel=1e-9)  # the counter's


# --- other batch systems ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "jobs", "hours"),
    [
        (
            "pbs_xdmod/input/accounting-logs.log",
            8,
            (2 * 2197 + 9350 + 2 * 156 + 8407 + 2 * 100_000 + 36_072 - 2197) / 3600,
        ),
        ("lsf_xdmod/input/accounting-logs.log", 1, 40_368 / 3600),
        ("swf_hpc2n/hpc2n.swf", 3145, 8848.1547),
    ],
    ids=["PBS", "LSF", "SWF"],
)
def test_jobs_of_other_batch_systems(
    sqlite_farm: Farm, shared_data: Path, tmp_path: Path, log: str, jobs: int, hours: float
) -> None:
    site = site_of(sqlite_farm, tmp_path, ["i02n33", "i02n32", "i02n31", "i02n30", "n404"])
    said = ("ingest_jobs", shared_data / "batch_accounting" / log, "--cluster", "c")
    taken = site.json(*said)
    assert {row["reason"] for row in taken["refused"]} <= {"unknown node", "no run time"}
    runs = site.rows("Run")
    assert len(runs) == jobs  # one job of PBS, and the one of LSF, stand there twice
    assert sum(run["end_ms"] - run["start_ms"] for run in runs) / 3.6e6 == pytest.approx(hours, abs=1e-4)
    again = site.json(*said)
    assert (again["stored"], len(site.rows("Run"))) == (0, jobs)
    if log.startswith("swf"):
        assert site.rows("Allocation") == []  # no names of nodes
        assert any("no names of nodes" in warning for warning in taken["warnings"])


def test_slurm_s_own_energy_stays_on_the_job(sqlite_farm: Farm, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "slurm_accounting" / "archer2_energy"
    expected = expected_of(folder)
    rows = [
        f"{expected['job']}|COMPLETED|2025-03-01T00:00:00Z|2025-03-01T02:19:48Z|nid[1-2]|{expected['official']['energy_J']:.0f}",
        "2|COMPLETED|2025-03-01T00:00:00Z|2025-03-01T01:00:00Z|nid1|18446744073709551614",
        "3|COMPLETED|2025-03-01T00:00:00Z|2025-03-01T01:00:00Z|nid1|0",
    ]
    log = write(tmp_path / "sacct.txt", "JobID|State|Start|End|NodeList|ConsumedEnergyRaw", rows)
    site = site_of(sqlite_farm, tmp_path, ["nid1", "nid2"])
    site.do("ingest_jobs", log, "--cluster", "c")
    site.do("attribute")
    names = {row["id"]: row["job_id"] for row in site.rows("Job")}
    own = {names[run["job_id"]]: run["consumed_energy_j"] for run in site.rows("Run")}
    assert own == {expected["job"]: expected["official"]["energy_J"], "2": None, "3": None}
    found = site.json("energy", "job", "c", expected["job"])
    assert found["energy_j"] - found["filled_j"] == 0, "it is reported, and metered by nobody"
