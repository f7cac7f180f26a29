"""What a workload's report says: by hand, of few jobs."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from measurements.domain.workload_figures import Comparison, Unranked
from measurements.domain.workload_findings import Guess, Verdict
from measurements.models import Scope, WorkloadJob
from measurements.selectors.workload_report import Asked, Part, Span, WorkloadReport, workload_report
from tests.conftest import People
from tests.portal.workload_world import ran

NOW = datetime(2025, 6, 15, tzinfo=UTC)


def report_to(viewer: User, **asked: object) -> WorkloadReport:
    found = workload_report(viewer, "nnunet", Asked(**asked), NOW)  # type: ignore[arg-type]
    assert found is not None
    return found


def only(report: WorkloadReport) -> Part:
    assert len(report.parts) == 1
    return report.parts[0]


def ranked(comparison: Comparison) -> list[tuple[str, int | None]]:
    return [(one.node_type, one.rank.best if one.rank else None) for one in comparison.types]


def several(node_type: str, energy_j: float, count: int = 9, **more: object) -> None:
    for place in range(count):
        ran("alice", node_type, energy_j * (1 + 0.01 * place), **more)  # type: ignore[arg-type]


def test_node_types_side_by_side_the_least_per_unit_of_work_first(people: People) -> None:
    for energy_j, work in ((1e6, 100), (2e6, 100), (3e6, 100), (8e6, 200), (5e6, 100)):
        ran("alice", "gpu", energy_j, work=work, runtime_s=1800.0, gpus=1)
    several("cpu", 9e6, 5)
    part = only(report_to(people.olga))
    gpu, cpu = part.comparison.types
    assert (gpu.node_type, cpu.node_type) == ("gpu", "cpu")
    assert gpu.per_unit_j is not None
    assert (gpu.n, gpu.per_unit_j.low, gpu.per_unit_j.median, gpu.per_unit_j.high) == (5, 2e4, 3e4, 4e4)
    assert (gpu.energy_j.median, gpu.runtime_s.median, gpu.accelerated, cpu.accelerated) == (3e6, 1800.0, True, False)
    assert ranked(part.comparison) == [("gpu", 1), ("cpu", 2)]
    assert part.comparison.unranked is None


def test_unlike_phases_sizes_targets_and_units_are_never_mixed(people: People) -> None:
    for more in ({}, {"phase": "inference"}, {"size": "large"}, {"target": "99"}, {"unit": "cases"}, {"work": None}):
        ran("alice", "cpu", 1e6, **more)
    report = report_to(people.olga)
    assert [part.comparison.jobs for part in report.parts] == [1] * 6
    assert len({part.cell for part in report.parts}) == 6
    assert [part.cell.size for part in report_to(people.olga, size="large").parts] == ["large"]
    assert [part.cell.unit for part in report_to(people.olga, unit="").parts] == [""]


def test_only_completed_jobs_measured_throughout_on_one_type_count(people: People) -> None:
    several("cpu", 1e6, 5)
    ran("alice", "cpu", 9e6, state="FAILED")
    ran("alice", "cpu", 9e6, coverage=0.94, quality="partial")
    ran("alice", "cpu", 9e6, quality="estimated")
    ran("alice", "", 9e6)
    ran("alice", "cpu", 9e6, excused=True, state="NODE_FAIL")
    report = report_to(people.olga)
    (cpu,) = only(report).comparison.types
    assert (cpu.n, cpu.failed, cpu.failed_j) == (5, 1, 9e6)
    assert report.left_out is not None
    left = report.left_out
    assert (left.failed, left.unmeasured, left.several, left.excused) == (1, 2, 1, 1)


@pytest.mark.parametrize(
    ("why", "more", "count"),
    [
        (Unranked.FEW_JOBS, {}, 4),
        (Unranked.SCOPES, {"scope": Scope.NODE_DC}, 9),
        (Unranked.SCOPES, {"scope": Scope.NODE_WITHOUT_GPUS}, 9),
    ],
)
def test_a_ranking_is_withheld_where_it_would_not_hold(
    people: People, why: Unranked, more: dict[str, object], count: int
) -> None:
    several("cpu", 1e6)
    several("gpu", 5e6, count, **more)
    comparison = only(report_to(people.olga)).comparison
    assert comparison.unranked is why
    assert ranked(comparison) == [("cpu", None), ("gpu", None)], "in the order measured"


def test_no_ranking_where_too_many_jobs_are_not_measured(people: People) -> None:
    several("cpu", 1e6)
    several("gpu", 5e6, 7)
    several("gpu", 1e5, 2, coverage=0.5, quality="partial")
    assert only(report_to(people.olga)).comparison.unranked is Unranked.COVERAGE
    several("third", 3e6)
    assert ranked(only(report_to(people.olga)).comparison) == [("cpu", 1), ("third", 2), ("gpu", None)]


def test_no_ranking_without_work_or_of_one_type(people: People) -> None:
    several("cpu", 1e6, work=None)
    several("gpu", 5e6, work=None)
    assert only(report_to(people.olga)).comparison.unranked is Unranked.NO_WORK
    several("cpu", 1e6, unit="cases")
    assert report_to(people.olga, unit="cases").parts[0].comparison.unranked is Unranked.ONE_TYPE


def test_types_whose_intervals_overlap_share_a_rank_and_name_each_other(people: People) -> None:
    for place in range(15):
        ran("alice", "one", 1e6 + 1e5 * place)
        ran("alice", "two", 1.05e6 + 1e5 * place)
        ran("alice", "three", 9e6 + 1e5 * place)
    comparison = only(report_to(people.olga)).comparison
    assert ranked(comparison) == [("one", 1), ("two", 1), ("three", 3)]
    assert [comparison.ties(one) for one in comparison.types] == [("two",), ("one",), ()]


# --- Findings -----------------------------------------------------------------------------------


def test_where_the_estimate_or_the_runtime_flips_the_order(people: People) -> None:
    """Metered 1 and 3 MJ; 2 h and 1 h, and so estimated 0.36 and 0.18 MJ."""
    several("slow", 1e6, runtime_s=7200.0)
    several("fast", 3e6, runtime_s=3600.0)
    found = {flip.guess: flip for flip in only(report_to(people.olga)).flips}
    for guess in Guess:
        flip = found[guess]
        assert (flip.less.node_type, flip.more.node_type, flip.proven) == ("slow", "fast", True)
        assert flip.metered == pytest.approx(3.0)
        assert flip.guessed == pytest.approx(0.5)
    slow = only(report_to(people.olga)).comparison.types[0]
    assert slow.estimated is not None
    assert slow.estimated.median == pytest.approx(1.04e6 / 0.36e6)


def test_what_idle_gpus_cost(people: People) -> None:
    several("gpu", 1e6, 5, gpus=2, gpu_held_s=7200.0, gpu_idle_j=2e5)
    (gpu,) = only(report_to(people.olga)).comparison.types
    assert gpu.idle is not None
    assert gpu.idle.idle_j == pytest.approx(1e6)
    assert gpu.idle.share == pytest.approx(1e6 / 5.1e6)
    assert gpu.idle.per_unit_j == pytest.approx(1.02e4 - 2e3)


@pytest.mark.parametrize(
    ("cpu_j", "verdict"), [(1.01e6, Verdict.NEAR), (0.5e6, Verdict.LESS), (3e6, Verdict.MORE), (1.24e6, Verdict.MORE)]
)
def test_where_processors_do_as_well_as_accelerators(people: People, cpu_j: float, verdict: Verdict) -> None:
    several("gpu", 1e6, 40, gpus=1)
    several("cpu", cpu_j, 40)
    (beside,) = only(report_to(people.olga)).beside
    assert (beside.plain.node_type, beside.accelerated.node_type, beside.verdict) == ("cpu", "gpu", verdict)
    assert beside.ratio.value == pytest.approx(cpu_j / 1e6)
    assert beside.ratio.low < beside.ratio.value < beside.ratio.high


def test_nothing_is_said_of_processors_where_the_data_do_not(people: People) -> None:
    several("gpu", 1e6, gpus=1)
    several("cpu", 1e6, 4)
    several("other", 1e6, scope=Scope.NODE_DC)
    assert only(report_to(people.olga)).beside == ()


def test_the_front_is_of_equal_work_only(people: People) -> None:
    """fast: 1 h and 5 MJ; slow: 2 h and 3 MJ; bad: 2 h and 5 MJ, thrice each; other amounts are left out."""
    for name, hours, energy_j in (("fast", 1, 5e6), ("slow", 2, 3e6), ("bad", 2, 6e6)):
        for _ in range(3):
            ran("alice", name, energy_j, runtime_s=3600.0 * hours, work=100 * (1 + 1e-12))
        ran("alice", name, energy_j / 100, runtime_s=36.0, work=1.0 + hours)
    front = only(report_to(people.olga)).front
    assert front is not None
    assert front.work == pytest.approx(100)
    assert [(point.node_type, point.n, point.front) for point in front.points] == [
        ("fast", 3, True), ("slow", 3, True), ("bad", 3, False),
    ]  # fmt: skip


# --- Time, names, queries -----------------------------------------------------------------------


def test_a_period_holds_the_jobs_that_ended_in_it(people: People) -> None:
    ran("alice", "cpu", 1e6, when=datetime(2024, 12, 31, 23, tzinfo=UTC))
    ran("alice", "cpu", 2e6, when=datetime(2025, 1, 1, tzinfo=UTC))
    assert only(report_to(people.olga)).comparison.jobs == 2
    assert only(report_to(people.olga, span=Span.LAST_YEAR)).comparison.types[0].energy_j.median == 1e6
    assert only(report_to(people.olga, span=Span.THIS_YEAR)).comparison.types[0].energy_j.median == 2e6
    days = {"first": date(2025, 1, 1), "last": date(2025, 1, 1)}
    assert only(report_to(people.olga, **days)).comparison.types[0].energy_j.median == 2e6


def test_a_name_that_two_clusters_use_has_the_cluster_beside_it(people: People) -> None:
    ran("alice", "cpu", 1e6)
    ran("alice", "cpu", 2e6, cluster="other")
    ran("alice", "gpu", 3e6)
    assert [one.node_type for one in only(report_to(people.olga)).comparison.types] == ["cpu (c)", "cpu (other)", "gpu"]


def test_of_many_jobs_a_sample_is_looked_at(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    several("cpu", 1e6, 60)
    monkeypatch.setattr("measurements.selectors.workload_report.MOST_OF_A_GROUP", 20)
    report = report_to(people.olga)
    assert report.sample
    assert 5 < only(report).comparison.jobs < 40
    assert only(report).comparison == only(report_to(people.olga)).comparison


def test_queries(people: People, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    several("cpu", 1e6, 5)
    for viewer in (people.alice, people.olga):
        viewer.has_perm("measurements.view_all_jobs")
    with django_assert_num_queries(3):  # groups, rows, names of node types
        report_to(people.olga)
    with django_assert_num_queries(5):  # own groups and rows besides
        report_to(people.alice)


def test_what_does_not_exist_has_no_report(people: People) -> None:
    assert workload_report(people.olga, "nnunet", Asked(), NOW) is None
    assert not WorkloadJob.objects.exists()
