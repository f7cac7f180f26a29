"""Whatever becomes of a power log, every sample that is stored stands in what is left of it, and no line is lost."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.parsers import clustercockpit, power_csv, power_json, ptdaemon
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.damage import damaged, each_example, put, replaced
from tests.measurements.parsers.reading import NOW_MS, Log, Row, collected, read_log
from tests.measurements.parsers.said import (
    MISSING,
    filled,
    goes_on,
    instants,
    is_much,
    is_when,
    lines_of,
    number,
    records,
    text_of,
    unpacked,
)

OPTIONS = [
    ParseOptions(node="n", time_zone=UTC),
    ParseOptions(node="n", channel="c", time_zone=ZoneInfo("Europe/Berlin")),
    ParseOptions(),
]
EXCEL = re.compile(r'"?sep=."?\s*', re.IGNORECASE)
GAUGE, COUNTER = ("gauge", 1e3), ("counter", 1e6)
EARLIEST_MS, LATEST_MS = 946_684_800_000, NOW_MS + 86_400_000


@dataclass(frozen=True)
class Shape:
    """What a good header says: the place of the time, of the names (or what stands for them), and the values."""

    delimiter: str
    time: int
    values: dict[int, tuple[str, str, tuple[str, float]]]  # place → node, channel ("": by its column), kind and scale
    node: int | None = None
    channel: int | None = None


SHAPES = {
    "timestamp,node,watts,channel": Shape(",", 0, {2: ("", "", GAUGE)}, 1, 3),
    "sep=;\nchannel;joules;watt hours;time;host": Shape(";", 3, {1: ("", "", COUNTER)}, 4, 0),
    "timestamp;n1;n2 [kWh]": Shape(";", 0, {1: ("n1", "", GAUGE), 2: ("n2", "", ("counter", 3.6e12))}),
    "timestamp\tr1 [mW]\tr1 [J]": Shape("\t", 0, {1: ("r1", "", ("gauge", 1.0)), 2: ("r1", "", COUNTER)}),
    "timestamp,node,node,gpu0_j": Shape(",", 0, {2: ("", "node", GAUGE), 3: ("", "gpu0", COUNTER)}, 1),
    "time,node,gpu0 [mW],cpu0 [Wh]": Shape(
        ",", 0, {2: ("", "gpu0", ("gauge", 1.0)), 3: ("", "cpu0", ("counter", 3.6e9))}, 1
    ),
    "time|host|cpu0 [W]|psys": Shape("|", 0, {2: ("", "cpu0", GAUGE), 3: ("", "psys", GAUGE)}, 1),
}
LONG = [
    b"timestamp,node,watts,channel\n2025-03-01T12:00:00Z,n1,345,node\n1740830401.5,n2,0,gpu0\n2025-10-26T02:30:00,n,1,\n",
    b"timestamp,node,watts,channel\n2025-10-26T02:50:00,n1,2e2,\n2025-10-26 02:51:00,n2,N/A,\n"
    b"2025-10-26T02:05:00,n1,3.5,\n",
    b'timestamp,node,watts,channel\n1740830400,n1,7,"node"\n1740830401,"n2",-8,cpu0\n1740830402,n2,9,cpu0\n',
    b"\xef\xbb\xbfsep=;\nchannel;joules;watt hours;time;host\r\nnode;3,5;7;2025-03-01T12:00:00.123+01:00;n1\r\n"
    b";9;1;1740830400;n2\r\n",
]
WIDE = [
    b"timestamp;n1;n2 [kWh]\r\n2025-03-01 12:00:00+01:00;3,5;\r\n2025-03-01 12:01:00+01:00;1.5;0,25\r\n",
    b"timestamp\tr1 [mW]\tr1 [J]\n1740830400\t12.5\t100\n1740830460\t11\t200\n\n1740830520\tnan\t300\n",
    b'timestamp,node,node,gpu0_j\n1740830400,"n1",1,2\n1740830401,n2,3,-\n',
    b"time,node,gpu0 [mW],cpu0 [Wh]\n1740830400,n1,12500,1\n1740830401,n1,13.5,1.25\n",
    b"time|host|cpu0 [W]|psys\n2025-03-30T01:59:59|n1|1|2\n2025-03-30T02:30:00|n1|3|4\n2025-03-30T03:00:00|n1|5|6\n",
]
ANALYSER = [
    b"Time,03-01-2025 12:00:00.250,Watts,658.6,Volts,1\nTime,10-26-2025 02:30:00.250,Watts,-1,Volts,1\n"
    b"Time,10-26-2025 02:40:00.250,Watts, 7 ,Volts,1,Amps,2\nTime,10-26-2025 02:30:01.250,Watts,NaN\n"
    b"Time,10-26-2025 02:05:02.250,Watts,9,Ch1,Watts,8\n",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "power.log"


def check_log(log: Log) -> None:
    """What holds for every log."""
    for node, channel, t_ms, _, line in log.rows:
        assert node.strip()
        assert channel.strip()
        assert node.isprintable()
        assert channel.isprintable()
        assert "\ufffd" not in node + channel
        assert len(node) <= 255
        assert len(channel) <= 64
        assert EARLIEST_MS <= t_ms <= LATEST_MS
        assert line >= 1
    assert all(refusal.reason and refusal.line >= 1 and len(refusal.text) <= 500 for refusal in log.refusals)
    for text in (*log.warnings, *(text for refusal in log.refusals for text in (refusal.text, refusal.detail))):
        text.encode()  # half surrogates have no UTF-8


# --- tables -------------------------------------------------------------------------------------------------------


def check_table(raw: bytes, options: ParseOptions, place: Path) -> int:
    """Every sample stands in the row of its line, under the header that the file has; how many there were."""
    put(place, raw)
    try:
        log = collected(power_csv.read(Source(place), options, NOW_MS))
    except UnusableFile:
        return 0
    check_log(log)
    lines = lines_of(raw)
    header = min(line for line in filled(lines, 1) if not EXCEL.fullmatch(lines[line]))
    said = "\n".join(lines[max(header - 1, 1) : header + 1])
    shape = SHAPES.get(said) or SHAPES.get(lines[header])
    for row in log.rows:
        kind = log.kinds[row[1]]
        assert row[4] > header
        if shape is None:
            assert is_somewhere(row, lines, header, options), row
        else:
            assert any(is_in(row, cells, shape, options) for cells in records(lines, row[4], shape.delimiter)), row
            assert len(set(log.kinds)) > 1 or kind in {one[2][0] for one in shape.values.values()}
    taken = {row[4] for row in log.rows} | {refusal.line for refusal in log.refusals}
    if shape is not None:
        for line in filled(lines, header + 1) - taken:
            assert says_nothing(lines[line], shape) or goes_on(lines, line, taken | {line}), (line, lines[line])
    return len(log.rows)


def is_in(row: Row, cells: Sequence[str], shape: Shape, options: ParseOptions) -> bool:
    """Whether a row of the table says a sample."""
    node, channel, t_ms, value, _ = row
    if max(shape.time, shape.node or 0, shape.channel or 0, *shape.values) >= len(cells):
        return False
    if not is_when(t_ms, cells[shape.time], options.time_zone):
        return False
    for at, (column_node, column_channel, (_, scale)) in shape.values.items():
        said_node = column_node or (cells[shape.node].strip() if shape.node is not None else "") or options.node
        said_channel = column_channel or (cells[shape.channel].strip() if shape.channel is not None else "")
        if (said_node, said_channel or options.channel or "node") == (node, channel) and is_much(
            value, cells[at], scale
        ):
            return True
    return False


def is_somewhere(row: Row, lines: Sequence[str], header: int, options: ParseOptions) -> bool:
    """The same where the header is damaged: some cells of the row say it, and header, row or operator the names."""
    node, channel, t_ms, value, line = row
    scales = (1.0, 1e3, 1e6, 1e9, 3.6e9, 3.6e12, 3.6e15, 3.6e18)
    written = (lines[header] + "\n" + "\n".join(lines[line : line + 2])).casefold()
    named = (written, written.replace('""', '"'))  # outside of quotes two of them are two
    if not (any(node.casefold() in text for text in named) or node == options.node):
        return False
    if not (any(channel.casefold() in text for text in named) or channel in (options.channel, "node")):
        return False
    return any(
        any(is_when(t_ms, cell, options.time_zone) for cell in cells)
        and any(is_much(value, cell, scale) for cell in cells for scale in scales)
        for delimiter in ",;\t|"
        for cells in records(lines, line, delimiter)
    )


def says_nothing(line: str, shape: Shape) -> bool:
    """Whether a row holds no value."""
    cells = line.replace('"', "").split(shape.delimiter)
    return all(at < len(cells) and cells[at].strip().casefold() in MISSING for at in shape.values)


# --- the power analyser ---------------------------------------------------------------------------------------------


def check_analyser(raw: bytes, options: ParseOptions, place: Path) -> int:
    """Every sample is the first W of its line, at the time of that line."""
    put(place, raw)
    try:
        log = collected(ptdaemon.read(Source(place), options, NOW_MS))
    except UnusableFile:
        return 0
    check_log(log)
    lines = lines_of(raw)
    assert len({row[4] for row in log.rows}) == len(log.rows)
    for node, channel, t_ms, value, line in log.rows:
        cells = lines[line].strip().split(",")
        assert (node, channel) == (options.node, options.channel or "node")
        assert (cells[0], cells[2]) == ("Time", "Watts")
        assert is_much(value, cells[3], 1e3), (value, cells)
        assert is_when(t_ms, iso_of(cells[1]), options.time_zone), (t_ms, cells)
    taken = {row[4] for row in log.rows} | {refusal.line for refusal in log.refusals}
    for line in filled(lines, 1) - taken:
        assert lines[line].strip().split(",")[3].strip().casefold() in MISSING, (line, lines[line])
    return len(log.rows)


def iso_of(stamp: str) -> str:
    """A stamp whose month comes first."""
    date, _, clock = stamp.strip().partition(" ")
    parts = date.split("-")
    return f"{parts[2]}-{parts[0]}-{parts[1]} {clock}" if list(map(len, parts)) == [2, 2, 4] else stamp


# --- job folders ----------------------------------------------------------------------------------------------------

SERIES = [
    {"hostname": "n1", "data": [1, None, 2.5]},
    {"hostname": "n2", "id": "0", "data": [1, 7.25, None]},
    {"hostname": "n2", "id": "1", "data": [True, "3", 4]},
]
DATA = [
    {"node_power": {"node": {"unit": {"base": "W"}, "timestep": 60, "series": SERIES[:2]}}},
    {
        "cpu_power": {"socket": {"unit": {"base": "W", "prefix": "k"}, "timestep": 0.5, "series": SERIES}},
        "clock": {"node": {"unit": {"base": "Hz"}, "timestep": 60, "series": SERIES}},
        "acc_power": {"accelerator": {"unit": "mW", "timestep": 30, "series": SERIES[:1]}},
    },
]
META = {"jobId": 1, "startTime": 1740830400, "duration": 60, "resources": [{"hostname": "n1"}], "subCluster": "a"}
FOLDERS = [(json.dumps(META).encode(), json.dumps(data).encode()) for data in DATA]
PREFIXES = {"": 1e3, "u": 1e-3, "µ": 1e-3, "m": 1.0, "k": 1e6, "K": 1e6, "M": 1e9}


def folder_of(draw: random.Random) -> tuple[bytes, bytes]:
    """A job folder one of whose files is damaged."""
    meta, data = draw.choice(FOLDERS)
    if draw.random() < 0.3:
        return replaced(draw, meta, most=12), data
    return meta, damaged(draw, [data]) if draw.random() < 0.5 else replaced(draw, data, most=8)


def check_folder(meta: bytes, data: bytes, place: Path) -> int:
    """Every sample is the value at its place of a series of its host, at the start and so many steps."""
    put(place.with_name("meta.json"), meta)
    put(place.with_name("data.json"), data)
    try:
        log = read_log(Source(place.with_name("data.json")), ParseOptions(), "clustercockpit")
    except UnusableFile:
        return 0
    check_log(log)
    start_s = json.loads(meta)["startTime"]
    assert type(start_s) in (int, float)
    values = list(values_of(json.loads(text_of(data))))
    assert not unpacked(data)[1]
    places: set[int] = set()
    for node, channel, t_ms, stored, line in log.rows:
        name, host, value, scale, after_s = values[line - 1]
        assert node == host
        assert channel.startswith(name) or name in ("acc", "mem")
        assert value * scale == pytest.approx(stored, abs=0.51, rel=1e-9)
        assert abs((start_s + after_s) * 1000 - t_ms) <= 1
        places.add(line)
    assert len(places) == len(log.rows)
    return len(log.rows)


def values_of(data: dict[str, Any]) -> Iterator[tuple[str, object, Any, float, float]]:
    """Every value of a metric in W, in the order of the file: metric, host, value, mW in one, seconds since start."""
    for name, scopes in data.items():
        for content in scopes.values() if isinstance(scopes, dict) else ():
            if not isinstance(content, dict) or not (scale := scale_of(content.get("unit"))):
                continue
            step_s, listed = content.get("timestep"), content.get("series")
            if not isinstance(step_s, int | float) or isinstance(step_s, bool) or not isinstance(listed, list):
                continue
            if not 0 < step_s <= 86_400:
                continue
            for one in listed:
                held = one.get("data") if isinstance(one, dict) else None
                for at, value in enumerate(held if isinstance(held, list) else ()):
                    yield name.casefold().partition("_")[0], one.get("hostname"), value, scale, at * step_s


def scale_of(unit: object) -> float | None:
    """mW in one of a unit; None if it is no W."""
    if isinstance(unit, str) and unit.endswith("W"):
        return PREFIXES.get(unit[:-1])
    if not isinstance(unit, dict) or unit.get("base") != "W":
        return None
    prefix = unit.get("prefix") or ""
    return PREFIXES.get(prefix) if isinstance(prefix, str) else None


# --- what is pushed as JSON -------------------------------------------------------------------------------------------

BODY = {
    "node": "n1",
    "samples": [
        {"timestamp": "2025-03-01T12:00:00Z", "node": "n1", "channel": "gpu0", "watts": 61.5},
        {"timestamp": 1740830400.25, "channel": "node", "joules": 7000},
        {"timestamp": 1740830401, "node": "n2", "channel": "node", "watts": None},
        {"timestamp": 1740830402, "node": "n2", "watts": "12"},
        7,
    ],
    "channels": {"gpu0": {"source": "nvml", "uuid": "GPU-1", "interval_ms": 1000}},
}


def check_body(body: bytes) -> int:
    """Every sample is an entry of the list, and every entry was taken, refused, or has no value."""
    try:
        log = collected(power_json.read(body, NOW_MS))
    except UnusableFile:
        return 0
    check_log(log)
    document = json.loads(body)
    samples = document["samples"]
    for node, channel, t_ms, stored, line in log.rows:
        said = samples[line - 1]
        value = said.get("joules") if said.get("joules") is not None else said["watts"]
        assert not isinstance(value, bool)
        assert node == str(said["node"] if said.get("node") not in (None, "") else document["node"]).strip()
        assert channel == str(said["channel"] if said.get("channel") not in (None, "") else "node").strip()
        assert is_when(t_ms, str(said["timestamp"]), None)
        assert is_much(stored, str(value), 1e6 if said.get("joules") is not None else 1e3)
    taken = {row[4] for row in log.rows} | {refusal.line for refusal in log.refusals}
    for line, said in enumerate(samples, start=1):
        values = [said.get("joules"), said.get("watts")] if isinstance(said, dict) else [1]
        assert line in taken or {str(value).strip().casefold() for value in values} & MISSING, said
    return len(log.rows)


CHECKS: dict[str, tuple[Callable[[random.Random], tuple[Any, ...]], Callable[..., int]]] = {
    "csv": (lambda draw: (damaged(draw, LONG), draw.choice(OPTIONS)), check_table),
    "wide csv": (lambda draw: (damaged(draw, WIDE), draw.choice(OPTIONS)), check_table),
    "ptdaemon": (lambda draw: (damaged(draw, ANALYSER), draw.choice(OPTIONS)), check_analyser),
    "clustercockpit": (folder_of, check_folder),
    "body": (lambda draw: (replaced(draw, json.dumps(BODY).encode(), most=12),), lambda body, _place: check_body(body)),
}


FAILED: dict[str, list[tuple[Any, ...]]] = {  # what once crashed a parser, or lost a line, or invented a value
    "csv": [(LONG[2].replace(b'"n2"', quoted), OPTIONS[0]) for quoted in (b'"n2"7', b'7"n2"', b'""n2', b'"n"""2')]
    + [(LONG[0].replace(b"gpu0", b"g" * 65), OPTIONS[0]), (LONG[0].replace(b"n2", b"n" * 256), OPTIONS[0])],
    "clustercockpit": [
        (FOLDERS[1][0], FOLDERS[1][1].replace(*change))
        for change in (
            (b"acc", b"acc\\u0000"),
            (b"acc", b"a" * 65),
            (b'"k"', b'["k"]'),
            (b"0.5", b"true"),
            (b'"n1"', b"[]"),
        )
    ]
    + [(FOLDERS[0][0].replace(b"1740830400", start), FOLDERS[0][1]) for start in (b'"1740830400"', b"1e99", b"NaN")],
    "body": [(json.dumps(BODY).replace('node", "joules', 'nod\\ud800e", "joules').encode(),)],
    "wide csv": [(WIDE[2].replace(b'"n1"', b'"n1"1e999'), OPTIONS[0])],
    "ptdaemon": [(gzip.compress(ANALYSER[0][:200])[:-9], OPTIONS[1])],  # an undecided hour hid that it breaks off
}


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", CHECKS)
def test_damaged_logs(name: str, place: Path) -> None:
    make, check = CHECKS[name]
    for example in FAILED.get(name, []):
        check(*example, place)
    each_example(make, lambda example: check(*example, place))


