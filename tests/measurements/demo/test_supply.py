"""The simulated cluster's electricity: declared once, the same for the same seed, never ahead of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from measurements.demo.cluster import CLUSTER_NAME, NODE_MODELS
from measurements.demo.grid import intensity_g_per_kwh
from measurements.demo.note import Simulated
from measurements.demo.site import describe
from measurements.demo.supply import GRID, blow, declare
from measurements.domain.slotting import ESTIMATED, MEASURED
from measurements.domain.units import MS_PER_S, ms_from_datetime
from measurements.models import Cluster, IntensitySeries, SiteFactor, Supply
from measurements.selectors.slot_days import slot_values

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)
SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def seconds(instant: datetime) -> int:
    return ms_from_datetime(instant) // MS_PER_S


DONE = Simulated(2212, seconds(SINCE), seconds(SINCE), seconds(SINCE))


@pytest.fixture
def cluster(db: None, own_var: Path) -> Cluster:
    """Described, nothing measured yet."""
    found = describe(DONE, seconds(NOW))
    declare(found, NOW)
    return found


def test_the_grid_is_the_same_for_the_same_seed_and_has_its_hours() -> None:
    days = np.array([intensity_g_per_kwh(2212, date(2025, 1, 1) + timedelta(days=i)) for i in range(365)])
    assert np.array_equal(days[40], intensity_g_per_kwh(2212, date(2025, 2, 10)))
    assert not np.array_equal(days[40], intensity_g_per_kwh(1, date(2025, 2, 10)))
    assert 150 < days.mean() < 400
    assert 0 < days.min() < 80
    assert days.max() < 700
    assert np.abs(np.diff(days.ravel())).max() < 60  # no step at midnight
    noon, evening = days[150:240, 44:52].mean(), days[150:240, 72:80].mean()
    assert noon < 0.75 * evening  # the sun of summer


def test_a_second_start_declares_nothing_anew(cluster: Cluster) -> None:
    before = SiteFactor.objects.count(), Supply.objects.count()
    declare(cluster, NOW)
    assert (SiteFactor.objects.count(), Supply.objects.count()) == before
    assert SiteFactor.objects.filter(kind="embodied").count() == len(NODE_MODELS)
    assert cluster.name == CLUSTER_NAME


def test_slots_come_in_up_to_now_and_the_last_one_is_a_forecast_until_it_is_over(cluster: Cluster) -> None:
    blow(DONE, NOW)
    grid = IntensitySeries.objects.get(slug=GRID)
    _, kinds = slot_values(grid.pk, date(2026, 3, 1), 10)
    begun = 9 * 96 + 14 * 4 + 2
    assert kinds[: begun - 1].tolist() == [MEASURED] * (begun - 1)
    assert slot_values(grid.pk, date(2026, 2, 28), 1)[1].all()  # a local day may begin there
    assert kinds[begun - 1] == ESTIMATED
    assert not kinds[begun:].any()
    blow(DONE, NOW + timedelta(minutes=15))
    _, kinds = slot_values(grid.pk, date(2026, 3, 1), 10)
    assert kinds[begun - 1 : begun + 1].tolist() == [MEASURED, ESTIMATED]
