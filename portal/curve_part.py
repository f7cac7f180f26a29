"""The part of a job's power curve that an address asks for (`from`, `to`), drawn; and the parts one can go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.domain.curves import PartRefused, Refusal, Span, moves
from measurements.models import Job
from measurements.selectors.curve import JobCurve, job_curve
from measurements.selectors.job import JobReport
from portal import charts, charts_job, wording_curve

MOST_DIGITS = 15  # of ms since 1970


@dataclass(frozen=True, slots=True)
class Move:
    """A link to another part; ``stays``: there is nothing further that way."""

    name: str
    sign: str
    label: str
    keys: str  # as aria-keyshortcuts has them
    query: str
    stays: bool


def asked_part(query: QueryDict) -> Span | None:
    """The part an address names; None: the whole. Raises `PartRefused` for what is no time."""
    texts = [query.get(name, "") for name in ("from", "to")]
    if not any(texts):
        return None
    if not all(text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS for text in texts):
        raise PartRefused(Refusal.NO_TIMES)
    return Span(int(texts[0]), int(texts[1]))


def part_of(report: JobReport, query: QueryDict) -> JobCurve | None:
    """The curve of the part asked for; None: the job has none."""
    return job_curve(report.job, report.figures.samples, asked_part(query))


def drawn_part(report: JobReport, curve: JobCurve) -> dict[str, Any]:
    """Chart, table, sentence and links of a part."""
    payload, unit = charts.power_curve(curve, ZoneInfo(timezone.get_default_timezone_name()), _assumed_w(report))
    payload["parts"] = charts_job.part_lines(curve, unit)
    here = part_query(report.job, curve, curve.shown)
    beside = charts_job.beside_table(curve, unit)
    buckets = charts.curve_rows(curve.total)
    return {
        "chart": payload,
        "unit": unit,
        "rows": list(zip(buckets, zip(*beside.values(), strict=True) if beside else [()] * len(buckets), strict=True)),
        "beside": list(beside),
        "curve_sentence": wording_curve.shown_sentence(curve),
        "curve_period": wording_curve.span_words(curve.shown),
        "curve_csv": f"{here}&format=csv",
        "curve_query": here,
        "curve_moves": part_moves(report.job, curve) if curve.shortest_ms < curve.whole.length_ms else [],
    }


def part_query(job: Job, curve: JobCurve, part: Span) -> str:
    """The address of a part, without its path; the whole has none of its own."""
    times = {} if part == curve.whole else {"from": part.start_ms, "to": part.end_ms}
    return urlencode({"start": job.start_ms} | times)


def part_moves(job: Job, curve: JobCurve) -> list[Move]:
    """Where one can go from the part that is shown."""
    words = {
        "in": ("+", _("Zoom in"), "+"),
        "out": ("−", _("Zoom out"), "-"),
        "left": ("‹", _("Earlier"), "Shift+ArrowLeft"),
        "right": ("›", _("Later"), "Shift+ArrowRight"),
        "whole": ("", _("Whole job"), "0"),
    }
    places = moves(curve.shown, curve.whole, curve.shortest_ms)
    return [
        Move(name, *said, part_query(job, curve, places[name]), places[name] == curve.shown)
        for name, said in words.items()
    ]


def _assumed_w(report: JobReport) -> float | None:
    """The power the estimate assumes for all nodes; of shared nodes the curve shows more than this job."""
    if report.shared or report.estimate.energy_j is None or report.mean_w is None or not report.figures.mean_node_w:
        return None
    nodes = report.mean_w / report.figures.mean_node_w
    return report.estimate.energy_j / report.figures.elapsed_s * nodes
