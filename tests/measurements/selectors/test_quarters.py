"""What ledger rows drew by quarter hour: the same joules as the roll-ups have, of any set of rows."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.db.models import QuerySet
from pytest_django import DjangoAssertNumQueries

from measurements.domain.figures import BOOKING_FIELDS, by_allocation, fill
from measurements.domain.packing import unpacked
from measurements.domain.slot_sums import by_quarter
from measurements.models import Allocation, AllocationEnergy, Job, NodeConfig, NodeType, TypeDay, UsageDay
from measurements.selectors.allocations import allocation_figures
from measurements.selectors.frames import frame_of
from measurements.selectors.quarters import energy_quarters, filled_quarters
from tests.portal import world
from tests.usage_rows import quarters

pytestmark = [pytest.mark.django_db]
DAY = date.fromisoformat(world.DAY)
BOBS_TRAIN_J = (250 / 2 + 100) * world.HOUR  # half of the rest, and gpu1


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> None:
    world.build(tmp_path)


def rows_of(username: str) -> QuerySet[AllocationEnergy]:
    return AllocationEnergy.objects.filter(job__username=username)


def type_of(name: str) -> int:
    return NodeType.objects.get(name=name).pk


def test_a_job_by_quarter_hour() -> None:
    got = energy_quarters(AllocationEnergy.objects.filter(job__job_id="123"))
    thin1 = [100.0 * s for s in (900, 330, 330, 900)]  # silent from 01:20:30 to 01:39:30
    assert (got.first, got.last, got.days) == (DAY, DAY, 1)
    assert got.metered_j[4:8] == pytest.approx([part + 200.0 * 900 for part in thin1])
    assert got.metered_j.sum() == pytest.approx(world.WIDE_J)
    assert {kind: hours.tolist() for kind, hours in got.node_hours.items()} == {type_of("thin"): [2.0]}


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_person_has_what_the_roll_up_has(who: str) -> None:
    got = energy_quarters(rows_of(who))
    days = UsageDay.objects.filter(username=who)
    assert got.metered_j == pytest.approx(sum(quarters(row) for row in days), rel=1e-9)
    hours: dict[int, float] = defaultdict(float)
    for row in days:
        hours[row.node_type_id] += row.reserved_us / 3.6e9
    assert {kind: part.sum() for kind, part in got.node_hours.items()} == pytest.approx(hours, rel=1e-9)


def test_all_jobs_and_the_unallocated_are_what_was_metered() -> None:
    got = energy_quarters(AllocationEnergy.objects.all())
    machine = [
        unpacked(row.metered_quarters) - unpacked(row.unallocated_quarters) for row in TypeDay.objects.filter(day=DAY)
    ]
    assert got.metered_j == pytest.approx(sum(machine), rel=1e-9, abs=1e-6)


def test_what_is_filled_lies_where_the_roll_up_has_it() -> None:
    parts = allocation_figures(Allocation.objects.all())
    bookings = frame_of(AllocationEnergy.objects.order_by("pk").values_list(*BOOKING_FIELDS), BOOKING_FIELDS)
    got = filled_quarters(fill(by_allocation(parts, bookings)), DAY, 1)
    wanted = sum(by_quarter(unpacked(row.filled_hours)) for row in TypeDay.objects.filter(day=DAY))
    assert got == pytest.approx(wanted, rel=1e-9)
    assert got.sum() == 600.0 * 3600


def test_days_may_be_asked_for_and_rows_outside_are_left_out() -> None:
    wide = energy_quarters(rows_of("bob"), DAY - timedelta(days=1), DAY + timedelta(days=1))
    assert (wide.first, wide.days) == (DAY - timedelta(days=1), 3)
    assert wide.metered_j[96:192].sum() == wide.metered_j.sum() == pytest.approx(BOBS_TRAIN_J + world.BOBS_J)
    assert wide.node_hours[type_of("thin")].tolist() == [0.0, 1.0, 0.0]
    later = energy_quarters(rows_of("bob"), DAY + timedelta(days=1), DAY + timedelta(days=1))
    assert not later.metered_j.any()
    assert later.node_hours == {}


def test_of_no_rows_it_is_of_no_day() -> None:
    nothing = energy_quarters(AllocationEnergy.objects.none())
    assert (nothing.days, nothing.node_hours, len(nothing.metered_j)) == (0, {}, 0)
    asked = energy_quarters(AllocationEnergy.objects.none(), DAY, DAY)
    assert (asked.first, asked.days, asked.metered_j.sum()) == (DAY, 1, 0.0)


def test_two_queries_however_many_rows(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for rows in (AllocationEnergy.objects.all(), AllocationEnergy.objects.filter(job=Job.objects.get(job_id="123"))):
        with django_assert_num_queries(2):
            energy_quarters(rows)


def test_a_node_counts_with_the_type_it_has_on_the_day() -> None:
    config = NodeConfig.objects.get(node__name="thin2")
    other = type_of("dark")
    later = NodeConfig.objects.get(pk=config.pk)
    later.pk, later.valid_from, later.node_type_id = None, DAY + timedelta(days=1), other
    later.save()
    assert set(energy_quarters(rows_of("bob")).node_hours) == {type_of("thin"), type_of("mixed")}
    later.valid_from = DAY
    later.save()
    assert set(energy_quarters(rows_of("bob")).node_hours) == {other, type_of("mixed")}
    NodeConfig.objects.filter(pk=config.pk).update(valid_from=DAY + timedelta(days=3))
    NodeConfig.objects.filter(pk=later.pk).update(valid_from=DAY + timedelta(days=4))
    assert set(energy_quarters(rows_of("bob")).node_hours) == {type_of("thin"), type_of("mixed")}, "not yet described"


def test_rows_booked_before_reserved_time_was_are_counted() -> None:
    AllocationEnergy.objects.filter(job__job_id="300").update(reserved_us=None)
    got = energy_quarters(rows_of("bob"))
    assert got.unknown_rows == 1
    assert got.node_hours[type_of("thin")].tolist() == [0.0]
    assert np.isfinite(got.metered_j).all()


def test_a_node_that_nobody_described_reserves_nothing_of_any_type() -> None:
    NodeConfig.objects.filter(node__name="thin2").delete()
    got = energy_quarters(rows_of("bob"))
    assert set(got.node_hours) == {type_of("mixed")}
    assert got.metered_j.sum() == pytest.approx(BOBS_TRAIN_J + world.BOBS_J)
