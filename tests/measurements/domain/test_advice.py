"""Advice, computed by hand; and what holds of any jobs: no joule is promised twice, none that nobody drew."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.advice import Advised, advices
from measurements.domain.advice_kinds import COLUMNS, Advice, Kind, Thresholds, Why
from measurements.domain.blame import NOBODYS, WASTED
from measurements.domain.units import J_PER_KWH
from tests.house import ROOT

HOUR_S, HOUR_MS, GIB = 3_600, 3_600_000, 1024**3
TEXT = ("cluster", "job_id", "partition", "state", "name", "workload", "phase")
ANY_KWH = Thresholds(least_j=0.0)


def job(key: int, state: str = "COMPLETED", *, start_h: float = 0.0, hours: float = 1.0, **said: Any) -> dict[str, Any]:
    """A job of one run that drew 1 kWh an hour."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    row |= dict.fromkeys(TEXT, "") | {"excused": False, "exclusive": False}
    row |= {"key": key, "cluster": "alpha", "job_id": str(key), "name": "fit", "state": state, "idle_j": 0.0}
    row |= {"start_ms": start_h * HOUR_MS, "end_ms": (start_h + hours) * HOUR_MS}
    row |= {"energy_j": hours * J_PER_KWH, "covered_s": hours * HOUR_S}
    return row | {"elapsed_s": hours * HOUR_S, "held_s": hours * HOUR_S} | said


def told(*jobs: dict[str, Any], thresholds: Thresholds = ANY_KWH) -> Advised:
    return advices(pd.DataFrame(list(jobs), columns=list(COLUMNS)), thresholds)


def the(kind: Kind, *jobs: dict[str, Any], thresholds: Thresholds = ANY_KWH) -> Advice:
    """The only line of a kind."""
    (line,) = [line for line in told(*jobs, thresholds=thresholds).lines if line.kind is kind]
    return line


def kwh(joules: float | None) -> float:
    assert joules is not None
    return joules / J_PER_KWH


# --- Came to nothing -----------------------------------------------------------------------------------


def test_failed_jobs_that_began_when_one_had_failed_would_have_been_spared() -> None:
    # The first fails at 1 h. One began beside it, at 0.5 h; two began after it, of 1 and 2 kWh.
    jobs = [
        job(1, "FAILED"),
        job(2, "FAILED", start_h=0.5),
        job(3, "FAILED", start_h=1),
        job(4, "FAILED", start_h=5, hours=2),
    ]
    line = the(Kind.FAILED, *jobs)
    assert (kwh(line.unused_j), kwh(line.saved_j), line.figures["spared"]) == (5, 3, 2)
    assert line.jobs[0] == 4


def test_what_a_like_job_that_completed_in_between_disproves_is_not_promised() -> None:
    line = the(Kind.FAILED, job(1, "FAILED"), job(2, start_h=2), job(3, "FAILED", start_h=4))
    assert (line.saved_j, line.why) == (None, Why.FIRST)
    assert kwh(line.unused_j) == 2


def test_a_test_run_lasts_as_long_as_failing_took_and_of_an_array_it_is_one_task() -> None:
    # The 95th percentile of 0.5 and 1 h is 1 h; × 1.2 = 72 min, in steps of 5 min 75.
    alone = the(Kind.FAILED, job(1, "FAILED", hours=0.5), job(2, "FAILED"))
    assert alone.directive.line == "sbatch --time=01:15:00 job.sh"
    array = the(Kind.FAILED, job(1, "FAILED", array_task=7), job(2, "FAILED", array_task=3))
    assert array.directive.line == "sbatch --array=3 --time=01:15:00 job.sh"
    assert the(Kind.FAILED, job(1, "FAILED", hours=9)).directive.line == "#SBATCH --mail-type=FAIL"


def test_a_time_limit_comes_from_like_jobs_that_completed() -> None:
    done = [job(i, start_h=i, hours=10) for i in range(1, 4)]
    # Had 6 h, like ones need 10: all of it. Had 11: nothing is said. Had 20, of which 8 are more than 10 × 1.2.
    line = the(
        Kind.TIMEOUT, *done, job(11, "TIMEOUT", hours=6), job(12, "TIMEOUT", hours=11), job(13, "DEADLINE", hours=20)
    )
    assert line.directive.line == "#SBATCH --time=12:00:00"
    assert kwh(line.saved_j) == pytest.approx(6 + 8)
    assert (kwh(line.unused_j), line.figures["like"]) == (37, 3)


