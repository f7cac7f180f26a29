"""What is sent says the same in both forms, and is what the site reads."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.units import Kind
from measurements.parsers import power_csv
from measurements.parsers.records import ParseOptions
from measurements.parsers.source import Source
from workers.agent import batch
from workers.agent.readings import Channel, Reading, value_text

CHANNELS = [
    Channel("cpu0", "rapl", counter=True, wrap_uj=262_143_328_850, interval_ms=1_000),
    Channel("gpu0", "nvml", counter=True, uuid="GPU-a", mig=("MIG-1",), interval_ms=1_000),
    Channel("node", "ipmi_dcmi", counter=False, interval_ms=30_000),
]
COLUMNS = {one.column: place for place, one in enumerate(CHANNELS)}
READINGS = [
    Reading(1_763_748_000_001, "cpu0_j", 262_143_328_849),
    Reading(1_763_748_000_001, "gpu0_j", 1_000_123_000),
    Reading(1_763_748_000_014, "node_w", 345_600),
    Reading(1_763_748_001_001, "cpu0_j", 7),
]


def one() -> batch.Batch:
    found = batch.parse(batch.head("n1", CHANNELS) + batch.rows("n1", COLUMNS, READINGS))
    assert found
    return found


def test_the_csv_is_the_plain_wide_table_that_the_site_reads(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    path.write_bytes(batch.as_csv([one()]))
    got = {}
    for chunk in power_csv.read(Source(path), ParseOptions(), READINGS[-1].t_ms):
        assert not chunk.refusals
        for i, t_ms in enumerate(chunk.t_ms):
            channel = chunk.channels[chunk.channel[i]]
            kind = chunk.kinds[chunk.channel[i]]
            got[int(t_ms), channel, kind] = int(chunk.value[i])
    unit = {"j": Kind.COUNTER, "w": Kind.GAUGE}
    assert got == {(r.t_ms, r.column[:-2], unit[r.column[-1]]): r.value for r in READINGS}


def test_the_json_holds_the_same_and_the_facts() -> None:
    body = json.loads(batch.as_json("n1", [one()], [{"id": "a", "readings": 3, "from": 1.0, "to": 2.0}]))
    assert body["channels"]["cpu0"] == {"source": "rapl", "interval_ms": 1_000, "wrap_uj": 262_143_328_850}
    assert body["channels"]["gpu0"]["uuid"] == "GPU-a"
    assert body["channels"]["gpu0"]["mig"] == ["MIG-1"]
    assert body["lost"][0]["readings"] == 3
    assert body["samples"] == [
        {"timestamp": 1763748000.001, "node": "n1", "channel": "cpu0", "joules": 262143.328849},
        {"timestamp": 1763748000.001, "node": "n1", "channel": "gpu0", "joules": 1000.123},
        {"timestamp": 1763748000.014, "node": "n1", "channel": "node", "watts": 345.6},
        {"timestamp": 1763748001.001, "node": "n1", "channel": "cpu0", "joules": 0.000007},
    ]
    assert "lost" not in json.loads(batch.as_json("n1", [one()]))


def test_readings_are_counted_and_not_cells() -> None:
    assert one().readings == 4
    assert one().span == (1763748000.001, 1763748001.001)


@given(st.integers(0, 2**51))  # 2 GJ: beyond it a float64 of joules is a microjoule off
def test_joules_keep_every_microjoule(value_uj: int) -> None:
    assert round(float(value_text("cpu0_j", value_uj)) * 1_000_000) == value_uj


@given(st.integers(0, 10**9))
def test_watts_keep_every_milliwatt(value_mw: int) -> None:
    assert round(float(value_text("node_w", value_mw)) * 1_000) == value_mw


def test_a_file_cut_off_anywhere_holds_whole_lines_only() -> None:
    """Cut within its last field, a line looks whole but for its end: 345.600 W would become 3."""
    data = batch.head("n1", CHANNELS) + batch.rows("n1", COLUMNS, READINGS)
    whole = one().lines
    for cut in range(len(data) + 1):
        found = batch.parse(data[:cut])
        assert found is None or found.lines == whole[: len(found.lines)]


@given(st.binary(max_size=300))
def test_no_bytes_whatever_stop_the_agent(noise: bytes) -> None:
    batch.parse(noise)
    batch.parse(batch.head("n1", CHANNELS) + noise)
