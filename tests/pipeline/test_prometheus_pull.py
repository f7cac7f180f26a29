"""A real Prometheus is asked for what it scraped: the same samples and joules as those that it sends by itself."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

from tests.bench.push_run import read_store
from tests.pipeline.test_prometheus import tell
from tests.services.binaries import PROMETHEUS
from tests.services.demo_site import ROOT
from tests.services.fixtures import programs
from tests.services.process import folder, free_port
from tests.services.prometheus import Series, backfill, exporter, node_exporter, prometheus_server, wait_until
from tests.services.push_site import CLUSTER, PushSite, push_site

NODE, OTHER, PULLED = "n001", "n002", "pulled"
SCRAPES = 15


def some(scrape: int) -> str:
    """A counter that begins anew at the 8th scrape, and no power any more after the last: stale markers."""
    return tell(scrape % 8) if scrape <= SCRAPES else "up_since 1\n"


def joules(site: PushSite, cluster: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(site.manage("energy", "node", NODE, "--cluster", cluster, "--json"))
    return found


def samples(site: PushSite, cluster: str) -> dict[tuple[str, str, int], int]:
    with suppress(OSError, sqlite3.OperationalError):  # being folded just now
        return read_store(site.var, cluster)
    return {}


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
            wait_until(lambda: stored(site, CLUSTER) >= 3 * SCRAPES)
            time.sleep(2.0)
            site.manage("feed", "run", "monitoring")
        sent, pulled = samples(site, CLUSTER), samples(site, PULLED)
        assert len(sent) == 3 * SCRAPES
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
        with prometheus_server(server, {}, home=home, port=free_port()) as one:
            add_feed(site, f"http://127.0.0.1:{one.port}", "delay_s=1", "piece_s=600")
            kills = [killed(site, wanted) for wanted in (100, 2_000, 5_000)]
            site.manage("feed", "run", "monitoring")
        assert kills == sorted(set(kills)), "each run got further"
        assert samples(site, PULLED) == {(node, "node", t): round(v * 1000) for node in (NODE, OTHER) for t, v in rows}
        assert stored(site, PULLED) == 2 * len(rows)


def killed(site: PushSite, wanted: int) -> int:
    """Run the feed, and kill it once more than so many samples are there; how many there were."""
    command = [sys.executable, "manage.py", "feed", "run", "monitoring"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=site.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: stored(site, PULLED) > wanted)
        assert process.poll() is None, "it was faster than the test"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    return stored(site, PULLED)


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
