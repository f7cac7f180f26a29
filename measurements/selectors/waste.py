"""What a person's jobs drew in vain or held unused in a period, and what to change: the jobs behind it, and advice.

Energy is what falls into the period, to the quarter hour: the sums are those of the roll-up (`selectors/usage.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from django.conf import settings
from django.db.models import Q, Subquery, Value

from measurements.domain.advice import Advised, advices
from measurements.domain.advice_kinds import Advice, Thresholds
from measurements.domain.blame import WASTED
from measurements.domain.units import DAY_MS, J_PER_KWH, MS_PER_S, US_PER_S, datetime_from_ms, day_from_ms
from measurements.domain.usage import Rates
from measurements.models import Cluster, Dismissal, Job, JobQuerySet
from measurements.selectors.joblist import REQUEUED_WITHIN_MS
from measurements.selectors.prices import price_lists
from measurements.selectors.waste_parts import excused_of, held_nodes, inside_of, node_parts

MOST_JOBS = 20_000  # the newest
EVIDENCE = 10  # jobs shown of a line
MOST_NAMED = 2_000  # jobs whose ids stand in a query
MOST_LIKE, LIKE_WITHIN_MS = 300, 90 * DAY_MS  # jobs like one job
_COLUMNS = {
    "key": "pk", "cluster_id": "cluster_id", "cluster": "cluster__name", "job_id": "job_id", "name": "name",
    "partition": "partition",
    "workload": "workload", "phase": "phase", "state": "state", "start_ms": "start_ms", "end_ms": "end_ms",
    "array_task": "array_task_id", "energy_j": "energy__energy_j", "idle_j": "energy__gpu_idle_j",
    "gpu_held_us": "energy__gpu_held_us", "gpu_idle_us": "energy__gpu_idle_us", "covered_us": "energy__covered_us",
    "elapsed_us": "energy__elapsed_us", "run": "runs__pk", "run_start_ms": "runs__start_ms",
    "run_end_ms": "runs__end_ms",
    "total_cpu_s": "runs__total_cpu_s", "cpus": "runs__cpus", "gpus": "runs__gpus",
    "memory_bytes": "runs__memory_bytes",
    "max_rss_bytes": "runs__max_rss_bytes", "limit_s": "runs__time_limit_s", "exclusive": "runs__exclusive",
}  # fmt: skip
_TEXT = ("cluster", "job_id", "name", "partition", "workload", "phase", "state")


@dataclass(frozen=True, slots=True)
class EvidenceJob:
    """A job that a line speaks of."""

    cluster: str
    job_id: str
    name: str
    state: str
    start_ms: int
    started_at: datetime
    inside_j: float | None  # metered, in the period; None: not measured
    idle_j: float  # of it: of idle GPUs


@dataclass(frozen=True, slots=True)
class Waste:
    """Advice on the jobs of a period."""

    advised: Advised
    jobs: int  # 0: none ran
    energy_j: float  # metered, of all of them
    measured: int
    unmeasured: int  # that took time and have ended
    running: int
    cut_off: bool  # there are more jobs: these are the newest
    clusters: dict[str, int]  # ids by name
    evidence: dict[int, EvidenceJob]  # by key, the largest of each line

    @property
    def lines(self) -> tuple[Advice, ...]:
        """The largest saving first."""
        return self.advised.lines

    @property
    def unused_j(self) -> float:
        """Drawn in vain, metered: with and without a line."""
        return self.advised.lost_j + self.advised.idle_j


def site_thresholds() -> Thresholds:
    """As the site sets them."""
    return Thresholds(
        least_jobs=settings.WASTE_LEAST_JOBS,
        least_j=settings.WASTE_LEAST_KWH * J_PER_KWH,
        least_share=settings.WASTE_LEAST_SHARE,
        margin=settings.WASTE_MARGIN,
    )


def subject_of(line: Advice) -> str:
    """What a dismissal names."""
    return f"{line.cluster}/{line.subject}"


def dismissed(username: str) -> set[tuple[str, str]]:
    """Kind and subject of what a person does not want to see; one query."""
    return set(Dismissal.objects.filter(username=username).values_list("advice", "subject"))


def waste(username: str, start_ms: int, end_ms: int, thresholds: Thresholds | None = None) -> Waste:
    """Of a person's jobs that ran in [start, end), both on quarter hours; four queries at most."""
    return waste_of(_jobs(username, start_ms, end_ms), (start_ms, end_ms), thresholds)


