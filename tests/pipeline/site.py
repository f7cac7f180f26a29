"""Sites to run commands on: each has its own database and folder, and a command is a process that can be killed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.services.process import as_account

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 180


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended, and what it said."""

    code: int
    signal: int
    peak_kib: int
    out: str
    err: str
    events: int  # what a watched command counted; 0 if it was killed

    @property
    def killed(self) -> bool:
        """Whether it was."""
        return self.signal == 9

    def json(self) -> dict[str, Any]:
        """The one object on standard output: anything else there is an error."""
        value = json.loads(self.out)
        assert isinstance(value, dict), self.out
        return value

    def done(self) -> Answer:
        """Itself, if it succeeded."""
        assert self.code == 0, f"exit {self.code}: {self.err}"
        assert "Traceback" not in self.err, self.err
        return self


@dataclass(slots=True)
class Running:
    """A command under way."""

    farm: Farm
    pid: int
    prefix: Path

    def wait(self, *, kill_after_s: float | None = None) -> Answer:
        """Until it ends, or is killed."""
        ended = self.farm.ask({"op": "wait", "pid": self.pid, "kill_after_s": kill_after_s})
        out, err = (Path(f"{self.prefix}.{suffix}") for suffix in ("out", "err"))
        events = Path(f"{self.prefix}.events")
        count = int(events.read_text() or 0) if events.exists() else 0
        said, complained = (path.read_text() if path.exists() else "" for path in (out, err))
        return Answer(ended["code"], ended["signal"], ended["peak_kib"], said, complained, count)

    def until_reached(self) -> None:
        """Until it comes to the place where it was asked to pause."""
        _until(Path(f"{self.prefix}.reached").exists, f"{self.prefix} never came to its pause")

    def go_on(self) -> None:
        """Let it go on from its pause."""
        Path(f"{self.prefix}.go").touch()


def _until(condition: Callable[[], bool], complaint: str) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, complaint
        time.sleep(0.005)


@dataclass(slots=True)
class Site:
    """One site: a database and a folder."""

    farm: Farm
    database: str
    var: Path

    def start(self, *task: str | Path, **options: Any) -> Running:
        """Begin a command; see `tests.pipeline.crash_worker` for the options."""
        prefix = self.farm.folder / f"task-{next(self.farm.numbers)}"
        request = {"op": "start", "task": [str(word) for word in task], "out": str(prefix), **options}
        answer = self.farm.ask({**request, "database": self.database, "var": str(self.var)})
        return Running(self.farm, answer["pid"], prefix)

    def run(self, *task: str | Path, **options: Any) -> Answer:
        """A task from beginning to end."""
        return self.start(*task, **options).wait()

    def manage(self, *argv: str | Path, **options: Any) -> Answer:
        """A management command, whatever becomes of it."""
        return self.run("manage", *argv, **options)

    def do(self, *argv: str | Path, **options: Any) -> Answer:
        """A management command that has to succeed."""
        return self.manage(*argv, **options).done()

    def json(self, *argv: str | Path) -> dict[str, Any]:
        """What a command that has to succeed says with --json."""
        return self.do(*argv, "--json").json()

    def dump(self) -> str:
        """The whole ledger as canonical text."""
        return self.run("print_dump").done().out

    def samples(self) -> str:
        """The samples as canonical text."""
        return self.run("print_samples").done().out

    def tables(self, *models: str) -> dict[str, list[dict[str, Any]]]:
        """Some tables' rows with their ids."""
        found: dict[str, list[dict[str, Any]]] = json.loads(self.run("print_rows", *models).done().out)
        return found

    def rows(self, model: str) -> list[dict[str, Any]]:
        """A table's rows with their ids."""
        return self.tables(model)[model]

    def evaluate(self, source: str) -> str:
        """Statements on the site's ``models``; what they print."""
        return self.run("evaluate", source).done().out

    def copy(self) -> Site:
        """Another site with the same content; nobody may be at work on this one."""
        return self.farm.copied(self)


@dataclass(slots=True)
class Farm:
    """A warm worker process and the sites it runs commands on."""

    url: str  # of a migrated database that sites are copies of
    folder: Path
    process: subprocess.Popen[str]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_postgres(self) -> bool:
        """Which database the sites are on."""
        return self.url.startswith("postgres")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """A question to the worker and its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        assert answer, f"the worker is gone: {self.process.poll()}"
        value: dict[str, Any] = json.loads(answer)
        return value

    def new(self) -> Site:
        """An empty site."""
        return self.copied(self.template())

    def template(self) -> Site:
        """The site all others begin as; nobody works on it."""
        name = self.url.rpartition("/")[2] if self.is_postgres else self.url.removeprefix("sqlite:///")
        return Site(self, name, self.folder / "template-var")

    def copied(self, site: Site) -> Site:
        """Another site with the same content."""
        number = next(self.numbers)
        var = self.folder / f"var-{number}"
        if site.var.exists():
            shutil.copytree(site.var, var)
        if self.is_postgres:
            name = f"{self.url.rpartition('/')[2]}_{number}"
            self._copy_database(site.database, name)
        else:
            name = str(self.folder / f"site-{number}.sqlite3")
            for suffix in ("", "-wal"):
                if Path(site.database + suffix).exists():
                    shutil.copyfile(site.database + suffix, name + suffix)
        return Site(self, name, var)

    def _copy_database(self, old: str, new: str) -> None:
        server = self.url.rpartition("/")[0] + "/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"

            def idle() -> bool:  # a killed client's backend ends a little later
                return connection.execute(query, [old]).fetchone() == (0,)

            _until(idle, f"somebody is still at work on {old}")
            connection.execute(f'CREATE DATABASE "{new}" TEMPLATE "{old}"')


@contextmanager
def farm(url: str, folder: Path) -> Iterator[Farm]:
    """A worker on the address of a database that has its tables."""
    variables = {"DATABASE_URL": url, "JOULEBOOK_VAR": str(folder / "worker"), "JOULEBOOK_LOG_LEVEL": "ERROR"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_URL", "REDIS_URL", "JOULEBOOK_"))}
    environment |= {**variables, "DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONUNBUFFERED": "1"}
    command = as_account([sys.executable, "-m", "tests.pipeline.crash_worker"], None)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Farm(url, folder, process)
        finally:
            _close(process)


def _close(process: subprocess.Popen[str]) -> None:
    """It ends when nobody can ask it any more; its children end with it, those that are paused too."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:  # it waits for a child
        process.kill()
        process.wait(PATIENCE_S)
