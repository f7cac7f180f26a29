"""Pushes: durable when answered, once however often they come, marked when folded, never larger than bounded."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from django.db import OperationalError

from measurements.domain.samples import Samples
from measurements.domain.units import ms_from_datetime
from measurements.models import (
    Batch,
    Cluster,
    DirtyDoubt,
    DirtyNodeDay,
    MeterPeriod,
    Node,
    PendingCorrection,
    Quarantine,
    Segment,
    Token,
)
from measurements.parsers import power_csv
from measurements.parsers.body import Body
from measurements.parsers.records import ParseOptions
from measurements.services import push as pushing_service
from measurements.services import upkeep
from measurements.services.push import LINES_KEPT, NotDurable, _reason, commit_together
from measurements.services.push_commit import Delivery
from measurements.services.push_folding import fold_pushes
from measurements.services.push_levels import PUSHED, first_open_batch
from measurements.services.quarantine import RefusedCount
from measurements.store import SampleStore
from tests.measurements.services.pushing import NOW, Row, at, cluster_of, held, said, send, token_for

pytestmark = pytest.mark.django_db
DAY = date(2025, 3, 1)


def minute(node: str = "n1", start_s: float = 0, watts: float = 300, count: int = 6) -> list[Row]:
    return [(at(start_s + 10 * i), node, watts + i) for i in range(count)]


def test_what_is_answered_is_in_the_store() -> None:
    cluster = cluster_of("n1", "n2")
    rows = minute() + minute("n2")
    report = send(token_for(cluster), rows)
    assert (report.read, report.stored, report.duplicates, report.refused) == (12, 12, 0, [])
    assert held(cluster) == said(rows)
    assert Segment.objects.get().level == PUSHED
    assert Segment.objects.get().inline is not None


def test_the_same_body_again_stores_nothing_new_before_and_after_folding() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    send(token, minute())
    for _ in range(2):
        again = send(token, minute())
        assert (again.stored, again.duplicates) == (0, 6)
        assert Segment.objects.count() == 1
        fold_pushes(cluster)
    assert held(cluster) == said(minute())


def test_a_body_that_overlaps_stores_what_is_new() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    send(token, minute(count=6))
    report = send(token, minute(count=9))
    assert (report.stored, report.duplicates) == (3, 6)
    assert held(cluster) == said(minute(count=9))


def test_old_readings_and_new_ones_in_one_body_are_each_compared_with_what_is_there() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    old, new = minute(start_s=-7200), minute()
    send(token, old)
    report = send(token, [*old, *new])
    assert (report.stored, report.duplicates) == (6, 6)
    assert held(cluster) == said([*old, *new])


def test_pushes_of_an_hour_share_a_batch_until_another_one_comes() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    for i in range(3):
        send(token, minute(start_s=60 * i))
    batch = Batch.objects.get()
    assert (batch.read, batch.stored) == (18, 18)
    other = Batch.objects.create(
        cluster=cluster, content=Batch.Content.POWER, source="f", sha256="x", options_key="y", committed_at=NOW
    )
    send(token, minute(start_s=600))
    assert Batch.objects.count() == 3
    assert Batch.objects.latest("pk").pk > other.pk
    send(token, minute(start_s=3600), NOW + timedelta(hours=1))
    assert Batch.objects.count() == 4


def test_of_two_values_of_an_instant_the_larger_stays_within_an_hour_and_the_later_beyond() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    send(token, [(at(0), "n1", 300)])
    send(token, [(at(0), "n1", 200)])
    assert held(cluster) == said([(at(0), "n1", 300)])
    fold_pushes(cluster)
    assert held(cluster) == said([(at(0), "n1", 300)])
    send(token, [(at(0), "n1", 250)], NOW + timedelta(hours=1))
    assert held(cluster) == said([(at(0), "n1", 250)])
    fold_pushes(cluster)
    assert held(cluster) == said([(at(0), "n1", 250)])


def test_tending_leaves_the_batch_alone_that_still_grows() -> None:
    """Merged with an older one it would pass the older value off as its own, and the larger would stay."""
    cluster = cluster_of("n1")
    token = token_for(cluster)
    yesterday = -86_400
    send(token, [(at(yesterday), "n1", 300)], NOW - timedelta(hours=3))
    fold_pushes(cluster)
    send(token, minute(start_s=yesterday + 60))
    fold_pushes(cluster)
    upkeep.tend(cluster, NOW)
    assert Segment.objects.count() == 2
    send(token, [(at(yesterday), "n1", 250)])
    now_said = said([(at(yesterday), "n1", 250), *minute(start_s=yesterday + 60)])
    assert held(cluster) == now_said
    fold_pushes(cluster)
    assert held(cluster) == now_said
    later = NOW + timedelta(hours=2, minutes=1)
    assert first_open_batch(cluster, later) is None
    upkeep.tend(cluster, later)
    assert Segment.objects.get().level == upkeep.COMPACTED
    assert held(cluster) == now_said


def test_a_fold_makes_one_segment_and_marks_in_the_same_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("n1", "n2")
    token = token_for(cluster)
    for i in range(5):
        send(token, minute(start_s=60 * i) + minute("n2", start_s=60 * i))
    assert not DirtyNodeDay.objects.exists()
    monkeypatch.setattr("measurements.services.push_folding.mark_reached", failing)
    with pytest.raises(RuntimeError):
        fold_pushes(cluster)
    assert Segment.objects.filter(level=PUSHED).count() == 5
    monkeypatch.undo()
    assert fold_pushes(cluster) == 5
    assert Segment.objects.get().level == upkeep.FOLDED
    assert set(DirtyNodeDay.objects.values_list("node__name", "day")) == {("n1", DAY), ("n2", DAY)}
    assert MeterPeriod.objects.count() == 2
    assert set(Node.objects.values_list("last_sample_ms", flat=True)) == {int(at(290).timestamp() * 1000)}


def failing(*_: object) -> None:
    raise RuntimeError("no marks today")


def test_an_hour_of_folds_leaves_a_handful_of_segments() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    for i in range(30):
        send(token, minute(start_s=60 * i), at(60 * i + 60))
        fold_pushes(cluster)
    assert Segment.objects.count() <= 5
    assert held(cluster) == said([row for i in range(30) for row in minute(start_s=60 * i)])


def test_readings_near_midnight_mark_the_neighbour_too() -> None:
    cluster = cluster_of("n1")
    midnight = at(12 * 3600)
    now = midnight + timedelta(minutes=1)
    send(token_for(cluster), [(midnight + timedelta(seconds=s), "n1", 300) for s in (-10, 0, 10)], now)
    fold_pushes(cluster)
    assert set(DirtyNodeDay.objects.values_list("day", flat=True)) == {DAY, DAY + timedelta(days=1)}
    assert Segment.objects.count() == 2


def test_what_is_refused_is_counted_in_one_row_an_hour_and_its_lines_stay_bounded() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    for i in range(3):
        rows = [(at(10 * k + i), "ghost", 300.0) for k in range(LINES_KEPT // 2)]
        report = send(token, [*rows, (at(i), "n1", 0), (at(i), "n1", 5000), (at(100 + i), "n1", 300)])
        assert report.stored == 1
        assert {row.reason: row.count for row in report.refused}["unknown node"] == LINES_KEPT // 2
    kept = {row.reason: row for row in Quarantine.objects.all()}
    assert kept["unknown node"].count == 3 * LINES_KEPT // 2
    assert len(gzip.decompress(bytes(kept["unknown node"].lines)).splitlines()) == LINES_KEPT
    assert (kept["zero watts"].count, kept["above ceiling"].count) == (3, 3)
    assert Batch.objects.get().refused == 3 * (LINES_KEPT // 2 + 2)


def test_what_comes_for_a_sealed_day_waits_as_a_correction_once() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    later = NOW + timedelta(days=3)
    send(token, minute())
    with pytest.raises(upkeep.NotBooked):
        upkeep.seal(cluster, DAY + timedelta(days=1), later)
    fold_pushes(cluster)
    DirtyNodeDay.objects.all().delete()
    DirtyDoubt.objects.all().delete()
    upkeep.seal(cluster, DAY + timedelta(days=1), later)
    report = send(token, minute(start_s=600), later)
    assert (report.stored, report.pending) == (0, 6)
    report = send(token, minute(start_s=600, count=7), later)
    assert (report.pending, report.duplicates) == (1, 6)
    assert PendingCorrection.objects.get().rows == 7
    assert held(cluster) == said(minute())


def test_a_node_just_loaded_is_known_to_the_next_push_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    assert send(token, minute("n2")).stored == 0
    cluster_of("n2")
    monkeypatch.setattr("measurements.services.directories.UNKNOWN_KEPT_S", 0.0)
    assert send(token, minute("n2")).stored == 6


def test_use_is_noted_once_a_minute_with_the_newest_reading() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    send(token, minute())
    token.refresh_from_db()
    assert (token.last_used_at, token.newest_ms) == (NOW, int(at(50).timestamp() * 1000))
    send(token, minute(start_s=60), NOW + timedelta(seconds=30))
    token.refresh_from_db()
    assert token.last_used_at == NOW
    send(token, minute(start_s=120), NOW + timedelta(seconds=61))
    token.refresh_from_db()
    assert token.newest_ms == int(at(170).timestamp() * 1000)


def test_that_nothing_is_of_use_is_noted_with_the_time_and_reason_until_something_is() -> None:
    token = token_for(cluster_of("n1"))

    def noted() -> tuple[datetime | None, str]:
        token.refresh_from_db()
        return token.refused_since, token.refused_for

    def later(seconds: int) -> datetime:
        return NOW + timedelta(seconds=seconds)

    send(token, [*minute("ghost"), (NOW, "n1", 0.0)])
    assert noted() == (NOW, "unknown node")
    send(token, [(NOW, "n1", 0.0)], later(30))
    assert noted() == (NOW, "unknown node")  # within the minute nothing is written
    send(token, [(NOW, "n1", 0.0)], later(61))
    assert noted() == (NOW, "zero watts")
    send(token, [*minute("ghost"), *minute()], later(62))
    assert noted() == (None, "")  # at once
    assert token.last_used_at == later(62)
    send(token, minute("ghost"), later(63))
    assert noted() == (None, "")
    send(token, minute("ghost"), later(123))
    assert noted() == (later(123), "unknown node")
    assert _reason([RefusedCount("no mapping for this metric", 9, 1), RefusedCount("no node", 1, 2)]) == "no node"
    assert _reason([RefusedCount("no mapping for this metric", 9, 1)]) == "no mapping for this metric"
    send(token, minute(), later(124))  # known already: of use all the same
    assert noted() == (None, "")


def test_of_a_common_commit_one_body_that_is_of_use_is_enough_for_a_token() -> None:
    cluster = cluster_of("n1")
    deliveries = [delivery(cluster, name) for name in ("ghost", "n1", "ghost")]
    other = token_for(cluster, "other")
    deliveries.append(replace(delivery(cluster, "ghost"), token=other))
    commit_together(deliveries)
    assert list(Token.objects.order_by("name").values_list("name", "refused_for")) == [
        ("agents", ""),
        ("other", "unknown node"),
    ]


def test_a_common_commit_that_fails_by_one_keeps_the_others_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("n1", "n2", "n3")
    deliveries = [delivery(cluster, name) for name in ("n1", "n2", "n3")]
    poison = Node.objects.get(name="n2").pk
    write = SampleStore.write

    def poisoned(self: SampleStore, *args: object, **kwargs: object) -> Segment:
        samples = args[2]
        assert isinstance(samples, Samples)
        if poison in samples.node.tolist():
            raise ValueError("not this one")
        return write(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(SampleStore, "write", poisoned)
    outcomes = commit_together(deliveries)
    assert isinstance(outcomes[1], ValueError)
    assert [outcome.stored for outcome in (outcomes[0], outcomes[2])] == [6, 6]  # type: ignore[union-attr]
    assert held(cluster) == said(minute("n1") + minute("n3"))
    assert Batch.objects.get().stored == 12


def delivery(cluster: Cluster, name: str) -> Delivery:
    token = Token.objects.filter(name="agents").first() or token_for(cluster)
    text = "timestamp,node,watts\n" + "".join(f"{t.isoformat()},{n},{w}\n" for t, n, w in minute(name))
    chunks = power_csv.read(Body(text.encode()), ParseOptions(), ms_from_datetime(NOW))
    return pushing_service._judged(token, chunks, NOW)


def test_a_full_disk_is_told_to_all_and_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)

    def full(*_: object, **__: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(pushing_service, "note_uses", full)
    with pytest.raises(NotDurable, match="disk is full"):
        send(token, minute())
    monkeypatch.undo()
    assert held(cluster) == set()
    assert not Batch.objects.exists()
    assert send(token, minute()).stored == 6
