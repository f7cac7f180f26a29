"""By which policy shared nodes are split: of some days or of all, dirtying what it changes."""

from __future__ import annotations

import pytest

from measurements.domain.nodeday import Policy
from measurements.domain.units import EPOCH_DAY
from measurements.models import DirtyNodeDay, Node, PolicyPeriod
from measurements.services.machine import create_cluster
from measurements.services.policies import policy_on, set_policy
from tests.measurements.services.booked import MARCH, booked, dirty_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Node:
    return Node.objects.create(cluster=create_cluster("atlas"), name="n1")


def test_a_policy_for_some_days_ends_with_them(node: Node) -> None:
    booked(node, *MARCH[:8])
    set_policy(node.cluster, Policy.HYBRID, MARCH[2], MARCH[5])
    assert [policy_on(node.cluster, day) for day in MARCH[:7]] == [Policy.ALLOCATION] * 2 + [Policy.HYBRID] * 3 + [
        Policy.ALLOCATION
    ] * 2
    assert dirty_days() == MARCH[2:5]


def test_setting_the_policy_that_is_in_force_dirties_nothing(node: Node) -> None:
    booked(node, *MARCH[:3])
    set_policy(node.cluster, Policy.ALLOCATION, None, None)
    assert not dirty_days()
    set_policy(node.cluster, Policy.HYBRID, None, None)
    assert PolicyPeriod.objects.get().valid_from == EPOCH_DAY
    DirtyNodeDay.objects.all().delete()
    set_policy(node.cluster, Policy.HYBRID, None, None)
    assert not dirty_days()
