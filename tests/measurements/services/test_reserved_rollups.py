"""Reserved and filled time on its way up: ledger rows, jobs, people, projects, node types, all the same hours."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.db.models import Sum

from measurements.domain.packing import unpacked
from measurements.domain.profiles import FILLED, RESERVED
from measurements.domain.units import US_PER_S, FloatArray
from measurements.models import (
    AllocationEnergy,
    Cluster,
    DirtyDay,
    DirtyJob,
    Job,
    JobEnergy,
    NodeConfig,
    TypeDay,
    UsageDay,
)
from measurements.services.marks import mark_day, mark_jobs
from tests.portal import world
from tests.usage_rows import hours_by_type

pytestmark = [pytest.mark.django_db]
HOUR_US = world.HOUR * US_PER_S
HOURS = ("reserved_hours", "filled_hours")
COLUMN = {"reserved_hours": RESERVED, "filled_hours": FILLED}


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> None:
    world.build(tmp_path)


def reserved_of(job_id: str) -> int:
    return JobEnergy.objects.get(job__job_id=job_id).reserved_us


def by_type(name: str) -> dict[str, FloatArray]:
    """Sums of a profile over whatever else the rows are of."""
    found: dict[str, FloatArray] = defaultdict(lambda: np.zeros(24))
    for kind, hours in TypeDay.objects.values_list("node_type__name", name):
        found[kind] = found[kind] + unpacked(hours)
    return dict(found)


def test_a_job_has_the_sum_over_its_nodes() -> None:
    assert reserved_of("123") == 2 * HOUR_US, "two nodes alone, whatever was measured of them"
    assert reserved_of("36_1") == reserved_of("36_2") == HOUR_US // 2, "half the cores and one GPU of two"
    assert reserved_of("93+1") == HOUR_US, "a node without a meter is reserved as well"
    assert reserved_of("201") == 0, "of a node that nobody described nothing is known"
    rows = AllocationEnergy.objects.values("job").annotate(total=Sum("reserved_us"))
    assert {row["job"]: row["total"] for row in rows} == dict(
        JobEnergy.objects.filter(reserved_us__gt=0).values_list("job", "reserved_us")
    )


@pytest.mark.parametrize("name", HOURS)
def test_usage_and_node_types_have_the_same_hours(name: str) -> None:
    usage, types = hours_by_type(COLUMN[name]), by_type(name)
    assert set(usage) == set(types) == {"thin", "mixed", "dark"}
    for kind, hours in types.items():
        assert usage[kind] == pytest.approx(hours, rel=1e-9)


def test_node_types_have_them_in_the_hours_in_which_the_jobs_ran() -> None:
    reserved, filled = (by_type(name) for name in HOURS)
    assert {hour: reserved["thin"][hour] for hour in range(24) if reserved["thin"][hour]} == {1: 7200.0, 10: 3600.0}
    assert {hour: reserved["mixed"][hour] for hour in range(24) if reserved["mixed"][hour]} == {3: 3600.0}
    assert {hour: reserved["dark"][hour] for hour in range(24) if reserved["dark"][hour]} == {5: 3600.0}
    assert {hour: filled["dark"][hour] for hour in range(24) if filled["dark"][hour]} == {5: 600.0 * 3600}
    assert not filled["thin"].any()


def test_rows_booked_before_it_was_known_count_nothing_until_they_are_booked_anew() -> None:
    before = [by_type("reserved_hours"), hours_by_type(RESERVED)]
    AllocationEnergy.objects.update(reserved_us=None)
    days = ("--cluster", world.CLUSTER, "--since", world.DAY, "--until", world.DAY)
    mark_jobs(set(Job.objects.values_list("pk", flat=True)))
    mark_day(Cluster.objects.get().pk, date.fromisoformat(world.DAY))
    call_command("attribute", "--cluster", world.CLUSTER, stdout=StringIO(), stderr=StringIO())
    assert not DirtyDay.objects.exists()
    assert not DirtyJob.objects.exists()
    assert {*JobEnergy.objects.values_list("reserved_us", flat=True)} == {0}
    assert not any(hours.any() for hours in by_type("reserved_hours").values())
    call_command("attribute", *days, stdout=StringIO(), stderr=StringIO())
    after = [by_type("reserved_hours"), hours_by_type(RESERVED)]
    assert [{k: v.tolist() for k, v in part.items()} for part in after] == [
        {k: v.tolist() for k, v in part.items()} for part in before
    ]


def test_node_types_have_the_gpus_that_their_jobs_held_as_users_have() -> None:
    """Without their idle power nothing is known of a GPU's use; with it gpu1 (100 W) is idle and gpu0 (150 W) not."""
    assert not TypeDay.objects.filter(gpu_held_us__gt=0).exists()
    NodeConfig.objects.filter(node__name="mixed1").update(gpu_idle_w=90.0)
    days = ("--cluster", world.CLUSTER, "--since", world.DAY, "--until", world.DAY)
    call_command("attribute", *days, stdout=StringIO(), stderr=StringIO())
    found = TypeDay.objects.get(node_type__name="mixed", day=date.fromisoformat(world.DAY))
    assert (found.gpu_held_us, found.gpu_idle_us) == (2 * HOUR_US, HOUR_US)
    assert found.gpu_energy_j == pytest.approx(250.0 * 3600)
    idle = unpacked(found.idle_hours)
    assert {hour: idle[hour] for hour in range(24) if idle[hour]} == {3: pytest.approx(100.0 * 3600)}
    sums = UsageDay.objects.filter(node_type__name="mixed").aggregate(j=Sum("gpu_idle_j"), us=Sum("gpu_held_us"))
    assert (sums["j"], sums["us"]) == (pytest.approx(idle.sum()), found.gpu_held_us)
    thin = TypeDay.objects.get(node_type__name="thin", day=date.fromisoformat(world.DAY))
    assert (thin.gpu_energy_j, thin.gpu_held_us, unpacked(thin.idle_hours).sum()) == (0.0, 0, 0.0)
