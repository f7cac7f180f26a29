"""Quantities as people read them; tests/browser/test_pages.py holds the browser to the same cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.utils import translation

from portal.quantities import TABLE, duration, format_quantity, percent, unit_for

CASES = json.loads(Path(__file__).with_name("quantity_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", ["en-gb", "de"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['value']:g} {case['quantity']}")
def test_three_digits_a_prefix_and_a_space_that_does_not_break(case: dict[str, str], language: str) -> None:
    with translation.override(language):
        assert format_quantity(float(case["value"]), case["quantity"]) == case[language]


def test_the_units_of_the_table_follow_each_other_by_a_thousand() -> None:
    for units in TABLE.values():
        sizes = [size for _, size in units]
        assert sizes == [sizes[0] * 1000**i for i in range(len(sizes))]


def test_a_column_has_the_unit_of_its_largest_value() -> None:
    assert unit_for(4_050_000, "energy").label == "kWh"
    assert unit_for(3_598_199, "energy").label == "Wh"


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "–"),
        (0.0, "0.0\u00a0%"),
        (0.62, "62.0\u00a0%"),
        (0.99932, "99.9\u00a0%"),
        (0.99999, "99.9\u00a0%"),
        (1.0, "100\u00a0%"),
        (1.019, "101\u00a0%"),
    ],
)
def test_what_is_not_whole_never_looks_whole(share: float | None, shown: str) -> None:
    with translation.override("en-gb"):
        assert percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.0, "0\u00a0s"),
        (0.25, "0.250\u00a0s"),
        (59.7, "1\u00a0min"),
        (177, "2\u00a0min 57\u00a0s"),
        (3600, "1\u00a0h"),
        (85_320, "23\u00a0h 42\u00a0min"),
        (90_061, "1\u00a0d 1\u00a0h"),
        (86_427, "1\u00a0d 27\u00a0s"),
    ],
)
def test_a_time_has_its_two_leading_parts(seconds: float | None, shown: str) -> None:
    with translation.override("en-gb"):
        assert duration(seconds) == shown
