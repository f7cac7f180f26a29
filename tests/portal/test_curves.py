"""Power curves: the ledger's joules in buckets, with gaps left open."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.curves import FEWEST_BUCKETS, MOST_BUCKETS, Curve, Window, bucket_edges, curve_of, total_of
from measurements.domain.integrate import between_edges, gauge_steps
from measurements.domain.nodeday import Series
from measurements.domain.units import Kind, ms_from_datetime
from measurements.models import Allocation, Job, JobEnergy
from measurements.selectors import curve as curve_selector
from measurements.selectors.curve import job_curve
from portal.charts import curve_rows, power_curve, time_ticks
from tests.portal import world
from tests.portal.world import DAY_S, HOUR, WIDE_J

UTC_ZONE = ZoneInfo("UTC")


def gauge(watts: dict[int, float], nominal_s: int = 60, gap_s: int = 60) -> Series:
    """A power channel: seconds → W."""
    t = np.array([1000 * s for s in watts], np.int64)
    value = np.array([1000 * w for w in watts.values()], np.int64)
    return Series("node", Kind.GAUGE, t, value, 1000 * nominal_s, 1000 * gap_s)


def edges(*seconds: int) -> np.ndarray:
    return np.array(seconds, np.int64) * 1000


def energy_j(found: Curve) -> float:
    """Of all buckets of one node."""
    return float(np.nansum(found.mean_w * found.covered_ms)) / 1000


def test_a_bucket_has_its_mean_and_extremes() -> None:
    found = curve_of([Window(0, 120_000, [gauge({0: 100, 60: 200, 120: 100})], 1)], edges(0, 60, 90, 120))
    assert found.mean_w.tolist() == [150, 175, 125]
    assert found.min_w.tolist() == [100, 150, 100]
    assert found.max_w.tolist() == [200, 200, 150]
    assert found.covered_ms.tolist() == found.held_ms.tolist() == [60_000, 30_000, 30_000]
    assert energy_j(found) == 18_000


def test_a_gap_stays_open_beyond_the_half_intervals() -> None:
    """100 W until 60 s, held until 90 s; again from 270 s (half an interval before 300 s) on."""
    series = gauge({0: 100, 60: 100, 300: 300, 360: 300})
    found = curve_of([Window(0, 360_000, [series], 1)], edges(0, 60, 120, 180, 240, 300, 360))
    np.testing.assert_array_equal(found.mean_w, [100, 100, np.nan, np.nan, 300, 300])
    np.testing.assert_array_equal(found.max_w, [100, 100, np.nan, np.nan, 300, 300])
    assert found.covered_ms.tolist() == [60_000, 30_000, 0, 0, 30_000, 60_000]
    assert found.held_ms.tolist() == [60_000] * 6


def test_a_meter_of_parts_is_known_where_all_of_them_are() -> None:
    whole, half = gauge({0: 100, 60: 100, 120: 100}), gauge({0: 10, 60: 10})
    found = curve_of([Window(0, 120_000, [whole, half], 2)], edges(0, 60, 120))
    assert found.mean_w.tolist() == [110, 110]
    assert found.covered_ms.tolist() == [60_000, 30_000]
    silent = curve_of([Window(0, 120_000, [whole], 2)], edges(0, 60, 120))
    assert not silent.covered_ms.any()
    assert np.isnan(silent.mean_w).all()


def test_a_counter_is_spread_evenly_and_not_held() -> None:
    joules = Series("node", Kind.COUNTER, edges(0, 60, 120), np.array([0, 6e9, 18e9], np.int64), 60_000, 900_000)
    found = curve_of([Window(0, 180_000, [joules], 1)], edges(0, 60, 120, 180))
    np.testing.assert_array_equal(found.mean_w, [100, 200, np.nan])


def test_what_lies_outside_the_windows_is_not_held() -> None:
    series = gauge(dict.fromkeys(range(0, 301, 60), 100.0))
    windows = [Window(0, 60_000, [series], 1), Window(240_000, 300_000, [series], 1)]
    found = curve_of(windows, edges(0, 60, 120, 240, 300))
    assert found.held_ms.tolist() == [60_000, 0, 0, 60_000]
    assert found.covered_ms.tolist() == [60_000, 0, 0, 60_000]


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    watts=st.lists(st.integers(0, 5_000), min_size=61, max_size=61),
    start=st.integers(0, 3_000),
    length=st.integers(1, 9_000),
    count=st.integers(1, 40),
)
def test_buckets_hold_the_energy_of_the_ledger(
    gaps: list[int], watts: list[int], start: int, length: int, count: int
) -> None:
    """Mean × covered time over all buckets is the integral; no mean lies outside its extremes."""
    t = np.concatenate(([0], np.cumsum(gaps))) * 1000
    value = np.array(watts[: len(t)], np.int64) * 1000
    series = Series("node", Kind.GAUGE, t, value, 60_000, 210_000)
    bounds = np.unique(np.linspace(start, start + length, count + 1).round().astype(np.int64)) * 1000
    found = curve_of([Window(int(bounds[0]), int(bounds[-1]), [series], 1)], bounds)
    energy, ticks = between_edges(gauge_steps(t * 2, value, 60_000, 210_000), bounds * 2)
    assert energy_j(found) == pytest.approx(energy.sum() / 4e6, rel=1e-9, abs=1e-6)
    assert found.covered_ms.sum() == ticks.sum() / 2
    some = found.covered_ms > 0
    assert (found.min_w[some] <= found.mean_w[some] + 1e-9).all()
    assert (found.mean_w[some] <= found.max_w[some] + 1e-9).all()
    assert np.isnan(found.mean_w[~some]).all()


@pytest.mark.parametrize(
    ("seconds", "nominal_s", "count"),
    [(177, 60, FEWEST_BUCKETS), (6 * 3600, 60, 360), (86_400, 60, MOST_BUCKETS), (30 * 86_400, 10, MOST_BUCKETS)],
)
def test_there_are_as_many_buckets_as_samples_within_reason(seconds: int, nominal_s: int, count: int) -> None:
    found = bucket_edges(0, 1000 * seconds, 1000 * nominal_s)
    assert len(found) - 1 == count
    assert (found[0], found[-1]) == (0, 1000 * seconds)


def test_a_job_of_a_few_milliseconds_has_a_bucket_for_each() -> None:
    assert bucket_edges(5, 8, 60_000).tolist() == [5, 6, 7, 8]


def curve(mean: list[float], held: list[float]) -> Curve:
    values = np.array(mean)
    covered = np.where(np.isnan(values), 0.0, held)
    return Curve(edges(0, 60, 120, 180), values, values - 10, values + 10, covered, np.array(held))


def test_a_sum_is_known_where_every_node_held_is() -> None:
    nan = np.nan
    one, two = curve([100, nan, 100], [60, 60, 60]), curve([200, 200, nan], [60, 60, 0])
    total = total_of([one, two])
    np.testing.assert_array_equal(total.mean_w, [300, nan, 100])
    np.testing.assert_array_equal(total.min_w, [280, nan, 90])
    np.testing.assert_array_equal(total.max_w, [320, nan, 110])
    assert total.covered_ms.tolist() == [120, 60, 60]
    assert total.held_ms.tolist() == [120, 120, 60]


# --- Of a job -----------------------------------------------------------------------------------


def of(job_id: str) -> curve_selector.JobCurve:
    job = Job.objects.get(job_id=job_id)
    found = job_curve(job, JobEnergy.objects.get(job=job).samples)
    assert found is not None
    return found


def test_a_job_s_curve_has_its_energy_and_its_gap(site: None) -> None:
    found = of("123")
    thin1, thin2 = found.nodes
    assert (thin1.node, thin2.node) == ("thin1", "thin2")
    assert energy_j(thin1.curve) + energy_j(thin2.curve) == pytest.approx(WIDE_J, rel=1e-9)
    assert set(thin2.curve.mean_w.tolist()) == {200.0}
    silent = np.isnan(thin1.curve.mean_w)
    assert silent.sum() == 18  # 19 minutes, of which two halves lie in buckets that are covered in part
    np.testing.assert_array_equal(np.isnan(found.total.mean_w), silent)
    assert set(found.total.mean_w[~silent].tolist()) == {300.0}


def test_a_job_of_more_samples_than_a_page_may_read_is_not_drawn(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.objects.get(job_id="123")
    assert job_curve(job, 101) is not None
    monkeypatch.setattr(curve_selector, "MOST_SAMPLES", 100)
    assert job_curve(job, 101) is None


def test_many_nodes_are_drawn_as_their_sum(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_selector, "NODES_ONE_BY_ONE", 1)
    found = of("123")
    assert found.nodes == ()
    assert (found.drawn_nodes, found.held_nodes) == (2, 2)
    payload, unit = power_curve(found, UTC_ZONE, None)
    assert [line["label"] for line in payload["series"]] == ["all nodes"]
    assert unit.label == "W"


def test_a_running_job_is_drawn_up_to_the_last_sample_and_half_an_interval(site: None) -> None:
    job = Job.objects.get(job_id="300")
    Job.objects.filter(pk=job.pk).update(end_ms=None)
    Allocation.objects.filter(run__job=job).update(end_ms=None)
    assert of("300").total.edges_ms[-1] == 1000 * (DAY_S + 12 * HOUR + 30)


def test_a_requeued_job_is_not_drawn_between_its_runs(site: None) -> None:
    job = Job.objects.get(job_id="300")
    first = job.runs.get()
    node = first.allocations.get().node
    assert node is not None
    start_ms = 1000 * (DAY_S + 11 * HOUR + 1800)
    again = job.runs.create(start_ms=start_ms, end_ms=start_ms + 1_800_000, state="COMPLETED")
    again.allocations.create(node=node, node_name=node.name, start_ms=start_ms, end_ms=start_ms + 1_800_000)
    found = of("300").total
    idle = found.held_ms == 0
    assert found.held_ms.sum() == 1000 * (HOUR + 1800)
    assert idle.sum() == pytest.approx(30, abs=1)
    assert np.isnan(found.mean_w[idle]).all()
    assert curve_rows(found)[70].coverage is None


def test_a_slow_meter_s_neighbours_are_found_beyond_the_day(db: None, tmp_path: Path) -> None:
    """An interval of 20 minutes bridges 70: 23:40 to 00:30 of the next day, of which the job sees the half."""
    day, late = DAY_S, [*range(0, 86_000, 1200), 86_400 + 1800, 86_400 + 3000]
    (tmp_path / "nodes.csv").write_text("node,node_type,cpus\nn1,thin,4\n")
    (tmp_path / "power.csv").write_text("timestamp,node,watts\n" + "".join(f"{day + s},n1,100\n" for s in late))
    (tmp_path / "jobs.csv").write_text(
        "job_id,user,account,state,start,end,nodes,submit\n"
        f"1,alice,a,COMPLETED,{day + 23 * HOUR},{day + 24 * HOUR},n1,{day}\n"
    )
    for step, file in (("load_nodes", "nodes"), ("ingest_power", "power"), ("ingest_jobs", "jobs")):
        world.run(step, tmp_path / f"{file}.csv")
    world.run("attribute")
    assert JobEnergy.objects.get().energy_j == pytest.approx(360_000, rel=1e-9)
    assert energy_j(of("1").nodes[0].curve) == pytest.approx(360_000, rel=1e-9)


def test_the_payload_leaves_gaps_open_and_stays_small(site: None) -> None:
    payload, unit = power_curve(of("123"), UTC_ZONE, 600.0)
    everything, thin1, thin2 = payload["series"]
    assert [line["label"] for line in payload["series"]] == ["all nodes", "thin1", "thin2"]
    assert unit.label == "W"
    assert everything["mean"].count(None) == thin1["mean"].count(None) == 18
    assert None not in thin2["mean"]
    assert len(payload["t"]) == len(everything["mean"]) == len(payload["coverage"]) <= MOST_BUCKETS
    assert payload["coverage"].count(0.5) == 18  # thin2 is measured
    assert payload["assumed"] == 600.0


# --- Axis ---------------------------------------------------------------------------------------


def labels(start: str, end: str, zone: str) -> list[str]:
    first, last = (ms_from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in (start, end))
    with translation.override("en-gb"):
        return [str(tick["label"]) for tick in time_ticks(first, last, ZoneInfo(zone))]


@pytest.mark.parametrize(
    ("start", "end", "zone", "wanted"),
    [
        ("2025-03-10T01:00", "2025-03-10T02:00", "UTC", "01:00 01:10 01:20 01:30 01:40 01:50 02:00"),
        ("2025-03-10T20:00", "2025-03-11T10:00", "UTC", "20:00 22:00 11_Mar 02:00 04:00 06:00 08:00 10:00"),
        ("2025-03-09T23:51", "2025-03-10T00:03", "Asia/Kathmandu", "05:36 05:38 05:40 05:42 05:44 05:46 05:48"),
        (
            "2025-03-09T16:15",
            "2025-03-10T00:15",
            "Asia/Kathmandu",
            "22:00 23:00 10_Mar 01:00 02:00 03:00 04:00 05:00 06:00",
        ),
        # The clock jumps from 02:00 to 03:00: there is no 02:00, and 03:00 comes once.
        ("2025-03-29T23:00", "2025-03-30T05:00", "Europe/Berlin", "30_Mar 01:00 03:00 04:00 05:00 06:00 07:00"),
        ("2025-03-01T12:00", "2025-03-31T12:00", "UTC", "5_Mar 9_Mar 13_Mar 17_Mar 21_Mar 25_Mar 29_Mar"),
        ("2025-03-10T01:00:00", "2025-03-10T01:00:03", "UTC", "01:00:00 01:00:01 01:00:02 01:00:03"),
    ],
)
def test_ticks_are_round_instants_of_the_zone(start: str, end: str, zone: str, wanted: str) -> None:
    assert labels(start, end, zone) == [label.replace("_", " ") for label in wanted.split()]
