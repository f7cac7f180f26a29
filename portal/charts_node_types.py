"""What the charts of node types are drawn from: mean power over time, and how nodes of a type lie."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.selectors.node_types import NodeTypes, TypeReport
from portal.charts import TYPES_IN_A_CHART, Payload, time_ticks
from portal.charts_machine import DASH, Rows, said
from portal.charts_spread import range_chart, range_row
from portal.quantities import TABLE, Unit, in_unit, unit_for

DIGITS = 6  # significant ones of a value sent to a chart
FEWEST_SLOTS = 2  # for a line


def label(report: NodeTypes, kind: TypeReport) -> str:
    """A type's name, with its cluster where there are several."""
    return f"{kind.drawn.cluster} · {kind.name}" if len(report.clusters) > 1 else kind.name


def drawn_types(report: NodeTypes) -> list[TypeReport]:
    """Those in the chart over time: the ones of most node-hours, in the order of their names."""
    most = sorted(report.types, key=lambda kind: -kind.figures.covered_s)[:TYPES_IN_A_CHART]
    return [kind for kind in report.types if kind in most and kind.figures.covered_s]


def over_time(report: NodeTypes, zone: ZoneInfo) -> tuple[Payload, Unit] | None:
    """A line a type: mean power of one of its nodes, open where nothing was measured; None of fewer than two values."""
    drawn = drawn_types(report)
    edges = report.edges_ms
    if not drawn or len(edges) - 1 < FEWEST_SLOTS:
        return None
    lines = [(label(report, kind), _means(kind)) for kind in drawn]
    unit = unit_for(max((w for _, line in lines for w in line if w is not None), default=0.0), "power")
    payload = {
        "title": _("Mean power of one node over time"),
        "unit": unit.label,
        "size": unit.size,
        "quantity": "power",
        "table": TABLE,
        "start": int(edges[0]),
        "end": int(edges[-1]),
        "ticks": time_ticks(int(edges[0]), int(edges[-1]), zone),
        "t": ((edges[:-1] + edges[1:]) // 2).tolist(),
        "titles": slot_titles(report),
        "series": [{"label": name, "mean": [_scaled(w, unit) for w in line]} for name, line in lines],
    }
    return payload, unit


def _means(kind: TypeReport) -> list[float | None]:
    return [slot.mean_node_w for slot in kind.drawn.slots]


def _scaled(watts: float | None, unit: Unit) -> float | None:
    return None if watts is None else float(f"{watts / unit.size:.{DIGITS}g}")


def slot_titles(report: NodeTypes) -> list[str]:
    """What each value over time is called."""
    form = pgettext("minute", "j M Y, H:i") if report.hourly else pgettext("day of a chart", "l, j F Y")
    return said(report.edges_ms[:-1].tolist(), report.zone, form)


def time_rows(report: NodeTypes, unit: Unit) -> Rows:
    """All types over time, the newest first; times of which nothing is known are left out."""
    columns = [_means(kind) for kind in report.types]
    rows = zip(slot_titles(report), zip(*columns, strict=True), strict=True)
    known = [(title, values) for title, values in rows if any(w is not None for w in values)]
    return [(title, *(DASH if w is None else in_unit(w, unit) for w in values)) for title, values in known][::-1]


def among_nodes(report: NodeTypes) -> tuple[Payload, Unit] | None:
    """A bar a type: the middle half of its nodes' mean power with the median; None where none may be shown."""
    shown: Sequence[TypeReport] = [kind for kind in report.types if kind.spread]
    if not shown:
        return None
    unit = unit_for(max(kind.spread.high for kind in shown if kind.spread), "power")
    rows = [range_row(label(report, kind), kind.spread) for kind in shown if kind.spread]
    payload = range_chart(_("Mean power of nodes of a type"), rows, unit)
    for row, drawn in zip(rows, payload["rows"], strict=True):
        drawn["notes"] = [ngettext("%(count)d node", "%(count)d nodes", row.n) % {"count": row.n}]
    return payload, unit
