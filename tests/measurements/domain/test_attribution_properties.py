"""Attribution against its rules: it closes, it agrees with the oracle, and the check would notice if it did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from measurements.domain import attribution
from measurements.domain.attribution import (
    Holdings,
    MeterPeriod,
    NodeDay,
    NodeLedger,
    Policy,
    Series,
    attribute_block,
)
from measurements.domain.sharing import Spans, SpanShares, share_out
from measurements.domain.span_power import SpanPower
from measurements.domain.units import DAY_MS, QUARTERS_PER_DAY, Kind
from tests.measurements.domain.check import ROUNDING, differences, imbalance
from tests.measurements.domain.oracle import Expected, expected_day
from tests.measurements.domain.strategies import DAY, node_days

RULE_11 = 1e-9
unhurried = settings(suppress_health_check=[HealthCheck.too_slow])  # how many examples: the profile in conftest.py
thoroughly = settings(unhurried, max_examples=4 * settings().max_examples)  # the one that sees everything


def ledger_of(node: NodeDay, day_ms: int = DAY) -> NodeLedger:
    return attribute_block([node], day_ms)[0]


def columns(value: object) -> list[object]:
    """Every number of a ledger, as bytes: equal lists mean equal bit for bit."""
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    if is_dataclass(value):
        return [part for f in fields(value) for part in columns(getattr(value, f.name))]
    return [value]


@thoroughly
@given(node_days())
def test_a_node_day_closes_and_agrees_with_the_oracle(node: NodeDay) -> None:
    ledger, expected = ledger_of(node), expected_day(node, DAY)
    assert differences(ledger, expected) == []
    assert_closes(ledger, expected)


def assert_closes(ledger: NodeLedger, expected: Expected) -> None:
    """Rule 11, against metered; where wild readings all but cancel out, against what was summed up."""
    floor = float(ROUNDING * expected.gross_uj)
    metered = float(np.sum(ledger.metered_uj))
    assert imbalance(ledger) * max(abs(metered), 1.0) <= max(RULE_11 * abs(metered), floor)


@unhurried
@given(st.lists(node_days(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_grouping_of_nodes_changes_no_bit(nodes: list[NodeDay], shuffler: Random) -> None:
    alone = [columns(ledger_of(node)) for node in nodes]
    order = list(range(len(nodes)))
    shuffler.shuffle(order)
    together = attribute_block([nodes[i] for i in order], DAY)
    assert [columns(ledger) for ledger in together] == [alone[i] for i in order]


def cut_holding(held: Holdings, k: int, at_ms: int) -> Holdings:
    """The same holdings, but number k ends at an instant and a copy of it goes on from there, in last place."""
    doubled = {f.name: np.append(getattr(held, f.name), getattr(held, f.name)[k]) for f in fields(held)}
    doubled["end_ms"][k] = at_ms
    doubled["start_ms"][-1] = at_ms
    return Holdings(**doubled)


@unhurried
@given(node_days(), st.data())
def test_a_job_cut_in_two_draws_the_same(node: NodeDay, data: st.DataObject) -> None:
    assume(len(node.holdings.start_ms) > 0)
    k = data.draw(st.integers(0, len(node.holdings.start_ms) - 1))
    start, end = int(node.holdings.start_ms[k]), int(node.holdings.end_ms[k])
    at_ms = data.draw(st.integers(start, end))
    whole = ledger_of(node)
    parts = ledger_of(replace(node, holdings=cut_holding(node.holdings, k, at_ms)))
    tolerance = RULE_11 * abs(whole.allocations.energy_uj[k]) + float(ROUNDING * expected_day(node, DAY).gross_uj)
    for column in ("energy_uj", "gpu_uj"):
        before, after = getattr(whole.allocations, column), getattr(parts.allocations, column)
        assert after[k] + after[-1] == pytest.approx(before[k], rel=RULE_11, abs=tolerance)
        assert np.delete(after[:-1], k) == pytest.approx(np.delete(before, k), rel=RULE_11, abs=tolerance)
    for column in ("covered_us", "elapsed_us"):
        before, after = getattr(whole.allocations, column), getattr(parts.allocations, column)
        assert after[k] + after[-1] == before[k]


def with_margin(node: NodeDay, day_ms: int) -> NodeDay:
    """What the store would hand over for one day: samples within max gap + half an interval of it."""

    def near(series: Series) -> Series:
        margin = series.max_gap_ms + -(-series.nominal_ms // 2)
        kept = (series.t_ms >= day_ms - margin) & (series.t_ms <= day_ms + DAY_MS + margin)
        return replace(series, t_ms=series.t_ms[kept], value=series.value[kept])

    return replace(node, series=[near(series) for series in node.series])


@unhurried
@given(node_days())
def test_two_days_are_the_48_hours_they_make_up(node: NodeDay) -> None:
    first, second = ledger_of(with_margin(node, DAY)), ledger_of(with_margin(node, DAY + DAY_MS), DAY + DAY_MS)
    expected = expected_day(node, DAY, days=2)
    tolerance = float(ROUNDING * expected.gross_uj)
    assert len(expected.metered_uj) == 2 * QUARTERS_PER_DAY
    for name in ("metered_uj", "unallocated_uj"):
        both = np.concatenate([getattr(first, name), getattr(second, name)])
        wanted = np.array([float(quarter) for quarter in getattr(expected, name)])
        assert both == pytest.approx(wanted, rel=RULE_11, abs=tolerance)
    assert first.covered_us + second.covered_us == expected.covered_us
    for k, allocation in enumerate(expected.allocations):
        quarters = np.concatenate([first.allocations.quarter_uj(k), second.allocations.quarter_uj(k)])
        wanted = np.array([float(quarter) for quarter in allocation.quarters_uj])
        assert quarters == pytest.approx(wanted, rel=RULE_11, abs=tolerance)
        assert first.allocations.energy_uj[k] + second.allocations.energy_uj[k] == pytest.approx(
            float(allocation.energy_uj), rel=RULE_11, abs=2 * tolerance
        )
        for name in ("covered_us", "elapsed_us"):  # samples are the fewest of any channel of a day: no such sum
            days = getattr(first.allocations, name)[k] + getattr(second.allocations, name)[k]
            assert days == getattr(allocation, name), name


# What follows shows that the checks above can fail.


def busy_node() -> NodeDay:
    """Two shared jobs with unequal shares and a GPU each, on a node sampled once a minute for an hour."""
    t_ms = DAY + 60_000 * np.arange(60, dtype=np.int64)
    watts = 300_000 + 1_000 * (np.arange(60, dtype=np.int64) * 37 % 101)
    node = Series("node", Kind.GAUGE, t_ms, watts, 60_000, 210_000)
    gpus = [Series(f"gpu{i}", Kind.GAUGE, t_ms, watts // (3 + i), 60_000, 210_000) for i in range(2)]
    held = Holdings(
        start_ms=np.array([DAY, DAY + 90_500], dtype=np.int64),
        end_ms=np.array([DAY + 1_800_000, DAY + 3_000_007], dtype=np.int64),
        cpus=np.array([16, 24], dtype=np.int64),
        gpus=np.array([1, 1], dtype=np.int64),
        gpu_mask=np.array([1, 2], dtype=np.uint64),
        exclusive=np.array([0, 0], dtype=np.int8),
        cpu_rate=np.array([4.0, 20.0]),
    )
    meter = [MeterPeriod(0, ("node",), ("gpu0", "gpu1"))]
    return NodeDay([node, *gpus], meter, held, 64, 2, 100_000, 1_000_000, Policy.HYBRID)


def test_the_check_is_silent_on_the_busy_node() -> None:
    assert differences(ledger_of(busy_node()), expected_day(busy_node(), DAY)) == []


def move_energy(ledger: NodeLedger, uj: float) -> NodeLedger:
    """The ledger with energy booked to the second job that the first one drew: it still closes."""
    rows = ledger.allocations
    energy, quarters = rows.energy_uj.copy(), rows.quarters_uj.copy()
    energy += (-uj, uj)
    quarters[rows.offsets[0]] -= uj
    quarters[rows.offsets[1]] += uj
    return replace(ledger, allocations=replace(rows, energy_uj=energy, quarters_uj=quarters))


@pytest.mark.parametrize("part", [1e-8, 1e-4, 0.5])
def test_energy_moved_between_jobs_closes_but_is_found(part: float) -> None:
    ledger, expected = ledger_of(busy_node()), expected_day(busy_node(), DAY)
    wrong = move_energy(ledger, part * float(ledger.allocations.energy_uj[0]))
    assert imbalance(wrong) <= RULE_11
    found = "\n".join(differences(wrong, expected))
    assert "energy[0]" in found
    assert "energy[1]" in found
    assert "quarters of 0[0]" in found


def test_a_wrong_share_closes_but_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job is given the other one's cores: every joule is still booked once, but to the wrong job."""

    def cores_mixed_up(node: NodeDay, spans: Spans, power: SpanPower) -> SpanShares:
        held = replace(node.holdings, cpus=node.holdings.cpus[::-1])
        return share_out(replace(node, holdings=held), spans, power)

    monkeypatch.setattr(attribution, "share_out", cores_mixed_up)
    ledger, expected = ledger_of(busy_node()), expected_day(busy_node(), DAY)
    assert imbalance(ledger) <= RULE_11
    assert any(line.startswith("energy[0]") for line in differences(ledger, expected))


