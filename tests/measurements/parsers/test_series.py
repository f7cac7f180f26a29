"""The door of series: which of several counts, parts that are added up, what is missing, what is told."""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from measurements.parsers.records import GpuAt
from measurements.parsers.series import Catalogue, SeriesSamples
from tests.measurements.parsers.reading import NOW_MS
from tests.measurements.parsers.series_reading import T0_MS, Sample, catalogue, own_mapping, plain, refused, taken

GPU = "GPU-6d5c0ac5-74d7-3130-46f1-e93ed57f469a"
DCGM = {"gpu": "0", "UUID": GPU, "Hostname": "n1"}
POWER, ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
STALE = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, STALE], ids=["NaN", "+Inf", "-Inf", "stale marker"])
def test_what_is_no_finite_number_is_missing_and_no_refusal(value: float) -> None:
    chunk = taken(catalogue(), [(POWER, DCGM, 0, value), (POWER, DCGM, 1000, 5.0)])
    assert plain(chunk) == [("n1", "gpu0", "gauge", 1000, 5_000)]
    assert refused(chunk) == []


@pytest.mark.parametrize(("unit", "is_read"), [("W", True), ("Watts", True), ("", True), ("mW", False), ("J", False)])
def test_a_series_that_says_another_unit_than_its_mapping_is_refused(unit: str, *, is_read: bool) -> None:
    labels = {"hostname": "n1", "type": "node", "unit": unit}
    chunk = taken(catalogue(), [("node_power", labels, 0, 228_100.0)])
    assert [row[4] for row in plain(chunk)] == ([228_100_000] if is_read else [])
    assert [reason for reason, _ in refused(chunk)] == ([] if is_read else ["no mapping for these labels"])


def test_a_site_s_own_mapping_reads_what_another_unit_says(tmp_path: Path) -> None:
    text = """
        [node]
        labels = ["hostname"]
        [[series]]
        metric = "node_power"
        where = { unit = "mW" }
        channel = "node"
        unit = "mW"
        source = "own"
    """
    known = catalogue(own_mapping(tmp_path, text))
    chunk = taken(known, [("node_power", {"hostname": "n1", "unit": "mW"}, 0, 228_100.0)])
    assert [row[4] for row in plain(chunk)] == [228_100]


def test_zero_and_negative_values_are_given_on_for_the_ingest_to_judge() -> None:
    chunk = taken(catalogue(), [(POWER, DCGM, 0, 0.0), (POWER, DCGM, 1, -1.0)])
    assert [row[4] for row in plain(chunk)] == [0, -1_000]


def test_the_energy_counter_of_a_gpu_is_read_instead_of_its_power() -> None:
    known = catalogue()
    chunk = taken(known, [(POWER, DCGM, 0, 68.0), (ENERGY, DCGM, 0, 1.0), (POWER, DCGM | {"gpu": "1"}, 0, 70.0)])
    assert plain(chunk) == [("n1", "gpu0", "counter", 0, 1_000), ("n1", "gpu1", "gauge", 0, 70_000)]
    assert "better series" in known.summary()[0]


def test_the_better_series_counts_also_when_it_comes_in_another_request_but_not_for_ever() -> None:
    known = catalogue()
    taken(known, [(ENERGY, DCGM, 0, 1.0)])
    assert plain(taken(known, [(POWER, DCGM, 300_000, 68.0)])) == []
    assert len(plain(taken(known, [(POWER, DCGM, 1_200_001, 68.0)]))) == 1
    assert len(plain(taken(known, [(POWER, DCGM, -1_200_001, 68.0)]))) == 1


def test_two_series_of_one_channel_at_one_time_are_never_mixed() -> None:
    chassis: list[Sample] = [
        ("ceems_redfish_current_watts", {"hostname": "n1", "chassis": f"Chassis_{i}"}, t, 100.0 * i)
        for t in (0, 1000)
        for i in (2, 1)
    ]
    chunk = taken(catalogue(), chassis)
    assert plain(chunk) == [("n1", "node", "gauge", 0, 100_000), ("n1", "node", "gauge", 1000, 100_000)]
    assert refused(chunk) == [("two series for one channel", 1)]
    assert "Chassis_2" in chunk.refusals[0].text


def test_a_series_that_follows_another_one_of_its_channel_goes_on_with_it() -> None:
    pods: list[Sample] = [
        ("kepler_node_cpu_watts", {"node_name": "n1", "zone": "package", "pod": "a"}, 0, 10.0),
        ("kepler_node_cpu_watts", {"node_name": "n1", "zone": "package", "pod": "b"}, 1000, 11.0),
    ]
    chunk = taken(catalogue(), pods)
    assert [row[3:] for row in plain(chunk)] == [(0, 10_000), (1000, 11_000)]
    assert refused(chunk) == []


def test_series_that_repeat_one_reading_are_all_given_on() -> None:
    parts: list[Sample] = [(POWER, DCGM | {"GPU_I_ID": str(i), "GPU_I_PROFILE": "2g.20gb"}, 0, 55.0) for i in (3, 4)]
    chunk = taken(catalogue(), parts)
    assert plain(chunk) == [("n1", "gpu0", "gauge", 0, 55_000)] * 2  # the store keeps one of an instant
    assert refused(chunk) == []


