"""Records of hours as quarter hours and as sums of cells, against plain loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, FILLED, IDLE, RECORD
from measurements.domain.units import BoolArray
from measurements.domain.usage import Quartered, Rates, cell_sums, priced, quartered

KINDS, HOURS, FIRST_HOUR = 3, 7, 480_000
FIRST, END = FIRST_HOUR * 4 + 2, (FIRST_HOUR + HOURS) * 4 - 1  # not on the hour


def some_records(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, hour and record of each, many of one kind and hour."""
    rng = np.random.default_rng(5)
    kind, hour = rng.integers(0, KINDS, count), rng.integers(FIRST_HOUR - 2, FIRST_HOUR + HOURS + 2, count)
    return kind, hour, rng.uniform(0.0, 9.0, (count, RECORD))


def found_in(count: int) -> Quartered:
    return quartered(*some_records(count), FIRST, END)


def test_records_of_a_kind_and_hour_are_added_up() -> None:
    kind, hour, records = some_records(200)
    wanted: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0] * 5)
    for k, h, record in zip(kind.tolist(), hour.tolist(), records, strict=True):
        for i in range(4):
            even = (record[name] / 4 for name in (COVERED, ELAPSED, FILLED))
            sums = wanted[k, 4 * h + i]
            for j, value in enumerate((record[ENERGY][i], record[IDLE][i], *even)):
                sums[j] += float(value)
    wanted = {key: sums for key, sums in wanted.items() if FIRST <= key[1] < END}
    found = found_in(200)
    columns = (found.energy_j, found.idle_j, found.covered_s, found.elapsed_s, found.filled_j)
    keys = zip(found.kind.tolist(), found.at.tolist(), strict=True)
    said = {key: values for key, *values in zip(keys, *columns, strict=True)}
    assert len(said) == len(found.at), "each kind and quarter hour comes once"
    assert said.keys() == wanted.keys()
    for key, values in said.items():
        assert values == pytest.approx(wanted[key], rel=1e-12)


def test_without_records_there_is_nothing() -> None:
    assert len(found_in(0).at) == 0


def rates(value: float, unknown: slice = slice(0, 0)) -> Rates:
    """Of the quarter hours of the records; market and tariff are never known."""
    count = 4 * (HOURS + 4)
    location = np.full(count, value)
    location[unknown] = np.nan
    nothing = np.full(count, np.nan)
    return Rates((FIRST_HOUR - 2) * 4, np.full(count, 1.5), location, nothing, nothing)


@pytest.mark.parametrize("lists", [{7: rates(3.0, slice(8, 24))}, {7: rates(3.0, slice(8, 24)), 9: rates(5.0)}])
def test_amounts_are_of_the_clusters_own_rates(lists: dict[int, Rates]) -> None:
    found, clusters = found_in(100), np.array([7, 7, 9 if len(lists) > 1 else 7])
    amounts = priced(found, lists, clusters)
    for i, (kind, at) in enumerate(zip(found.kind.tolist(), found.at.tolist(), strict=True)):
        own = lists[int(clusters[kind])]
        node_j = found.energy_j[i] + found.filled_j[i]
        assert amounts["facility_j"][i] == node_j * 1.5
        assert np.array_equal(amounts["location_g"][i], node_j * own.location_g[at - own.first], equal_nan=True)


def test_sums_of_cells_say_what_is_lost_and_what_is_not_known() -> None:
    found = found_in(150)
    failed: BoolArray = np.array([True, False, False])
    cell = (found.at - FIRST) // 8
    cells = int(cell.max()) + 2
    sums = cell_sums(found, cell, cells, failed, ~failed, priced(found, {7: rates(2.0, slice(8, 24))}, np.full(3, 7)))
    for i in range(cells):
        mine = np.flatnonzero(cell == i)
        lost = [j for j in mine.tolist() if failed[found.kind[j]]]
        kept = [j for j in mine.tolist() if not failed[found.kind[j]]]
        known = [j for j in mine.tolist() if not 8 <= found.at[j] - (FIRST_HOUR - 2) * 4 < 24]
        assert sums["failed_j"][i] == pytest.approx(sum(found.energy_j[lost].tolist()))
        assert sums["idle_j"][i] == pytest.approx(sum(found.idle_j[kept].tolist()))
        assert sums["running_s"][i] == pytest.approx(sum(found.elapsed_s[kept].tolist()))
        if len(mine) and not known:
            assert np.isnan(sums["location_g"][i])
        else:
            grams = 2.0 * (found.energy_j + found.filled_j)[known]
            assert sums["location_g"][i] == pytest.approx(sum(grams.tolist()))
        assert np.isnan(sums["cost"][i]) == bool(len(mine)), "nothing is known of any, 0 where none ran"
