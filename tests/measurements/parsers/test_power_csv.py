"""Power as CSV: long and wide, every trap a line, and the same samples however the file is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.units import Kind
from measurements.parsers import csv_lines, power_csv
from measurements.parsers.detect import detect_power
from measurements.parsers.records import ParseOptions, UnusableFile
from tests.measurements.parsers.reading import NOW_MS, Log, collected, ms, read_log, source_of

T0 = ms("2025-03-01T12:00:00Z")
BERLIN = ZoneInfo("Europe/Berlin")
Read = Callable[..., Log]
Sample = tuple[int, str, str, str]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A log from text; keyword arguments are what the operator says."""

    def of(text: str | bytes, **options: Any) -> Log:
        return read_log(source_of(tmp_path, text), ParseOptions(**options))

    return of


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,node,watts\n2025-03-01T12:00:00Z,n1,345.5\n",
        "timestamp,node,watts\n2025-03-01T12:00:00Z,n1,345.5",
        "TimeStamp,NODE,Watts\r\n1740830400,n1,345.5\r\n",
        "\ufefftimestamp,node,watts\n1740830400.000,n1,3.455e2\n",
        "watts,timestamp,node\n345.5,2025-03-01 13:00:00+01:00,n1\n",
        "timestamp;node;watts\n2025-03-01T12:00:00Z;n1;345,5\n",
        "timestamp\tnode\twatts\n2025-03-01T12:00:00Z\tn1\t345.5\n",
        "timestamp|node|watts\n2025-03-01T12:00:00Z|n1|345.5\n",
        '"timestamp","node","watts"\n"2025-03-01T12:00:00Z","n1","345.5"\n',
        "timestamp, node, watts\n2025-03-01T12:00:00Z, n1, 345.5\n",
        "time,host,power [W]\n2025-03-01T12:00:00Z,n1,345.5\n",
        "timestamp,hostname,power_w,channel\n2025-03-01T12:00:00Z,n1,345.5,\n",
        "sep=;\ntimestamp;node;watts\n2025-03-01T12:00:00Z;n1;345.5\n",
        "timestamp,n1\n2025-03-01T12:00:00Z,345.5\n",
        "timestamp,node,node_w\n2025-03-01T12:00:00Z,n1,345.5\n",
        "timestamp,node,node\n2025-03-01T12:00:00Z,n1,345.5\n",
    ],
)
def test_one_sample_in_every_form(read: Read, text: str) -> None:
    log = read(text)
    assert [row[:4] for row in log.rows] == [("n1", "node", T0, 345_500)]
    assert log.kinds == {"node": "gauge"}
    assert log.refusals == []


def test_a_counter_is_kept_in_microjoules(read: Read) -> None:
    log = read("timestamp,node,joules,channel\n1740830400,n1,1234567.000001,cpu0\n1740830401,n1,1e9,dram0\n")
    assert [row[1:4] for row in log.rows] == [("cpu0", T0, 1_234_567_000_001), ("dram0", T0 + 1000, 10**15)]
    assert set(log.kinds.values()) == {"counter"}


