"""What the demo's operators find: every state of a source, refused lines that a list of nodes heals, frozen sensors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

from measurements.demo.cluster import NODES
from measurements.demo.faults import FROZEN_NODES, freeze
from measurements.demo.lots import plan_lots
from measurements.demo.meters import fine_day
from measurements.demo.morning import AGENT, NAIVE, NEW_NODE, NEW_NODES, OF_OUTLETS, OF_RACK, OUTLETS, leave_questions
from measurements.demo.note import Simulated
from measurements.demo.rhythm import DAY_S
from measurements.demo.site import book_all, describe, take_in, written
from measurements.domain.units import EPOCH_DAY, MS_PER_S
from measurements.models import Batch, Cluster, Doubt, Feed, Intake, NodeDay, Quarantine, Token
from measurements.selectors.sources import source_states
from measurements.services.intake import source_of
from measurements.services.replay import replay
from measurements.services.taking import take
from measurements.services.trying import accept

pytestmark = pytest.mark.django_db

SEED = 2212
THURSDAY = datetime(2025, 3, 13, tzinfo=UTC)
NOW = datetime(2025, 3, 15, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the site of all these tests keeps its files."""
    return tmp_path_factory.mktemp("morning")


@pytest.fixture(scope="module")
def morning(django_db_setup: None, django_db_blocker: DjangoDbBlocker, var: Path) -> Iterator[Cluster]:
    """A Thursday and the Friday after it, booked, and what was left for the operators."""
    begin_s, now_s = int(THURSDAY.timestamp()), int(NOW.timestamp())
    begun = Simulated(SEED, begin_s, begin_s, begin_s)
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(JOULEBOOK_VAR=var):
        cluster = describe(begun, now_s)
        take_in(cluster, begun, written(plan_lots(begun, now_s)), lambda _lot: None)
        book_all(cluster, lambda _share, _what: None)
        leave_questions(cluster, SEED, NOW)
        yield cluster
        transaction.set_rollback(True)


def test_a_frozen_meter_repeats_its_last_reading_while_its_gpus_go_on() -> None:
    hung = freeze(THURSDAY.date())
    assert hung
    assert hung.node == FROZEN_NODES[0]
    read, row = fine_day(SEED, THURSDAY.date()), NODES.index(hung.node)
    within = (read.t_ms[row] >= hung.start_s * MS_PER_S) & (read.t_ms[row] < hung.end_s * MS_PER_S)
    heard = read.watts[row] >= 0
    assert len(np.unique(read.watts[row, within & heard])) == 1
    assert len(np.unique(read.watts[row, ~within & heard])) > 50
    others = {freeze((THURSDAY + timedelta(days=days)).date()) for days in (-7, -1, 2, 7)}
    assert others == {None}
    assert len({freeze(EPOCH_DAY + timedelta(days=20_000 + day)) for day in range(14)} - {None}) == 2


def test_every_state_of_a_source_is_there(morning: Cluster) -> None:
    states = {one.name: one.state for one in source_states(NOW) if one.kind != "files"}
    assert states == {AGENT: "late", OUTLETS: "late", "rack3-gateway": "waits", "telegraf-login": "off"}
    feed = Feed.objects.get(name=OUTLETS)
    assert "add it to JOULEBOOK_FEED_HOSTS" in feed.last_error
    assert feed.last_ok_at is None


def test_what_was_refused_stores_nothing_and_a_list_of_nodes_heals_most_of_it(morning: Cluster, var: Path) -> None:
    reasons = Quarantine.objects.values_list("batch__source", "reason", "count")
    found = {(source.rpartition("/")[2], reason): count for source, reason, count in reasons}
    unknown = found.pop((OF_RACK, "unknown node"))
    assert unknown >= 110
    assert found == {(OF_RACK, "zero watts"): 5, (OF_OUTLETS, "no mapping for this metric"): 1}
    rack = Batch.objects.get(source__endswith=OF_RACK)
    assert (rack.stored, rack.duplicates) == (0, unknown), "what the known node said is known"
    before = Quarantine.objects.get(reason="unknown node")
    with override_settings(JOULEBOOK_VAR=var):
        describe_new_node(morning)
        outcome = replay(before.pk, "olga", timezone.now())
    assert outcome is not None
    assert (outcome.went_in, outcome.moved) == (unknown, 0)


def describe_new_node(cluster: Cluster) -> None:
    """By the very file that waits to be accepted."""
    row = Intake.objects.get(source=NEW_NODES)
    take(row.content, cluster, source_of(row, None), row.options, timezone.now())
    assert cluster.nodes.filter(name=NEW_NODE).exists()


def test_two_files_wait_one_to_be_accepted_and_one_for_its_zone(morning: Cluster) -> None:
    rows = {row.source: row for row in Intake.objects.all()}
    assert {name: row.state for name, row in rows.items()} == {NEW_NODES: "tried", NAIVE: "tried"}
    assert rows[NEW_NODES].preview["stored"] == 1
    assert rows[NAIVE].preview["naive"]
    assert not rows[NAIVE].preview["usable"]
    assert accept(rows[NEW_NODES].pk, rows[NEW_NODES].preview["version"], timezone.now())


def test_one_frozen_sensor_is_left_out_and_one_waits_for_a_word(morning: Cluster) -> None:
    found = Doubt.objects.values_list("channel__node__name", "rule", "state", "decided_by")
    assert sorted(found) == [
        (FROZEN_NODES[0], "frozen", "refused", "olga"),
        (FROZEN_NODES[1], "frozen", "reported", ""),
    ]
    covered = {
        row.node.name: row.covered_us / 1e6
        for row in NodeDay.objects.filter(day=THURSDAY.date(), node__name__in=FROZEN_NODES).select_related("node")
    }
    assert covered[FROZEN_NODES[0]] == pytest.approx(DAY_S - 6 * 3_600, abs=300)
    assert covered[FROZEN_NODES[1]] == pytest.approx(DAY_S, abs=300)


def test_a_later_start_adds_nothing(morning: Cluster) -> None:
    def counts() -> list[int]:
        return [kind.objects.count() for kind in (Token, Feed, Batch, Quarantine, Intake, Doubt)]

    before = counts()
    Doubt.objects.filter(state="refused").update(state="lifted", decided_by="omar")
    leave_questions(morning, SEED, NOW + timedelta(days=1))
    assert counts() == before
    assert Doubt.objects.filter(state="lifted").exists(), "what somebody said of one stays"
