"""An oracle of boards and of the workload page: plain loops over jobs and ledger rows, with exact fractions.

Small worlds drawn by chance go through the real commands: jobs over midnight, failed and excused ones, ones without
declared work, on two node types, some with a gap in their samples. What a draft and the page say must be what the loops
say. Written from docs/leaderboards.md and the issue, not from the code.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from measurements.models import AllocationEnergy, Board, Cluster, Edition, Job, WorkloadJob
from measurements.selectors.board_rows import compose
from measurements.selectors.workload_report import Asked, workload_report
from tests.measurements.board_site import DAY, FIRST, GPU_IDLE_W, GPUS, IDLE_W, STEP_S, Work, build

pytestmark = [pytest.mark.django_db]
DAYS = 7
PEOPLE = [f"user{i}" for i in range(11)]
MARGIN = Fraction(105, 100)  # a node that only waits draws up to five per cent more than its idle power
LOST = {"FAILED", "TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", "DEADLINE"}
KWH = Fraction(3_600_000)


def drawn(seed: int) -> list[Work]:
    """Two or three jobs a day of each person, on nodes of their own."""
    rng = np.random.default_rng(seed)
    jobs = []
    for i, user in enumerate(PEOPLE):
        for day in range(6):
            for begin in (4, 36, 82)[: int(rng.integers(2, 4))]:  # the last one ends after midnight
                busy = int(rng.integers(4, 14))
                state = str(rng.choice(["COMPLETED"] * 6 + ["FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED"]))
                work = float(rng.choice([0.0, 1.0, 1.0, 1.0])) * busy * (1 + 0.2 * i) * float(rng.uniform(0.8, 1.2))
                jobs.append(
                    Work(
                        user, day * DAY + begin, busy, busy + int(rng.integers(0, 6)),
                        (f"{'gc'[i % 2]}{i}",), float(rng.uniform(150, 400)), round(work, 3), state,
                        account=f"account{i % 2}", tags="workload=nnunet phase=inference" if rng.random() < 0.9 else "",
                    )
                )  # fmt: skip
    return jobs


@pytest.fixture(autouse=True)
def three_are_enough() -> Iterator[None]:
    with override_settings(SMALLEST_GROUP=3):
        yield


def composed(kind: str, scope: str = "user", days: int = DAYS, **fields: Any) -> Any:
    tags = {"workload": "nnunet", "phase": "inference", "unit": "queries"} if kind in WORK else {}
    board = Board.objects.create(
        slug=f"{kind}-{scope}".replace("_", "-"), title=kind, kind=kind, scope=scope, created_by="olga",
        created_at=timezone.now(), **(tags | fields),
    )  # fmt: skip
    last = FIRST + timedelta(days=days - 1)
    edition = Edition.objects.create(board=board, number=1, first=FIRST, last=last, drafted_by="olga",
                                     drafted_at=timezone.now())  # fmt: skip
    return compose(edition, timezone.now())


WORK = ("energy_per_work", "improvement", "node_types")


# --- Plain loops ------------------------------------------------------------------------------------------------------


Ledger = dict[int, list[AllocationEnergy]]


def ledger(job: Job) -> list[AllocationEnergy]:
    """The rows of a job; all are read at the first one's."""
    if not _read:
        for row in AllocationEnergy.objects.select_related("node"):
            _read.setdefault(row.job_id, []).append(row)
    return _read.get(job.pk, [])


_read: Ledger = {}


def energy(job: Job) -> Fraction:
    return sum((Fraction(row.energy_j) for row in ledger(job)), Fraction(0))


def declared(job: Job) -> Fraction:
    """What the job's comment says, read here once more."""
    said = dict(word.split("=") for word in job.comment.split() if "=" in word)
    return Fraction(said.get("work", "0"))


def is_excused(job: Job) -> bool:
    return job.state in ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL")


def in_cell() -> list[Job]:
    return [job for job in Job.objects.all() if "workload=nnunet" in job.comment]


def per_work() -> dict[str, Fraction]:
    """Energy of all jobs of the cell but excused ones ÷ work of those that completed."""
    joules: dict[str, Fraction] = defaultdict(Fraction)
    work: dict[str, Fraction] = defaultdict(Fraction)
    for job in in_cell():
        if not is_excused(job):
            joules[job.username] += energy(job)
            work[job.username] += declared(job) if job.state == "COMPLETED" else 0
    return {name: joules[name] / work[name] for name in joules if work[name]}


