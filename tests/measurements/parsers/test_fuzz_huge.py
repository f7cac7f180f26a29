"""No file keeps a parser busy for ever, or in more memory than it may have: bombs, lines without end, long words."""

from __future__ import annotations

import gzip
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path

import pytest

from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.detect_intensity import INTENSITY_PARSERS
from measurements.parsers.detect_jobs import JOB_PARSERS
from measurements.parsers.detect_nodes import NODE_PARSERS
from measurements.parsers.gpu_holds import of_text
from measurements.parsers.intensity_records import IntensityOptions
from measurements.parsers.members_csv import read_members_csv
from measurements.parsers.node_states import read_states
from measurements.parsers.recognise import recognise
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.sacctmgr import read_sacctmgr
from measurements.parsers.source import Source
from tests.measurements.parsers import (
    test_fuzz_files,
    test_fuzz_intensity,
    test_fuzz_jobs,
    test_fuzz_nodes,
    test_fuzz_power,
    test_fuzz_series,
)
from tests.measurements.parsers.damage import EXAMPLES, put
from tests.measurements.parsers.reading import NOW_MS
from tests.measurements.parsers.test_generation import FACTORS
from tests.measurements.parsers.test_members import DUMP
from tests.measurements.parsers.test_nodes import SCONTROL

OPTIONS = ParseOptions(node="n", time_zone=UTC, at_ms=1_740_830_400_000, precision="s")
INTENSITY = IntensityOptions(zone="DE", basis="lifecycle", unit="g/kWh", time_zone=UTC, fuels=FACTORS)
MIB = 1 << 20
LONG = EXAMPLES > 1_000  # make fuzz: as large as somebody would make it
LINE_MIB = 1_024 if LONG else 192
BOMB_MIB = 10 * 1_024 if LONG else 192
WHOLE_MIB = 320  # above what a document may have that can only be read as a whole
READ_AS_A_WHOLE = ("redfish", "clustercockpit", "intensity", "xml")
MOST_MIB, MOST_WHOLE_MIB = 160, 1_000  # a block and what is made of it; a document of 256 MiB and its text
MEMBER = gzip.compress(b"x" * (64 * MIB), 9)
WORD_BYTES = 60_000
WORDS_TRIED = EXAMPLES // 40
MOST_WORD_S = 3.0  # of processor time: what grows with the square of a word takes minutes
Read = Callable[[Path], object]


def power(name: str) -> Read:
    return lambda path: sum(len(chunk.t_ms) for chunk in POWER_PARSERS[name].read(Source(path), OPTIONS, NOW_MS))


def jobs(name: str) -> Read:
    return lambda path: sum(len(chunk.records) for chunk in JOB_PARSERS[name](Source(path), OPTIONS))


def intensity(name: str) -> Read:
    return lambda path: INTENSITY_PARSERS[name].read(Source(path), INTENSITY, NOW_MS).read


def nodes(name: str) -> Read:
    return lambda path: len(NODE_PARSERS[name](Source(path), OPTIONS)[0])


JOB_FOLDER = "clustercockpit"
READS: dict[str, tuple[Read, bytes]] = {
    **{f"power {name}": (power(name), good[0]) for name, good in test_fuzz_files.GOOD.items()},
    **{f"power {name}": (power(name), good[0]) for name, good in test_fuzz_series.GOOD.items()},
    "power csv": (power("csv"), test_fuzz_power.LONG[0]),
    "power wide csv": (power("csv"), test_fuzz_power.WIDE[0]),
    "power ptdaemon": (power("ptdaemon"), test_fuzz_power.ANALYSER[0]),
    "power clustercockpit": (power(JOB_FOLDER), test_fuzz_power.FOLDERS[0][1]),
    **{f"jobs {name}": (jobs(name), good[0]) for name, good in test_fuzz_files.JOBS.items()},
    "jobs csv": (jobs("csv"), test_fuzz_jobs.TABLES[0].encode()),
    "jobs sacct": (jobs("sacct"), test_fuzz_jobs.LISTS[0].encode()),
    "jobs xdmod": (jobs("sacct-xdmod"), test_fuzz_jobs.XDMOD[0].encode()),
    "jobs slurm-json": (jobs("slurm-json"), json.dumps(test_fuzz_jobs.DOCUMENTS[0]).encode()),
    "nodes csv": (nodes("csv"), test_fuzz_nodes.TABLE.encode()),
    "nodes scontrol": (nodes("scontrol"), SCONTROL.encode()),
    "nodes json": (nodes("scontrol"), json.dumps(test_fuzz_nodes.NODES).encode()),
    "nodes clustercockpit": (nodes(JOB_FOLDER), json.dumps(test_fuzz_nodes.CLUSTER).encode()),
    "states": (lambda path: read_states(Source(path), OPTIONS), test_fuzz_nodes.STATES[0].encode()),
    "members": (lambda path: read_members_csv(Source(path)), test_fuzz_nodes.ROLES[0].encode()),
    "sacctmgr": (lambda path: read_sacctmgr(Source(path)), DUMP.encode()),
    **{f"intensity {name}": (intensity(name), good[0].encode()) for name, good in test_fuzz_intensity.GOOD.items()},
    "intensity json": (intensity("table"), test_fuzz_intensity.GOOD["table"][1].encode()),
    "anything": (lambda path: recognise(Source(path)), test_fuzz_power.LONG[0]),
}


