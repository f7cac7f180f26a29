"""nvidia-smi as CSV and as XML: every trap a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from measurements.parsers import nvidia_smi_csv
from measurements.parsers.detect import detect_power
from measurements.parsers.records import ParseOptions, UnusableFile
from tests.measurements.parsers.reading import NOW_MS, ms, read_log, source_of

OPTIONS = ParseOptions(node="n1", time_zone=UTC)
HEADER = "timestamp, index, power.draw [W]\n"
T0 = ms("2026-01-01T00:00:00Z") - 86_400_000  # 2025-12-31


def test_units_missing_values_and_broken_lines(tmp_path: Path) -> None:
    text = (
        "Failed to initialize NVML: Driver/library version mismatch\n"
        + HEADER
        + "2025/12/31 00:00:00.250, 0, 187.80 W\n"
        + "2025/12/31 00:00:01, 1, 12.5\r\n"  # nounits, and a time without fraction
        + "2025/12/31 00:00:02.000, 0, [N/A]\n"
        + "2025/12/31 00:00:03.000, 0, [Insufficient Permissions]\n"
        + "2025/12/31 00:00:04.000, 0, ERR!\n"
        + "2025/12/31 00:00:05.000, GPU-x, 5 W\n"
        + "2025/12/31 00:00:06.000, 0\n"
        + HEADER
        + "2025-13-31 00:00:07.000, 0, 5 W\n"
        + "\n"
        + "2025/12/31 00:00:08.000, 1, 0.00 W"
    )
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert log.rows == [
        ("n1", "gpu0", T0 + 250, 187_800, 3),
        ("n1", "gpu1", T0 + 1000, 12_500, 4),
        ("n1", "gpu1", T0 + 8000, 0, 13),
    ]
    assert log.refused == [
        ("wrong number of fields", 1),
        ("not a number", 7),
        ("no GPU", 8),
        ("wrong number of fields", 9),
        ("repeated header", 10),
        ("unreadable time", 11),
    ]


def test_the_power_that_the_tool_shows_is_read_before_its_other_views(tmp_path: Path) -> None:
    header = "timestamp, index, power.draw.instant [W], power.draw [W], power.draw.average [W], power.limit [W]\n"
    log = read_log(source_of(tmp_path, header + "2025/12/31 00:00:00, 3, 1 W, 2 W, 3 W, 700 W\n"), OPTIONS)
    assert log.rows == [("n1", "gpu3", T0, 2000, 2)]


def test_another_view_is_read_where_the_power_that_the_tool_shows_says_nothing(tmp_path: Path) -> None:
    header = "timestamp, index, power.draw [W], power.draw.instant [W]\n"
    rows = "2025/12/31 00:00:00, 0, [N/A], 90.5 W\n2025/12/31 00:00:01, 0, [N/A], 91 W\n"
    log = read_log(source_of(tmp_path, header + rows), OPTIONS)
    assert [row[3] for row in log.rows] == [90_500, 91_000]
    assert log.warnings == ["power.draw.instant is read: power.draw says nothing"]


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        ("2025/12/31 00:00:01, 0, 18", [187_800]),  # of 187.80 W
        ("2025/12/31 00:00:01, 0, 187.80", [187_800]),
        ("2025/12/31 00:00:01, 0, 18.5 W", [187_800, 18_500]),
        ("2025/12/31 00:00:01, 0, [N/A]", [187_800]),
        ("2025/12/31 00:00:01, 0, 18\n", [187_800, 18_000]),  # whole, and of nounits
    ],
)
def test_a_power_that_the_end_of_the_file_cuts_short_is_none(tmp_path: Path, last: str, taken: list[int]) -> None:
    log = read_log(source_of(tmp_path, HEADER + "2025/12/31 00:00:00, 0, 187.80 W\n" + last), OPTIONS)
    assert [row[3] for row in log.rows] == taken
    assert log.refused == ([("unreadable line", 3)] if last[-1].isdigit() else [])


def test_uuids_name_gpus_and_say_which_index_they_have(tmp_path: Path) -> None:
    uuid = "GPU-513536b6-7d19-9063-b049-1e69664bb298"
    both = source_of(tmp_path, f"timestamp, index, uuid, power.draw [W]\n2025/12/31 00:00:00, 3, {uuid}, 5 W\n")
    (chunk, _) = nvidia_smi_csv.read(both, OPTIONS, NOW_MS)
    assert (list(chunk.channels), dict(chunk.gpus), chunk.facts[0].source) == (["gpu3"], {(0, 0): uuid}, "nvml")
    alone = source_of(tmp_path, f"timestamp, gpu_uuid, power.draw [W]\n2025/12/31 00:00:00, {uuid}, 5 W\n")
    assert read_log(alone, OPTIONS).rows == [("n1", f"gpu@{uuid}", T0, 5000, 2)]


def test_what_nobody_says_is_asked_for(tmp_path: Path) -> None:
    source = source_of(tmp_path, "timestamp, power.draw [W]\n2025/12/31 00:00:00, 5 W\n")
    assert detect_power(source).name == "nvidia-smi"
    with pytest.raises(UnusableFile, match="--node"):
        read_log(source, ParseOptions(channel="gpu0"))
    with pytest.raises(UnusableFile, match="--channel gpu0"):
        read_log(source, OPTIONS)
    assert read_log(source, replace(OPTIONS, channel="gpu0")).rows == [("n1", "gpu0", T0, 5000, 2)]
    assert read_log(source, ParseOptions(node="n1", channel="gpu0")).refused == [("time without zone", 2)]
    snapshot = source_of(tmp_path, "index, power.draw [W]\n0, 5 W\n")
    with pytest.raises(UnusableFile, match="--at"):
        read_log(snapshot, OPTIONS)
    assert read_log(snapshot, replace(OPTIONS, at_ms=T0)).rows == [("n1", "gpu0", T0, 5000, 2)]


GPU = """ <gpu id="00000000:{bus}:00.0">
  <uuid>GPU-{bus}</uuid><minor_number>{minor}</minor_number>
  <gpu_power_readings><power_draw>{draw}</power_draw><current_power_limit>500.00 W</current_power_limit>
  </gpu_power_readings><module_power_readings><power_draw>999.00 W</power_draw></module_power_readings>
 </gpu>