def test_where_nothing_like_it_completed_it_is_a_checkpoint() -> None:
    line = the(Kind.TIMEOUT, job(1), job(2, "TIMEOUT", hours=5), job(3, start_h=9, cluster="beta", hours=3))
    assert line.directive.line == "#SBATCH --signal=B:USR1@300"
    assert kwh(line.saved_j) == pytest.approx(5 - 300 / 3600)


def test_memory_that_was_not_enough_comes_from_like_jobs_or_is_doubled() -> None:
    killed = [job(i, "OUT_OF_MEMORY", start_h=2 * i, memory_bytes=16 * GIB, nodes=2) for i in (1, 2)]
    done = [job(i, max_rss_bytes=20 * GIB, memory_bytes=64 * GIB, nodes=2, start_h=20 + i) for i in (3, 4, 5)]
    like = the(Kind.OUT_OF_MEMORY, *killed, *done)  # 10 GiB a node × 1.2
    assert (like.directive.line, kwh(like.saved_j)) == ("#SBATCH --mem=12G", 2)
    alone = the(Kind.OUT_OF_MEMORY, *killed)  # twice 8; the second began when the first had failed
    assert (alone.directive.line, kwh(alone.saved_j)) == ("#SBATCH --mem=16G", 1)


def test_no_more_memory_is_asked_for_than_the_node_has() -> None:
    said: dict[str, Any] = {"memory_bytes": 96 * GIB, "nodes": 1, "node_memory_bytes": 128 * GIB}
    line = the(Kind.OUT_OF_MEMORY, job(5, "OUT_OF_MEMORY", **said), job(6, "OUT_OF_MEMORY", start_h=4, **said))
    assert (line.directive.line, line.saved_j) == ("sacct --jobs=5 --format=JobID,ReqMem,MaxRSS", None)


def test_of_cancelled_jobs_only_what_ran_longer_than_like_ones_is_promised() -> None:
    done = [job(i, hours=2) for i in range(3)]
    line = the(Kind.CANCELLED, *done, job(8, "CANCELLED", hours=10), job(9, "CANCELLED", hours=1))
    assert line.directive.line == "#SBATCH --time=02:30:00"
    assert kwh(line.saved_j) == pytest.approx(7.5)
    unknown = the(Kind.CANCELLED, job(9, "CANCELLED"))
    assert (unknown.directive.line, unknown.saved_j, unknown.why) == ("#SBATCH --mail-type=BEGIN", None, Why.CAUSE)


@pytest.mark.parametrize("state", sorted(NOBODYS))
def test_what_the_machine_ended_is_nobodys(state: str) -> None:
    found = told(job(1, state), job(2, "FAILED", excused=True), job(3, "TIMEOUT", excused=True))
    assert (found.lines, found.lost_j, found.lost) == ((), 0, 0)


def test_jobs_without_a_measurement_are_counted_and_have_no_energy() -> None:
    line = the(Kind.FAILED, job(1, "FAILED"), job(2, "FAILED", energy_j=np.nan))
    assert (kwh(line.unused_j), line.unmeasured, len(line.jobs)) == (1, 1, 2)
    assert told(job(2, "FAILED", energy_j=np.nan)).lost_unmeasured == 1


# --- Held, not used ------------------------------------------------------------------------------------


def gpu_job(key: int, idle: float, gpus: int = 4, **said: Any) -> dict[str, Any]:
    """An hour, of which GPUs were idle for a part: a kWh in it, half of it by them."""
    return job(key, gpus=gpus, gpu_held_us=1e6, gpu_idle_us=idle * 1e6, idle_j=J_PER_KWH / 2, **said)


def test_as_many_gpus_fewer_as_were_idle_on_average() -> None:
    # 0.6 of 4 GPUs: 2.4 idle on average, so two fewer, which is 2 ÷ 2.4 of their idle energy.
    line = the(Kind.IDLE_GPUS, gpu_job(1, 0.6))
    assert line.directive.line == "#SBATCH --gpus=2"
    assert kwh(line.saved_j) == pytest.approx(0.5 * 2 / 2.4)
    assert kwh(line.unused_j) == 0.5


