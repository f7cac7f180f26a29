"""The budgets of a project as a page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from measurements.models import Project
from measurements.selectors.budgets import BudgetState, Phase, budget_states
from measurements.selectors.project import Access
from portal.charts_budget import budget_chart, budget_rows
from portal.quantities import Unit
from portal.wording_budget import (
    about_amount,
    amount,
    beside_sentences,
    budget_sentence,
    counted_words,
    from_to,
    interval_name,
    nothing_sentence,
    period_name,
    status,
    whole,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure with its words."""

    label: str
    figure: str  # empty: not known
    beside: str


@dataclass(frozen=True, slots=True)
class Card:
    """A budget on a page."""

    state: BudgetState
    name: str
    status_class: str
    status: str
    facts: list[tuple[str, str]]
    tiles: list[Tile]
    sentence: str
    beside: list[str]
    chart_id: str
    chart: dict[str, Any] | None
    unit: Unit | None
    columns: list[str]
    rows: list[list[str]]

    @property
    def data_id(self) -> str:
        """Of the chart's data."""
        return f"{self.chart_id}-data"


def budget_context(project: Project, now: datetime, zone: ZoneInfo, who: Access | None = None) -> dict[str, Any]:
    """The project's budgets; ``who`` is the access of the person who looks, None for nobody in particular."""
    return {"budgets": [_card(state, zone) for state in budget_states(project, now, zone, who)]}


def _card(state: BudgetState, zone: ZoneInfo) -> Card:
    budget = state.budget
    name = _("Budget %(period)s: %(amount)s") % {
        "period": period_name(budget.first, budget.last),
        "amount": amount(state.account.available, state),
    }
    known = not nothing_sentence(state)
    chart, unit = budget_chart(state, name, zone) if known else (None, None)
    kind, word = status(state)
    return Card(
        state=state,
        name=name,
        status_class=kind,
        status=word,
        facts=_facts(state),
        tiles=_tiles(state) if known else [],
        sentence=budget_sentence(state),
        beside=beside_sentences(state),
        chart_id=f"budget-{budget.pk}-chart",
        chart=chart,
        unit=unit,
        columns=_columns(state),
        rows=budget_rows(state, unit, zone) if unit else [],
    )


def _facts(state: BudgetState) -> list[tuple[str, str]]:
    budget = state.budget
    found = [(_("Answers for it"), budget.owner), (_("Counts"), counted_words(state))]
    if state.account.carried:
        found.append((_("Granted"), amount(state.account.amount, state)))
        found.append((_("Taken over"), amount(state.account.carried, state)))
    return [*found, (_("Note"), budget.note)] if budget.note else found


def _tiles(state: BudgetState) -> list[Tile]:
    account = state.account
    of = _("%(used)s of %(available)s") % {
        "used": amount(account.used, state),
        "available": amount(account.available, state),
    }
    left = Tile(_("Left"), amount(max(account.remaining, 0.0), state), _("of all that is available"))
    if account.remaining < 0:
        left = Tile(_("Overdrawn by"), amount(-account.remaining, state), _("beyond what is available"))
    found = [Tile(_("Used"), whole(account.share), of), left]
    if state.phase is Phase.RUNNING:
        found.append(_end_tile(state))
    if account.filled > 0:
        with_it = _("with it %(share)s") % {"share": whole(account.share_with_filled)}
        beside = _("it counts, as an estimate") if account.count_filled else with_it
        found.append(Tile(_("Not metered"), about_amount(account.filled, state), beside))
    return found


def _end_tile(state: BudgetState) -> Tile:
    label = _("At the end, at this pace")
    if state.at_end is None:
        return Tile(label, "", _("no forecast"))
    central, low, high = (state.account.share_of(value) for value in state.at_end)
    return Tile(label, whole(central), f"{interval_name()}: {from_to(low, high)}")


def _columns(state: BudgetState) -> list[str]:
    filled = state.account.filled > 0 and not state.budget.count_filled
    return [
        _("Used"),
        *([_("With what is not metered")] if filled else []),
        _("Forecast"),
        _("Lowest"),
        _("Highest"),
        _("Even pace"),
    ]
