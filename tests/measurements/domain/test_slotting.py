"""Slots of any length on quarter hours."""

from __future__ import annotations

import numpy as np

from measurements.domain.slotting import ESTIMATED, MEASURED, Slotted, is_slot, on_quarters
from measurements.domain.units import QUARTER_MS

MINUTE = 60_000


def slotted(*rows: tuple[int, int, float, bool]) -> Slotted:
    """Rows: begin and end in minutes, g/kWh, estimated."""
    start, end, value, estimated = zip(*rows, strict=True)
    return on_quarters(
        np.array(start, np.int64) * MINUTE,
        np.array(end, np.int64) * MINUTE,
        np.array(value, float),
        np.array(estimated),
    )


def values(found: Slotted) -> dict[int, float]:
    return dict(zip(found.quarter.tolist(), found.g_per_kwh.tolist(), strict=True))


def test_a_slot_fills_its_quarter_hours() -> None:
    found = slotted((0, 60, 100.0, False), (60, 90, 200.0, True), (90, 105, 300.0, False))
    assert values(found) == {0: 100, 1: 100, 2: 100, 3: 100, 4: 200, 5: 200, 6: 300}
    assert found.kind.tolist() == [MEASURED] * 4 + [ESTIMATED] * 2 + [MEASURED]


def test_of_overlapping_slots_the_shorter_wins_whatever_their_order() -> None:
    rows = [(0, 60, 100.0, False), (15, 45, 200.0, False), (30, 45, 300.0, False)]
    assert values(slotted(*rows)) == values(slotted(*rows[::-1])) == {0: 100, 1: 200, 2: 300, 3: 100}


def test_of_equally_long_ones_the_later_row_wins() -> None:
    assert values(slotted((0, 15, 1.0, False), (0, 15, 2.0, False))) == {0: 2}


def test_shorter_slots_are_averaged_where_they_fill_a_quarter_hour() -> None:
    found = slotted((0, 5, 100.0, False), (5, 15, 400.0, True), (15, 20, 900.0, False), (20, 25, 900.0, False))
    assert values(found) == {0: 300.0}
    assert found.kind.tolist() == [ESTIMATED]


def test_what_is_no_slot() -> None:
    start = np.array([0, 0, 5, 10, 0, 0], np.int64) * MINUTE
    end = np.array([15, 0, 20, 15, 25 * 60, 20], np.int64) * MINUTE
    assert is_slot(start, end).tolist() == [True, False, False, True, False, False]
    assert QUARTER_MS == 15 * MINUTE
