"""A workload's report and a job's predictions as plain data, for the interface: the same figures as on the pages."""

from __future__ import annotations

from typing import Any

from measurements.domain.comparison import Interval, Spread
from measurements.domain.like_jobs import Prediction
from measurements.domain.workload_figures import Comparison, TypeFigures
from measurements.domain.workload_findings import Beside, Flip, Front
from measurements.models.workloads import Scope
from measurements.selectors.like_jobs import LikeJobs
from measurements.selectors.workload_report import Part, WorkloadReport

Json = dict[str, Any]


def report_json(report: WorkloadReport) -> Json:
    """All comparisons, those with most jobs first."""
    asked, left = report.asked, report.left_out
    return {
        "workload": report.name,
        "period": asked.span.value,
        "first": asked.first,
        "last": asked.last,
        "own_jobs_only": report.own_only,
        "sample": report.sample,
        "comparisons": [_part(part) for part in report.parts],
        "left_out": None
        if left is None
        else {
            "failed": left.failed,
            "unmeasured": left.unmeasured,
            "several_node_types": left.several,
            "excused": left.excused,
        },
    }


def _part(part: Part) -> Json:
    cell, comparison = part.cell, part.comparison
    return {
        "phase": cell.phase,
        "size": cell.size,
        "target": cell.target,
        "unit": cell.unit,
        "ranked": comparison.unranked is None,
        "not_ranked_because": comparison.unranked,
        "node_types": [_type(comparison, one) for one in comparison.types],
        "flips": [_flip(flip) for flip in part.flips],
        "without_accelerators": [_beside(found) for found in part.beside],
        "front": _front(part.front) if part.front else None,
    }


def _type(comparison: Comparison, one: TypeFigures) -> Json:
    idle = one.idle
    return {
        "node_type": one.node_type,
        "whose": one.whose,
        "jobs": one.n,
        "rank": one.rank.best if one.rank else None,
        "worst_rank": one.rank.worst if one.rank else None,
        "not_ranked_because": one.unranked,
        "ties": list(comparison.ties(one)),
        "energy_per_unit_j": _spread(one.per_unit_j),
        "energy_j": _spread(one.energy_j),
        "runtime_s": _spread(one.runtime_s),
        "metered_by_estimate": _spread(one.estimated),
        "idle_gpu_share": idle.share if idle else None,
        "energy_per_unit_without_idle_j": idle.per_unit_j if idle else None,
        "failed_energy_j": one.failed_j,
        "accelerated": one.accelerated,
        "meter_scope": Scope(int(one.scope)).name.lower(),
    }


def _spread(spread: Spread | None) -> Json | None:
    if spread is None:
        return None
    return {
        "first_quartile": spread.low,
        "median": spread.median,
        "third_quartile": spread.high,
        "median_interval": _interval(spread.interval),
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return [interval.low, interval.high] if interval else None


def _flip(flip: Flip) -> Json:
    return {
        "guess": flip.guess,
        "less": flip.less.node_type,
        "more": flip.more.node_type,
        "metered_ratio": flip.metered,
        "guessed_ratio": flip.guessed,
        "proven": flip.proven,
    }


def _beside(found: Beside) -> Json:
    return {
        "node_type": found.plain.node_type,
        "accelerated": found.accelerated.node_type,
        "ratio": found.ratio.value,
        "interval": _interval(found.ratio),
        "verdict": found.verdict,
    }


def _front(front: Front) -> Json:
    points = [
        {
            "node_type": point.node_type,
            "jobs": point.n,
            "runtime_s": _spread(point.runtime_s),
            "energy_j": _spread(point.energy_j),
            "on_front": point.front,
        }
        for point in front.points
    ]
    return {"work": front.work, "unit": front.unit, "points": points}


def elsewhere_json(found: LikeJobs) -> Json:
    """What a job would draw on each node type."""
    cell = found.cell
    return {
        "basis": found.basis,
        "missing": found.missing,
        "phase": cell.phase,
        "size": cell.size,
        "target": cell.target,
        "work": found.work,
        "unit": cell.unit,
        "node_types": [
            {
                "node_type": one.node_type,
                "whose": one.whose,
                "jobs": one.n,
                "here": one.this,
                "energy_j": _prediction(one.energy_j),
                "runtime_s": _prediction(one.runtime_s),
            }
            for one in found.types
        ],
    }


def _prediction(found: Prediction | None) -> Json | None:
    return None if found is None else {"median": found.median, "low": found.low, "high": found.high}
