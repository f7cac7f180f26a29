"""Uploads into a real gunicorn: too slow, cut off, on a full disk, large; pages answer meanwhile, nothing is left."""

from __future__ import annotations

import http.client
import http.cookiejar
import re
import resource
import select
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest

from measurements.demo.people import OPERATOR, PASSWORD
from portal.patience import AT_ONCE
from tests.services.push_site import CLUSTER, PushSite, push_site

NEW = "/operations/imports/new/"
PATIENCE_S = 2
SECONDS = 60.0  # the longest a busy machine may need for what it does at once otherwise
FULL_BYTES = 256 << 10
POWER = b"timestamp,node,watts\n" + b"2026-03-01T12:00:00Z,n1,100\n" * 1000
BOUNDARY = "-----upload"
Said = tuple[int, str, str]  # status, where it leads, text


class Operator:
    """A browser of the operator's, as far as it takes to send a form."""

    def __init__(self, site: PushSite) -> None:
        self.site = site
        self.cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies)).open
        token = self._token("/login/")
        form = {"username": OPERATOR, "password": PASSWORD, "csrfmiddlewaretoken": token}
        self._open(f"{site.address}/login/", urlencode(form).encode())
        self.token = self._token(NEW)

    def page(self, path: str) -> str:
        with self._open(f"{self.site.address}{path}") as answer:
            return str(answer.read().decode())

    def _token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page(path))
        assert found
        return found[1]

    def body(self, content: bytes) -> bytes:
        fields = {"csrfmiddlewaretoken": self.token, "cluster": CLUSTER}
        head = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="log.csv"\r\n\r\n'
        tail = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="all_here"\r\n\r\n1\r\n--{BOUNDARY}--\r\n'
        return head.encode() + file.encode() + content + tail.encode()

    def head(self, length: int) -> bytes:
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
        lines = (
            f"POST {NEW} HTTP/1.1", f"Host: localhost:{self.site.port}", f"Cookie: {cookies}",
            f"Origin: {self.site.address}", f"Content-Length: {length}",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}", "", "",
        )  # fmt: skip
        return "\r\n".join(lines).encode()

    def begin(self, body: bytes, length: int | None = None) -> socket.socket:
        """An upload that has begun: its head, and so much of its body as is given."""
        sock = socket.create_connection(("127.0.0.1", self.site.port), timeout=2 * SECONDS)
        sock.sendall(self.head(len(body) if length is None else length) + body)
        return sock

    def send(self, content: bytes) -> Said:
        """A whole upload: status, where it leads, what is said."""
        with closing(self.begin(self.body(content))) as sock:
            return answer_of(sock)

    def send_steadily(
        self, body: bytes, piece: int, every_s: float = 0.0, look: Callable[[], None] = lambda: None
    ) -> Said:
        """An upload piece by piece; ``look`` is called when all was sent.

        A sender that stood still itself, as on a busy machine, is given up rightly: then it is sent anew.
        """
        limit = time.monotonic() + SECONDS
        while True:
            longest_s, last, answer = 0.0, time.monotonic(), (0, "", "")
            with closing(self.begin(b"", len(body))) as sock, suppress(OSError):
                for at in range(0, len(body), piece):
                    time.sleep(every_s)
                    sock.sendall(body[at : at + piece])
                    longest_s, last = max(longest_s, time.monotonic() - last), time.monotonic()
                look()
                answer = answer_of(sock)
            if answer[0] == 302 or longest_s < PATIENCE_S / 2 or last > limit:
                return answer


def answer_of(sock: socket.socket) -> Said:
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    return answer.status, answer.headers.get("Location", ""), answer.read().decode()


def spool(site: PushSite) -> list[Path]:
    return list((site.var / "inbox-spool").glob("*"))


@pytest.fixture(scope="module")
def site() -> Iterator[PushSite]:
    settings = {
        "JOULEBOOK_IMPORT_PATIENCE_S": str(PATIENCE_S), "JOULEBOOK_WORKER_THREAD": "0",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }  # fmt: skip
    with push_site(1, **settings) as served:
        served.prepare(["n1"])
        served.manage("createsuperuser", "--noinput", "--username", OPERATOR, "--email", "olga@example.org")
        served.start()
        yield served