"""


def document(attached: int, *gpus: tuple[str, str, str], time: str = "Wed Dec 31 00:00:00 2025") -> str:
    inner = "".join(GPU.format(bus=bus, minor=minor, draw=draw) for bus, minor, draw in gpus)
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>\n'
        f" <timestamp>{time}</timestamp>\n <attached_gpus>{attached}</attached_gpus>\n{inner}</nvidia_smi_log>\n"
    )


def test_gpus_are_numbered_by_their_place_or_else_by_their_minor_number(tmp_path: Path) -> None:
    text = document(2, ("01", "1", "10.00 W"), ("02", "0", "20.00 W"))
    text += document(4, ("03", "2", "30.00 W"), time="Wed Dec 31 00:00:01 2025")
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert [row[1:4] for row in log.rows] == [
        ("gpu0", T0, 10_000),
        ("gpu1", T0, 20_000),
        ("gpu2", T0 + 1000, 30_000),
    ]
    assert [row[4] for row in log.rows] == [8, 13, 24]


def test_missing_and_odd_powers_in_xml(tmp_path: Path) -> None:
    text = document(4, ("01", "0", "N/A"), ("02", "1", "[N/A]"), ("03", "2", "a lot"), ("04", "x", "5.00 W"))
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert log.rows == [("n1", "gpu3", T0, 5000, 23)]
    assert log.refused == [("not a number", 18)]


def test_the_first_power_of_a_gpu_that_says_something_is_read(tmp_path: Path) -> None:
    powers = "<average_power_draw>N/A</average_power_draw><instant_power_draw>7.50 W</instant_power_draw>"
    text = document(1, ("01", "0", "10.00 W")).replace("<power_draw>10.00 W</power_draw>", powers)
    assert [row[3] for row in read_log(source_of(tmp_path, text), OPTIONS).rows] == [7_500]


def test_a_document_that_breaks_off_gives_what_stands_before(tmp_path: Path) -> None:
    whole = document(2, ("01", "0", "10.00 W"), ("02", "1", "20.00 W"))
    log = read_log(source_of(tmp_path, whole + whole[: whole.index("20.00")]), OPTIONS)
    assert [row[3] for row in log.rows] == [10_000, 20_000, 10_000]
    assert [refusal.reason for refusal in log.refusals] == ["broken XML"]


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "1"><!ENTITY b "&a;&a;">]>\n'
    text = document(1, ("01", "0", "10.00 W")).replace("<nvidia_smi_log>", bomb + "<nvidia_smi_log>", 1)
    text = text.replace('<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n', "")
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert (log.rows, [refusal.reason for refusal in log.refusals]) == ([], ["broken XML"])


def test_the_host_that_pdsh_puts_before_each_line_is_the_node(tmp_path: Path) -> None:
    header = "timestamp, index, uuid, power.draw [W]"
    uuids = {host: f"GPU-{i}d5c0ac5-74d7-3130-46f1-e93ed57f469a" for i, host in enumerate(("n7", "gpu-8.site"))}
    rows = [f"2025/12/31 00:00:0{i}.000, 0, {{uuid}}, {{watts}}.50 W" for i in range(2)]
    lines = [f"{host}: {header}\n" for host in uuids]
    for i, row in enumerate(rows):
        lines += [f"{host}: {row.format(uuid=uuid, watts=100 + 10 * i)}\n" for host, uuid in uuids.items()]
    text = "".join(lines) + "2025/12/31 00:00:09.000, 0, x, 5 W\nn7: [Unknown Error]\n"
    for node in (None, "n1"):  # whoever names the file's node names that of lines without one
        log = read_log(source_of(tmp_path, text), replace(OPTIONS, node=node))
        hosts = [row[:4] for row in log.rows if row[0] != "n1"]
        assert hosts == [
            (host, "gpu0", T0 + 1000 * i, 100_500 + 10_000 * i) for i in range(2) for host in ("n7", "gpu-8.site")
        ]
        assert sorted(log.refused) == [*([("no node", 7)] if node is None else []), ("wrong number of fields", 8)]
    chunks = list(nvidia_smi_csv.read(source_of(tmp_path, text), OPTIONS, NOW_MS))
    found = {chunk.nodes[at]: uuid for chunk in chunks for (at, _), uuid in chunk.gpus.items()}
    assert found == uuids