def test_overlapping_zones_are_channels_of_their_own_and_never_added() -> None:
    zones = ("psys", "package", "core", "uncore", "dram")
    chunk = taken(
        catalogue(), [("kepler_node_cpu_joules_total", {"node_name": "n1", "zone": zone}, 0, 1.0) for zone in zones]
    )
    assert plain(chunk) == [
        ("n1", name, "counter", 0, 1_000_000) for name in sorted(("psys", "cpu", "core", "uncore", "dram"))
    ]


def old_kepler(mode: str, after: int, value: float) -> Sample:
    return ("kepler_node_package_joules_total", {"instance": "n1", "package": "0", "mode": mode}, after, value)


def test_idle_and_dynamic_energy_of_old_kepler_are_added_where_both_are_there() -> None:
    known = catalogue()
    rows = [old_kepler("idle", 0, 5.0), old_kepler("dynamic", 0, 2.5), old_kepler("idle", 1000, 6.0)]
    rows += [old_kepler("dynamic", 2000, 3.0), old_kepler("dynamic", 2000, 3.0), old_kepler("idle", 2000, 7.0)]
    assert plain(taken(known, rows)) == [
        ("n1", "cpu0", "counter", 0, 7_500_000),
        ("n1", "cpu0", "counter", 2000, 10_000_000),
    ]
    assert ["lack another part" in warning for warning in known.summary()] == [True]


def test_a_refused_series_is_told_once_in_a_life_or_once_in_each_request() -> None:
    known = catalogue()
    row: Sample = ("rack_power_watts", {"instance": "n1"}, 0, 5.0)
    assert refused(taken(known, [row, row])) == [("no mapping for this metric", 1)]
    assert refused(taken(known, [row])) == []
    assert refused(taken(known, [row], set())) == [("no mapping for this metric", 1)]
    assert refused(taken(known, [row], set())) == [("no mapping for this metric", 1)]


def test_a_time_out_of_range_is_refused_sample_by_sample_but_only_of_what_is_read() -> None:
    old = -T0_MS
    chunk = taken(catalogue(), [(POWER, DCGM, old, 1.0), ("node_load1", {}, old, 1.0), (POWER, DCGM, 0, 1.0)])
    assert refused(chunk) == [("time out of range", 1)]
    assert len(plain(chunk)) == 1


def test_no_number_is_too_large_to_be_refused() -> None:
    chunk = taken(catalogue(), [(ENERGY, DCGM, 0, 1e300), (ENERGY, DCGM, 1, 1e15)])
    assert refused(chunk) == [("out of range", 1)]
    assert [row[4] for row in plain(chunk)] == [10**18]


def test_uuids_of_gpus_come_with_their_channels_and_indices_where_a_series_tells_them() -> None:
    chunk = taken(
        catalogue(),
        [
            (ENERGY, DCGM, 0, 1.0),
            ("nvidia_smi_index", {"uuid": GPU[4:], "instance": "n2:9835"}, 5, 3.0),
            ("nvidia_smi_index", {"uuid": GPU[4:], "instance": "n3:9835"}, 5, 0.5),
            ("nvidia_smi_power_draw_watts", {"uuid": GPU[4:], "instance": "n2:9835"}, 5, 300.0),
        ],
    )
    found = {(chunk.nodes[node], chunk.channels[channel]): uuid for (node, channel), uuid in chunk.gpus.items()}
    assert found == {("n1", "gpu0"): GPU, ("n2", f"gpu@{GPU}"): GPU}
    assert chunk.places == [GpuAt("n2", 3, GPU, T0_MS + 5)]


@pytest.mark.parametrize("metric", ["node_load1", "node_cpu_seconds_total"])
def test_a_metric_that_is_left_out_costs_one_entry_whatever_its_labels(metric: str) -> None:
    known = catalogue()
    taken(known, [(metric, {"cpu": str(i)}, 0, 1.0) for i in range(1000)])
    assert len(known) == 1


def test_hostile_labels_are_text_and_nothing_else() -> None:
    nasty = '<script>alert(1)</script>"\n\x00../../etc'
    chunk = taken(
        catalogue(),
        [
            (POWER, {"gpu": nasty, "Hostname": "n1"}, 0, 1.0),
            (POWER, {"gpu": "0", "Hostname": nasty}, 0, 1.0),
            (POWER, {"gpu": "0", "Hostname": "n" * 3000}, 0, 1.0),
            ("x_power_watts", {"l" * 4000: nasty * 1000}, 0, 1.0),
        ],
    )
    assert plain(chunk) == []
    assert [reason for reason, _ in refused(chunk)] == ["unusable label"] * 3 + ["name and labels too long"]
    assert all(refusal.text.isprintable() and len(refusal.text) <= 500 for refusal in chunk.refusals)


def test_a_million_samples_of_known_series_take_no_python_for_each() -> None:
    known: Catalogue = catalogue()
    codes = np.array([known.code(ENERGY, DCGM | {"gpu": str(i)}) for i in range(8)], np.int32)
    count = 1_000_000
    samples = SeriesSamples(
        np.tile(codes, count // 8), T0_MS + np.arange(count) // 8 * 1000, np.full(count, 1.5), np.arange(count) + 1
    )
    calls = 0

    def counted(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(counted)
    try:
        chunk = known.chunk(samples, NOW_MS)
    finally:
        sys.setprofile(None)
    assert len(chunk.t_ms) == count
    assert calls < 2_000
