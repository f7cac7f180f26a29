"""manage.py pull_intensity: switching on says under which terms, and nothing says the token."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from measurements.models import Pull, SlotDay
from measurements.providers.known import PROVIDERS
from tests.measurements.providers.replaying import Replay, Reply
from tests.measurements.providers.replies import DAY, NOON, electricity_maps, energy_charts, half_hour, hour, ms

pytestmark = pytest.mark.django_db
TOKEN = "tell-nobody-4711"
TODAY = NOON.replace(hour=0)
CHARTS = ("--provider", "energy_charts", "--zone", "de", "--basis", "lifecycle", "--mix", "production")
MAPS = ("--provider", "electricity_maps", "--zone", "DE", "--basis", "lifecycle")


@pytest.fixture(autouse=True)
def here(provider: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """All providers are on this machine, and it is noon."""
    for name in ("ENERGY_CHARTS_URL", "ELECTRICITY_MAPS_URL", "UK_CARBON_INTENSITY_URL"):
        monkeypatch.setattr(settings, name, provider.url)
    monkeypatch.setattr(settings, "ELECTRICITY_MAPS_TOKEN", TOKEN)
    monkeypatch.setattr("measurements.management.commands.pull_intensity.now", lambda: NOON)


def run(*arguments: str) -> str:
    """What it prints."""
    printed, said = StringIO(), StringIO()
    call_command("pull_intensity", *arguments, stdout=printed, stderr=said)
    assert TOKEN not in printed.getvalue() + said.getvalue()
    return printed.getvalue()


def listed(*arguments: str) -> list[dict[str, Any]]:
    """The pulls it shows."""
    return json.loads(run(*arguments, "--json"))["pulls"]  # type: ignore[no-any-return]


def refused(*arguments: str) -> tuple[int, str]:
    """The exit code, and the sentence."""
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    assert TOKEN not in str(caught.value)
    return caught.value.returncode, str(caught.value)


def test_a_fresh_site_lists_nothing_and_asks_nobody(provider: Replay) -> None:
    assert listed() == listed("--now") == []
    assert provider.asked == []


def test_switching_on_asks_nobody_yet_and_shows_licence_and_attribution(provider: Replay) -> None:
    text = run(*CHARTS, "--enable", "--since", "2026-03-01")
    assert "energy_charts de lifecycle (energy-charts-de-lifecycle): on" in text
    assert "since 2026-03-01, fetched up to nothing yet" in text
    assert "Data: Energy-Charts.info (Fraunhofer ISE), CC BY 4.0 [CC BY 4.0]" in text
    assert provider.asked == []


def test_now_pulls_at_once(provider: Replay) -> None:
    provider.give(electricity_maps([hour(TODAY, 300), hour(TODAY + DAY / 24, 310)]))
    (pull,) = listed(*MAPS, "--enable", "--since", "2026-03-01", "--now")
    assert (pull["fetched_up_to"], pull["failures"], pull["last_ok_at"]) == (
        "2026-03-01T02:00Z",
        0,
        "2026-03-01T12:00Z",
    )
    assert SlotDay.objects.count() == 1


def test_now_goes_on_until_all_is_fetched(provider: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    known = PROVIDERS["uk_carbon_intensity"]
    monkeypatch.setitem(PROVIDERS, "uk_carbon_intensity", replace(known, pause_s=0, calls_a_turn=1))
    monkeypatch.setattr("measurements.management.commands.pull_intensity.now", iter_of_seconds())
    provider.rule = lambda asked: Reply({"data": [half_hour(_first(asked), 100, 100)]})
    uk = ("--provider", "uk_carbon_intensity", "--zone", "GB", "--basis", "direct")
    (pull,) = listed(*uk, "--enable", "--since", "2026-01-01", "--now")
    assert len(provider.asked) == 6, "13 days each, two of them once more"
    assert pull["failures"] == 0


def iter_of_seconds() -> Any:
    """A clock that goes on."""
    instants = (NOON + step * DAY / 86_400 for step in range(100))
    return lambda: next(instants)


def _first(asked: Any) -> Any:
    return NOON.fromisoformat(asked.path.split("/")[2]).replace(minute=0)


def test_a_call_that_fails_is_told_and_shown(provider: Replay) -> None:
    provider.rule = lambda _: Reply({"message": f"{TOKEN} is no token"}, 401)
    code, text = refused(*MAPS, "--enable", "--since", "2026-03-01", "--now")
    assert code == 1
    assert "Electricity Maps: " in text
    assert "HTTP 401: the token is missing or wrong" in text
    shown = run("--list")
    assert "failed 1 times in a row, tried again at 2026-03-01T12:15Z" in shown
    assert "HTTP 401" in shown


def test_switching_off_keeps_what_there_is(provider: Replay) -> None:
    provider.give(energy_charts(TODAY, [300.0]))
    run(*CHARTS, "--enable", "--since", "2026-03-01", "--now")
    (pull,) = listed("--provider", "energy_charts", "--disable")
    assert not pull["enabled"]
    assert Pull.objects.get().cursor_ms == ms(TODAY) + 900_000
    assert SlotDay.objects.count() == 1


def test_without_a_token_it_refuses_to_switch_on(provider: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ELECTRICITY_MAPS_TOKEN", "")
    assert refused(*MAPS, "--enable") == (2, "Electricity Maps needs a token: set JOULEBOOK_ELECTRICITY_MAPS_TOKEN")
    assert not Pull.objects.exists()
    assert provider.asked == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--enable", "--provider", "energy_charts"), 2, "--enable needs --provider, --zone and --basis"),
        ((*CHARTS[:-2], "--enable"), 2, "say which mix Energy-Charts counts"),
        (("--provider", "uk_carbon_intensity", "--zone", "GB", "--basis", "lifecycle", "--enable"), 2, "only direct"),
        (("--disable",), 2, "--disable needs"),
        (("--zone", "FR", "--now"), 1, "no such pull"),
    ],
)
def test_what_cannot_be_is_told(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    assert refused(*arguments)[0] == code
    assert sentence in refused(*arguments)[1]
