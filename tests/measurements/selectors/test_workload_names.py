"""Names of workloads in use: found along an index, the same as those of all jobs."""

from __future__ import annotations

from django.db import connection
from pytest_django import DjangoAssertNumQueries

from measurements.models import WorkloadJob
from measurements.selectors.workloads import names_in_use
from tests.conftest import People
from tests.portal.workload_world import ran


def test_every_name_is_found_once_in_one_query(
    people: People, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert names_in_use() == []
    for name in ("nnunet", "Zeta", "nnunet", "a b", "äpfel", "bert/large"):
        ran("alice", "cpu", 1e6, workload=name)
    with django_assert_num_queries(1):
        found = names_in_use()
    assert sorted(found) == sorted(set(WorkloadJob.objects.values_list("workload", flat=True)))
    assert len(found) == 5


def test_not_every_job_is_read_for_it(people: People) -> None:
    """As SQLite tells, on which these tests run."""
    from measurements.selectors.workloads import _FROM_NAME_TO_NAME

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {_FROM_NAME_TO_NAME}")
        steps = [row[3] for row in cursor.fetchall() if "workloadjob" in row[3]]
    assert len(steps) == 2
    assert all("SEARCH" in step and "COVERING INDEX" in step for step in steps), steps
