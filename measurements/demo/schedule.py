"""The timetable: which job held what, and when.

Each pool of nodes has an *operating day* of 24 hours that begins at its own hour (UTC). All
jobs of an operating day start and end inside it and are drawn from (seed, pool, day) alone:
days can be planned in any order, and planning more of them changes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from measurements.demo.cluster import CPU, GPU4, HIGH_MEMORY, MIXED, PEOPLE, Person
from measurements.demo.physics import Load, Profile
from measurements.domain.units import EPOCH_DAY, MS_PER_S, S_PER_HOUR, day_start_ms

DAY_S = 86_400
FIRST_ID_DAY = date(2020, 1, 1)
IDS_PER_DAY = 1_000
IDS_PER_POOL = 250


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of job: who submits it, how long it takes [h], how hard it works."""

    name: str
    usernames: tuple[str, ...]
    hours: tuple[float, float]
    profile: Profile


@dataclass(frozen=True, slots=True)
class Lane:
    """What one job at a time can hold: some cores and GPUs of each of some nodes."""

    partition: str
    nodes: tuple[str, ...]
    cpus: int  # of each node
    gpu_indices: tuple[int, ...] = ()  # on each node


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one simulated job. Instants in whole seconds since the epoch, [start, end)."""

    job_id: str
    raw_id: int
    person: Person
    recipe: Recipe
    lane: Lane
    submit_s: int
    start_s: int
    end_s: int
    limit_s: int
    state: str

    def load(self) -> Load:
        """What it asks of each of its nodes."""
        return Load(self.start_s, self.end_s, self.lane.cpus, self.lane.gpu_indices, self.recipe.profile)


CFD = Recipe("cfd-channel", ("bob", "dave"), (2.0, 7.0), Profile(cpu=0.92, dip=0.3, period_s=900))
REGIONAL_CLIMATE = Recipe("regional-climate", ("bob",), (23.7, 23.7), Profile(cpu=0.80, dip=0.5, period_s=3600))
MEMORY_BOUND = Recipe("sparse-solver", ("dave", "heidi"), (2.0, 6.0), Profile(cpu=0.16))
MOLECULES = Recipe("md-membrane", ("grace", "heidi"), (1.0, 5.0), Profile(cpu=0.97))
STATISTICS = Recipe("r-statistics", ("erin", "frank", "dave"), (0.5, 5.0), Profile(cpu=0.55, dip=0.6, period_s=420))
ASSEMBLY = Recipe("genome-assembly", ("erin", "frank"), (2.0, 8.0), Profile(cpu=0.70, dip=0.5, period_s=2400))
ALIGNMENT = Recipe("align-reads", ("erin",), (0.4, 0.9), Profile(cpu=0.88))
NNUNET_CPU = Recipe("nnunet-predict-cpu", ("alice", "carol"), (0.7, 2.5), Profile(cpu=0.90, dip=0.4, period_s=240))
TRAINING = Recipe(
    "nnunet-train", ("alice", "carol"), (3.0, 9.0), Profile(0.22, 0.93, 0.6, period_s=300, dip_share=0.12)
)
LONG_TRAINING = Recipe("nnunet-train-folds", ("alice",), (23.7, 23.7), Profile(0.25, 0.95, 0.5, period_s=360))
INFERENCE = Recipe(
    "nnunet-predict", ("alice", "carol"), (0.4, 3.0), Profile(0.35, 0.45, 0.8, period_s=90, dip_share=0.4)
)
EMBEDDING = Recipe("embed-sequences", ("frank", "erin"), (1.0, 5.0), Profile(0.15, 0.75, 0.3, period_s=150))
IDLE_GPUS = Recipe("coupled-cluster", ("grace",), (11.5, 11.5), Profile(cpu=0.95, gpu=0.0))
PRE_AND_POST = Recipe("coupled-ocean", ("bob",), (3.0, 3.0), Profile(cpu=0.75, dip=0.4, period_s=1200))


@dataclass(slots=True)
class _Plan:
    """The operating day of one pool while it is being filled."""

    rng: np.random.Generator
    next_id: int
    start_s: int
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
        """Let one job follow another on the lane."""
        at_s = from_s + int(self.rng.integers(20, 1_200))
        while at_s < until_s - 900:
            recipe = recipes[int(self.rng.integers(len(recipes)))]
            run = self.add(lane, recipe, at_s, until_s)
            at_s = run.end_s + int(self.rng.exponential(700)) + 5

    def add(self, lane: Lane, recipe: Recipe, start_s: int, until_s: int, *, state: str = "") -> Run:
        """One job of its own id; its fate is drawn if no state is given."""
        raw_id = self.take_ids()
        person = self._person(recipe)
        planned_s = min(int(self.rng.uniform(*recipe.hours) * S_PER_HOUR), until_s - 60 - start_s)
        return self._record(str(raw_id), raw_id, person, recipe, lane, start_s, planned_s, state or self._fate())

    def _person(self, recipe: Recipe) -> Person:
        return PEOPLE[recipe.usernames[int(self.rng.integers(len(recipe.usernames)))]]

    def _fate(self) -> str:
        states = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY")
        return str(self.rng.choice(states, p=(0.84, 0.07, 0.03, 0.04, 0.02)))

    def _record(
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
    ) -> Run:
        """Note one run; what did not complete stops early, what hit its limit stops there."""
        elapsed_s = planned_s
        if state in ("FAILED", "CANCELLED", "OUT_OF_MEMORY"):
            elapsed_s = max(1, int(planned_s * self.rng.beta(1.2, 3.0)))
        limit_s = planned_s // 60 * 60 if state == "TIMEOUT" else (planned_s // 1_200 + 2) * 1_200
        elapsed_s = limit_s + 20 if state == "TIMEOUT" else elapsed_s  # the batch system looks every half minute
        waited_s = int(self.rng.exponential(2_400)) + 2
        submit_s = start_s - waited_s if submit_s is None else submit_s
        run = Run(job_id, raw_id, person, recipe, lane, submit_s, start_s, start_s + elapsed_s, limit_s, state)
        self.runs.append(run)
        return run

    def add_array(self, lanes: Sequence[Lane], recipe: Recipe, start_s: int, until_s: int) -> None:
        """An array that works through its tasks on some lanes; its own id goes to the last task, as in Slurm."""
        starts: list[tuple[int, Lane, int]] = []
        for lane in lanes:
            at_s = start_s + int(self.rng.integers(1, 30))
            while at_s < until_s - 3_400:
                planned_s = int(self.rng.uniform(*recipe.hours) * S_PER_HOUR)
                starts.append((at_s, lane, planned_s))
                at_s += planned_s + int(self.rng.integers(2, 20))
        starts.sort(key=lambda task: task[0])
        array_id, person = self.take_ids(len(starts)), self._person(recipe)
        for task, (at_s, lane, planned_s) in enumerate(starts):
            raw_id = array_id if task == len(starts) - 1 else array_id + task + 1
            state = "FAILED" if self.rng.random() < 0.1 else "COMPLETED"
            self._record(f"{array_id}_{task}", raw_id, person, recipe, lane, at_s, planned_s, state, start_s - 60)

    def add_het(self, lanes: Sequence[Lane], recipe: Recipe, start_s: int) -> int:
        """A heterogeneous job, one component on each lane at the same time; returns its end."""
        leader, person = self.take_ids(len(lanes)), self._person(recipe)
        planned_s = int(recipe.hours[0] * S_PER_HOUR)
        for offset, lane in enumerate(lanes):
            label = f"{leader}+{offset}"
            self._record(label, leader + offset, person, recipe, lane, start_s, planned_s, "COMPLETED", start_s - 300)
        return start_s + planned_s

    def add_requeued(self, lane: Lane, recipe: Recipe, start_s: int, until_s: int) -> int:
        """A job whose node fails and that starts again under its id; returns the second run's end."""
        raw_id, person = self.take_ids(), self._person(recipe)
        first = self._record(str(raw_id), raw_id, person, recipe, lane, start_s, 2_700, "NODE_FAIL")
        planned_s = min(int(recipe.hours[0] * S_PER_HOUR), until_s - first.end_s - 700)
        again_s = first.end_s + 600
        run = self._record(str(raw_id), raw_id, person, recipe, lane, again_s, planned_s, "COMPLETED", first.end_s)
        return run.end_s