def test_every_trap_a_line(read: Read) -> None:
    log = read(
        "timestamp,node,watts,note\n"
        "1740830400,n1,1,\n"  # 2
        "\n"  # 3 blank
        "1740830401,n1,2,x\n"  # 4
        '1740830402,n1,3,"two\nlines"\n'  # 5, 6
        "1740830403,n1\n"  # 7
        "1740830404,n1,5,x,y\n"  # 8
        "noon,n1,6,x\n"  # 9
        "1740830406,n1,abc,x\n"  # 10
        "1740830407,,8,x\n"  # 11
        "1740830408,n1,1e20,x\n"  # 12
        "946684799,n1,10,x\n"  # 13
        "1740830400000,n1,11,x\n"  # 14
        "2025-03-01T12:00:12,n1,12,x\n"  # 15
        "timestamp,node,watts,note\n"  # 16
        "1740830414,n1,1_000,x\n"  # 17
        '1740830415,n1,"15,x\n'  # 18
        "1740830416,n1,-7,x\n"  # 19
        "   \n"  # 20
        "1740830418,n1,inf,x\n"  # 21
        "1740830419,n1,345 W,x\n"  # 22
        "1740830420,n1,0,x"  # 23
    )
    assert [(row[2] - T0, row[3], row[4]) for row in log.rows] == [
        (0, 1000, 2), (1000, 2000, 4), (2000, 3000, 5), (16_000, -7000, 19), (20_000, 0, 23),
    ]  # fmt: skip
    assert log.refused == [
        ("wrong number of fields", 7),
        ("wrong number of fields", 8),
        ("unreadable time", 9),
        ("not a number", 10),
        ("no node", 11),
        ("out of range", 12),
        ("time out of range", 13),
        ("time out of range", 14),
        ("time without zone", 15),
        ("repeated header", 16),
        ("not a number", 17),
        ("unreadable line", 18),
        ("out of range", 21),
        ("not a number", 22),
    ]
    assert {refusal.line: refusal.text for refusal in log.refusals}[9] == "noon,n1,6,x"
    assert log.warnings == [w for w in log.warnings if "columns not used: note" in w] != []


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "null", "NULL", "N/A", "None", " ", "[N/A]", "-", "nUlL"])
def test_what_was_not_measured_is_neither_a_row_nor_a_refusal(read: Read, missing: str) -> None:
    log = read(f"timestamp,node,watts\n1740830400,n1,{missing}\nnonsense,,{missing}\n1740830402,n1,5\n")
    assert [row[3:] for row in log.rows] == [(5000, 4)]
    assert log.refusals == []


def test_bytes_that_are_no_text_cost_only_their_line(read: Read) -> None:
    log = read(
        b"timestamp,node,watts,note\n1740830400,n1,1,caf\xe9\n1740830401,n\xe9,2,\n1740830402,n1,3,\0\n1740830403,\xc3\xa9,4,\n"
    )
    assert [(row[0], row[4]) for row in log.rows] == [("n1", 2), ("é", 5)]
    assert log.refused == [("unreadable line", 3), ("unreadable line", 4)]


def test_names_come_from_the_operator_where_the_file_has_none(read: Read) -> None:
    assert read("timestamp,watts\n1740830400,1\n", node="n7", channel="psu0").rows[0][:2] == ("n7", "psu0")
    log = read("timestamp,node,watts,channel\n1740830400,n1,1,gpu0\n1740830400,,2,\n", node="n7", channel="psu0")
    assert [row[:2] for row in log.rows] == [("n1", "gpu0"), ("n7", "psu0")]


def test_a_wide_table_of_nodes(read: Read) -> None:
    log = read("timestamp,gpu01,n2 [W],n3\n1740830400,1,2,3\n1740830410,,x,3.5\n")
    assert [(row[0], row[3], row[4]) for row in log.rows] == [
        ("gpu01", 1000, 2), ("n2", 2000, 2), ("n3", 3000, 2), ("n3", 3500, 3),
    ]  # fmt: skip
    assert log.refused == [("not a number", 3)]
    assert {row[1] for row in read("timestamp,n1,n2\n1740830400,1,2\n", channel="pdu").rows} == {"pdu"}


def test_a_wide_table_of_channels(read: Read) -> None:
    text = "timestamp,node,node,cpu0_w,gpu0 [W],dram0_j,mood\n1740830400,n1,500,100,200,3,4\n1740830410,n2,501,,,,\n"
    log = read(text)
    assert [(row[0], row[1], row[3]) for row in log.rows] == [
        ("n1", "node", 500_000), ("n1", "cpu0", 100_000), ("n1", "gpu0", 200_000), ("n1", "dram0", 3_000_000),
        ("n2", "node", 501_000),
    ]  # fmt: skip
    assert log.kinds == {"node": "gauge", "cpu0": "gauge", "gpu0": "gauge", "dram0": "counter"}
    assert "mood" in log.warnings[0]
    alone = read("timestamp,node_w,gpu0\n1740830400,500,200\n", node="n1")
    assert [row[:2] for row in alone.rows] == [("n1", "node"), ("n1", "gpu0")]


