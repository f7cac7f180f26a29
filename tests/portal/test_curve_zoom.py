"""A part of a job's power curve: the same joules in shorter buckets, for whoever may see the job, nothing beyond it."""

from __future__ import annotations

import csv
import itertools
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.curves import (
    PartRefused,
    Refusal,
    Span,
    Window,
    bucket_edges,
    curve_of,
    energy_j,
    moves,
    shortest_ms,
)
from measurements.domain.nodeday import Series
from measurements.domain.units import Kind
from measurements.models import Allocation, Job, JobEnergy, PageRead
from measurements.selectors import curve as curve_selector
from measurements.selectors.curve import JobCurve, job_curve
from measurements.store import SampleStore
from tests.conftest import People
from tests.portal.world import DAY_S, HOUR, WIDE_J

JSON = "/jobs/alpha/123/curve.json"
PAGE = "/jobs/alpha/123/"
FIRST_MS, LAST_MS = 1000 * (DAY_S + HOUR), 1000 * (DAY_S + 2 * HOUR)
PART = {"from": FIRST_MS + 900_000, "to": FIRST_MS + 1_800_000}  # 01:15 to 01:30; thin1 is silent from 01:20:30 on


def of(shown: Span | None = None, name: str = "123") -> JobCurve:
    job = Job.objects.get(job_id=name)
    found = job_curve(job, JobEnergy.objects.get(job=job).samples, shown)
    assert found is not None
    return found


def answer(client: Client, **query: Any) -> dict[str, Any]:
    response = client.get(JSON, query)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


# --- Sums and extremes agree --------------------------------------------------------------------


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    watts=st.lists(st.integers(0, 5_000), min_size=61, max_size=61),
    length=st.integers(60, 9_000),
    part=st.tuples(st.integers(0, 19), st.integers(1, 20)),
)
def test_a_part_has_the_energy_and_the_extremes_of_its_buckets_of_the_whole(
    gaps: list[int], watts: list[int], length: int, part: tuple[int, int]
) -> None:
    t = np.concatenate(([0], np.cumsum(gaps))) * 1000
    series = Series("node", Kind.GAUGE, t, np.array(watts[: len(t)], np.int64) * 1000, 60_000, 210_000)
    coarse_edges = np.unique(np.linspace(0, 1000 * length, 21).round().astype(np.int64))
    coarse = curve_of([Window(0, 1000 * length, [series], 1)], coarse_edges)
    first, last = part[0], min(part[0] + part[1], 20)
    shown = Span(int(coarse_edges[first]), int(coarse_edges[last]))
    finer = curve_of(
        [Window(*cut, [series], 1) for cut in shown.cut([(0, 1000 * length)])],
        bucket_edges(shown.start_ms, shown.end_ms, 1_000),
    )
    joules = np.nansum((coarse.mean_w * coarse.covered_ms)[first:last]) / 1000
    assert energy_j(finer) == pytest.approx(joules, rel=1e-9, abs=1e-6)
    assert finer.covered_ms.sum() == coarse.covered_ms[first:last].sum()
    some = coarse.covered_ms[first:last] > 0
    if some.any():
        assert np.nanmax(finer.max_w) == pytest.approx(coarse.max_w[first:last][some].max(), rel=1e-12)
        assert np.nanmin(finer.min_w) == pytest.approx(coarse.min_w[first:last][some].min(), rel=1e-12, abs=1e-12)


def test_parts_laid_end_to_end_have_the_energy_of_the_job(site: None) -> None:
    cuts = [FIRST_MS, FIRST_MS + 1_234_567, FIRST_MS + 2_000_001, FIRST_MS + 2_000_000 + 400_003, LAST_MS]
    parts = [of(Span(low, high)) for low, high in itertools.pairwise(cuts)]
    assert sum(part.energy_j for part in parts) == pytest.approx(WIDE_J, rel=1e-9)
    assert of().energy_j == pytest.approx(WIDE_J, rel=1e-9)
    assert sum(part.total.covered_ms.sum() for part in parts) == of().total.covered_ms.sum()
    assert np.nanmax(np.concatenate([part.total.max_w for part in parts])) == np.nanmax(of().total.max_w)


def test_a_part_is_drawn_finer_and_its_gap_stays_open(site: None) -> None:
    whole, part = of(), of(Span(PART["from"], PART["to"]))
    assert (part.shown, part.whole) == (Span(PART["from"], PART["to"]), Span(FIRST_MS, LAST_MS))
    assert np.diff(part.total.edges_ms).max() < np.diff(whole.total.edges_ms).min()
    thin1 = next(node.curve for node in part.nodes if node.node == "thin1")
    silent = np.isnan(thin1.mean_w)
    assert thin1.edges_ms[:-1][silent].min() >= PART["from"] + 330_000
    assert thin1.covered_ms.sum() == 330_000


