"""Energy-Charts: measured where it is, else its forecast and said so, else missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.answers import ProviderError
from measurements.providers.energy_charts import fetch, piece_end_ms, zone
from tests.measurements.providers.replaying import Replay, Reply
from tests.measurements.providers.replies import DAY, HOUR, NOON, QUARTER, energy_charts, ms, told


def fetched(provider: Replay, first: datetime = NOON, last: datetime = NOON + HOUR) -> IntensitySlots:
    """What comes of asking for Germany."""
    return fetch("de", ms(first), ms(last), provider.access(), Basis.LIFECYCLE)


def refused(provider: Replay) -> str:
    """Why an answer is not used."""
    with pytest.raises(ProviderError) as caught:
        fetched(provider)
    return str(caught.value)


def test_what_is_asked(provider: Replay) -> None:
    provider.give(energy_charts(NOON, [300.0]))
    fetched(provider)
    (asked,) = provider.asked
    assert asked.path == "/co2eq"
    assert asked.query == {"country": "de", "start": "2026-03-01T12:00Z", "end": "2026-03-01T13:00Z"}


def test_a_forecast_stands_in_for_what_is_not_measured_yet_and_says_so(provider: Replay) -> None:
    provider.give(energy_charts(NOON, [300.5, None, None, 290.0], [None, 310.0, None, 280.0]))
    assert told(fetched(provider)) == [
        ("01 12:00", 15, 300.5, False), ("01 12:15", 15, 310.0, True), ("01 12:45", 15, 290.0, False),
    ]  # fmt: skip


def test_substituted_values_are_estimates(provider: Replay) -> None:
    provider.give(energy_charts(NOON, [300.0], substitute=True))
    assert told(fetched(provider)) == [("01 12:00", 15, 300.0, True)]


def test_slots_outside_of_what_was_asked_are_left_out(provider: Replay) -> None:
    provider.give(energy_charts(NOON - QUARTER, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert [value for _, _, value, _ in told(fetched(provider))] == [2.0, 3.0, 4.0, 5.0]


def test_a_time_left_out_makes_no_slot_longer(provider: Replay) -> None:
    answer = energy_charts(NOON, [1.0, 2.0, 3.0, 4.0])
    for column in ("unix_seconds", "co2eq", "co2eq_forecast"):
        del answer[column][1]
    provider.give(answer)
    assert told(fetched(provider))[:2] == [("01 12:00", 15, 1.0, False), ("01 12:30", 15, 3.0, False)]


def test_a_country_by_the_hour_has_slots_of_an_hour(provider: Replay) -> None:
    provider.give(energy_charts(NOON, [1.0, 2.0], step=HOUR))
    assert told(fetched(provider, last=NOON + 2 * HOUR)) == [("01 12:00", 60, 1.0, False), ("01 13:00", 60, 2.0, False)]


def test_a_slot_told_twice_is_one_slot(provider: Replay) -> None:
    answer = energy_charts(NOON, [1.0, 2.0, 3.0])
    for column, value in (("unix_seconds", answer["unix_seconds"][1]), ("co2eq", None), ("co2eq_forecast", 9.0)):
        answer[column].append(value)
    provider.give(answer)
    assert [value for _, _, value, _ in told(fetched(provider))] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_a_day_on_which_clocks_change_has_its_24_hours_of_utc(provider: Replay, change: datetime) -> None:
    provider.give(energy_charts(change, [float(quarter) for quarter in range(96)]))
    slots = fetched(provider, change, change + DAY)
    assert slots.start_ms.tolist() == [ms(change + QUARTER * quarter) for quarter in range(96)]


def test_an_interface_that_is_going_away_is_told_to_the_operator(
    provider: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    provider.give(energy_charts(NOON, [300.0], deprecated=True))
    assert len(fetched(provider).start_ms) == 1
    assert "calls this interface deprecated" in caplog.text


def test_an_unknown_country_is_told_with_the_providers_words(provider: Replay) -> None:
    provider.give(Reply({"detail": "'xx' is not the code for an available country"}, 400))
    assert "HTTP 400: it says" in (text := refused(provider))
    assert "is not the code for an available country" in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"co2eq": [1.0]}, "co2eq: 1 values for 2 times"),
        ({"co2eq_forecast": [1.0]}, "co2eq_forecast: 1 values for 2 times"),
        ({"co2eq": ["low", 2.0]}, "co2eq[0]: no number, but a text"),
        ({"co2eq": None}, "co2eq: no list, but null"),
        ({"unix_seconds": None}, "unix_seconds: no list, but null"),
        ({"unix_seconds": [1.5, 2.5]}, "unix_seconds[0]: no whole number"),
        ({"deprecated": "no"}, "deprecated: neither true nor false"),
    ],
)
def test_an_answer_of_another_shape_is_refused(provider: Replay, change: dict[str, object], sentence: str) -> None:
    provider.give({**energy_charts(NOON, [1.0, 2.0]), **change})
    assert sentence in (text := refused(provider))
    assert text.startswith(f"Energy-Charts: {provider.url}/co2eq?country=de&start=")


def test_times_off_the_quarter_hour_are_refused(provider: Replay) -> None:
    provider.give(energy_charts(NOON + QUARTER / 3, [1.0, 2.0]))
    assert "a slot of 15 minutes from 2026-03-01 12:05:00: slots are of 15, 30 or 60 minutes" in refused(provider)


def test_steps_of_another_length_are_refused(provider: Replay) -> None:
    provider.give(energy_charts(NOON, [1.0, 2.0], step=QUARTER * 2 / 3))
    assert "a slot of 10 minutes" in refused(provider)


def test_zones_are_countries() -> None:
    assert (zone("DE").asked, zone("de").series) == ("de", "DE")
    with pytest.raises(ValueError, match="'DE-LU' is no country of Energy-Charts"):
        zone("DE-LU")


def test_a_piece_is_four_weeks() -> None:
    assert piece_end_ms(0, ms(NOON)) == 28 * 86_400_000
    assert piece_end_ms(ms(NOON), ms(NOON + HOUR)) == ms(NOON + HOUR)
