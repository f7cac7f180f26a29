"""Advice from the ledger: the sums of the roll-up, the part inside the period, what nodes are, nobody's jobs."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from pytest_django import DjangoAssertNumQueries

from measurements.domain.advice_kinds import Advice, Kind, Thresholds
from measurements.domain.usage import Granularity
from measurements.models import Job, Run
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.usage import Asked, Scope, usage
from measurements.selectors.waste import Waste, waste, waste_like, waste_of
from tests.measurements.selectors import test_usage_sums
from tests.measurements.selectors.test_usage_sums import BERLIN, PERIODS

pytestmark = [pytest.mark.django_db]
UTC = ZoneInfo("UTC")
ANY_KWH = Thresholds(least_j=0.0)
DAY_S, HOUR = 1_741_564_800, 3_600  # 2025-03-10T00:00Z
site = test_usage_sums.site

NODES = """node,node_type,cpus,memory_gib,idle_w,valid_from
n1,thin,8,32,100,
n1,thin,16,32,80,2025-03-11T00:00Z
n2,thin,8,32,,
"""
JOBS_HEAD = "job_id,user,account,state,start,end,nodes,submit,name,cpus,total_cpu_s,exclusive"


def days_ms(first: date, last: date, zone: ZoneInfo = UTC) -> tuple[int, int]:
    bounds = day_bounds_ms(first, last, zone)
    return int(bounds[0]), int(bounds[-1])


def run(folder: Path, command: str, name: str, text: str) -> None:
    (folder / name).write_text(text)
    call_command(command, str(folder / name), "--cluster", "c", stdout=StringIO(), stderr=StringIO())


def booked() -> None:
    call_command("attribute", "--cluster", "c", stdout=StringIO(), stderr=StringIO())


@pytest.fixture
def two_days(tmp_path: Path) -> Path:
    """Two nodes at 80 W for two days: a job with half the cores draws 40 W; from the 11th on n1 has twice as many."""
    run(tmp_path, "load_nodes", "nodes.csv", NODES)
    lines = [f"{DAY_S + 60 * i},{node},80" for node in ("n1", "n2") for i in range(48 * 60 + 1)]
    run(tmp_path, "ingest_power", "power.csv", "timestamp,node,watts\n" + "\n".join(lines) + "\n")
    return tmp_path


def jobs(folder: Path, *rows: str) -> None:
    run(folder, "ingest_jobs", "jobs.csv", "\n".join([JOBS_HEAD, *rows]) + "\n")
    booked()


def job(key: int, state: str, start_h: float, hours: float, node: str = "n1", *, cpus: int = 4, cpu_s: str = "") -> str:
    begin, end = (int(DAY_S + at * HOUR) for at in (start_h, start_h + hours))
    return f'{key},alice,physics,{state},{begin},{end},"{node}",{begin},fit,{cpus},{cpu_s},'


def both_days(first: int = 10, last: int = 11, thresholds: Thresholds = ANY_KWH) -> Waste:
    return waste("alice", *days_ms(date(2025, 3, first), date(2025, 3, last)), thresholds)


def the(found: Waste, kind: Kind) -> Advice:
    (line,) = [line for line in found.lines if line.kind is kind]
    return line


# --- The sums of the roll-up ----------------------------------------------------------------------------


@pytest.mark.parametrize("zone", [BERLIN, UTC], ids=str)
@pytest.mark.usefixtures("site")
def test_what_is_unused_is_what_the_roll_up_says(zone: ZoneInfo) -> None:
    seen = 0.0
    for first, last in PERIODS:
        for who in ("alice", "bob", "nobody"):
            found = waste(who, *days_ms(first, last, zone), ANY_KWH)
            cells = usage(Scope(username=who), Asked(first, last, zone, Granularity.MONTH, None)).cells
            assert found.advised.lost_j == pytest.approx(cells.failed_j.sum(), rel=1e-9, abs=1e-6)
            assert found.advised.idle_j == pytest.approx(cells.idle_j.sum(), rel=1e-9, abs=1e-6)
            assert found.energy_j == pytest.approx(cells.energy_j.sum(), rel=1e-9, abs=1e-6)
            assert sum(line.unused_j for line in found.lines) <= found.unused_j * (1 + 1e-9)
            assert (found.jobs == 0) == (cells.elapsed_s.sum() == 0)
            seen += found.advised.idle_j * found.advised.lost_j
    assert seen > 0


@pytest.mark.usefixtures("site")
def test_a_job_that_ended_when_its_node_went_down_is_nobodys_in_both(tmp_path: Path) -> None:
    first, last = date(2025, 10, 24), date(2025, 11, 2)
    before = waste("alice", *days_ms(first, last), ANY_KWH)
    victim = Job.objects.filter(username="alice", state="FAILED", runs__allocations__node_name="n1").latest("start_ms")
    ended_s = (victim.end_ms or 0) // 1000
    states = f"node,start,end,state\nn1,{ended_s + 60},{ended_s + 90},DOWN\n"
    run(tmp_path, "load_node_states", "states.csv", states)
    booked()
    after = waste("alice", *days_ms(first, last), ANY_KWH)
    cells = usage(Scope(username="alice"), Asked(first, last, UTC, Granularity.MONTH, None)).cells
    assert after.advised.lost < before.advised.lost
    assert after.advised.lost_j < before.advised.lost_j
    assert after.advised.lost_j == pytest.approx(cells.failed_j.sum(), rel=1e-9)
    assert not [line for line in after.lines if victim.pk in line.jobs and line.kind is Kind.FAILED]


@pytest.mark.usefixtures("site")
def test_four_queries_however_many_jobs(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(4):
        assert waste("alice", *days_ms(date(2025, 3, 29), date(2025, 10, 26)), ANY_KWH).lines


# --- What falls into the period -------------------------------------------------------------------------


def test_of_a_job_over_midnight_the_part_of_the_period(two_days: Path) -> None:
    jobs(two_days, job(1, "FAILED", 22, 4, "n2"))
    assert [both_days(day, day).advised.lost_j for day in (10, 11)] == pytest.approx([40.0 * 2 * HOUR] * 2, rel=1e-3)
    assert both_days().advised.lost_j == pytest.approx(40.0 * 4 * HOUR)
    assert both_days(9, 9).jobs == both_days(12, 12).jobs == 0


def test_not_measured_running_and_nothing_are_three_things(two_days: Path) -> None:
    none = waste("nobody", *days_ms(date(2025, 3, 10), date(2025, 3, 11)))
    assert (none.jobs, none.measured, none.running, none.lines) == (0, 0, 0, ())
    jobs(two_days, job(1, "FAILED", 60, 1), f'2,alice,physics,RUNNING,{DAY_S + HOUR},,"n2",{DAY_S},fit,4,,')
    found = waste("alice", *days_ms(date(2025, 3, 10), date(2025, 3, 12)), ANY_KWH)
    assert (found.jobs, found.measured, found.running) == (2, 1, 1)
    assert (found.advised.lost, found.advised.lost_unmeasured, found.advised.lost_j) == (1, 1, 0)
    assert found.energy_j == pytest.approx(40.0 * 47 * HOUR, rel=1e-3)


def test_the_newest_are_kept_and_that_is_said(two_days: Path) -> None:
    jobs(two_days, *(job(i, "FAILED", i, 0.5) for i in range(1, 6)))
    mine = Job.objects.filter(username="alice").order_by("-start_ms", "-pk")
    found = waste_of(mine, None, ANY_KWH, most=3)
    assert (found.jobs, found.cut_off) == (3, True)
    assert not waste_of(mine, None, ANY_KWH, most=5).cut_off


# --- What nodes are -------------------------------------------------------------------------------------


def test_cores_that_were_not_used_by_the_nodes_description_of_the_day(two_days: Path) -> None:
    # One core of 4 was busy: ceil(1.2) = 2 of 8 cores were free at 100 W; on the 11th 2 of 16 at 80 W.
    jobs(two_days, *(job(i, "COMPLETED", start, 1, cpu_s="3600") for i, start in ((1, 1), (2, 3), (3, 25))))
    line = the(both_days(), Kind.CORES)
    assert line.directive.line == "#SBATCH --cpus-per-task=2"
    assert line.saved_j == pytest.approx(HOUR * (2 * 100 * 2 / 8 + 80 * 2 / 16), rel=1e-3)


def test_the_saving_of_a_job_over_midnight_is_of_its_time_in_the_period(two_days: Path) -> None:
    jobs(two_days, *(job(i, "COMPLETED", 22, 4, cpus=2, cpu_s="3600") for i in (1, 2, 3)))
    day = days_ms(date(2025, 3, 10), date(2025, 3, 10), BERLIN)  # ends an hour after the job began
    part, whole = (
        the(waste("alice", *time, ANY_KWH), Kind.CORES).saved_j
        for time in (day, days_ms(date(2025, 3, 10), date(2025, 3, 11)))
    )
    assert whole is not None
    assert part == pytest.approx(whole / 4, rel=0.02)


def test_where_no_idle_power_is_declared_or_several_nodes_were_held(two_days: Path) -> None:
    jobs(two_days, *(job(i, "COMPLETED", i, 1, "n2", cpu_s="3600") for i in (1, 2, 3)))
    assert the(both_days(), Kind.CORES).saved_j is None
    jobs(two_days, *(job(i, "COMPLETED", i, 1, "n[1-2]", cpu_s="3600") for i in (1, 2, 3)))
    assert not [line for line in both_days().lines if line.kind is Kind.CORES]


def test_a_requeued_job_is_one_and_its_last_run_says_what_it_asked_for(two_days: Path) -> None:
    jobs(two_days, *(job(i, "COMPLETED", 2 * i, 1, cpu_s="3600") for i in (1, 2, 3)))
    before = the(both_days(), Kind.CORES)
    for one in Run.objects.all():
        begin = (one.start_ms or 0) - HOUR * 1000
        Run.objects.create(
            job=one.job, start_ms=begin, end_ms=begin + 60_000, state="NODE_FAIL", cpus=8, total_cpu_s=9e9
        )
    found = both_days()
    assert found.jobs == 3
    assert the(found, Kind.CORES) == before


# --- Like one job ---------------------------------------------------------------------------------------


def test_jobs_like_one_job_are_those_before_it_that_the_viewer_may_see(two_days: Path) -> None:
    jobs(two_days, *(job(i, "FAILED", i, 0.5) for i in (1, 2, 3)))
    second = Job.objects.get(job_id="2")
    found = waste_like(second, Job.objects.all())
    assert {found.evidence[key].job_id for line in found.lines for key in line.jobs} == set()  # too little energy
    Job.objects.update(workload="nnunet")
    second.refresh_from_db()
    assert waste_like(second, Job.objects.all()).jobs == 2
    assert waste_like(second, Job.objects.filter(pk=second.pk)).jobs == 1
    assert waste_like(second, Job.objects.none()).jobs == 0
