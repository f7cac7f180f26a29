"""Of many jobs a sample without counting them: against the rows, read one by one."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from measurements.models import WorkloadJob
from measurements.models.workloads import LOTS
from measurements.selectors import workload_sample
from measurements.selectors.workload_sample import sample_of
from tests.portal.workload_world import ran

pytestmark = pytest.mark.django_db


def ran_often(node_type: str, count: int, phase: str = "training", workload: str = "nnunet") -> list[int]:
    """Jobs in lots as the site draws them, so to speak; by lot, the least first."""
    jobs = [ran("alice", node_type, 1e6, phase=phase, workload=workload).pk for _ in range(count)]
    for job in jobs:
        WorkloadJob.objects.filter(pk=job).update(lot=job * 7_919 % LOTS)
    return list(WorkloadJob.objects.filter(pk__in=jobs).order_by("lot", "pk").values_list("pk", flat=True))


def taken(workload: str, most: int, phase: str | None = None, *, halved: bool = False) -> set[int]:
    rows = sample_of(workload, most, phase, halved=halved).rows
    assert np.all(np.diff(rows["job"]) > 0), "in the order of their ids"
    return set(rows["job"].tolist())


def test_all_of_a_few_jobs_are_taken_whatever_their_node_type() -> None:
    jobs = [*ran_often("cpu", 3), *ran_often("gpu", 2, phase="inference"), *ran_often("", 2, phase="")]
    ran_often("cpu", 2, workload="other")
    assert taken("nnunet", 3) == set(jobs)
    assert sample_of("nnunet", 3).whole


def test_of_a_large_group_the_first_by_lot_are_taken_and_all_of_the_small_ones() -> None:
    many, few, unknown = ran_often("cpu", 30), ran_often("gpu", 4), ran_often("", 12, phase="inference")
    found = sample_of("nnunet", 10)
    assert set(found.rows["job"].tolist()) == {*many[:10], *few, *unknown[:10]}
    assert not found.whole


def test_jobs_of_one_lot_are_taken_together_or_not_at_all() -> None:
    jobs = ran_often("cpu", 9)
    lots = {job: [1, 2, 2, 2, 5, 6, 7, 8, 9][place] for place, job in enumerate(jobs)}
    for job, lot in lots.items():
        WorkloadJob.objects.filter(pk=job).update(lot=lot)
    assert taken("nnunet", 3) == {jobs[0]}
    assert taken("nnunet", 4) == set(jobs[:4])


def test_halved_the_lots_taken_are_a_half_a_quarter_an_eighth() -> None:
    jobs = ran_often("cpu", 64)
    lots = dict(WorkloadJob.objects.values_list("pk", "lot"))
    for most, lot in ((40, LOTS // 2), (20, LOTS // 4), (10, LOTS // 8)):
        assert LOTS > lots[jobs[most]] >= lot, "the world is as the test needs it"
        assert taken("nnunet", most, halved=True) == {job for job in jobs if lots[job] < lot}


def test_a_few_more_jobs_do_not_change_which_of_the_others_are_taken_when_halved() -> None:
    ran_often("cpu", 64)
    before = taken("nnunet", 40, halved=True)
    more = set(ran_often("cpu", 6))
    assert taken("nnunet", 40, halved=True) - more == before


def test_of_one_phase_the_others_are_not_read() -> None:
    training, inference = ran_often("cpu", 12), ran_often("cpu", 12, phase="inference")
    assert taken("nnunet", 5, "training") == set(training[:5])
    assert taken("nnunet", 5, "inference") == set(inference[:5])
    assert taken("nnunet", 5, "other") == set()


def test_of_a_workload_that_is_not_there_nothing_is_taken() -> None:
    found = sample_of("nobody's", 5)
    assert (len(found.rows), found.whole) == (0, True)
    assert {"energy_j", "phase", "job"} <= set(found.rows.names())


def test_there_may_be_more_groups_than_one_query_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job for name in "abcde" for job in ran_often(name, 2)]
    monkeypatch.setattr(workload_sample, "_PARTS_AT_ONCE", 2)
    assert taken("nnunet", 2) == set(jobs)


def test_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ran_often("cpu", 6)
    ran_often("gpu", 6, phase="inference")
    with django_assert_num_queries(2):
        sample_of("nnunet", 3)
