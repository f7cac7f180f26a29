"""What comes again and again, and the hints for it: never twice in an interval, never too many, never in the way."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from measurements.models import Heartbeat
from measurements.services import chores
from measurements.services.heartbeats import CHORE, WORKER, beat, forget_gone_workers
from tests.house import ROOT, clean_environment
from workers.hints import ENOUGH

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When the one chore there is was done."""
    monkeypatch.setattr(chores, "_CHORES", {})
    times: list[datetime] = []
    chores.every(60, times.append, "look")
    return times


@pytest.mark.django_db
def test_a_chore_is_done_once_an_interval_whoever_asks(done: list[datetime]) -> None:
    assert chores.run_due(NOON) == ["look"]
    assert chores.due(NOON + MINUTE / 2) == []
    assert not chores.run("look", NOON + MINUTE / 2), "asked by a message that came late"
    assert chores.run_due(NOON + MINUTE) == ["look"]
    assert done == [NOON, NOON + MINUTE]


@pytest.mark.django_db
def test_a_chore_that_fails_is_logged_and_comes_again(done: list[datetime], caplog: pytest.LogCaptureFixture) -> None:
    chores.every(60, lambda _: 1 / 0, "break")
    assert chores.run_due(NOON) == ["look", "break"]
    assert "ZeroDivisionError" in caplog.text
    assert chores.run_due(NOON + MINUTE) == ["look", "break"]
    assert len(done) == 2


@pytest.mark.django_db
def test_what_can_wait_is_not_done_at_the_first_start(done: list[datetime]) -> None:
    later: list[datetime] = []
    chores.every(60, later.append, "later", at_once=False)
    chores.run_due(NOON)
    assert (len(done), later) == (1, [])
    chores.run_due(NOON + MINUTE)
    assert later == [NOON + MINUTE]


@pytest.mark.django_db
def test_workers_that_are_gone_are_forgotten_and_chores_are_not() -> None:
    for name in (f"{WORKER}old", f"{CHORE}old"):
        beat(name, NOON - timedelta(days=2))
    beat(f"{WORKER}new", NOON)
    forget_gone_workers(NOON)
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {f"{CHORE}old", f"{WORKER}new"}


HINTS = """
import django, redis, workers.celery
django.setup()
from workers.hints import hint, messages_in
from workers.tasks import book, sweep
hint(book, number=100)
hint(book, number=100)
hint(sweep, even_if_full=True)
try:
    print(messages_in("rollup"))
except redis.ConnectionError:
    print("away")
"""


@pytest.mark.parametrize("there", [True, False], ids=["redis", "no redis"])
def test_hints_never_pile_up_and_a_queue_that_is_away_stops_nobody(
    *, there: bool, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("redis_url") if there else "redis://127.0.0.1:1/0"
    answer = subprocess.run(
        [sys.executable, "-c", HINTS],
        cwd=ROOT, env=clean_environment(REDIS_URL=url), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == (str(ENOUGH + 1) if there else "away")
    assert ("no hint for rollup.book" in answer.stderr) == (not there)