def test_gpus_that_were_never_used_are_not_asked_for() -> None:
    assert the(Kind.IDLE_GPUS, gpu_job(1, 0.97)).directive.line == "#SBATCH --gpus=0"
    bare = [job(i, partition="cpu", name="other") for i in (2, 3)]
    line = the(Kind.IDLE_GPUS, gpu_job(1, 0.97, partition="gpu"), *bare, job(4, partition="gpu", name="other"))
    assert (line.directive.line, kwh(line.saved_j)) == ("#SBATCH --partition=cpu", 0.5)


def test_a_single_gpu_that_waits_at_times_is_no_promise() -> None:
    line = the(Kind.IDLE_GPUS, gpu_job(1, 0.4, gpus=1))
    assert (line.saved_j, line.why) == (None, Why.PARTLY)
    assert line.directive.line.startswith("nvidia-smi ")


def test_idle_gpus_of_a_failed_job_are_in_its_energy_already() -> None:
    found = told(gpu_job(1, 1.0, state="FAILED"), gpu_job(2, 1.0), gpu_job(3, 1.0, state="NODE_FAIL"))
    assert (kwh(found.lost_j), kwh(found.idle_j)) == (1, 1)
    assert {line.kind: set(line.jobs) for line in found.lines} == {Kind.FAILED: {1}, Kind.IDLE_GPUS: {2, 3}}


def core_job(key: int, **said: Any) -> dict[str, Any]:
    """10 h on 16 of 64 cores, 4 of them busy, on a node that draws 320 W without work."""
    node: dict[str, Any] = {"nodes": 1, "node_cpus": 64, "node_idle_w": 320.0, "node_memory_bytes": 128 * GIB}
    return job(key, hours=10, cpus=16, total_cpu_s=40 * HOUR_S, **node) | said


def test_cores_that_were_not_used_would_have_saved_their_share_of_the_idle_power() -> None:
    # ceil(4 × 1.2) = 5; 11 of 64 cores × 320 W × 10 h = 550 Wh, three times.
    line = the(Kind.CORES, *[core_job(i) for i in range(3)])
    assert line.directive.line == "#SBATCH --cpus-per-task=5"
    assert kwh(line.saved_j) == pytest.approx(3 * 0.55)


def test_a_saving_is_never_more_than_what_was_drawn() -> None:
    line = the(Kind.CORES, *[core_job(i, energy_j=1e6) for i in range(3)])
    assert line.saved_j == pytest.approx(3e6)


def test_what_one_line_promises_no_other_promises_again() -> None:
    # Cores alone would have saved 0.55 kWh, memory 0.8: of the 0.6 kWh that were drawn memory gets what is left.
    said = {"energy_j": 0.6 * J_PER_KWH, "memory_bytes": 64 * GIB, "max_rss_bytes": 10 * GIB}
    found = told(*[core_job(i, **said) for i in range(3)])
    assert {line.kind: kwh(line.saved_j) for line in found.lines} == {
        Kind.CORES: pytest.approx(1.65),
        Kind.MEMORY: pytest.approx(0.15),
    }
    gpu = {"gpus": 1, "gpu_held_us": 1e6, "gpu_idle_us": 1e6, "idle_j": 0.5 * J_PER_KWH}
    found = told(*[core_job(i, **said, **gpu) for i in range(3)])
    assert sum(kwh(line.saved_j) for line in found.lines) == pytest.approx(1.8)


def test_where_the_idle_power_is_not_known_the_saving_is_not() -> None:
    line = the(Kind.CORES, *[core_job(i, node_idle_w=np.nan) for i in range(3)])
    assert (line.saved_j, line.why) == (None, Why.IDLE_POWER)


@pytest.mark.parametrize(
    "said",
    [{"exclusive": True}, {"nodes": 2}, {"state": "RUNNING"}, {"total_cpu_s": np.nan}, {"total_cpu_s": 110 * HOUR_S}],
)
def test_no_cores_are_spoken_of_where_that_is_not_sure(said: dict[str, Any]) -> None:
    assert not [line for line in told(*[core_job(i, **said) for i in range(3)]).lines if line.kind is Kind.CORES]


def test_a_whole_node_lets_others_in_and_saves_nothing() -> None:
    line = the(Kind.CORES, *[core_job(i, cpus=64) for i in range(3)])
    assert (line.saved_j, line.why) == (0.0, Why.LETS_IN)


