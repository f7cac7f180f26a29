"""Electricity Maps: the zone and the basis that were asked for, or nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.answers import ProviderError
from measurements.providers.electricity_maps import fetch, piece_end_ms, zone
from tests.measurements.providers.replaying import Replay, Reply
from tests.measurements.providers.replies import DAY, HOUR, NOON, electricity_maps, hour, ms, told

TOKEN = "tell-nobody-4711"


def fetched(provider: Replay, last: datetime = NOON + 3 * HOUR, basis: Basis = Basis.LIFECYCLE) -> IntensitySlots:
    """What comes of asking for Germany."""
    return fetch("DE", ms(NOON), ms(last), provider.access(token=TOKEN), basis)


def refused(provider: Replay) -> str:
    """Why an answer is not used."""
    with pytest.raises(ProviderError) as caught:
        fetched(provider)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def test_what_is_asked(provider: Replay) -> None:
    provider.give(electricity_maps([hour(NOON, 300)]))
    fetched(provider)
    (asked,) = provider.asked
    assert asked.path == "/carbon-intensity/past-range"
    assert asked.headers["auth-token"] == TOKEN
    assert asked.query == {
        "zone": "DE", "start": "2026-03-01T12:00:00Z", "end": "2026-03-01T15:00:00Z",
        "emissionFactorType": "lifecycle", "temporalGranularity": "hourly",
        "shouldUseFallbackCallerLookup": "false", "disableCallerLookup": "true",
    }  # fmt: skip


def test_estimated_hours_are_estimates_and_null_is_missing(provider: Replay) -> None:
    rows = [
        hour(NOON, 300),
        hour(NOON + HOUR, None),
        hour(NOON + 2 * HOUR, 320.5, isEstimated=True, estimationMethod="TIME_SLICER_AVERAGE"),
    ]
    provider.give(electricity_maps(rows))
    assert told(fetched(provider)) == [("01 12:00", 60, 300.0, False), ("01 14:00", 60, 320.5, True)]


def test_a_zone_that_was_not_asked_is_refused(provider: Replay) -> None:
    provider.give(electricity_maps([hour(NOON, 300), hour(NOON + HOUR, 31, zone="FR")]))
    assert "data[1]: zone is 'FR', asked was 'DE': the answer is not used" in refused(provider)


def test_another_basis_is_refused(provider: Replay) -> None:
    provider.give(electricity_maps([hour(NOON, 300, emissionFactorType="direct")]))
    assert "emissionFactorType is 'direct', asked was 'lifecycle'" in refused(provider)


def test_a_direct_series_asks_for_direct_values(provider: Replay) -> None:
    provider.give(electricity_maps([hour(NOON, 250, emissionFactorType="direct")]))
    assert told(fetched(provider, basis=Basis.DIRECT)) == [("01 12:00", 60, 250.0, False)]
    assert provider.asked[0].query["emissionFactorType"] == "direct"


def test_another_granularity_is_refused(provider: Replay) -> None:
    provider.give(electricity_maps([hour(NOON, 300, temporalGranularity="daily")]))
    assert "temporalGranularity is 'daily', asked was 'hourly'" in refused(provider)


def test_of_an_hour_told_twice_the_version_updated_last_holds(provider: Replay) -> None:
    late, early = "2026-03-03T00:00:00.5Z", "2026-03-02T00:00:00.25Z"
    rows = [hour(NOON, 1, updatedAt=late), hour(NOON, 2, updatedAt=early), hour(NOON + HOUR, 3, updatedAt=early)]
    provider.give(electricity_maps(rows))
    assert [value for _, _, value, _ in told(fetched(provider))] == [1.0, 3.0]


def test_an_interface_without_zone_and_granularity_around_the_rows_is_read_as_well(provider: Replay) -> None:
    row = hour(NOON, 300)
    del row["temporalGranularity"]
    provider.give({"data": [row]})
    assert told(fetched(provider)) == [("01 12:00", 60, 300.0, False)]


@pytest.mark.parametrize("key", ["zone", "datetime", "updatedAt", "isEstimated", "emissionFactorType"])
def test_a_row_that_lacks_a_field_is_refused(provider: Replay, key: str) -> None:
    row = hour(NOON, 300)
    del row[key]
    provider.give(electricity_maps([row]))
    assert f"data[0]: '{key}' is missing" in refused(provider)


@pytest.mark.parametrize("status", [401, 403])
def test_a_free_token_gets_the_last_24_hours(provider: Replay, status: int) -> None:
    rows = [hour(NOON + HOUR * step, 300 + step) for step in range(-21, 3)]
    provider.give(Reply({"message": "not in your plan"}, status), electricity_maps(rows, "history"))
    assert [value for _, _, value, _ in told(fetched(provider))] == [300.0, 301.0, 302.0]
    assert [asked.path for asked in provider.asked] == ["/carbon-intensity/past-range", "/carbon-intensity/history"]
    assert provider.asked[1].query["shouldUseFallbackCallerLookup"] == "false"


def test_the_last_24_hours_of_another_zone_are_refused_too(provider: Replay) -> None:
    provider.give(Reply({}, 403), electricity_maps([hour(NOON, 300, zone="FR")], "history"))
    assert "zone is 'FR', asked was 'DE'" in refused(provider)


def test_a_free_token_that_is_asked_for_the_past_says_what_to_do(provider: Replay) -> None:
    provider.give(Reply({}, 403), electricity_maps([hour(NOON + 9 * DAY, 300)], "history"))
    text = refused(provider)
    assert "HTTP 403: access denied" in text
    assert text.endswith("A free token gets the last 24 hours only: set --since to today")


def test_a_wrong_token_is_refused_once_and_for_all(provider: Replay) -> None:
    provider.rule = lambda _: Reply({"message": "Unauthorized"}, 401)
    assert "HTTP 401: the token is missing or wrong" in refused(provider)
    assert len(provider.asked) == 2


@pytest.mark.parametrize("token", ["", "two words", "line\r\nX-Other: 1", "größe"])
def test_what_can_be_no_token_is_never_sent(provider: Replay, token: str) -> None:
    with pytest.raises(ProviderError) as caught:
        fetch("DE", ms(NOON), ms(NOON + HOUR), provider.access(token=token), Basis.LIFECYCLE)
    assert str(caught.value) == "Electricity Maps: the token is missing, or holds what no token may hold"
    assert provider.asked == []


def test_zones_are_keys() -> None:
    assert [zone(key).series for key in ("DE", "SE-SE3", "US-CAL-CISO", "NO-NO1")] == [
        "DE", "SE-SE3", "US-CAL-CISO", "NO-NO1",
    ]  # fmt: skip
    for senseless in ("de", "Germany", "DE&zone=FR", ""):
        with pytest.raises(ValueError, match="is no zone of Electricity Maps"):
            zone(senseless)


def test_a_piece_is_ten_days() -> None:
    assert piece_end_ms(ms(NOON), ms(NOON + 30 * DAY)) == ms(NOON + 10 * DAY)
