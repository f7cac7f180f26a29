"""The agent and a real site: the server is killed, the agent is killed, and the store has every reading once."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.bench.push_run import read_store
from tests.services.push_site import CLUSTER, PushSite, push_site
from tests.workers.agent.driver import Driver
from tests.workers.agent.program import SECONDS, Node, node, wait_until
from tests.workers.agent.test_program import GPUS, after_look
from tests.workers.agent.tree import RANGE_UJ

Readings = list[tuple[str, int]]
UUIDS = {column[:-2]: uuid for column, uuid in GPUS.items()}


@pytest.fixture(scope="module")
def prepared() -> Iterator[tuple[PushSite, str]]:
    """A site with its tables and the node n1, and the secret of a token; whoever wants it served starts it."""
    with push_site() as made:
        yield made, made.prepare(["n1"])


@pytest.fixture
def site(prepared: tuple[PushSite, str]) -> PushSite:
    made = prepared[0]
    if made.process is None:
        made.start()
    return made


@pytest.fixture
def here(prepared: tuple[PushSite, str], driver: Driver, tmp_path: Path) -> Node:
    made = node(tmp_path, driver, prepared[0].address, interval_s="0.2", timeout_s="3")
    (tmp_path / "token").write_text(prepared[1], encoding="ascii")
    for one in driver.boards:
        one.energy_mj, one.since_ms = 10**9, int(time.time() * 1_000)
    driver.write()
    return made


def stored_energies(found: dict[tuple[str, str, int], int]) -> Readings:
    """UUID and mJ of what the store has of the GPUs."""
    return sorted((UUIDS[channel], value // 1_000) for (_, channel, _), value in found.items() if channel in UUIDS)


def waits_for(here: Node, driver: Driver, more: int) -> None:
    count = len(driver.readings())
    wait_until(lambda: len(driver.readings()) > count + more)


def test_what_the_agent_read_is_in_the_store_once_and_books_what_the_counters_say(
    site: PushSite, here: Node, driver: Driver
) -> None:
    with here.running() as agent:
        waits_for(here, driver, 30)
        site.kill()
        waits_for(here, driver, 20)
        agent.send_signal(signal.SIGKILL)
    first_life = len(driver.readings())
    with here.running() as agent:
        waits_for(here, driver, 20)
        site.start()
        wait_until(lambda: "server: works again" in here.log())
        waits_for(here, driver, 10)
        agent.terminate()
        assert agent.wait(SECONDS) == 0
    assert list((here.folder / "state").glob("*.csv")) == []
    told = json.loads(site.manage("attribute", "--cluster", CLUSTER, "--json"))
    site.stop()
    found = read_store(site.var, CLUSTER)
    check_every_reading(driver, first_life, stored_energies(found))
    assert rows(site, "SELECT sum(rows) FROM measurements_segment") == [(len(found),)]  # none twice
    assert told["metered_j"] == pytest.approx(metered_j(found), rel=1e-9)
    assert told["metered_j"] > 1_000
    check_facts(site)


def check_every_reading(driver: Driver, first_life: int, stored: Readings) -> None:
    """All that the driver told the agent is there; of the beat that the kill met a part may be missing."""
    read = [(uuid, mj) for _, uuid, mj in driver.readings()]
    expected = after_look(read[:first_life]) + after_look(read[first_life:])
    missing = set(expected) - set(stored)
    assert len(stored) == len(set(stored))
    assert set(stored) <= set(expected)
    assert missing <= set(read[first_life - 2 : first_life])


def metered_j(found: dict[tuple[str, str, int], int]) -> float:
    """What all counters but the platform's say of the time in which all of them were read; bridged where none was."""
    curves = {
        channel: np.array(sorted((t, value) for (_, name, t), value in found.items() if name == channel), dtype=float)
        for channel in {channel for _, channel, _ in found} - {"psys"}
    }
    start, end = max(curve[0, 0] for curve in curves.values()), min(curve[-1, 0] for curve in curves.values())
    ends = [np.interp([start, end], curve[:, 0], curve[:, 1]) for curve in curves.values()]
    return float(sum(last - first for first, last in ends)) / 1e6


def check_facts(site: PushSite) -> None:
    """The site knows what each channel is, and which GPU."""
    periods = rows(
        site,
        "SELECT c.name, p.source, p.nominal_ms, p.wrap_uj FROM measurements_channelperiod p "
        "JOIN measurements_channel c ON p.channel_id = c.id ORDER BY c.name",
    )
    assert ("gpu0", "nvml", 200, None) in periods
    assert ("cpu1", "rapl", 200, RANGE_UJ) in periods
    places = rows(site, 'SELECT "index", uuid FROM measurements_gpuplace ORDER BY "index"')
    assert places == [(0, "GPU-a"), (1, "GPU-b")]


def test_check_asks_the_real_site_and_stores_nothing(site: PushSite, here: Node) -> None:
    before = rows(site, "SELECT sum(rows) FROM measurements_segment")
    assert "answers, and takes the token\n" in here.run("--check").stdout
    here.settings["node"] = "n9"
    done = here.run("--check")
    assert done.returncode == 1
    assert (
        "takes the token; but it does not know this node, and would refuse its readings (unknown node)" in done.stdout
    )
    assert rows(site, "SELECT count(*) FROM measurements_quarantine") == [(0,)]
    here.settings["node"] = "n1"
    (here.folder / "token").write_text("jb_guessed", encoding="ascii")
    done = here.run("--check")
    assert done.returncode == 1
    assert "401" in done.stdout
    assert rows(site, "SELECT sum(rows) FROM measurements_segment") == before


def rows(site: PushSite, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(site.var / "joulebook.sqlite3", timeout=30)) as database:
        return database.execute(query).fetchall()
