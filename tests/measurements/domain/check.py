"""Where a ledger and the oracle differ, in words: empty when they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from measurements.domain.attribution import Flag, NodeLedger
from measurements.domain.units import QUARTERS_PER_DAY, FloatArray
from tests.measurements.domain.oracle import Expected

RELATIVE = Fraction(1, 10**9)  # integration rule 11
# A float64 prefix of the node-day is off by some units in its last place, 2.2e-16 of all the energy that went
# into it, wherever the job lies in the day. 1e-14 of that energy is 0.9 µJ for a day at 1 kW: it decides only
# for jobs that draw less than 1e-5 of their node's day.
ROUNDING = Fraction(1, 10**14)


def differences(ledger: NodeLedger, expected: Expected) -> list[str]:
    """Everything in which a node's ledger is not what the oracle says."""
    return [*_node_differences(ledger, expected), *_allocation_differences(ledger, expected)]


def imbalance(ledger: NodeLedger) -> float:
    """|Σ allocations + unallocated − metered| ÷ metered of a node-day, 0 to 1 and beyond."""
    metered = float(np.sum(ledger.metered_uj))
    booked = float(np.sum(ledger.allocations.energy_uj)) + float(np.sum(ledger.unallocated_uj))
    return abs(booked - metered) / max(abs(metered), 1.0)  # 1 µJ: nothing that was metered is smaller


def _close(actual: float, expected: Fraction, gross_uj: Fraction) -> bool:
    if not np.isfinite(actual):
        return False
    return abs(Fraction(float(actual)) - expected) <= RELATIVE * abs(expected) + ROUNDING * gross_uj


def _compare(what: str, actual: FloatArray, expected: Sequence[Fraction], gross_uj: Fraction) -> Iterator[str]:
    if len(actual) != len(expected):
        yield f"{what}: {len(actual)} values instead of {len(expected)}"
        return
    for i, (got, wanted) in enumerate(zip(actual, expected, strict=True)):
        if not _close(got, wanted, gross_uj):
            yield f"{what}[{i}] = {float(got)!r} µJ instead of {float(wanted)!r}"


def _exact(what: str, actual: object, expected: object) -> Iterator[str]:
    if actual != expected:
        yield f"{what} = {actual!r} instead of {expected!r}"


def _flag(what: str, *, actual: bool, least: bool, most: bool) -> Iterator[str]:
    """A flag must be up where it concerns booked joules, and may be where nothing was metered."""
    if not least <= actual <= (least or most):
        yield f"{what} = {actual}"


def _node_differences(ledger: NodeLedger, expected: Expected) -> Iterator[str]:
    gross = expected.gross_uj
    yield from _compare("metered", ledger.metered_uj, expected.metered_uj, gross)
    yield from _compare("unallocated", ledger.unallocated_uj, expected.unallocated_uj, gross)
    yield from _exact("covered_us", int(ledger.covered_us), expected.covered_us)
    yield from _exact("unplaced_uj", int(ledger.unplaced_uj), expected.unplaced_uj)
    yield from _flag(
        "overcommitted",
        actual=bool(ledger.overcommitted),
        least=expected.overcommitted,
        most=expected.overcommitted_unmetered,
    )
    lowest = expected.lowest_rest_mw or Fraction(0)
    if abs(lowest) > Fraction(1, 1000) or not expected.gross_uj:  # a rest of 0 can come out as -1e-7 mW
        yield from _exact("negative_rest", bool(ledger.negative_rest), lowest < 0)


def _allocation_differences(ledger: NodeLedger, expected: Expected) -> Iterator[str]:
    rows, gross = ledger.allocations, expected.gross_uj
    wanted = expected.allocations
    yield from _compare("energy", rows.energy_uj, [a.energy_uj for a in wanted], gross)
    yield from _compare("gpu", rows.gpu_uj, [a.gpu_uj for a in wanted], gross)
    for k, allocation in enumerate(wanted):
        yield from _compare(f"quarters of {k}", rows.quarter_uj(k), allocation.quarters_uj, gross)
        yield from _exact(f"covered_us[{k}]", int(rows.covered_us[k]), allocation.covered_us)
        yield from _exact(f"elapsed_us[{k}]", int(rows.elapsed_us[k]), allocation.elapsed_us)
        if not 0 <= allocation.reserved_us - int(rows.reserved_us[k]) < 1 + 2 * len(wanted) + QUARTERS_PER_DAY:
            yield f"reserved_us[{k}] = {rows.reserved_us[k]} instead of {float(allocation.reserved_us)}"
        yield from _exact(f"samples[{k}]", int(rows.samples[k]), allocation.samples)
        yield from _exact(f"apportioned[{k}]", bool(rows.apportioned[k]), allocation.apportioned)
        fell_back = bool(int(rows.flags[k]) & Flag.RATE_UNKNOWN)
        yield from _flag(
            f"rate unknown[{k}]",
            actual=fell_back,
            least=allocation.fell_back,
            most=allocation.fell_back_unmetered,
        )
        if abs(float(rows.expected_samples[k]) - float(allocation.expected_samples)) > 1e-9 * float(
            allocation.expected_samples
        ):
            yield f"expected_samples[{k}] = {rows.expected_samples[k]} instead of {float(allocation.expected_samples)}"
