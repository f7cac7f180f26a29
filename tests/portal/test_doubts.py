"""`/operations/doubts/`: what was found, in words and with its curve; who may say what of it, and that it is noted."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from measurements.domain.plausibility import Rule
from measurements.models import Cluster, DirtyDoubt, Doubt, NodeDay
from portal import wording_doubts
from tests.conftest import People
from tests.pipeline.doubtful import DAY, HEADER, NODES, readings
from tests.pipeline.rich_input import write

URL = "/operations/doubts/"
PERIOD = f"first={DAY}&last={DAY}"
MOST_QUERIES = 10


@pytest.fixture
def doubtful(db: None, own_var: Path, tmp_path: Path) -> Cluster:
    """A booked day with faults, a counter that jumps, and a clock that is behind."""
    nodes = write(
        tmp_path / "nodes.csv", "node,node_type,cpus,gpus,level,parent", [*NODES, "c1,a,64,,,", "g1,a,64,1,,"]
    )
    call_command("load_nodes", str(nodes), "--cluster", "c", verbosity=0)
    lines = readings()
    lines += [f"{DAY}T{m // 60:02d}:{m % 60:02d}:00Z,g1,{_busy(m + 300)},node" for m in range(1440)]
    lines += [f"{DAY}T{m // 60:02d}:{m % 60:02d}:00Z,g1,{_busy(m) - 100},gpu0" for m in range(1440)]
    power = write(tmp_path / "power.csv", HEADER, lines)
    call_command("ingest_power", str(power), "--cluster", "c", "--interval", "60", verbosity=0)
    counter = [f"{DAY}T12:{m:02d}:00Z,c1,{m * 6_000 + (m > 30) * 90_000_000}" for m in range(60)]
    joules = write(tmp_path / "joules.csv", "timestamp,node,joules", counter)
    call_command("ingest_power", str(joules), "--cluster", "c", verbosity=0)
    call_command("attribute", verbosity=0)
    return Cluster.objects.get(name="c")


def _busy(minute: int) -> int:
    """A load with steps of different lengths, and some noise."""
    step = sum(minute >= at for at in (40, 130, 190, 320, 380, 540, 600, 790, 850, 1010, 1200, 1260, 1500, 1600))
    return (1900 if step % 2 else 400) + minute * 7 % 13


def text(answer: object) -> str:
    """As it is read."""
    body = answer.content.decode()  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)).replace("\u00a0", " "))


def test_each_finding_has_its_sentence_its_curve_and_what_to_do(
    client: Client, people: People, doubtful: Cluster
) -> None:
    assert {row.rule for row in Doubt.objects.all()} == {rule.value for rule in Rule}
    client.force_login(people.olga)
    answer = client.get(f"{URL}?{PERIOD}")
    shown = text(answer)
    for words in (
        "Doubtful readings",
        "7 findings",
        "One reading of 90.0 kW; the highest other one of that day is",
        "The very same 225 W for 2 h 58 min",
        "Its own processors, memory or GPUs moved by",
        "The same readings at the same instants as n4, n5: one meter under several names.",
        "Its clock seems to be 5 h behind. Moved by that, its power follows that of its GPUs.",
        "The counter rose by 25.0 kWh in one step too steep for 1.00 MW. That energy is known and not placed in time",
        "describe the chassis (level, and parent of its nodes",
        "Plausibility rules leave out",
    ):
        assert words in shown, words
    page = answer.content.decode()
    assert page.count('<svg class="stretch"') == page.count("<polyline points=") == 7
    assert 'name="do" value="lift"' in page


def test_every_rule_has_words_in_both_languages(client: Client, people: People, doubtful: Cluster) -> None:
    for rule in Rule:
        assert rule in wording_doubts.RULES
        assert rule in wording_doubts.MEANINGS
        assert wording_doubts.cure(rule.value)


def test_the_list_can_be_narrowed(client: Client, people: People, doubtful: Cluster) -> None:
    client.force_login(people.olga)
    assert "3 findings" in text(client.get(f"{URL}?{PERIOD}&rule=shared-chassis"))
    assert "1 finding " in text(client.get(f"{URL}?{PERIOD}&node=n2&cluster=c"))
    assert "2 findings" in text(client.get(f"{URL}?{PERIOD}&state=reported"))
    assert "Nothing of this kind was found" in text(client.get(f"{URL}?{PERIOD}&node=n9"))
    assert "Nothing doubtful was found" in text(client.get(f"{URL}?first=2026-02-01&last=2026-02-03"))
    assert "There are no more" in text(client.get(f"{URL}?{PERIOD}&after=12"))
    assert client.get(f"{URL}?cluster=nowhere").status_code == 404


def test_lifting_brings_the_energy_back_and_is_noted(client: Client, people: People, doubtful: Cluster) -> None:
    client.force_login(people.olga)
    before = NodeDay.objects.get(node__name="n1", day=DAY).metered_j
    spike = Doubt.objects.get(rule="spike")
    answer = client.post(f"{URL}change/?{PERIOD}", {"do": "lift", "one": spike.pk}, follow=True)
    assert "1 finding is taken in again; its day is being booked anew." in text(answer)
    spike.refresh_from_db()
    assert (spike.state, spike.decided_by) == ("lifted", "olga")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, entry.change_message) == ("olga", str(spike.pk), "lifted")
    call_command("attribute", verbosity=0)
    lifted = NodeDay.objects.get(node__name="n1", day=DAY).metered_j
    assert lifted == pytest.approx(before + (90_000 - 505) * 60, rel=1e-3)
    assert "said olga" in text(client.get(f"{URL}?{PERIOD}&rule=spike"))
    client.post(f"{URL}change/?{PERIOD}", {"do": "refuse", "one": spike.pk})
    call_command("attribute", verbosity=0)
    assert NodeDay.objects.get(node__name="n1", day=DAY).metered_j == before


def test_all_of_a_rule_and_node_are_lifted_at_once(client: Client, people: People, doubtful: Cluster) -> None:
    client.force_login(people.olga)
    client.post(f"{URL}change/?{PERIOD}&rule=shared-chassis", {"do": "lift"})
    assert set(Doubt.objects.filter(state="lifted").values_list("rule", flat=True)) == {"shared-chassis"}
    client.post(f"{URL}change/?{PERIOD}", {"do": "lift"})  # but for what is not placed anyway
    assert set(Doubt.objects.exclude(state="lifted").values_list("rule", flat=True)) == {"counter-jump"}
    refused = client.post(
        f"{URL}change/?{PERIOD}", {"do": "refuse", "one": Doubt.objects.get(rule="counter-jump").pk}, follow=True
    )
    assert "there is nothing to leave out" in text(refused)


def test_a_rule_is_switched_for_a_cluster_and_its_days_are_looked_through_anew(
    client: Client, people: People, doubtful: Cluster
) -> None:
    client.force_login(people.olga)
    answer = client.post(f"{URL}change/?{PERIOD}&cluster=c", {"rule": "spike", "setting": "off"}, follow=True)
    assert "Spike on c: do not look. Its open days are being looked through anew." in text(answer)
    doubtful.refresh_from_db()
    assert doubtful.plausibility == {"spike": "off"}
    assert DirtyDoubt.objects.count() == 1
    assert LogEntry.objects.get().change_message == "spike: off"
    call_command("attribute", verbosity=0)
    assert not Doubt.objects.filter(rule="spike").exists()
    client.post(f"{URL}change/?{PERIOD}&cluster=c", {"rule": "spike", "setting": "default"})
    doubtful.refresh_from_db()
    assert doubtful.plausibility == {}


def test_who_may_look_may_not_change_and_to_others_it_does_not_exist(
    client: Client, people: People, doubtful: Cluster
) -> None:
    people.charlie.user_permissions.add(Permission.objects.get(codename="view_operations"))
    client.force_login(User.objects.get(pk=people.charlie.pk))
    page = client.get(f"{URL}?{PERIOD}")
    assert "7 findings" in text(page)
    assert "<button name=" not in page.content.decode()
    assert client.post(f"{URL}change/", {"do": "lift"}).status_code == 404
    client.force_login(people.alice)
    assert client.get(URL).status_code == client.post(f"{URL}change/", {"do": "lift"}).status_code == 404
    assert not Doubt.objects.filter(state="lifted").exists()
    client.force_login(people.olga)
    assert client.get(f"{URL}change/").status_code == 405
    for nonsense in ({}, {"do": "delete"}, {"do": "lift", "one": "x"}, {"rule": "no", "setting": "off"}):
        assert client.post(f"{URL}change/", nonsense).status_code == 404


def test_node_and_reconciliation_say_that_something_is_left_out(
    client: Client, people: People, doubtful: Cluster
) -> None:
    client.force_login(people.olga)
    node = client.get(f"/clusters/c/nodes/n2/?span=day&end={DAY}T23:00:00Z")
    assert "Plausibility rules leave out 179 readings" in text(node)
    (link,) = re.findall(r'href="(/operations/doubts/[^"]*)"', node.content.decode())[-1:]
    assert "1 finding " in text(client.get(html.unescape(link)))
    quiet = client.get(f"/clusters/c/nodes/pdu/?span=day&end={DAY}T23:00:00Z")
    assert "Plausibility rules" not in text(quiet)
    closing = text(client.get(f"/operations/reconciliation/?cluster=c&{PERIOD}"))
    assert "Plausibility rules leave out" in closing


def test_a_page_of_curves_asks_no_more_than_others(client: Client, people: People, doubtful: Cluster) -> None:
    client.force_login(people.olga)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"{URL}?{PERIOD}")
    assert len(queries) <= MOST_QUERIES
