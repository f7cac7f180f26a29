"""What the page of a workload shows, from its report: one comparison in detail, the others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from django.utils.translation import gettext as _

from measurements.domain.workload_figures import Comparison, TypeFigures
from measurements.domain.workload_findings import Front
from measurements.domain.workload_groups import Cell
from measurements.models.workloads import Scope
from measurements.selectors.workload_report import Asked, Part, Span, WorkloadReport
from portal import wording_findings, wording_workload
from portal.charts_spread import Payload, PlanePoint, plane_chart, range_chart, range_row, small_energy
from portal.quantities import Unit, unit_for

TOGETHER = "together"  # ?view=: all sizes in one table
_TIMES = (("h", 3_600.0), ("min", 60.0))
Choice = tuple[str, str, str]  # size, target, unit


def choice_of(cell: Cell) -> Choice:
    """What a link chooses by."""
    return cell.size, cell.target, cell.unit


def context_of(report: WorkloadReport, view: str, today: date) -> dict[str, Any]:
    """All that the template needs."""
    choices = list(dict.fromkeys(choice_of(part.cell) for part in report.parts))
    chosen = choices[0] if choices and view != TOGETHER else None
    return {
        "report": report,
        "together": view == TOGETHER,
        "details": [_detail(part) for part in report.parts if choice_of(part.cell) == chosen],
        "others": [_table(part.comparison) for part in report.parts if chosen and choice_of(part.cell) != chosen],
        "tables": _all_together(report.parts) if view == TOGETHER else [],
        "beside": [
            wording_findings.beside_sentence(part.cell.phase, part.cell, found)
            for part in report.parts
            for found in part.beside
        ],
        "choices": _choices(report, choices, chosen, view),
        "spans": _spans(report.asked, view),
        "own_days": report.asked.days,
        "today": today,
        "whose": wording_workload.whose_sentences(report),
        "left_out": wording_workload.left_out_sentence(report.left_out) if report.left_out else "",
        "query": query_of(report.asked, name=report.name),
    }


def query_of(asked: Asked, **more: str) -> str:
    """The address of a choice, without its question mark."""
    said = {"size": asked.size, "target": asked.target, "unit": asked.unit}
    period: dict[str, str | None] = {"period": None if asked.span is Span.ALL else asked.span.value}
    if days := asked.days:
        period = {"first": days[0].isoformat(), "last": days[1].isoformat()}
    return urlencode({name: value for name, value in (said | period | more).items() if value is not None})


def _choices(report: WorkloadReport, choices: list[Choice], chosen: Choice | None, view: str) -> list[Any]:
    """A link for each combination, the one that is shown marked, and the way to all of them."""
    asked = report.asked
    some = any(value is not None for value in (asked.size, asked.target, asked.unit))
    links = [
        (wording_workload.cell_words(Cell("", *choice)), _address(asked, choice, ""), choice == chosen)
        for choice in choices
    ]
    if some:
        return [*links, (_("all sizes"), _address(asked, None, ""), False)]
    if len(choices) > 1:
        links.append((_("all sizes together, not ranked"), _address(asked, None, TOGETHER), view == TOGETHER))
    return links


def _address(asked: Asked, choice: Choice | None, view: str) -> str:
    size, target, unit = choice or (None, None, None)
    other = Asked(asked.span, asked.first, asked.last, size, target, unit)
    return f"?{query_of(other, **({'view': view} if view else {}))}"


def _spans(asked: Asked, view: str) -> list[tuple[str, str, bool]]:
    words = {Span.ALL: _("all time"), Span.THIS_YEAR: _("this year"), Span.LAST_YEAR: _("last year")}
    more = {"view": view} if view else {}
    return [
        (
            words[span],
            f"?{query_of(Asked(span, None, None, asked.size, asked.target, asked.unit), **more)}",
            asked.span is span and not asked.days,
        )
        for span in Span
    ]


# --- One comparison -----------------------------------------------------------------------------


def _detail(part: Part) -> dict[str, Any]:
    """With charts and what it says."""
    comparison = part.comparison
    found = _table(comparison)
    anchor = found["anchor"]
    return found | {
        "chart": _chart(comparison),
        "chart_words": " ".join(
            [*found["ranks"], _("Bar: the middle half; line: the median; whisker: its 90 % interval.")]
        ),
        "estimate": wording_findings.estimate_sentence(comparison),
        "flips": wording_findings.flip_sentences(part.flips),
        "estimates": any(one.estimated for one in comparison.types),
        "idle": wording_findings.idle_sentences(comparison),
        "failed": wording_workload.failed_sentence(comparison),
        "front": _front(part.front, anchor) if part.front else None,
    }


def _table(comparison: Comparison) -> dict[str, Any]:
    """The figures side by side, and what the order is worth."""
    types = comparison.types
    return {
        "anchor": _anchor(comparison.cell),
        "phase": wording_workload.phase_word(comparison.cell.phase),
        "cell": wording_workload.cell_words(comparison.cell),
        "unit": comparison.cell.unit,
        "jobs": comparison.jobs,
        "rows": [_row(one, place) for place, one in enumerate(types, 1)],
        "energy_unit": unit_for(max(one.energy_j.median for one in types), "energy"),
        "time_unit": time_unit(max(one.runtime_s.median for one in types)),
        "per_unit": _per_unit(types),
        "ranked": comparison.unranked is None,
        "order": wording_workload.order_sentence(comparison),
        "ranks": wording_workload.rank_sentences(comparison),
    }


def _row(one: TypeFigures, place: int) -> dict[str, Any]:
    return {
        "of": one,
        "place": place,
        "whose": wording_workload.whose_word(one.whose),
        "scope": str(Scope(int(one.scope)).label),
    }


def _anchor(cell: Cell) -> str:
    """An id for what people typed."""
    return f"cell-{crc32(repr(cell).encode()):08x}"


def _per_unit(types: Sequence[TypeFigures]) -> Unit | None:
    medians = [one.per_unit_j.median for one in types if one.per_unit_j]
    return small_energy(max(medians)) if medians else None


def time_unit(seconds: float) -> Unit:
    """Hours, minutes or seconds."""
    return next((Unit(_(label), size) for label, size in _TIMES if seconds >= size), Unit(_("s"), 1.0))


def _chart(comparison: Comparison) -> Payload:
    unit = _per_unit(comparison.types) or unit_for(max(one.energy_j.median for one in comparison.types), "energy")
    title = _("Energy per unit of work (%(unit)s)") % {"unit": comparison.cell.unit}
    return range_chart(
        title if comparison.cell.unit else _("Energy of a job"),
        [range_row(one.node_type, one.judged) for one in comparison.types],
        unit,
    )


def _front(front: Front, anchor: str) -> dict[str, Any]:
    energy = unit_for(max(point.energy_j.median for point in front.points), "energy")
    runtime = time_unit(max(point.runtime_s.median for point in front.points))
    points = [PlanePoint(point.node_type, point.runtime_s, point.energy_j, point.front) for point in front.points]
    return {
        "id": f"{anchor}-front",
        "chart": plane_chart(
            _("Time to solution and energy to solution"), points, runtime, energy, (_("runtime"), _("energy"))
        ),
        "sentence": wording_findings.front_sentence(front),
        "points": front.points,
        "energy_unit": energy,
        "time_unit": runtime,
    }


def _all_together(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """By unit of work a table of every size and node type, least energy for each unit of work first; not ranked."""
    tables = []
    for unit in dict.fromkeys(part.cell.unit for part in parts):
        rows = [(part.cell, one) for part in parts if part.cell.unit == unit for one in part.comparison.types]
        rows.sort(key=lambda row: (row[1].judged.median, row[1].node_type, row[0]))
        tables.append(
            {
                "unit": unit,
                "rows": [
                    {
                        "phase": wording_workload.phase_word(cell.phase),
                        "size": cell.size or "–",
                        "target": cell.target or "–",
                        "of": one,
                        "whose": wording_workload.whose_word(one.whose),
                        "shown": wording_workload.small_energy_words(one.judged.median),
                    }
                    for cell, one in rows
                ],
            }
        )
    return tables