@pytest.fixture
def operator(site: PushSite) -> Operator:
    return Operator(site)


def begun(operator: Operator) -> socket.socket:
    """An upload of which so much came that a part of it is on disk; the rest never comes."""
    body = operator.body(POWER * 60)
    return operator.begin(body[:-2_000], len(body))


@pytest.mark.parametrize("trickles", [False, True], ids=["stops midway", "a byte at a time"])
def test_a_slow_upload_is_ended_with_a_sentence_and_leaves_nothing(operator: Operator, *, trickles: bool) -> None:
    began = time.monotonic()
    with closing(begun(operator)) as sock:
        while trickles and time.monotonic() - began < 1.5 * PATIENCE_S:
            with suppress(OSError):  # it may be over already
                sock.sendall(b"2")
            time.sleep(0.05)
        status, _, said = answer_of(sock)
    assert status == 408
    assert "slower than 1.00\u00a0KiB a second for 2\u00a0s" in said
    assert time.monotonic() - began < SECONDS
    assert spool(operator.site) == []


def test_a_sender_that_hangs_up_midway_leaves_nothing(operator: Operator) -> None:
    sock = begun(operator)
    until(lambda: len(spool(operator.site)) == 1)
    sock.close()
    until(lambda: not spool(operator.site))


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < patience, "it never came to that"
        time.sleep(0.02)


def all_wait_or_one_is_answered(operator: Operator, slow: list[socket.socket]) -> bool:
    return len(spool(operator.site)) == AT_ONCE or some_answered(slow)


def test_many_slow_uploads_leave_threads_for_everybody_else(operator: Operator) -> None:
    limit = time.monotonic() + SECONDS
    in_time = False
    while not in_time:  # a machine that stands still for a while gives the slow ones up before others have come
        with slow_ones(operator) as slow:
            until(partial(all_wait_or_one_is_answered, operator, slow))
            status, _, said = operator.send(POWER)
            page = operator.page("/operations/imports/")
            in_time = not some_answered(slow)
        assert in_time or time.monotonic() < limit, "others had to wait for the slow ones"
    assert (status, "Other uploads are coming in" in said) == (503, True)
    assert "Imports" in page
    assert spool(operator.site) == []
    assert operator.send(POWER)[0] == 302, "the places are free again"


@contextmanager
def slow_ones(operator: Operator) -> Iterator[list[socket.socket]]:
    """As many as there are places; in the end each is given up."""
    slow = [begun(operator) for _ in range(AT_ONCE)]
    try:
        yield slow
        answers = [answer_of(sock)[0] for sock in slow]
    finally:
        for sock in slow:
            sock.close()
    assert answers == [408] * AT_ONCE


def some_answered(slow: list[socket.socket]) -> bool:
    return bool(select.select(slow, [], [], 0)[0])


def test_an_upload_that_goes_on_may_take_longer_than_the_patience(operator: Operator) -> None:
    status, place, _ = operator.send_steadily(operator.body(POWER * 4), 10_000, 0.25)
    assert (status, place.startswith("/operations/imports/")) == (302, True)


@contextmanager
def full_beyond(site: PushSite, size: int) -> Iterator[None]:
    """No file of the serving processes grows beyond so many bytes: what SQLite needs for reading goes on."""
    for pid in site.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in site.workers():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_full_disk_is_said_nothing_is_left_and_pages_go_on(operator: Operator) -> None:
    before = set(spool(operator.site))
    with full_beyond(operator.site, FULL_BYTES):
        status, _, said = operator.send(POWER * 60)
        assert (status, "There is no room for it on the disk" in said) == (200, True)
        assert "Imports" in operator.page("/operations/imports/")
    assert set(spool(operator.site)) == before
    assert operator.send(POWER)[0] == 302


def test_a_large_upload_takes_no_memory_to_speak_of(operator: Operator) -> None:
    content = b"timestamp,node,watts\n" + b"2026-03-01T12:00:00Z,n1,100\n" * 3_700_000  # 99 MiB
    operator.send(POWER)
    before, held = operator.site.resident_mib(), []
    status, *_ = operator.send_steadily(
        operator.body(content), 1 << 20, look=lambda: held.append(operator.site.resident_mib())
    )
    assert status == 302
    assert max(held) < before + 30
