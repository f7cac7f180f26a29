"""A sender that dies in the middle of a body: what came of it is not taken, and nobody waits for the rest for ever."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.bench.push_run import read_store
from tests.services.push_site import CLUSTER, THREADS, PushSite, push_site

NODE = "n0001"


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[PushSite, str]]:
    with push_site(JOULEBOOK_WORKER_THREAD="0", JOULEBOOK_PUSH_WAIT_S="2") as one:
        secret = one.prepare([NODE])
        one.start()
        yield one, secret


def head(secret: str, length: str) -> bytes:
    said = f"POST /api/v1/power HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
    return f"{said}Content-Type: text/csv\r\n{length}\r\n\r\n".encode()


def body(watts: int = 345) -> bytes:
    return f"timestamp,node,watts\n{int(time.time())},{NODE},{watts}\n".encode()


def sent(site: PushSite, *parts: bytes, end: bool) -> bytes:
    """What is answered to bytes after which nothing comes; ``end``: and the connection is closed on this side."""
    with closing(socket.create_connection(("127.0.0.1", site.port))) as connection:
        for part in parts:
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(60)
        try:
            return connection.recv(1000)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_within_a_number_is_not_taken_for_a_shorter_number(
    site: tuple[PushSite, str], *, chunked: bool
) -> None:
    one, secret = site
    whole = body()
    part = whole[: whole.rindex(b",") + 2]  # 3 W of 345
    if chunked:
        answer = sent(one, head(secret, "Transfer-Encoding: chunked"), b"%x\r\n" % len(part) + part + b"\r\n", end=True)
    else:
        answer = sent(one, head(secret, f"Content-Length: {len(whole)}"), part, end=True)
    assert b" 200 " not in answer
    assert not read_store(one.var, CLUSTER)


def test_one_that_drips_is_given_up_as_well(site: tuple[PushSite, str]) -> None:
    one, secret = site
    with closing(socket.create_connection(("127.0.0.1", one.port))) as connection:
        connection.sendall(head(secret, "Content-Length: 1000"))
        connection.settimeout(0.2)
        for _ in range(200):
            with suppress(OSError):  # it may be over already
                connection.sendall(b",")
            try:
                answer = connection.recv(1000)
                break
            except TimeoutError:
                continue
        else:
            answer = b"never"
    assert b" 503 " in answer


def test_senders_that_are_silent_in_the_middle_do_not_keep_others_out(site: tuple[PushSite, str]) -> None:
    one, secret = site
    silent = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(2 * THREADS)]
    for connection in silent:
        connection.sendall(head(secret, "Content-Length: 1000") + b"timestamp")
    answer = sent(one, head(secret, f"Content-Length: {len(body())}"), body(), end=False)
    assert b" 200 " in answer
    assert b" 503 " in silent[0].recv(1000)
    for connection in silent:
        connection.close()
    assert set(read_store(one.var, CLUSTER).values()) == {345_000}
