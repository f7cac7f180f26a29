"""How long a page makes its reader wait while a day is taken in and booked: SQLite, one web process, no queue.

A real gunicorn as `make run` starts it serves pages, one after the other, to somebody who is logged in. Meanwhile a
day of a cluster comes in: once by the commands, each a process of its own, and once booked by the thread of the web
process itself.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from measurements.models import Cluster, DirtyJob, DirtyNodeDay
from tests.bench.generate import SLOTS_PER_DAY, jobs_of_day, write_jobs_csv, write_power_csv
from tests.bench.harness import QUICK, TINY, Row
from tests.bench.world import DAY, World, load_cluster
from tests.services.process import free_port, running

ROOT = Path(__file__).resolve().parents[2]
BOUND_MS = 100.0
VIEWER = "u000"  # holds three jobs in ten of the busy day
IDLE_S = 10.0
PAUSE_S = 0.05  # between two pages
PATIENCE_S = 900.0
Waits = list[float]


def rows(world: World) -> list[Row]:
    """The 95th percentile of all pages' waiting: at rest, while commands work, while the web process works."""
    assert world.attribute_s
    viewer = User.objects.get_or_create(username=VIEWER)[0]
    cookie = _cookie(viewer)
    pause_s = PAUSE_S if world.scale is not TINY else 10 * PAUSE_S
    with _serving(world, thread=False) as port, _Reader(port, cookie, pause_s) as reader:
        time.sleep(IDLE_S if world.scale.nodes >= QUICK.nodes else 1.0)
        at_rest = reader.taken()
        began = time.perf_counter()
        cluster = _day_by_commands(world, "serving1", book=True)
        busy_s, by_commands = time.perf_counter() - began, reader.taken()
    with _serving(world, thread=True) as port, _Reader(port, cookie, pause_s) as reader:
        cluster = _day_by_commands(world, "serving2", book=False)
        reader.taken()
        _until_booked(cluster)
        by_thread = reader.taken()
    return [
        Row("a page while nothing else happens, p95", _p95_ms(at_rest), "ms"),
        Row("ingest and booking meanwhile", busy_s, "s"),
        Row("a page while commands ingest and book, p95", _p95_ms(by_commands), "ms", BOUND_MS),
        Row("a page while the web process itself books, p95", _p95_ms(by_thread), "ms", BOUND_MS),
    ]


def _p95_ms(waits: Waits) -> float:
    return float(np.percentile(waits, 95)) * 1e3


class _Reader:
    """Somebody who reads one page after the other, and how long each took."""

    def __init__(self, port: int, cookie: str, pause_s: float) -> None:
        self.port, self.cookie, self.pause_s = port, cookie, pause_s
        self.waits: Waits = []
        self.faults: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._read)

    def __enter__(self) -> _Reader:
        for url in _urls():
            self._get(url)  # the first answer of a process loads the page's modules
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()

    def taken(self) -> Waits:
        """Those since this was asked last, at least the page being read now; a page that failed is an error."""
        last = time.monotonic() + PATIENCE_S
        while not self.waits and not self.faults and time.monotonic() < last:
            time.sleep(PAUSE_S)
        if self.faults or not self.waits:
            raise RuntimeError(self.faults[0] if self.faults else "no page was answered")
        found, self.waits = self.waits, []
        return found

    def _read(self) -> None:
        while not self.stopping.is_set():
            for url in _urls():
                began = time.perf_counter()
                self._get(url)
                self.waits.append(time.perf_counter() - began)
                time.sleep(self.pause_s)

    def _get(self, url: str) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        link.request("GET", url, headers={"Host": "localhost", "Cookie": self.cookie})
        answer = link.getresponse()
        answer.read()
        link.close()
        if answer.status != 200:
            self.faults.append(f"{url} answers {answer.status}")


def _urls() -> list[str]:
    """A person's month, their jobs, the cluster's month."""
    month = f"first={DAY.replace(day=1)}&last={DAY}"
    return [f"{reverse('energy')}?{month}", reverse("jobs"), f"{reverse('cluster', args=['bench0'])}?{month}"]


def _cookie(user: User) -> str:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@contextmanager
def _serving(world: World, *, thread: bool) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8"]
    command += ["--no-control-socket", "portal.wsgi"]
    more = {"JOULEBOOK_WORKER_THREAD": str(int(thread)), "JOULEBOOK_SWEEP_S": "1"}
    with running(command, world.folder / "gunicorn.log", lambda: _answers(port), cwd=ROOT, env=_environment() | more):
        yield port


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"JOULEBOOK_VAR": str(settings.JOULEBOOK_VAR)}


def _answers(port: int) -> bool:
    try:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        link.request("GET", "/livez", headers={"Host": "localhost"})
        return link.getresponse().status == 200
    except OSError:
        return False


def _day_by_commands(world: World, name: str, *, book: bool) -> Cluster:
    """A day of a new cluster, by the commands a site runs."""
    cluster = load_cluster(name, world.scale.nodes, world.folder)
    power, jobs = world.power_file, world.folder / "jobs-serving.csv"
    if not power.exists():
        write_power_csv(power, world.power.slots(0, SLOTS_PER_DAY), world.scale.nodes)
    write_jobs_csv(jobs, jobs_of_day(world.scale.nodes, per_lane=2))
    connection.close()
    commands = [["ingest_jobs", str(jobs)], ["ingest_power", str(power)], *([["attribute"]] if book else [])]
    for words in commands:
        line = [sys.executable, "manage.py", *words, "--cluster", name]
        subprocess.run(line, cwd=ROOT, env=_environment(), check=True, capture_output=True)
    return cluster


def _until_booked(cluster: Cluster) -> None:
    """Until the thread has left nothing."""
    last = time.monotonic() + PATIENCE_S
    while (
        DirtyNodeDay.objects.filter(cluster=cluster).exists() or DirtyJob.objects.filter(job__cluster=cluster).exists()
    ):
        if time.monotonic() > last:
            raise RuntimeError("the web process does not book")
        time.sleep(0.5)
