"""Charts of how values lie: of each row the middle half as a bar, the median as a mark, its interval as a whisker.

A page draws one with `{% include "portal/partials/_range_chart.html" %}` and static/js/ranges.js.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.domain.comparison import Spread
from portal.quantities import Unit, unit_for

DIGITS = 6  # significant ones of a value sent to a chart
LONGEST_LABEL = 28
SMALL_J = 360.0  # a tenth of a Wh: what is less is told in J
_SMALL = (Unit("µJ", 1e-6), Unit("mJ", 1e-3), Unit("J", 1.0))
Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RangeRow:
    """A row, in base units; ``interval`` is that of the median."""

    label: str
    low: float  # first quartile
    median: float
    high: float  # third quartile
    interval: tuple[float, float] | None
    n: int
    note: str = ""  # said in the tooltip


def range_row(label: str, spread: Spread, note: str = "") -> RangeRow:
    """The row of a spread."""
    interval = (spread.interval.low, spread.interval.high) if spread.interval else None
    return RangeRow(label, spread.low, spread.median, spread.high, interval, spread.n, note)


def range_chart(title: str, rows: Sequence[RangeRow], unit: Unit) -> Payload:
    """The payload of a chart: values in the unit, from 0 on."""
    return {
        "title": title,
        "unit": unit.label,
        "labels": [_short(row.label) for row in rows],
        "titles": [row.label for row in rows],
        "rows": [_row(row, unit) for row in rows],
        "words": {"half": _("middle half"), "median": _("median"), "interval": _("90 % interval of the median")},
    }


def _row(row: RangeRow, unit: Unit) -> Payload:
    low, median, high = (_scaled(value, unit) for value in (row.low, row.median, row.high))
    interval = [_scaled(value, unit) for value in row.interval] if row.interval else None
    jobs = ngettext("%(count)d job", "%(count)d jobs", row.n) % {"count": row.n}
    notes = [jobs, row.note] if row.note else [jobs]
    return {"low": low, "median": median, "high": high, "interval": interval, "notes": notes}


def small_energy(joules: float) -> Unit:
    """The unit of an energy for each unit of work: µJ, mJ, J of what is very small; from 0.1 Wh on Wh, kWh, …"""
    if joules >= SMALL_J:
        return unit_for(joules, "energy")
    return next((unit for unit in _SMALL if joules < 1000 * unit.size), _SMALL[-1])


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _scaled(value: float, unit: Unit) -> float:
    return float(f"{value / unit.size:.{DIGITS}g}")


@dataclass(frozen=True, slots=True)
class PlanePoint:
    """A point of two spreads; ``front``: nothing is better in both."""

    label: str
    across: Spread
    up: Spread
    front: bool


def plane_chart(title: str, points: Sequence[PlanePoint], across: Unit, up: Unit, axes: tuple[str, str]) -> Payload:
    """The payload of a chart of two quantities: medians with their middle halves, those on the front joined."""
    return {
        "title": title,
        "axes": list(axes),
        "units": [across.label, up.label],
        "titles": [point.label for point in points],
        "points": [
            {
                "label": point.label,
                "x": [_scaled(value, across) for value in (point.across.low, point.across.median, point.across.high)],
                "y": [_scaled(value, up) for value in (point.up.low, point.up.median, point.up.high)],
                "front": point.front,
            }
            for point in points
        ],
        "words": {
            "front": _("nothing is both faster and thriftier"),
            "behind": _("something is both faster and thriftier"),
            "half": _("middle half"),
        },
    }