def test_the_logs_that_are_damaged_are_good(place: Path) -> None:
    assert [check_table(raw, OPTIONS[1], place) for raw in LONG] == [2, 2, 3, 2]
    assert [check_table(raw, OPTIONS[1], place) for raw in WIDE] == [3, 5, 3, 4, 4]
    assert [check_analyser(raw, OPTIONS[1], place) for raw in ANALYSER] == [4]
    assert [check_folder(*files, place) for files in FOLDERS] == [4, 7]
    assert check_body(json.dumps(BODY).encode()) == 3
    assert instants("2025-10-26T02:30", ZoneInfo("Europe/Berlin")) == {1761438600000, 1761442200000}
    assert (number("3,5"), number("1_0")) == (3.5, None)


# --- any bytes --------------------------------------------------------------------------------------------------------


@given(
    raw=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    fmt=st.sampled_from([None, "csv", "ptdaemon", "clustercockpit"]),
    options=st.sampled_from(OPTIONS),
)
def test_any_bytes_give_rows_refusals_or_unusable(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, fmt: str | None, options: ParseOptions
) -> None:
    job = tmp_path_factory.mktemp("fuzz")
    (job / "meta.json").write_text(json.dumps(META))
    (job / "data.json").write_bytes(raw)
    with suppress(UnusableFile):
        check_log(read_log(Source(job / "data.json"), options, fmt))


