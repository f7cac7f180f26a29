"""A warm process that forks a child for each command, so that a command can be killed at an exact point.

Started as ``python -m tests.pipeline.crash_worker`` with the site's own settings; it reads one JSON request a line
on standard input and answers with one JSON line. The parent never opens the database.

    {"op": "start", "task": [...], "database": NAME, "var": FOLDER, "out": PREFIX, …} → {"pid": …}
    {"op": "wait", "pid": …, "kill_after_s": …} → {"code": …, "signal": …, "peak_kib": …}

A task is ["manage", argv…] or the name of a service below. What a child says goes to PREFIX.out and PREFIX.err.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import django

Request = dict[str, Any]
POLL_S = 0.005
LOCK_S = 120
PR_SET_PDEATHSIG = 1
COMMANDS = ("measurements.management.commands", "portal.management.commands")
WARM = (
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "measurements.services.digests",
    "tests.pipeline.ledger_dump",
    "workers.work",
)


class Countdown:
    """Kills this process at the k-th event; with k = 0 it only counts."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.seen = 0

    def tick(self) -> None:
        """One event: something durable is about to happen, or has just happened."""
        self.seen += 1
        if self.seen == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with an event before and one after it."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.tick()
            result = function(*args, **kwargs)
            self.tick()
            return result

        return wrapped