def test_memory_frees_a_part_of_the_node_only_where_it_was_the_larger_part() -> None:
    used = {"max_rss_bytes": 10 * GIB, "total_cpu_s": np.nan}
    # 12 of 64 GiB are enough. Cores are a quarter of the node, memory was half: a quarter × 320 W × 10 h.
    line = the(Kind.MEMORY, *[core_job(i, memory_bytes=64 * GIB, **used) for i in range(3)])
    assert line.directive.line == "#SBATCH --mem=12G"
    assert kwh(line.saved_j) == pytest.approx(3 * 0.8)
    small = the(Kind.MEMORY, *[core_job(i, memory_bytes=32 * GIB, **used) for i in range(3)])
    assert (small.saved_j, small.why) == (0.0, Why.LETS_IN)


def test_a_shorter_time_limit_saves_nothing_and_says_so() -> None:
    line = the(Kind.WALLTIME, *[job(i, limit_s=24 * HOUR_S, hours=4) for i in range(3)])
    assert (line.directive.line, line.saved_j, line.why) == ("#SBATCH --time=05:00:00", 0.0, Why.EARLIER)


def test_no_shorter_limit_is_advised_where_like_jobs_ran_out_of_time() -> None:
    jobs = [job(i, limit_s=24 * HOUR_S, hours=4) for i in range(3)]
    assert not [line for line in told(*jobs, job(9, "TIMEOUT", hours=24)).lines if line.kind is Kind.WALLTIME]


# --- Thresholds and order ------------------------------------------------------------------------------


def test_thresholds_decide_which_lines_there_are_and_change_no_total() -> None:
    jobs = [job(1, "FAILED", name="small"), job(2, "FAILED", name="large", hours=3)]
    found = told(*jobs, thresholds=Thresholds(least_j=2 * J_PER_KWH))
    assert [line.subject for line in found.lines] == ["large"]
    assert kwh(found.lost_j) == 4
    few = [core_job(i) for i in range(2)]
    assert not told(*few).lines
    assert told(*few, thresholds=Thresholds(least_jobs=2, least_j=0.0)).lines
    busy = [core_job(i, total_cpu_s=100 * HOUR_S) for i in range(3)]  # needs 12 of 16: a quarter is free
    assert told(*busy).lines
    assert not told(*busy, thresholds=Thresholds(least_j=0.0, least_share=0.26)).lines
    wide = the(Kind.CORES, *[core_job(i) for i in range(3)], thresholds=Thresholds(least_j=0.0, margin=2.0))
    assert wide.directive.line == "#SBATCH --cpus-per-task=8"


def test_like_jobs_are_those_of_a_workload_and_phase_or_a_name_without_digits() -> None:
    jobs = [
        job(1, "FAILED", name="fold-1"),
        job(2, "FAILED", name="fold-22"),
        job(3, "FAILED", name="fold-1", workload="nnunet", phase="training"),
        job(4, "FAILED", name="other", workload="nnunet", phase="training"),
        job(5, "FAILED", name="other", workload="nnunet", phase="inference"),
    ]
    assert {line.subject: set(line.jobs) for line in told(*jobs).lines} == {
        "fold": {1, 2},
        "nnunet training": {3, 4},
        "nnunet inference": {5},
    }


def test_the_largest_saving_comes_first() -> None:
    found = told(
        *[job(i, "FAILED", start_h=i) for i in range(3)],
        *[core_job(10 + i, name="wide") for i in range(3)],
        job(20, "CANCELLED", hours=50),
    )
    assert [line.kind for line in found.lines] == [Kind.FAILED, Kind.CORES, Kind.CANCELLED]


def test_nothing_is_said_of_no_jobs() -> None:
    assert told() == Advised((), 0.0, 0.0, 0, 0)


# --- The document ----------------------------------------------------------------------------------------

