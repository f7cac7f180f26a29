"""Where the simulated cluster's stories are to be found: jobs, nodes and times, never a figure.

Each story comes again every week or every other week; what counts is its newest occurrence that is over and, since
some minutes, booked. What it shows is measured by the simulated meters and comes from the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from measurements.demo.faults import LateLog, dead_meter, late_log
from measurements.demo.recipes import Run
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import (
    FAILING_ARRAY,
    HELD_GPUS,
    INFERENCE_CPU,
    INFERENCE_GPU,
    RANKING,
    TRAINING_CPU,
    TRAINING_GPU,
    TWINS,
    plan_day,
)
from measurements.domain.units import EPOCH_DAY

LOOK_BACK_DAYS = 28
SETTLED_S = 900  # after its end a story's energy is booked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoryJob:
    """A job of a story; ``job_id`` is what the job's page is found by."""

    job_id: str
    name: str
    username: str
    account: str
    nodes: tuple[str, ...]
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Twins:
    """Two jobs of six hours on nodes of one type: the same estimate from runtime, metered several times apart."""

    busy: StoryJob
    stalled: StoryJob


@dataclass(frozen=True, slots=True)
class Ranking:
    """Jobs in the order of their estimates from runtime, the largest first; metered, it is the other way round."""

    jobs: tuple[StoryJob, ...]


@dataclass(frozen=True, slots=True)
class HeldGpus:
    """A CPU code that held all four GPUs of a node over night."""

    job: StoryJob


@dataclass(frozen=True, slots=True)
class NnUnet:
    """The same work several times over, on GPU nodes and on CPU nodes."""

    training_gpu: tuple[StoryJob, ...]
    training_cpu: tuple[StoryJob, ...]
    inference_gpu: tuple[StoryJob, ...]
    inference_cpu: tuple[StoryJob, ...]


@dataclass(frozen=True, slots=True)
class FailingArray:
    """An array all of whose tasks failed, all night."""

    array_id: str  # `5_*` is how the site names the whole of it
    username: str
    account: str
    tasks: tuple[StoryJob, ...]
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class DeadMeter:
    """A node whose BMC said nothing for three days, while its work went on as before."""

    node: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Late:
    """A node's power log of a past day that was delivered later; ``due_s`` is when."""

    node: str
    day: date
    due_s: int
    file_name: str


@dataclass(frozen=True, slots=True)
class Stories:
    """The newest occurrence of each story in the simulated time; None where there is none in it."""

    twins: Twins | None
    ranking: Ranking | None
    held_gpus: HeldGpus | None
    nnunet: NnUnet | None
    failing_array: FailingArray | None
    dead_meter: DeadMeter | None
    late: Late | None


def find_stories(seed: int, since_s: int, now_s: int) -> Stories:
    """The stories of a cluster that was simulated with ``seed`` from ``since_s`` on, as they stand at ``now_s``."""
    within = _Window(seed, since_s, now_s)
    return Stories(
        twins=within.newest(_twins),
        ranking=within.newest(_ranking),
        held_gpus=within.newest(_held_gpus),
        nnunet=within.newest(_nnunet),
        failing_array=within.newest(_failing_array),
        dead_meter=within.newest_fault(_dead_meter, lambda found: (found.start_s, found.end_s)),
        late=within.newest_fault(lambda day: _late(seed, day), lambda found: (_day_s(found.day), found.due_s)),
    )


@dataclass(frozen=True, slots=True)
class _Window:
    seed: int
    since_s: int
    now_s: int

    def newest(self, tell: Callable[[list[Run]], T | None]) -> T | None:
        """The newest complete occurrence of a story that lies in one operating day."""
        for day in self._days():
            runs = [run for run in plan_day(self.seed, day) if run.story]
            story = tell(runs)
            if story is not None and all(self._holds(run.start_s, run.end_s) for run in runs):
                return story
        return None

    def newest_fault(self, tell: Callable[[date], T | None], span: Callable[[T], tuple[int, int]]) -> T | None:
        """The newest fault of a meter that is over."""
        for day in self._days():
            story = tell(day)
            if story is not None and self._holds(*span(story)):
                return story
        return None

    def _holds(self, start_s: int, end_s: int) -> bool:
        return self.since_s <= start_s and end_s + SETTLED_S <= self.now_s

    def _days(self) -> Iterator[date]:
        today = EPOCH_DAY + timedelta(days=self.now_s // DAY_S)
        return (today - timedelta(days=back) for back in range(LOOK_BACK_DAYS))


def _told(runs: Iterable[Run], story: str) -> tuple[StoryJob, ...]:
    """A story's jobs, by start."""
    found = sorted((run for run in runs if run.story == story), key=lambda run: (run.start_s, run.raw_id))
    return tuple(
        StoryJob(
            run.job_id,
            run.recipe.name,
            run.person.username,
            run.person.account,
            run.lane.nodes,
            run.start_s,
            run.end_s,
        )
        for run in found
    )


def _twins(runs: list[Run]) -> Twins | None:
    jobs = _told(runs, TWINS)
    return Twins(*jobs) if jobs else None


def _ranking(runs: list[Run]) -> Ranking | None:
    jobs = _told(runs, RANKING)
    return Ranking(tuple(sorted(jobs, key=lambda job: job.start_s - job.end_s))) if jobs else None


def _held_gpus(runs: list[Run]) -> HeldGpus | None:
    jobs = _told(runs, HELD_GPUS)
    return HeldGpus(jobs[0]) if jobs else None


def _nnunet(runs: list[Run]) -> NnUnet | None:
    parts = [_told(runs, story) for story in (TRAINING_GPU, TRAINING_CPU, INFERENCE_GPU, INFERENCE_CPU)]
    return NnUnet(*parts) if all(parts) else None


def _failing_array(runs: list[Run]) -> FailingArray | None:
    tasks = _told(runs, FAILING_ARRAY)
    if not tasks:
        return None
    array_id = tasks[0].job_id.partition("_")[0]
    end_s = max(task.end_s for task in tasks)
    return FailingArray(array_id, tasks[0].username, tasks[0].account, tasks, tasks[0].start_s, end_s)


def _dead_meter(day: date) -> DeadMeter | None:
    found = dead_meter(day)
    return DeadMeter(found.node, found.start_s, found.end_s) if found else None


def _late(seed: int, day: date) -> Late | None:
    found: LateLog | None = late_log(seed, day)
    return Late(found.node, found.day, found.due_s, found.file_name) if found else None


def _day_s(day: date) -> int:
    return (day - EPOCH_DAY).days * DAY_S
