"""Closes annual statements: the only writer of `Statement`, which adds rows and never changes one."""

from __future__ import annotations

from datetime import date, datetime

from django.contrib.auth.models import User
from django.db import transaction

from measurements.domain.statement import StatementFigures, canonical, hash_of, same_figures
from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, Statement
from measurements.selectors.statement import closed_statement, statement_figures, waiting_days, year_bounds_ms

DAYS_NAMED = 5


class NotClosed(ValueError):
    """A statement can't be closed, and why; ``code`` says it in one word."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def close_statement(
    cluster: Cluster, year: int, user: User | None, now: datetime, reason: str = "", *, seen: str = ""
) -> Statement:
    """Close a year's statement, or restate it as one edition more: then with a reason.

    With ``seen``, the hash of a draft, nothing but what was seen is closed.
    The cluster's row is held meanwhile, so that neither a price nor a roll-up changes between reading and writing.
    """
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
        before = Statement.objects.filter(cluster=cluster, year=year).order_by("edition").last()
        _refuse_what_may_change(cluster, year, now)
        figures = statement_figures(cluster, year, now)
        _refuse_without_need(before, figures, reason)
        text = canonical(figures)
        if seen and seen != hash_of(text):
            raise NotClosed("changed", "the figures are no longer those that were looked at: look at the draft again")
        return Statement.objects.create(
            cluster=cluster,
            year=year,
            edition=before.edition + 1 if before else 1,
            figures=text,
            sha256=hash_of(text),
            factor_edition=figures.factor_edition,
            reason=reason.strip(),
            closed_by=user,
            closed_at=now,
        )


def _refuse_what_may_change(cluster: Cluster, year: int, now: datetime) -> None:
    if ms_from_datetime(now) < year_bounds_ms(year)[1]:
        raise NotClosed("not_over", f"{year} is not over yet: a statement is closed after the year's last day")
    waiting = waiting_days(cluster, year)
    if waiting:
        raise NotClosed(
            "waiting",
            f"{len(waiting)} days of {year} are not booked yet ({_named(waiting)}): "
            f"run manage.py attribute --cluster {cluster}, or wait until the workers have",
        )


def _named(days: list[date]) -> str:
    rest = len(days) - DAYS_NAMED
    return ", ".join(day.isoformat() for day in days[:DAYS_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _refuse_without_need(before: Statement | None, figures: StatementFigures, reason: str) -> None:
    if not figures.total.covered_s:
        raise NotClosed("nothing", f"nothing of {figures.cluster} was metered in {figures.year}")
    if before is None:
        return
    stated = closed_statement(before).figures
    if stated is not None and same_figures(stated, figures):
        raise NotClosed("unchanged", f"edition {before.edition} says the same: there is nothing to restate")
    if not reason.strip():
        raise NotClosed("no_reason", f"edition {before.edition} is closed: a restatement needs a reason")
