"""A real Prometheus is asked for what it scraped: the same samples and joules as those that it sends by itself."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.bench.push_run import read_store
from tests.pipeline.test_prometheus import tell
from tests.services.binaries import PROMETHEUS
from tests.services.demo_site import ROOT
from tests.services.fixtures import programs
from tests.services.process import folder, free_port
from tests.services.prometheus import (
    Prometheus,
    Series,
    backfill,
    exporter,
    node_exporter,
    prometheus_server,
    wait_until,
)
from tests.services.push_site import CLUSTER, PushSite, push_site

NODE, OTHER, PULLED = "n001", "n002", "pulled"
SCRAPES = 15


def some(scrape: int) -> str:
    """A counter that begins anew at the 8th scrape, and no power any more after the last: stale markers."""
    return tell(scrape % 8) if scrape <= SCRAPES else "up_since 1\n"


def joules(site: PushSite, cluster: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(site.manage("energy", "node", NODE, "--cluster", cluster, "--json"))
    return found


def held(server: Prometheus) -> int:
    """How many samples of the node's powers and energies it has: on a busy machine a scrape may come to nothing."""
    powers = "ipmi_dcmi_power_consumption_watts|node_rapl_(package|core)_joules_total"
    series: list[Any] = server.query(f'{{__name__=~"{powers}", instance="{NODE}"}}[1h]')
    return sum(len(one["values"]) for one in series)


def add_feed(site: PushSite, address: str, *options: str) -> None:
    words = [word for option in (f"address={address}", *options) for word in ("--option", option)]
    site.manage("feed", "add", "monitoring", "--kind", "prometheus", "--cluster", PULLED, *words)


def test_what_is_asked_for_is_what_is_sent_to_the_joule() -> None:
    server, of_node = programs(PROMETHEUS)
    with push_site(JOULEBOOK_FEED_HOSTS="127.0.0.1") as site, exporter(some) as (told, target):
        secret = site.prepare([NODE, OTHER])
        site.load_nodes([NODE, OTHER], PULLED)
        site.start()
        assert told.scrapes == 0
        write = f"{site.address}/api/v1/prometheus/write"
        targets = {NODE: target}
        with node_exporter(of_node) as other, prometheus_server(server, targets | {OTHER: other}, write, secret) as one:
            add_feed(site, f"http://127.0.0.1:{one.port}", "delay_s=1", "piece_s=3600", "overlap_s=5")
            wait_until(lambda: told.scrapes > 5)
            site.manage("feed", "run", "monitoring")  # in the middle of it
            wait_until(lambda: told.scrapes > SCRAPES + 3)
            scraped = held(one)
            wait_until(lambda: stored(site, CLUSTER) >= scraped)
            site.manage("feed", "run", "monitoring")
        site.stop()  # its worker folds what is read here
        sent, pulled = read_store(site.var, CLUSTER), read_store(site.var, PULLED)
        assert len(sent) == scraped >= 3 * (SCRAPES - sum(scrape <= SCRAPES for scrape in told.unsure))
        assert pulled == sent
        site.manage("attribute")
        assert joules(site, PULLED) == joules(site, CLUSTER)
        assert joules(site, PULLED)["metered_j"] > 0


def test_a_run_that_is_killed_in_the_middle_goes_on_where_it_was_and_stores_nothing_twice() -> None:
    now_ms = int(time.time()) * 1_000
    first_ms = now_ms - 20 * 3_600_000
    metric = "ipmi_dcmi_power_consumption_watts"
    rows = [(first_ms + 10_000 * k, 250.0 + k % 300) for k in range(20 * 360)]
    history: Series = {(metric, (("instance", f"{node}:9290"),)): rows for node in (NODE, OTHER)}
    server, _ = programs(PROMETHEUS)
    with folder("prometheus-history") as home, push_site(JOULEBOOK_FEED_HOSTS="127.0.0.1") as site:
        backfill(server, history, home)
        site.prepare([NODE, OTHER])
        site.load_nodes([NODE, OTHER], PULLED)
        with prometheus_server(server, {}, home=home, port=free_port()) as one, gate(one.port) as door:
            add_feed(site, door.address, "delay_s=1", "piece_s=600")
            kills = [killed(site, door, wanted) for wanted in (100, 2_000, 5_000)]
            site.manage("feed", "run", "monitoring")
        assert kills == sorted(set(kills)), "each run got further"
        assert read_store(site.var, PULLED) == {
            (node, "node", t): round(v * 1000) for node in (NODE, OTHER) for t, v in rows
        }
        assert stored(site, PULLED) == 2 * len(rows)


def killed(site: PushSite, door: Gate, wanted: int) -> int:
    """Run the feed, and kill it when it asks on with more than so many samples stored; how many there were."""
    command = [sys.executable, "manage.py", "feed", "run", "monitoring"]
    door.shuts = lambda: stored(site, PULLED) > wanted
    process = subprocess.Popen(
        command, cwd=ROOT, env=site.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(door.knocked.is_set)
        assert process.poll() is None, "it ended before it was killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        door.open()
    return stored(site, PULLED)


@dataclass
class Gate:
    """Stands before a Prometheus and lets questions pass, until it shuts: who asks then waits until it is opened."""

    port: int = 0
    shuts: Callable[[], bool] = lambda: False
    knocked: Event = field(default_factory=Event)
    opened: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pass_or_wait(self) -> None:
        if self.shuts():
            self.knocked.set()
            self.opened.wait()

    def open(self) -> None:
        """Whoever waits goes, and all that come."""
        self.shuts = lambda: False
        self.opened.set()
        self.knocked, self.opened = Event(), Event()


@contextmanager
def gate(server: int) -> Iterator[Gate]:
    """A gate before the Prometheus on a port."""
    door = Gate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            door.pass_or_wait()
            with closing(http.client.HTTPConnection("127.0.0.1", server, timeout=60)) as behind:
                behind.request(self.command, self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
                answer = behind.getresponse()
                content = answer.read()
            with suppress(OSError):  # whoever asked may be gone
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        door.port = listening.server_port
        thread = Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield door
        finally:
            door.open()
            listening.shutdown()
            thread.join()


def stored(site: PushSite, cluster: str) -> int:
    """How many samples the batches of a cluster say there are."""
    query = (
        "SELECT SUM(stored) FROM measurements_batch WHERE cluster_id = "
        "(SELECT id FROM measurements_cluster WHERE name = ?)"
    )
    with closing(sqlite3.connect(site.var / "joulebook.sqlite3")) as database, suppress(sqlite3.OperationalError):
        [(count,)] = database.execute(query, (cluster,))
        return count or 0
    return 0
