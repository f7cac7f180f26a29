"""Stacked bars of usage, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.units import FloatArray
from measurements.domain.usage import Granularity
from measurements.selectors.usage import Usage
from portal.charts import DIGITS, Payload
from portal.dates import day_in_words
from portal.quantities import TABLE, Unit, percent
from portal.usage_metric import QUANTITY, bare, cells_of, total_of, unit_of
from portal.usage_view import MOST_VALUES, Metric, View
from portal.wording_usage import bar_name, chart_title, group_name, hour_name

GROUPS_IN_A_CHART = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A series of a chart, a column of its table."""

    name: str
    groups: tuple[str, ...]  # the values of the dimension that it holds
    values: FloatArray  # [bars]; nan: not known
    address: str = ""  # of its jobs


@dataclass(frozen=True, slots=True)
class BarRow:
    """A bar as the table shows it; every cell a text."""

    name: str
    start_ms: int
    end_ms: int
    total: str
    parts: tuple[str, ...]
    filled: str
    coverage: str
    note: str  # why there is no figure, or that it will grow
    address: str = ""  # of its jobs


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart with its table."""

    chart: Payload
    unit: Unit
    columns: tuple[Column, ...]
    rows: tuple[BarRow, ...]  # newest first; bars in which no job ran are left out
    left_out: bool
    total: str
    totals: tuple[str, ...]  # of the columns
    filled: str


def bars(usage: Usage, view: View, jobs_url: str = "") -> Bars:
    """One metric over time by group, the largest groups apart and the others together.

    With ``jobs_url`` bars and groups lead to their jobs.
    """
    columns = _columns(usage, view, jobs_url)
    totals = np.nansum([column.values for column in columns], axis=0)
    unit = unit_of(float(np.max(totals, initial=0.0)), view.metric, usage.currency)
    rows = _rows(usage, view, columns, unit, jobs_url)
    sums = [_sum(column.values) for column in columns]
    total = total_of(usage, view.metric, market=view.market)
    return Bars(
        chart=_payload(usage, view, columns, unit, jobs_url),
        unit=unit,
        columns=columns,
        rows=rows,
        left_out=len(rows) < len(usage.begins),
        total="–" if total is None else bare(total, unit),
        totals=tuple("–" if value is None else bare(value, unit) for value in sums),
        filled=bare(usage.filled_j, unit) if usage.filled_j else "",
    )


def _sum(values: FloatArray) -> float | None:
    return None if np.isnan(values).all() else float(np.nansum(values))


def jobs_address(jobs_url: str, view: View, start_ms: int | None = None, end_ms: int | None = None) -> str:
    """The page of the jobs of a part of a period; empty where single jobs are not shown."""
    if not jobs_url:
        return ""
    part = "" if start_ms is None else f"&{urlencode({'from': start_ms, 'to': end_ms})}"
    return f"{jobs_url}?{view.query}{part}"


def _columns(usage: Usage, view: View, jobs_url: str) -> tuple[Column, ...]:
    values = cells_of(usage, view.metric, market=view.market)
    values = np.where(_known(usage, view.metric), values, np.nan)
    apart = len(usage.groups) if len(usage.groups) <= GROUPS_IN_A_CHART else GROUPS_IN_A_CHART - 1
    found = [
        Column(
            group_name(view.group, name),
            (name,),
            values[:, i],
            jobs_address(jobs_url, view.with_filter(view.group, name)),
        )
        for i, name in enumerate(usage.groups[:apart])
    ]
    if apart < len(usage.groups):
        rest = values[:, apart:]
        together = np.where(np.isnan(rest).all(axis=1), np.nan, np.nansum(rest, axis=1))
        name = _("%(count)d others") % {"count": len(usage.groups) - apart}
        found.append(Column(name, usage.groups[apart:], together))
    return tuple(found)


def _known(usage: Usage, metric: Metric) -> Any:
    """Where a cell has a figure: a job ran there and, of energy, something of it was measured [bars, groups]."""
    if metric in (Metric.ENERGY, Metric.WASTE):
        return usage.cells.covered_s > 0
    return usage.cells.elapsed_s > 0


def _payload(usage: Usage, view: View, columns: Sequence[Column], unit: Unit, jobs_url: str) -> Payload:
    covered, elapsed = usage.cells.covered_s.sum(axis=1), usage.cells.elapsed_s.sum(axis=1)
    share = np.divide(covered, elapsed, out=np.full(len(elapsed), np.nan), where=elapsed > 0)
    quantity = QUANTITY.get(view.metric)
    return {
        "title": chart_title(view),
        "unit": unit.label,
        "size": unit.size,
        **({"quantity": quantity, "table": TABLE} if quantity else {}),
        "labels": [_label(usage, i) for i in range(len(usage.begins))],
        "titles": [_title(usage, i) for i in range(len(usage.begins))],
        "series": [
            {"label": column.name, "values": [_value(v, unit) for v in column.values.tolist()]} for column in columns
        ],
        "coverage": [None if np.isnan(c) else round(c, 4) for c in share.tolist()],
        "links": _links(usage, view, columns, jobs_url) if jobs_url else None,
        "words": {"total": _("Total"), "coverage": _("measured")},
    }


def _links(usage: Usage, view: View, columns: Sequence[Column], jobs_url: str) -> Payload:
    """Addresses of bars, and what each series adds to them, or to ``parts`` where they filter by what it adds."""
    bounds = usage.bounds_ms.tolist()
    plain = view.without_filter(view.group)
    return {
        "bars": [jobs_address(jobs_url, view, *pair) for pair in pairwise(bounds)],
        "parts": [jobs_address(jobs_url, plain, *pair) for pair in pairwise(bounds)]
        if view.group in view.filters
        else None,
        "series": [
            "".join(f"&{urlencode({view.group.value: name})}" for name in column.groups)
            if len(column.groups) <= MOST_VALUES
            else ""
            for column in columns
        ],
    }


def _value(value: float, unit: Unit) -> float | None:
    return None if np.isnan(value) else float(f"{value / unit.size:.{DIGITS}g}")


def _label(usage: Usage, place: int) -> str:
    granularity, begin = usage.asked.granularity, usage.begins[place]
    if granularity is Granularity.HOUR:
        return hour_name(usage, place)
    if granularity is Granularity.MONTH:
        return day_in_words(begin, pgettext("month on an axis", "M Y"))
    return day_in_words(begin, pgettext("day on an axis", "j M"))


def _title(usage: Usage, place: int) -> str:
    granularity, begin = usage.asked.granularity, usage.begins[place]
    if granularity is Granularity.HOUR:
        return f"{bar_name(begin, granularity)}, {_label(usage, place)}"
    if granularity is Granularity.WEEK:
        return _("Week of %(day)s") % {"day": bar_name(begin, granularity)}
    if granularity is Granularity.DAY:
        return day_in_words(begin, pgettext("day of a chart", "l, j F Y"))
    return bar_name(begin, granularity)


def _rows(usage: Usage, view: View, columns: Sequence[Column], unit: Unit, jobs_url: str) -> tuple[BarRow, ...]:
    cells = usage.cells
    elapsed, covered, filled = (part.sum(axis=1) for part in (cells.elapsed_s, cells.covered_s, cells.filled_j))
    running = cells.running_s.sum(axis=1)
    found = []
    for i in reversed(range(len(usage.begins))):
        if not elapsed[i]:
            continue
        parts = [column.values[i] for column in columns]
        known = [value for value in parts if not np.isnan(value)]
        dark = not covered[i] and not filled[i]
        note = "" if known else _not_known(Metric.ENERGY if dark else view.metric)
        if running[i]:
            note = f"{note}; {_('jobs still running')}" if note else _("jobs still running")
        found.append(
            BarRow(
                name=_title(usage, i),
                start_ms=int(usage.bounds_ms[i]),
                end_ms=int(usage.bounds_ms[i + 1]),
                total=bare(float(sum(known)), unit) if known else "–",
                parts=tuple("–" if np.isnan(value) else bare(float(value), unit) for value in parts),
                filled=bare(float(filled[i]), unit) if filled[i] else "",
                coverage=percent(float(covered[i] / elapsed[i])),
                note=note,
                address=jobs_address(jobs_url, view, int(usage.bounds_ms[i]), int(usage.bounds_ms[i + 1])),
            )
        )
    return tuple(found)


def _not_known(metric: Metric) -> str:
    if metric is Metric.EMISSIONS:
        return _("no carbon intensity")
    return _("no tariff") if metric is Metric.COST else _("not measured")
