"""ClusterCockpit job folders: channels by metric and scope, units, nulls, and the job itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from measurements.parsers import clustercockpit
from measurements.parsers.gpu_index import gpu_indices
from measurements.parsers.records import JobChunk, ParseOptions, UnusableFile
from measurements.parsers.source import Source, expand
from tests.measurements.parsers.reading import NOW_MS, Log, read_log

START_S = 1_740_830_400
META: dict[str, Any] = {
    "jobId": 398764, "user": "alice", "project": "physics", "cluster": "fritz", "subCluster": "main",
    "partition": "work", "jobState": "completed", "startTime": START_S, "duration": 177, "numHwthreads": 4,
    "walltime": 3600, "arrayJobId": 398000, "resources": [{"hostname": "f0649"}], "metaData": {"jobName": "sim é"},
}  # fmt: skip


def folder(tmp_path: Path, data: dict[str, Any] | None, meta: dict[str, Any] | None = None) -> Source:
    job = tmp_path / "job"
    job.mkdir(exist_ok=True)
    (job / "meta.json").write_text(json.dumps(META | (meta or {})))
    if data is not None:
        (job / "data.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    (source,) = expand([job], tmp_path)
    return source


def metric(
    *series: tuple[object, object, Sequence[object]], base: str = "W", prefix: str = "", step: object = 60
) -> dict[str, Any]:
    return {
        "unit": {"base": base, "prefix": prefix},
        "timestep": step,
        "series": [{"hostname": host, "id": one, "data": values} for host, one, values in series],
    }


def power(tmp_path: Path, data: dict[str, Any], meta: dict[str, Any] | None = None) -> Log:
    return read_log(folder(tmp_path, data, meta))


def test_sample_i_is_at_start_plus_i_timesteps_and_null_is_missing(tmp_path: Path) -> None:
    data = {
        "clock": {"node": metric(("f1", None, [1, 2]), base="Hz", prefix="M")},
        "node_power": {"node": metric(("f1", None, [100, None, 0.5]), ("f2", None, [None, float("nan"), 7]), step=30)},
    }
    log = power(tmp_path, data)
    assert log.rows == [
        ("f1", "node", START_S * 1000, 100_000, 1),
        ("f1", "node", START_S * 1000 + 60_000, 500, 3),
        ("f2", "node", START_S * 1000 + 60_000, 7000, 6),
    ]
    assert log.intervals_ms == {30_000}
    assert (log.refusals, log.warnings) == ([], [])


@pytest.mark.parametrize(
    ("name", "scope", "ids", "channels"),
    [
        ("total_power", "node", [None], ["node"]),
        ("ipmi_power", "node", [None], ["node"]),
        ("rapl_power", "node", [None], ["cpu"]),
        ("cpu_power", "node", ["0"], ["cpu"]),
        ("cpu_power", "socket", ["0", "1"], ["cpu0", "cpu1"]),
        ("pkg_power", "die", ["3", "1"], ["cpu3", "cpu1"]),
        ("mem_power", "node", [None], ["dram"]),
        ("dram_power", "memoryDomain", ["0", "1"], ["dram0", "dram1"]),
        ("acc_power", "node", [None], ["gpu"]),
        ("acc_power", "accelerator", ["1", "0"], ["gpu1", "gpu0"]),
        ("gpu_power", "accelerator", ["00000000:C1:00.0", "00000000:01:00.0"], ["gpu1", "gpu0"]),
        ("core_power", "hwthread", ["17"], ["core17"]),
        ("nic_power", "node", [None], ["nic"]),
        ("cpu_power", "core", ["5"], ["cpu_core5"]),
        ("cpu_power", "socket", ["0", "0"], ["cpu0", "cpu1"]),
    ],
)
def test_channels_by_metric_and_scope(
    tmp_path: Path, name: str, scope: str, ids: list[object], channels: list[str]
) -> None:
    log = power(tmp_path, {name: {scope: metric(*(("f1", one, [1]) for one in ids))}})
    assert [row[1] for row in log.rows] == channels


@pytest.mark.parametrize(("prefix", "mw"), [("", 2000), ("m", 2), ("k", 2_000_000), ("K", 2_000_000), ("M", 2 * 10**9)])
def test_prefixes_of_the_unit(tmp_path: Path, prefix: str, mw: int) -> None:
    assert power(tmp_path, {"x_power": {"node": metric(("f1", None, [2]), prefix=prefix)}}).rows[0][3] == mw
    older = metric(("f1", None, [2])) | {"unit": f"{prefix}W"}
    assert power(tmp_path, {"x_power": {"node": older}}).rows[0][3] == mw


def test_what_is_no_power_is_left_out_with_a_warning(tmp_path: Path) -> None:
    data = {
        "cpu_power": {"node": metric(("f1", None, [1]))},
        "rapl_power": {"node": metric(("f1", None, [2]))},
        "node_power_energy": {"node": metric(("f1", None, [3]), base="J")},
        "gpu_power_limit": {"node": metric(("f1", None, [4]))},
        "mem_power": {"node": {"timestep": 60, "series": []}},
        "acc_power": {"node": metric(("f1", None, [5]), step=0)},
    }
    log = power(tmp_path, data)
    assert [row[3] for row in log.rows] == [1000]
    assert [warning.split(":")[0].split()[1] for warning in log.warnings] == [
        "node_power_energy", "gpu_power_limit", "mem_power", "acc_power", "rapl_power",
    ]  # fmt: skip


def test_bad_values_and_series_cost_only_themselves(tmp_path: Path) -> None:
    values = [1, "x", True, 10**400, 1e300, [], 2]
    data = {"node_power": {"node": metric(("f1", None, values), (None, None, [1, 2]), ("f2", None, [9]))}}
    log = power(tmp_path, data)
    assert [(row[0], row[3], row[4]) for row in log.rows] == [("f1", 1000, 1), ("f1", 2000, 7), ("f2", 9000, 10)]
    assert log.refused == [
        ("not a number", 2), ("not a number", 3), ("out of range", 4), ("out of range", 5), ("not a number", 6),
        ("unreadable series", 8),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", ['{"node_power": {"no', "[]", "[" * 9000, '{"series" "hostname"'])
def test_a_broken_document_is_unusable(tmp_path: Path, raw: str) -> None:
    source = folder(tmp_path, {})
    source.path.write_bytes(gzip.compress(raw.encode()))
    with pytest.raises(UnusableFile, match=r"copy the folder anew|expected a ClusterCockpit job"):
        read_log(Source(source.path), fmt="clustercockpit")


def test_truncated_data_and_lacking_files_name_the_cure(tmp_path: Path) -> None:
    source = folder(tmp_path, {"node_power": {"node": metric(("f1", None, list(range(500))))}})
    source.path.write_bytes(source.path.read_bytes()[:300])
    with pytest.raises(UnusableFile, match="truncated gzip"):
        read_log(Source(source.path), fmt="clustercockpit")
    (source.path.parent / "meta.json").unlink()
    with pytest.raises(UnusableFile, match="give the job's folder"):
        read_log(Source(source.path), fmt="clustercockpit")
    source.path.unlink()
    with pytest.raises(UnusableFile, match="give the job's folder"):
        read_log(folder(tmp_path, None))


@pytest.mark.parametrize("start", [None, "soon", 0, 1e300, START_S * 1000])
def test_a_start_that_is_no_time_is_unusable(tmp_path: Path, start: object) -> None:
    with pytest.raises(UnusableFile, match="startTime"):
        power(tmp_path, {"node_power": {"node": metric(("f1", None, [1]))}}, {"startTime": start})


def test_gpus_are_numbered_among_all_of_their_node() -> None:
    node = ["00000000:0E:00.0", "00000000:49:00.0", "00000000:96:00.0"]
    assert gpu_indices(["00000000:96:00.0"], node) == {"00000000:96:00.0": 2}
    assert gpu_indices(["00000000:96:00.0"], []) == {"00000000:96:00.0": 0}
    assert gpu_indices(["3"], node) == {"3": 3}


def test_the_archives_cluster_json_numbers_the_gpus_of_a_shared_node(tmp_path: Path) -> None:
    job = tmp_path / "alex" / "398" / "764" / str(START_S)
    job.mkdir(parents=True)
    ids = ["00000000:0E:00.0", "00000000:49:00.0", "00000000:96:00.0"]
    topology = {"accelerators": [{"id": one} for one in ids]}
    (tmp_path / "alex" / "cluster.json").write_text(json.dumps({"subClusters": [{"name": "a", "topology": topology}]}))
    resources = [{"hostname": "a1", "hwthreads": [0, 1, 2], "accelerators": ids[1:]}]
    (job / "meta.json").write_text(
        json.dumps(META | {"subCluster": "a", "resources": resources, "shared": "multi_user"})
    )
    data = {"acc_power": {"accelerator": metric(*(("a1", one, [5]) for one in ids[1:]))}}
    (job / "data.json").write_text(json.dumps(data))
    (source,) = expand([tmp_path / "alex"], tmp_path)
    assert [row[1] for row in read_log(source).rows] == ["gpu1", "gpu2"]
    (chunk,) = clustercockpit.read_job(source, ParseOptions(), NOW_MS)
    (share,) = chunk.records[0].shares
    assert (share.node, share.cpus, share.gpus, share.gpu_indices) == ("a1", 3, 2, (1, 2))
    assert chunk.records[0].exclusive is False


def job(tmp_path: Path, **meta: object) -> JobChunk:
    (chunk,) = clustercockpit.read_job(folder(tmp_path, None, meta), ParseOptions(), NOW_MS)
    return chunk


def test_the_job_of_a_folder(tmp_path: Path) -> None:
    (record,) = job(tmp_path, shared="none").records
    assert (record.job_id, record.raw_id, record.state, record.exclusive) == ("398764", 398764, "COMPLETED", True)
    assert (record.username, record.account, record.name) == ("alice", "physics", "sim é")
    assert (record.cluster, record.partition, record.array_job_id) == ("fritz", "work", 398000)
    assert (record.start_ms, record.end_ms, record.elapsed_s) == (START_S * 1000, (START_S + 177) * 1000, 177.0)
    assert (record.cpus, record.gpus, record.time_limit_s) == (4, None, 3600)
    assert [share.node for share in record.shares] == ["f0649"]


@pytest.mark.parametrize(
    ("meta", "exclusive"),
    [({"exclusive": 1}, True), ({"exclusive": 0}, False), ({"exclusive": 2}, False), ({}, None),
     ({"shared": "none"}, True), ({"shared": "single_user"}, False), ({"shared": "multi_user"}, False)],
)  # fmt: skip
def test_exclusive_in_old_and_new_archives(tmp_path: Path, meta: dict[str, object], exclusive: bool | None) -> None:  # noqa: FBT001 - a case
    assert job(tmp_path, **meta).records[0].exclusive is exclusive


def test_states_and_running_jobs(tmp_path: Path) -> None:
    assert job(tmp_path, jobState="out_of_memory").records[0].state == "OUT_OF_MEMORY"
    assert job(tmp_path, jobState="stopped").records[0].state == "CANCELLED"
    running = job(tmp_path, jobState="running", duration=0).records[0]
    assert (running.state, running.end_ms) == ("RUNNING", None)
    assert job(tmp_path, walltime=10).records[0].time_limit_s is None


@pytest.mark.parametrize(
    ("meta", "reason"),
    [({"jobId": None}, "unreadable job"), ({"startTime": "x"}, "unreadable job"), ({"resources": 3}, "unreadable job"),
     ({"startTime": 5}, "time out of range"), ({"duration": 1e12}, "time out of range"),
     ({"duration": float("inf")}, "unreadable job")],
)  # fmt: skip
def test_a_job_that_cannot_be_read_is_refused_with_its_reason(
    tmp_path: Path, meta: dict[str, object], reason: str
) -> None:
    chunk = job(tmp_path, **meta)
    assert (chunk.records, [refusal.reason for refusal in chunk.refusals]) == ([], [reason])


def test_the_emmy_job(shared_data: Path) -> None:
    (source,) = expand([shared_data / "job_archive" / "emmy_1403244"], shared_data)
    log = read_log(source)
    assert len(log.rows) == 32 * 1441 - 4221
    assert sum(row[3] == 0 for row in log.rows) == 1
    assert {row[1] for row in log.rows} == {"cpu"}
    assert max(row[3] for row in log.rows) == 258_560
    (chunk,) = clustercockpit.read_job(source, ParseOptions(), NOW_MS)
    (record,) = chunk.records
    assert (record.job_id, len(record.shares), record.exclusive, record.elapsed_s) == ("1403244", 32, True, 86486.0)


def test_the_fritz_job(shared_data: Path) -> None:
    (source,) = expand([shared_data / "job_archive" / "fritz_398764"], shared_data)
    log = read_log(source)
    means_w = {}
    for channel in {row[1] for row in log.rows}:
        values = [row[3] / 1000 for row in log.rows if row[1] == channel]
        means_w[channel] = sum(values) / len(values)
    expected = json.loads((source.path.parent / "expected.json").read_text())["recomputed"]
    assert means_w["cpu"] == pytest.approx(expected["cpu_power.node"]["sum_over_series_of_mean_W"])
    assert means_w["cpu0"] + means_w["cpu1"] == pytest.approx(expected["cpu_power.socket"]["sum_over_series_of_mean_W"])
    assert means_w["dram"] == pytest.approx(expected["mem_power.node"]["sum_over_series_of_mean_W"])
    assert len(log.warnings) == 2  # both sockets are called 0