Spoiler = Callable[[NodeLedger], NodeLedger]


def spoil(column: str, change: float) -> Spoiler:
    """A ledger of which one column of the first allocation is off by something."""

    def spoiled(ledger: NodeLedger) -> NodeLedger:
        values = getattr(ledger.allocations, column).copy()
        values[0] = not values[0] if values.dtype == bool else values[0] + change
        return replace(ledger, allocations=replace(ledger.allocations, **{column: values}))

    return spoiled


@pytest.mark.parametrize(
    ("spoiled", "named"),
    [
        (spoil("gpu_uj", 1e6), "gpu[0]"),
        (spoil("covered_us", 500), "covered_us[0]"),
        (spoil("elapsed_us", -1), "elapsed_us[0]"),
        (spoil("reserved_us", 1), "reserved_us[0]"),
        (spoil("reserved_us", -1_000), "reserved_us[0]"),
        (spoil("samples", 1), "samples[0]"),
        (spoil("expected_samples", 0.01), "expected_samples[0]"),
        (spoil("apportioned", 0), "apportioned[0]"),
        (spoil("flags", int(attribution.Flag.RATE_UNKNOWN)), "rate unknown[0]"),
        (lambda ledger: replace(ledger, covered_us=ledger.covered_us + 1), "covered_us"),
        (lambda ledger: replace(ledger, unplaced_uj=1), "unplaced_uj"),
        (lambda ledger: replace(ledger, flags=attribution.Flag.OVERCOMMITTED), "overcommitted"),
        (lambda ledger: replace(ledger, flags=attribution.Flag.NEGATIVE_REST), "negative_rest"),
        (lambda ledger: replace(ledger, metered_uj=ledger.metered_uj * (1 + 1e-8)), "metered[0]"),
        (lambda ledger: replace(ledger, unallocated_uj=ledger.unallocated_uj[::-1]), "unallocated["),
    ],
)
def test_every_figure_is_looked_at(spoiled: Spoiler, named: str) -> None:
    found = differences(spoiled(ledger_of(busy_node())), expected_day(busy_node(), DAY))
    assert any(line.startswith(named) for line in found), found


def test_the_tolerance_stays_below_a_second_of_a_busy_node() -> None:
    """The absolute part of the tolerance is no loophole: of a day at 1 kW it is less than 1 µJ."""
    day_at_1_kw_uj = Fraction(1_000_000 * DAY_MS)
    assert day_at_1_kw_uj * ROUNDING < 1
