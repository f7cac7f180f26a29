"""A day that is not over is looked through every quarter of an hour, and no doubt of it is missed in the end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from measurements.domain.plausibility import Rule, Setting
from measurements.models import DirtyDoubt, DirtyNodeDay, Doubt, Heartbeat, NodeDay, Token
from measurements.selectors.work import heartbeats
from measurements.services import doubts, examination
from measurements.services.attribution import attribute_next_block
from measurements.services.doubts import examine_next, set_rule
from measurements.services.heartbeats import EXAMINED
from measurements.services.push_folding import fold_pushes
from portal.wording_operations import is_late
from tests.measurements.services.pushing import cluster_of, send, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_var")]
DAY = date(2025, 3, 1)
BEGAN = datetime(2025, 3, 1, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPIKE_AT = 100  # minutes


@pytest.fixture
def token(db: None) -> Token:
    return token_for(cluster_of("n1", "n2"))


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days that are really looked through, one after the other."""
    days: list[date] = []
    whole = examination.examine

    def counted(*arguments: object) -> object:
        days.append(arguments[1])  # type: ignore[arg-type]
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(doubts, "examine", counted)
    return days


def minute_of(token: Token, minute: int) -> datetime:
    """A minute of the site's life: a push, its fold, and whatever a worker finds to do; when it ends."""
    now = BEGAN + minute * MINUTE
    watts = 1_990.0 if minute == SPIKE_AT else 90.0 + minute % 7
    send(token, [(now - MINUTE / 2, "n1", watts), (now - MINUTE / 2, "n2", 95.0 + minute % 5)], now)
    fold_pushes(token.cluster)
    work_at(now)
    return now


def work_at(now: datetime) -> None:
    while attribute_next_block(now, patient=True) is not None:
        pass


def test_an_hour_of_pushes_is_looked_through_four_times_and_booked_every_minute(
    token: Token, examined: list[date]
) -> None:
    for minute in range(60):
        minute_of(token, minute)
        assert not DirtyNodeDay.objects.exists()
    assert examined == [DAY] * 4
    noted = heartbeats(BEGAN + timedelta(hours=9)).values()
    assert [one.name for one in noted if is_late(one)] == [], "a note of when it was is nothing that has to come again"
    assert any(one.name.startswith(EXAMINED) for one in noted)
    assert DirtyDoubt.objects.count() == 1  # what came since waits


def test_what_comes_in_the_last_minutes_of_a_day_is_found_once_it_is_over(token: Token, examined: list[date]) -> None:
    for minute in range(83, 108):
        now = minute_of(token, minute)
    assert (len(examined), Doubt.objects.count()) == (2, 0)
    before = day_energy_j()
    work_at(now + MINUTE / 2)
    assert len(examined) == 2  # nobody is in a hurry
    work_at(datetime(2025, 3, 2, 0, 0, tzinfo=UTC))
    assert now.date() == DAY
    assert [(one.rule, one.state) for one in Doubt.objects.all()] == [("spike", "refused")]
    assert (len(examined), DirtyDoubt.objects.count()) == (3, 0)
    assert day_energy_j() < before  # it was booked for a while, and is no longer


def test_a_day_that_is_over_is_looked_through_whenever_it_changes(token: Token, examined: list[date]) -> None:
    late = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)
    for minute in range(3):
        now = late + minute * MINUTE
        send(token, [(BEGAN + minute * MINUTE, "n1", 100.0)], now)
        fold_pushes(token.cluster)
        work_at(now)
    assert examined == [DAY] * 3
    assert not Heartbeat.objects.filter(name__startswith=EXAMINED).exists()


def test_who_asks_or_changes_a_rule_or_sets_the_clock_back_does_not_wait(token: Token, examined: list[date]) -> None:
    minute_of(token, 0)
    now = minute_of(token, 1)
    assert len(examined) == 1
    assert examine_next(now)  # a command
    assert len(examined) == 2
    assert set_rule(token.cluster, Rule.SPIKE, Setting.REPORT)
    assert examine_next(now, patient=True)
    assert len(examined) == 3
    send(token, [(now, "n1", 101.0)], now)
    fold_pushes(token.cluster)
    assert not examine_next(now + MINUTE, patient=True)
    assert examine_next(now - 5 * MINUTE, patient=True)


def test_the_note_of_a_cluster_is_one_row_and_knows_open_days_alone(token: Token) -> None:
    minute_of(token, 0)
    tomorrow = BEGAN + timedelta(days=1)
    send(token, [(tomorrow - MINUTE, "n1", 100.0)], tomorrow)
    fold_pushes(token.cluster)
    work_at(tomorrow)
    (row,) = Heartbeat.objects.filter(name__startswith=EXAMINED)
    assert list(row.detail["days"]) == ["2025-03-02"]


def day_energy_j() -> float:
    return NodeDay.objects.get(node__name="n1", day=DAY).metered_j
