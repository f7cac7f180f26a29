"""What charts are drawn from: titles, units, labels and values. How they look is the style sheets' business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.curves import Curve
from measurements.domain.units import DAY_MS, HOUR_MS, MS_PER_S, FloatArray, datetime_from_ms, ms_from_datetime
from measurements.selectors.curve import JobCurve
from portal.quantities import TABLE, Unit, unit_for

TYPES_IN_A_CHART = 6
MOST_TICKS = 8
MINUTE_MS = 60_000
STEPS_MS = [
    *(n * MS_PER_S for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE_MS for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR_MS for n in (1, 2, 3, 6, 12)),
]
NO_DST_MS = 30 * MINUTE_MS  # a change of the clock is a multiple of it
DIGITS = 6  # significant ones of a value sent to a chart
Payload = dict[str, Any]


def _value(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


# --- Power curve --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A bucket of the sum as the table below the chart shows it."""

    at: datetime
    mean_w: float | None
    min_w: float | None
    max_w: float | None
    coverage: float | None


def power_curve(curve: JobCurve, zone: ZoneInfo, assumed_w: float | None) -> tuple[Payload, Unit]:
    """Lines of a job's power: the sum, each node if they are few, and what a runtime-only estimate assumes."""
    unit = unit_for(float(np.nanmax(np.append(curve.total.max_w, 0.0))), "power")
    edges = curve.total.edges_ms
    several = curve.drawn_nodes > 1
    lines = [line(_("all nodes") if several else curve.nodes[0].node, curve.total, unit)]
    if several:
        lines += [line(node.node, node.curve, unit) for node in curve.nodes]
    payload = {
        "title": _("Power of the job's nodes"),
        "unit": unit.label,
        "size": unit.size,
        "quantity": "power",
        "table": TABLE,
        "start": int(edges[0]),
        "end": int(edges[-1]),
        "ticks": time_ticks(int(edges[0]), int(edges[-1]), zone),
        "t": ((edges[:-1] + edges[1:]) // 2).tolist(),
        "titles": [_instant(ms) for ms in ((edges[:-1] + edges[1:]) // 2).tolist()],
        "edges": edges.tolist(),
        "series": lines,
        "coverage": curve_coverage(curve.total),
        "assumed": _value(assumed_w / unit.size) if assumed_w else None,
        "whole": {"start": curve.whole.start_ms, "end": curve.whole.end_ms, "shortest": curve.shortest_ms},
        "runs": _run_marks(curve),
        "words": {
            "range": _("lowest to highest"),
            "coverage": _("measured"),
            "gap": _("gap: not measured"),
            "assumed": _("assumed by the estimate"),
        },
    }
    return payload, unit


def _run_marks(curve: JobCurve) -> list[Payload]:
    """Where runs after the first begin, if that is shown."""
    named: list[Payload] = [
        {"at": at, "label": _("run %(number)d") % {"number": i}} for i, at in enumerate(curve.runs_ms, 1)
    ]
    return [run for run in named[1:] if curve.shown.start_ms <= run["at"] < curve.shown.end_ms]


def line(label: str, curve: Curve, unit: Unit) -> Payload:
    """A line with its band, in a unit."""
    return {
        "label": label,
        "mean": _values(curve.mean_w, unit),
        "min": _values(curve.min_w, unit),
        "max": _values(curve.max_w, unit),
    }


def _values(watts: FloatArray, unit: Unit) -> list[float | None]:
    return [None if np.isnan(w) else _value(w / unit.size) for w in watts.tolist()]


def curve_coverage(curve: Curve) -> list[float | None]:
    """Covered ÷ held by bucket; None where the job held nothing."""
    pairs = zip(curve.covered_ms.tolist(), curve.held_ms.tolist(), strict=True)
    return [round(covered / held, 4) if held else None for covered, held in pairs]


def _instant(ms: int) -> str:
    return date_format(localtime(datetime_from_ms(ms)), pgettext("instant of a chart", "j M Y, H:i:s"))


def curve_rows(curve: Curve) -> list[CurveRow]:
    """The sum's buckets, for the table."""
    columns = [_optional(values) for values in (curve.mean_w, curve.min_w, curve.max_w)]
    starts = [datetime_from_ms(ms) for ms in curve.edges_ms[:-1].tolist()]
    return [CurveRow(*row) for row in zip(starts, *columns, curve_coverage(curve), strict=True)]


def _optional(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(v) else v for v in values.tolist()]


def time_ticks(start_ms: int, end_ms: int, zone: ZoneInfo) -> list[Payload]:
    """A few round instants of the zone in [start, end], labelled; a midnight carries its date."""
    span = end_ms - start_ms
    step = next((s for s in STEPS_MS if span / s <= MOST_TICKS), None)
    if step is not None and step <= NO_DST_MS:
        instants = _even(start_ms, end_ms, zone, step)
    else:
        instants = _on_the_clock(start_ms, end_ms, zone, step)
    return [{"value": ms_from_datetime(at), "label": _tick_label(at, step or DAY_MS)} for at in instants]


def _tick_label(at: datetime, step_ms: int) -> str:
    if at.time() == time(0):
        return date_format(at, pgettext("day on an axis", "j M"))
    if step_ms < MINUTE_MS:
        return date_format(at, pgettext("second on an axis", "H:i:s"))
    return date_format(at, pgettext("time on an axis", "H:i"))


def _even(start_ms: int, end_ms: int, zone: ZoneInfo, step_ms: int) -> list[datetime]:
    """Multiples of a short step, counted from the zone's midnight."""
    offset = datetime_from_ms(start_ms).astimezone(zone).utcoffset() or timedelta()
    shift_ms = offset // timedelta(milliseconds=1)
    first = -(-(start_ms + shift_ms) // step_ms) * step_ms - shift_ms
    return [datetime_from_ms(ms).astimezone(zone) for ms in range(first, end_ms + 1, step_ms)]


def _on_the_clock(start_ms: int, end_ms: int, zone: ZoneInfo, step_ms: int | None) -> list[datetime]:
    """Multiples of the step on the zone's clock, or midnights; a time that is skipped or comes twice counts once."""
    first, last = (datetime_from_ms(ms).astimezone(zone).date() for ms in (start_ms, end_ms))
    every = max(1, -(-(last - first).days // MOST_TICKS)) if step_ms is None else 1
    days = [first + timedelta(days=i) for i in range(0, (last - first).days + 1, every)]
    steps = [timedelta(milliseconds=ms) for ms in range(0, DAY_MS, step_ms or DAY_MS)]
    clock = [datetime.combine(day, time.min, zone) + step for day in days for step in steps]
    inside = sorted({ms for ms in map(ms_from_datetime, clock) if start_ms <= ms <= end_ms})
    return [datetime_from_ms(ms).astimezone(zone) for ms in inside]