def failed_share() -> dict[str, Fraction]:
    """Energy of failed jobs ÷ (that + what successful ones drew above idle)."""
    wasted: dict[str, Fraction] = defaultdict(Fraction)
    above: dict[tuple[str, Any], Fraction] = defaultdict(Fraction)
    for job in Job.objects.all():
        for row in ledger(job):
            if job.state in LOST:
                wasted[job.username] += Fraction(row.energy_j)
            elif job.state == "COMPLETED":
                gpus = GPUS if row.node.name.startswith("g") else 0
                idle_w = Fraction(IDLE_W) + gpus * Fraction(GPU_IDLE_W)
                above[job.username, row.day] += Fraction(row.energy_j) - MARGIN * idle_w * Fraction(
                    row.elapsed_us, 10**6
                )
    used: dict[str, Fraction] = defaultdict(Fraction)
    for (name, _), joules in above.items():
        used[name] += joules
    names = set(wasted) | set(used)
    return {name: wasted[name] / (wasted[name] + max(used[name], Fraction(0))) for name in names}


def idle_share() -> dict[str, Fraction]:
    """Energy of idle GPUs ÷ (that + what busy ones drew above idle in jobs that completed)."""
    idle: dict[str, Fraction] = defaultdict(Fraction)
    used: dict[str, Fraction] = defaultdict(Fraction)
    for job in Job.objects.all():
        if is_excused(job):
            continue
        for row in ledger(job):
            held_us, idle_us = row.gpu_held_us, row.gpu_idle_us
            idle[job.username] += Fraction(row.gpu_idle_j)
            busy = Fraction(row.gpu_energy_j) - Fraction(row.gpu_idle_j)
            if job.state == "COMPLETED":
                used[job.username] += busy - MARGIN * Fraction(GPU_IDLE_W) * Fraction(held_us - idle_us, 10**6)
    return {name: idle[name] / (idle[name] + used[name]) for name in idle if idle[name] + used[name] > 0}


def fit(name: str, *, tagged: bool = False, gpus: bool = False) -> bool:
    """Ten jobs on five days with a kilowatt-hour, 95 per cent of their time covered."""
    jobs = [job for job in (in_cell() if tagged else Job.objects.all()) if job.username == name and not is_excused(job)]
    rows = [row for job in jobs for row in ledger(job)]
    if len(jobs) < 10 or len({row.day for row in rows}) < 5:
        return False
    joules = sum(Fraction(row.gpu_energy_j if gpus else row.energy_j) for row in rows)
    return joules >= KWH and sum(row.covered_us for row in rows) >= 0.95 * sum(row.elapsed_us for row in rows)


drafts: dict[str, Any] = {}
ORACLES = {"energy_per_work": per_work, "failed_energy": failed_share, "idle_accelerators": idle_share}


def own_figures_are_those_of_plain_loops(kind: str) -> None:
    found = drafts.setdefault(kind, composed(kind, smallest_group=3))
    wanted = ORACLES[kind]()
    per = {"J": 1.0, "Wh": 3600.0, "kWh": 3.6e6, "": 1.0}[found.document.measure.energy_unit]
    compared = {name: seat.own[0] for name, seat in found.seats.items() if not seat.own[0]["reasons"]}
    for name, own in compared.items():
        assert own["value"] * per == pytest.approx(float(wanted[name]), rel=1e-9), name
    if found.seats:
        for name, own in ((name, seat.own[0]) for name, seat in found.seats.items()):
            assert (name in compared) == (
                fit(name, tagged=kind == "energy_per_work", gpus=kind == "idle_accelerators") and name in wanted
            ), (name, own)
            jobs = [
                job for job in (in_cell() if kind == "energy_per_work" else Job.objects.all()) if job.username == name
            ]
            if kind == "energy_per_work":
                assert (own["jobs"], own["excused"]) == (
                    sum(not is_excused(job) for job in jobs),
                    sum(map(is_excused, jobs)),
                )
    if kind != "idle_accelerators":  # six people have GPUs: in some worlds one of them has too few jobs
        assert len(compared) >= 6, "there is something to compare"


