"""ipmitool's sensors, DCMI power statistics, and files of many nodes put together."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from dataclasses import replace
from datetime import UTC, tzinfo
from itertools import zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from measurements.parsers.ipmi_sdr import channel_of, matches, read
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.tar_text import dated_name, node_of_path
from tests.measurements.parsers.reading import NOW_MS, collected, ms, read_log, source_of

T0 = ms("2025-06-03T00:00:00Z")
OPTIONS = ParseOptions(node="n1")
SDR = (
    "Timestamp: 2025-06-03 00:00:00 UTC\n"
    "Host Power               | 0x00              | ok\n"
    "Sys Power                | 940 Watts         | ok\n"
    "CPU Power                | no reading        | ns\n"
    "Mem Power                | 125 Watts         | ok\n"
    "PSU1 AC In Pwr           | 95 Watts          | ok\n"
    "PSU1 DC Out Pwr          | 80 Watts          | ok\n"
    "Chassis Power            | 10650 Watts       | ok\n"
    "Inlet Temp               | 22 degrees C      | ok\n"
)


def test_sdr_gives_the_node_and_its_parts_and_nothing_of_a_chassis(tmp_path: Path) -> None:
    log = read_log(source_of(tmp_path, SDR), OPTIONS)
    assert log.rows == [
        ("n1", "node", T0, 940_000, 3),
        ("n1", "dram", T0, 125_000, 5),
        ("n1", "psu1", T0, 95_000, 6),
    ]
    assert log.refused == []
    assert sorted(text.partition(":")[0] for text in log.warnings) == ["Chassis Power", "PSU1 DC Out Pwr"]


@pytest.mark.parametrize(
    "line",
    [
        "Pwr Consumption  | 210.000    | Watts      | ok    | na | na | na | 896.000 | 980.000 | na",  # sensor
        "Pwr Consumption  | 77h | ok  |  7.1 | 210 Watts",  # sdr elist
        "Pwr Consumption  | 210 Watts         | nc",
    ],
)
def test_the_other_forms_of_ipmitool(tmp_path: Path, line: str) -> None:
    log = read_log(source_of(tmp_path, f"{line}\nFan1 | 3000 RPM | ok\n"), replace(OPTIONS, at_ms=T0))
    assert log.rows == [("n1", "node", T0, 210_000, 1)]


def test_each_line_has_the_time_above_it_and_needs_one(tmp_path: Path) -> None:
    text = "Sys Power | 1 Watts | ok\n" + SDR + "Timestamp: never\nSys Power | 2 Watts | ok\n?!\n"
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert [row[4] for row in log.rows] == [4, 6, 7]
    assert log.refused == [("no time", 1), ("unreadable time", 12), ("unreadable line", 13)]
    assert read_log(source_of(tmp_path, SDR), ParseOptions()).refused == [("no node", line) for line in (3, 5, 6)]


def test_of_two_sensors_of_the_whole_node_the_first_counts(tmp_path: Path) -> None:
    text = SDR + "Pwr Consumption | 1000 Watts | ok\n"
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert [row[3] for row in log.rows if row[1] == "node"] == [940_000]
    assert any(text.startswith("Pwr Consumption: not used where Sys Power") for text in log.warnings)


BERLIN = ZoneInfo("Europe/Berlin")
FOLD = ms("2025-10-26T00:30:00Z")  # 02:30 in Berlin, for the first time


@pytest.mark.parametrize(
    ("stamp", "zone", "t_ms"),
    [
        ("Sun Oct 26 02:30:00 CEST 2025", BERLIN, FOLD),
        ("Sun Oct 26 02:30:00 CET 2025", BERLIN, FOLD + 3_600_000),  # the letters say which of both
        ("Sun Oct 26 00:30:00 UTC 2025", None, FOLD),
        ("Timestamp: 2025-10-26 02:30:00 CEST", BERLIN, FOLD),
        ("2025-10-26T02:30:00+02:00", None, FOLD),
        (str(FOLD // 1000), None, FOLD),
        ("Timestamp: 10/26/25 02:30:00 CEST", BERLIN, FOLD),
        ("Sun Oct 26 02:30:00 AM CEST 2025", BERLIN, FOLD),  # en_US
        ("Sun Oct 26 12:30:00 AM UTC 2025", None, FOLD),
        ("Sat Oct 25 09:30:00 PM -03 2025", None, FOLD),  # a zone without letters
        ("Sun 26 Oct 00:30:00 GMT 2025", None, FOLD),  # en_GB
        ("So 26. Okt 02:30:00 CEST 2025", BERLIN, FOLD),
        ("dim. 26 oct. 2025 02:30:00 CEST", BERLIN, FOLD),
        ("dom 26 oct 2025 02:30:00 CEST", BERLIN, FOLD),
        ("dom 26 ott 2025, 02:30:00, CEST", BERLIN, FOLD),
        ("Sun, 26 Oct 2025 02:30:00 +0200", None, FOLD),  # date -R
    ],
)
def test_times_with_letters_and_times_alone_on_a_line(
    tmp_path: Path, stamp: str, zone: tzinfo | None, t_ms: int
) -> None:
    dcmi = IPMITOOL.format(state="activated").replace("Tue Jun  3 00:00:00 2025", "Unspecified")
    for text in (f"{stamp}\nSys Power | 940 Watts | ok\n", f"{stamp}\n{dcmi}"):
        log = read_log(source_of(tmp_path, text), ParseOptions(node="n1", time_zone=zone))
        assert ([row[2] for row in log.rows], log.refused) == ([t_ms], [])


@pytest.mark.parametrize(("zone", "reason"), [(None, "time without zone"), (UTC, "unreadable time")])
def test_letters_alone_are_no_zone_and_those_of_another_are_refused(
    tmp_path: Path, zone: tzinfo | None, reason: str
) -> None:
    text = "Timestamp: 2025-06-03 00:00:00 CST\nSys Power | 940 Watts | ok\n"
    assert read_log(source_of(tmp_path, text), ParseOptions(node="n1", time_zone=zone)).refused == [(reason, 2)]


@pytest.mark.parametrize("clock", ["Unspecified", "Thu Jan  1 00:10:00 1970", "01/01/70 00:10:00 UTC", "S+ 00:10:00"])
def test_a_bmc_whose_clock_nobody_set_says_no_time(tmp_path: Path, clock: str) -> None:
    source = source_of(tmp_path, IPMITOOL.format(state="activated").replace("Tue Jun  3 00:00:00 2025", clock))
    assert [reason for reason, _ in read_log(source, OPTIONS).refused] == ["no time"]
    assert [row[2] for row in read_log(source, replace(OPTIONS, at_ms=T0)).rows] == [T0]


def test_of_two_sensors_of_one_part_the_first_counts(tmp_path: Path) -> None:
    log = read_log(source_of(tmp_path, SDR + "PSU1 Input Power | 99 Watts | ok\n"), OPTIONS)
    assert [row[3] for row in log.rows if row[1] == "psu1"] == [95_000], "and never the larger of both"
    assert "PSU1 Input Power: not used where PSU1 AC In Pwr says psu1 too" in log.warnings


def test_a_sensor_that_nobody_knows_is_told_and_read_as_the_operator_says(tmp_path: Path) -> None:
    source = source_of(tmp_path, "PDB Reading 1 | 640 Watts | ok\nFan1 | 3000 RPM | ok\n")
    asked = replace(OPTIONS, at_ms=T0)
    silent = read_log(source, asked)
    assert silent.rows == []
    assert '--rename "PDB Reading 1=node"' in silent.warnings[0]
    told = read_log(source, replace(asked, rename=(("PDB reading 1", "node"),)))
    assert (told.rows, told.warnings) == ([("n1", "node", T0, 640_000, 1)], [])
    with pytest.raises(UnusableFile, match="no channel"):
        read_log(source, replace(asked, rename=(("PDB Reading 1", "The node"),)))


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        *(("Sys_Power", "node"), ("PSU 2 AC In Pwr", "psu2"), ("GPU Board Power", "gpu"), ("Riser 2 Power", "riser2")),
        *(("Power Limit", None), ("PSU Power", None), ("CPU1 Power", "cpu1"), ("Sys Fan Pwr", "fan")),
        *(("Power Meter", "node"), ("System Level", "node"), ("PW Consumption", "node"), ("SYS_Total_Power", "node")),
        *(("Power Supply 2", "psu2"), ("PSU1_POWER_IN", "psu1"), ("PS2 Input Power", "psu2"), ("PSU1_PIN", "psu1")),
        *(("PSU1_POWER_OUT", None), ("Total Power Out", None), ("Power Meter Limit", None)),
    ],
)
def test_names_of_sensors(name: str, channel: str | None) -> None:
    assert channel_of(name) == channel


@pytest.mark.parametrize("name", ["PSU1_POUT", "ps0_output_power", "PS1 Output Power", "Total Power Out"])
def test_what_a_supply_gives_out_is_not_offered_as_the_node_s_power(tmp_path: Path, name: str) -> None:
    log = read_log(
        source_of(tmp_path, f"{name} | 90 Watts | ok\nSys Power | 99 Watts | ok\n"), replace(OPTIONS, at_ms=T0)
    )
    assert log.warnings == [f"{name}: not used, for it is no power that a node draws by itself"]


def archive_of(files: dict[str, str]) -> bytes:
    """A tar.gz of files in a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, text in files.items():
            member = tarfile.TarInfo(f"data/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue())


def test_an_archive_of_one_file_a_node_is_one_source(tmp_path: Path) -> None:
    without_time = "Sys Power | 5 Watts | ok"
    source = source_of(tmp_path, archive_of({"n1-2025-06-03.txt": SDR, "n2.txt": without_time, "n3-20250603.log": SDR}))
    log = read_log(source)
    assert [row[:2] for row in log.rows if row[1] == "node"] == [("n1", "node"), ("n3", "node")]
    assert log.refused == [("no time", 12)], "the time of the file before is not its own"
    assert {row[4] for row in log.rows if row[0] == "n1"} == {4, 6, 7}


def test_a_truncated_archive_gives_what_is_whole(tmp_path: Path) -> None:
    files = {f"n{i}-2025-06-03.txt": SDR * 40 for i in range(30)}
    whole = archive_of(files)
    log = read_log(source_of(tmp_path, whole[: len(whole) * 2 // 3]))
    assert 0 < len({row[0] for row in log.rows}) < 30
    assert len(log.refused) == 1
    assert log.refused[0][0] in ("truncated gzip", "corrupt gzip", "truncated tar")
    plain = gzip.decompress(whole)
    log = read_log(source_of(tmp_path, plain[: len(plain) * 2 // 3]))
    assert [reason for reason, _ in log.refused] == ["truncated tar"]


def test_names_of_files_name_nodes() -> None:
    assert dated_name("/var/log/holy7c02103-2025-05-29.txt.gz") == "holy7c02103"
    assert dated_name("power.txt") is None
    assert node_of_path("a/n001.log") == "n001"


FREEIPMI = (
    "Current Power                        : 332 Watts\n"
    "Average Power over sampling duration : 348 watts\n"
    "Time Stamp                           : 06/03/2025 - 00:00:00\n"
    "Power Measurement                    : {state}\n"
)
IPMITOOL = (
    "\n    Instantaneous power reading:                  2578 Watts\n"
    "    Average power reading over sample period:     2567 Watts\n"
    "    IPMI timestamp:                           Tue Jun  3 00:00:00 2025\n"
    "    Sampling period:                          00000300 Seconds.\n"
    "    Power reading state is:                   {state}\n"
)
IPMIUTIL = (
    "ipmiutil dcmi ver 3.17\n  Current Power:                   49 Watts\n"
    "  Timestamp:                       Tue Jun  3 00:00:00 2025\n\n"
    "  Power reading state is:          {state}\n  Power Limit:       896 Watts (inactive)\n"
)


@pytest.mark.parametrize(
    ("text", "state", "mw"),
    [(FREEIPMI, "Active", 332_000), (IPMITOOL, "activated", 2_578_000), (IPMIUTIL, "active", 49_000)],
)
def test_dcmi_of_three_tools(tmp_path: Path, text: str, state: str, mw: int) -> None:
    options = replace(OPTIONS, time_zone=UTC)
    log = read_log(source_of(tmp_path, text.format(state=state)), options)
    assert [row[:4] for row in log.rows] == [("n1", "node", T0, mw)]
    log = read_log(source_of(tmp_path, text.format(state="deactivated")), options)
    assert (log.rows, [reason for reason, _ in log.refused]) == ([], ["power measurement not active"])
    log = read_log(source_of(tmp_path, text.format(state=state)), OPTIONS)
    assert [reason for reason, _ in log.refused] == ["time without zone"]


def test_dcmi_as_ipmitool_prints_it_from_1_8_19_on(tmp_path: Path) -> None:
    """The year has two digits, and the end of the line behind the time is missing."""
    text = IPMITOOL.format(state="activated").replace("Tue Jun  3 00:00:00 2025\n", "06/03/25 00:00:00 UTC")
    assert "UTC    Sampling period" in text
    log = read_log(source_of(tmp_path, text), OPTIONS)
    assert ([row[:4] for row in log.rows], log.refused) == ([("n1", "node", T0, 2_578_000)], [])
    log = read_log(source_of(tmp_path, text.replace("06/03/25", "01/01/70")), OPTIONS)
    assert [reason for reason, _ in log.refused] == ["no time"], "a clock that was never set says none"


def test_dcmi_of_many_hosts_and_of_a_log(tmp_path: Path) -> None:
    hosts = "".join(
        f"{host}: {line}\n" for host in ("n7", "n8") for line in FREEIPMI.format(state="Active").splitlines()
    )
    log = read_log(source_of(tmp_path, hosts), ParseOptions(time_zone=UTC))
    assert [row[:4] for row in log.rows] == [("n7", "node", T0, 332_000), ("n8", "node", T0, 332_000)]
    logged = "".join(f"Timestamp: 2025-06-03 00:0{i}:00 UTC\n" + IPMITOOL.format(state="activated") for i in range(3))
    log = read_log(source_of(tmp_path, logged), OPTIONS)
    assert [row[2] for row in log.rows] == [T0 + i * 60_000 for i in range(3)], "the logger's time, not the BMC's"


def of_hosts(*outputs: tuple[str, str]) -> str:
    """What pdsh gathers: the host before each line, in whatever order the lines come."""
    lines = [[f"{host}: {line}".rstrip() + "\n" for line in text.splitlines()] for host, text in outputs]
    return "".join(line for row in zip_longest(*lines, fillvalue="") for line in row)


DCMI = IPMITOOL.format(state="activated").replace("Tue Jun  3 00:00:00 2025", "Unspecified")
SHORT = "Sys Power | 940 Watts | ok\nInlet Temp | 22 degrees C | ok\nMem Power | 125 Watts | ok\n"
COMMAS = "Sys Power,940,Watts,ok\nInlet Temp,22,degrees C,ok\nMem Power,125,Watts,ok\n"


@pytest.mark.parametrize(("text", "power"), [(SHORT, 940_000), (COMMAS, 940_000), (DCMI, 2_578_000)])
def test_each_host_that_pdsh_asked_has_its_own_lines_and_its_own_time(tmp_path: Path, text: str, power: int) -> None:
    stamps = {"n7": "Tue Jun  3 12:00:00 AM UTC 2025", "gpu-8.site": "2025-06-03 00:00:09 UTC"}
    gathered = of_hosts(*((host, f"{stamp}\n{text}") for host, stamp in stamps.items()))
    log = read_log(source_of(tmp_path, gathered), ParseOptions())
    wanted = {("n7", "node", T0, power), ("gpu-8.site", "node", T0 + 9_000, power)}
    assert {row[:4] for row in log.rows if row[1] == "node"} == wanted
    assert log.refused == []
    later = "2025-06-03T01:00:00Z\n" + of_hosts(("n7", text), ("n8", text))  # the collector's own stamp is of all
    log = read_log(source_of(tmp_path, gathered + "n7: no answer\n" + later), ParseOptions())
    hours = {(row[0], row[2]) for row in log.rows if row[1] == "node"} - {row[:1] + row[2:3] for row in wanted}
    assert hours == {("n7", T0 + 3_600_000), ("n8", T0 + 3_600_000)}


def test_times_of_all_and_of_one_host_over_several_blocks(tmp_path: Path) -> None:
    text = "".join(
        f"2025-06-03T00:0{minute}:00Z\n" + of_hosts(("n7", SHORT), ("n8", f"2025-06-03T00:0{minute}:30Z\n{SHORT}"))
        for minute in range(4)
    )
    whole = read_log(source_of(tmp_path, text), ParseOptions())
    small = collected(read(source_of(tmp_path, text), ParseOptions(), NOW_MS, block_bytes=64))
    assert sorted(small.rows) == sorted(whole.rows)
    assert whole.refused == small.refused == []
    assert {row[2] for row in whole.rows if row[0] == "n7"} == {T0 + i * 60_000 for i in range(4)}
    assert {row[2] for row in whole.rows if row[0] == "n8"} == {T0 + i * 60_000 + 30_000 for i in range(4)}


@pytest.mark.parametrize(("text", "power"), [(SHORT, 940_000), (DCMI, 2_578_000)])
def test_hosts_between_lines_of_dashes_as_clush_and_dshbak_write_them(tmp_path: Path, text: str, power: int) -> None:
    dashes = "-" * 15
    gathered = "".join(f"{dashes}\n{host}\n{dashes}\n{text}" for host in ("n7", "n8", "n[10-11] (2)"))
    log = read_log(source_of(tmp_path, gathered), ParseOptions(at_ms=T0))
    nodes = [row[0] for row in log.rows if row[1] == "node" and row[3] == power]
    assert nodes[:2] == ["n7", "n8"]
    assert "n9" not in nodes


def test_a_source_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "n9-2025-06-03.txt"
    path.write_text(SDR)
    assert {row[0] for row in read_log(Source(path)).rows} == {"n9"}


FREEIPMI_SENSORS = (
    "ID | Name      | Type                     | Reading    | Units | Event\n"
    "1  | Sys Power | Other Units Based Sensor | 270.00     | W     | 'OK'\n"
    "2  | CPU Temp  | Temperature              | 45.00      | C     | 'OK'\n"
    "3  | PSU1 AC In Pwr | Power Supply        | N/A        | W     | N/A\n"
    "4  | Mem Power | Other Units Based Sensor | 40.50      | W     | 'At or Above (>=) Upper Critical Threshold'\n"
)


@pytest.mark.parametrize(
    "text",
    [
        FREEIPMI_SENSORS,
        FREEIPMI_SENSORS.replace("| W ", "| Watts "),  # --non-abbreviated-units
        re.sub(r" *\| ", ",", FREEIPMI_SENSORS),  # --comma-separated-output
        "ID | Name | Type | State | Reading | Units | Event\n"  # --output-sensor-state, --entity-sensor-names
        "1 | System Board Sys Power | Other | Nominal | 270.00 | W | 'OK'\n2 | Fan | Fan | Nominal | N/A | RPM | N/A\n"
        "3 | PSU1 Pin | Power | N/A | N/A | W | N/A\n4 | Mem Power | Other | Critical | 40.50 | W | 'x'\n",
        "\n1 | Sys Power | Other Units Based Sensor | 270.00 | W | 'OK'\n\n\n4 | Mem Power | Other | 40.5 | W | 'OK'\n",
    ],
    ids=["bars", "whole units", "commas", "states", "no header"],
)  # fmt: skip
def test_sensors_as_freeipmi_prints_them(tmp_path: Path, text: str) -> None:
    log = read_log(source_of(tmp_path, text), replace(OPTIONS, at_ms=T0))
    assert log.rows == [("n1", "node", T0, 270_000, 2), ("n1", "dram", T0, 40_500, 5)]
    assert log.refused == []


def test_of_several_hosts_freeipmi_names_each_before_its_line(tmp_path: Path) -> None:
    text = "".join(f"{host}: {line}" for host in ("n7", "n8") for line in FREEIPMI_SENSORS.splitlines(keepends=True))
    log = read_log(source_of(tmp_path, f"2025-06-03T00:00:00Z\n{text}"), ParseOptions())
    assert [row[:4] for row in log.rows] == [
        (host, channel, T0, value) for host in ("n7", "n8") for channel, value in (("node", 270_000), ("dram", 40_500))
    ]
    assert log.refused == []
    both = read_log(source_of(tmp_path, f"2025-06-03T00:00:00Z\n{text}"), OPTIONS)
    assert {row[0] for row in both.rows} == {"n1"}


def test_what_ipmitool_prints_with_commas(tmp_path: Path) -> None:
    text = (
        "Sys Power,270,Watts,ok\nCPU Temp,45,degrees C,ok\nCPU Power,,,ns\nMem Power,no reading,ns\n"
        "PSU1 AC In Pwr,95.000,Watts,ok,na,na,na,na,na,na\n"
        "GPU Power,300,Watts,nc,7.1,System Board,Other,,,,,,,,,,0.000,765.000\nwhat,is,this\n"
    )
    log = read_log(source_of(tmp_path, text), replace(OPTIONS, at_ms=T0))
    assert [row[1:4] for row in log.rows] == [("node", T0, 270_000), ("psu1", T0, 95_000), ("gpu", T0, 300_000)]
    assert log.refused == [("unreadable line", 7)]


@pytest.mark.parametrize("text", ["timestamp,watts,unit,state\n2025-06-03T00:00:00Z,345,Watts,ok\n", "time,n1\n1,2\n"])
def test_a_table_of_power_is_no_output_of_a_tool(text: str) -> None:
    assert not matches(text)