def _lanes(partition: str, node: str, cpus: int, count: int, gpus: int = 0) -> list[Lane]:
    """`count` equal lanes on one node; the first `gpus` of them hold one GPU each."""
    return [Lane(partition, (node,), cpus, (index,) if index < gpus else ()) for index in range(count)]


def _plan_exclusive(plan: _Plan, day: date) -> None:
    """Whole CPU nodes: one long job, the others alone or in pairs."""
    nodes = CPU.nodes[:3]
    plan.add(Lane("batch", nodes[:1], CPU.cpus), REGIONAL_CLIMATE, plan.at(0.05), plan.end_s, state="COMPLETED")
    recipes = (CFD, MEMORY_BOUND, MOLECULES)
    pair = Lane("batch", nodes[1:], CPU.cpus)
    singles = [Lane("batch", (node,), CPU.cpus) for node in nodes[1:]]
    split_s = plan.at(float(plan.rng.uniform(9, 15)))
    plan.fill(pair, (CFD, MOLECULES), plan.start_s, split_s)
    if day.toordinal() % 7 == 2:
        split_again_s = plan.add_requeued(singles[0], CFD, split_s, plan.end_s)
        plan.fill(singles[0], recipes, split_again_s, plan.end_s)
        plan.fill(singles[1], recipes, split_s, plan.end_s)
    else:
        for lane in singles:
            plan.fill(lane, recipes, split_s, plan.end_s)


