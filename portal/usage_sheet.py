"""Usage as a table to take away: the bars of a chart, in base units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from django.utils.translation import gettext as _

from measurements.domain.units import datetime_from_ms
from measurements.selectors.drawn import DrawnJob
from measurements.selectors.usage import Usage
from portal.csvs import Cell
from portal.exports import SHARE, TIME, Column, Sheet
from portal.usage_metric import cells_of
from portal.usage_view import GROUPS, Metric, View
from portal.wording_usage import chart_title, group_name, metric_name

BASE = {
    Metric.ENERGY: ("energy_j", "J"),
    Metric.WASTE: ("unused_energy_j", "J"),
    Metric.EMISSIONS: ("emissions_g_co2e", "g CO2e"),
}


def usage_sheet(found: Usage, view: View) -> Sheet:
    """A row a bar, oldest first: its total, each group, what is estimated besides, coverage."""
    name, unit = BASE.get(view.metric, (f"cost_{(found.currency or 'money').lower()}", found.currency))
    title = metric_name(view.metric, market=view.market)
    groups = [Column(f"{name}: {value or group_name(view.group, '')}", unit) for value in found.groups]
    columns = [
        Column("start", TIME),
        Column("end", TIME),
        Column(name, unit, title),
        *(groups if found.elapsed_s else []),
        Column("filled_j", "J", _("Reported or estimated where nothing was measured; not in energy_j")),
        Column("node_seconds", "s", _("Time on nodes; 0: no job ran")),
        Column("coverage", SHARE, _("Measured share of the time on nodes")),
    ]
    return Sheet("usage", chart_title(view), columns, _rows(found, view), about(found, view))


def about(found: Usage, view: View) -> dict[str, str]:
    """What the figures are of."""
    filters = "; ".join(f"{GROUPS[name]}: {', '.join(values)}" for name, values in view.filters.items())
    return {
        "period": f"{found.asked.first.isoformat()} – {found.asked.last.isoformat()}",
        "filter": filters or _("none"),
        "method": _("Energy of compute nodes as their meters show it: no cooling, no network, no storage."),
        "factor_edition": found.footprint.factor_edition,
    }


def _rows(found: Usage, view: View) -> Iterator[list[Cell]]:
    cells, values = found.cells, cells_of(found, view.metric, market=view.market)
    energy = view.metric in (Metric.ENERGY, Metric.WASTE)
    known = cells.covered_s > 0 if energy else ~np.isnan(values) & (cells.elapsed_s > 0)
    elapsed, covered, filled = (part.sum(axis=1) for part in (cells.elapsed_s, cells.covered_s, cells.filled_j))
    for i in range(len(values)):
        parts = [float(v) if k else None for v, k in zip(values[i].tolist(), known[i].tolist(), strict=True)]
        total = sum(part for part in parts if part is not None) if any(known[i]) else None
        yield [
            datetime_from_ms(int(found.bounds_ms[i])),
            datetime_from_ms(int(found.bounds_ms[i + 1])),
            total,
            *(parts if found.elapsed_s else []),
            float(filled[i]),
            float(elapsed[i]),
            float(covered[i] / elapsed[i]) if elapsed[i] else None,
        ]


def drawn_sheet(jobs: tuple[DrawnJob, ...], title: str, said: dict[str, str]) -> Sheet:
    """Jobs with what they drew inside a time, most first."""
    columns = [
        Column("cluster"),
        Column("job_id"),
        Column("name"),
        Column("project"),
        Column("state", description=_("As the batch system says it")),
        Column("workload"),
        Column("phase"),
        Column("start", TIME),
        Column("end", TIME, _("Empty: still running")),
        Column("energy_in_time_j", "J", _("Measured inside the time; empty: nothing was")),
        Column("energy_j", "J", _("Of the whole job")),
        Column("quality", description=_("How the energy is known")),
    ]
    rows: Iterator[list[Cell]] = (
        [job.cluster, job.job_id, job.name, job.account, job.state, job.workload, job.phase, job.started_at,
         job.ended_at, job.inside_j, job.energy_j, job.quality]
        for job in jobs
    )  # fmt: skip
    return Sheet("jobs", title, columns, rows, said)