DOCUMENT = (ROOT / "docs" / "waste.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```jobs\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
WANTED = re.compile(r"= (\w+): (.*); saved ([\d.]+) of ([\d.]+) kWh")


def test_the_document_has_examples() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_documents_examples_come_out(text: str) -> None:
    *rows, last = text.strip().splitlines()
    jobs = []
    for key, row in enumerate(rows):
        state, *said = row.split()
        values = {name: float(value) for name, value in (part.split("=") for part in said)}
        jobs.append(job(key, state, start_h=values.pop("start"), hours=values.pop("hours"), **values))
    wanted = WANTED.fullmatch(last)
    assert wanted is not None
    line = the(Kind(wanted[1]), *jobs, thresholds=Thresholds())
    assert line.directive.line == wanted[2]
    assert kwh(line.saved_j) == pytest.approx(float(wanted[3]))
    assert kwh(line.unused_j) == pytest.approx(float(wanted[4]))


def test_the_documents_thresholds_are_the_codes() -> None:
    usual = Thresholds()
    said = dict(re.findall(r"^\| `JOULEBOOK_WASTE_(\w+)` \| ([\d.]+) \|", DOCUMENT, re.MULTILINE))
    assert {name: float(value) for name, value in said.items()} == {
        "LEAST_KWH": kwh(usual.least_j),
        "LEAST_JOBS": usual.least_jobs,
        "LEAST_SHARE": usual.least_share,
        "MARGIN": usual.margin,
    }


# --- Any jobs ------------------------------------------------------------------------------------------

MAYBE = st.one_of(st.just(np.nan), st.floats(0, 1e6))
STATES = sorted(WASTED | NOBODYS | {"COMPLETED", "RUNNING"})


@st.composite
def any_job(draw: st.DrawFn, key: int) -> dict[str, Any]:
    energy = draw(st.one_of(st.just(np.nan), st.floats(0, 1e8)))
    held = draw(st.floats(0, 1e9))
    start, hours = draw(st.floats(0, 100)), draw(st.floats(0, 50))
    said = {
        "name": draw(st.sampled_from(["a", "b1", "b2", ""])),
        "excused": draw(st.booleans()),
        "exclusive": draw(st.booleans()),
        "energy_j": energy,
        "idle_j": draw(st.floats(0, 1)) * np.nan_to_num(energy),
        "gpus": draw(st.one_of(st.just(np.nan), st.integers(0, 4))),
        "gpu_held_us": held,
        "gpu_idle_us": draw(st.floats(0, 1)) * held,
        "cpus": draw(st.one_of(st.just(np.nan), st.integers(1, 64))),
        "nodes": draw(st.sampled_from([1, 1, 2, np.nan])),
        "node_cpus": draw(st.sampled_from([64, np.nan])),
        "node_memory_bytes": draw(st.sampled_from([1e6, np.nan])),
        "array_task": draw(st.one_of(st.just(np.nan), st.integers(0, 9))),
        **{name: draw(MAYBE) for name in ("total_cpu_s", "memory_bytes", "max_rss_bytes", "limit_s", "node_idle_w")},
    }
    return job(key, draw(st.sampled_from(STATES)), start_h=start, hours=hours) | said


@given(st.data(), st.integers(0, 25))
def test_no_joule_is_promised_twice_and_none_that_was_not_drawn(data: st.DataObject, count: int) -> None:
    jobs = [data.draw(any_job(key)) for key in range(count)]
    found = told(*jobs, thresholds=Thresholds(least_jobs=2, least_j=0.0, least_share=0.1))
    drawn = {row["key"]: float(np.nan_to_num(row["energy_j"])) for row in jobs}
    promised = sum(line.saved_j or 0.0 for line in found.lines)
    assert promised <= sum(drawn.values()) * (1 + 1e-9)
    for line in found.lines:
        assert (line.saved_j or 0.0) >= 0
        assert (line.saved_j or 0.0) <= sum(drawn[key] for key in line.jobs) * (1 + 1e-9)
        assert (line.saved_j is None or line.saved_j == 0) == (line.why is not None)
    lost = [
        key
        for line in found.lines
        if line.kind in (Kind.FAILED, Kind.TIMEOUT, Kind.OUT_OF_MEMORY, Kind.CANCELLED)
        for key in line.jobs
    ]
    assert len(lost) == len(set(lost)) == found.lost
    assert sum(line.unused_j for line in found.lines) <= (found.lost_j + found.idle_j) * (1 + 1e-9)


@given(st.data(), st.integers(0, 12))
def test_the_order_of_the_jobs_changes_nothing(data: st.DataObject, count: int) -> None:
    jobs = [data.draw(any_job(key)) for key in range(count)]
    other = data.draw(st.permutations(jobs))
    one, two = told(*jobs), told(*other)
    assert one.lost_j == pytest.approx(two.lost_j)
    assert sorted(
        (line.kind, line.subject, line.directive.line) for line in one.lines if line.kind is not Kind.OUT_OF_MEMORY
    ) == sorted(
        (line.kind, line.subject, line.directive.line) for line in two.lines if line.kind is not Kind.OUT_OF_MEMORY
    )