def waste_of(
    jobs: JobQuerySet, bounds_ms: tuple[int, int] | None, thresholds: Thresholds | None = None, most: int = MOST_JOBS
) -> Waste:
    """Of some jobs, newest first; without bounds of all that they drew."""
    found = list(jobs.values_list(*_COLUMNS.values())[: most + 1])
    frame = pd.DataFrame(found, columns=list(_COLUMNS))
    cut_off = len(frame) > most
    if cut_off:  # of the last one not all runs may be there
        frame = frame[frame["key"] != frame["key"].iloc[-1]]
    if frame.empty:
        return Waste(advices(_nothing(), thresholds or site_thresholds()), 0, 0.0, 0, 0, 0, cut_off, {}, {})
    whole = _one_row_a_job(frame)
    _put_inside(whole, bounds_ms)
    _put_nodes(whole, jobs)
    advised = advices(whole, thresholds or site_thresholds())
    return Waste(
        advised=advised,
        jobs=len(whole),
        energy_j=float(whole["energy_j"].sum()),
        measured=int(whole["energy_j"].notna().sum()),
        unmeasured=int((whole["energy_j"].isna() & (whole["held_s"] > 0)).sum()),
        running=int(whole["end_ms"].isna().sum()),
        cut_off=cut_off,
        clusters=dict(zip(whole["cluster"].tolist(), whole["cluster_id"].astype(int).tolist(), strict=True)),
        evidence=_evidence(whole, advised),
    )


def waste_like(job: Job, visible: JobQuerySet) -> Waste:
    """Of a job and those of its owner that began before it and may be like it: all that they drew; three queries."""
    alike = visible.filter(username=job.username, cluster=job.cluster_id, start_ms__lte=job.start_ms or 0)
    alike = alike.filter(start_ms__gt=(job.start_ms or 0) - LIKE_WITHIN_MS)
    alike = alike.exclude(~Q(pk=job.pk) & Q(start_ms=job.start_ms))  # so that the job is the newest
    if job.workload:
        alike = alike.filter(workload=job.workload, phase=job.phase)
    else:
        alike = alike.filter(workload="", name__startswith=re.split(r"\d", job.name, maxsplit=1)[0])
    return waste_of(alike.order_by("-start_ms", "-pk"), None, most=MOST_LIKE)


def grams_per_joule(clusters: Mapping[str, int], start_ms: int, end_ms: int) -> dict[str, float]:
    """Location-based emissions of a joule at the nodes, on average over the time, where known; one query."""
    days = day_from_ms(start_ms), day_from_ms(end_ms - 1)
    found: dict[str, float] = {}
    for pk, prices in price_lists(clusters.values(), *days, wanted=()).items():
        known = Rates.of(prices).location_g
        known = known[~np.isnan(known)]
        found |= {name: float(known.mean()) for name in clusters if clusters[name] == pk and len(known)}
    return found


def _jobs(username: str, start_ms: int, end_ms: int) -> JobQuerySet:
    """Those of a person that hold nodes in the time, newest first, along the index of their owner."""
    longest_ms = Subquery(Cluster.objects.order_by("-longest_run_ms").values("longest_run_ms")[:1])
    return (
        Job.objects.filter(username=username, start_ms__lt=end_ms)
        .filter(start_ms__gte=Value(start_ms - REQUEUED_WITHIN_MS) - longest_ms)
        .filter(Q(end_ms__gt=start_ms) | Q(end_ms__isnull=True))
        .order_by("-start_ms", "-pk")
    )


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=[*_COLUMNS, "excused", "covered_s", "elapsed_s", "held_s", "nodes", "node_cpus",
                                 "node_memory_bytes", "node_idle_w"])  # fmt: skip