def bands_are_pooled_and_in_the_order_of_their_figures() -> None:
    found = drafts["energy_per_work"]
    per = {"J": 1.0, "Wh": 3600.0, "kWh": 3.6e6, "": 1.0}[found.document.measure.energy_unit]
    names = {seat.pseudonym: name for name, seat in found.seats.items() if seat.pseudonym}
    assert found.document.bands
    for row in found.document.bands:
        members = {names[one] for one in row.members}
        jobs = [job for job in in_cell() if job.username in members and not is_excused(job)]
        joules, work = sum(map(energy, jobs)), sum(declared(job) for job in jobs if job.state == "COMPLETED")
        if row.value is not None:
            assert row.value == float(f"{float(joules / work) / per:.1e}"), row
            assert row.low is not None
            assert row.low <= row.value
            assert row.high is None or row.value <= row.high


def places_are_what_they_are_said_to_be() -> None:
    """j is proven better than i if j's interval lies wholly below i's value less the upper quartile of the others'
    relative half-widths; worse likewise."""
    found = drafts["energy_per_work"]
    own = {name: seat.own[0] for name, seat in found.seats.items() if not seat.own[0]["reasons"]}
    for name, mine in own.items():
        others = [each for each in own.values() if each is not mine]
        down = _upper_quartile([(each["value"] - each["low"]) / each["value"] for each in others])
        up = _upper_quartile([(_high(each) - each["value"]) / each["value"] for each in others])
        best = 1 + sum(_high(each) < mine["value"] * (1 - down) for each in others)
        worst = len(own) - sum(each["low"] > mine["value"] * (1 + up) for each in others)
        assert (mine["best"], mine["worst"], mine["of"]) == (best, worst, len(own)), name


def _high(own: dict[str, Any]) -> float:
    return float("inf") if own["high"] is None else float(own["high"])


def _upper_quartile(values: list[float]) -> float:
    """Of two between which it lies the larger one."""
    place = 0.75 * (len(values) - 1)
    return sorted(values)[int(place) + (place % 1 > 1e-9)]


def node_types_are_compared_by_all_jobs_on_them() -> None:
    found = composed("node_types", "node_type", smallest_group=3)
    per = {"J": 1.0, "Wh": 3600.0, "kWh": 3.6e6}[found.document.measure.energy_unit]
    said = {row.name: row.value for row in found.document.rows}
    for kind in ("g", "c"):
        jobs = [job for job in in_cell() if not is_excused(job) and ledger(job)[0].node.name.startswith(kind)]
        work = sum(declared(job) for job in jobs if job.state == "COMPLETED")
        assert said[kind] == float(f"{float(sum(map(energy, jobs)) / work) / per:.2e}")


def projects_are_compared_by_all_jobs_of_their_people() -> None:
    found = composed("failed_energy", "project", smallest_group=3)
    said = {row.name: row.value for row in found.document.rows}
    if not said:
        pytest.fail(f"nothing to compare: {found.document.withheld}")
    for name, value in said.items():
        wasted, used = Fraction(0), Fraction(0)
        for job in Job.objects.filter(account=name):
            for row in ledger(job):
                gpus = GPUS if row.node.name.startswith("g") else 0
                idle = MARGIN * (Fraction(IDLE_W) + gpus * Fraction(GPU_IDLE_W)) * Fraction(row.elapsed_us, 10**6)
                wasted += Fraction(row.energy_j) if job.state in LOST else 0
                used += Fraction(row.energy_j) - idle if job.state == "COMPLETED" else 0
        assert value == float(f"{float(wasted / (wasted + used)):.1e}"), name


def test_improvement_is_held_against_the_same_person_s_period_before(tmp_path: Path) -> None:
    before = drawn(5)
    now = [replace(job, begin=job.begin + DAYS * DAY, watts=job.watts * (0.7 + 0.05 * int(job.user[4:])))
           for job in drawn(6)]  # fmt: skip
    build(tmp_path, "alpha", [*before, *now], 2 * DAYS)
    _read.clear()
    board = Board.objects.create(slug="past", title="past", kind="improvement", scope="user", workload="nnunet",
                                 phase="inference", unit="queries", smallest_group=3, created_by="olga",
                                 created_at=timezone.now())  # fmt: skip
    first = FIRST + timedelta(days=DAYS)
    edition = Edition.objects.create(board=board, number=1, first=first, last=first + timedelta(days=DAYS - 1),
                                     drafted_by="olga", drafted_at=timezone.now())  # fmt: skip
    seats = compose(edition, timezone.now()).seats
    split_ms = int(datetime.combine(first, datetime.min.time(), UTC).timestamp() * 1000)
    compared = {name: seat.own[0] for name, seat in seats.items() if not seat.own[0]["reasons"]}
    assert len(compared) >= 5
    for name, own in compared.items():
        sums = [[Fraction(0), Fraction(0)], [Fraction(0), Fraction(0)]]
        for job in in_cell():
            if job.username == name and not is_excused(job):
                later = int((job.end_ms or 0) >= split_ms)
                sums[later][0] += energy(job)
                sums[later][1] += declared(job) if job.state == "COMPLETED" else 0
        ratio = (sums[1][0] / sums[1][1]) / (sums[0][0] / sums[0][1])
        assert own["value"] == pytest.approx(float(ratio), rel=1e-9), name


