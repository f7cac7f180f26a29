"""Logs of one node at a time: MLPerf Training, GEOPM, Redfish documents."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

import pytest

from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.redfish_json import readings
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import ms, read_log, source_of

T0 = ms("2025-06-03T00:00:00Z")
OPTIONS = ParseOptions(node="n1", time_zone=UTC)


def mllog(key: str, value: object, t_ms: object = T0) -> str:
    return (
        ":::MLLOG " + json.dumps({"namespace": "", "time_ms": t_ms, "key": key, "value": value, "metadata": ""}) + "\n"
    )


def test_mlperf_readings_and_what_is_none(tmp_path: Path) -> None:
    text = (
        mllog("power_measurement_start", None)
        + mllog("power_reading", 2795)
        + mllog("power_reading", "2755.5", T0 + 2000).replace(", ", ",").replace(": ", ":")
        + mllog("power_reading", None, T0 + 4000)
        + mllog("power_reading", "much", T0 + 6000)
        + mllog("power_reading", 5, "soon")
        + mllog("interconnect_power_est", 16100)
        + "noise\n"
        + mllog("power_reading", -42, T0 + 8000)
    )
    log = read_log(source_of(tmp_path, text, "node_3.txt"))
    assert log.rows == [
        ("node_3", "node", T0, 2_795_000, 2),
        ("node_3", "node", T0 + 2000, 2_755_500, 3),
        ("node_3", "node", T0 + 8000, -42_000, 9),
    ]
    assert log.refused == [
        ("not a number", 5),
        ("time out of range", 6),
        ("estimate without a time", 7),
        ("unreadable line", 8),
    ]


def test_mlperf_readings_behind_a_power_supply_are_taken_to_the_wall(tmp_path: Path) -> None:
    text = mllog("power_measurement_start", None) + mllog("power_reading", 1000) + mllog("conversion_eff", 1.05)
    log = read_log(source_of(tmp_path, text, "node_0.txt"), OPTIONS)
    assert log.rows == [("n1", "node", T0, 1_050_000, 2)]
    assert log.warnings == ["readings times 1.05, the log's conversion_eff"]


GEOPM = (
    "# geopm_version: 3.1.0\n# start_time: Tue Jun  3 00:00:00 2025\n# node_name: x1\n"
    "TIME|EPOCH_COUNT|CPU_ENERGY|CPU_POWER|DRAM_POWER|BOARD_ENERGY|BOARD_POWER\n"
)


def test_mlperf_says_which_conversion_it_does_not_use(tmp_path: Path) -> None:
    text = mllog("power_reading", 100) + mllog("conversion_eff", 95) + mllog("conversion_eff", 0.9)
    text += mllog("conversion_eff", 0.8)
    log = read_log(source_of(tmp_path, text), ParseOptions(node="n1"))
    assert [row[3] for row in log.rows] == [90_000]
    assert log.warnings == [
        "readings times 0.9, the log's conversion_eff", "conversion_eff 95: not used", "conversion_eff 0.8: not used",
    ]  # fmt: skip


def test_mlperf_takes_nothing_out_of_the_metadata(tmp_path: Path) -> None:
    said = {"metadata": {"key": "x", "value": 1}, "time_ms": T0, "key": "power_reading", "value": 300}
    text = mllog("power_reading", 100) + f":::MLLOG {json.dumps(said)}\n"
    log = read_log(source_of(tmp_path, text), ParseOptions(node="n1"))
    assert ([row[3] for row in log.rows], log.refused) == ([100_000], [("unreadable line", 2)])


def test_geopm_reads_counters_before_powers(tmp_path: Path) -> None:
    text = GEOPM + "0.5|0|10.25|nan|7.5|3000000000|nan\n1.5|0|nan|100|8|3000000200|200\n"
    log = read_log(source_of(tmp_path, text), ParseOptions(time_zone=UTC))
    assert log.kinds == {"node": "counter", "cpu": "counter", "dram": "gauge"}
    assert log.rows == [
        ("x1", "node", T0 + 500, 3_000_000_000_000_000, 5),
        ("x1", "cpu", T0 + 500, 10_250_000, 5),
        ("x1", "dram", T0 + 500, 7500, 5),
        ("x1", "node", T0 + 1500, 3_000_000_200_000_000, 6),
        ("x1", "dram", T0 + 1500, 8000, 6),
    ]


def test_geopm_reads_the_domains_of_a_part_that_has_no_sum(tmp_path: Path) -> None:
    names = "TIME|EPOCH_COUNT|CPU_ENERGY-package-0|CPU_ENERGY-package-1|CPU_POWER-package-0|GPU_POWER-gpu-3"
    names += "|DRAM_ENERGY|DRAM_ENERGY-memory-0"
    text = GEOPM[: GEOPM.index("TIME")] + names + "\n1|0|10|20|5|300|7|8\n"
    log = read_log(source_of(tmp_path, text), ParseOptions(time_zone=UTC))
    taken = {row[1]: row[3] for row in log.rows}
    assert taken == {"cpu0": 10_000_000, "cpu1": 20_000_000, "gpu3": 300_000, "dram": 7_000_000}


def test_geopm_lines_that_are_broken(tmp_path: Path) -> None:
    text = GEOPM + "x|0|1|1|1|1|1\n1|0|1\n\n2|0|1|1|lots|1|1\nnan|0|1|1|1|1|1\n"
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert [row[4] for row in log.rows] == [8, 8], "what is readable of a line is taken"
    assert sorted(log.refused, key=lambda row: row[1]) == [
        ("unreadable time", 5),
        ("wrong number of fields", 6),
        ("not a number", 8),
        ("unreadable time", 9),
    ]


def test_geopm_needs_a_zone_a_node_and_an_energy(tmp_path: Path) -> None:
    source = source_of(tmp_path, GEOPM + "1|0|1|1|1|1|1\n")
    with pytest.raises(UnusableFile, match="--time-zone"):
        read_log(source)
    with pytest.raises(UnusableFile, match="--node"):
        read_log(source_of(tmp_path, GEOPM.replace("node_name", "x")), ParseOptions(time_zone=UTC))
    with pytest.raises(UnusableFile, match="BOARD_ENERGY"):
        read_log(source_of(tmp_path, "# geopm_version: 3\n# start_time: x\nTIME|A\n1|2\n"), OPTIONS)


PROCESSORS = "/redfish/v1/Systems/1/Processors"
POWER = {
    "@odata.type": "#Power.v1_7_1.Power",
    "@odata.id": "/redfish/v1/Chassis/1/Power",
    "PowerControl": [
        {"Name": "System Input Power", "PowerConsumedWatts": 344},
        {"Name": "Second board", "PowerConsumedWatts": 53},
        {"Name": "CPU Sub-system Power", "PowerConsumedWatts": 120.5},
        {"Name": "Memory Power", "PhysicalContext": "Memory", "PowerConsumedWatts": None},
        {"Name": "No reading at all"},
    ],
}


def test_redfish_members_are_summed_unless_they_are_parts() -> None:
    found, notes = readings(POWER)
    assert [(one.channel, one.value) for one in found] == [("node", 397.0), ("cpu", 120.5), ("dram", None)]
    assert notes == ["the node's power is the sum of System Input Power, Second board"]


def test_redfish_without_one_of_its_members_has_no_whole_power() -> None:
    control = [{"Name": "A", "PowerConsumedWatts": 344}, {"Name": "B", "PowerConsumedWatts": None}]
    assert [one.value for one in readings({"PowerControl": control})[0]] == [None]


@pytest.mark.parametrize(
    ("document", "channel", "value"),
    [
        ({"PowerWatts": {"Reading": 374}}, "node", 374.0),
        ({"EnergyJoules": {"Reading": 5}}, "node", 5.0),
        ({"EnergykWh": {"Reading": 2.5}}, "node_energy", 9e6),
        ({"@odata.id": f"{PROCESSORS}/CPU2/EnvironmentMetrics", "PowerWatts": {"Reading": 90}}, "cpu2", 90.0),
        ({"@odata.id": f"{PROCESSORS}/GPU_0/EnvironmentMetrics", "PowerWatts": {"Reading": 1}}, "gpu0", 1.0),
        ({"ReadingType": "Power", "ReadingUnits": "W", "Reading": 7, "PhysicalContext": "Chassis"}, "node", 7.0),
        ({"ReadingType": "EnergykWh", "Reading": 1, "PhysicalContext": "Fan", "Id": "F1"}, "fan1_energy", 3.6e6),
    ],
)  # fmt: skip
def test_redfish_resources(document: dict[str, object], channel: str, value: float) -> None:
    ((one,), _) = readings(document)
    assert (one.channel, one.value) == (channel, value)


def sensor(name: str, watts: float, **said: object) -> dict[str, object]:
    place = f"/redfish/v1/Chassis/1/Sensors/{name}"
    return {"@odata.id": place, "Id": name, "ReadingType": "Power", "ReadingUnits": "W", "Reading": watts, **said}


def test_redfish_sensors_that_say_no_context_are_known_by_their_names_or_not_used(tmp_path: Path) -> None:
    names = ("TotalPower", "GPU1_Pwr", "PS1_Input", "Sys_Fan_Power", "CPU2 Power", "Power_Limit", "P12V_Out", "Riser")
    members = [sensor(name, 100 + at) for at, name in enumerate(names)]
    document = {"@odata.type": "#SensorCollection.SensorCollection", "Members": members}
    log = read_log(source_of(tmp_path, json.dumps(document)), ParseOptions(node="n1", at_ms=T0))
    taken = {row[1]: row[3] // 1000 for row in log.rows}
    assert taken == {"node": 100, "gpu1": 101, "psu1": 102, "fan": 103, "cpu2": 104}
    assert [warning.partition(":")[0] for warning in log.warnings] == [
        "sensor Power_Limit", "sensor P12V_Out", "sensor Riser",
    ]  # fmt: skip


def test_redfish_of_two_sensors_for_one_channel_the_second_is_refused(tmp_path: Path) -> None:
    members = [sensor("TotalPower", 300), sensor("System_Input_Power", 340)]
    document = {"@odata.type": "#SensorCollection.SensorCollection", "Members": members}
    log = read_log(source_of(tmp_path, json.dumps(document)), ParseOptions(node="n1", at_ms=T0))
    assert [(row[1], row[3]) for row in log.rows] == [("node", 300_000)], "and never the larger of both"
    assert log.refused == [("two series for one channel", 2)]


@pytest.mark.parametrize(
    ("chassis", "channel"),
    [("HGX_GPU_SXM_3", "gpu3"), ("HGX_CPU_0", "cpu0"), ("HGX_Chassis_0", "board0"), ("GPU_Server", "node")],
)
def test_redfish_of_a_chassis_inside_the_node_is_of_that_part(chassis: str, channel: str) -> None:
    place = f"/redfish/v1/Chassis/{chassis}"
    environment = {"@odata.id": f"{place}/EnvironmentMetrics", "PowerWatts": {"Reading": 300}}
    power = {"@odata.id": f"{place}/Power", "PowerControl": [{"Name": "Total", "PowerConsumedWatts": 300}]}
    for document in (environment, power):
        assert [one.channel for one in readings(document)[0]] == [channel]


def test_redfish_says_why_a_sensor_is_not_used(tmp_path: Path) -> None:
    kilowatts = {"@odata.type": "#Sensor", **sensor("TotalPower", 3.7, ReadingUnits="kW")}
    with pytest.raises(UnusableFile, match="its unit 'kW'"):
        read_log(source_of(tmp_path, json.dumps(kilowatts)), ParseOptions(node="n1", at_ms=T0))


@pytest.mark.parametrize("value", [True, "344", [], 10**400])
def test_redfish_values_that_are_no_number(tmp_path: Path, value: object) -> None:
    document = {"@odata.type": "#Power.v1_7_1.Power", "PowerControl": [{"Name": "A", "PowerConsumedWatts": value}]}
    log = read_log(source_of(tmp_path, json.dumps(document)), ParseOptions(node="n1", at_ms=T0))
    assert (log.rows, log.refused) == ([], [("not a number", 1)])


def test_redfish_takes_node_and_time_from_where_they_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "n7" / "redfish" / "v1" / "Chassis" / "1" / "Power"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(POWER))
    assert {row[0] for row in read_log(Source(folder / "index.json"), ParseOptions(at_ms=T0)).rows} == {"n7"}
    assert read_log(Source(folder / "index.json")).refused == [("no time", 1), ("no time", 2)]
    sensor = {
        "@odata.type": "#Sensor",
        "ReadingType": "Power",
        "Reading": 7,
        "ReadingTime": "2025-06-03T02:00:00+02:00",
    }
    log = read_log(source_of(tmp_path, json.dumps(sensor), "n8.json"), ParseOptions(at_ms=T0 + 1))
    assert log.rows == [("n8", "node", T0, 7000, 1)]
