"""Pushes at the rate of node agents, with a kill and a full disk: what was acknowledged is there, and once."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from tests.bench.push_run import run
from tests.services.push_site import CLUSTER, push_site

NODES, TURNS, EVERY_S, FULL_S = 40, 24, 1.0, 4.0


def test_a_kill_and_a_full_disk_lose_no_acknowledged_reading_and_the_ledger_has_them_all() -> None:
    with push_site() as site:
        result = run(site, NODES, TURNS, EVERY_S, threads=8, full_s=FULL_S)
        said = f"{result.outcome.statuses}, {site.log()[-3_000:]}"
    assert result.outcome.wrong == []
    assert result.outcome.statuses.get(0, 0) > 0, f"nobody noticed the kill: {said}"
    assert result.outcome.statuses.get(503, 0) > 0, f"nobody noticed the full disk: {said}"
    assert result.outcome.acknowledged.all(), said
    assert (result.lost, result.wrong) == (0, 0)
    assert result.stored == NODES * TURNS * 8
    assert result.ledger == result.twin
    assert result.ledger["metered_j"] > 0


def test_a_body_in_chunks_is_read_to_its_end_and_a_large_one_stopped() -> None:
    """As Go's clients send what they pack on the way: no Content-Length, so that Django would see an empty body."""
    at = int(time.time())

    def lines(count: int) -> Iterator[bytes]:
        yield b"timestamp,node,watts\n"
        for i in range(count):
            yield f"{at - i},n0001,{300 + i % 50}\n".encode()

    with push_site(JOULEBOOK_PUSH_BODY_MIB="1") as site:
        secret = site.prepare(["n0001"])
        site.start()
        for count, status in ((500, 200), (100_000, 413)):
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
            headers = {"Authorization": f"Bearer {secret}", "Content-Type": "text/csv"}
            headers["Transfer-Encoding"] = "chunked"
            try:
                connection.request("POST", "/api/v1/power", lines(count), headers, encode_chunked=True)
            except (BrokenPipeError, ConnectionResetError):
                assert status == 413  # it hung up in the middle
            answer = connection.getresponse()
            told = json.loads(answer.read())
            assert (answer.status, told.get("stored")) == (status, count if status == 200 else None)
            connection.close()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_the_same_bodies_sent_by_many_to_several_processes_at_once_are_stored_once(
    database: str, request: pytest.FixtureRequest
) -> None:
    url = {"DATABASE_URL": request.getfixturevalue("postgres_site_url")} if database == "postgres" else {}
    at = int(time.time())
    nodes = [f"n{number:04d}" for number in range(6)]
    bodies = [
        "timestamp,node,watts\n" + "".join(f"{at - 10 * i},{node},{300 + i}\n" for i in range(first, first + 8))
        for node in nodes
        for first in (0, 4)  # they overlap by half
    ]
    with push_site(processes=2, JOULEBOOK_WORKER_THREAD="0", **url) as site:
        secret = site.prepare(nodes)
        site.start()

        def send(number: int) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {secret}", "Content-Type": "text/csv"}
            with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=120)) as connection:
                connection.request("POST", "/api/v1/power", bodies[number % len(bodies)].encode(), headers)
                answer = connection.getresponse()
                told: dict[str, Any] = json.loads(answer.read())
            assert answer.status == 200, told
            return told

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(send, range(8 * len(bodies))))
        assert {told["stored"] + told["duplicates"] for told in answers} == {8}
        assert sum(told["stored"] for told in answers) == 12 * len(nodes)
        booked = json.loads(site.manage("attribute", "--cluster", CLUSTER, "--json"))
    # 12 readings of 300 to 311 W, 10 s apart, each end held for half an interval
    assert booked["metered_j"] == pytest.approx(len(nodes) * 10 * sum(range(300, 312)), rel=1e-12)
