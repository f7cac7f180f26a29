"""Advice on what jobs held and did not use: GPUs, cores, memory, time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, floor

import numpy as np

from measurements.domain.advice_kinds import (
    Advice,
    Directive,
    Jobs,
    Kind,
    Thresholds,
    Why,
    advice,
    alike,
    typical,
)
from measurements.domain.advice_sizes import round_memory, round_time_s, slurm_memory, slurm_time
from measurements.domain.units import BoolArray, FloatArray, IntArray

ALL_IDLE = 0.95  # of the time that a job's GPUs were held: they were not used at all
_WATCH = Directive((("query-gpu", "index,utilization.gpu"), ("format", "csv"), ("loop", "10")), "nvidia-smi")


def held_lines(jobs: Jobs, thresholds: Thresholds) -> Iterator[Advice]:
    """Lines on what was held; of what a job drew each saving takes only what the ones before it left."""
    left_j = np.where(jobs.lost, 0.0, np.maximum(jobs.drawn_j, 0.0))
    yield from _idle_gpus(jobs, thresholds, left_j)
    yield from _largest(_cores(jobs, thresholds, left_j))
    yield from _largest(_memory(jobs, thresholds, left_j))
    yield from _largest(_walltime(jobs, thresholds))


def _largest(lines: Iterable[Advice]) -> Iterable[Advice]:
    """Of like jobs that asked for different amounts one line: that which saves most."""
    found: dict[tuple[str, str], Advice] = {}
    for line in lines:
        before = found.setdefault((line.cluster, line.subject), line)
        if (line.saved_j or 0.0, line.metered_j) > (before.saved_j or 0.0, before.metered_j):
            found[line.cluster, line.subject] = line
    return found.values()


def _as_much(jobs: Jobs, asked: FloatArray) -> IntArray:
    """Like jobs that asked for the same, numbered [n]."""
    _, amount = np.unique(np.nan_to_num(asked), return_inverse=True)
    _, found = np.unique(jobs.group * len(jobs.key) + amount, return_inverse=True)
    return np.asarray(found, np.int64)


# --- GPUs -----------------------------------------------------------------------------------------------


def _idle_gpus(jobs: Jobs, thresholds: Thresholds, left_j: FloatArray) -> Iterator[Advice]:
    """One line for like jobs with as many GPUs."""
    chosen = np.flatnonzero(~jobs.lost & (jobs.idle_j > 0) & (jobs.gpu_held_us > 0))
    for mine in alike(_as_much(jobs, jobs.gpus), chosen, jobs.idle_j, thresholds.least_j):
        share = float(jobs.gpu_idle_us[mine].sum() / jobs.gpu_held_us[mine].sum())
        if share >= thresholds.least_share:
            yield _idle_line(jobs, mine, int(np.nan_to_num(jobs.gpus[mine[0]])), share, left_j)


def _idle_line(jobs: Jobs, mine: IntArray, gpus: int, share: float, left_j: FloatArray) -> Advice:
    """As many fewer as were idle on average; where all were, none."""
    fewer = gpus if share >= ALL_IDLE else floor(gpus * share)
    idle_j = jobs.idle_j[mine]
    unused_j = float(idle_j.sum())
    figures = {"gpus": gpus, "share": share, "fewer": fewer}
    if share < ALL_IDLE and not fewer:
        return advice(jobs, Kind.IDLE_GPUS, mine, _WATCH, (None, Why.PARTLY), unused_j, **figures)
    of_each = np.ones(len(mine))
    directive = _without_gpus(jobs, mine)
    if share < ALL_IDLE:
        idle_share = jobs.gpu_idle_us[mine] / jobs.gpu_held_us[mine]
        of_each = np.minimum(fewer / np.maximum(gpus * idle_share, fewer), 1.0)
        directive = Directive((("gpus", str(gpus - fewer)),))
    saved = np.minimum(idle_j * of_each, left_j[mine])
    left_j[mine] -= saved
    return advice(jobs, Kind.IDLE_GPUS, mine, directive, (float(saved.sum()), None), unused_j, **figures)


def _without_gpus(jobs: Jobs, mine: IntArray) -> Directive:
    """The partition in which most of their owner's jobs ran without GPUs; not known: none is asked for."""
    here = (jobs.cluster == jobs.cluster[mine[0]]) & (jobs.partition != "")
    bare = here & (np.nan_to_num(jobs.gpus) == 0) & (np.nan_to_num(jobs.gpu_held_us) == 0)
    with_gpus = set(jobs.partition[here & ~bare].tolist())
    names, counts = np.unique(jobs.partition[bare].astype(str), return_counts=True)
    found = [(-int(n), str(name)) for name, n in zip(names, counts, strict=True) if str(name) not in with_gpus]
    return Directive((("partition", min(found)[1]),)) if found else Directive((("gpus", "0"),))


# --- Cores and memory -----------------------------------------------------------------------------------


