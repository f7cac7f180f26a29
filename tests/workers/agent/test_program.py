"""The agent as it runs: from counters to requests, killed and told to stop, alone and with a server that is away."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.services.process import free_port
from tests.workers.agent import tree
from tests.workers.agent.driver import Driver
from tests.workers.agent.program import SECONDS, Node, node, wait_until
from tests.workers.agent.receiver import Receiver

GPUS = {"gpu0_j": "GPU-a", "gpu1_j": "GPU-b"}


@pytest.fixture
def here(driver: Driver, server: Receiver, tmp_path: Path) -> Node:
    for one in driver.boards:
        one.energy_mj, one.since_ms = 10**9, int(time.time() * 1_000)
    driver.write()
    return node(tmp_path, driver, server.address)


def sent_energies(server: Receiver) -> list[tuple[str, int]]:
    """UUID and mJ of all GPU readings that were stored, in the order in which they came."""
    return [(GPUS[column], round(float(value) * 1_000)) for _, column, value in server.power() if column in GPUS]


def read_energies(driver: Driver) -> list[tuple[str, int]]:
    return [(uuid, mj) for _, uuid, mj in driver.readings()]


def after_look(readings: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Without the two that a look at the boards takes, which are no readings of the agent."""
    return readings[2:]


def test_everything_that_was_read_is_sent_once_and_exactly(here: Node, server: Receiver, driver: Driver) -> None:
    with here.running() as process:
        server.wait_for(3)
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert sorted(sent_energies(server)) == sorted(after_look(read_energies(driver)))
    assert len(sent_energies(server)) > 20
    assert ("psys_j", 5.000005) in {(column, float(value)) for _, column, value in server.power()}
    first = json.loads(server.sent[0].body)
    assert first["channels"]["gpu1"] == {"source": "nvml", "interval_ms": 100, "uuid": "GPU-b"}
    assert first["channels"]["psys"]["wrap_uj"] == tree.RANGE_UJ
    assert list((here.folder / "state").glob("*.csv")) == []


