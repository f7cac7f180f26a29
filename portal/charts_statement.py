"""What the chart of a statement is drawn from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.statement import StatementFigures, StatementPeriod
from portal.charts import Payload
from portal.quantities import TABLE, Unit
from portal.wording_statement import month_name

DIGITS = 6  # significant ones of a value sent to a chart


def energy_by_month(figures: StatementFigures, unit: Unit) -> Payload:
    """Stacked bars: what the facility's energy of each month is made of."""
    parts: list[tuple[str, str, Callable[[StatementPeriod], float]]] = [
        ("jobs", _("jobs"), lambda p: p.jobs_j),
        ("unallocated", _("unallocated"), lambda p: p.unallocated_j),
        ("filled", _("filled (estimate)"), lambda p: p.filled_j),
        ("infrastructure", _("infrastructure"), lambda p: p.infrastructure_j),
        ("plant", _("plant"), lambda p: p.plant_j),
    ]
    if any(period.beyond_shown_j for period in (*figures.months, figures.total)):
        parts.append(("other", _("beyond the ledger"), lambda p: p.beyond_shown_j))
    return {
        "title": _("Energy by month"),
        "labels": [date_format(date.fromisoformat(m.start), pgettext("month on an axis", "M")) for m in figures.months],
        "titles": [month_name(m.start) for m in figures.months],
        "series": [
            {"role": role, "label": label, "values": [_scaled(get(m), unit) for m in figures.months]}
            for role, label, get in parts
        ],
        "coverage": [None if m.coverage is None else round(m.coverage, 4) for m in figures.months],
        "words": {"total": _("Total"), "coverage": _("measured")},
        "unit": unit.label,
        "size": unit.size,
        "quantity": "energy",
        "table": TABLE,
    }


def _scaled(joules: float, unit: Unit) -> float:
    return float(f"{joules / unit.size:.{DIGITS}g}")
