"""The private services run, are reached from this machine only, and end with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import redis

from tests.services import binaries, install
from tests.services.browser import PHONE
from tests.services.demo_site import last_with_a_running_job
from tests.services.fixtures import OpenBrowser
from tests.services.postgres import PostgresServer
from tests.services.process import as_account, free_port, running
from tests.services.room import GIB, room

ROOT = Path(__file__).resolve().parent.parent


def test_postgres_gives_each_test_a_database_of_its_own(postgres_url: str, postgres: PostgresServer) -> None:
    other = postgres.new_database()
    with psycopg.connect(postgres_url) as mine, psycopg.connect(other) as theirs:
        mine.execute("CREATE TABLE joules (j int)")
        mine.commit()
        assert mine.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert theirs.execute("SELECT to_regclass('joules')").fetchone() == (None,)


def test_redis_begins_empty_and_writes_nothing(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        assert client.config_get("save") == {"save": ""}


def test_chromium_shows_a_page_as_a_dark_phone(chromium: OpenBrowser) -> None:
    browser = chromium(size=PHONE, dark=True)
    browser.get("data:text/html,<meta name=viewport content='width=device-width'><title>hello</title>")
    assert browser.title == "hello"
    assert browser.execute_script("return innerWidth") == PHONE[0]
    assert browser.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")


def test_a_service_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even when that one is killed and can clean up nothing."""
    port = free_port()
    serve = as_account([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], None)
    if serve[0] != "setpriv":
        pytest.skip("this machine has no setpriv")
    code = f"import subprocess, time; subprocess.Popen({serve!r}, start_new_session=True); time.sleep(60)"
    with running([sys.executable, "-c", code], tmp_path / "log", lambda: _listens(port), stop=signal.SIGKILL):
        assert _listens(port)
    for _ in range(3_000):
        if not _listens(port):
            return
        time.sleep(0.02)
    pytest.fail("the server is still there")


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no memory')"]
    with (
        pytest.raises(RuntimeError, match="no memory"),
        running(broken, tmp_path / "log", lambda: False),
    ):
        pass


def test_a_program_counts_only_if_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = binaries.Service("some", (("some-server",),), ("some",))
    program = tmp_path / "some-server"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert binaries.find(service) is None
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert binaries.find(service) is None
    program.write_text("#!/bin/sh\nexit 0\n")
    assert binaries.find(service) == (program,)


@pytest.mark.parametrize(("mode", "code"), [("auto", 0), ("required", 1), ("skip", 0)])
def test_a_machine_without_apt_is_told_what_is_missing(
    mode: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SERVICES", mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install, "missing_services", lambda: [binaries.REDIS])
    assert install.main() == code
    told = capsys.readouterr().err
    assert ("redis is missing (apt-get install redis-server)" in told) == (mode != "skip")
    assert ("there is no apt-get" in told) == (mode != "skip")


def test_nonsense_in_services_is_refused() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.services.install"],
        env={**os.environ, "SERVICES": "maybe"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "SERVICES='maybe' is none of auto, required, skip" in answer.stderr


def test_tests_write_into_memory_only_where_there_is_enough_of_it(tmp_path: Path) -> None:
    here = Path(tempfile.gettempdir())
    assert room(tmp_path, available=0) == here
    assert room(tmp_path, available=11 * GIB) == here
    assert room(tmp_path / "not there", available=99 * GIB) == here
    free = shutil.disk_usage(tmp_path).free
    assert room(tmp_path, available=99 * GIB) == (tmp_path if free >= 6 * GIB else here)


@pytest.mark.parametrize("minute", [11 * 60 + 40, 11 * 60 + 45, 11 * 60 + 50, 12 * 60 + 2, 12 * 60 + 10])
def test_the_demo_stands_still_while_a_job_of_its_student_runs(minute: int) -> None:
    now = datetime(2026, 11, 22, minute // 60, minute % 60, tzinfo=UTC)
    before_noon = datetime(2026, 11, 22, 11, 44, tzinfo=UTC)
    assert last_with_a_running_job(now) == (now if minute in (11 * 60 + 40, 12 * 60 + 10) else before_noon)
