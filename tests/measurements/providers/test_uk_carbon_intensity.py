"""UK Carbon Intensity: half hours, actual where known; regions are forecasts; never a lifecycle series."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.answers import ProviderError
from measurements.providers.uk_carbon_intensity import fetch, piece_end_ms, zone
from tests.measurements.providers.replaying import Replay, Reply
from tests.measurements.providers.replies import DAY, HALF, HOUR, NOON, half_hour, ms, regional, told


def fetched(provider: Replay, area: str = "GB", basis: Basis = Basis.DIRECT) -> IntensitySlots:
    """What comes of asking for two hours."""
    return fetch(area, ms(NOON), ms(NOON + 2 * HOUR), provider.access(), basis)


def refused(provider: Replay, area: str = "GB", basis: Basis = Basis.DIRECT) -> str:
    """Why an answer is not used."""
    with pytest.raises(ProviderError) as caught:
        fetched(provider, area, basis)
    return str(caught.value)


def test_actual_values_hold_forecasts_are_estimates_and_null_is_missing(provider: Replay) -> None:
    rows = [half_hour(NOON, 100, 110), half_hour(NOON + HALF, 120), half_hour(NOON + HOUR, None)]
    provider.give({"data": rows})
    assert told(fetched(provider)) == [("01 12:00", 30, 110.0, False), ("01 12:30", 30, 120.0, True)]


def test_the_times_are_asked_a_minute_inside(provider: Replay) -> None:
    provider.give({"data": []})
    fetched(provider)
    assert [asked.path for asked in provider.asked] == ["/intensity/2026-03-01T12:01Z/2026-03-01T13:59Z"]


def test_the_half_hour_before_is_left_out_where_it_is_answered_as_well(provider: Replay) -> None:
    provider.give({"data": [half_hour(NOON - HALF, 90, 91), half_hour(NOON, 100, 101)]})
    assert [value for _, _, value, _ in told(fetched(provider))] == [101.0]


def test_of_a_half_hour_told_twice_the_last_actual_value_holds(provider: Replay) -> None:
    rows = [half_hour(NOON, 100, 101), half_hour(NOON, 100, 105), half_hour(NOON, 100)]
    provider.give({"data": rows})
    assert told(fetched(provider)) == [("01 12:00", 30, 105.0, False)]


def test_a_region_has_forecasts_only(provider: Replay) -> None:
    provider.give(regional(13, [half_hour(NOON, 77, region=True)]))
    assert told(fetched(provider, "13")) == [("01 12:00", 30, 77.0, True)]
    assert provider.asked[0].path.endswith("/2026-03-01T13:59Z/regionid/13")


def test_a_region_in_a_list_of_one_is_read_as_well(provider: Replay) -> None:
    answer = regional(13, [half_hour(NOON, 77, region=True)])
    provider.give({"data": [answer["data"]]})
    assert len(fetched(provider, "13").start_ms) == 1


def test_a_region_that_was_not_asked_is_refused(provider: Replay) -> None:
    provider.give(regional(12, [half_hour(NOON, 77, region=True)]))
    assert "regionid is 12, asked was 13: the answer is not used" in refused(provider, "13")


def test_it_never_serves_a_lifecycle_series(provider: Replay) -> None:
    assert "it cannot serve a lifecycle series" in refused(provider, basis=Basis.LIFECYCLE)
    assert provider.asked == []


def test_its_errors_are_told_in_its_words(provider: Replay) -> None:
    said = {"error": {"code": "400 Bad Request", "message": "The maximum date range is limited to 14 days."}}
    provider.give(Reply(said, 400))
    assert "limited to 14 days" in refused(provider)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"from": "2026-03-01T12:00Z", "intensity": {}}], "data[0]: 'to' is missing"),
        ([{**half_hour(NOON, 1), "to": "2026-03-01T12:10Z"}], "a slot of 10 minutes from 2026-03-01 12:00:00"),
        ([{**half_hour(NOON, 1), "intensity": {"index": "low"}}], "intensity: 'forecast' is missing"),
        ([{**half_hour(NOON, 1), "from": "2026-03-01T12:00"}], "is no time with an offset"),
        ({}, "data: no list, but an object"),
    ],
)
def test_an_answer_of_another_shape_is_refused(provider: Replay, rows: object, sentence: str) -> None:
    provider.give({"data": rows})
    assert sentence in refused(provider)


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_a_day_on_which_clocks_change_has_its_48_half_hours_of_utc(provider: Replay, change: datetime) -> None:
    provider.give({"data": [half_hour(change + HALF * step, step) for step in range(48)]})
    slots = fetch("GB", ms(change), ms(change + DAY), provider.access(), Basis.DIRECT)
    assert slots.start_ms.tolist() == [ms(change + HALF * step) for step in range(48)]


def test_a_piece_is_less_than_14_days_and_ends_at_new_year() -> None:
    assert piece_end_ms(ms(NOON), ms(NOON + 30 * DAY)) == ms(NOON + 13 * DAY)
    christmas, new_year = datetime(2025, 12, 25, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert piece_end_ms(ms(christmas), ms(NOON)) == ms(new_year)
    assert piece_end_ms(ms(new_year), ms(NOON)) == ms(new_year + 13 * DAY)


def test_zones_are_the_nation_and_its_regions() -> None:
    assert (zone("gb").asked, zone("13").asked, zone("13").series, zone("13").title) == ("GB", "13", "GB-13", "London")
    for senseless in ("UK", "0", "18", "-1", "London"):
        with pytest.raises(ValueError, match="is no zone of UK Carbon Intensity"):
            zone(senseless)
