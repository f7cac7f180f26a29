"""Uploads into a real gunicorn: too slow, cut off, on a full disk, large; pages answer meanwhile, nothing is left."""

from __future__ import annotations

import http.client
import http.cookiejar
import re
import resource
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from measurements.demo.people import OPERATOR, PASSWORD
from portal.patience import AT_ONCE
from tests.services.push_site import CLUSTER, PushSite, push_site

NEW = "/operations/imports/new/"
PATIENCE_S = 2
FULL_BYTES = 256 << 10
POWER = b"timestamp,node,watts\n" + b"2026-03-01T12:00:00Z,n1,100\n" * 1000
BOUNDARY = "-----upload"


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
        sock = socket.create_connection(("127.0.0.1", self.site.port), timeout=30)
        sock.sendall(self.head(len(body) if length is None else length) + body)
        return sock

    def send(self, content: bytes) -> tuple[int, str, str]:
        """A whole upload: status, where it leads, what is said."""
        with closing(self.begin(self.body(content))) as sock:
            return answer_of(sock)


def answer_of(sock: socket.socket) -> tuple[int, str, str]:
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
            sock.sendall(b"2")
            time.sleep(0.05)
        status, _, said = answer_of(sock)
    assert status == 408
    assert "slower than 1.00\u00a0KiB a second for 2\u00a0s" in said
    assert time.monotonic() - began < 4 * PATIENCE_S
    assert spool(operator.site) == []


def test_a_sender_that_hangs_up_midway_leaves_nothing(operator: Operator) -> None:
    sock = begun(operator)
    until(lambda: len(spool(operator.site)) == 1)
    sock.close()
    until(lambda: not spool(operator.site))


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + 20
    while not true():
        assert time.monotonic() < patience, "it never came to that"
        time.sleep(0.02)


def test_many_slow_uploads_leave_threads_for_everybody_else(operator: Operator) -> None:
    slow = [begun(operator) for _ in range(AT_ONCE)]
    try:
        until(lambda: len(spool(operator.site)) == AT_ONCE)
        status, _, said = operator.send(POWER)
        assert (status, "Other uploads are coming in" in said) == (503, True)
        began = time.monotonic()
        assert "Imports" in operator.page("/operations/imports/")
        assert time.monotonic() - began < PATIENCE_S
    finally:
        answers = [answer_of(sock)[0] for sock in slow]
        for sock in slow:
            sock.close()
    assert answers == [408] * AT_ONCE
    assert spool(operator.site) == []
    assert operator.send(POWER)[0] == 302, "the places are free again"


def test_an_upload_that_goes_on_may_take_longer_than_the_patience(operator: Operator) -> None:
    body = operator.body(POWER * 4)
    with closing(operator.begin(body[:10_000], len(body))) as sock:
        for at in range(10_000, len(body), 10_000):
            time.sleep(0.25)
            sock.sendall(body[at : at + 10_000])
        status, place, _ = answer_of(sock)
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
    before = operator.site.resident_mib()
    with closing(operator.begin(operator.body(content))) as sock:
        assert operator.site.resident_mib() < before + 30
        assert answer_of(sock)[0] == 302
