"""What feeds of power store: all of a piece or nothing, the cursor with it, and once however often it is asked for."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from measurements.domain.units import ms_from_datetime
from measurements.models import Batch, Cluster, DirtyDoubt, DirtyNodeDay, Feed, PendingCorrection, Quarantine, Segment
from measurements.parsers import power_csv
from measurements.parsers.body import Body
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal
from measurements.services import feed_batches, power_feeds, upkeep
from measurements.services.feed_turns import LEASE, Taken, Turn
from measurements.services.power_feeds import TooMuch, store
from measurements.services.push_folding import fold_pushes
from tests.measurements.services.pushing import NOW, Row, at, cluster_of, held, said, send, token_for

pytestmark = pytest.mark.django_db
DAY = date(2025, 3, 1)


def turn_of(cluster: Cluster, now: datetime = NOW, name: str = "prom") -> Turn:
    """A turn of a feed that holds its lease."""
    defaults = {"cluster": cluster, "kind": "prometheus", "every_s": 60, "late_after_s": 600}
    feed, _ = Feed.objects.get_or_create(name=name, defaults=defaults)
    Feed.objects.filter(pk=feed.pk).update(claimed_by="test", claimed_until=now + LEASE)
    return Turn(Feed.objects.select_related("cluster").get(pk=feed.pk), now, None)  # type: ignore[arg-type]


def chunks(rows: list[Row], refusals: tuple[Refusal, ...] = ()) -> Iterator[PowerChunk]:
    text = "timestamp,node,watts\n" + "".join(f"{t.isoformat()},{node},{value}\n" for t, node, value in rows)
    yield from power_csv.read(Body(text.encode()), ParseOptions(), ms_from_datetime(NOW))
    none = next(iter(power_csv.read(Body(b"timestamp,node,watts\n"), ParseOptions(), 0)), None)
    if refusals and none is not None:
        none = PowerChunk((), (), (), none.node, none.channel, none.t_ms, none.value, none.line, refusals)
        yield none


def ms(seconds: float) -> int:
    return ms_from_datetime(at(seconds))


def minute(node: str = "n1", start_s: float = 0, watts: float = 300, count: int = 6) -> list[Row]:
    return [(at(start_s + 10 * i), node, watts + i) for i in range(count)]


def test_a_piece_is_stored_with_the_cursor_and_marked_by_folding() -> None:
    cluster = cluster_of("n1", "n2")
    turn = turn_of(cluster)
    report = store(turn, chunks(minute() + minute("n2")), cursor_ms=ms(60))
    assert (report.read, report.stored, report.duplicates, report.refused) == (12, 12, 0, [])
    feed = Feed.objects.get()
    assert (feed.cursor_ms, feed.newest_ms) == (ms(60), ms(50))
    assert held(cluster) == said(minute() + minute("n2"))
    assert (turn.report["read"], turn.report["stored"]) == (12, 12)
    batch = Batch.objects.get()
    assert (batch.source, batch.read, batch.stored, batch.duplicates) == ("feeds 2025-03-01T12:00Z", 12, 12, 0)
    fold_pushes(cluster)
    assert set(DirtyNodeDay.objects.values_list("node__name", "day")) == {("n1", DAY), ("n2", DAY)}


def test_the_overlap_again_leaves_no_trace_and_what_is_new_in_it_is_stored() -> None:
    cluster = cluster_of("n1")
    store(turn_of(cluster), chunks(minute()), cursor_ms=ms(60))
    for now in (NOW, NOW + timedelta(hours=2)):  # also when the hour has another batch
        report = store(turn_of(cluster, now), chunks(minute()), cursor_ms=ms(60))
        assert (report.stored, report.duplicates) == (0, 6)
        assert (Batch.objects.count(), Segment.objects.count()) == (1, 1)
    late: list[Row] = [(at(5), "n1", 280.0)]
    report = store(turn_of(cluster), chunks(minute() + late), cursor_ms=ms(60))
    assert (report.stored, report.duplicates) == (1, 6)
    assert held(cluster) == said(minute() + late)
    assert Batch.objects.get().stored == 7


def test_feeds_and_pushes_of_an_hour_share_its_batch() -> None:
    cluster = cluster_of("n1", "n2")
    token = token_for(cluster)
    for i in range(3):
        send(token, minute(start_s=60 * i))
        store(turn_of(cluster), chunks(minute("n2", start_s=60 * i)), cursor_ms=ms(60 * i))
    assert (Batch.objects.get().stored, Batch.objects.get().source) == (36, "push 2025-03-01T12:00Z")


def test_a_commit_that_fails_keeps_nothing_and_the_cursor_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("n1")
    store(turn_of(cluster), chunks(minute()), cursor_ms=ms(60))

    keep = Turn.keep

    def fail(turn: Turn, *, cursor_ms: int | None = None, newest_ms: int | None = None) -> None:
        keep(turn, cursor_ms=cursor_ms, newest_ms=newest_ms)
        raise OSError("no space left on device")

    turn = turn_of(cluster)
    monkeypatch.setattr(Turn, "keep", fail)
    with pytest.raises(OSError, match="no space"):
        store(turn, chunks(minute(start_s=60)), cursor_ms=ms(120))
    monkeypatch.undo()
    assert (Feed.objects.get().cursor_ms, turn.feed.cursor_ms) == (ms(60), ms(60))
    assert held(cluster) == said(minute())
    assert store(turn, chunks(minute(start_s=60)), cursor_ms=ms(120)).stored == 6


def test_who_lost_its_lease_stores_nothing() -> None:
    cluster = cluster_of("n1")
    turn = turn_of(cluster)
    Feed.objects.update(claimed_by="another")
    with pytest.raises(Taken):
        store(turn, chunks(minute()), cursor_ms=ms(60))
    assert held(cluster) == set()
    assert not Batch.objects.exists()


def test_what_is_refused_is_kept_once_however_often_it_comes() -> None:
    cluster = cluster_of("n1")
    ghosts: list[Row] = [(at(i), "ghost", 300.0) for i in range(5)]
    unknown = (Refusal("no mapping for this metric", 1, "x", "odd_watts{}"),)
    for cursor in (60, 120, 180):
        rows = [*ghosts, *minute(start_s=cursor - 60)]
        report = store(turn_of(cluster), chunks(rows, unknown), cursor_ms=ms(cursor))
        assert {row.reason: row.count for row in report.refused} == {"unknown node": 5, "no mapping for this metric": 1}
    kept = {row.reason: row.count for row in Quarantine.objects.all()}
    assert kept == {"unknown node": 5, "no mapping for this metric": 1}
    day = Batch.objects.get(source="feed prom")
    assert (day.read, day.refused, day.stored) == (6, 6, 0)
    late: list[Row] = [(at(5.5), "ghost", 300.0)]
    store(turn_of(cluster), chunks([*ghosts, *late], unknown), cursor_ms=ms(180))
    assert Quarantine.objects.get(reason="unknown node").count == 6
    day.refresh_from_db()
    assert day.refused == 7


def test_what_was_refused_before_midnight_is_not_counted_again_behind_it() -> None:
    cluster, midnight = cluster_of("n1"), datetime(2025, 3, 2, tzinfo=UTC)

    def ghosts(first: int, after: int) -> list[Row]:
        return [(midnight + timedelta(seconds=10 * i), "ghost", 300.0) for i in range(first, after)]

    def ask(minute: int, rows: list[Row]) -> None:
        turn = turn_of(cluster, midnight + timedelta(minutes=minute))
        turn.start_ms(120_000)
        store(turn, chunks(rows, unknown), cursor_ms=turn.now_ms)

    unknown = (Refusal("no mapping for this metric", 1, "x", "odd_watts{}"),)
    ask(-1, ghosts(-18, -6))
    ask(1, ghosts(-18, 6))
    ask(2, ghosts(-6, 12))
    counts = {(row.batch.options["day"], row.reason): row.count for row in Quarantine.objects.all()}
    first, second = "2025-03-01", "2025-03-02"
    assert counts == {
        (first, "unknown node"): 12, (first, "no mapping for this metric"): 1, (second, "unknown node"): 18,
    }  # fmt: skip
    assert sum(batch.refused for batch in Batch.objects.all()) == 31
    for minute in (100, 101, 200, 201):  # what is refused each time is counted once a day, however long ago that was
        ask(minute, [])
    assert Batch.objects.get(options__day=second).refused == 19


def test_many_that_are_refused_are_counted_all_and_few_of_them_kept() -> None:
    cluster = cluster_of("n1")
    most = feed_batches.MOST_LINES_OF_POWER
    ghosts: list[Row] = [(at(i / 10), "ghost", 300.0) for i in range(most + 10)]
    for cursor in (200, 200, 400):
        store(turn_of(cluster), chunks(ghosts), cursor_ms=ms(cursor))
    row = Quarantine.objects.get()
    assert row.count == most + 10
    assert len(gzip.decompress(bytes(row.lines)).splitlines()) == most


def test_what_comes_for_a_sealed_day_waits_as_a_correction_once() -> None:
    cluster = cluster_of("n1")
    store(turn_of(cluster), chunks(minute()), cursor_ms=ms(60))
    fold_pushes(cluster)
    for mark in (DirtyNodeDay, DirtyDoubt):
        mark.objects.all().delete()
    later = NOW + timedelta(days=3)
    upkeep.seal(cluster, DAY + timedelta(days=1), later)
    turn = turn_of(cluster, later)
    assert store(turn, chunks(minute(start_s=600)), cursor_ms=ms(700)).pending == 6
    assert store(turn, chunks(minute(start_s=600)), cursor_ms=ms(700)).pending == 0
    assert turn.report["pending"] == 6
    assert PendingCorrection.objects.get().rows == 6


def test_a_piece_that_is_too_large_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_feeds, "MOST_SAMPLES", 10)
    cluster = cluster_of("n1")
    with pytest.raises(TooMuch):
        store(turn_of(cluster), chunks(minute(count=11)), cursor_ms=ms(60))
    assert Feed.objects.get().cursor_ms is None


def test_many_large_segments_are_folded_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measurements.services.push_folding.ROWS_AT_ONCE", 10)
    cluster = cluster_of("n1")
    for i in range(5):
        store(turn_of(cluster), chunks(minute(start_s=60 * i)), cursor_ms=ms(60 * i))
    assert fold_pushes(cluster, lots=1) == 2
    fold_pushes(cluster)
    assert held(cluster) == said([row for i in range(5) for row in minute(start_s=60 * i)])


def test_the_cursor_moves_where_nothing_came() -> None:
    turn = turn_of(cluster_of("n1"))
    report = store(turn, iter(()), cursor_ms=ms(60))
    assert (report.read, Feed.objects.get().cursor_ms, Feed.objects.get().newest_ms) == (0, ms(60), None)
    assert not Batch.objects.exists()
