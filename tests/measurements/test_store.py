"""The sample store: what is written is read, by channel and time, from any number of segments."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from django.conf import settings

from measurements.domain.samples import Samples
from measurements.domain.units import DAY_MS, Kind, day_start_ms
from measurements.models import Channel, Cluster, Node, Segment
from measurements.parsers import power_csv
from measurements.parsers.source import Source
from measurements.services import ingest_power as ingest
from measurements.services import power_drafts, upkeep
from measurements.store import SampleStore, Selection

DAY = date(2025, 3, 1)
START = day_start_ms(DAY)
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster.objects.create(name="atlas")
    for name in ("n1", "n2", "n3"):
        node = Node.objects.create(cluster=made, name=name)
        Channel.objects.create(node=node, name="node", kind=Kind.GAUGE)
        Channel.objects.create(node=node, name="gpu0", kind=Kind.GAUGE)
    return made


def some(cluster: Cluster, offset_s: int = 0, watts: int = 300, count: int = 60, step_s: int = 10) -> Samples:
    """``count`` samples of each channel from ``offset_s`` after midnight on."""
    channels = list(Channel.objects.filter(node__cluster=cluster).order_by("node", "pk").values_list("node", "pk"))
    t = START + (offset_s + np.arange(count) * step_s) * 1000
    return Samples(
        np.repeat(np.array([n for n, _ in channels], np.int32), count),
        np.repeat(np.array([c for _, c in channels], np.int32), count),
        np.tile(t, len(channels)).astype(np.int64),
        np.full(count * len(channels), watts * 1000, np.int64),
    )


def commit(cluster: Cluster, samples: Samples, batch_no: int, *, inline: bool = False) -> Segment:
    segment = SampleStore().write(cluster, DAY, samples, inline=inline)
    segment.batch_no = batch_no
    segment.save()
    return segment


def everything(cluster: Cluster) -> Samples:
    nodes = np.array(sorted(Node.objects.filter(cluster=cluster).values_list("pk", flat=True)), np.int32)
    return SampleStore().scan(cluster.pk, Selection(nodes, START, START + DAY_MS))


def test_what_is_written_is_read_back_by_channel_and_time(cluster: Cluster) -> None:
    commit(cluster, some(cluster), 1)
    channel = Channel.objects.filter(name="gpu0").order_by("pk")[1]
    found = SampleStore().read([channel.pk], START + 100_000, START + 200_000)
    assert found.t_ms.tolist() == [START + s * 1000 for s in range(100, 200, 10)]
    assert set(found.channel.tolist()) == {channel.pk}
    assert set(found.value.tolist()) == {300_000}


@pytest.mark.parametrize("inline", [True, False])
def test_the_later_batch_wins_before_and_after_folding_and_compaction(cluster: Cluster, *, inline: bool) -> None:
    commit(cluster, some(cluster, watts=300), 1, inline=inline)
    commit(cluster, some(cluster, offset_s=300, watts=500), 2, inline=inline)
    commit(cluster, some(cluster, offset_s=900, watts=200), 3, inline=inline)
    before = everything(cluster)
    assert upkeep.fold(cluster, DAY) == 3
    folded = everything(cluster)
    later = commit(cluster, some(cluster, offset_s=0, watts=100, count=1), 4)
    changed = everything(cluster)
    assert upkeep.compact(cluster, DAY) == 2
    compacted = everything(cluster)
    for name in Samples.__dataclass_fields__:
        assert np.array_equal(getattr(before, name), getattr(folded, name))
        assert np.array_equal(getattr(changed, name), getattr(compacted, name))
    assert before.value[before.t_ms == START + 300_000].tolist() == [500_000] * 6
    assert compacted.value[compacted.t_ms == START].tolist() == [100_000] * 6
    assert Segment.objects.get().batch_no == later.batch_no
    assert upkeep.compact(cluster, DAY) == 0


def test_what_comes_while_a_fold_is_written_is_not_lost(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(cluster, some(cluster, watts=300), 1)
    commit(cluster, some(cluster, offset_s=600, watts=300), 2)
    written = upkeep._write_merged

    def and_meanwhile(*args: object) -> Segment:
        merged = written(*args)  # type: ignore[arg-type]
        commit(cluster, some(cluster, watts=900, count=1), 3)
        return merged

    monkeypatch.setattr(upkeep, "_write_merged", and_meanwhile)
    upkeep.fold(cluster, DAY)
    found = everything(cluster)
    assert found.value[found.t_ms == START].tolist() == [900_000] * 6
    assert len(found) == 120 * 6


def test_a_reader_that_meets_a_file_just_replaced_reads_again(cluster: Cluster) -> None:
    first = commit(cluster, some(cluster), 1)
    commit(cluster, some(cluster, offset_s=600), 2)

    class Late(SampleStore):
        attempts = 0

        def resolved(self, rows: object, wanted: Selection) -> Samples:
            self.attempts += 1
            if self.attempts == 1:
                stale = list(rows)  # type: ignore[call-overload]
                upkeep.compact(cluster, DAY)
                (self.root / first.path).unlink()
                return super().resolved(stale, wanted)
            return super().resolved(rows, wanted)  # type: ignore[arg-type]

    nodes = np.array(sorted(Node.objects.values_list("pk", flat=True)), np.int32)
    late = Late()
    assert len(late.scan(cluster.pk, Selection(nodes, START, START + DAY_MS))) == 120 * 6
    assert late.attempts == 2


def test_the_sweep_takes_old_rubbish_and_nothing_else(cluster: Cluster) -> None:
    kept = commit(cluster, some(cluster), 1)
    store = SampleStore()
    rubbish = store.write(cluster, DAY, some(cluster))
    fresh = store.write(cluster, DAY, some(cluster))
    old = time.time() - 7_200
    for segment in (kept, rubbish):
        os.utime(store.root / segment.path, (old, old))
    assert store.sweep() == 1
    assert (store.root / kept.path).exists()
    assert (store.root / fresh.path).exists()
    assert not (store.root / rubbish.path).exists()


def test_replaced_files_outlive_their_rows_for_an_hour(cluster: Cluster) -> None:
    segments = [commit(cluster, some(cluster, offset_s=600 * i), i) for i in (1, 2)]
    store = SampleStore()
    old = time.time() - 7_200
    for segment in segments:
        os.utime(store.root / segment.path, (old, old))
    upkeep.compact(cluster, DAY)
    assert store.sweep() == 0
    assert all((store.root / segment.path).exists() for segment in segments)


def test_days_that_are_over_are_compacted_and_open_ones_folded(cluster: Cluster) -> None:
    for i in (1, 2):
        commit(cluster, some(cluster, offset_s=600 * i), i)
    noon = datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert upkeep.tend(cluster, noon)["folded"] == 2
    assert Segment.objects.get().level == upkeep.FOLDED
    assert upkeep.tend(cluster, noon + timedelta(days=1))["compacted"] == 1
    assert Segment.objects.get().level == upkeep.COMPACTED


def test_any_parquet_reader_reads_the_layout_as_it_is(cluster: Cluster) -> None:
    commit(cluster, some(cluster), 1)
    table = ds.dataset(Path(settings.JOULEBOOK_VAR) / "samples", partitioning="hive", exclude_invalid_files=True)
    frame = table.to_table(filter=ds.field("day") == "2025-03-01").to_pandas()
    assert set(frame["cluster"]) == {"atlas"}
    assert frame.groupby("channel").size().tolist() == [60] * 6
    assert frame["value"].sum() == 300_000 * 360


def test_a_file_of_more_than_one_flush_counts_and_keeps_as_if_it_were_one(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "power.csv"
    rows = [(s, 300 + s % 7) for s in range(0, 6_000, 10)]
    again = [(s, 290 + s % 11) for s in range(0, 600, 10)]  # some larger, some smaller
    lines = [f"2025-03-01T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z,n1,{w}" for s, w in rows + again]
    log.write_text("timestamp,node,watts\n" + "\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr(power_drafts, "FLUSH_ROWS", 1)
    what = ingest.PowerInput(partial(power_csv.read, block_bytes=1_000))
    report = ingest.ingest_power(cluster, Source(log), what, datetime(2025, 3, 2, tzinfo=UTC))
    assert (report.read, report.stored, report.duplicates) == (660, 600, 60)
    found = everything(cluster)
    larger = {s: max(w, dict(again).get(s, 0)) for s, w in rows}
    assert found.value.tolist() == [w * 1000 for w in larger.values()]
    assert Segment.objects.count() > 1


def test_of_two_copies_in_one_file_the_larger_stays_even_where_it_is_known_already(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "timestamp,node,watts\n"
    rows = [f"2025-03-01T00:{s // 60:02d}:{s % 60:02d}Z,n1,300\n" for s in range(0, 600, 10)]
    lower = [row.replace(",300", ",200") for row in rows[:5]]
    what = ingest.PowerInput(partial(power_csv.read, block_bytes=500))
    now = datetime(2025, 3, 2, tzinfo=UTC)
    for name, lines in (("first", rows), ("second", [*rows, *lower])):
        (tmp_path / name).write_text(head + "".join(lines), encoding="utf-8")
    ingest.ingest_power(cluster, Source(tmp_path / "first"), what, now)
    monkeypatch.setattr(power_drafts, "FLUSH_ROWS", 1)
    report = ingest.ingest_power(cluster, Source(tmp_path / "second"), what, now)
    assert (report.read, report.stored, report.duplicates) == (65, 0, 65)
    assert set(everything(cluster).value.tolist()) == {300_000}
