"""What a line of advice is, and what the lines are made of: jobs, and which of them are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.blame import WASTED
from measurements.domain.units import BoolArray, FloatArray, IntArray

Texts = NDArray[np.object_]
MOST_GROUPS = 50  # of a kind: those that drew most
LONGEST_SUBJECT = 200
PERCENTILE = 95.0  # of like jobs: what a request is made for


class Kind(StrEnum):
    """What a line is about; its value is stored with a dismissal."""

    FAILED = "failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"
    IDLE_GPUS = "idle_gpus"
    CORES = "cores"
    MEMORY = "memory"
    WALLTIME = "walltime"


class Why(StrEnum):
    """Why a line promises no saving."""

    FIRST = "first"  # none began after a like one had failed: nobody could know
    CAUSE = "cause"  # why it was cancelled is not known
    PARTLY = "partly"  # GPUs were idle at times, but not a whole one
    IDLE_POWER = "idle_power"  # what the node draws without work is not known
    LETS_IN = "lets_in"  # what is freed is of use to others, and costs the job nothing
    EARLIER = "earlier"  # the job starts earlier


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on a line is worth reading; a site sets them."""

    least_jobs: int = 3  # like jobs, before anything is said of what they ask for
    least_j: float = 360_000.0  # that a line's jobs drew in vain, or drew
    least_share: float = 0.25  # of what was asked for: not used
    margin: float = 1.2  # what is asked for ÷ what is needed


@dataclass(frozen=True, slots=True)
class Directive:
    """One line to paste: options of a job script, or a command."""

    options: tuple[tuple[str, str], ...]
    command: str = ""  # empty: a line of the job script
    behind: str = ""  # what follows the options of a command

    @property
    def line(self) -> str:
        """
        >>> Directive((("time", "06:00:00"),)).line
        '#SBATCH --time=06:00:00'
        >>> Directive((("array", "1"), ("time", "00:10:00")), "sbatch", "job.sh").line
        'sbatch --array=1 --time=00:10:00 job.sh'
        """
        said = " ".join(f"--{name}={value}" for name, value in self.options)
        return " ".join(part for part in (self.command or "#SBATCH", said, self.behind) if part)


@dataclass(frozen=True, slots=True)
class Advice:
    """One line: what happened, what to change, what it would have saved, by which jobs that is known."""

    kind: Kind
    cluster: str
    subject: str  # a workload with its phase, or a job's name without digits; empty: no name
    directive: Directive
    unused_j: float  # drawn in vain: of lost jobs all, of idle GPUs theirs, else 0
    metered_j: float  # of its jobs, in the period
    saved_j: float | None  # None: not known
    why: Why | None  # where nothing is saved
    jobs: tuple[int, ...]  # keys, most energy first
    unmeasured: int  # of them
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The columns of `measurements.domain.advice.advices` as arrays [n]; nan: not known."""

    key: IntArray
    cluster: Texts
    job_id: Texts
    subject: Texts
    partition: Texts
    state: Texts
    excused: BoolArray
    group: IntArray  # of like jobs
    start_ms: FloatArray
    end_ms: FloatArray
    array_task: FloatArray
    energy_j: FloatArray
    idle_j: FloatArray
    gpus: FloatArray
    gpu_held_us: FloatArray
    gpu_idle_us: FloatArray
    covered_s: FloatArray
    elapsed_s: FloatArray
    held_s: FloatArray
    total_cpu_s: FloatArray
    cpus: FloatArray
    memory_bytes: FloatArray
    max_rss_bytes: FloatArray
    limit_s: FloatArray
    nodes: FloatArray
    node_cpus: FloatArray
    node_memory_bytes: FloatArray
    node_idle_w: FloatArray
    exclusive: BoolArray

    @property
    def lost(self) -> BoolArray:
        """Came to nothing, and that is their user's."""
        return np.isin(self.state, list(WASTED)) & ~self.excused

    @property
    def drawn_j(self) -> FloatArray:
        """Metered energy; 0 of what was not measured."""
        return np.nan_to_num(self.energy_j)


