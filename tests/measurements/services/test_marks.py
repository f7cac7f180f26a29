"""Dirty marks: versions, leases, and who may remove what."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from measurements.models import Cluster, DirtyNodeDay, Job, Node, SealedDay
from measurements.services import marks

DAY = date(2025, 3, 1)
NOW = datetime(2025, 3, 2, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Node:
    cluster = Cluster.objects.create(name="atlas")
    return Node.objects.create(cluster=cluster, name="n1")


def claim_all(now: datetime = NOW) -> list[DirtyNodeDay]:
    return marks.claim(DirtyNodeDay.objects.filter(marks.free(now)).order_by("pk")[:10], now)


def test_marking_twice_is_one_mark_with_a_new_version(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    before = DirtyNodeDay.objects.get().version
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    assert DirtyNodeDay.objects.get().version != before


def test_a_claimed_mark_is_nobody_elses_until_its_lease_ends(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    assert len(claim_all()) == 1
    assert claim_all() == []
    assert len(claim_all(NOW + timedelta(seconds=marks.LEASE_S + 1))) == 1


def test_a_mark_that_changed_meanwhile_stays_and_is_free(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    mine = claim_all()
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    marks.settle(mine, marks.still_mine(mine))
    assert len(claim_all()) == 1


def test_what_is_claimed_says_whose_it_is_and_until_when(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    (mine,) = claim_all()
    stored = DirtyNodeDay.objects.get()
    assert mine.claimed_by.startswith(marks.lease_name())
    assert (mine.claimed_by, mine.claimed_until, mine.version) == (
        stored.claimed_by, stored.claimed_until, stored.version,
    )  # fmt: skip


def test_marks_of_a_clusters_jobs_are_found_without_going_through_all_its_jobs(node: Node) -> None:
    other = Cluster.objects.create(name="other")
    mine, theirs = (
        Job.objects.create(cluster=cluster, job_id="1", state="COMPLETED") for cluster in (node.cluster, other)
    )
    marks.mark_jobs([mine.pk, theirs.pk])
    found = marks.dirty_jobs(node.cluster).order_by("pk")
    assert [mark.job_id for mark in found] == [mine.pk]
    assert marks.dirty_jobs(None).count() == 2
    if connection.vendor == "sqlite":  # it has no statistics to see by that marks are fewer
        assert "job_cluster" not in found.explain()


def test_an_unchanged_mark_goes(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    mine = claim_all()
    marks.settle(mine, marks.still_mine(mine))
    assert not DirtyNodeDay.objects.exists()


def test_who_lost_the_lease_removes_nothing(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    slow = claim_all()
    quick = claim_all(NOW + timedelta(seconds=marks.LEASE_S + 1))
    assert marks.still_mine(slow) == {}
    marks.settle(slow, marks.still_mine(slow))
    assert list(marks.still_mine(quick)) == [DirtyNodeDay.objects.get().pk]


def test_the_lease_of_a_dead_process_ends_at_once_and_a_living_ones_does_not(node: Node) -> None:
    marks.mark_node_days(node.cluster, [(node.pk, DAY)])
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = marks.lease_name().replace(f"/{os.getpid()}/", f"/{int(gone.stdout)}/")
    claim_all(timezone.now())
    marks.release_dead()
    assert DirtyNodeDay.objects.get().claimed_by
    DirtyNodeDay.objects.update(claimed_by=f"{dead}/token")
    marks.release_dead()
    assert not DirtyNodeDay.objects.get().claimed_by


def test_a_sealed_day_is_not_marked(node: Node) -> None:
    SealedDay.objects.create(cluster=node.cluster, day=DAY, sealed_at=NOW)
    marked = marks.mark_node_days(node.cluster, [(node.pk, DAY), (node.pk, DAY + timedelta(days=1))])
    assert marked == 1
    assert DirtyNodeDay.objects.get().day == DAY + timedelta(days=1)
