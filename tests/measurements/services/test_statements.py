"""Closing a year: refused while it may change, frozen once closed, restated only by an edition with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import override_settings

from measurements.domain.statement import differences, hash_of
from measurements.models import Cluster, DirtyDay, DirtyNodeDay, Node, PublishedValue, Statement
from measurements.selectors.statement import closed_statements, statement_figures
from measurements.services.pricing import reprice, reprice_series
from measurements.services.statements import NotClosed, close_statement
from tests.measurements.statement_world import AFTER, YEAR, build, declare

LATER = AFTER + timedelta(days=30)
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(own_var: Path, tmp_path: Path) -> Cluster:
    """Four days in March, priced."""
    return build(tmp_path)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("frieda")


def refused(cluster: Cluster, now: datetime = AFTER, reason: str = "", year: int = YEAR) -> tuple[str, str]:
    """Code and words of the refusal; nothing was stored."""
    before = Statement.objects.count()
    with pytest.raises(NotClosed) as fault:
        close_statement(cluster, year, None, now, reason)
    assert Statement.objects.count() == before
    return fault.value.code, str(fault.value)


def test_a_year_that_is_not_over_is_not_closed(cluster: Cluster) -> None:
    """In Berlin it is an hour before it is in UTC."""
    with override_settings(TIME_ZONE="Europe/Berlin"):
        end = datetime(2025, 12, 31, 23, tzinfo=UTC)
        assert refused(cluster, end - timedelta(milliseconds=1))[0] == "not_over"
        assert close_statement(cluster, YEAR, None, end).edition == 1


def test_days_that_wait_are_named_with_the_cure(cluster: Cluster) -> None:
    node = Node.objects.get(name="a1")
    waiting = DirtyNodeDay.objects.create(cluster=cluster, node=node, day=date(2025, 3, 29), version=1)
    code, words = refused(cluster)
    assert code == "waiting"
    assert "2025-03-29" in words
    assert "attribute --cluster alpha" in words
    waiting.delete()
    DirtyDay.objects.create(cluster=cluster, day=date(2025, 5, 1), version=1)
    assert "2025-05-01" in refused(cluster)[1]
    DirtyDay.objects.all().delete()
    DirtyDay.objects.create(cluster=cluster, day=date(2024, 12, 30), version=1)
    assert close_statement(cluster, YEAR, None, AFTER).edition == 1  # that day is of another year


def test_a_year_without_measurements_is_not_closed(cluster: Cluster) -> None:
    assert refused(cluster, year=2024)[0] == "nothing"


def test_a_closed_statement_keeps_its_bytes_whatever_becomes_of_the_factors(cluster: Cluster, user: User) -> None:
    first = close_statement(cluster, YEAR, user, AFTER)
    stored = Statement.objects.values().get()
    assert hash_of(first.figures) == first.sha256
    declare(cluster, "wue", 0.9)
    value = PublishedValue.objects.get(series__slug="years")
    PublishedValue.objects.filter(pk=value.pk).update(g_per_kwh=410.0)
    reprice_series(value.series, LATER)
    reprice(cluster, LATER)
    from django.core.management import call_command

    call_command("attribute", "--cluster", "alpha", "--since", "2025-03-28", "--until", "2025-04-01")
    assert Statement.objects.values().get() == stored
    closed = closed_statements(cluster, YEAR)[0]
    now_said = statement_figures(cluster, YEAR, LATER)
    assert closed.intact
    assert closed.figures is not None
    lines = {(d.period, d.line): d for d in differences(closed.figures, now_said)}
    assert lines["", "water_l"].by == pytest.approx(0.8 * (closed.figures.total.water_l or 0.0))
    assert ("2025-03-01", "location_g") in lines
    assert ("", "jobs_j") not in lines


def test_booking_anew_changes_no_figure(cluster: Cluster) -> None:
    from django.core.management import call_command

    close_statement(cluster, YEAR, None, AFTER)
    call_command("attribute", "--cluster", "alpha", "--since", "2025-03-28", "--until", "2025-04-01")
    assert refused(cluster, LATER, "why not")[0] == "unchanged"


def test_a_restatement_needs_a_reason_and_leaves_the_edition_before(cluster: Cluster, user: User) -> None:
    first = close_statement(cluster, YEAR, user, AFTER)
    declare(cluster, "wue", 0.9)
    assert refused(cluster, LATER)[0] == "no_reason"
    assert refused(cluster, LATER, "   ")[0] == "no_reason"
    second = close_statement(cluster, YEAR, user, LATER, "The water meter was read wrongly.")
    assert (second.edition, second.closed_at, second.reason) == (2, LATER, "The water meter was read wrongly.")
    one, two = closed_statements(cluster, YEAR)
    assert one.sha256 == first.sha256 != two.sha256
    assert one.figures is not None
    assert two.figures is not None
    assert {d.line for d in differences(one.figures, two.figures) if d.period == ""} == {
        "water_l",
        "wue_l_per_kwh",
        "factor_edition",
    }


def test_two_editions_of_one_number_can_not_be(cluster: Cluster) -> None:
    first = close_statement(cluster, YEAR, None, AFTER)
    first.pk = None
    with pytest.raises(IntegrityError):
        first.save(force_insert=True)


def test_what_somebody_wrote_into_the_table_is_noticed(cluster: Cluster) -> None:
    row = close_statement(cluster, YEAR, None, AFTER)
    Statement.objects.filter(pk=row.pk).update(figures=row.figures.replace('"year":2025', '"year":2024'))
    assert not closed_statements(cluster, YEAR)[0].intact
    Statement.objects.filter(pk=row.pk).update(figures="{}")
    assert closed_statements(cluster, YEAR)[0].figures is None
    Statement.objects.filter(pk=row.pk).update(figures="no JSON")
    assert closed_statements(cluster, YEAR)[0].figures is None