def test_a_channel_s_column_may_have_another_unit(read: Read) -> None:
    log = read("timestamp,node,node [kW],gpu0 [mW],gpu0_w,cpu0 (Wh)\n1740830400,n1,0.5,200000,7,2\n")
    assert [(row[1], row[3]) for row in log.rows] == [("node", 500_000), ("gpu0", 200_000), ("cpu0", 7_200_000_000)]
    assert log.kinds == {"node": "gauge", "gpu0": "gauge", "cpu0": "counter"}
    assert "gpu0_w" in log.warnings[0]  # of two of one channel the first


def test_the_number_of_a_gpu_is_no_power(tmp_path: Path) -> None:
    text = "timestamp,gpu,socket_power,gfx_voltage\n1740830400,0,90,N/A\n1740830400,1,91,N/A\n"  # amd-smi metric --csv
    with pytest.raises(UnusableFile, match="'gpu' looks like the number of a device, for 'socket_power'"):
        read_log(source_of(tmp_path, text), ParseOptions(node="n1"))
    long = read_log(source_of(tmp_path, "timestamp,channel,watts\n1740830400,gpu0,90\n"), ParseOptions(node="n1"))
    assert [row[:4] for row in long.rows] == [("n1", "gpu0", T0, 90_000)]


def test_a_column_is_read_under_the_name_it_is_given(read: Read, tmp_path: Path) -> None:
    def renamed(text: str, *rename: tuple[str, str]) -> Log:
        return collected(power_csv.read(source_of(tmp_path, text), ParseOptions(rename=rename), NOW_MS))

    text = "Zeit,Rack 1 (W),PDU\n1740830400,1,2\nZeit,Rack 1 (W),PDU\n1740830401,3,4\n"
    with pytest.raises(UnusableFile, match="no power log that is known"):
        read(text)
    log = renamed(text, ("Zeit", "time"), ("Rack 1 (W)", "rack1"), ("PDU", "pdu [W]"))
    assert [row[:4] for row in log.rows] == [
        ("rack1", "node", T0, 1000), ("pdu", "node", T0, 2000),
        ("rack1", "node", T0 + 1000, 3000), ("pdu", "node", T0 + 1000, 4000),
    ]  # fmt: skip
    assert log.refused == [("repeated header", 3)]  # it is known by what the file says
    long = renamed("timestamp,node,P\n1740830400,n1,5\n", ("P", "watts"))
    assert [row[:4] for row in long.rows] == [("n1", "node", T0, 5000)]


def test_a_column_in_joules_is_a_counter_of_its_node(read: Read) -> None:
    log = read("timestamp,hpc\n1740830400,1112158288237.6802\n", rename=(("hpc", "meter [J]"),))
    ((node, channel, t, value, _),) = log.rows
    assert (node, channel, t) == ("meter", "node", T0)
    assert abs(value - 1_112_158_288_237_680_200) <= 128  # what a float64 of that size can tell apart
    assert log.kinds == {"node": "counter"}
    assert read("timestamp,n1 (J),n2 [joules]\n1740830400,1,2\n").kinds == {"node": "counter"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("timestamp,Node Power (W),Total Power (W)", '--rename "Node Power \\(W\\)=NODE"'),
        ("timestamp,n1 [kVA]", "in no unit that is read"),
        ("timestamp,n1 (mwh)", "in no unit that is read"),
    ],
)
def test_columns_that_cannot_be_read_as_they_are_say_what_helps(tmp_path: Path, header: str, said: str) -> None:
    row = ",".join(["1740830400"] + ["5"] * header.count(","))
    with pytest.raises(UnusableFile, match=said):
        read_log(source_of(tmp_path, f"{header}\n{row}\n"), fmt="csv" if "kVA" in header or "mwh" in header else None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2025-03-01T12:00:00Z,n1,345\n", "header line on top"),
        ("timestamp:node:watts\n1:2:3\n", "comma, semicolon, tab"),
        ("timestamp,watts\n1740830400,3\n", "--node"),
        ("timestamp,node_w\n1740830400,3\n", "--node"),
        ("timestamp,node,power\n1740830400,n1,3\n", "no column watts or joules.*--rename COLUMN=watts"),
        ("datetime,node,watts\n1740830400,n1,3\n", "--rename COLUMN=timestamp"),
        ("timestamp,power\n1740830400,3\n", "names no node"),
        ("\n\n", "empty"),
    ],
)
def test_what_is_no_power_csv_names_line_reason_and_cure(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnusableFile, match=said) as caught:
        read_log(source_of(tmp_path, text), fmt="csv")
    assert "power.log" in str(caught.value)


