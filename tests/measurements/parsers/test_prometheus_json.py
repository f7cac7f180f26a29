"""Answers of Prometheus: real ones, matrices and vectors, errors, warnings, broken ones."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from measurements.parsers import prometheus_json
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import NOW_MS, collected, ms, read_log, source_of

T0_S = 1_740_830_400
T0_MS = ms("2025-03-01T12:00:00Z")
METRIC = {"__name__": "ipmi_dcmi_power_consumption_watts", "instance": "n1-oob:9290", "job": "ipmi"}


def answer(*result: Any, kind: str = "matrix", **more: Any) -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(result)}, **more})


@pytest.mark.parametrize("name", ["gpus-hour.json", "nodes-hour.json"])
def test_real_matrices_are_read_point_by_point_and_series_without_a_name_are_refused(
    shared_data: Path, name: str
) -> None:
    folder = shared_data / "prometheus_api"
    expected = json.loads((folder / "expected.json").read_text())["read_off_the_files"][name]
    log = read_log(Source(folder / name))
    assert [reason for reason, _ in log.refused] == ["series without a name"] * expected["series"]
    firsts = [line for _, line in log.refused]
    assert [b - a for a, b in pairwise(firsts)] == expected["points"][:-1]
    assert log.rows == []


def test_the_same_real_matrix_with_a_name_gives_every_point_at_its_time(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "prometheus_api"
    document = json.loads((folder / "nodes-hour.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())["read_off_the_files"]["nodes-hour.json"]
    for i, member in enumerate(document["data"]["result"]):
        member["metric"] |= {"__name__": "ipmi_dcmi_power_consumption_watts", "instance": f"n{i}"}
    log = read_log(source_of(tmp_path, json.dumps(document)))
    assert len(log.rows) == sum(expected["points"])
    times = sorted({t for node, _, t, _, _ in log.rows if node == "n0"})
    assert {b - a for a, b in pairwise(times)} == {expected["steps_s"][0] * 1000}


def test_an_answer_without_series_and_an_error_say_so(shared_data: Path) -> None:
    folder = shared_data / "prometheus_api"
    assert read_log(Source(folder / "unknown-metric.json")).rows == []
    with pytest.raises(UnusableFile, match=r"bad_data: invalid parameter .*correct the query"):
        read_log(Source(folder / "unknown-path.json"))


def test_an_answer_with_its_keys_in_order_is_known_however_long_it_is(tmp_path: Path) -> None:
    values = [[T0_S + i, "300"] for i in range(1_000)]
    text = json.dumps(json.loads(answer({"metric": METRIC, "values": values})), sort_keys=True)
    assert "resultType" not in text[:4096]
    assert len(read_log(source_of(tmp_path, text)).rows) == 1_000


def test_an_answer_of_victoriametrics_that_lacks_a_part_says_so(tmp_path: Path) -> None:
    series = {"metric": METRIC, "values": [[T0_S, "300"]]}
    log = read_log(source_of(tmp_path, answer(series, isPartial=True)))
    assert (len(log.rows), "lacks the part" in log.warnings[0]) == (1, True)
    assert read_log(source_of(tmp_path, answer(series, isPartial=False))).warnings == []


def test_a_matrix_of_a_range_selector_gives_its_true_times_and_missing_values_nothing(tmp_path: Path) -> None:
    values = [[T0_S + 0.25, "300.5"], [T0_S + 10.251, "NaN"], [T0_S + 20, "+Inf"], [T0_S + 30, "1e3"]]
    log = read_log(source_of(tmp_path, answer({"metric": METRIC, "values": values})))
    assert log.rows == [("n1", "node", T0_MS + 250, 300_500, 1), ("n1", "node", T0_MS + 30_000, 1_000_000, 4)]
    assert log.refused == []


def test_a_vector_and_a_wrapped_answer_are_read(tmp_path: Path) -> None:
    vector = answer({"metric": METRIC, "value": [T0_S, "7"]}, kind="vector")
    wrapped = json.dumps({"status": 200, "content-type": "application/json", "content": json.loads(vector)})
    for text in (vector, wrapped):
        assert read_log(source_of(tmp_path, text)).rows == [("n1", "node", T0_MS, 7_000, 1)]


def test_bad_points_are_refused_one_by_one(tmp_path: Path) -> None:
    values = [
        [T0_S, "1"],
        [T0_S, 2],
        ["soon", "3"],
        [T0_S],
        "4",
        [T0_S + 1, "1_0"],
        [T0_S * 1000, "6"],
        [T0_S + 2, "7"],
    ]
    members = ({"metric": METRIC, "values": values}, {"metric": 3}, 4, {"metric": METRIC, "value": [T0_S + 5, "9"]})
    log = read_log(source_of(tmp_path, answer(*members)))
    assert [(value, line) for *_, value, line in sorted(log.rows)] == [(1_000, 1), (7_000, 8), (9_000, 11)]
    assert sorted(log.refused, key=lambda row: row[1]) == [
        ("not a number", 2), ("not a number", 3), ("not a number", 4), ("not a number", 5), ("not a number", 6),
        ("time out of range", 7), ("unreadable series", 9), ("unreadable series", 10),
    ]  # fmt: skip


def test_a_warning_of_prometheus_is_told_for_the_answer_may_lack_a_part(tmp_path: Path) -> None:
    text = answer({"metric": METRIC, "values": [[T0_S, "1"]]}, warnings=["remote store: timeout"])
    log = read_log(source_of(tmp_path, text))
    assert len(log.rows) == 1
    assert "remote store: timeout; the answer may not be whole" in log.warnings[0]


@pytest.mark.parametrize("cut", [30, 100, 150])
def test_a_cut_answer_is_refused_as_a_whole(tmp_path: Path, cut: int) -> None:
    text = answer({"metric": METRIC, "values": [[T0_S, "1"]]})
    with pytest.raises(UnusableFile, match="truncated JSON"):
        read_log(source_of(tmp_path, text[:cut]), fmt="prometheus-json")


def test_many_series_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_json, "CHUNK_ROWS", 100)
    members = [
        {"metric": METRIC | {"instance": f"n{i}"}, "values": [[T0_S + t, str(t + 1)] for t in range(30)]}
        for i in range(20)
    ]
    chunks = list(prometheus_json.read(source_of(tmp_path, answer(*members)), ParseOptions(), NOW_MS))
    assert len(collected(chunks).rows) == 600
    assert max(len(chunk.t_ms) for chunk in chunks) <= 130
