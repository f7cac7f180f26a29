"""The buffer on disk: kills, a full disk, a bound; what is lost is counted, and nothing is sent torn."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.agent import batch
from workers.agent.readings import Channel, Reading
from workers.agent.spool import InUse, Spool
from workers.agent.trouble import Trouble

MIB = 1 << 20
GPU = Channel("gpu0", "nvml", counter=True, uuid="GPU-a", interval_ms=1_000)
NODE = Channel("node", "ipmi_dcmi", counter=False, interval_ms=30_000)
HEAD = batch.head("n1", [GPU, NODE])


def rows(first_s: int, count: int = 1) -> bytes:
    readings = [Reading((first_s + i) * 1_000, "gpu0_j", (first_s + i) * 1_000_000) for i in range(count)]
    return batch.rows("n1", {"gpu0_j": 0, "node_w": 1}, readings)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "state", 64 * MIB, Trouble())
    made.begin(HEAD)
    yield made
    made.close()


def seconds(spool: Spool) -> list[float]:
    """When the waiting readings were taken."""
    out: list[float] = []
    while found := spool.oldest(MIB):
        out += [float(line.partition(",")[0]) for _, one in found for line in one.lines]
        spool.sent([number for number, _ in found])
    return out


def test_batches_come_out_as_they_went_in(spool: Spool) -> None:
    for second in range(100, 106):
        spool.append(rows(second))
        if second % 2:
            spool.rotate()
    found = spool.oldest(MIB)
    assert len(found) == 3
    assert found[0][1].facts == HEAD.split(b"\n")[0][1:].decode()
    assert batch.as_csv([one for _, one in found]) == HEAD.split(b"\n", 1)[1] + rows(100, 6)
    assert seconds(spool) == [100, 101, 102, 103, 104, 105]
    assert spool.size() == 0


def test_the_batch_that_is_being_written_is_not_sent(spool: Spool) -> None:
    spool.append(rows(100))
    assert spool.oldest(MIB) == []


def test_batches_with_other_facts_go_apart(spool: Spool) -> None:
    spool.append(rows(100))
    spool.begin(batch.head("n1", [GPU]))
    spool.append(batch.rows("n1", {"gpu0_j": 0}, [Reading(101_000, "gpu0_j", 5)]))
    spool.rotate()
    assert [number for number, _ in spool.oldest(MIB)] == [1]


def test_a_request_stays_below_its_size(spool: Spool) -> None:
    for second in range(100, 110):
        spool.append(rows(second))
        spool.rotate()
    assert len(spool.oldest(3 * (len(HEAD) + len(rows(100))))) == 3
    assert len(spool.oldest(1)) == 1


def test_readings_outlive_a_kill_and_a_torn_line_is_dropped(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workers.agent.spool import Spool; from workers.agent.trouble import"
        " Trouble; from tests.workers.agent.test_spool import HEAD, rows\n"
        f"spool = Spool(Path({str(tmp_path / 'state')!r}), 1 << 20, Trouble()); spool.begin(HEAD)\n"
        "[spool.append(rows(second)) for second in range(100, 110)]; print('written', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    (path,) = (tmp_path / "state").glob("*.csv")
    with path.open("ab") as file:
        file.write(rows(110)[:-3])
    spool = Spool(tmp_path / "state", MIB, Trouble())
    spool.begin(HEAD)
    assert seconds(spool) == list(range(100, 110))
    spool.append(rows(111))
    spool.rotate()
    assert seconds(spool) == [111]
    spool.close()


@pytest.mark.parametrize("torn", [b"", b"#{}", b"#{}\ntimestamp,no", HEAD, b"\x00\xff\n\x00"])
def test_a_file_without_a_whole_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "000000000007.csv").write_bytes(torn)
    spool = Spool(tmp_path / "state", MIB, Trouble())
    assert spool.oldest(MIB) == []
    assert list((tmp_path / "state").glob("*.csv")) == []
    spool.close()


def test_the_oldest_go_first_when_the_buffer_is_full_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(HEAD) + len(rows(100, 10))
    spool = Spool(tmp_path / "state", 5 * size, Trouble())
    spool.begin(HEAD)
    for first in range(100, 200, 10):
        spool.append(rows(first, 10))
        spool.rotate()
    assert spool.size() <= 5 * size
    (loss,) = spool.lost()
    assert (loss["readings"], loss["from"], loss["to"]) == (50, 100.0, 149.0)
    assert len(caplog.records) == 1
    spool.close()
    again = Spool(tmp_path / "state", 5 * size, Trouble())
    assert again.lost() == [loss]  # until the server knows
    assert seconds(again) == list(range(150, 200))
    again.told_lost([loss])
    assert again.lost() == []
    again.close()


def test_what_is_dropped_later_is_told_under_its_number_and_after_a_start_under_another_one(tmp_path: Path) -> None:
    size = len(HEAD) + len(rows(100, 10))
    spool = Spool(tmp_path / "state", size, Trouble())
    spool.begin(HEAD)

    def drop(first: int) -> None:
        spool.append(rows(first, 10))
        spool.rotate()

    drop(100)
    drop(110)
    said = spool.lost()
    drop(120)
    (more,) = spool.lost()
    assert (more["id"], said[0]["readings"], more["readings"]) == (said[0]["id"], 10, 20)
    spool.told_lost(said)  # of what was dropped since it knows nothing
    assert spool.lost() == [more]
    spool.told_lost([more])
    drop(130)
    (third,) = spool.lost()
    assert (third["id"], third["readings"]) == (more["id"], 30)
    spool.close()
    spool = Spool(tmp_path / "state", size, Trouble())
    spool.begin(HEAD)
    assert spool.lost() == [third]
    drop(140)
    assert [loss["readings"] for loss in spool.lost()] == [30, 10]
    assert len({loss["id"] for loss in spool.lost()}) == 2
    spool.close()


def test_a_loss_across_midnight_is_two(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "state", 1, Trouble())
    spool.begin(HEAD)
    spool.append(rows(86_400 - 4, 10))
    spool.rotate()
    assert [(loss["readings"], loss["from"], loss["to"]) for loss in spool.lost()] == [
        (4, 86_396.0, 86_399.0), (6, 86_400.0, 86_405.0),
    ]  # fmt: skip
    spool.close()


def test_a_kill_between_counting_and_removing_neither_counts_again_nor_sends_what_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(HEAD) + len(rows(100, 10))
    spool = Spool(tmp_path / "state", size, Trouble())
    spool.begin(HEAD)
    spool.append(rows(100, 10))
    spool.rotate()
    spool.append(rows(110, 10))
    with monkeypatch.context() as killed:
        killed.setattr(Spool, "_remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            spool.rotate()
    os.close(spool._guard)
    again = Spool(tmp_path / "state", size, Trouble())
    again.begin(HEAD)
    assert sum(loss["readings"] for loss in again.lost()) == 10
    assert seconds(again) == list(range(110, 120))
    again.close()
    third = Spool(tmp_path / "state", size, Trouble())
    third.begin(HEAD)
    third.append(rows(200, 10))  # its file has another name than the one that was dropped
    third.close()
    fourth = Spool(tmp_path / "state", size, Trouble())
    assert seconds(fourth) == list(range(200, 210))
    fourth.close()


def test_what_is_on_its_way_is_not_dropped(tmp_path: Path) -> None:
    size = len(HEAD) + len(rows(100, 10))
    spool = Spool(tmp_path / "state", 2 * size, Trouble())
    spool.begin(HEAD)
    spool.append(rows(100, 10))
    spool.rotate()
    going = spool.oldest(1)
    for first in (110, 120, 130):
        spool.append(rows(first, 10))
        spool.rotate()
    assert sum(loss["readings"] for loss in spool.lost()) == 20
    spool.sent([number for number, _ in going])
    assert seconds(spool) == list(range(130, 140))
    spool.close()


def test_while_the_disk_is_full_readings_are_held_and_written_whole_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real limit of the kernel stands for the full disk: what is over it is cut off in the middle of a line."""
    spool = Spool(tmp_path / "state", MIB, Trouble())
    spool.begin(HEAD)
    spool.append(rows(100))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(HEAD) + len(rows(100)) + 5, old[1]))
        for second in range(101, 105):
            spool.append(rows(second))
        spool.begin(batch.head("n1", [GPU]))
        spool.append(batch.rows("n1", {"gpu0_j": 0}, [Reading(105_000, "gpu0_j", 5)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert len([one for one in caplog.records if "held in memory" in one.message]) == 1
    spool.rotate()
    assert "works again" in caplog.text
    found = spool.oldest(1)
    assert found[0][1].header == "timestamp,node,gpu0_j,node_w"
    assert seconds(spool) == [100, 101, 102, 103, 104, 105]
    spool.close()


def test_what_is_set_aside_keeps_its_reason_and_is_bounded(tmp_path: Path) -> None:
    size = len(HEAD) + len(rows(100, 10))
    spool = Spool(tmp_path / "state", 8 * 3 * size, Trouble())
    spool.begin(HEAD)
    for first in range(100, 200, 10):
        spool.append(rows(first, 10))
        spool.rotate()
    while found := spool.oldest(1):
        spool.set_aside(found[0][0], "422 no such node")
    aside = list((tmp_path / "state" / "aside").iterdir())
    assert 2 <= len([one for one in aside if one.suffix == ".csv"]) <= 3
    assert {one.read_text() for one in aside if one.suffix == ".reason"} == {"422 no such node\n"}
    assert sum(one.stat().st_size for one in aside) <= 3 * size
    spool.close()


def test_two_agents_do_not_share_a_folder(spool: Spool) -> None:
    with pytest.raises(InUse, match="another agent"):
        Spool(spool.folder, MIB, Trouble())


def test_nobody_else_reads_the_folder(spool: Spool) -> None:
    spool.append(rows(1))
    assert spool.folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in spool.folder.glob("*.csv")] == [0]
    assert list(spool.aside.iterdir()) == []
