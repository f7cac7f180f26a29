"""Slots of carbon intensity in the store: new, revised, estimated, of any length, once and again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from measurements.domain.packing import unpacked
from measurements.domain.slotting import ESTIMATED, MEASURED
from measurements.domain.units import QUARTER_MS, day_start_ms, ms_from_datetime
from measurements.models import Cluster, FactorImport, IntensitySeries, PriceDay, SlotDay, Supply, TypeDay
from measurements.parsers.intensity_records import IntensitySlots
from measurements.services.intensity import ABSURD, NEGATIVE, OFF_GRID, OtherZone, Stored, new_series, store_slots
from measurements.services.pricing import add_supply
from tests.portal import machine_world

NOW = datetime(2025, 6, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DAY = date(2025, 6, 1)
NOON = ms_from_datetime(datetime(2025, 6, 1, 12, tzinfo=UTC))
MINUTE = 60_000
pytestmark = pytest.mark.django_db

Slot = tuple[float, float, float]  # begins and ends [minutes from noon], value


@pytest.fixture
def series() -> IntensitySeries:
    return new_series(NOW, slug="de", zone="DE", basis="lifecycle", mix="consumption", source_title="test")


def slots(*said: Slot, estimated: bool = False, **more: Any) -> IntensitySlots:
    start, end, value = np.array(said, np.float64).reshape(-1, 3).T
    begins, ends = (NOON + (minutes * MINUTE).astype(np.int64) for minutes in (start, end))
    return IntensitySlots(begins, ends, value, np.full(len(value), estimated), **more)


def store(series: IntensitySeries, *said: Slot, now: datetime = NOW, dry_run: bool = False, **more: Any) -> Stored:
    return store_slots(series, slots(*said, **more), now, source="test", dry_run=dry_run)


def held(series: IntensitySeries, day: date = DAY) -> list[tuple[int, float, int]]:
    """Minutes from noon, value and kind of the quarter hours that are known."""
    row = SlotDay.objects.get(series=series, day=day)
    value, kind = unpacked(row.g_per_kwh), np.frombuffer(bytes(row.kinds), np.uint8)
    known = np.flatnonzero(~np.isnan(value))
    assert ((kind > 0) == ~np.isnan(value)).all()
    return [(int(i) * 15 - 720, float(value[i]), int(kind[i])) for i in known]


def values(series: IntensitySeries) -> dict[int, float]:
    return {minute: value for minute, value, _ in held(series)}


def test_a_slot_fills_its_quarter_hours(series: IntensitySeries) -> None:
    done = store(series, (0, 60, 100), (60, 90, 200), (90, 105, 300))
    assert values(series) == dict.fromkeys((0, 15, 30, 45), 100) | {60: 200, 75: 200, 90: 300}
    assert (done.read, done.stored, done.changed, done.unchanged, done.quarters) == (3, 3, 0, 0, 7)
    assert (done.first_ms, done.last_ms) == (NOON, NOON + 7 * QUARTER_MS)
    assert done.mean_g_per_kwh == pytest.approx((4 * 100 + 2 * 200 + 300) / 7)


def test_the_same_again_changes_nothing(series: IntensitySeries) -> None:
    store(series, (0, 60, 100))
    before = SlotDay.objects.values().get()
    done = store(series, (0, 60, 100), now=LATER)
    assert (done.stored, done.changed, done.unchanged) == (0, 0, 1)
    assert SlotDay.objects.values().get() == before


def test_another_value_is_a_revision_and_the_last_one_wins(series: IntensitySeries) -> None:
    store(series, (0, 60, 100), (60, 120, 50))
    done = store(series, (0, 60, 130), (60, 120, 50), now=LATER)
    assert (done.changed, done.unchanged, done.largest_change_g_per_kwh) == (1, 1, 30)
    assert values(series)[0] == 130


def test_a_slot_of_which_part_is_new_is_new(series: IntensitySeries) -> None:
    store(series, (0, 30, 100))
    assert store(series, (0, 60, 200)).stored == 1


def test_a_measured_value_takes_the_place_of_an_estimate(series: IntensitySeries) -> None:
    store(series, (0, 15, 100), estimated=True)
    assert held(series) == [(0, 100, ESTIMATED)]
    assert store(series, (0, 15, 100)).changed == 1
    assert held(series) == [(0, 100, MEASURED)]


def test_an_estimate_never_takes_the_place_of_a_measured_value(series: IntensitySeries) -> None:
    store(series, (0, 15, 100))
    assert store(series, (0, 15, 90), (15, 30, 80), estimated=True, now=LATER).unchanged == 1
    assert held(series) == [(0, 100, MEASURED), (15, 80, ESTIMATED)]


@pytest.mark.parametrize(("changed_at", "kept"), [(NOW - timedelta(days=1), 100), (NOW + timedelta(minutes=1), 90)])
def test_unless_the_publisher_changed_it_since(series: IntensitySeries, changed_at: datetime, kept: float) -> None:
    store(series, (0, 15, 100))
    store(series, (0, 15, 90), estimated=True, now=LATER, updated_ms=np.array([ms_from_datetime(changed_at)]))
    assert values(series) == {0: kept}


def test_a_dry_run_says_the_same_and_writes_nothing(series: IntensitySeries) -> None:
    done = store(series, (0, 60, 100), (60, 120, -1), dry_run=True)
    assert (done.stored, done.refused[0]["reason"]) == (1, NEGATIVE)
    assert not SlotDay.objects.exists()
    assert not FactorImport.objects.exists()


def test_short_slots_count_where_they_fill_their_quarter_hour(series: IntensitySeries) -> None:
    done = store(series, (0, 5, 100), (5, 15, 400), (15, 20, 1), (20, 25, 1), (30, 45, 7))
    assert values(series) == {0: pytest.approx(300), 30: 7}
    assert (done.stored, done.unchanged, done.incomplete) == (3, 2, 2)


def test_a_quarter_hour_is_estimated_if_a_part_of_it_is(series: IntensitySeries) -> None:
    part = slots((0, 5, 1), (5, 10, 1), (10, 15, 1))
    part.estimated[1] = True
    store_slots(series, part, NOW, source="test")
    assert held(series) == [(0, 1, ESTIMATED)]


def test_steps_of_an_hour_half_an_hour_and_a_quarter_stand_in_one_series(series: IntensitySeries) -> None:
    store(series, (0, 60, 1))
    store(series, (60, 90, 2), (90, 120, 3))
    store(series, (120, 135, 4), (15, 30, 5))
    assert list(values(series).values()) == [1, 5, 1, 1, 2, 2, 3, 3, 4]


def test_of_overlapping_slots_the_shorter_wins(series: IntensitySeries) -> None:
    store(series, (15, 30, 5), (0, 60, 1), (0, 60, 2))
    assert list(values(series).values()) == [2, 5, 2, 2]


def test_zones_off_by_half_an_hour_fall_on_quarter_hours(series: IntensitySeries) -> None:
    # an hour of India, 5:30 ahead: 12:30 to 13:30 UTC
    store(series, (30, 90, 700))
    assert values(series) == dict.fromkeys((30, 45, 60, 75), 700)


def test_a_slot_over_midnight_lies_in_both_days(series: IntensitySeries) -> None:
    store(series, (705, 750, 9))
    assert [minute for minute, _, _ in held(series)] == [705]
    assert len(held(series, DAY + timedelta(days=1))) == 2


def test_what_cannot_be_is_refused_slot_by_slot(series: IntensitySeries) -> None:
    done = store(
        series, (0, 15, 0), (15, 30, -0.1), (30, 45, 3001), (45, 60, 3000), (61, 76, 1), (80, 80, 1), (90, 105, -2),
        line=np.arange(2, 9),
    )  # fmt: skip
    found = {row["reason"]: (row["count"], row["first_line"]) for row in done.refused}
    assert found == {NEGATIVE: (2, 3), ABSURD: (1, 4), OFF_GRID: (2, 6)}
    assert values(series) == {0: 0, 45: 3000}


def test_missing_values_are_counted_and_change_nothing(series: IntensitySeries) -> None:
    store(series, (0, 15, 100))
    done = store(series, (0, 15, np.nan), missing=2)
    assert (done.missing, done.refused, values(series)) == (3, [], {0: 100})


@pytest.mark.parametrize(("zone", "basis"), [("FR", ""), ("", "direct"), ("FR", "lifecycle")])
def test_slots_of_another_zone_or_basis_are_refused_whole(series: IntensitySeries, zone: str, basis: str) -> None:
    with pytest.raises(OtherZone, match="nothing is stored"):
        store_slots(series, slots((0, 15, 100), zone=zone, basis=basis), NOW, source="test")
    assert not SlotDay.objects.exists()


def test_an_import_is_kept_with_what_was_refused(series: IntensitySeries) -> None:
    store_slots(series, slots((0, 15, 1), (15, 30, -1)), NOW, source="a.csv", author="olga", sha256="f00")
    kept = FactorImport.objects.get()
    assert (kept.source, kept.author, kept.sha256, kept.read, kept.stored) == ("a.csv", "olga", "f00", 2, 1)
    assert kept.refused[0]["reason"] == NEGATIVE
    assert (kept.first_ms, kept.last_ms) == (NOON, NOON + QUARTER_MS)


def test_a_quiet_import_of_what_is_known_leaves_no_trace(series: IntensitySeries) -> None:
    for _ in range(2):
        store_slots(series, slots((0, 15, 1)), NOW, source="pull", keep_quiet=True)
    assert FactorImport.objects.count() == 1


def test_a_revision_prices_the_days_anew_that_it_changed_and_no_more(series: IntensitySeries, tmp_path: Path) -> None:
    machine_world.build(tmp_path)
    first, second = sorted(set(TypeDay.objects.values_list("day", flat=True)))[:2]
    hour, next_day = (day_start_ms(first) - NOON) // MINUTE, (day_start_ms(second) - NOON) // MINUTE
    store(series, (hour, hour + 60, 100), (next_day, next_day + 60, 100))
    add_supply(Supply(cluster=Cluster.objects.get(), slots=series), NOW)
    before = dict(PriceDay.objects.values_list("day", "prices"))
    store(series, (hour, hour + 60, 100), (next_day, next_day + 60, 120), now=LATER)
    after = dict(PriceDay.objects.values_list("day", "prices"))
    assert [day for day in before if before[day] != after[day]] == [second]
    assert list(PriceDay.objects.filter(priced_at=LATER).values_list("day", flat=True)) == [second]


def test_columns_of_a_year_are_stored_with_few_queries(
    series: IntensitySeries, django_assert_max_num_queries: Any
) -> None:
    hours = np.arange(8760)
    start = NOON - (hours[::-1] * 4 * QUARTER_MS)
    year = IntensitySlots(start, start + 4 * QUARTER_MS, hours / 10, np.zeros(8760, bool))
    with django_assert_max_num_queries(
        12
    ):  # savepoint ×2, lock, days, 366 days in one statement or two, import, clusters
        assert store_slots(series, year, NOW, source="test").stored == 8760
