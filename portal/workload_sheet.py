"""The comparisons of a workload as a table to take away."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from measurements.domain.comparison import Spread
from measurements.domain.workload_figures import TypeFigures
from measurements.domain.workload_groups import Cell
from measurements.models.workloads import Scope
from measurements.selectors.workload_report import WorkloadReport
from portal.csvs import Cell as Value
from portal.exports import SHARE, Column, Sheet
from portal.wording_workload import whose_sentences

_WORDS = ("phase", "size", "target", "unit", "node_type", "whose")
_SPREADS = (("runtime", "s"), ("energy", "J"), ("energy_per_unit", "J"))
_PARTS = ("first_quartile", "median", "third_quartile", "median_low", "median_high")


def workload_sheet(report: WorkloadReport) -> Sheet:
    """A row for each phase, size, target, unit and node type, with the figures of the page."""
    asked = report.asked
    days = asked.days
    about = {
        "workload": report.name,
        "period": f"{days[0]}/{days[1]}" if days else asked.span.value,
        "jobs": " ".join(whose_sentences(report)),
        "interval": _("90 % interval of the median, percentile bootstrap"),
    }
    rows = (_cells(part.cell, one, part.comparison.unranked) for part in report.parts for one in part.comparison.types)
    return Sheet("workload", _("Node types of %(name)s") % {"name": report.name}, _columns(), rows, about)


def _columns() -> list[Column]:
    words = [Column(name) for name in _WORDS]
    spreads = [Column(f"{name}_{part}_{unit.lower()}", unit) for name, unit in _SPREADS for part in _PARTS]
    return [
        *words,
        Column("jobs"),
        Column("rank", "", _("1 + those proven to draw less; empty: not ranked")),
        Column("not_ranked_because"),
        *spreads,
        Column("metered_by_estimate_median", SHARE),
        Column("idle_gpu_share", SHARE),
        Column("failed_energy_j", "J"),
        Column("meter_scope"),
    ]


def _cells(cell: Cell, one: TypeFigures, unranked: str | None) -> list[Value]:
    spreads = (one.runtime_s, one.energy_j, one.per_unit_j)
    return [
        *(cell.phase, cell.size, cell.target, cell.unit, one.node_type, one.whose),
        one.n,
        one.rank.best if one.rank else None,
        str(unranked or one.unranked or ""),
        *(value for spread in spreads for value in _of(spread)),
        one.estimated.median if one.estimated else None,
        one.idle.share if one.idle else None,
        one.failed_j,
        Scope(int(one.scope)).name.lower(),
    ]


def _of(spread: Spread | None) -> Iterator[float | None]:
    if spread is None:
        return iter([None] * len(_PARTS))
    interval = spread.interval
    bounds = (interval.low, interval.high) if interval else (None, None)
    return iter([spread.low, spread.median, spread.high, *bounds])
