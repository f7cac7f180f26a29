"""What the charts of carbon intensity are drawn from, with their tables; looks are the style sheets' business."""

from __future__ import annotations

from datetime import time
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.carbon import Rung
from measurements.selectors.grid import NOT_KNOWN, RUNGS, GridCurve, GridReport
from measurements.selectors.own_timing import OwnTiming
from portal.charts import Payload, time_ticks
from portal.charts_machine import Rows, optional, said
from portal.quantities import TABLE, Unit, number, percent, unit_for
from portal.steps import rung_word

DIGITS = 6  # significant ones of a value sent to a chart
DASH = "–"
# Rungs that look alike on a chart: solid, dashed, dotted.
LOOKS = {Rung.MEASURED: "measured", Rung.ESTIMATED: "estimated"}


def intensity_over_time(report: GridReport, zone: ZoneInfo) -> Payload:
    """One line, drawn by how its values are known."""
    curve = report.curve
    looks = ["" if rung == NOT_KNOWN else LOOKS.get(RUNGS[rung], "mean") for rung in curve.rung.tolist()]
    words = {"measured": _("measured"), "estimated": _("estimated"), "mean": _("mean of a month or year")}
    values = [_short(value) for value in optional(curve.g_per_kwh)]
    return _axis(report, zone) | {
        "title": _("Carbon intensity of the grid"),
        "unit": "g/kWh",
        "size": 1,
        "quantity": "",
        "table": {},
        "looks": looks,
        "series": [{"role": look, "label": words[look], "mean": values} for look in words if look in looks],
        "coverage": [],
        "words": {},
    }


def load_over_time(report: GridReport, zone: ZoneInfo) -> tuple[Payload, Unit]:
    """The metered power of all nodes, on the same axis of time."""
    curve = report.curve
    unit = unit_for(float(np.nanmax(np.append(curve.power_w, 0.0))), "power")
    payload = _axis(report, zone) | {
        "title": _("The cluster's load over it: metered power of all nodes"),
        "unit": unit.label,
        "size": unit.size,
        "quantity": "power",
        "table": TABLE,
        "series": [{"label": _("all nodes"), "mean": [_short(v, unit.size) for v in optional(curve.power_w)]}],
        "coverage": [None if c is None else round(c, 4) for c in optional(curve.coverage)],
        "words": {"coverage": _("measured"), "gap": _("gap: not measured")},
    }
    return payload, unit


def _axis(report: GridReport, zone: ZoneInfo) -> Payload:
    edges = report.curve.edges_ms
    start = int(edges[0])
    return {
        "start": start,
        "end": report.end_ms,
        "ticks": time_ticks(start, report.end_ms, zone),
        "t": ((edges[:-1] + edges[1:]) // 2).tolist(),
        "titles": _begins(report.curve, zone.key),
        "edges": edges.tolist(),
    }


def _begins(curve: GridCurve, zone: str) -> list[str]:
    return said(curve.edges_ms[:-1].tolist(), zone, pgettext("minute", "j M Y, H:i"))


def _short(value: float | None, size: float = 1.0) -> float | None:
    return None if value is None else float(f"{value / size:.{DIGITS}g}")


def curve_rows(report: GridReport, unit: Unit) -> Rows:
    """Both charts as one table, newest first: intensity, how it is known, power, coverage."""
    curve = report.curve
    known = [DASH if rung == NOT_KNOWN else rung_word(RUNGS[rung]) for rung in curve.rung.tolist()]
    grid = [DASH if value is None else number(value) for value in optional(curve.g_per_kwh)]
    power = [DASH if value is None else number(value / unit.size) for value in optional(curve.power_w)]
    covered = [percent(share) for share in optional(curve.coverage)]
    return list(zip(_begins(curve, report.zone), grid, known, power, covered, strict=True))[::-1]


# --- One's own hours of the day ---------------------------------------------------------------------


def by_hour(found: OwnTiming) -> tuple[Payload, Unit]:
    """Bars: what one's jobs drew in each hour of the day; a line: the grid's mean in it."""
    unit = unit_for(float(np.nanmax(np.append(found.energy_j, 0.0))), "energy")
    clock = _hours()
    payload = {
        "title": _("When your jobs ran, and when the grid was green"),
        "unit": unit.label,
        "size": unit.size,
        "quantity": "energy",
        "table": TABLE,
        "labels": [begin for begin, _end in clock],
        "titles": [f"{begin}–{end}" for begin, end in clock],
        "series": [
            {
                "role": "drawn",
                "label": _("your jobs"),
                "values": [_short(v, unit.size) for v in optional(found.energy_j)],
            }
        ],
        "grid": {
            "label": _("the grid's mean"),
            "unit": "g/kWh",
            "values": [_short(v) for v in optional(found.grid_g_per_kwh)],
        },
        "coverage": [],
        "words": {"time": _("Hour of the day")},
    }
    return payload, unit


def hour_rows(found: OwnTiming, unit: Unit) -> Rows:
    """The same as a table, from midnight on."""
    energy = [DASH if joules is None else number(joules / unit.size) for joules in optional(found.energy_j)]
    grid = [DASH if value is None else number(value) for value in optional(found.grid_g_per_kwh)]
    return [(f"{begin}–{end}", drawn, g) for (begin, end), drawn, g in zip(_hours(), energy, grid, strict=True)]


def _hours() -> list[tuple[str, str]]:
    """Beginnings and ends of a day's hours, in the reader's writing."""
    clock = [time_format(time(hour % 24), pgettext("time on an axis", "H:i")) for hour in range(25)]
    return list(pairwise(clock))
