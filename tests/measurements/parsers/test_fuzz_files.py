"""Whatever becomes of a tool's file, no parser crashes or hangs, and no value is stored that does not stand in it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.detect_jobs import JOB_PARSERS
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.damage import EXAMPLES, damaged, each_example, put
from tests.measurements.parsers.reading import NOW_MS, collected
from tests.measurements.parsers.test_batch_logs import PBS_HEAD, lsf, sge
from tests.measurements.parsers.test_ipmi import (
    FREEIPMI,
    FREEIPMI_SENSORS,
    IPMITOOL,
    IPMIUTIL,
    SDR,
    SHORT,
    archive_of,
    of_hosts,
)
from tests.measurements.parsers.test_node_logs import GEOPM, POWER, mllog
from tests.measurements.parsers.test_nvidia_smi import HEADER, document

OPTIONS = [
    ParseOptions(node="n", time_zone=UTC, channel="gpu0"),
    ParseOptions(time_zone=ZoneInfo("Europe/Berlin"), at_ms=1_740_830_400_000),
    ParseOptions(),
]
UUID = "GPU-513536b6-7d19-9063-b049-1e69664bb298"
SENSOR = {
    "@odata.type": "#Sensor",
    "ReadingType": "EnergykWh",
    "Reading": 2.5,
    "ReadingTime": "2025-06-03T02:00:00+02:00",
}
ARCHIVE = archive_of({"n1-2025-06-03.txt": SDR, "n2.txt": SDR})
DASHES = "-" * 9
GOOD: dict[str, list[bytes]] = {
    "nvidia-smi": [
        (HEADER + "2025/10/26 02:30:00.250, 0, 187.80 W\n2025/12/31 00:00:01, 1, [N/A]\n").encode(),
        f"index, uuid, power.draw [W]\n1, {UUID}, 12.5\n".encode(),
        of_hosts(*((host, f"{HEADER}2025/12/31 00:00:01, 0, 187.80 W\n") for host in ("n7", "n8"))).encode(),
    ],
    "nvidia-smi-xml": [document(2, ("01", "1", "10.00 W"), ("02", "0", "N/A")).encode() * 2],
    "ipmitool": [
        SDR.encode(), ARCHIVE, gzip.decompress(ARCHIVE),
        b"Sys Power,270,Watts,ok\nFan,,,ns\nMem Power,40.5,Watts,nc,7.1\n",
        *("\n".join(f"{host}{row}" for row in FREEIPMI_SENSORS.splitlines()).encode() for host in ("", "n7: ")),
        of_hosts(*((host, f"Fr 20. Jun 10:00:00 UTC 2025\n{SHORT}") for host in ("n7", "n8"))).encode(),
        "".join(f"{DASHES}\n{host}\n{DASHES}\nFri Jun 20 10:00:00 PM UTC 2025\n{SHORT}" for host in ("n7", "n8"))
        .encode(),
    ],
    "dcmi": [
        *(text.format(state="active").encode() for text in (FREEIPMI, IPMITOOL, IPMIUTIL)),
        of_hosts(*((host, IPMITOOL.format(state="active")) for host in ("n7", "n8"))).encode(),
    ],
    "mlperf-training": [
        (mllog("power_reading", 2795) + mllog("conversion_eff", 2) + mllog("power_reading", "5.5")).encode(),
    ],
    "geopm": [(GEOPM + "0.5|0|10.25|nan|7.5|3000000000|nan\n1.5|0|nan|100|8|3000000200|200\n").encode()],
    "redfish": [json.dumps(one).encode() for one in (POWER, SENSOR, {"Members": [SENSOR, POWER]})],
}  # fmt: skip
JOBS: dict[str, list[bytes]] = {
    "pbs": [f"{PBS_HEAD} Exit_status=271 exec_host=h/7+h/6+i/0-2 Resource_List.nodes=2:gpus=1\n".encode()],
    "lsf": [lsf().encode(), (lsf(index=2) + lsf(start=0)).encode()],
    "sge": [(sge() + sge(host="h2", pe_task="1.h2") + sge(job=9, task=2)).encode()],
    "swf": [b"; UnixStartTime: 1740830400\n; Partition: 1 P\n1 0 10 100 4 -1 -1 8 60 -1 1 1 2 -1 3 1 -1 -1\n"],
}
BOARDS = b'{"Name": "System", "PowerConsumedWatts": 344}, {"Name": "Second board", "PowerConsumedWatts": 53}'
FAILED: dict[str, list[bytes]] = {  # files that once crashed a parser, or of which it invented a value
    "redfish": [
        b'{"PowerControl": [%s, {"Name<": "CPU Sub-system Power", "PowerConsumedWatts": 120.5}]}' % BOARDS,
        b'{"@odata.type": "#Sensor", "ReadingType": "Power", "Reading": 2.5, "ReadingTime": "2025-\\ud800"}',
        b'{"PowerControl": [{"Name": "\\ud800", "PowerConsumedWatts": "x"}, {"Name": "a", "PowerConsumedWatts": 1}]}',
    ],
}
NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "n7-2025-06-03.txt"


def said_in(source: Source) -> list[float]:
    """Every number that a text could mean: each run of digits, and each part of it that a cut may have left."""
    try:
        text = b"".join(block for _, block in source.blocks())
    except UnusableFile:  # documents may hold what no line-based text may
        text = source.read_all()
    return sorted({float(found) for found in NUMBER.findall(text)})


def sums_in(document: Any) -> Iterator[float]:
    """What the members of each PowerControl draw together that say of themselves no part of the node."""
    if isinstance(document, list):
        yield from (total for one in document for total in sums_in(one))
    elif isinstance(document, dict):
        yield from sums_in(list(document.values()))
        listed = document.get("PowerControl")
        members = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        drawn = [
            one.get("PowerConsumedWatts")
            for one in members
            if not PART.search(" ".join(str(one.get(key)) for key in SAYING))
        ]
        if all(type(one) in (int, float) for one in drawn if one is not None):
            yield float(sum(one for one in drawn if one is not None))


SAYING = ("Name", "PhysicalContext", "MemberId")  # whether it is a part
PART = re.compile(r"cpu|memory", re.IGNORECASE)
# What a parser may do with a number: take it as W or J, as kWh, times the log's own factor, as a sum of members.
FACTORS = (1.0, 3.6e6)


def is_said(value: float, numbers: list[float], name: str, sums: Sequence[float] = ()) -> bool:
    """Whether a stored value is a number of the text, or one of some sums."""
    candidates = {n * factor for n in numbers for factor in FACTORS}
    if name == "mlperf-training":
        candidates |= {n * m for n in numbers for m in numbers if 0 < m <= 10}
    candidates |= set(sums)
    return any(abs(value - one) <= max(1e-3, abs(one) * 1e-9) for one in candidates)


def check_power(name: str, raw: bytes, options: ParseOptions, place: Path) -> int:
    """Read a file by the parser of a name; how many samples it gave."""
    put(place, raw)
    try:
        log = collected(POWER_PARSERS[name].read(Source(place), options, NOW_MS))
    except UnusableFile:
        return 0
    numbers = said_in(Source(place)) if log.rows else []
    sums = list(sums_in(json.loads(Source(place).read_all()))) if name == "redfish" and log.rows else []
    for node, channel, t_ms, value, line in log.rows:
        assert node
        assert channel
        assert 946_684_800_000 <= t_ms <= NOW_MS + 86_400_000
        assert line >= 1
        unit = 1e3 if log.kinds[channel] == "gauge" else 1e6
        assert is_said(value / unit, numbers, name, sums), (value, numbers)
    assert all(refusal.reason and refusal.line >= 1 and len(refusal.text) <= 500 for refusal in log.refusals)
    for text in (*log.warnings, *(text for refusal in log.refusals for text in (refusal.text, refusal.detail))):
        text.encode()  # half surrogates have no UTF-8
    return len(log.rows)


def check_jobs(name: str, raw: bytes, options: ParseOptions, place: Path) -> int:
    put(place, raw)
    try:
        chunks = list(JOB_PARSERS[name](Source(place), options, NOW_MS))
    except UnusableFile:
        return 0
    for job in (record for chunk in chunks for record in chunk.records):
        assert job.job_id
        assert job.start_ms is None or job.end_ms is None or job.start_ms <= job.end_ms
        assert job.cpus is None or job.cpus >= 0
        assert all(share.node for share in job.shares)
    for refusal in (refusal for chunk in chunks for refusal in chunk.refusals):
        assert refusal.reason
        assert refusal.line >= 1
    return sum(len(chunk.records) for chunk in chunks)


CHECKS: list[tuple[str, list[bytes], Callable[[str, bytes, ParseOptions, Path], int]]] = [
    *((name, good, check_power) for name, good in GOOD.items()),
    *((name, good, check_jobs) for name, good in JOBS.items()),
]


@pytest.mark.hypothesis
@pytest.mark.parametrize(("name", "good", "check"), CHECKS, ids=[name for name, *_ in CHECKS])
def test_damaged_files(
    name: str, good: list[bytes], check: Callable[[str, bytes, ParseOptions, Path], int], place: Path
) -> None:
    for raw in FAILED.get(name, []):
        for options in OPTIONS:
            check(name, raw, options, place)
    each_example(
        lambda draw: (damaged(draw, good), draw.choice(OPTIONS)),
        lambda example: check(name, *example, place),
    )


@pytest.mark.parametrize(("name", "good", "check"), CHECKS, ids=[name for name, *_ in CHECKS])
def test_the_files_that_are_damaged_are_good(
    name: str, good: list[bytes], check: Callable[[str, bytes, ParseOptions, Path], int], place: Path
) -> None:
    options = ParseOptions(node="n", time_zone=UTC, at_ms=1_740_830_400_000)
    assert all(check(name, raw, options, place) > 0 for raw in good)


@given(raw=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)), name=st.sampled_from(CHECKS))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_bytes(
    place: Path, raw: bytes, name: tuple[str, list[bytes], Callable[[str, bytes, ParseOptions, Path], int]]
) -> None:
    name[2](name[0], raw, OPTIONS[0], place)