def test_naive_times_need_a_zone(read: Read) -> None:
    text = "timestamp,node,watts\n2025-03-01T13:00:00,n1,1\n2025-03-01T13:00:10,n1,2\n"
    assert [row[2] for row in read(text, time_zone=BERLIN).rows] == [T0, T0 + 10_000]
    log = read(text)
    assert log.rows == []
    assert log.refused == [("time without zone", 2), ("time without zone", 3)]
    assert "--time-zone" in log.refusals[0].detail


FOLD = """timestamp,node,watts
2025-10-26T01:50:00,a,1
2025-10-26T02:10:00,a,2
2025-10-26T02:09:59,a,3
2025-10-26T02:50:00,a,4
2025-10-26T02:50:00,b,5
2025-10-26T02:00:00,a,6
2025-10-26T02:50:00,a,7
2025-10-26T03:00:00,a,8
2025-10-26T03:00:00,b,9
2025-03-30T02:30:00,a,10
"""


@pytest.mark.parametrize("block_bytes", [1, 60, 1 << 20])
def test_an_hour_that_comes_twice_is_decided_by_the_order_of_lines(tmp_path: Path, block_bytes: int) -> None:
    source = source_of(tmp_path, FOLD)
    log = collected(power_csv.read(source, ParseOptions(time_zone=BERLIN), NOW_MS, block_bytes))
    utc = ms("2025-10-26T00:00:00Z")
    assert sorted((row[0], (row[2] - utc) / 60_000, row[3] // 1000) for row in log.rows) == [
        ("a", -10, 1), ("a", 9 + 59 / 60, 3), ("a", 10, 2), ("a", 50, 4), ("a", 60, 6), ("a", 110, 7), ("a", 120, 8),
        ("b", 120, 9),
    ]  # fmt: skip
    # b shows the hour once: whether early or late nobody can tell
    assert sorted(log.refused) == [("ambiguous local time", 6), ("nonexistent local time", 11)]
    assert {refusal.line: refusal.text for refusal in log.refusals}[6] == "2025-10-26T02:50:00,b,5"


def test_an_hour_that_seems_to_come_three_times_is_refused(read: Read) -> None:
    stamps = [f"2025-10-26T02:{minute}:00" for minute in ("10", "50", "05", "45", "00")]
    log = read("timestamp,node,watts\n" + "".join(f"{stamp},a,1\n" for stamp in stamps), time_zone=BERLIN)
    assert log.rows == []
    assert [reason for reason, _ in log.refused] == ["ambiguous local time"] * 5


def test_a_file_in_utc_needs_no_decision(read: Read) -> None:
    assert len(read(FOLD, time_zone=UTC).rows) == 10


samples = st.lists(
    st.tuples(
        st.integers(0, 10**7),
        st.sampled_from(["n1", "n2", "ä", "n 3"]),
        st.sampled_from(["1", "2.5", "", "1e20", "x", "-3", "nan"]),
        st.sampled_from(["", "\n", '"a\nb"', '"', "é", ",", "plain"]),
    ),
    min_size=1,
    max_size=40,
)


def _lines(rows: list[Sample]) -> list[str]:
    return [f"{1740830400 + s},{node},{watts},{extra}\n" for s, node, watts, extra in rows]


def _multiset(tmp_path_factory: pytest.TempPathFactory, text: str, block_bytes: int) -> Counter[tuple[object, ...]]:
    source = source_of(tmp_path_factory.mktemp("csv"), text)
    log = collected(power_csv.read(source, ParseOptions(), NOW_MS, block_bytes))
    return Counter(row[:4] for row in log.rows)


HEADER = "timestamp,node,watts,note\n"


@given(rows=samples, block_bytes=st.integers(1, 300))
def test_however_the_file_is_cut_into_blocks_lines_and_samples_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Sample], block_bytes: int
) -> None:
    text = HEADER + "".join(_lines(rows))
    source = source_of(tmp_path_factory.mktemp("csv"), text)
    whole = collected(power_csv.read(source, ParseOptions(), NOW_MS))
    cut = collected(power_csv.read(source, ParseOptions(), NOW_MS, block_bytes))
    assert cut.rows == whole.rows
    assert cut.refused == whole.refused
    texts = text.split("\n")
    for node, _, t_ms, _, line in whole.rows:
        assert texts[line - 1].startswith(f"{t_ms // 1000},{node},")


