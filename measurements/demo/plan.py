"""The operating day of one pool of nodes while it is being filled with jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from measurements.demo.people import PEOPLE, Person
from measurements.demo.recipes import Lane, Recipe, Run
from measurements.demo.rhythm import DAY_S
from measurements.domain.units import S_PER_HOUR

MEAN_WAIT_S, LONGEST_WAIT_S = 7_200, 72_000
LEAST_S = 7_200  # nobody starts a job for less before the operating day ends
_FATES = {"FAILED": 0.06, "TIMEOUT": 0.03, "CANCELLED": 0.03, "OUT_OF_MEMORY": 0.01}  # as it usually goes
_UP_TO = tuple(accumulate(_FATES.values()))
SPREAD = 0.12  # jobs of the same work differ by so much either way


@dataclass(slots=True)
class Plan:
    """Jobs are drawn one after the other from `rng`, so that the same seed gives the same day."""

    rng: np.random.Generator
    next_id: int
    start_s: int
    level: float  # the share of time for which nodes are held
    runs: list[Run] = field(default_factory=list)

    @property
    def end_s(self) -> int:
        return self.start_s + DAY_S

    def at(self, hours: float) -> int:
        """An instant, in hours after the operating day's begin."""
        return self.start_s + round(hours * S_PER_HOUR)

    def take_ids(self, count: int = 1) -> int:
        """The first of some fresh job ids."""
        first, self.next_id = self.next_id, self.next_id + count
        return first

    def fill(self, lane: Lane, recipes: Sequence[Recipe], from_s: int, until_s: int) -> None:
        """Let one job follow another on the lane, with as much time between them as the day is quiet."""
        free = 1.0 / self.level - 1.0
        at_s = from_s + int(self.rng.integers(20, 1_200) + self.rng.exponential(7_200 * free))
        while at_s < until_s - LEAST_S:
            recipe = recipes[int(self.rng.integers(len(recipes)))]
            run = self.add(lane, recipe, at_s, until_s)
            at_s = run.end_s + int(self.rng.exponential((run.end_s - run.start_s) * free)) + 5

    def add(self, lane: Lane, recipe: Recipe, start_s: int, until_s: int, *, state: str = "", story: str = "") -> Run:
        """One job of its own id; its fate is drawn if no state is given."""
        raw_id = self.take_ids()
        person = self.person(recipe)
        planned_s = min(int(self.rng.uniform(*recipe.hours) * S_PER_HOUR), until_s - 60 - start_s)
        fate = state or self._fate(person.habit.careless)
        return self.record(str(raw_id), raw_id, person, recipe, lane, start_s, planned_s, fate, story=story)

    def series(self, lane: Lane, recipe: Recipe, start_s: int, factors: Sequence[float], *, story: str) -> int:
        """Repetitions of some work, one after the other, each as long as its factor says; the last one's end."""
        at_s = start_s
        for factor in self.rng.permutation(factors).tolist():
            spread = factor * (1.0 + 0.01 * float(self.rng.uniform(-1, 1)))
            repeated = recipe.lasting(recipe.hours[0] * spread)
            at_s = self.add(lane, repeated, at_s, at_s + DAY_S, state="COMPLETED", story=story).end_s + 30
        return at_s

    def repeated(self, lane: Lane, recipe: Recipe, start_s: int, people: Sequence[str]) -> int:
        """The same amount of work by one person after the other, each at their pace; the last one's end."""
        at_s = start_s
        for name in people:
            pace = PEOPLE[name].habit.slow * (1.0 + SPREAD * float(self.rng.uniform(-1, 1)))
            own = replace(recipe.lasting(recipe.hours[0] * pace), usernames=(name,))
            at_s = self.add(lane, own, at_s, at_s + DAY_S).end_s + 30
        return at_s

    def person(self, recipe: Recipe) -> Person:
        """One of those who run such jobs."""
        return PEOPLE[recipe.usernames[int(self.rng.integers(len(recipe.usernames)))]]

    def _fate(self, careless: float) -> str:
        drawn = float(self.rng.random()) / careless
        return next((fate for fate, bound in zip(_FATES, _UP_TO, strict=True) if drawn < bound), "COMPLETED")

    def record(
        self,
        job_id: str,
        raw_id: int,
        person: Person,
        recipe: Recipe,
        lane: Lane,
        start_s: int,
        planned_s: int,
        state: str,
        submit_s: int | None = None,
        *,
        story: str = "",
    ) -> Run:
        """Note one run; what did not complete stops early, what hit its limit stops there."""
        elapsed_s = planned_s
        if state in ("FAILED", "CANCELLED", "OUT_OF_MEMORY") and not story:
            elapsed_s = max(1, int(planned_s * self.rng.beta(1.2, 3.0)))
        limit_s = planned_s // 60 * 60 if state == "TIMEOUT" else (planned_s // 1_200 + 2) * 1_200
        elapsed_s = limit_s + 20 if state == "TIMEOUT" else elapsed_s  # the batch system looks every half minute
        waited_s = min(int(self.rng.exponential(MEAN_WAIT_S)), LONGEST_WAIT_S) + 2
        submit_s = start_s - waited_s if submit_s is None else submit_s
        end_s = start_s + elapsed_s
        comment = _comment(recipe, lane, person, planned_s)
        run = Run(job_id, raw_id, person, recipe, lane, submit_s, start_s, end_s, limit_s, state, story, comment)
        self.runs.append(run)
        return run

    def add_array(
        self,
        lanes: Sequence[Lane],
        recipe: Recipe,
        start_s: int,
        until_s: int,
        *,
        failing: bool = False,
        story: str = "",
    ) -> None:
        """An array that works through its tasks on some lanes; its own id goes to the last task, as in Slurm."""
        starts: list[tuple[int, Lane, int]] = []
        for lane in lanes:
            at_s = start_s + int(self.rng.integers(1, 30))
            longest_s = recipe.hours[1] * S_PER_HOUR
            while at_s < until_s - longest_s:
                planned_s = int(self.rng.uniform(*recipe.hours) * S_PER_HOUR)
                starts.append((at_s, lane, planned_s))
                at_s += planned_s + int(self.rng.integers(2, 20))
        starts.sort(key=lambda task: task[0])
        array_id, person = self.take_ids(len(starts)), self.person(recipe)
        for task, (at_s, lane, planned_s) in enumerate(starts):
            raw_id = array_id if task == len(starts) - 1 else array_id + task + 1
            state = "FAILED" if failing or self.rng.random() < 0.1 else "COMPLETED"
            self.record(
                f"{array_id}_{task}", raw_id, person, recipe, lane, at_s, planned_s, state, start_s - 60, story=story
            )

    def add_het(self, lanes: Sequence[Lane], recipe: Recipe, start_s: int) -> int:
        """A heterogeneous job, one component on each lane at the same time; returns its end."""
        leader, person = self.take_ids(len(lanes)), self.person(recipe)
        planned_s = int(recipe.hours[0] * S_PER_HOUR)
        for offset, lane in enumerate(lanes):
            label = f"{leader}+{offset}"
            self.record(label, leader + offset, person, recipe, lane, start_s, planned_s, "COMPLETED", start_s - 300)
        return start_s + planned_s

    def add_requeued(self, lane: Lane, recipe: Recipe, start_s: int, until_s: int) -> int:
        """A job whose node fails and that starts again under its id; returns the second run's end."""
        raw_id, person = self.take_ids(), self.person(recipe)
        first = self.record(str(raw_id), raw_id, person, recipe, lane, start_s, 2_700, "NODE_FAIL")
        planned_s = min(int(recipe.hours[0] * S_PER_HOUR), until_s - first.end_s - 700)
        again_s = first.end_s + 600
        run = self.record(str(raw_id), raw_id, person, recipe, lane, again_s, planned_s, "COMPLETED", first.end_s)
        return run.end_s


def _comment(recipe: Recipe, lane: Lane, person: Person, planned_s: int) -> str:
    """What the job says of its work: who is slow gets less done in the same time."""
    if recipe.work is None:
        return ""
    share = lane.share(of_gpus=recipe.profile.gpu > 0)
    return recipe.work.comment(lane.node_type, share, planned_s / S_PER_HOUR / person.habit.slow)
