"""What the charts of clusters and nodes are drawn from; looks are the style sheets' business."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.utils.formats import date_format
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from measurements.domain.units import FloatArray, IntArray, datetime_from_ms
from measurements.selectors.machine import Closed, ClusterReport, PowerSeries
from measurements.selectors.node import NodeReport
from measurements.selectors.node_jobs import Band, Bands
from portal.charts import Payload, curve_coverage, time_ticks
from portal.quantities import TABLE, Unit, in_unit, percent, unit_for

BAND_LABEL = 40  # letters of a job's id and name in a band
DASH = "–"
DIGITS = 6  # significant ones of a value sent to a chart


Rows = Sequence[tuple[str, ...]]  # of the table below a chart: a label and its cells, as they are read


def energy_unit(report: ClusterReport) -> Unit:
    """One unit for a period's bars and their table."""
    heights = [slot.figures.metered_j + (slot.figures.other_j or 0.0) for slot in report.slots]
    return unit_for(max(heights, default=0.0), "energy")


def energy_split(report: ClusterReport, unit: Unit) -> tuple[Payload, Rows]:
    """Stacked bars: what jobs held, what nobody held, and what was drawn outside of nodes where that is known."""
    parts: list[tuple[str, str, Callable[[Closed], float | None]]] = [
        ("jobs", _("jobs"), lambda f: f.jobs_j),
        ("unallocated", _("unallocated"), lambda f: f.unallocated_j),
    ]
    if report.total.other_j is not None:
        parts.append(("other", _("other (outside the nodes)"), lambda f: f.other_j))
    known = [slot.figures if slot.figures.covered_s > 0 else None for slot in report.slots]
    columns = [[None if f is None else get(f) for f in known] for _role, _label, get in parts]
    payload = _bars(report, parts, [[_scaled(v, unit.size) for v in column] for column in columns])
    payload |= {"title": _energy_title(report), "unit": unit.label, "size": unit.size, "quantity": "energy"}
    return payload | {"table": TABLE}, _rows(report, columns, lambda joules: in_unit(joules, unit))


def wall_time(report: ClusterReport) -> tuple[Payload, Rows]:
    """Stacked bars to 100 %: which part of the nodes' time is covered, off, or a gap."""
    parts: list[tuple[str, str, Callable[[Closed], float | None]]] = [
        ("covered", _("measured"), lambda f: f.covered_s),
        ("off", _("off"), lambda f: f.off_s),
        ("gap", _("gap"), lambda f: f.gap_s),
    ]
    columns = [[_share(get(s.figures), s.figures) for s in report.slots] for _role, _label, get in parts]
    payload = _bars(report, parts, [[_scaled(v, 0.01) for v in column] for column in columns])
    payload |= {"title": _("Where the nodes' time went"), "unit": "%", "size": 1, "quantity": "", "table": {}}
    return payload, _rows(report, columns, percent)


def _share(seconds: float | None, figures: Closed) -> float | None:
    whole = figures.covered_s + figures.off_s + figures.gap_s
    return None if seconds is None or not whole else seconds / whole


def _bars(report: ClusterReport, parts: list[Any], columns: list[list[float | None]]) -> Payload:
    slots = report.slots
    return {
        "labels": _labels(report),
        "titles": _titles(report),
        "series": [
            {"role": role, "label": label, "values": column}
            for (role, label, _get), column in zip(parts, columns, strict=True)
        ],
        "coverage": [None if s.figures.coverage is None else round(s.figures.coverage, 4) for s in slots],
        "words": {"total": _("Total"), "coverage": _("measured")},
    }


def _rows(report: ClusterReport, columns: list[list[float | None]], shown: Callable[[float], str]) -> Rows:
    """Newest first; times of which nothing is known are left out."""
    rows = [
        (title, *(DASH if v is None else shown(v) for v in values), percent(slot.figures.coverage))
        for slot, title, values in zip(report.slots, _titles(report), zip(*columns, strict=True), strict=True)
        if slot.figures.wall_s > 0 or slot.figures.covered_s > 0
    ]
    return rows[::-1]


def _energy_title(report: ClusterReport) -> str:
    return _("Energy by hour") if report.hourly else _("Energy by day")


def _labels(report: ClusterReport) -> list[str]:
    """What stands below each bar."""
    form = pgettext("time on an axis", "H:i") if report.hourly else pgettext("day on an axis", "j M")
    return said((slot.start_ms for slot in report.slots), report.zone, form)


