"""What pages read, and how long they take: a user's month two ways, and pages at a million jobs."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from django.db.models import Sum

from measurements.models import AllocationEnergy, UsageDay
from tests.bench.harness import FULL, Row, median_s
from tests.bench.page_times import page_rows
from tests.bench.world import DAY, World

FIRST_DAY = DAY - timedelta(days=29)
HEAVY_USER = "u000"  # holds three jobs in ten
OVER_LEDGER = 50.0
CALLS = 20


def rows(world: World) -> list[Row]:
    """Both ways, after making sure that they say the same."""
    assert world.attribute_s
    rolled, summed = _from_roll_up(world), _from_ledger(world)
    np.testing.assert_allclose(sorted(rolled.values()), sorted(summed.values()), rtol=1e-9)
    bound = OVER_LEDGER if world.scale.nodes >= FULL.nodes else OVER_LEDGER / 5  # fewer rows to add up
    roll_up_s = median_s(lambda: _from_roll_up(world), CALLS)
    ledger_s = median_s(lambda: _from_ledger(world), world.scale.repeats)
    return [
        Row("a user's month from the roll-up", roll_up_s * 1e3, "ms"),
        Row("a user's month from ledger rows", ledger_s * 1e3, "ms"),
        Row("the latter over the former", ledger_s / roll_up_s, "x", bound, at_least=True),
        *page_rows(world.scale),
    ]


def _from_roll_up(world: World) -> dict[object, float]:
    days = UsageDay.objects.filter(
        username=HEAVY_USER, cluster=world.cluster, day__range=(FIRST_DAY, DAY), energy_j__gt=0
    )
    return dict(days.values_list("day").annotate(Sum("energy_j")))


def _from_ledger(world: World) -> dict[object, float]:
    energies = AllocationEnergy.objects.filter(
        job__username=HEAVY_USER, job__cluster=world.cluster, day__range=(FIRST_DAY, DAY)
    )
    return dict(energies.values_list("day").annotate(Sum("energy_j")))
