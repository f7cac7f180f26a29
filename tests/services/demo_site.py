"""Sites to look at, each in a folder that goes: an empty one, and the demo, booked and served like `make demo`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from measurements.demo.note import stories_of
from measurements.demo.people import STUDENT
from measurements.demo.schedule import plan_period
from measurements.demo.stories import Stories
from tests.services.once import made_once
from tests.services.process import as_account, folder, free_port, running
from tests.services.tables import sqlite_tables

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("JOULEBOOK_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
DEMO = {"JOULEBOOK_DEMO": "1", "JOULEBOOK_BOARDS_OF_PERSONS": "1"}
SECONDS = 180.0
SEED = 2212


@dataclass(frozen=True, slots=True)
class DemoSite:
    """Where it is served, and where its files and its database lie."""

    address: str
    var: Path

    def stories(self) -> Stories:
        """What its simulated people did, and where."""
        found = stories_of(self.var)
        if found is None:
            raise RuntimeError("the demo left no note of its stories")
        return found

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What its database holds."""
        with closing(sqlite3.connect(f"file:{self.var / 'joulebook.sqlite3'}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()


@contextmanager
def demo_site(days: int, *commands: list[str]) -> Iterator[DemoSite]:
    """The demo of the last ``days``, and further commands; it stands still, so that a page stays as it is.

    Its student has a job that runs: where she has none right now, it stands still some minutes earlier.

    It is a copy of one that is simulated once a run, so that who looks at it may change it.
    """
    with _site(DEMO, made_once(f"demo-{days}", partial(_simulate, days)), *commands) as site:
        yield site


def _simulate(days: int, var: Path) -> None:
    sqlite_tables(var / "joulebook.sqlite3")
    until = last_with_a_running_job(datetime.now(UTC))
    command = ["demo", "--days", str(days), "--seed", str(SEED), "--now", until.isoformat()]
    _manage(command, _environment(var, "http://localhost", DEMO))


def last_with_a_running_job(now: datetime) -> datetime:
    """Now, or the last full minutes in which the student's job ran: on many days her long one ends shortly before noon
    (UTC), and the next one begins shortly after."""
    return next(at for at in (now - timedelta(minutes=back) for back in range(24 * 60)) if _runs_at(at))


def _runs_at(at: datetime) -> bool:
    at_s = int(at.timestamp())
    return any(run.person.username == STUDENT and run.start_s < at_s for run in plan_period(SEED, at_s, at_s + 1))


@contextmanager
def empty_site() -> Iterator[DemoSite]:
    """A site of which only the tables exist."""
    with _site({}, None) as site:
        yield site


@contextmanager
def working_site(settings: dict[str, str], *commands: list[str]) -> Iterator[DemoSite]:
    """A site as `make run` starts it: a thread of it does the work, and looks for it all the time."""
    with _site(settings | {"JOULEBOOK_WORKER_THREAD": "1", "JOULEBOOK_SWEEP_S": "1"}, None, *commands) as site:
        yield site


def _environment(var: Path, address: str, settings: dict[str, str]) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return environment | {"JOULEBOOK_WORKER_THREAD": "0"} | settings | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "JOULEBOOK_SITE_URL": address,
        "JOULEBOOK_TIME_ZONE": "Europe/Berlin",  # as `make demo`
        "JOULEBOOK_VAR": str(var),
    }  # fmt: skip


@contextmanager
def _site(settings: dict[str, str], begun: Path | None, *commands: list[str]) -> Iterator[DemoSite]:
    with folder("site") as var:
        if begun:
            shutil.copytree(begun, var, dirs_exist_ok=True)
        else:
            sqlite_tables(var / "joulebook.sqlite3")
        port = free_port()
        address = f"http://localhost:{port}"
        environment = _environment(var, address, settings)
        for command in commands:
            _manage(command, environment)
        server = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
        server = as_account([*server, "--no-control-socket", "portal.wsgi"], None)
        with running(server, var / "server.log", lambda: answers(address), seconds=SECONDS, cwd=ROOT, env=environment):
            yield DemoSite(address, var)


def _manage(command: list[str], environment: dict[str, str]) -> None:
    words = [sys.executable, "manage.py", *command]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2_000:]}")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/login/", timeout=SECONDS) as answer:  # noqa: S310 - our own server
            return bool(answer.status == 200)
    except OSError:
        return False
