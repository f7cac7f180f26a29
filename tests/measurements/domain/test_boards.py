"""Scores, places, bands and what is withheld, on cases worked out by hand; and how often equals are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from measurements.domain import board_document as documents
from measurements.domain.board_jobs import hidden_node_types, improvement, per_work, without_few
from measurements.domain.board_places import Places, groups, places
from measurements.domain.board_scores import Intervals, Past, Ratio, Span, ratios, spread
from measurements.domain.board_waste import IdlePower, counting, shares, undescribed, used_above_idle, with_parts
from measurements.domain.boards import (
    RULES,
    Behind,
    Reason,
    band_groups,
    band_rows,
    crowded,
    few_or_dominated,
    named_rows,
    reasons_of,
    rounded,
    scale_of,
    standing,
)
from measurements.domain.comparison import ratio_interval
from measurements.domain.pseudonyms import fresh
from measurements.domain.units import DAY_MS, HOUR_MS

SPAN = Span(100, 10)
HOUR_US = 3_600_000_000


def rows(*jobs: tuple[Any, ...], entity: str = "username", **columns: Any) -> pd.DataFrame:
    """Jobs of (user, day, hours, energy, work)."""
    users, days, hours, energies, works = zip(*jobs, strict=True)
    start = (np.array(days, np.float64) * DAY_MS).astype(np.int64)
    frame = pd.DataFrame({"username": users, "start_ms": start})
    frame["end_ms"] = start + (np.array(hours) * HOUR_MS).astype(np.int64)
    frame = frame.assign(energy_j=np.array(energies, float), done=np.array(works, float), held_s=3600.0, coverage=1.0,
                         scope=1, excused=False, phase="", size="", target="")  # fmt: skip
    frame = frame.assign(**columns)
    return frame.assign(entity=frame[entity])


def many(name: str, energy_j: float, work: float, number: int = 12) -> list[tuple[Any, ...]]:
    """Jobs alike, one a half day."""
    return [(name, 100 + i / 2, 1.0, energy_j, work) for i in range(number)]


# --- Scores -----------------------------------------------------------------------------------------------------------


def test_energy_per_work_counts_the_energy_of_jobs_without_work_too() -> None:
    frame = rows(("a", 101, 1, 30.0, 3.0), ("a", 102, 1, 10.0, 0.0), ("b", 101, 1, 8.0, 4.0))
    scored, _ = per_work(frame, SPAN)
    assert scored.names == ("a", "b")
    assert scored.scores.each(np.array([0, 1])).value.tolist() == [40.0 / 3, 2.0]
    assert (scored.jobs.tolist(), scored.days.tolist(), scored.energy_j.tolist()) == ([2, 1], [2, 1], [40.0, 8.0])


def test_jobs_that_the_machine_ended_are_left_out_and_counted() -> None:
    frame = rows(("a", 101, 1, 30.0, 3.0), ("a", 102, 1, 100.0, 0.0), excused=[False, True])
    scored, _ = per_work(frame, SPAN)
    assert scored.scores.each(np.array([0])).value.tolist() == [10.0]
    assert (scored.behind.jobs.tolist(), scored.behind.excused.tolist()) == ([1], [1])


def test_a_job_is_spread_over_its_days_by_time() -> None:
    found = spread(np.array([100 * DAY_MS + 18 * HOUR_MS]), np.array([102 * DAY_MS + 6 * HOUR_MS]), SPAN)
    assert (found.day.tolist(), found.share.tolist()) == ([0, 1, 2], [6 / 36, 24 / 36, 6 / 36])
    early = spread(np.array([97 * DAY_MS]), np.array([101 * DAY_MS]), SPAN)  # what was before counts to the first day
    assert early.sums(np.array([0]), 1, np.array([8.0])).ravel().tolist() == [8.0, *[0.0] * 9]
    instant = spread(np.array([103 * DAY_MS]), np.array([103 * DAY_MS]), SPAN)
    assert (instant.day.tolist(), instant.share.tolist()) == ([3], [1.0])


def test_improvement_is_the_energy_now_over_what_the_same_work_drew_before() -> None:
    now = rows(
        ("a", 101, 1, 30.0, 3.0), ("a", 102, 1, 20.0, 1.0), ("a", 103, 1, 5.0, 0.0), ("a", 104, 1, 99.0, 9.0),
        ("b", 101, 1, 1.0, 1.0), size=["s", "l", "s", "new", "s"],
    )  # fmt: skip
    before = rows(("a", 91, 1, 40.0, 2.0), ("a", 92, 1, 50.0, 2.0), ("a", 93, 1, 7.0, 0.0), size=["s", "l", "other"])
    scored, _ = improvement(now, before, (SPAN, Span(90, 10)))
    # s: 35 J for 3 units that drew 20 J each; l: 20 J for one that drew 25 J; what is new does not count.
    assert scored.names == ("a",)
    assert scored.scores.each(np.array([0])).value.tolist() == [pytest.approx(55.0 / 85.0)]
    assert scored.behind.whole.tolist() == [pytest.approx(85.0)]


def test_intervals_are_those_of_the_plain_bootstrap_over_the_same_days() -> None:
    rng = np.random.default_rng(7)
    parts, wholes = rng.lognormal(0, 0.5, (30, 3)), rng.lognormal(0, 0.5, (30, 3))
    found = ratios(parts, wholes)
    for i in range(3):
        one = ratio_interval(parts[:, i], wholes[:, i])
        assert one is not None
        assert (found.value[i], found.low[i], found.high[i]) == pytest.approx((one.value, one.low, one.high))


def test_bands_are_pooled_as_one() -> None:
    parts, wholes = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    assert Ratio(parts, wholes).together(np.array([0, 1])).value == 14 / 4
    past = Past(parts, np.array([0, 1]), wholes, 2 * wholes, wholes)
    assert past.together(np.array([0, 1])).value == 14 / 8


# --- Waste ------------------------------------------------------------------------------------------------------------


def usage(*given: dict[str, Any]) -> pd.DataFrame:
    """Rows of the roll-up: a node of type 1 for an hour, 1 MJ."""
    plain = {
        "username": "a", "account": "x", "day": 101, "node_type_id": 1, "state": "COMPLETED", "excused": False,
        "energy_j": 1e6, "gpu_energy_j": 0.0, "gpu_idle_j": 0.0, "gpu_held_us": 0.0, "gpu_idle_us": 0.0,
        "reserved_us": HOUR_US, "covered_us": HOUR_US, "elapsed_us": HOUR_US,
    }  # fmt: skip
    return pd.DataFrame([plain | one for one in given])


POWERS = {1: IdlePower(100.0, float("nan"), 0.0), 2: IdlePower(200.0, 50.0, 4.0)}


def test_failed_energy_stands_beside_what_successful_jobs_drew_above_idle() -> None:
    left_out = {"state": "NODE_FAIL"}, {"state": "FAILED", "excused": True}, {"state": "RUNNING"}
    frame = usage({}, {"state": "FAILED", "energy_j": 3e5}, {"energy_j": 0.0}, *left_out)
    table = with_parts(counting(frame), POWERS, gpus_only=False)
    scored = shares(table, "username", SPAN, {("a",): 7}, of_gpus=False)
    used = 1e6 - 2 * 1.05 * 100 * 3600  # the hour in which nothing was drawn is held against it
    assert scored.scores.each(np.array([0])).value.tolist() == [pytest.approx(3e5 / (3e5 + used))]
    assert (scored.jobs.tolist(), scored.energy_j.tolist()) == ([7], [1.3e6])


def test_gpus_that_nobody_watches_idle_as_long_as_their_node_is_held() -> None:
    frame = usage({"node_type_id": 2}, {"node_type_id": 2, "gpu_held_us": HOUR_US})
    used = with_parts(frame, POWERS, gpus_only=False)["used"].tolist()
    assert used == pytest.approx([1e6 - 1.05 * (200 + 4 * 50) * 3600, 1e6 - 1.05 * (200 + 50) * 3600])


def test_idle_accelerators_stand_beside_what_busy_ones_drew_above_idle() -> None:
    gpus = {"node_type_id": 2, "gpu_energy_j": 8e5, "gpu_held_us": 4 * HOUR_US}
    frame = usage(gpus | {"gpu_idle_j": 2e5, "gpu_idle_us": HOUR_US}, {"energy_j": 9e9})  # without GPUs: counts nowhere
    scored = shares(with_parts(frame, POWERS, gpus_only=True), "username", SPAN, {}, of_gpus=True)
    used = 6e5 - 1.05 * 3 * 3600 * 50
    assert scored.scores.each(np.array([0])).value.tolist() == [pytest.approx(2e5 / (2e5 + used))]
    none = shares(with_parts(usage({}), POWERS, gpus_only=True), "username", SPAN, {}, of_gpus=True)
    assert reasons_of(none)[0][0] is Reason.NO_ACCELERATORS


def test_what_is_put_to_use_is_not_more_by_moving_what_draws_little_to_another_day() -> None:
    together = used_above_idle(np.array([[80.0], [0.0]]))
    apart = used_above_idle(np.array([[100.0], [-20.0]]))
    assert together.sum() == apart.sum() == pytest.approx(80.0)
    assert used_above_idle(np.array([[-1.0], [-2.0]])).tolist() == [[0.0], [0.0]]


def test_a_node_type_without_an_idle_power_is_named() -> None:
    frame = usage({}, {"node_type_id": 2, "gpu_held_us": 1.0})
    unknown = {1: IdlePower(float("nan"), float("nan"), 0.0), 2: IdlePower(200.0, float("nan"), 4.0)}
    assert undescribed(frame, unknown, gpus_only=False) == [1, 2]
    assert undescribed(frame, unknown, gpus_only=True) == [2]
    assert undescribed(frame, POWERS, gpus_only=False) == []


def test_nothing_at_all_is_no_row() -> None:
    empty = usage({}).iloc[:0]
    scored = shares(with_parts(empty, {}, gpus_only=False), "username", SPAN, {}, of_gpus=False)
    assert (scored.names, len(standing(scored, {}).kept)) == ((), 0)
    assert len(standing(per_work(rows(("a", 101, 1, 1.0, 1.0)).iloc[:0], SPAN)[0], {}).kept) == 0
    nobody = improvement(rows(("a", 101, 1, 1.0, 1.0)), rows(("a", 91, 1, 1.0, 0.0)), (SPAN, Span(90, 10)))[0]
    assert len(standing(nobody, {}).kept) == 0


# --- Who is compared --------------------------------------------------------------------------------------------------


def test_who_is_not_compared_is_told_all_reasons() -> None:
    frame = rows(
        *many("fits", 1e6, 1.0), *many("one day", 1e6, 1.0, 1), *many("small", 1e3, 1.0), *many("idle", 1e6, 0.0)
    )
    frame.loc[frame["username"] == "small", "coverage"] = 0.9
    scored, _ = per_work(frame, SPAN)
    told = {scored.names[place]: [why.value for why in whys] for place, whys in reasons_of(scored).items()}
    assert told == {
        "idle": ["no_work"],
        "one day": ["few_jobs", "few_days", "little_energy"],
        "small": ["little_energy", "low_coverage"],
    }
    assert [scored.names[place] for place in standing(scored, {}).kept.tolist()] == ["fits"]


def test_what_is_metered_otherwise_than_most_is_not_compared() -> None:
    frame = rows(*many("a", 1e6, 1.0), *many("b", 1e6, 1.0), *many("c", 1e6, 1.0))
    frame.loc[frame["username"] == "c", "scope"] = 4
    scored, scope = per_work(frame, SPAN)
    assert (scope.name, reasons_of(scored)) == ("NODE_AC", {2: (Reason.OTHER_SCOPE,)})


def behind(entities: Sequence[int], energies: Sequence[float]) -> Behind:
    """People of entities, each their own."""
    count = np.ones(len(entities), np.int64)
    whole = np.array(energies, float)
    return Behind(np.array(entities), [f"p{i}" for i in range(len(entities))], count, 0 * count, whole, whole)


def test_too_few_people_and_those_one_of_whom_draws_most_are_not_shown() -> None:
    few, most, two, enough = [1.0] * 4, [85.0, 4, 4, 4, 3], [50.0, 42, 3, 3, 2], [1.0] * 5
    entities = [i for i, each in enumerate((few, most, two, enough)) for _ in each]
    found = crowded(behind(entities, [*few, *most, *two, *enough]), 4, 5)
    assert found == {0: Reason.FEW_PEOPLE, 1: Reason.DOMINATED, 2: Reason.DOMINATED}
    energy, work = np.ones(5), np.array([96.0, 1, 1, 1, 1])
    assert few_or_dominated(energy, work, 5) is Reason.DOMINATED  # what is divided by is one's own


def test_benchmarks_of_the_site_stand_for_a_node_type_that_few_people_use() -> None:
    bench = [("bench", 101 + i / 3, 1.0, 10.0, 1.0) for i in range(3)]
    frame = rows(*bench, *bench, ("a", 101, 1, 99.0, 1.0), ("b", 102, 1, 99.0, 1.0))
    frame["entity"] = ["few", "few", "few", "bench", "bench", "bench", "few", "nobody"]
    kept = without_few(frame, SPAN, ["bench"], 5)
    scored, _ = per_work(kept, SPAN)
    values = dict(zip(scored.names, scored.scores.each(np.arange(3)).value.tolist(), strict=True))
    assert values == {"few": 10.0, "bench": 10.0, "nobody": 99.0}  # no job of a person is in the first
    assert hidden_node_types(scored.behind, 3, ["bench"], 5) == {scored.names.index("nobody"): Reason.FEW_PEOPLE}


# --- Places and bands -------------------------------------------------------------------------------------------------


def test_a_place_says_what_is_proven_with_the_margin_of_the_others() -> None:
    values = np.array([10.0, 11.0, 20.0, 21.0, 40.0])
    found = places(Intervals(values, values * 0.9, values * 1.1), relative=True)
    assert list(zip(found.best.tolist(), found.worst.tolist(), strict=True)) == [(1, 2), (1, 2), (3, 4), (3, 4), (5, 5)]
    assert found.bands().tolist() == [1, 1, 3, 3, 4]


def test_ones_own_interval_changes_the_places_of_others_only() -> None:
    values = np.array([10.0, 11.0, 20.0, 21.0, *range(40, 140, 10)])
    narrow = places(Intervals(values, values * 0.95, values * 1.05), relative=True)
    lows, highs = values * 0.95, values * 1.05
    lows[1], highs[1] = 0.0, np.inf
    wide = places(Intervals(values, lows, highs), relative=True)
    assert (narrow.best[1], narrow.worst[1]) == (wide.best[1], wide.worst[1]) == (1, 2)
    assert wide.best.tolist() == [1, 1, *(narrow.best[2:] - 1)]  # it is proven less than nobody any more
    assert wide.worst.tolist() == narrow.worst.tolist()


def test_who_can_not_be_told_from_anybody_is_in_the_middle_band() -> None:
    values = np.linspace(1.0, 1.1, 20)
    found = places(Intervals(values, values * 0.5, values * 2.0), relative=True)
    assert set(found.bands().tolist()) == {2}
    alone = places(Intervals(np.ones(1), np.ones(1), np.ones(1)), relative=True)
    assert (alone.best.tolist(), alone.worst.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ([5, 5, 5, 5, 5], ["A", "B", "C", "D", "E"]),
        ([1, 4, 5, 0, 5], ["A–B", "C", "E"]),
        ([5, 0, 5, 1, 3], ["A", "C–E"]),
        ([0, 0, 12, 0, 0], ["C"]),
        ([2, 0, 0, 0, 9], ["A–E"]),
        ([1, 1, 1, 0, 0], []),
    ],
)
def test_no_band_of_fewer_than_k_people_is_shown(counts: list[int], labels: list[str]) -> None:
    bands = np.repeat(np.arange(5), counts)
    found = groups(bands, 5)
    assert [one.label for one in found] == labels
    assert all(len(one.members) >= 5 for one in found)
    assert sorted(place for one in found for place in one.members.tolist()) == (
        list(range(len(bands))) if found else []
    )


def _standing(count: int) -> Any:
    frame = rows(*[job for i in range(count) for job in many(f"p{i:02d}", 1e6 * (1 + (i >= count // 2)), 1.0)])
    scored, _ = per_work(frame, SPAN)
    return scored, standing(scored, {})


def test_fewer_than_twice_k_people_have_no_bands() -> None:
    assert band_groups(_standing(9)[1], 5) == []
    assert [one.label for one in band_groups(_standing(10)[1], 5)] == ["B", "D"]


def test_rows_of_bands_have_rounded_figures_and_pseudonyms_in_their_own_order() -> None:
    scored, stand = _standing(10)
    scale = scale_of(stand.found.value, 2, energy=True)
    names = [f"name{9 - i}" for i in range(10)]
    found = band_rows(scored, stand, band_groups(stand, 5), names, scale, 5)
    assert [(row.band, row.value, row.members) for row in found] == [
        ("B", 280.0, tuple(f"name{i}" for i in range(5, 10))),
        ("D", 560.0, tuple(f"name{i}" for i in range(5))),
    ]


def test_a_band_that_one_person_makes_up_has_no_figure() -> None:
    frame = rows(*[job for i in range(10) for job in many(f"p{i:02d}", 1e6 if i else 1e8, 1.0 if i else 100.0)])
    scored, _ = per_work(frame, SPAN)
    stand = standing(scored, {})
    shown = band_groups(stand, 5)
    (row,) = band_rows(
        scored, stand, shown, [f"n{i}" for i in range(10)], scale_of(stand.found.value, 2, energy=True), 5
    )
    assert (row.value, row.low, row.high, row.reason, len(row.members)) == (None, None, None, "dominated", 10)


def test_named_rows_are_in_the_order_of_places_and_names_never_of_values() -> None:
    scored, stand = _standing(4)
    found = named_rows(scored, stand, scale_of(stand.found.value, 3, energy=True))
    assert [(row.name, row.best, row.worst) for row in found] == [
        ("p00", 1, 2), ("p01", 1, 2), ("p02", 3, 4), ("p03", 3, 4),
    ]  # fmt: skip
    assert (found[0].value, found[3].value) == (278.0, 556.0)


def test_values_are_rounded_to_significant_digits_in_a_unit_that_suits_them() -> None:
    assert (rounded(0.0449, 2), rounded(99.5, 2), rounded(-12.3, 2)) == (0.045, 100.0, -12.0)
    units = [scale_of(np.array([value]), 2, energy=True).name for value in (3599.0, 3600.0, 3.6e6)]
    assert units == ["J", "Wh", "kWh"]
    assert scale_of(np.array([0.5]), 2, energy=False).name == ""
    assert scale_of(np.array([0.5]), 2, energy=False).shown(float("inf")) is None


def test_pseudonyms_are_different_and_drawn_anew_each_time() -> None:
    first, second = fresh(500), fresh(500)
    assert len(set(first)) == 500
    assert first != second
    assert len(set(first) & set(second)) < 100
    assert len(set(fresh(30_000))) == 30_000


# --- Statistics -------------------------------------------------------------------------------------------------------


def _populations(rng: np.random.Generator, ratio: float, people: int) -> Places:
    """People of whom half need ``ratio`` as much, over 30 days with much chance in them."""
    worked = (rng.random((30, people)) < 0.7) * rng.lognormal(0, 0.6, (30, people))
    level = np.where(np.arange(people) < people // 2, ratio, 1.0)
    drawn = worked * level * rng.lognormal(0, 0.25, (30, people))
    return places(ratios(drawn, worked), relative=True)


def test_people_who_are_equal_in_truth_are_hardly_ever_told_apart() -> None:
    rng = np.random.default_rng(1)
    runs = [_populations(rng, 1.0, 2) for _ in range(300)]
    assert np.mean([(run.best > 1).any() or (run.worst < 2).any() for run in runs]) <= 0.10
    crowds = [_populations(rng, 1.0, 20) for _ in range(100)]
    assert np.mean([np.mean((run.worst - run.best) / 19) for run in crowds]) >= 0.9  # of all pairs


def test_people_who_need_a_third_less_are_mostly_told_apart() -> None:
    rng = np.random.default_rng(2)
    runs = [_populations(rng, 0.67, 20) for _ in range(100)]
    assert np.mean([(run.worst[:10] <= 12).mean() for run in runs]) >= 0.8


# --- The document -----------------------------------------------------------------------------------------------------


def test_a_document_is_read_back_as_it_was_written() -> None:
    said = documents.Document(
        {"slug": "x", "title": "Müll – 1"}, {"number": 1}, "1", "", "0.1", 5, 0.98, "NODE_AC",
        documents.Measure("energy_per_work", "Wh", "query", 2), RULES, (documents.Withheld("few_people", "thin"),),
        (documents.BandRow("A–B", ("a-b", "c-d"), 1.2, None, 3.0),),
        (documents.NamedRow("x", "A", 1, 2, 1.0, 0.5, 2.0),), None,
    )  # fmt: skip
    text = documents.canonical(said)
    assert text.isascii()
    assert documents.read(text) == said
    assert documents.canonical(documents.read(text)) == text
    assert documents.difference(said, said) == []
