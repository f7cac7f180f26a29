"""A real Prometheus writes on what it scrapes: it arrives under the right node, channel and unit, and none is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.bench.push_run import read_store
from tests.services.binaries import PROMETHEUS
from tests.services.fixtures import programs
from tests.services.prometheus import Exporter, exporter, node_exporter, prometheus_server, wait_until
from tests.services.push_site import CLUSTER, PushSite, push_site

NODE, OTHER = "n001", "n002"


def tell(scrape: int) -> str:
    """Each scrape its own power, so that a lost one shows; and a counter, and what is no power at all."""
    return (
        f"ipmi_dcmi_power_consumption_watts {300 + scrape}\n"
        f'node_rapl_package_joules_total{{index="0",path="/sys/class/powercap/intel-rapl:0"}} {100.5 + 150 * scrape}\n'
        f'go_memstats_alloc_bytes {scrape}\nnode_rapl_core_joules_total{{index="0",path="x"}} {scrape}\n'
    )


def watts(site: PushSite) -> dict[int, int]:
    """W of the node by instant, as the store has them."""
    with suppress(OSError, sqlite3.OperationalError):  # being folded just now
        return {t: v // 1000 for (node, channel, t), v in read_store(site.var, CLUSTER).items() if channel == "node"}
    return {}


def has_all(site: PushSite, told: Exporter, last: int) -> bool:
    """Whether all scrapes up to one are there: what was on its way to a server that was killed may come last."""
    scrapes = {value - 300 for value in watts(site).values()}
    return last in scrapes | told.unsure and set(range(min(scrapes, default=last), last)) - scrapes <= told.unsure


def test_what_prometheus_scrapes_is_stored_and_a_server_that_is_away_for_a_while_loses_nothing() -> None:
    server, of_node = programs(PROMETHEUS)
    with push_site() as site, exporter(tell) as (told, target), node_exporter(of_node) as other:
        secret = site.prepare([NODE, OTHER])
        site.start()
        write = f"{site.address}/api/v1/prometheus/write"
        with prometheus_server(server, {NODE: target, OTHER: other}, write, secret) as prometheus:
            wait_until(lambda: len(watts(site)) >= 5)
            site.kill()
            before = told.scrapes
            wait_until(lambda: told.scrapes > before + 5)
            site.start()
            wait_until(lambda: told.scrapes > before + 9 and has_all(site, told, before + 8))
            assert prometheus.own("prometheus_remote_storage_samples_failed_total") == 0
        site.stop()  # its worker folds what is read here
        found = read_store(site.var, CLUSTER)
        check(site.var, found, told)


def check(var: Path, found: dict[tuple[str, str, int], int], told: Exporter) -> None:
    by_channel: dict[tuple[str, str], dict[int, int]] = {}
    for (node, channel, t), value in found.items():
        by_channel.setdefault((node, channel), {})[t] = value
    power, counter = by_channel[NODE, "node"], by_channel[NODE, "cpu0"]
    scrapes = sorted(value // 1000 - 300 for value in power.values())
    assert len(scrapes) == len(set(scrapes)), "a scrape came twice"
    assert set(range(scrapes[0], scrapes[-1])) - set(scrapes) <= told.unsure, "a scrape is missing"
    assert set(power) >= set(counter)
    for t, value in counter.items():
        assert value == round((100.5 + 150 * (power[t] // 1000 - 300)) * 1e6)
    assert "psu0" not in {channel for _, channel in by_channel}
    with closing(sqlite3.connect(var / "joulebook.sqlite3")) as database:
        rows = database.execute(
            "SELECT n.name, c.name, c.kind, p.source FROM measurements_channel c "
            "JOIN measurements_node n ON n.id = c.node_id JOIN measurements_channelperiod p ON p.channel_id = c.id"
        )
        kinds = {(node, channel): (kind, source) for node, channel, kind, source in rows}
        assert kinds[NODE, "node"] == ("gauge", "ipmi_dcmi")
        assert kinds[NODE, "cpu0"] == ("counter", "rapl")
        reasons = dict(database.execute("SELECT reason, count FROM measurements_quarantine"))
    assert not any("unknown node" in reason for reason in reasons)


@pytest.mark.parametrize("secret", ["jb_wrong"])
def test_with_a_wrong_token_prometheus_is_turned_away_and_says_so(secret: str) -> None:
    server, _ = programs(PROMETHEUS)
    with push_site() as site, exporter(tell) as (_, target):
        site.prepare([NODE])
        site.start()
        write = f"{site.address}/api/v1/prometheus/write"
        with prometheus_server(server, {NODE: target}, write, secret) as prometheus:
            wait_until(lambda: prometheus.own("prometheus_remote_storage_samples_failed_total") > 0)
        assert not read_store(site.var, CLUSTER)
