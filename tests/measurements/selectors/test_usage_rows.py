"""Rows of the roll-up as columns: an order that depends on content, days apart, nothing lost of them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from measurements.domain.profiles import ENERGY, RECORD
from measurements.domain.units import EPOCH_DAY, FloatArray
from measurements.models import Cluster, NodeType, UsageDay
from measurements.selectors.usage_rows import usage_rows

pytestmark = pytest.mark.django_db
FIGURES = {"energy_j": 0.0, "gpu_energy_j": 0.0, "filled_j": 0.0, "covered_us": 0, "elapsed_us": 0, "samples": 0,
           "expected_samples": 0.0, "gpu_held_us": 0, "gpu_idle_us": 0, "gpu_idle_j": 0.0, "reserved_us": 0,
           "quality": "metered"}  # fmt: skip


def records(hours: int, joules: float) -> FloatArray:
    found = np.zeros((hours, RECORD))
    found[:, ENERGY] = joules
    return found


def stored(cluster: Cluster, day: date, joules: float, state: str = "COMPLETED", *, excused: bool = False) -> None:
    """A row of two hours from 22:00 on."""
    kind, _ = NodeType.objects.get_or_create(cluster=cluster, name="thin")
    UsageDay.objects.create(
        cluster=cluster, day=day, username="alice", account="physics", partition="short", state=state, workload="",
        phase="", node_type=kind, excused=excused, first_hour=22, hours=records(2, joules).tobytes(), **FIGURES
    )  # fmt: skip


@pytest.fixture
def clusters() -> tuple[Cluster, Cluster]:
    """Two, of which the later one comes first by name."""
    late = Cluster.objects.create(name="beta")
    return Cluster.objects.create(name="alpha"), late


FIRST, NEXT = date(2025, 3, 10), date(2025, 3, 11)


def test_rows_come_by_day_and_then_by_the_name_of_the_cluster(clusters: tuple[Cluster, Cluster]) -> None:
    alpha, beta = clusters
    for cluster, day, joules in ((beta, NEXT, 4.0), (beta, FIRST, 2.0), (alpha, NEXT, 3.0), (alpha, FIRST, 1.0)):
        stored(cluster, day, joules)
    found = usage_rows(UsageDay.objects.order_by("-pk"), ["cluster__name"])
    assert found.records[::2, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert found.cluster.tolist() == [alpha.pk, beta.pk, alpha.pk, beta.pk]
    label = found.labels["cluster__name"]
    assert [label.names[i] for i in label.code.tolist()] == ["alpha", "beta", "alpha", "beta"]
    assert found.owner.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    first = 24 * (FIRST - EPOCH_DAY).days + 22
    assert found.hour.tolist() == [first, first + 1] * 2 + [first + 24, first + 25] * 2
    later = found.of_days(NEXT, NEXT)
    assert later.day.tolist() == [(NEXT - EPOCH_DAY).days] * 2
    assert (later.owner.tolist(), later.records[:, 0].tolist()) == ([0, 0, 1, 1], [3.0, 3.0, 4.0, 4.0])
    assert not len(found.of_days(date(2025, 3, 12), date(2025, 3, 12)).owner)


def test_what_failed_by_its_users_doing_and_what_goes_on_is_known(clusters: tuple[Cluster, Cluster]) -> None:
    stored(clusters[0], FIRST, 1.0, "FAILED")
    stored(clusters[0], FIRST, 1.0, "FAILED", excused=True)
    stored(clusters[0], FIRST, 1.0, "RUNNING")
    stored(clusters[0], FIRST, 1.0, "REQUEUED")
    found = usage_rows(UsageDay.objects.all(), [])
    assert found.wasted.tolist() == [True, False, False, False]
    assert found.running.tolist() == [False, False, True, False], "a requeued one is over once it has an end"


@pytest.mark.parametrize("rows", [UsageDay.objects.none, UsageDay.objects.all])
def test_without_rows_there_is_nothing(rows: object) -> None:
    found = usage_rows(rows(), ["state"])  # type: ignore[operator]
    assert (len(found.day), found.records.shape, found.labels["state"].names) == (0, (0, RECORD), ())
