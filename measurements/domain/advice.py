"""What a person's jobs drew in vain or held unused, and the one thing to change about it.

Definitions with worked examples: docs/waste.md. Like jobs are those of one cluster and one subject: a workload with its
phase, or else a job's name without digits. Every saving is a part of the metered energy of the jobs it speaks of, and
no joule is promised twice: a job that came to nothing is in one line, and of what another job drew each line takes only
what the lines before it left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from measurements.domain.advice_held import held_lines
from measurements.domain.advice_kinds import COLUMNS, Advice, Thresholds, jobs_of
from measurements.domain.advice_lost import lost_lines


@dataclass(frozen=True, slots=True)
class Advised:
    """All lines, the largest saving first, and what they are a part of."""

    lines: tuple[Advice, ...]
    lost_j: float  # metered energy of all jobs that came to nothing, those below the thresholds too
    idle_j: float  # of idle GPUs that all other jobs held
    lost: int  # jobs that came to nothing
    lost_unmeasured: int  # of them: nothing was measured


def advices(frame: pd.DataFrame, thresholds: Thresholds) -> Advised:
    """
    Lines of advice on the jobs of one person in a period.

    Parameters
    ----------
    frame : DataFrame of `COLUMNS`
        A row a job. key: int. cluster, job_id, partition, state, name, workload, phase: text, empty where not known.
        excused: ended by the machine. exclusive: held its nodes alone. Numbers, nan where not known: start_ms, end_ms
        [ms since 1970]; array_task; energy_j metered in the period, nan where nothing was measured, and of it idle_j
        of idle GPUs [J]; gpus held; gpu_held_us, gpu_idle_us GPU-time of the whole job; covered_s node time measured
        in the period [s]; elapsed_s of the last run, held_s of all runs [s]; of the last run total_cpu_s [s], cpus,
        memory_bytes, max_rss_bytes (of all its nodes), limit_s [s], nodes; of its node, where it held one: node_cpus,
        node_memory_bytes, node_idle_w (without GPUs) [W].
    thresholds : Thresholds

    Returns
    -------
    Advised
        Savings in J. ``None``: not known, and why.
    """
    jobs = jobs_of(frame[list(COLUMNS)])
    lines = [*lost_lines(jobs, thresholds), *held_lines(jobs, thresholds)]
    lines.sort(key=lambda line: (-(line.saved_j or 0.0), -line.unused_j, -line.metered_j, line.kind, line.subject))
    lost = jobs.lost
    return Advised(
        lines=tuple(lines),
        lost_j=float(jobs.drawn_j[lost].sum()),
        idle_j=float(np.nan_to_num(jobs.idle_j[~lost]).sum()),
        lost=int(lost.sum()),
        lost_unmeasured=int((lost & np.isnan(jobs.energy_j)).sum()),
    )
