"""Every joule that docs/integration.md works out by hand is what attribution books, and what the oracle says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from measurements.domain.attribution import Flag, NodeDay, NodeLedger, attribute_block
from measurements.domain.slurm_quantities import parse_energy_j
from measurements.domain.units import DAY_MS, QUARTER_MS, UJ_PER_J, US_PER_S, kwh_from_joules, ms_from_datetime
from tests.measurements.domain.cases import Case, day_of, node_days, numbers_in, table_rows, worked_cases
from tests.measurements.domain.check import differences
from tests.measurements.domain.oracle import expected_day

RULES = range(1, 11)
JOULES = [pytest.param(case, id=case["case"]) for case in worked_cases("joules")]
LOCAL_DAYS = [pytest.param(case, id=case["case"]) for case in worked_cases("joules") if "local_day" in case]
# Ten thousand fractions at a time are too many for the oracle; the same jobs are checked by their sum and one by one.
FOR_THE_ORACLE = [p for p in JOULES if p.id != "tiny-jobs"]


def exactly(value: Any) -> Any:
    """Equal to 1e-9, and what must be 0 to 1 µJ, the unit of storage."""
    return pytest.approx(value, rel=1e-9, abs=1e-6)


@dataclass(frozen=True)
class Job:
    """One row of a ledger, in the units of the page."""

    energy_j: float
    gpu_j: float
    covered_s: float
    elapsed_s: float
    samples: int
    apportioned: bool
    rate_unknown: bool
    quarters_j: Any
    gpu_held_s: float
    gpu_idle_s: float
    gpu_idle_j: float


def jobs_of(ledger: NodeLedger) -> list[Job]:
    rows = ledger.allocations
    return [
        Job(
            rows.energy_uj[k] / UJ_PER_J,
            rows.gpu_uj[k] / UJ_PER_J,
            rows.covered_us[k] / US_PER_S,
            rows.elapsed_us[k] / US_PER_S,
            int(rows.samples[k]),
            bool(rows.apportioned[k]),
            bool(int(rows.flags[k]) & Flag.RATE_UNKNOWN),
            rows.quarter_uj(k) / UJ_PER_J,
            rows.gpu_held_us[k] / US_PER_S,
            rows.gpu_idle_us[k] / US_PER_S,
            rows.gpu_idle_uj[k] / UJ_PER_J,
        )
        for k in range(len(rows.energy_uj))
    ]


def totals_of(nodes: list[NodeDay], ledgers: list[NodeLedger]) -> dict[str, Any]:
    """What a case may expect of its nodes together, in the units of the page."""
    jobs = [job for ledger in ledgers for job in jobs_of(ledger)]
    jobs_j = sum(job.energy_j for job in jobs)
    return {
        "metered_j": sum(float(ledger.metered_uj.sum()) for ledger in ledgers) / UJ_PER_J,
        "unallocated_j": sum(float(ledger.unallocated_uj.sum()) for ledger in ledgers) / UJ_PER_J,
        "unplaced_j": sum(ledger.unplaced_uj for ledger in ledgers) / UJ_PER_J,
        "covered_s": sum(ledger.covered_us for ledger in ledgers) / US_PER_S,
        "off_s": sum(ledger.off_us for ledger in ledgers) / US_PER_S,
        "negative_rest": any(ledger.negative_rest for ledger in ledgers),
        "overcommitted": any(ledger.overcommitted for ledger in ledgers),
        "quarters_j": sum(ledger.metered_uj for ledger in ledgers) / UJ_PER_J,
        "interval_s": {s.name: s.nominal_ms / 1_000 for node in nodes for s in node.series},
        "max_gap_s": {s.name: s.max_gap_ms / 1_000 for node in nodes for s in node.series},
        "jobs_j": jobs_j,
        "jobs_kwh": round(kwh_from_joules(jobs_j), 4),
        "jobs": jobs,
    }


def check(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    """Every figure that is expected is there; an unknown name is an error of the page."""
    for name, wanted in expected.items():
        if name == "jobs":
            assert len(actual["jobs"]) == len(wanted)
            for number, job in zip(wanted, actual["jobs"], strict=True):
                check(number, vars(job))
        elif name == "each_job_j":
            assert [job.energy_j for job in actual["jobs"]] == exactly([wanted] * len(actual["jobs"]))
        elif name == "quarters_j":
            assert {q: actual[name][int(q)] for q in wanted} == exactly(wanted)
        elif isinstance(wanted, dict):
            assert {key: actual[name][key] for key in wanted} == wanted, name
        elif isinstance(wanted, bool):
            assert actual[name] is wanted, name
        else:
            assert actual[name] == exactly(wanted), name


@pytest.mark.parametrize("case", JOULES)
def test_the_day_is_as_worked_out(case: Case) -> None:
    for key, day_ms in (("expect", day_of(case)), ("expect_next", day_of(case) + DAY_MS)):
        nodes = node_days(case, day_ms)
        check(case.get(key, {}), totals_of(nodes, attribute_block(nodes, day_ms)))
    assert {"expect", "local_day"} & case.keys()


@pytest.mark.parametrize("case", FOR_THE_ORACLE)
def test_the_oracle_agrees(case: Case) -> None:
    for day_ms in (day_of(case), day_of(case) + DAY_MS):
        for node in node_days(case, day_ms):
            assert differences(attribute_block([node], day_ms)[0], expected_day(node, day_ms)) == []


@pytest.mark.parametrize("case", LOCAL_DAYS)
def test_local_days_are_sums_of_utc_quarter_hours(case: Case) -> None:
    wanted, first_ms = case["local_day"], day_of(case)
    quarters = np.concatenate(
        [attribute_block(node_days(case, ms), ms)[0].metered_uj for ms in (first_ms, first_ms + DAY_MS)]
    )
    start, end = (_local_midnight_ms(wanted["zone"], wanted["date"], days) for days in (0, 1))
    inside = quarters[(start - first_ms) // QUARTER_MS : (end - first_ms) // QUARTER_MS]
    assert (start - first_ms) % QUARTER_MS == 0
    assert len(inside) == wanted["hours"] * 4
    assert float(inside.sum()) / UJ_PER_J == exactly(wanted["metered_j"])


def _local_midnight_ms(zone: str, day: str, later_days: int) -> int:
    local = date.fromisoformat(day) + timedelta(days=later_days)
    return ms_from_datetime(datetime(local.year, local.month, local.day, tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize("case", [pytest.param(c, id=c["case"]) for c in worked_cases("reported")])
def test_reported_energies_add_up(case: Case) -> None:
    energies = [parse_energy_j(text) for text in case["consumed"]]
    assert sum(energy for energy in energies if energy is not None) == exactly(case["expect"]["sum_j"])


def test_every_rule_has_cases() -> None:
    count = Counter(case["rule"] for case in worked_cases())
    assert [rule for rule in RULES if count[rule] < 2] == []


def test_the_table_lists_exactly_the_cases_with_their_joules() -> None:
    rows, cases = table_rows(), worked_cases()
    assert [(rule, name) for rule, name, _ in rows] == [(case["rule"], case["case"]) for case in cases]
    stray = [name for (_, name, joules), case in zip(rows, cases, strict=True) if not {*joules} <= {*numbers_in(case)}]
    assert stray == []


def test_a_wrong_figure_on_the_page_would_be_found() -> None:
    case = worked_cases("joules")[0]
    nodes = node_days(case, day_of(case))
    actual = totals_of(nodes, attribute_block(nodes, day_of(case)))
    check(case["expect"], actual)
    with pytest.raises(AssertionError):
        check({"metered_j": case["expect"]["metered_j"] * (1 + 1e-8)}, actual)
    with pytest.raises(KeyError):
        check({"metred_j": 0}, actual)
