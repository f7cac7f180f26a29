"""Nodes that draw more for the same work than their like."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, exp, log

import numpy as np
import pandas as pd

from measurements.domain.comparison import Interval, median_interval
from measurements.domain.units import FloatArray, IntArray

LEAST_NODES = 3  # that a cell's jobs ran on, for its median to say what is usual
LEAST_JOBS = 5  # of a node in such cells
MORE = 1.05  # what is less above the usual is not worth a visit
FALSE_ALARMS = 0.05  # in how many of all looks any of many equal nodes may be named


@dataclass(frozen=True, slots=True)
class Outlier:
    """A node whose jobs draw this many times what is usual for their work, with the median's interval."""

    node: int
    jobs: int
    times: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Outliers:
    """The nodes found, the most first, and how many were looked at with how many jobs."""

    found: tuple[Outlier, ...]
    nodes: int
    jobs: int


def outliers(cell: IntArray, node: IntArray, energy_per_work: FloatArray) -> Outliers:
    r"""
    Nodes whose jobs draw more energy for each unit of work than jobs of the same cell do elsewhere.

    Parameters
    ----------
    cell : array of k
        Which jobs are alike: of one workload, phase, size, target, unit and node type.
    node : array of k
        On which node each ran, alone.
    energy_per_work : array of k
        Joules for each unit of work, above 0.

    Notes
    -----
    Each job counts with :math:`\ln(e / \tilde e)`, its distance from the median of its cell. A node is named if two
    things hold: the bootstrap interval of the median of its distances lies above `MORE`, and the sign test [1]_ finds
    that most of its jobs lie above it. The latter's level is shared out over all nodes (Bonferroni), so that among many
    equal ones none is named in 19 of 20 looks.

    References
    ----------
    .. [1] Conover, Practical Nonparametric Statistics, 3rd ed., Wiley, 1999, ch. 3.4.

    Examples
    --------
    >>> node = np.tile(np.arange(4), 12)
    >>> energy = 100.0 + 30.0 * (node == 2) + np.arange(48) % 5
    >>> [(one.node, one.jobs, round(one.times, 2)) for one in outliers(np.zeros(48, np.int64), node, energy).found]
    [(2, 12, 1.28)]
    """
    jobs = pd.DataFrame({"cell": cell, "node": node, "far": np.log(energy_per_work)})
    jobs = jobs[jobs.groupby("cell")["node"].transform("nunique") >= LEAST_NODES]
    jobs["far"] -= jobs.groupby("cell")["far"].transform("median")
    jobs = jobs[jobs.groupby("node")["far"].transform("size") >= LEAST_JOBS]
    if jobs.empty:
        return Outliers((), 0, 0)
    above = (jobs["far"] > log(MORE)).groupby(jobs["node"]).agg(["size", "sum"])
    level = FALSE_ALARMS / len(above)
    candidates = [int(name) for name, size, more in above.itertuples() if _tail(int(size), int(more)) <= level]
    of_candidates = jobs[jobs["node"].isin(candidates)].groupby("node")["far"]
    found = [_outlier(int(name), far.to_numpy(np.float64)) for name, far in of_candidates]
    named = sorted((one for one in found if one.low > MORE), key=lambda one: (-one.times, one.node))
    return Outliers(tuple(named), len(above), len(jobs))


def _tail(size: int, more: int) -> float:
    """The chance that at least so many of ``size`` tosses of a coin fall on one side."""
    if 2 * more <= size:
        return 1.0
    return sum(comb(size, count) for count in range(more, size + 1)) / (1 << size)


def _outlier(node: int, far: FloatArray) -> Outlier:
    middle = float(np.median(far))
    interval = median_interval(far) or Interval(middle, -np.inf, np.inf)
    return Outlier(node, len(far), exp(interval.value), exp(interval.low), exp(interval.high))