_TEXT = ("cluster", "job_id", "partition", "state")
_NUMBERS = (
    "start_ms", "end_ms", "array_task", "energy_j", "idle_j", "gpus", "gpu_held_us", "gpu_idle_us", "covered_s",
    "elapsed_s", "held_s", "total_cpu_s", "cpus", "memory_bytes", "max_rss_bytes", "limit_s", "nodes", "node_cpus",
    "node_memory_bytes", "node_idle_w",
)  # fmt: skip
COLUMNS = ("key", *_TEXT, "name", "workload", "phase", "excused", "exclusive", *_NUMBERS)


def jobs_of(frame: pd.DataFrame) -> Jobs:
    """The columns of a frame, like jobs numbered."""
    subject = subjects(frame)
    alike = frame["cluster"].astype(str).to_numpy(object) + "\0" + subject
    return Jobs(
        key=frame["key"].to_numpy(np.int64),
        subject=subject,
        group=np.asarray(pd.factorize(alike)[0], np.int64),
        excused=frame["excused"].to_numpy(bool),
        exclusive=frame["exclusive"].to_numpy(bool),
        **{name: frame[name].to_numpy(object) for name in _TEXT},
        **{name: frame[name].to_numpy(np.float64) for name in _NUMBERS},
    )


def subjects(frame: pd.DataFrame) -> Texts:
    """
    What a job is about [n]: its workload with its phase; where none is declared its name without digits.

    >>> subjects(pd.DataFrame({"name": ["fold-3", "fold_12.sh", "7"], "workload": "", "phase": ""})).tolist()
    ['fold', 'fold_sh', '']
    >>> subjects(pd.DataFrame({"name": ["a"], "workload": ["nnunet"], "phase": ["training"]})).tolist()
    ['nnunet training']
    """
    code, names = pd.factorize(frame["name"])
    bare = pd.Series(names, dtype=object).str.replace(r"\d+", "", regex=True)
    bare = bare.str.replace(r"([-_. ])[-_. ]+", r"\1", regex=True).str.strip("-_. ")
    of_name = bare.to_numpy(object)[code] if len(frame) else np.zeros(0, object)
    workload, phase = (frame[name].to_numpy(object) for name in ("workload", "phase"))
    declared = np.where(phase == "", workload, workload + " " + phase)
    found = np.where(workload == "", of_name, declared)
    return pd.Series(found, dtype=object).str.slice(0, LONGEST_SUBJECT).to_numpy(object)


def alike(group: IntArray, chosen: IntArray, weight: FloatArray, least: float) -> Iterator[IntArray]:
    """
    Places of chosen jobs, a lot for each group whose weight is at least so much, the heaviest first.

    Parameters
    ----------
    group : array of n
    chosen : array of k
        Places of jobs.
    weight : array of n
    least : float
    """
    if not len(chosen):
        return
    sums = np.bincount(group[chosen], weight[chosen])
    order = np.argsort(group[chosen], kind="stable")
    at = np.searchsorted(group[chosen][order], np.arange(len(sums) + 1))
    heaviest = np.argsort(-sums, kind="stable")
    # A group without any energy weighs nothing, whatever the threshold is.
    enough = [one for one in heaviest.tolist() if sums[one] >= least and at[one] < at[one + 1]]
    for one in enough[:MOST_GROUPS]:
        yield chosen[order[at[one] : at[one + 1]]]


def typical(values: FloatArray) -> float:
    """What 95 of 100 like jobs needed at most: the value of one of them."""
    return float(np.percentile(values, PERCENTILE, method="higher"))


def advice(jobs: Jobs, kind: Kind, mine: IntArray, directive: Directive, saved: tuple[float | None, Why | None],
           unused_j: float = 0.0, **figures: float) -> Advice:  # fmt: skip
    """A line on some jobs, by their places."""
    order = mine[np.argsort(-jobs.drawn_j[mine], kind="stable")]
    return Advice(
        kind=kind,
        cluster=str(jobs.cluster[mine[0]]),
        subject=str(jobs.subject[mine[0]]),
        directive=directive,
        unused_j=unused_j,
        metered_j=float(jobs.drawn_j[mine].sum()),
        saved_j=saved[0],
        why=saved[1],
        jobs=tuple(jobs.key[order].tolist()),
        unmeasured=int(np.isnan(jobs.energy_j[mine]).sum()),
        figures=figures,
    )
