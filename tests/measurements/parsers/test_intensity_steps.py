"""How long slots are that only say when they begin."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.parsers.intensity_steps import MINUTE_MS, NoStep, ends_of


def lengths(*distances: int) -> list[int]:
    """Lengths [minutes] of slots that begin so far apart [minutes]."""
    start = np.cumsum([0, *distances]) * MINUTE_MS
    return ((ends_of(start) - start) // MINUTE_MS).tolist()  # type: ignore[no-any-return]


def test_a_change_of_the_step_holds_from_its_first_slot() -> None:
    assert lengths(*[30] * 10, *[15] * 10) == [30] * 10 + [15] * 11


def test_and_the_other_way_round() -> None:
    assert lengths(*[15] * 10, *[60] * 10) == [15] * 10 + [60] * 11


def test_missing_quarters_are_not_bridged() -> None:
    assert lengths(*[15] * 10, 30, 30, *[15] * 10) == [15] * 23


def test_within_a_day_of_a_change_either_step_may_come() -> None:
    assert lengths(*[30] * 10, *[15] * 10, 30, *[15] * 10) == [30] * 10 + [15] * 10 + [30] + [15] * 11


def test_and_a_day_later_only_the_new_one() -> None:
    assert lengths(*[30] * 10, *[15] * 100, 30, *[15] * 10) == [30] * 10 + [15] * 112


def test_a_third_step_is_none_of_both() -> None:
    assert lengths(*[30] * 10, *[15] * 10, 60, *[15] * 10) == [30] * 10 + [15] * 22


def test_a_hole_is_not_bridged_even_where_the_step_changes() -> None:
    assert lengths(*[30] * 10, 600, *[15] * 10) == [30] * 11 + [15] * 11


def test_a_hole_at_the_end_leaves_the_last_slots_their_length() -> None:
    assert lengths(*[15] * 10, 30) == [15] * 12


def test_a_slot_ends_where_the_next_begins() -> None:
    assert lengths(*[60] * 10, 15, 45, *[60] * 10) == [60] * 10 + [15, 45] + [60] * 11


def test_before_the_first_settled_step_that_one_holds() -> None:
    assert lengths(60, *[15] * 10) == [15] * 12


def test_a_short_file_has_the_step_that_it_has_most_often() -> None:
    assert lengths(30, 60, 30) == [30] * 4


def test_stamps_too_far_apart_say_nothing() -> None:
    with pytest.raises(NoStep, match="1440 minutes apart"):
        lengths(1440, 1440)
    with pytest.raises(NoStep, match="--step"):
        lengths()