def _titles(report: ClusterReport) -> list[str]:
    """What each bar is called in full."""
    form = pgettext("minute", "j M Y, H:i") if report.hourly else pgettext("day of a chart", "l, j F Y")
    return said((slot.start_ms for slot in report.slots), report.zone, form)


def said(starts_ms: Iterable[int], zone: str, form: str) -> list[str]:
    """Instants in the reader's language; remembered, for a year's charts name the same days again and again."""
    language = get_language() or ""
    return [_said(ms, zone, form, language) for ms in starts_ms]


@lru_cache(maxsize=32_768)
def _said(ms: int, zone: str, form: str, _language: str) -> str:
    return date_format(datetime_from_ms(ms).astimezone(ZoneInfo(zone)), form)


def _scaled(value: float | None, size: float) -> float | None:
    return None if value is None else float(f"{value / size:.{DIGITS}g}")


# --- Power over time ----------------------------------------------------------------------------


def power_over_time(series: PowerSeries, zone: ZoneInfo, end_ms: int) -> tuple[Payload, Unit]:
    """One line: the metered power of all nodes; where only a part of them was measured it is marked."""
    unit = unit_for(float(np.nanmax(np.append(series.power_w, 0.0))), "power")
    edges = series.edges_ms
    middles = ((edges[:-1] + edges[1:]) // 2).tolist()
    start = int(edges[0])
    payload = {
        "title": _("Metered power of all nodes"),
        "unit": unit.label,
        "size": unit.size,
        "quantity": "power",
        "table": TABLE,
        "start": start,
        "end": end_ms,
        "ticks": time_ticks(start, end_ms, zone),
        "t": middles,
        "titles": _minutes(edges, zone),
        "edges": edges.tolist(),
        "series": [{"label": _("all nodes"), "mean": [_scaled(v, unit.size) for v in optional(series.power_w)]}],
        "coverage": [None if c is None else round(c, 4) for c in optional(series.coverage)],
        "words": {"coverage": _("measured"), "gap": _("gap: not measured")},
    }
    return payload, unit


def power_rows(series: PowerSeries, unit: Unit, zone: ZoneInfo) -> Rows:
    """The line's values, newest first."""
    powers = [_("gap: not measured") if w is None else in_unit(w, unit) for w in optional(series.power_w)]
    coverages = [percent(c) for c in optional(series.coverage)]
    return list(zip(_minutes(series.edges_ms, zone), powers, coverages, strict=True))[::-1]


def _minutes(edges_ms: IntArray, zone: ZoneInfo) -> list[str]:
    """When each bucket begins."""
    return said(edges_ms[:-1].tolist(), zone.key, pgettext("minute", "j M Y, H:i"))


# --- A node -------------------------------------------------------------------------------------


def node_power(report: NodeReport, bands: Bands, zone: ZoneInfo) -> tuple[Payload, Unit]:
    """A node's power with the jobs on it as bands below; what another person's job is called is not in it."""
    curve = report.curve.curve
    unit = unit_for(float(np.nanmax(np.append(curve.max_w, 0.0))), "power")
    edges = curve.edges_ms
    means, lows, highs = (
        [_scaled(v, unit.size) for v in optional(c)] for c in (curve.mean_w, curve.min_w, curve.max_w)
    )
    payload = {
        "title": _("Power of %(node)s") % {"node": report.node.name},
        "unit": unit.label,
        "size": unit.size,
        "quantity": "power",
        "table": TABLE,
        "start": report.start_ms,
        "end": report.end_ms,
        "ticks": time_ticks(report.start_ms, report.end_ms, zone),
        "t": ((edges[:-1] + edges[1:]) // 2).tolist(),
        "titles": _minutes(edges, zone),
        "edges": edges.tolist(),
        "series": [{"label": report.node.name, "mean": means, "min": lows, "max": highs}],
        "coverage": curve_coverage(curve),
        "bands": [_band(band) for band in bands.bands],
        "lanes": bands.lanes,
        "words": {
            "range": _("lowest to highest"),
            "coverage": _("measured"),
            "gap": _("gap: not measured"),
            "jobs": _("Jobs"),
        },
    }
    return payload, unit


def _band(band: Band) -> Payload:
    label = f"{band.job.job_id} {band.job.name}".strip() if band.job else _("another job")
    return {
        "start": band.start_ms,
        "end": band.end_ms,
        "lane": band.lane,
        "label": label[:BAND_LABEL],
        "named": band.job is not None,
    }


def optional(values: FloatArray) -> list[float | None]:
    """As numbers, None for nan."""
    return [None if np.isnan(v) else v for v in values.tolist()]
