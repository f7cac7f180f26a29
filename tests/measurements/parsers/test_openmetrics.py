"""The text that exporters show: real pages with their figures, and its traps."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from measurements.parsers import openmetrics
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import NOW_MS, Log, collected, ms, read_log, source_of

AT_MS = ms("2025-03-01T12:00:00Z")
AT = ParseOptions(node="n1", at_ms=AT_MS)


def figures(log: Log) -> dict[str, int]:
    """Stored values by channel."""
    assert {(node, t) for node, _, t, _, _ in log.rows} == {("n1", AT_MS)}
    return {channel: value for _, channel, _, value, _ in log.rows}


def test_the_page_of_ceems_gives_the_node_its_parts_and_no_window_of_the_bmc(shared_data: Path) -> None:
    page = shared_data / "prometheus_text" / "ceems_exporter" / "e2e-test-cgroupsv1-output.txt"
    log = read_log(Source(page), AT)
    assert figures(log) == {
        "node": 1_360_621_494_000_000,  # pm_counters, rather than DCMI's 332 W or Redfish's 397 W of one chassis
        "cpu": 139_431_088_000_000,
        "dram": 104_283_458_000_000,
        "gpu0": 208_970_342_000_000,
        "gpu1": 268_461_017_000_000,
        "gpu2": 271_696_890_000_000,
        "gpu3": 251_713_932_000_000,
        "cpu0": 258_218_293_244,
        "cpu1": 130_570_505_826,
        "dram0": 24_468_409_791,
        "dram1": 64_930_394_974,
    }
    assert set(log.kinds.values()) == {"counter"}
    assert log.refused == []


def test_without_pm_counters_the_node_is_what_dcmi_reads(shared_data: Path) -> None:
    page = shared_data / "prometheus_text" / "ceems_exporter" / "e2e-test-cgroupsv2-nvidia-ipmiutil-output.txt"
    log = read_log(Source(page), AT)
    assert figures(log)["node"] == 49_000
    assert sorted(figures(log)) == ["cpu0", "cpu1", "dram0", "dram1", "node"]


def test_of_three_thousand_series_of_node_exporter_its_two_counters_are_read(shared_data: Path) -> None:
    log = read_log(Source(shared_data / "prometheus_text" / "node_exporter" / "e2e-output.txt"), AT)
    assert figures(log) == {"cpu0": 240_422_366_267, "core0": 118_821_284_256}
    assert log.refused == []
    assert any("metrics left out (node_arp_entries" in warning for warning in log.warnings)


@pytest.mark.parametrize(("state", "stored"), [("idle", 69_850), ("load", 631_950)])
def test_the_page_of_an_h100_gives_its_power_under_its_uuid(shared_data: Path, state: str, stored: int) -> None:
    folder = shared_data / "prometheus_text" / "nvidia_gpu_exporter"
    page = folder / f"linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01__{state}.metrics"
    (chunk, *_) = openmetrics.read(Source(page), AT, NOW_MS)
    uuid = "GPU-00000000-0000-0000-0000-000000000000"
    assert collected([chunk]).rows[0][1::2] == (f"gpu@{uuid}", stored)
    assert [(place.index, place.uuid) for place in chunk.places] == [(0, uuid)]


TEXT = """# HELP node_rapl_package_joules_total RAPL
# TYPE node_rapl_package_joules_total counter
node_rapl_package_joules_total{index="0",instance="n1:9100",path="a \\"b\\", {c} \\\\ d"} 1.5e+03 1740830400250
node_rapl_package_joules_total{index="1",instance="n1:9100",} 2 1740830400.25

ipmi_dcmi_power_consumption_watts{instance="n2"} NaN 1740830400000
ipmi_dcmi_power_consumption_watts{ instance = "n2" } 300 1740830401000 # {trace_id="x"} 0.5
{__name__="ipmi_dcmi_power_consumption_watts",instance="n3"} 301 1740830401000
{"ipmi_dcmi_power_consumption_watts",instance="n4"} 302 1740830401000
up 1 1740830401000
# EOF
"""


def test_times_in_ms_or_s_escapes_and_names_among_the_labels_are_read(tmp_path: Path) -> None:
    log = read_log(source_of(tmp_path, TEXT))
    assert sorted(log.rows) == [
        ("n1", "cpu0", AT_MS + 250, 1_500_000_000, 3),
        ("n1", "cpu1", AT_MS + 250, 2_000_000, 4),
        ("n2", "node", AT_MS + 1000, 300_000, 7),
        ("n3", "node", AT_MS + 1000, 301_000, 8),
        ("n4", "node", AT_MS + 1000, 302_000, 9),
    ]
    assert log.refused == []


def test_each_broken_line_is_refused_with_its_number_and_the_rest_goes_in(tmp_path: Path) -> None:
    good = 'ipmi_dcmi_power_consumption_watts{instance="n1"}'
    lines = [
        f"{good} 1 1740830400000",
        f"{good} one 1740830401000",
        f"{good} 2 soon",
        f"{good}",
        'ipmi_dcmi_power_consumption_watts{instance="n1} 3 1740830402000',
        'ipmi_dcmi_power_consumption_watts{instance="n1",instance="n2"} 3 1740830402000',
        f"{good} 4 17",
        f"{good} 5",
        "node_load1 one",
        f"{good} 6 1740830403000",
    ]
    log = read_log(source_of(tmp_path, "\r\n".join(lines)))
    assert [row[3:] for row in sorted(log.rows)] == [(1_000, 1), (6_000, 10)]
    assert sorted(log.refused, key=lambda row: row[1]) == [
        ("not a number", 2), ("unreadable time", 3), ("unreadable line", 4), ("unreadable line", 5),
        ("unreadable line", 6), ("time out of range", 7), ("no time", 8),
    ]  # fmt: skip
    assert all(refusal.text for refusal in log.refusals)


def test_a_page_without_times_needs_to_be_told_when_it_was_taken(tmp_path: Path) -> None:
    page = source_of(tmp_path, 'ipmi_dcmi_power_consumption_watts{instance="n1"} 345\n')
    with pytest.raises(UnusableFile, match="--at"):
        read_log(page)
    assert read_log(page, ParseOptions(at_ms=AT_MS)).rows == [("n1", "node", AT_MS, 345_000, 1)]


def test_a_page_is_known_by_its_content_and_line_protocol_or_csv_is_not_one() -> None:
    assert openmetrics.matches("# HELP a b\n# TYPE a gauge\na 1\n")
    assert openmetrics.matches('a{b="c"} 1e3 1740830400000\n')
    assert not openmetrics.matches("cpu,host=n1 value=1 1740830400\n")
    assert not openmetrics.matches("timestamp,node,watts\n2025-03-01T12:00:00Z,n1,345\n")
    assert not openmetrics.matches("# geopm_version: 3\nTIME|A\n")


def test_small_blocks_and_gzip_give_the_same_rows_with_the_same_lines(tmp_path: Path) -> None:
    text = "".join(
        f'node_rapl_package_joules_total{{index="{i % 2}",instance="n{i % 7}:9100"}} {i} {1740830400000 + i}\n'
        for i in range(2000)
    )
    whole = read_log(source_of(tmp_path, text)).rows
    small = collected(openmetrics.read(source_of(tmp_path, text), ParseOptions(), NOW_MS, block_bytes=512)).rows
    packed = read_log(source_of(tmp_path, gzip.compress(text.encode()))).rows
    assert len(whole) == 2000
    assert sorted(whole) == sorted(small) == sorted(packed)