def test_a_part_in_which_a_node_is_silent_still_knows_that_node(site: None) -> None:
    """Else the sum of two nodes would be that of the one that is measured."""
    part = of(Span(FIRST_MS + 1_260_000, FIRST_MS + 1_700_000))
    assert [node.node for node in part.nodes] == ["thin1", "thin2"]
    assert np.isnan(part.total.mean_w).all()
    assert part.energy_j == pytest.approx(200 * 440, rel=1e-9)


def test_only_the_days_of_a_part_are_read(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.objects.get(job_id="123")
    late = LAST_MS + 5 * 86_400_000
    Job.objects.filter(pk=job.pk).update(end_ms=late)
    Allocation.objects.filter(run__job=job).update(end_ms=late)
    spans: list[tuple[int, int]] = []
    real = SampleStore.read

    def noted(store: SampleStore, channels: Any, start_ms: int, end_ms: int) -> Any:
        spans.append((start_ms, end_ms))
        return real(store, channels, start_ms, end_ms)

    monkeypatch.setattr(SampleStore, "read", noted)
    part = of(Span(PART["from"], PART["to"]))
    assert part.whole.end_ms == late
    day_ms = 1000 * DAY_S
    assert all(start >= day_ms - 900_000 and end <= day_ms + 86_400_000 + 900_000 for start, end in spans)


def test_a_job_that_runs_can_be_shown_up_to_its_last_half_interval(site: None) -> None:
    Job.objects.filter(job_id="300").update(end_ms=None)
    Allocation.objects.filter(run__job__job_id="300").update(end_ms=None)
    whole = of(name="300")
    part = of(Span(whole.whole.end_ms - 600_000, whole.whole.end_ms), "300")
    assert part.shown.end_ms == whole.whole.end_ms == 1000 * (DAY_S + 12 * HOUR + 30)
    assert part.total.covered_ms.sum() == 600_000


# --- Where one can go ---------------------------------------------------------------------------


@given(
    start=st.integers(0, 10**6), length=st.integers(1, 10**6), nominal=st.integers(1, 10**5), steps=st.lists(
        st.sampled_from(["in", "out", "left", "right", "whole"]), max_size=12
    )
)  # fmt: skip
def test_no_move_leads_out_of_the_whole_or_below_the_shortest(
    start: int, length: int, nominal: int, steps: list[str]
) -> None:
    whole = Span(start, start + length)
    least = shortest_ms(nominal, whole)
    shown = whole
    for step in steps:
        shown = moves(shown, whole, least)[step]
        assert whole.start_ms <= shown.start_ms < shown.end_ms <= whole.end_ms
        assert shown.length_ms >= least


def test_zooming_in_shows_the_middle_half() -> None:
    places = moves(Span(1_000_000, 3_000_000), Span(0, 10_000_000), 5_000)
    assert places["in"] == Span(1_500_000, 2_500_000)
    assert places["out"] == Span(0, 4_000_000)
    assert (places["left"], places["right"]) == (Span(0, 2_000_000), Span(2_000_000, 4_000_000))
    assert places["whole"] == Span(0, 10_000_000)


# --- The answer ---------------------------------------------------------------------------------


def test_the_answer_has_chart_table_and_words_of_the_part(site: None, alice: Client) -> None:
    found = answer(alice, **PART)
    chart = found["chart"]
    assert (chart["start"], chart["end"]) == (PART["from"], PART["to"])
    assert len(chart["t"]) == found["table"].count("<tr>") - 1 <= 2_000
    assert chart["whole"] == {"start": FIRST_MS, "end": LAST_MS, "shortest": 300_000}
    assert found["sentence"].replace("\u00a0", " ") == (
        "Shown is 10 Mar 2025, 01:15:00 to 01:30:00, 45 s a point. Power: 300 W to 300 W. "
        "Energy of its nodes: 59.2 Wh. Measured: 68.3 %."
    )
    assert found["csv"] == f"start={FIRST_MS}&from={PART['from']}&to={PART['to']}&format=csv"
    assert found["moves"]["whole"] == {"query": f"start={FIRST_MS}", "stays": False}


def test_the_whole_is_the_page_s_chart(site: None, alice: Client) -> None:
    found = answer(alice)
    assert found["chart"] == alice.get(PAGE).context["chart"]
    assert "The whole job is shown" in found["sentence"]
    assert found["moves"]["out"]["stays"] is True


def test_the_csv_of_a_part_has_its_buckets(site: None, alice: Client) -> None:
    response = alice.get(f"{PAGE}?{urlencode(PART)}&format=csv")
    rows = list(csv.DictReader(StringIO(b"".join(response).decode())))
    assert (rows[0]["from"], rows[-1]["to"]) == ("2025-03-10T01:15:00+00:00", "2025-03-10T01:30:00+00:00")
    assert len(rows) == len(answer(alice, **PART)["chart"]["t"])


def test_the_page_shows_a_part_by_its_address_and_leads_on_without_a_script(site: None, alice: Client) -> None:
    page = alice.get(PAGE, PART)
    assert page.context["chart"]["start"] == PART["from"]
    assert page.context["curve"].shown == Span(FIRST_MS, LAST_MS)  # gaps and parts are the job's
    links = {move.name: move for move in page.context["curve_moves"]}
    assert links["in"].query == f"start={FIRST_MS}&from={PART['from'] + 225_000}&to={PART['to'] - 225_000}"
    assert f'href="?{links["in"].query.replace("&", "&amp;")}#power"' in page.content.decode()
    after = alice.get(f"{PAGE}?{links['out'].query}")
    assert after.context["chart"]["end"] - after.context["chart"]["start"] == 1_800_000


def test_a_later_run_is_marked_where_it_begins(site: None, alice: Client) -> None:
    job = Job.objects.get(job_id="123")
    node = Allocation.objects.filter(run__job=job)[0].node
    assert node is not None
    again = job.runs.create(start_ms=LAST_MS + 600_000, end_ms=LAST_MS + 1_200_000, state="COMPLETED")
    again.allocations.create(
        node=node, node_name=node.name, start_ms=LAST_MS + 600_000, end_ms=LAST_MS + 1_200_000
    )  # fmt: skip
    assert answer(alice)["chart"]["runs"] == [{"at": LAST_MS + 600_000, "label": "run 2"}]
    assert answer(alice, **PART)["chart"]["runs"] == []


# --- Who, and what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(("who", "status"), [("alice", 200), ("bob", 404), ("charlie", 404), ("olga", 200)])
def test_a_part_is_seen_by_whoever_sees_the_job(
    site: None, people: People, client: Client, who: str, status: int
) -> None:
    client.force_login(getattr(people, who))
    for query in ({}, PART, {"from": "x", "to": "1"}):
        assert client.get(JSON, query).status_code == (400 if status == 200 and "x" in query.values() else status)


def test_that_an_operator_looked_at_a_part_is_noted(site: None, people: People, client: Client) -> None:
    client.force_login(people.olga)
    client.get(JSON, PART)
    assert PageRead.objects.filter(reader="olga", username="alice").exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": FIRST_MS}, "named by two times"),
        ({"from": "now", "to": LAST_MS}, "named by two times"),
        ({"from": "-1", "to": LAST_MS}, "named by two times"),
        ({"from": "1" * 40, "to": LAST_MS}, "named by two times"),
        ({"from": "१", "to": LAST_MS}, "named by two times"),
        ({"from": LAST_MS, "to": FIRST_MS}, "end before it begins"),
        ({"from": FIRST_MS, "to": FIRST_MS}, "end before it begins"),
        ({"from": LAST_MS, "to": LAST_MS + 600_000}, "outside of the job's time"),
        ({"from": 0, "to": FIRST_MS}, "outside of the job's time"),
        ({"from": FIRST_MS, "to": FIRST_MS + 299_999}, "too short: it needs at least 5\u00a0min"),
        ({"from": LAST_MS - 1000, "to": LAST_MS + 600_000}, "too short"),
    ],
)
def test_what_is_no_part_is_refused_with_a_sentence(
    site: None, alice: Client, query: dict[str, Any], said: str
) -> None:
    refused = alice.get(JSON, query)
    assert refused.status_code == 400
    assert said in refused.json()["error"]
    page = alice.get(PAGE, query)
    assert page.status_code == 400
    assert page.context["chart"]["start"] == FIRST_MS  # the whole is still shown
    assert said in page.context["curve_fault"]
    table = alice.get(PAGE, {**query, "format": "csv"})
    assert table.status_code == 400
    assert said in table.content.decode()


def test_a_part_that_reaches_beyond_the_job_ends_with_it(site: None, alice: Client) -> None:
    chart = answer(alice, **{"from": 0, "to": 10**14})["chart"]
    assert (chart["start"], chart["end"]) == (FIRST_MS, LAST_MS)


def test_a_part_of_too_many_samples_is_refused(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_selector, "MOST_SAMPLES", 100)
    job = Job.objects.get(job_id="123")
    assert job_curve(job, 101) is None
    with pytest.raises(PartRefused) as refused:
        job_curve(job, 101, Span(PART["from"], PART["to"]))
    assert refused.value.reason is Refusal.TOO_MUCH


def test_a_job_without_any_measurement_has_no_part(site: None, alice: Client) -> None:
    assert alice.get("/jobs/alpha/93+1/curve.json").status_code == 404
    assert alice.get("/jobs/alpha/202/curve.json", PART).status_code == 404