@pytest.fixture
def peak() -> Iterator[Callable[[], float]]:
    """How much more memory this process has held at once than when the test began [MiB]."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _mib("VmRSS")
    yield lambda: _mib("VmHWM") - before
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _mib(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def size_of(name: str, mib: int) -> int:
    """How large a file is made [MiB]."""
    return max(mib, WHOLE_MIB) if any(word in name for word in READ_AS_A_WHOLE) else mib


def most_of(name: str) -> int:
    """What a parser may hold at once [MiB]."""
    return MOST_WHOLE_MIB if any(word in name for word in READ_AS_A_WHOLE) else MOST_MIB


def place_of(folder: Path, name: str) -> Path:
    """Where a format's file lies; a job's data has its meta.json beside it."""
    if "power clustercockpit" not in name:
        return folder / "n7.txt"
    (folder / "meta.json").write_bytes(test_fuzz_power.FOLDERS[0][0])
    return folder / "data.json"


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", READS)
def test_a_line_without_end_is_refused_in_bounded_memory(name: str, tmp_path: Path, peak: Callable[[], float]) -> None:
    read, good = READS[name]
    path = place_of(tmp_path, name)
    path.write_bytes(good + b"\n" * 10_000)  # so much that what follows is not what tells that it is no text
    with path.open("r+b") as file:
        file.truncate(size_of(name, LINE_MIB) * MIB)  # a hole: NULs, and no disk
    with suppress(UnusableFile):
        read(path)
    assert peak() < most_of(name)


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", READS)
def test_a_gzip_bomb_is_refused_in_bounded_memory(name: str, tmp_path: Path, peak: Callable[[], float]) -> None:
    read, good = READS[name]
    path = place_of(tmp_path, name)
    path.write_bytes(gzip.compress(good) + MEMBER * (size_of(name, BOMB_MIB) // 64))
    assert path.stat().st_size < 11 * MIB
    with suppress(UnusableFile):
        read(path)
    assert peak() < most_of(name)


@pytest.mark.parametrize("name", ["power", "jobs"])
def test_a_meta_json_without_end_is_refused_in_bounded_memory(
    name: str, tmp_path: Path, peak: Callable[[], float]
) -> None:
    (tmp_path / "data.json").write_bytes(test_fuzz_power.FOLDERS[0][1])
    with (tmp_path / "meta.json").open("wb") as file:
        file.truncate(LINE_MIB * MIB)
    with pytest.raises(UnusableFile, match="more than 16 MiB"):
        (power if name == "power" else jobs)(JOB_FOLDER)(tmp_path / "data.json")
    assert peak() < 200
    assert len(Source(tmp_path / "data.json").sha256) == 64
    assert peak() < 200


@pytest.mark.hypothesis
@pytest.mark.parametrize("blank", [b" ", b"\n", b"x\n"], ids=["blanks", "empty lines", "broken lines"])
@pytest.mark.parametrize("name", READS)
def test_lines_that_say_nothing_are_read_in_bounded_memory(
    name: str, blank: bytes, tmp_path: Path, peak: Callable[[], float]
) -> None:
    read, good = READS[name]
    path = place_of(tmp_path, name)
    path.write_bytes(good + blank * ((1_200_000 if LONG else 20_000) if blank == b"x\n" else MIB))
    with suppress(UnusableFile):
        read(path)
    assert peak() < MOST_WHOLE_MIB


@pytest.mark.parametrize("name", ["nodes csv", "nodes scontrol", "states", "members", "sacctmgr", "intensity csv"])
def test_a_list_of_broken_lines_alone_is_refused_as_a_whole(name: str, tmp_path: Path) -> None:
    read, good = READS[name]
    path = place_of(tmp_path, name)
    path.write_bytes(b"x, y\n" * (101_000 if name == "nodes scontrol" else 0) + good + b"x, y\n" * 101_000)
    with pytest.raises(UnusableFile, match="broken lines"):
        read(path)


FAILED: dict[str, list[tuple[int, bytes]]] = {  # where a word took minutes
    "power csv": [(13, b"\t")], "power wide csv": [(10, b" ")], "jobs csv": [(85, b"1,")],
    "nodes json": [(98, b",")], "intensity table": [(50, b",")],
    "power dcmi": [(152, b"\r"), (0, b" ")], "power influx": [(316, b"\t")], "states": [(90, b"1")],
}  # fmt: skip
WORDS = [*(bytes([c]) for c in b" 1a0,;|:=[({\"'.-_<>\\/+\t\r"), b"0-", b"a=", b"()", b'""', b"1,", b"[]", b" =", b"e9"]


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", READS)
def test_a_long_word_anywhere_takes_no_longer_than_its_length(name: str, tmp_path: Path) -> None:
    read, good = READS[name]
    path = place_of(tmp_path, name)
    draw = random.Random(name)
    drawn = ((draw.randint(0, len(good)), draw.choice(WORDS)) for _ in range(WORDS_TRIED))
    for at, word in (*FAILED.get(name, []), *drawn):
        put(path, good[:at] + word * (WORD_BYTES // len(word)) + good[at:])
        began = time.process_time()
        with suppress(UnusableFile):
            read(path)
        assert time.process_time() - began < MOST_WORD_S, (at, word, good[max(at - 40, 0) : at])


@pytest.mark.hypothesis
def test_a_long_word_in_the_controllers_text_takes_no_longer_than_its_length() -> None:
    for number in range(WORDS_TRIED):
        draw = random.Random(number)
        good = draw.choice(test_fuzz_nodes.HELD).decode()
        at, word = draw.randint(0, len(good)), draw.choice(WORDS).decode()
        began = time.process_time()
        of_text(good[:at] + word * (WORD_BYTES // len(word)) + good[at:], {"1", "2"})
        assert time.process_time() - began < MOST_WORD_S, (at, word, good[max(at - 40, 0) : at])