def _cores(jobs: Jobs, thresholds: Thresholds, left_j: FloatArray) -> Iterator[Advice]:
    """As many as like jobs kept busy, with a margin."""
    chosen = np.flatnonzero(_settled(jobs) & _shared(jobs) & (jobs.cpus > 1) & (jobs.total_cpu_s > 0))
    for mine in alike(_as_much(jobs, jobs.cpus), chosen, jobs.drawn_j, thresholds.least_j):
        used = typical(jobs.total_cpu_s[mine] / jobs.elapsed_s[mine])
        cores = max(ceil(used * thresholds.margin - 1e-9), 1)
        free = np.maximum(jobs.cpus[mine] - cores, 0.0)
        if not _worth_it(free, jobs.cpus[mine], thresholds):
            continue
        # Who holds all cores of a node lets others in, but the node idles no less for that.
        part = jobs.cpus[mine] < jobs.node_cpus[mine]
        saved = _saved(jobs, mine, np.where(part, 1.0, 0.0) * free / jobs.node_cpus[mine], left_j)
        directive = Directive((("cpus-per-task", str(cores)),))
        figures = {"used": used, "cores": cores, "asked": float(jobs.cpus[mine[0]])}
        yield advice(jobs, Kind.CORES, mine, directive, saved, **figures)


def _memory(jobs: Jobs, thresholds: Thresholds, left_j: FloatArray) -> Iterator[Advice]:
    """As much as like jobs used, with a margin; it frees a part of the node only where it was the larger part."""
    known = (jobs.max_rss_bytes > 0) & (jobs.memory_bytes > 0)
    chosen = np.flatnonzero(_settled(jobs) & _shared(jobs) & known & ~_has(jobs, "OUT_OF_MEMORY"))
    for mine in alike(_as_much(jobs, jobs.memory_bytes), chosen, jobs.drawn_j, thresholds.least_j):
        used, asked = typical(jobs.max_rss_bytes[mine]), jobs.memory_bytes[mine]
        memory = round_memory(used * thresholds.margin)
        if not _worth_it(np.maximum(asked - memory, 0.0), asked, thresholds):
            continue
        of_node = jobs.node_memory_bytes[mine]
        by_cores = jobs.cpus[mine] / jobs.node_cpus[mine]
        freed = np.maximum(asked / of_node - np.maximum(memory / of_node, by_cores), 0.0)
        freed = np.where(by_cores < 1.0, freed, 0.0 * freed)
        saved = _saved(jobs, mine, freed, left_j)
        directive = Directive((("mem", slurm_memory(memory)),))
        figures = {"used_bytes": used, "memory_bytes": memory, "asked_bytes": float(asked[0])}
        yield advice(jobs, Kind.MEMORY, mine, directive, saved, **figures)


def _settled(jobs: Jobs) -> BoolArray:
    return (jobs.state == "COMPLETED") & (jobs.elapsed_s > 0)


def _shared(jobs: Jobs) -> BoolArray:
    """On one node that others may use as well."""
    return (jobs.nodes == 1) & ~jobs.exclusive


def _worth_it(free: FloatArray, asked: FloatArray, thresholds: Thresholds) -> bool:
    return len(asked) >= thresholds.least_jobs and float(free.sum() / asked.sum()) >= thresholds.least_share


def _saved(jobs: Jobs, mine: IntArray, share: FloatArray, left_j: FloatArray) -> tuple[float | None, Why | None]:
    """Idle power of the node × share of it that would have been free × measured time; of the jobs where it is known."""
    freed = jobs.node_idle_w[mine] * np.minimum(share, 1.0) * jobs.covered_s[mine]
    if np.isnan(freed).all():
        return None, Why.IDLE_POWER
    saved = np.minimum(np.nan_to_num(freed), left_j[mine])
    left_j[mine] -= saved
    total = float(saved.sum())
    return total, None if total > 0 else Why.LETS_IN


# --- Time -----------------------------------------------------------------------------------------------


def _walltime(jobs: Jobs, thresholds: Thresholds) -> Iterator[Advice]:
    """As long as like jobs took, with a margin: it saves nothing, and lets a job start earlier."""
    known = _settled(jobs) & (jobs.limit_s > 0)
    chosen = np.flatnonzero(known & ~_has(jobs, "TIMEOUT", "DEADLINE"))
    for mine in alike(_as_much(jobs, jobs.limit_s), chosen, jobs.drawn_j, thresholds.least_j):
        took_s, asked = typical(jobs.elapsed_s[mine]), jobs.limit_s[mine]
        time_s = round_time_s(took_s * thresholds.margin)
        if not _worth_it(np.maximum(asked - time_s, 0.0), asked, thresholds):
            continue
        directive = Directive((("time", slurm_time(time_s)),))
        figures = {"took_s": took_s, "time_s": time_s, "asked_s": float(asked[0])}
        yield advice(jobs, Kind.WALLTIME, mine, directive, (0.0, Why.EARLIER), **figures)


def _has(jobs: Jobs, *states: str) -> BoolArray:
    """Whether a like job ended so: what is asked for is then no matter of too much [n]."""
    ended_so = np.bincount(jobs.group, np.isin(jobs.state, states), int(jobs.group.max(initial=-1)) + 1)
    return ended_so[jobs.group] > 0