def _plan_shared(plan: _Plan, day: date) -> None:
    """CPU and high-memory nodes shared by lanes; an array every evening, a het job every fifth day."""
    small = _lanes("shared", CPU.nodes[3], 16, 4)
    array = _lanes("shared", CPU.nodes[4], 16, 4)
    big = [lane for node in HIGH_MEMORY.nodes for lane in _lanes("highmem", node, 32, 3)]
    evening_s, night_s = plan.at(13.0), plan.at(19.0)
    free_s = plan.start_s
    if day.toordinal() % 5 == 0:
        free_s = plan.add_het((big[0], small[0]), PRE_AND_POST, plan.at(0.1))
    for index, lane in enumerate(small):
        plan.fill(lane, (STATISTICS, NNUNET_CPU, MOLECULES), free_s if index == 0 else plan.start_s, plan.end_s)
    for index, lane in enumerate(big):
        plan.fill(lane, (ASSEMBLY, STATISTICS), free_s if index == 0 else plan.start_s, plan.end_s)
    for lane in array:
        plan.fill(lane, (STATISTICS, NNUNET_CPU), plan.start_s, evening_s)
        plan.fill(lane, (STATISTICS,), night_s, plan.end_s)
    plan.add_array(array, ALIGNMENT, evening_s, night_s)


def _plan_gpu(plan: _Plan, day: date) -> None:
    """Four-GPU nodes: whole for long trainings, by the GPU, and a CPU code that leaves its four GPUs idle."""
    whole = [Lane("gpu", (node,), GPU4.cpus, tuple(range(GPU4.gpus))) for node in GPU4.nodes]
    plan.add(whole[0], LONG_TRAINING, plan.at(0.05), plan.end_s, state="COMPLETED")
    for lane in _lanes("gpu", GPU4.nodes[1], 16, 4, gpus=4):
        plan.fill(lane, (TRAINING, INFERENCE, EMBEDDING), plan.start_s, plan.end_s)
    if day.toordinal() % 2:
        plan.fill(whole[2], (TRAINING,), plan.start_s, plan.end_s)
        return
    evening_s = plan.at(6.0)
    plan.fill(whole[2], (INFERENCE, TRAINING), plan.start_s, evening_s)
    held = plan.add(whole[2], IDLE_GPUS, evening_s + 60, plan.end_s, state="COMPLETED")
    plan.fill(whole[2], (INFERENCE, EMBEDDING), held.end_s, plan.end_s)


def _plan_mixed(plan: _Plan, _day: date) -> None:
    """Nodes with cores to spare beside two small GPUs: two lanes with a GPU, one without."""
    for node in MIXED.nodes:
        for lane in _lanes("mixed", node, 12, 2, gpus=2):
            plan.fill(lane, (INFERENCE, EMBEDDING), plan.start_s, plan.end_s)
        plan.fill(Lane("mixed", (node,), 24), (STATISTICS, NNUNET_CPU), plan.start_s, plan.end_s)


# Begin of the operating day [h UTC] and how it is filled. Two begins, so that at any instant a long job runs.
POOLS = ((6, _plan_exclusive), (6, _plan_shared), (12, _plan_gpu), (12, _plan_mixed))


def plan_day(seed: int, day: date) -> list[Run]:
    """All runs of the operating days that begin on a UTC day."""
    runs: list[Run] = []
    for pool, (hour, fill) in enumerate(POOLS):
        rng = np.random.default_rng((seed, 1, pool, (day - EPOCH_DAY).days))
        first_id = (day - FIRST_ID_DAY).days * IDS_PER_DAY + pool * IDS_PER_POOL + 1
        plan = _Plan(rng, first_id, day_start_ms(day) // MS_PER_S + hour * S_PER_HOUR)
        fill(plan, day)
        if plan.next_id > first_id + IDS_PER_POOL:
            raise AssertionError(f"pool {pool} used up its job ids on {day}")
        runs += plan.runs
    return runs


def plan_period(seed: int, start_s: int, end_s: int) -> list[Run]:
    """Runs that overlap [start, end) or are submitted in it, by start."""
    runs = [run for day in _days(start_s, end_s) for run in plan_day(seed, day)]
    wanted = [run for run in runs if run.end_s > start_s and run.submit_s < end_s]
    return sorted(wanted, key=lambda run: (run.start_s, run.raw_id))


def _days(start_s: int, end_s: int) -> Iterator[date]:
    """Days whose operating day can reach into [start, end); jobs may wait for a day."""
    day = EPOCH_DAY + timedelta(days=start_s // DAY_S - 1)
    last = EPOCH_DAY + timedelta(days=end_s // DAY_S + 1)
    while day <= last:
        yield day
        day += timedelta(days=1)
