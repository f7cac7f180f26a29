"""Line protocol as Telegraf and ClusterCockpit send it: escapes, kinds of fields, precisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from measurements.parsers import line_protocol
from measurements.parsers.line_protocol import LineProtocol
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import NOW_MS, collected, ms, read_log, source_of
from tests.measurements.parsers.series_reading import catalogue, own_mapping

T0_MS = ms("2025-03-01T12:00:00Z")
T0_S = T0_MS // 1000


def rows(text: str, precision: str = "s", at_ms: int | None = None) -> list[tuple[str, str, int, int]]:
    """Node, channel, ms after T0 and stored value."""
    log = collected([LineProtocol(catalogue(), precision, at_ms).chunk(text.encode(), NOW_MS)])
    assert log.refused == []
    return sorted((node, channel, t - T0_MS, value) for node, channel, t, value, _ in log.rows)


def test_telegrafs_own_sample_gives_its_power_supplies_and_nothing_else(shared_data: Path) -> None:
    log = read_log(Source(shared_data / "influx_line" / "telegraf_ipmi_sensor.lp"), ParseOptions(node="local"))
    first, second = ms("2018-01-28T07:45:13Z"), ms("2018-01-28T07:44:34Z")
    assert sorted(log.rows, key=lambda row: row[4]) == [
        ("10.20.2.203", "psu1", first, 110_000, 3),
        ("10.20.2.203", "psu2", first, 120_000, 4),
        ("local", "psu1", first, 110_000, 9),
        ("local", "psu2", first, 120_000, 10),
        ("local", "psu1", second, 110_000, 15),
        ("local", "psu2", second, 125_000, 16),
    ]
    assert log.refused == []


def test_a_line_of_cluster_cockpit_is_in_seconds_and_its_unit_that_of_the_mapping() -> None:
    text = (
        f"cpu_power,hostname=e1208,type=socket,type-id=0 value=228.1 {T0_S}\n"
        f"cpu_power,hostname=e1208,type=socket,type-id=1 value=200i {T0_S + 1}\n"
        f'job_start,hostname=e1208,type=node event="start, now" {T0_S}\n'
        f'cpu_power,hostname=e1208,type=node log="power is 5" {T0_S}\n'
        f"cpu_power,hostname=e1208,type=socket,type-id=0 control=1 {T0_S}\n"
    )
    assert rows(text) == [("e1208", "cpu0", 0, 228_100), ("e1208", "cpu1", 1000, 200_000)]


def test_numbers_are_read_of_lines_with_words_truths_and_counts_between() -> None:
    text = (
        "nvidia_smi,host=g1,index=0,uuid=GPU-00000000-0000-0000-0000-000000000001,name=NVIDIA\\ A100,pstate=P0 "
        f'temperature_gpu=40i,driver="a \\"b\\", c=1 d",power_draw=61.25,ok=true,f=F,used=7u {T0_S}000000250\n'
    )
    assert rows(text, "ns") == [("g1", "gpu0", 0, 61_250)]
    chunk = LineProtocol(catalogue(), "ns").chunk(text.encode(), NOW_MS)
    assert list(chunk.gpus.values()) == ["GPU-00000000-0000-0000-0000-000000000001"]


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("ns", T0_MS * 10**6 + 1_499_999), ("us", T0_MS * 1000 + 1_499), ("ms", T0_MS + 1), ("s", T0_S)],
)
def test_each_precision_is_ms_in_the_end(precision: str, stamp: int) -> None:
    after = 0 if precision == "s" else 1
    assert rows(f"node_power,hostname=n1,type=node value=5 {stamp}", precision) == [("n1", "node", after, 5_000)]


def test_a_wrong_precision_shows_as_times_out_of_range_with_the_cure(tmp_path: Path) -> None:
    log = read_log(source_of(tmp_path, f"node_power,hostname=n1,type=node value=5 {T0_S}\n"))
    assert log.refused == [("time out of range", 1)]
    assert "--precision" in log.refusals[0].detail
    assert (
        len(
            read_log(
                source_of(tmp_path, f"node_power,hostname=n1,type=node value=5 {T0_S}\n"), ParseOptions(precision="s")
            ).rows
        )
        == 1
    )


def test_an_unknown_precision_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnusableFile, match="'h'; known: ns"):
        LineProtocol(catalogue(), "h")


def test_escapes_in_measurement_tags_and_fields(tmp_path: Path) -> None:
    own = own_mapping(
        tmp_path / "own",
        '[node]\nlabels = ["ho,st"]\n[[series]]\nmetric = "rack power,x_w=t t"\n'
        'where = { ph = "a=b" }\nchannel = "node"\nunit = "W"\nsource = "pdu"\n',
    )  # fmt: skip
    text = f'rack\\ power\\,x,ho\\,st=n\\ 1,ph=a\\=b w\\=t\\ t=3,other="x" {T0_S}\n'
    log = collected([LineProtocol(catalogue(own), "s").chunk(text.encode(), NOW_MS)])
    assert log.rows == [("n 1", "node", T0_MS, 3_000, 1)]


def test_each_broken_line_is_refused_and_the_rest_goes_in(tmp_path: Path) -> None:
    good = "node_power,hostname=n1,type=node"
    lines = [
        f"{good} value=1 {T0_S}",
        "# a comment",
        "",
        f"{good}",
        f"{good} value=2 soon",
        f"{good} value= {T0_S}",
        f'{good} value="3 {T0_S}',
        f"{good},type value=4 {T0_S}",
        f"{good} value=1e999 {T0_S}",
        f"{good} value=5,{T0_S}",
        f"{good} value=--6,x=1 {T0_S}",
        f"{good} value=7",
        f"{good} value=8 {T0_S + 8}",
    ]
    log = read_log(source_of(tmp_path, "\n".join(lines)), ParseOptions(precision="s"))
    assert [row[3:] for row in sorted(log.rows)] == [(1_000, 1), (8_000, 13)]
    assert sorted(log.refused, key=lambda row: row[1]) == [
        ("unreadable line", 4), ("unreadable line", 5), ("unreadable line", 6), ("unreadable line", 7),
        ("unreadable line", 8), ("unreadable line", 10), ("unreadable line", 11), ("no time", 12),
    ]  # fmt: skip


def test_lines_without_a_time_take_the_one_that_is_given() -> None:
    text = "node_power,hostname=n1,type=node value=5\nnode_load,hostname=n1 value=1\n"
    assert rows(text, at_ms=T0_MS + 7) == [("n1", "node", 7, 5_000)]


def test_a_text_is_known_by_its_content() -> None:
    assert line_protocol.matches("# comment\ncpu,host=n1 value=1 1740830400\n")
    assert line_protocol.matches('a b="x y" 1740830400000000000\n')
    assert not line_protocol.matches('up{job="x"} 1\n')
    assert not line_protocol.matches("timestamp,node,watts\n2025-03-01T12:00:00Z,n1,345\n")
    assert not line_protocol.matches("Time,03-01-2025 12:00:00.250,Watts,658.6,Volts,1\n")


def test_blocks_of_any_size_give_the_same_rows_with_the_same_lines(tmp_path: Path) -> None:
    text = "".join(f"node_power,hostname=n{i % 9},type=node value={i + 1} {T0_S + i}\n" for i in range(3000))
    options = ParseOptions(precision="s")
    whole = read_log(source_of(tmp_path, text), options).rows
    small = collected(line_protocol.read(source_of(tmp_path, text), options, NOW_MS, block_bytes=300)).rows
    assert len(whole) == 3000
    assert sorted(whole) == sorted(small)