# --- The workload page ------------------------------------------------------------------------------------------------


def medians_quartiles_and_counts_of_the_page_are_those_of_plain_loops() -> None:
    olga = User.objects.create_superuser("olga")
    report = workload_report(olga, "nnunet", Asked(), timezone.now())
    assert report is not None
    told = {(part.cell.unit, one.node_type): one for part in report.parts for one in part.comparison.types}
    groups: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in in_cell():
        rows = ledger(job)
        whole = sum(row.covered_us for row in rows) >= 0.95 * sum(row.elapsed_us for row in rows)
        if job.state == "COMPLETED" and whole:
            groups["queries" if declared(job) else "", rows[0].node.name[0]].append(job)
    assert set(told) == set(groups)
    for key, jobs in groups.items():
        one = told[key]
        assert one.n == len(jobs)
        _check(one.energy_j, [energy(job) for job in jobs])
        _check(one.runtime_s, [Fraction((job.end_ms or 0) - (job.start_ms or 0), 1000) for job in jobs])
        _check(
            one.estimated,
            [energy(job) / (400 * Fraction((job.end_ms or 0) - (job.start_ms or 0), 1000)) for job in jobs],
        )
        if key[0]:
            _check(one.per_unit_j, [energy(job) / declared(job) for job in jobs])
    lost = [job for job in in_cell() if job.state in LOST]
    assert report.left_out is not None
    assert report.left_out.failed == len(lost)
    assert report.left_out.excused == sum(map(is_excused, in_cell()))


def _check(spread: Any, values: list[Fraction]) -> None:
    if len(values) > 1:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        assert (spread.low, spread.median, spread.high) == pytest.approx((float(low), float(middle), float(high)))
        assert spread.interval.low <= spread.median <= spread.interval.high
    else:
        assert spread.median == pytest.approx(float(values[0]))


def a_row_for_comparing_is_the_sum_of_its_job_s_ledger() -> None:
    rows = {row.job_id: row for row in WorkloadJob.objects.all()}
    assert set(rows) == {job.pk for job in in_cell()}
    for job in in_cell():
        row = rows[job.pk]
        assert row.energy_j == pytest.approx(float(energy(job)), rel=1e-12)
        assert row.gpu_idle_j == pytest.approx(sum(each.gpu_idle_j for each in ledger(job)), rel=1e-12)
        assert (row.work or 0.0) == pytest.approx(float(declared(job)))
        assert row.excused == is_excused(job)
        assert row.runtime_s == ((job.end_ms or 0) - (job.start_ms or 0)) / 1000


def the_meters_say_what_the_jobs_did(world: list[Work]) -> None:
    """The logs' own words: what a job drew beyond idle and what its node drew idle."""
    drawn_j = sum(job.beyond_idle_j for job in world)
    for job in world:
        per_node = IDLE_W + (GPUS * GPU_IDLE_W if job.nodes[0].startswith("g") else 0.0)
        drawn_j += per_node * job.length * STEP_S
    assert float(sum(map(energy, Job.objects.all()))) == pytest.approx(drawn_j, rel=1e-6)
    assert Cluster.objects.count() == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_drafts_and_the_page_are_what_plain_loops_make_of_the_ledger(tmp_path: Path, seed: int) -> None:
    world = drawn(seed)
    build(tmp_path, "alpha", world, DAYS)
    _read.clear()
    drafts.clear()
    the_meters_say_what_the_jobs_did(world)
    a_row_for_comparing_is_the_sum_of_its_job_s_ledger()
    for kind in ORACLES:
        own_figures_are_those_of_plain_loops(kind)
    bands_are_pooled_and_in_the_order_of_their_figures()
    places_are_what_they_are_said_to_be()
    node_types_are_compared_by_all_jobs_on_them()
    projects_are_compared_by_all_jobs_of_their_people()
    medians_quartiles_and_counts_of_the_page_are_those_of_plain_loops()
