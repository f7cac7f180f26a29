"""Whatever comes in, a power parser gives rows and refusals or says that the file is unusable."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.parsers import clustercockpit, power_csv
from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.reading import NOW_MS, collected, read_log

OPTIONS = [
    ParseOptions(),
    ParseOptions(node="n", time_zone=UTC),
    ParseOptions(node="n", channel="c", time_zone=ZoneInfo("Europe/Berlin")),
]
GOOD = [
    b"timestamp,node,watts,channel\n2025-03-01T12:00:00Z,n1,345,node\n1740830401.5,n2,0,gpu0\n2025-10-26T02:30:00,n,1,\n",
    b"timestamp;n1;n2\r\n2025-03-01 12:00:00+01:00;3,5;\r\n",
    b'timestamp,node,node,gpu0_j\n1740830400,"n,1",1,2\n',
    b"Time,03-01-2025 12:00:00.250,Watts,658.6,Volts,1\nTime,10-26-2025 02:30:00.250,Watts,-1,Volts,1\n",
    json.dumps(
        {
            "node_power": {
                "node": {
                    "unit": {"base": "W"},
                    "timestep": 60,
                    "series": [{"hostname": "n1", "data": [1, None, 2.5]}, {"hostname": "n2", "id": "0", "data": [1]}],
                }
            }
        }
    ).encode(),
]
META = json.dumps({"jobId": 1, "startTime": 1740830400, "duration": 60, "resources": [{"hostname": "n1"}]})


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good log with pieces replaced, cut out, doubled; packed or not, and cut."""
    log = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(log)))
        until = draw(st.integers(at, min(len(log), at + 30)))
        piece = st.one_of(
            st.binary(max_size=8), st.sampled_from([b"\n", b"\r", b'"', b",", b"\0", b"1e999", b"-", b"null"])
        )
        log[at:until] = draw(piece) + bytes(log[at:until]) * draw(st.integers(0, 2))
    packed = gzip.compress(bytes(log)) if draw(st.booleans()) else bytes(log)
    return packed[: draw(st.integers(len(packed) // 2, len(packed)))] if draw(st.booleans()) else packed


@given(
    raw=st.one_of(damaged(), st.binary(max_size=300), st.text(max_size=200).map(str.encode)),
    fmt=st.sampled_from([None, *POWER_PARSERS]),
    options=st.sampled_from(OPTIONS),
)
def test_any_bytes_give_rows_refusals_or_unusable(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, fmt: str | None, options: ParseOptions
) -> None:
    job = tmp_path_factory.mktemp("fuzz")
    (job / "meta.json").write_text(META)
    (job / "data.json").write_bytes(raw)
    try:
        log = read_log(Source(job / "data.json"), options, fmt)
    except UnusableFile:
        return
    for node, channel, t_ms, _, line in log.rows:
        assert node
        assert channel
        assert 946_684_800_000 <= t_ms <= NOW_MS + 86_400_000
        assert line >= 1
    assert all(refusal.reason and refusal.line >= 1 and len(refusal.text) <= 500 for refusal in log.refusals)


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
    meta = meta if damage else json.loads(META) | (meta if isinstance(meta, dict) else {})
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