def _one_row_a_job(frame: pd.DataFrame) -> pd.DataFrame:
    """Each job with its last run, and the time of all its runs."""
    numbers = [name for name in _COLUMNS if name not in (*_TEXT, "key", "exclusive")]
    frame[numbers] = frame[numbers].astype(np.float64)
    frame["elapsed_s"] = (frame["run_end_ms"] - frame["run_start_ms"]) / MS_PER_S
    frame["exclusive"] = frame["exclusive"].eq(other=True)  # None: not stated
    if frame["key"].is_unique:
        return frame.assign(held_s=frame["elapsed_s"]).reset_index(drop=True)
    frame["held_s"] = frame.groupby("key")["elapsed_s"].transform("sum")
    newest = frame.sort_values(["run_start_ms", "run"], kind="stable").drop_duplicates("key", keep="last")
    return newest.sort_index().reset_index(drop=True)


def _put_inside(jobs: pd.DataFrame, bounds_ms: tuple[int, int] | None) -> None:
    """Energy and measured time in the period; of jobs that lie in it that is all of theirs."""
    measured = jobs["covered_us"] > 0
    held_s = jobs["elapsed_us"].to_numpy() / US_PER_S
    known = jobs["gpus"].fillna(0) > 0
    counted = np.round(jobs["gpu_held_us"].to_numpy() / US_PER_S / np.where(held_s > 0, held_s, np.nan))
    jobs["gpus"] = np.where(known | ~(counted > 0), jobs["gpus"], counted)
    jobs["covered_s"] = np.where(measured, jobs["covered_us"] / US_PER_S, 0.0)
    jobs["energy_j"] = jobs["energy_j"].where(measured)
    jobs["idle_j"] = jobs["idle_j"].where(measured).fillna(0.0)
    if bounds_ms is None:
        return
    crossing = (jobs["start_ms"] < bounds_ms[0]) | ~(jobs["end_ms"] <= bounds_ms[1])
    places = np.flatnonzero(crossing.to_numpy())
    if not len(places):
        return
    part = inside_of(jobs["key"].to_numpy(np.int64)[places], *bounds_ms)
    for name in ("energy_j", "idle_j", "covered_s"):
        values = jobs[name].to_numpy(np.float64).copy()
        values[places] = getattr(part, name)
        jobs[name] = values


def _put_nodes(jobs: pd.DataFrame, asked_for: JobQuerySet) -> None:
    """What is asked of nodes, where anything depends on it: whether they ended a job, and how much of them it held."""
    asked = (jobs["state"] == "COMPLETED") & ((jobs["total_cpu_s"] > 0) | (jobs["max_rss_bytes"] > 0))
    asked |= jobs["state"].isin(WASTED)
    chosen = jobs[asked]
    # Thousands of ids are slower than asking again for those they were found by; what is too much is left out below.
    again = asked_for.filter(state__in=["COMPLETED", *WASTED]).order_by().values("pk")
    held = held_nodes(chosen["key"].tolist() if len(chosen) < MOST_NAMED else again)
    jobs["excused"] = excused_of(jobs, held)
    parts = node_parts(chosen, held).reindex(jobs.index)
    for name in ("nodes", "node_cpus", "node_memory_bytes", "node_idle_w"):
        jobs[name] = parts[name]
    jobs["exclusive"] |= parts["alone"].eq(other=True)


def _evidence(jobs: pd.DataFrame, advised: Advised) -> dict[int, EvidenceJob]:
    wanted = {key for line in advised.lines for key in line.jobs[:EVIDENCE]}
    names = ["key", "cluster", "job_id", "name", "state", "start_ms", "energy_j", "idle_j"]
    chosen = jobs.loc[jobs["key"].isin(wanted), names]
    return {int(row[0]): _evidence_job(row) for row in chosen.itertuples(index=False, name=None)}


def _evidence_job(row: tuple[Any, ...]) -> EvidenceJob:
    _, cluster, job_id, name, state, start_ms, energy_j, idle_j = row
    return EvidenceJob(
        cluster, job_id, name, state, int(start_ms), datetime_from_ms(int(start_ms)),
        None if np.isnan(energy_j) else float(energy_j), float(idle_j),
    )  # fmt: skip
