"""A turn over 1,000 BMCs by Redfish, 16 at a time, each of which takes a tenth of a second to answer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from django.test import override_settings

from measurements.models import Cluster, Feed
from measurements.services.feeds import Ended, add, ask
from tests.bench.bmcs import LOGIN
from tests.bench.harness import FULL, QUICK, Row
from tests.bench.world import World
from tests.measurements.services.pushing import cluster_of
from tests.services.process import as_account

DELAY_S, AT_ONCE = 0.1, 16
ROOT = Path(__file__).resolve().parents[2]
GROWTH = 1.1  # of memory from the third turn to the last


def rows(world: World) -> list[Row]:
    """The first turn, which finds where powers stand; those after it; one with a tenth of all away."""
    count = world.scale.nodes
    turns = {FULL.name: 20, QUICK.name: 10}.get(world.scale.name, 4)
    with _bmcs(count) as ports, override_settings(FEED_HOSTS=frozenset({"127.0.0.1"})):
        feed = _feed(world.folder, ports, count)
        first, threads = _turn(feed), _Threads()
        later, sizes = [], []
        with threads:
            for _ in range(turns):
                later.append(_turn(feed))
                sizes.append(_anonymous_mib())
    stored = min(ended.report["stored"] for _, ended in later)
    least_s = count * DELAY_S / AT_ONCE  # none can be faster
    return [
        Row(f"Redfish, {count} BMCs: the first turn", first[0], "s"),
        Row(f"Redfish, {count} BMCs: a turn after it", median(took for took, _ in later), "s"),
        Row("Redfish: the same over what 16 at a time must take", median(t for t, _ in later) / least_s, "x"),
        Row("Redfish: readings stored a turn", stored, "", count, at_least=True),
        Row("Redfish: threads that ask", threads.most, "threads", AT_ONCE),
        Row("Redfish: memory of the last turn over that of the third", sizes[-1] / sizes[2], "x", GROWTH),
        Row("Redfish: what is remembered of a BMC", _remembered(world, feed) / count, "B"),
    ]  # fmt: skip


def _feed(folder: Path, ports: list[int], count: int) -> Feed:
    cluster_of(*(f"n{i:04d}" for i in range(count)))
    cluster = Cluster.objects.get(name="atlas")
    listed, secret = folder / "bmcs", folder / "bmc-password"
    listed.write_text("".join(f"n{i:04d},http://127.0.0.1:{port}\n" for i, port in enumerate(ports)))
    secret.touch(mode=0o600)
    secret.write_text(LOGIN[1])
    options = {"bmc_file": str(listed), "user": LOGIN[0], "password_file": str(secret), "insecure": True}
    return add(cluster, "bmcs", "redfish", {**options, "turn_s": 300}, datetime.now(UTC))


def _turn(feed: Feed) -> tuple[float, Ended]:
    began = time.perf_counter()
    ended = ask(feed.pk, datetime.now(UTC), at_once=True)
    assert ended is not None
    assert not ended.error, ended.error
    return time.perf_counter() - began, ended


class _Threads:
    """The most threads that asked at once, as long as it is looked."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._look, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, sum(one.name.startswith("bmc") for one in threading.enumerate()))


def _remembered(world: World, feed: Feed) -> int:
    return sum(path.stat().st_size for path in world.folder.rglob(f"feeds/{feed.pk}.json"))


def _anonymous_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


@contextmanager
def _bmcs(count: int) -> Iterator[list[int]]:
    command = as_account([sys.executable, "-m", "tests.bench.bmcs", str(count), str(DELAY_S)], None)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield [int(port) for port in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