clean = samples.map(lambda rows: [(s, node, watts, "") for s, node, watts, _ in rows])


@given(rows=clean, data=st.data())
def test_shuffled_and_split_files_hold_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Sample], data: st.DataObject
) -> None:
    lines = _lines(rows)
    together = _multiset(tmp_path_factory, HEADER + "".join(lines), 100)
    shuffled = data.draw(st.permutations(lines))
    split = data.draw(st.integers(0, len(lines)))
    parts = [_multiset(tmp_path_factory, HEADER + "".join(part), 100) for part in (shuffled[:split], shuffled[split:])]
    assert parts[0] + parts[1] == together
    expected = Counter(
        (node, "node", (1740830400 + s) * 1000, round(float(watts) * 1000))
        for s, node, watts, _ in rows
        if watts in ("1", "2.5", "-3")
    )
    assert together == expected


@given(rows=clean.filter(len), slow_bytes=st.sampled_from([0, 50, 10**6]))
def test_the_fast_and_the_slow_path_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Sample], slow_bytes: int
) -> None:
    source = source_of(tmp_path_factory.mktemp("csv"), HEADER + "".join(_lines(rows)))
    fast = collected(power_csv.read(source, ParseOptions(), NOW_MS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_csv, "SLOW_BYTES", slow_bytes)
        patch.setattr(power_csv, "_is_plain", lambda block: slow_bytes != 10**6)
        slow = collected(power_csv.read(source, ParseOptions(), NOW_MS))
    assert (slow.rows, slow.refused) == (fast.rows, fast.refused)


def test_one_bad_line_does_not_make_a_large_file_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{1740830400 + i},n{i % 50:03d},{i % 400}\n" for i in range(200_000)]
    lines[123_456] = "broken\n"
    sizes: list[int] = []

    def counted(first: int, block: bytes, *more: Any, **named: Any) -> Any:
        sizes.append(len(block))
        return csv_lines.read_lines(first, block, *more, **named)

    monkeypatch.setattr(power_csv, "read_lines", counted)
    log = read_log(source_of(tmp_path, "timestamp,node,watts\n" + "".join(lines)))
    assert len(log.rows) == 199_999
    assert log.refused == [("wrong number of fields", 123_458)]
    assert len(sizes) == 1
    assert sizes[0] < power_csv.SLOW_BYTES + 100


def test_a_step_back_that_is_short_of_half_an_hour_decides_nothing(read: Read) -> None:
    stamps = [f"2025-10-26T02:{minute}:00" for minute in ("10", "50", "25", "55")]
    log = read("timestamp,node,watts\n" + "".join(f"{stamp},a,1\n" for stamp in stamps), time_zone=BERLIN)
    assert (log.rows, len(log.refusals)) == ([], 4)


def test_of_a_channel_in_watts_and_in_joules_the_watts_are_read(read: Read) -> None:
    log = read("timestamp,node,cpu0_j,cpu0_w\n1740830400,n1,7,5\n")
    assert [row[1:4] for row in log.rows] == [("cpu0", T0, 5000)]
    log = read("timestamp,node,joules,watts\n1740830400,n1,7,5\n")
    assert ([row[3] for row in log.rows], log.kinds) == ([5000], {"node": "gauge"})


def test_the_format_is_known_by_content_and_an_unknown_one_is_shown_with_the_known_ones(tmp_path: Path) -> None:
    assert detect_power(source_of(tmp_path, "timestamp,node,watts\n", "x.json")).name == "csv"
    assert detect_power(source_of(tmp_path, "Time,03-01-2025 12:00:00.250,Watts,1\n", "x.csv")).name == "ptdaemon"
    foreign = "timestamp,project_name,emissions\n2025-03-01T12:00:00,codecarbon,0.1\n"
    with pytest.raises(
        UnusableFile, match=r"line 1.*project_name.*--format csv --rename.*ptdaemon \(.*csv \(.*--format"
    ):
        detect_power(source_of(tmp_path, foreign))
    with pytest.raises(UnusableFile, match="unpack it and give the folder"):
        detect_power(source_of(tmp_path, "==> a/n1.csv <==\ntimestamp,node,watts\n"))
    with pytest.raises(UnusableFile, match=r"dmon.*--query-gpu=timestamp,index,power\.draw"):
        detect_power(
            source_of(
                tmp_path, "#Date       Time        gpu    pwr  gtemp\n#YYYYMMDD   HH:MM:SS    Idx      W      C\n"
            )
        )
    with pytest.raises(UnusableFile) as other:
        detect_power(source_of(tmp_path, '{"samples": [], "n": 1}'))
    assert "--rename" not in str(other.value)
    with pytest.raises(UnusableFile, match=r"no power format 'xls'; known: clustercockpit, ptdaemon, .*, csv"):
        detect_power(source_of(tmp_path, "timestamp,node,watts\n"), "xls")


def test_a_meter_s_power_and_its_counter_stand_side_by_side(tmp_path: Path) -> None:
    text = (
        "time,hall [kW],hall [MWh],rack1 (W)\n2025-03-01T12:00:00Z,535.5,1.25,12000\n2025-03-01T12:00:01Z,a lot,1.5,\n"
    )
    log = read_log(source_of(tmp_path, text))
    assert log.rows == [
        ("hall", "node", T0, 535_500_000, 2),
        ("hall", "node", T0, 4_500_000_000_000_000, 2),
        ("rack1", "node", T0, 12_000_000, 2),
        ("hall", "node", T0 + 1000, 5_400_000_000_000_000, 3),
    ]
    assert log.refused == [("not a number", 3)]


def test_a_power_and_a_counter_stay_apart_in_the_hour_that_comes_twice(tmp_path: Path) -> None:
    stamps = ("02:10:00", "02:50:00", "02:10:00", "02:50:00")
    text = "time,hall [W],hall [J]\n" + "".join(f"2025-10-26 {t},{i + 1},{i + 100}\n" for i, t in enumerate(stamps))
    source = source_of(tmp_path, text)
    chunks = list(power_csv.read(source, ParseOptions(time_zone=ZoneInfo("Europe/Berlin")), NOW_MS))
    found = {
        (chunk.kinds[code], t): value
        for chunk in chunks
        for code, t, value in zip(chunk.channel.tolist(), chunk.t_ms.tolist(), chunk.value.tolist(), strict=True)
    }
    begin = ms("2025-10-26T00:10:00Z")
    at = [begin, begin + 2_400_000, begin + 3_600_000, begin + 6_000_000]
    assert found == {(Kind.GAUGE, t): (i + 1) * 1000 for i, t in enumerate(at)} | {
        (Kind.COUNTER, t): (i + 100) * 1_000_000 for i, t in enumerate(at)
    }


@pytest.mark.parametrize(
    ("column", "written", "stored", "kind"),
    [
        ("Power [kW]", "0.3", 300_000, "gauge"),
        ("power (mW)", "300", 300, "gauge"),
        ("power [MW]", "0.3", 300_000_000, "gauge"),  # and not milliwatts
        ("energy [kWh]", "2", 7_200_000_000_000, "counter"),
        ("Energy (kJ)", "2", 2_000_000_000, "counter"),
    ],
)
def test_a_long_table_in_another_unit(tmp_path: Path, column: str, written: str, stored: int, kind: str) -> None:
    log = read_log(source_of(tmp_path, f"timestamp,node,{column}\n2025-03-01T12:00:00Z,n1,{written}\n"))
    assert [row[3] for row in log.rows] == [stored]
    assert log.kinds == {"node": kind}


@pytest.mark.parametrize("column", ["power [kWh]", "energy [kW]", "power [kVA]"])
def test_a_long_table_in_no_unit_of_its_quantity_is_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(UnusableFile):
        read_log(source_of(tmp_path, f"timestamp,node,{column}\n2025-03-01T12:00:00Z,n1,2\n"))