def watch(countdown: Countdown) -> None:
    """Count each write, sync, rename and removal of a file, each statement and each commit of the database."""
    from django.db import connection
    from django.db.backends.base.base import BaseDatabaseWrapper

    for name in ("fsync", "rename", "unlink", "utime"):
        setattr(os, name, countdown.around(getattr(os, name)))
    setattr(BaseDatabaseWrapper, "_commit", countdown.around(getattr(BaseDatabaseWrapper, "_commit")))  # noqa: B009, B010 - not in its types

    def statement(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        reads = sql.lstrip()[:6].upper() == "SELECT"
        return execute(sql, *rest) if reads else countdown.around(execute)(sql, *rest)

    connection.execute_wrappers.append(statement)


def pause(function: Callable[..., Any], place: Path) -> Callable[..., Any]:
    """The function, which at its first call says that it was reached and waits until it is told to go on."""
    done = False

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        if not done:
            done = True
            place.with_suffix(".reached").touch()
            while not place.with_suffix(".go").exists():
                time.sleep(POLL_S)
        return function(*args, **kwargs)

    return wrapped


def prepare(request: Request) -> Countdown:
    """Bring a fresh child into the state that a request asks for."""
    from django.conf import settings
    from django.db import connections

    settings.JOULEBOOK_VAR = Path(request["var"])
    connections.settings["default"]["NAME"] = request["database"]
    options = connections.settings["default"].get("OPTIONS", {})
    if "timeout" in options:  # SQLite's lock goes to whoever asks at the right moment: on a busy machine to some late
        options["timeout"] = LOCK_S
    countdown = Countdown(request.get("kill_at", 0))
    if request.get("watch"):
        watch(countdown)
    for dotted, value in request.get("set", {}).items():
        module, _, name = dotted.rpartition(".")
        setattr(sys.modules[module], name, value)
    for dotted in request.get("pause", []):
        name = dotted.rpartition(".")[2]
        module = import_module(dotted.rpartition(".")[0])
        setattr(module, name, pause(getattr(module, name), Path(request["out"])))
    return countdown


def manage(argv: list[str]) -> int:
    """A management command as ``manage.py`` runs it."""
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(["manage.py", *argv])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _each_day(service: Callable[..., int]) -> int:
    from measurements.models import Cluster, Segment

    pairs = Segment.objects.order_by("cluster", "day").values_list("cluster", "day").distinct()
    return sum(service(Cluster.objects.get(pk=cluster), day) for cluster, day in list(pairs))


def fold_all() -> int:
    """Fold each day, as the hourly upkeep does with open ones."""
    from measurements.services.upkeep import fold

    return _each_day(fold)


def compact_all() -> int:
    """Compact each day."""
    from measurements.services.upkeep import compact

    return _each_day(compact)


def book_only() -> int:
    """Attribution without the roll-ups."""
    from measurements.services.attribution import attribute_dirty
    from measurements.services.marks import release_dead

    release_dead()
    return attribute_dirty(lambda: datetime.now(UTC))


def roll_up_only() -> int:
    """The roll-ups alone."""
    from measurements.services.marks import release_dead
    from measurements.services.rollups import rebuild_rollups

    release_dead()
    return rebuild_rollups(lambda: datetime.now(UTC))


def forget_ledger() -> int:
    """Delete every row that is derived."""
    from measurements import models

    derived = (models.AllocationEnergy, models.NodeHour, models.NodeDay, models.JobEnergy, models.UsageDay)
    return sum(model.objects.all().delete()[0] for model in derived)


def print_dump() -> int:
    """The ledger as canonical text on standard output."""
    from tests.pipeline.ledger_dump import dump

    sys.stdout.write(dump())
    return 0


def print_samples() -> int:
    """The samples alone."""
    from tests.pipeline.ledger_dump import samples, text

    sys.stdout.write(text({"samples": samples()}))
    return 0


def print_rows(*names: str) -> int:
    """All rows of some tables with their keys, for tests that look at what was rewritten."""
    from django.apps import apps

    tables = {name: apps.get_model("measurements", name)._default_manager for name in names}
    rows = {name: list(table.order_by("pk").values()) for name, table in tables.items()}
    sys.stdout.write(json.dumps(rows, default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))
    return 0


def evaluate(source: str) -> int:
    """Some statements on the site's data."""
    import measurements.models as models

    exec(source, {"models": models})  # noqa: S102 - the tests' own text
    return 0


SERVICES: dict[str, Callable[..., int]] = {
    service.__name__: service
    for service in (
        fold_all,
        compact_all,
        book_only,
        roll_up_only,
        forget_ledger,
        print_dump,
        print_samples,
        print_rows,
        evaluate,
    )
}


@contextmanager
def _redirected(prefix: str) -> Iterator[None]:
    for number, suffix in ((1, ".out"), (2, ".err")):
        handle = os.open(prefix + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    yield
    sys.stdout.flush()
    sys.stderr.flush()


def child(request: Request) -> int:
    """Run one task; its exit code, 70 for an error of the program."""
    with _redirected(request["out"]):
        if request.get("stdin"):
            sys.stdin = Path(request["stdin"]).open(encoding="utf-8")  # noqa: SIM115 - ends with the process
        name, *args = request["task"]
        try:
            countdown = prepare(request)
            code = manage(args) if name == "manage" else int(SERVICES[name](*args) < 0)
            Path(request["out"] + ".events").write_text(str(countdown.seen), encoding="utf-8")
        except BaseException:  # noqa: BLE001 - whatever it is, the test reads it
            traceback.print_exc()
            return 70
        return code


def start(request: Request) -> dict[str, int]:
    """Fork a child; it does not outlive this process, not even one that pauses when its test fails."""
    parent, pid = os.getpid(), os.fork()
    if pid:
        return {"pid": pid}
    code = 70
    try:
        end_with(parent)
        code = child(request)
    finally:
        os._exit(code)


def end_with(parent: int) -> None:
    """This process is killed when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it was asked
        os.kill(os.getpid(), signal.SIGKILL)


def wait(request: Request) -> dict[str, int]:
    """Wait for a child; with ``kill_after_s`` it is killed unless it ends before."""
    pid, delay = request["pid"], request.get("kill_after_s")
    if delay is not None:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)  # a child that has ended is still there until it is waited for
    _, status, usage = os.wait4(pid, 0)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"code": os.waitstatus_to_exitcode(status), "signal": killed, "peak_kib": usage.ru_maxrss}


def warm() -> None:
    """Import before the first fork what commands would import one by one, each time."""
    from django.core.checks import run_checks

    django.setup()
    run_checks()  # the addresses, hence all pages
    packages = [import_module(name) for name in COMMANDS]
    commands = (f"{one.__name__}.{name}" for one in packages for _, name, _ in pkgutil.iter_modules(one.__path__))
    for name in (*commands, *WARM):
        import_module(name)


def main() -> None:
    """Serve until standard input ends."""
    warm()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        answer = start(request) if request["op"] == "start" else wait(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
