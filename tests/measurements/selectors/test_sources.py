"""Where readings come from, and which source has been silent for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from measurements.models import Batch, Cluster
from measurements.selectors.sources import SourceState, source_states

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def files_at(*minutes: float) -> SourceState:
    """The one source of a cluster to which files came at these minutes before noon."""
    cluster = Cluster.objects.create(name="c")
    for number, before in enumerate(sorted(minutes, reverse=True)):
        Batch.objects.create(
            cluster=cluster, content="power", source=f"{number}.csv", sha256=f"{number}", options_key="",
            committed_at=NOON - timedelta(minutes=before),
        )  # fmt: skip
    [state] = source_states(NOON, User(username="olga", is_superuser=True))
    return state


def test_files_that_were_given_together_say_nothing_of_how_often_they_come() -> None:
    state = files_at(*(30 + second / 60 for second in range(8)))
    assert (state.usual_s, state.slow) == (None, False)


def test_a_pause_longer_than_three_of_the_longest_there_were_is_worth_a_look() -> None:
    state = files_at(*(31 + 5 * number + second / 60 for number in range(6) for second in (0, 1)))
    assert state.usual_s == pytest.approx(300, abs=2)
    assert state.slow


def test_a_pause_as_there_were_before_is_none() -> None:
    state = files_at(10, 15, 20, 25, 30, 35)
    assert (state.usual_s, state.slow) == (300, False)
