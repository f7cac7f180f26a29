"""Pulling carbon intensity: off by default, from where it stopped, and never a value that the provider did not give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from measurements.domain.carbon import Basis, Part
from measurements.models import (
    Cluster,
    FactorImport,
    IntensitySeries,
    PriceDay,
    PublishedValue,
    Pull,
    SlotDay,
    Supply,
)
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.known import PROVIDERS
from measurements.selectors.prices import price_list
from measurements.selectors.slot_days import slot_values
from measurements.services import chores
from measurements.services.intensity import OtherZone
from measurements.services.pricing import add_supply
from measurements.services.pulls import LEASE, NotPossible, disable, enable, pull_due, pull_one
from tests.measurements.providers.replaying import Asked, Replay, Reply
from tests.measurements.providers.replies import (
    DAY,
    HOUR,
    NOON,
    QUARTER,
    electricity_maps,
    energy_charts,
    half_hour,
    hour,
    ms,
)
from tests.portal import machine_world

pytestmark = pytest.mark.django_db
TOKEN = "tell-nobody-4711"
TODAY = NOON.replace(hour=0)
DATE = TODAY.date()
EMPTY: dict[str, Any] = {"unix_seconds": [], "co2eq": [], "co2eq_forecast": []}


@pytest.fixture(autouse=True)
def here(provider: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """All providers are on this machine."""
    for name in ("ENERGY_CHARTS_URL", "ELECTRICITY_MAPS_URL", "UK_CARBON_INTENSITY_URL"):
        monkeypatch.setattr(settings, name, provider.url)
    monkeypatch.setattr(settings, "ELECTRICITY_MAPS_TOKEN", TOKEN)


def switched_on(name: str = "energy_charts", since: date | None = DATE, zone: str = "DE") -> Pull:
    """A pull that is on."""
    basis = Basis.DIRECT if name == "uk_carbon_intensity" else Basis.LIFECYCLE
    return enable(name, zone, basis, "production" if name == "energy_charts" else "", since, NOON)


def quarters(pull: Pull, first: datetime, number: int) -> list[float | None]:
    """What is stored; None: missing."""
    midnight = first.replace(hour=0, minute=0)
    values, _ = slot_values(pull.series_id, midnight.date(), 2)
    place = (first - midnight) // QUARTER
    return [None if np.isnan(value) else value for value in values[place : place + number].tolist()]


def standing(pull: Pull) -> Pull:
    """As it stands in the database."""
    return Pull.objects.get(pk=pull.pk)


def steady(value: float, until: datetime = NOON) -> Callable[[Asked], Reply]:
    """An Energy-Charts that knows one value for all quarter hours that are asked for, up to some time."""

    def answer(asked: Asked) -> Reply:
        first, last = (datetime.fromisoformat(asked.query[key]) for key in ("start", "end"))
        return Reply(energy_charts(first, [value] * max(0, (min(last, until) - first) // QUARTER)))

    return answer


def test_a_fresh_site_asks_nobody(provider: Replay) -> None:
    assert pull_due(NOON) == []
    assert chores.run("pull carbon intensity", NOON)
    assert provider.asked == []
    assert not IntensitySeries.objects.filter(slug__contains="energy-charts").exists()


def test_a_pull_that_is_switched_off_asks_nobody(provider: Replay) -> None:
    disable(switched_on())
    assert pull_due(NOON + DAY) == []
    assert provider.asked == []


def test_the_chore_pulls_what_is_switched_on(provider: Replay) -> None:
    provider.rule = steady(300.0)
    pull = switched_on()
    assert chores.run("pull carbon intensity", NOON)
    assert quarters(pull, TODAY, 49) == [300.0] * 48 + [None]


def test_the_first_turn_stores_and_notes_how_far_it_came(provider: Replay) -> None:
    provider.give(energy_charts(TODAY, [300.0, None, None, None], [None, 310.0, None, None]))
    pull = switched_on()
    (turn,) = pull_due(NOON)
    assert (turn.stored, turn.changed, turn.error) == (2, 0, "")
    assert quarters(pull, TODAY, 4) == [300.0, 310.0, None, None]
    assert slot_values(pull.series_id, DATE, 1)[1][:3].tolist() == [1, 2, 0]
    now = standing(pull)
    assert now.cursor_ms == ms(TODAY + 2 * QUARTER), "not further than what is stored"
    assert (now.last_ok_at, now.next_at, now.failures, now.last_error) == (NOON, NOON + 2 * QUARTER, 0, "")


def test_the_next_turn_begins_two_days_before_the_cursor_and_takes_what_was_revised(provider: Replay) -> None:
    provider.rule = steady(300.0)
    pull = switched_on(since=(TODAY - 5 * DAY).date())
    pull_due(NOON)
    provider.asked.clear()
    later = NOON + HOUR
    provider.give(energy_charts(NOON - 2 * DAY, [300.0] * 96 + [280.0] * 2 + [300.0] * 98))
    (turn,) = pull_due(later)
    assert provider.asked[0].query == {"country": "de", "start": "2026-02-27T12:00Z", "end": "2026-03-01T13:00Z"}
    assert (turn.stored, turn.changed) == (4, 2)
    assert quarters(pull, NOON - DAY, 3) == [280.0, 280.0, 300.0]
    assert list(FactorImport.objects.order_by("pk").values_list("changed", flat=True)) == [0, 2]


def test_a_turn_that_changes_nothing_leaves_no_import(provider: Replay) -> None:
    provider.rule = steady(300.0)
    switched_on()
    pull_due(NOON)
    before = SlotDay.objects.get().updated_at
    pull_due(NOON + 2 * QUARTER)
    assert FactorImport.objects.count() == 1
    assert SlotDay.objects.get().updated_at == before


def test_an_estimate_becomes_measured_and_a_forecast_never_replaces_what_was_measured(provider: Replay) -> None:
    provider.give(electricity_maps([hour(TODAY, 300, isEstimated=True)]))
    maps, charts = switched_on("electricity_maps"), switched_on()
    provider.give(energy_charts(TODAY, [200.0]))
    pull_due(NOON)
    provider.give(energy_charts(TODAY, [None], [250.0]), electricity_maps([hour(TODAY, 290)]))
    pull_due(NOON + HOUR)
    assert quarters(maps, TODAY, 5) == [290.0] * 4 + [None]
    assert quarters(charts, TODAY, 1) == [200.0]
    assert [slot_values(pull.series_id, DATE, 1)[1][0] for pull in (maps, charts)] == [1, 1]


def test_a_failure_keeps_the_cursor_and_the_values_and_freezes_none(provider: Replay) -> None:
    provider.rule = steady(300.0)
    pull = switched_on()
    pull_due(NOON)
    before = standing(pull)
    provider.rule = lambda _: Reply({}, 500)
    (turn,) = pull_due(NOON + HOUR)
    now = standing(pull)
    assert turn.error == now.last_error
    assert now.last_error.startswith(f"Energy-Charts: {provider.url}/co2eq?country=de")
    assert (now.cursor_ms, now.last_ok_at, now.failures) == (before.cursor_ms, NOON, 1)
    assert quarters(pull, NOON - QUARTER, 5) == [300.0] + [None] * 4


def test_failures_wait_longer_and_longer_and_a_success_clears_them(provider: Replay) -> None:
    provider.rule = lambda _: Reply({}, 404)
    pull = switched_on()
    waits, now = [], NOON
    for _ in range(7):
        pull_due(now)
        waits.append(standing(pull).next_at - now)  # type: ignore[operator]
        assert pull_due(now + waits[-1] - timedelta(seconds=1)) == []
        now += waits[-1]
    assert waits == [QUARTER, 2 * QUARTER, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 6 * HOUR]
    provider.rule = steady(300.0, now)
    pull_due(now)
    assert (standing(pull).failures, standing(pull).last_error) == (0, "")


@pytest.mark.parametrize(("said", "wait"), [("7200", 2 * HOUR), ("864000", DAY), ("1", QUARTER), ("9" * 400, DAY)])
def test_whoever_is_told_to_wait_waits_but_not_for_ever(provider: Replay, said: str, wait: timedelta) -> None:
    provider.give(Reply({}, 429, {"Retry-After": said}))
    pull = switched_on()
    pull_due(NOON)
    assert standing(pull).next_at == NOON + wait


@pytest.mark.parametrize(
    "answer",
    [
        electricity_maps([hour(TODAY, 300), hour(TODAY + HOUR, 30, zone="FR")]),
        electricity_maps([hour(TODAY, 300), hour(TODAY + HOUR, 300, emissionFactorType="direct")]),
        Reply(b"<html>Please log in</html>"),
        Reply(b'{"zone": "DE", "data": [', length=9_000),
        Reply({"message": f"wrong token {TOKEN}"}, 400),
    ],
    ids=["another zone", "another basis", "a page", "cut off", "wrong token"],
)
def test_of_an_answer_that_is_refused_nothing_is_stored(
    provider: Replay, answer: dict[str, Any] | Reply, caplog: pytest.LogCaptureFixture
) -> None:
    provider.give(answer)
    pull = switched_on("electricity_maps")
    (turn,) = pull_due(NOON)
    assert turn.error
    assert (SlotDay.objects.count(), FactorImport.objects.count(), standing(pull).cursor_ms) == (0, 0, None)
    assert TOKEN not in standing(pull).last_error + caplog.text


def test_a_single_absurd_value_is_refused_and_told_and_the_others_are_taken(provider: Replay) -> None:
    provider.give(energy_charts(TODAY, [300.0, 99_999.0, -5.0, 310.0]))
    pull = switched_on()
    (turn,) = pull_due(NOON)
    assert (turn.stored, turn.error) == (2, "")
    assert quarters(pull, TODAY, 4) == [300.0, None, None, 310.0]
    assert "1 refused: carbon intensity above 3000 g/kWh" in standing(pull).last_error
    assert "1 refused: negative carbon intensity" in standing(pull).last_error


def test_history_is_fetched_in_pieces_a_few_each_turn(provider: Replay) -> None:
    provider.rule = steady(300.0)
    pull = switched_on(since=(TODAY - 100 * DAY).date())
    (turn,) = pull_due(NOON)
    assert turn.behind
    assert len(provider.asked) == PROVIDERS["energy_charts"].calls_a_turn == 2
    assert standing(pull).cursor_ms == ms(TODAY - 44 * DAY)
    assert standing(pull).next_at == NOON + QUARTER
    (turn,) = pull_due(NOON + QUARTER)
    assert not turn.behind
    values, _ = slot_values(pull.series_id, (TODAY - 100 * DAY).date(), 101)
    assert np.isfinite(values).sum() == 100 * 96 + 48


def test_no_piece_of_the_uks_reaches_over_new_year(provider: Replay) -> None:
    provider.rule = lambda asked: Reply({"data": [half_hour(_first(asked), 100, 100)]})
    enable("uk_carbon_intensity", "GB", Basis.DIRECT, "", date(2025, 12, 25), datetime(2026, 1, 10, tzinfo=UTC))
    pull_due(datetime(2026, 1, 10, tzinfo=UTC))
    assert [asked.path for asked in provider.asked] == [
        "/intensity/2025-12-25T00:01Z/2025-12-31T23:59Z",
        "/intensity/2026-01-01T00:01Z/2026-01-09T23:59Z",
    ]


def _first(asked: Asked) -> datetime:
    return datetime.fromisoformat(asked.path.split("/")[2]).replace(minute=0)


def test_a_piece_that_fails_keeps_those_before_it(provider: Replay) -> None:
    provider.give(energy_charts(TODAY - 100 * DAY, [300.0] * 96 * 28), Reply({}, 404))
    pull = switched_on(since=(TODAY - 100 * DAY).date())
    (turn,) = pull_due(NOON)
    assert (turn.stored, bool(turn.error)) == (96 * 28, True)
    assert standing(pull).cursor_ms == ms(TODAY - 72 * DAY)


def test_an_answer_without_a_value_is_a_failure(provider: Replay) -> None:
    provider.rule = lambda _: Reply(EMPTY)
    pull = switched_on()
    (turn,) = pull_due(NOON)
    assert turn.error == "Energy-Charts: no value from 2026-03-01 00:00 to 2026-03-01 12:00 (UTC)"
    assert standing(pull).cursor_ms is None


def test_a_stretch_of_the_past_that_stays_empty_is_stepped_over(provider: Replay) -> None:
    gap = ms(TODAY - 72 * DAY)

    def answer(asked: Asked) -> Reply:
        old = ms(datetime.fromisoformat(asked.query["end"])) <= gap
        return Reply(EMPTY) if old else steady(300.0)(asked)

    provider.rule = answer
    pull = switched_on(since=(TODAY - 100 * DAY).date())
    for _ in range(3):
        assert pull_due(standing(pull).next_at or NOON)[0].error
        assert standing(pull).cursor_ms is None
    assert not pull_due(standing(pull).next_at or NOON)[0].error
    assert standing(pull).cursor_ms == ms(TODAY - 44 * DAY)


def test_what_is_pulled_prices_days_that_were_priced_before_and_what_is_missing_takes_the_next_rung(
    provider: Replay, tmp_path: Path
) -> None:
    machine_world.build(tmp_path)
    machine, (day, *_) = Cluster.objects.get(), PriceDay.objects.values_list("day", flat=True).order_by("day")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    pull = enable("energy_charts", "de", Basis.LIFECYCLE, "production", day, midnight)
    years = IntensitySeries.objects.create(
        slug="years", zone="DE", basis="lifecycle", mix="production", source_title="A"
    )
    PublishedValue.objects.create(series=years, start=date(day.year, 1, 1), g_per_kwh=400.0)
    add_supply(Supply(cluster=machine, slots=pull.series, yearly=years), midnight)
    provider.give(energy_charts(midnight, [300.0, None, 310.0], [None, 305.0, None]))
    pull_due(midnight + HOUR)
    prices = price_list(machine, day, day)
    assert prices.part(Part.LOCATION)[:4].tolist() == [300.0, 305.0, 310.0, 400.0]
    rungs = [prices.origins[place].rung.value for place in prices.origin[Part.LOCATION][:4]]
    assert rungs == ["measured", "estimated", "measured", "yearly"]
    assert PriceDay.objects.get(cluster=machine, day=day).priced_at == midnight + HOUR


# --- Two at once ----------------------------------------------------------------------------------


def _asking(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """An Energy-Charts during whose answer something else happens, once."""
    todo = [meanwhile]

    def fetch(*_: Any) -> IntensitySlots:
        if todo:
            todo.pop()()
        begin, length = np.array([ms(TODAY)]), ms(TODAY + QUARTER) - ms(TODAY)
        return IntensitySlots(begin, begin + length, np.array([300.0]), np.array([False]))

    monkeypatch.setitem(PROVIDERS, "energy_charts", replace(PROVIDERS["energy_charts"], fetch=fetch))


def test_a_second_beat_finds_the_pull_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    second: list[object] = []
    _asking(monkeypatch, lambda: second.extend([pull_due(NOON), pull_due(NOON + timedelta(minutes=1))]))
    switched_on()
    (turn,) = pull_due(NOON)
    assert (second, turn.stored) == ([[], []], 1)
    assert FactorImport.objects.count() == 1


def test_a_turn_that_was_given_up_for_dead_stores_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    second: list[Any] = []
    _asking(monkeypatch, lambda: second.extend(pull_due(NOON + LEASE)))
    pull = switched_on()
    assert pull_due(NOON) == []
    assert [turn.stored for turn in second] == [1]
    assert (FactorImport.objects.count(), standing(pull).last_ok_at) == (1, NOON + LEASE)


def test_at_once_takes_a_pull_over_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    second: list[Any] = []
    _asking(monkeypatch, lambda: second.append(pull_one(pull.pk, NOON, at_once=True)))
    pull = switched_on()
    pull_due(NOON)
    assert second == [None], "the same instant: already taken"
    turn = pull_one(pull.pk, NOON + timedelta(minutes=1), at_once=True)
    assert turn is not None
    assert not turn.error


def test_what_is_switched_off_meanwhile_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _asking(monkeypatch, lambda: disable(pull))
    pull = switched_on()
    assert pull_due(NOON) == []
    assert SlotDay.objects.count() == 0
    assert (standing(pull).enabled, standing(pull).cursor_ms) == (False, None)


def test_what_is_set_back_meanwhile_stays_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _asking(monkeypatch, lambda: switched_on(since=date(2020, 1, 1)))
    pull = switched_on()
    assert pull_due(NOON) == []
    assert (standing(pull).since, standing(pull).cursor_ms) == (date(2020, 1, 1), None)


def test_what_could_not_be_stored_is_not_passed_over(provider: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OtherZone("zone FR: the series is of zone DE")

    monkeypatch.setattr("measurements.services.pulls.store_slots", fails)
    provider.rule = steady(300.0)
    pull = switched_on()
    (turn,) = pull_due(NOON)
    assert turn.error == standing(pull).last_error == "zone FR: the series is of zone DE"
    assert standing(pull).cursor_ms is None


def test_an_unexpected_error_is_noted_and_the_other_pulls_go_on(
    provider: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(*_: Any) -> IntensitySlots:
        raise ZeroDivisionError

    monkeypatch.setitem(PROVIDERS, "energy_charts", replace(PROVIDERS["energy_charts"], fetch=fetch))
    pull = switched_on()
    provider.give({"data": [half_hour(TODAY, 100, 100)]})
    switched_on("uk_carbon_intensity", zone="GB")
    assert [bool(turn.stored) for turn in pull_due(NOON)] == [False, True]
    assert standing(pull).last_error == "unexpected ZeroDivisionError: see the log"
    assert "ZeroDivisionError" in caplog.text


# --- Switching on ---------------------------------------------------------------------------------


def test_a_series_says_whose_values_it_holds_and_under_which_licence() -> None:
    charts, maps, uk = (
        switched_on(name, zone=zone).series
        for name, zone in (("energy_charts", "de"), ("electricity_maps", "DE"), ("uk_carbon_intensity", "13"))
    )
    assert (charts.slug, charts.zone, charts.basis, charts.mix, charts.gas, charts.method) == (
        "energy-charts-de-lifecycle", "DE", "lifecycle", "production", "CO2e", "location_based",
    )  # fmt: skip
    assert (maps.slug, maps.mix, maps.licence) == (
        "electricity-maps-de-lifecycle", "consumption", "Electricity Maps terms of service",
    )  # fmt: skip
    assert (uk.slug, uk.zone, uk.basis, uk.gas) == ("uk-carbon-intensity-gb-13-direct", "GB-13", "direct", "CO2")
    assert uk.source_title == "UK Carbon Intensity, London"
    for series, named in ((charts, "Energy-Charts.info"), (uk, "National Energy System Operator")):
        assert named in series.attribution
        assert series.licence == "CC BY 4.0"


def test_switching_on_again_goes_on_and_with_since_begins_anew(provider: Replay) -> None:
    provider.rule = steady(300.0)
    pull = switched_on()
    pull_due(NOON)
    disable(pull)
    assert switched_on(since=None).cursor_ms == ms(NOON)
    assert switched_on(since=date(2026, 1, 1)).cursor_ms is None
    assert Pull.objects.count() == IntensitySeries.objects.filter(slug__startswith="energy-charts").count() == 1


@pytest.mark.parametrize(
    ("provider_name", "zone", "basis", "mix", "sentence"),
    [
        ("energy_charts", "DE-LU", "lifecycle", "production", "'DE-LU' is no country of Energy-Charts"),
        ("energy_charts", "DE", "lifecycle", "", "say which mix Energy-Charts counts: production or consumption"),
        ("electricity_maps", "DE", "lifecycle", "production", "say which mix Electricity Maps counts: consumption"),
        ("uk_carbon_intensity", "GB", "lifecycle", "", "UK Carbon Intensity has no lifecycle values, only direct"),
    ],
)
def test_what_cannot_be_is_not_switched_on(provider_name: str, zone: str, basis: str, mix: str, sentence: str) -> None:
    with pytest.raises(NotPossible, match=sentence):
        enable(provider_name, zone, Basis(basis), mix, None, NOON)
    assert not Pull.objects.exists()


def test_without_a_token_electricity_maps_is_not_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ELECTRICITY_MAPS_TOKEN", "")
    with pytest.raises(NotPossible, match="Electricity Maps needs a token: set JOULEBOOK_ELECTRICITY_MAPS_TOKEN"):
        switched_on("electricity_maps")


def test_a_series_of_the_same_name_that_no_pull_made_is_left_alone() -> None:
    enable("energy_charts", "de", Basis.DIRECT, "production", None, NOON)
    Pull.objects.all().delete()
    with pytest.raises(NotPossible, match="there is a series energy-charts-de-direct that no pull made"):
        enable("energy_charts", "de", Basis.DIRECT, "production", None, NOON)


def test_a_series_keeps_its_mix() -> None:
    switched_on()
    with pytest.raises(NotPossible, match="is of the production mix"):
        enable("energy_charts", "de", Basis.LIFECYCLE, "consumption", None, NOON)
