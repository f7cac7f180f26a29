"""A real vmagent writes on what it scrapes: nothing is lost or doubled, and what is refused holds up nothing."""

from __future__ import annotations

from tests.bench.push_run import read_store
from tests.pipeline.test_prometheus import NODE, OTHER, check, has_all, tell, watts
from tests.services.binaries import PROMETHEUS, VMAGENT
from tests.services.fixtures import programs
from tests.services.prometheus import exporter, node_exporter, vmagent, wait_until
from tests.services.push_site import CLUSTER, push_site

RETRIES = "vmagent_remotewrite_retries_count_total"


def test_what_vmagent_scrapes_is_stored_once_although_the_server_was_away_for_a_while() -> None:
    (agent,), (_, of_node) = programs(VMAGENT), programs(PROMETHEUS)
    with push_site() as site, exporter(tell) as (told, target), node_exporter(of_node) as other:
        secret = site.prepare([NODE, OTHER])
        site.start()
        write = f"{site.address}/api/v1/prometheus/write"
        with vmagent(agent, {NODE: target, OTHER: other}, write, secret) as sender:
            wait_until(lambda: len(watts(site)) >= 5)
            site.kill()
            before = told.scrapes
            wait_until(lambda: sender.own(RETRIES) > 0)  # it has noticed that the site is away
            wait_until(lambda: told.scrapes > before + 6)
            site.start()
            wait_until(lambda: told.scrapes > before + 9 and has_all(site, told, before + 8))
            assert sender.own("vmagent_remotewrite_packets_dropped_total") == 0
        site.stop()  # its worker folds what is read here
        check(site.var, read_store(site.var, CLUSTER), told)


def test_a_node_that_nobody_knows_does_not_hold_up_what_vmagent_sends_of_others() -> None:
    """It drops what is answered with 400; any other refusal it sends again and again, before all that is newer."""
    (agent,) = programs(VMAGENT)
    with push_site() as site, exporter(tell) as (told, target):
        secret = site.prepare([NODE])
        site.start()
        write = f"{site.address}/api/v1/prometheus/write"
        with vmagent(agent, {"ghost": target}, write, secret) as sender:
            wait_until(lambda: told.scrapes > 4)
            wait_until(lambda: sender.own("vmagent_remotewrite_packets_dropped_total") > 0)
            assert sender.own(RETRIES) == 0