def test_times_are_those_of_the_reading(here: Node, server: Receiver, driver: Driver) -> None:
    with here.running():
        server.wait_for(2)
    at = {
        (GPUS[column], round(float(value) * 1_000)): float(t) for t, column, value in server.power() if column in GPUS
    }
    late = [at[uuid, mj] - t_ms / 1_000 for t_ms, uuid, mj in driver.readings() if (uuid, mj) in at]
    assert min(late) >= -0.001
    assert sorted(late)[len(late) // 2] < 0.05


def test_a_killed_agent_and_a_server_that_is_away_lose_nothing_that_was_written(
    here: Node, server: Receiver, driver: Driver
) -> None:
    server.always = (503, {"Retry-After": "1"}, "away")
    with here.running() as process:
        wait_until(lambda: len(driver.readings()) > 30)
        process.send_signal(signal.SIGKILL)
    killed = len(driver.readings())
    with here.running() as process:
        wait_until(lambda: len(driver.readings()) > killed + 30)
        server.always = (200, {}, "{}")
        server.wait_for(2)
        process.terminate()
        assert process.wait(SECONDS) == 0
    read, sent = read_energies(driver), sent_energies(server)
    expected = after_look(read[:killed]) + after_look(read[killed:])
    missing = sorted(set(expected) - set(sent))
    assert set(sent) <= set(expected)
    assert len(sent) == len(set(sent))
    assert set(missing) <= set(read[killed - 2 : killed])  # at most the beat that the kill met


def test_while_the_server_is_away_the_agent_says_so_once(here: Node, driver: Driver) -> None:
    here.settings["server"] = f"http://127.0.0.1:{free_port()}"
    with here.running() as process:
        wait_until(lambda: len(driver.readings()) > 60)
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert here.log().count("readings wait on the disk") == 1
    assert list((here.folder / "state").glob("*.csv"))


def test_a_gpu_that_falls_off_the_bus_and_a_reloaded_driver_are_lived_through(
    here: Node, server: Receiver, driver: Driver
) -> None:
    with here.running() as process:
        server.wait_for(1)
        driver.reload()
        wait_until(lambda: "works again" in here.log())
        server.wait_for(len(server.stored) + 2)
        assert process.poll() is None
    energies = [mj for uuid, mj in sent_energies(server) if uuid == "GPU-a"]
    assert sum(b < a for a, b in pairwise(energies)) == 1  # the counter began anew, and says so itself
    assert set(sent_energies(server)) <= set(read_energies(driver))
    assert here.log().count("nvml gpu0:") == 2  # when it began, and when it was over


def test_gpu_holds_are_told_where_they_are_switched_on(here: Node, server: Receiver, driver: Driver) -> None:
    here.settings |= {"gpu_holds": "yes", "gpu_holds_every_s": "1"}
    tree.process(here.folder / "proc", 77, "0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0")
    driver.processes = [("GPU-b", 77)]
    driver.write()
    with here.running():
        wait_until(lambda: any(one.path.endswith("gpu-holds") for one in server.stored))
    (told,) = next(json.loads(one.body)["holds"] for one in server.stored if one.path.endswith("gpu-holds"))
    assert (told["job_id"], told["gpu"], told["node"]) == ("4711", "GPU-b", "n1")


def test_once_prints_a_plain_power_csv(here: Node, driver: Driver) -> None:
    done = here.run("--once")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    values = {column: value for row in rows for column, value in row.items() if value}
    assert values["cpu0_j"] == "1.000001"
    assert round(float(values["gpu1_j"]) * 1_000) == driver.readings()[-1][2]
    assert not (here.folder / "state").exists()


def test_once_says_so_where_there_is_nothing_to_read(here: Node, driver: Driver) -> None:
    driver.boards.clear()
    driver.write()
    shutil.rmtree(here.sysfs)
    done = here.run("--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing can be read on this node" in done.stderr


def test_check_says_what_is_there_and_that_the_server_answers(here: Node, driver: Driver, server: Receiver) -> None:
    driver.boards[1].mig = ("MIG-1", "MIG-2")
    driver.write()
    done = here.run("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("node n1", "gpu0: ", "GPU-a", "MIG-2", "cpu1: 2.000002 J", "starts again after 262143 J"):
        assert words in done.stdout
    assert re.search(r"gpu0: \S+ J at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z; ", done.stdout), "a time for eyes"
    assert "nvml: 2 channels, every" in done.stdout
    assert "pm_counters: nothing found" in done.stdout
    assert "answers, and takes the token" in done.stdout
    assert "without TLS" in done.stdout
    assert server.sent[0].samples() == []


def test_check_tells_of_a_token_that_others_can_read(here: Node, server: Receiver) -> None:
    token = here.folder / "token"
    token.chmod(0o600)
    assert "can be read by others" not in here.run("--check").stdout
    token.chmod(0o640)
    assert f"! {token} can be read by others: chmod 600 it" in here.run("--check").stdout


@pytest.mark.parametrize(("status", "words"), [(401, "401 no such token"), (0, "refused")])
def test_check_says_what_is_wrong(here: Node, server: Receiver, status: int, words: str) -> None:
    server.always = (status, {}, '{"detail": "no such token"}')
    if not status:
        here.settings["server"] = f"http://127.0.0.1:{free_port()}"
    done = here.run("--check")
    assert done.returncode == 1
    assert words in done.stdout


def test_a_second_agent_does_not_start(here: Node, server: Receiver) -> None:
    with here.running():
        server.wait_for(1)
        done = here.run()
    assert done.returncode == 2
    assert "another agent works in" in done.stderr


@pytest.mark.parametrize(("name", "value"), [("server", ""), ("sources", "nvml magic"), ("ca_file", "/nowhere.pem")])
def test_settings_that_make_no_sense_end_it_with_a_sentence(here: Node, name: str, value: str) -> None:
    here.settings |= {"server": "https://localhost"} | {name: value}
    done = here.run()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_agent_needs_neither_the_site_nor_django() -> None:
    code = "import sys, workers.agent.__main__; print([m for m in sys.modules if m.split('.')[0] in %r])"
    foreign = ("django", "numpy", "pandas", "measurements", "portal", "celery", "urllib3")
    done = subprocess.run(["python3", "-S", "-c", code % (foreign,)], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
