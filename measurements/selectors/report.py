"""What a person reports of their jobs, in a paper say: energy by workload and phase, failed runs apart, emissions.

Plain data with sorted keys, so that it can be frozen and hashed. Nobody's name is in it.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from measurements.domain.blame import WASTED
from measurements.domain.units import S_PER_HOUR, datetime_from_ms
from measurements.models import Job
from measurements.selectors.drawn import jobs_by_state, jobs_failed
from measurements.selectors.energy import Period, emissions_json, energy_of_job
from measurements.selectors.excused import excused_jobs
from measurements.selectors.usage import PAIR, Asked, Dimension, Scope, Usage, usage

FORM = 1  # of the body


def report_of_jobs(scope: Scope, asked: Asked) -> dict[str, Any]:
    """Of the jobs of a scope that ran in a period and match filters; what they drew before or after is not in it."""
    found = usage(scope, Asked(
        asked.first, asked.last, asked.zone, asked.granularity, Dimension.WORKLOAD, asked.filters, Dimension.PHASE
    ))  # fmt: skip
    inside = (scope, asked.filters, int(found.bounds_ms[0]), int(found.bounds_ms[-1]))
    return {
        "form": FORM,
        "of": "jobs",
        "first": asked.first.isoformat(),
        "last": asked.last.isoformat(),
        "zone": asked.zone.key,
        "filters": {name.value: list(values) for name, values in asked.filters.items()},
        "jobs": sum(jobs_by_state(*inside).values()),
        "failed_jobs": jobs_failed(*inside),
        "energy_j": found.energy_j if found.covered_s else None,
        "filled_j": found.filled_j,
        "failed_j": float(found.cells.failed_j.sum()),
        "coverage": found.coverage,
        "node_hours": found.elapsed_s / S_PER_HOUR,
        "parts": _parts(found),
        **emissions_json(found.footprint),
    }


def report_of_job(job: Job) -> dict[str, Any]:
    """Of one job, all of it."""
    found = energy_of_job([job], Period())
    failed = job.state in WASTED and not excused_jobs({job.pk: job.state})
    part = {"workload": job.workload, "phase": job.phase, "energy_j": found.booked_j, "share": 1.0}
    return {
        "form": FORM,
        "of": "job",
        "cluster": job.cluster.name,
        "job_id": job.job_id,
        "start": _local(job.start_ms),
        "end": _local(job.end_ms),
        "jobs": 1,
        "failed_jobs": int(failed),
        "energy_j": found.booked_j if found.covered_s else None,
        "filled_j": found.filled_j,
        "failed_j": found.booked_j if failed else 0.0,
        "coverage": found.coverage,
        "node_hours": found.node_hours,
        "parts": [part] if found.covered_s else [],
        **emissions_json(found.footprint),
    }


def _local(at_ms: int | None) -> str | None:
    """An instant in the site's zone: a sentence has its day."""
    zone = timezone.get_default_timezone()
    return None if at_ms is None else datetime_from_ms(at_ms).astimezone(zone).isoformat()


def _parts(found: Usage) -> list[dict[str, Any]]:
    """By workload and phase, most energy first."""
    sums = found.cells.energy_j.sum(axis=0).tolist()
    total = found.energy_j
    rows = []
    for name, joules in zip(found.groups, sums, strict=True):
        workload, _sign, phase = name.partition(PAIR)
        if joules:
            rows.append({"workload": workload, "phase": phase, "energy_j": joules, "share": joules / total})
    return sorted(rows, key=lambda row: -row["energy_j"])