json_keys = st.sampled_from([
    "node_power", "node", "socket", "unit", "base", "prefix", "timestep", "series", "hostname", "id", "data",
    "jobId", "startTime", "duration", "resources", "hwthreads", "accelerators", "shared", "exclusive",
    "metaData", "walltime", "jobState", "numAcc", "numHwthreads", "arrayJobId", "subCluster",
])  # fmt: skip
json_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["W", "node", "x", ""]))
json_values = st.recursive(
    json_scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(json_keys, inner, max_size=6)),
    max_leaves=30,
)


@given(data=json_values, meta=json_values, damage=st.booleans())
def test_any_json_as_a_job_folder(
    tmp_path_factory: pytest.TempPathFactory,
    data: object,
    meta: object,
    damage: bool,  # noqa: FBT001 - drawn
) -> None:
    job = tmp_path_factory.mktemp("fuzz")
    meta = meta if damage else META | (meta if isinstance(meta, dict) else {})
    (job / "meta.json").write_text(json.dumps(meta))
    socket = {"unit": {"base": "W"}, "timestep": 60, "series": data} | (data if isinstance(data, dict) else {})
    (job / "data.json").write_text(json.dumps({"cpu_power": {"node": data, "socket": socket}}))
    for parse in (clustercockpit.read_power, clustercockpit.read_job):
        with suppress(UnusableFile):
            list(parse(Source(job / "data.json"), ParseOptions(), NOW_MS))


def test_a_line_of_64_mib_in_a_power_csv_is_one_refusal(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    with path.open("wb") as stream:
        stream.write(b"timestamp,node,watts\n1740830400,n1,1\n1740830401,")
        for _ in range(64):
            stream.write(b"n" * (1 << 20))
        stream.write(b",2\n1740830402,n1,3\n")
    log = collected(power_csv.read(Source(path), ParseOptions(), NOW_MS))
    assert [(row[3], row[4]) for row in log.rows] == [(1000, 2), (3000, 4)]
    assert log.refused == [("line too long", 3)]


def test_of_a_truncated_gzip_csv_every_whole_line_is_a_row(tmp_path: Path) -> None:
    lines = [f"{1740830400 + i},n{i % 9},{i % 400}.{i % 10}\n" for i in range(5000)]
    packed = gzip.compress(("timestamp,node,watts\n" + "".join(lines)).encode())
    path = tmp_path / "power.csv.gz"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    log = read_log(Source(path))
    assert 2000 < len(log.rows) < 5000
    assert [row[2] for row in log.rows] == [(1740830400 + i) * 1000 for i in range(len(log.rows))]
    assert log.refused == [("truncated gzip", len(log.rows) + 2)]
