"""Advice on jobs that came to nothing: failed, out of time, out of memory, cancelled.

The unused energy of such a line is all that its jobs drew. What its directive would have saved is never more, and
often less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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

STATES = {
    Kind.FAILED: ("FAILED",),
    Kind.TIMEOUT: ("TIMEOUT", "DEADLINE"),
    Kind.OUT_OF_MEMORY: ("OUT_OF_MEMORY",),
    Kind.CANCELLED: ("CANCELLED",),
}
TEST_S = 7_200  # a test run is no longer than that
CHECKPOINT_S = 300  # before its end a job is told to write what it has
_MORE_MEMORY = 2  # where no like job shows how much is needed


def lost_lines(jobs: Jobs, thresholds: Thresholds) -> Iterator[Advice]:
    """Lines on jobs that came to nothing; each of these jobs is in one line at most."""
    makers: dict[Kind, Callable[[Jobs, IntArray, Thresholds], Advice]] = {
        Kind.FAILED: _failed,
        Kind.TIMEOUT: _timeout,
        Kind.OUT_OF_MEMORY: _out_of_memory,
        Kind.CANCELLED: _cancelled,
    }
    for kind, make in makers.items():
        chosen = np.flatnonzero(np.isin(jobs.state, STATES[kind]) & jobs.lost)
        for mine in alike(jobs.group, chosen, jobs.drawn_j, thresholds.least_j):
            yield make(jobs, mine, thresholds)


def _failed(jobs: Jobs, mine: IntArray, thresholds: Thresholds) -> Advice:
    """One of them first, for as long as failing took: those that began when that was known are spared."""
    after = _known_to_fail(jobs, mine)
    saved = float(jobs.drawn_j[mine][after].sum())
    took_s = typical(_of(jobs.elapsed_s, mine))
    time_s = round_time_s(took_s * thresholds.margin)
    tasks = jobs.array_task[mine][~np.isnan(jobs.array_task[mine])]
    first = (("array", str(int(tasks.min()))),) if len(tasks) else ()
    directive = Directive((*first, ("time", slurm_time(time_s))), "sbatch", "job.sh")
    if not first and time_s > TEST_S:  # what fails so late no short run shows
        directive, time_s = Directive((("mail-type", "FAIL"),)), 0
    figures = {"spared": int(after.sum()), "took_s": took_s, "time_s": time_s}
    return _line(jobs, Kind.FAILED, mine, directive, saved, Why.FIRST, **figures)


def _timeout(jobs: Jobs, mine: IntArray, thresholds: Thresholds) -> Advice:
    """As much time as like jobs needed that completed; where none did, write down what there is before the end."""
    drawn, elapsed, held = (_of(values, mine) for values in (jobs.drawn_j, jobs.elapsed_s, jobs.held_s))
    done = _completed(jobs, mine, jobs.elapsed_s)
    if len(done) < thresholds.least_jobs:
        saved = float((drawn * _part(elapsed - CHECKPOINT_S, held)).sum())
        directive = Directive((("signal", f"B:USR1@{CHECKPOINT_S}"),))
        return _line(jobs, Kind.TIMEOUT, mine, directive, saved, Why.CAUSE, like=len(done))
    needed_s = typical(jobs.elapsed_s[done])
    time_s = round_time_s(needed_s * thresholds.margin)
    # Who had less time than like jobs need would have ended as they did; who had more than enough hung.
    share = np.where(elapsed < needed_s, 1.0, _part(elapsed - time_s, held))
    directive = Directive((("time", slurm_time(time_s)),))
    saved = float((drawn * share).sum())
    return _line(
        jobs, Kind.TIMEOUT, mine, directive, saved, Why.CAUSE, like=len(done), needed_s=needed_s, time_s=time_s
    )


def _out_of_memory(jobs: Jobs, mine: IntArray, thresholds: Thresholds) -> Advice:
    """As much as like jobs needed that completed; where none shows it twice as much, once the first had failed."""
    asked = jobs.memory_bytes / jobs.nodes
    most, largest = _largest(asked[mine]), _largest(jobs.node_memory_bytes[mine])
    used = jobs.max_rss_bytes / jobs.nodes
    done = _completed(jobs, mine, used)
    like = len(done) >= thresholds.least_jobs
    enough = round_memory(typical(used[done]) * thresholds.margin) if like else 0
    shown = enough > most
    memory = enough if shown else round_memory(_MORE_MEMORY * most)
    if not most or memory > (largest or memory):  # not known, or more than a node has
        options = (("jobs", str(jobs.job_id[mine[0]])), ("format", "JobID,ReqMem,MaxRSS"))
        return _line(jobs, Kind.OUT_OF_MEMORY, mine, Directive(options, "sacct"), 0.0, Why.CAUSE, asked_bytes=most)
    spared = np.ones(len(mine), bool) if shown else _known_to_fail(jobs, mine)
    directive = Directive((("mem", slurm_memory(memory)),))
    figures = {"like": len(done) if shown else 0, "asked_bytes": most, "memory_bytes": memory}
    return _line(
        jobs, Kind.OUT_OF_MEMORY, mine, directive, float(jobs.drawn_j[mine][spared].sum()), Why.FIRST, **figures
    )


def _largest(values: FloatArray) -> float:
    """0: none is known."""
    known = values[~np.isnan(values)]
    return float(known.max(initial=0.0))


def _cancelled(jobs: Jobs, mine: IntArray, thresholds: Thresholds) -> Advice:
    """Those that ran longer than like jobs ever do end then; of the others nothing is known but that they ended."""
    done = _completed(jobs, mine, jobs.elapsed_s)
    elapsed = _of(jobs.elapsed_s, mine)
    if len(done) >= thresholds.least_jobs:
        needed_s = typical(jobs.elapsed_s[done])
        time_s = round_time_s(needed_s * thresholds.margin)
        saved = float((_of(jobs.drawn_j, mine) * _part(elapsed - time_s, _of(jobs.held_s, mine))).sum())
        if saved > 0:
            directive = Directive((("time", slurm_time(time_s)),))
            figures = {"like": len(done), "needed_s": needed_s, "time_s": time_s}
            return _line(jobs, Kind.CANCELLED, mine, directive, saved, Why.CAUSE, **figures)
    return _line(jobs, Kind.CANCELLED, mine, Directive((("mail-type", "BEGIN"),)), 0.0, Why.CAUSE)


def _line(
    jobs: Jobs, kind: Kind, mine: IntArray, directive: Directive, saved: float, why: Why, **figures: float
) -> Advice:
    """All of their energy is unused; where nothing of it would have been saved, that is not known."""
    unused_j = float(jobs.drawn_j[mine].sum())
    known = (saved, None) if saved > 0 else (None, why)
    return advice(jobs, kind, mine, directive, known, unused_j, **figures)


def _of(values: FloatArray, mine: IntArray) -> FloatArray:
    return np.nan_to_num(values[mine])


def _part(seconds: FloatArray, held_s: FloatArray) -> FloatArray:
    """Which part of a job's time on its nodes some seconds are, 0 to 1."""
    whole = np.maximum(held_s, np.maximum(seconds, 1.0))
    return np.clip(seconds, 0.0, None) / whole


def _completed(jobs: Jobs, mine: IntArray, values: FloatArray) -> IntArray:
    """Places of like jobs that completed and of which a value is known."""
    like = jobs.group == jobs.group[mine[0]]
    return np.flatnonzero(like & (jobs.state == "COMPLETED") & (values > 0))


def _known_to_fail(jobs: Jobs, mine: IntArray) -> BoolArray:
    """Which of them began when the like job that had ended last had come to nothing, too [len(mine)]."""
    like = np.flatnonzero((jobs.group == jobs.group[mine[0]]) & ((jobs.state == "COMPLETED") | jobs.lost))
    like = like[~np.isnan(jobs.end_ms[like])]
    like = like[np.lexsort((jobs.state[like] == "COMPLETED", jobs.end_ms[like]))]
    before = np.searchsorted(jobs.end_ms[like], jobs.start_ms[mine], side="right") - 1
    bad = jobs.lost[like]
    return (before >= 0) & bad[np.maximum(before, 0)]
