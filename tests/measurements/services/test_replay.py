"""Refused lines tried again: what passes now goes in as the batch's that brought it, once, and nothing is lost."""

from __future__ import annotations

import gzip
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from measurements.domain import slurm
from measurements.domain.units import ms_from_datetime
from measurements.models import (
    Batch,
    Channel,
    ChannelPeriod,
    Cluster,
    DirtyNodeDay,
    Job,
    Node,
    NodeConfig,
    NodeType,
    PendingCorrection,
    Quarantine,
    SealedDay,
    Segment,
    Token,
)
from measurements.parsers.remote_write import RemoteWrite
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport
from measurements.services.catalogues import catalogue_of
from measurements.services.push import push
from measurements.services.push_folding import fold_pushes
from measurements.services.quarantine import KEPT_SAMPLES
from measurements.services.replay import ask_for, replay, replay_due, waiting
from measurements.services.taking import take_jobs, take_power
from tests.measurements.parsers.test_remote_write import packed, request
from tests.measurements.services.pushing import NOW, at, cluster_of, held, send, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_var")]

SERIES = {"__name__": "rack_meter_watts", "host": "n1"}
MAPPING_FILE = """
about = "the meters of our racks"

[node]
labels = ["host"]

[[series]]
metric = "rack_meter_watts"
channel = "node"
unit = "W"
source = "pdu"
"""


def take(cluster: Cluster, folder: Path, name: str, text: str, **options: object) -> IngestReport:
    """A file of power, taken."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return take_power(cluster, Source(path), options, NOW)


def csv(*rows: tuple[float, str, float]) -> str:
    return "timestamp,node,watts\n" + "".join(f"{at(s).isoformat()},{node},{watts}\n" for s, node, watts in rows)


def describe(cluster: Cluster, name: str, ceiling_w: float = 2000.0) -> Node:
    """A node becomes known."""
    kind, _ = NodeType.objects.get_or_create(cluster=cluster, name="big")
    node = Node.objects.create(cluster=cluster, name=name)
    NodeConfig.objects.create(node=node, node_type=kind, cpus=64, ceiling_w=ceiling_w)
    return node


def again(row: Quarantine, **how: bool) -> tuple[int, int, int]:
    """Try a row again: what went in, how many lines that settled, what moved to another reason."""
    outcome = replay(row.pk, "olga", NOW, **how)
    assert outcome is not None
    return outcome.went_in, outcome.settled, outcome.moved


def balanced(batch: Batch) -> Batch:
    """A batch whose counts add up, and are those of its quarantine."""
    batch.refresh_from_db()
    pending = sum(row.rows for row in batch.pending_corrections.all())
    assert batch.read == batch.stored + batch.duplicates + batch.refused + pending
    assert batch.refused == sum(row.count for row in batch.quarantine.all())
    return batch


def lines_of(row: Quarantine) -> list[str]:
    row.refresh_from_db()
    return gzip.decompress(bytes(row.lines)).decode().splitlines()


def test_what_an_unknown_node_said_goes_in_once_it_is_described(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    take(cluster, tmp_path, "a.csv", csv((0, "n1", 100), (0, "ghost", 250.125), (10, "ghost", 3000), (20, "ghost", 0)))
    row = Quarantine.objects.get(reason="unknown node")
    assert again(row) == (0, 0, 0)
    describe(cluster, "ghost")
    assert again(row, dry_run=True) == (1, 3, 2)
    assert (Quarantine.objects.count(), Segment.objects.count()) == (1, 1)
    DirtyNodeDay.objects.all().delete()
    assert again(row) == (1, 3, 2)
    batch = balanced(Batch.objects.get())
    assert (batch.stored, batch.refused) == (2, 2)
    assert ("ghost", ms_from_datetime(at(0)), 250125) in held(cluster)
    assert set(Segment.objects.values_list("batch_no", flat=True)) == {batch.pk}
    assert DirtyNodeDay.objects.filter(node__name="ghost").exists()
    row.refresh_from_db()
    assert (row.count, row.replayed, row.replayed_by, row.replayed_at) == (0, 1, "olga", NOW)
    moved = {one.reason: (one.count, one.first_line) for one in batch.quarantine.exclude(pk=row.pk)}
    assert moved == {"above ceiling": (1, 4), "zero watts": (1, 5)}
    before = held(cluster)
    assert again(row) == (0, 0, 0)
    assert held(cluster) == before
    NodeConfig.objects.filter(node__name="ghost").update(ceiling_w=5000.0)
    assert again(Quarantine.objects.get(reason="above ceiling")) == (1, 1, 0)
    assert balanced(batch).refused == 1


def test_a_later_batch_still_wins_over_what_was_refused_before_it(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    take(cluster, tmp_path, "a.csv", csv((0, "n1", 1900), (10, "n1", 2500)))
    take(cluster, tmp_path, "b.csv", csv((10, "n1", 1500), (20, "n1", 1500)))
    NodeConfig.objects.update(ceiling_w=5000.0)
    assert again(Quarantine.objects.get()) == (1, 1, 0)
    assert held(cluster) == {("n1", ms_from_datetime(at(s)), w * 1000) for s, w in ((0, 1900), (10, 1500), (20, 1500))}
    balanced(Batch.objects.earliest("pk"))


def test_the_larger_of_one_batch_stays_also_when_it_comes_later(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    take(cluster, tmp_path, "a.csv", csv((0, "n1", 300), (0, "n1", 2500)))
    NodeConfig.objects.update(ceiling_w=5000.0)
    again(Quarantine.objects.get())
    assert held(cluster) == {("n1", ms_from_datetime(at(0)), 2_500_000)}
    balanced(Batch.objects.get())


def test_counters_come_back_to_the_last_microjoule(tmp_path: Path) -> None:
    cluster = cluster_of()
    text = f"timestamp,node,joules\n{at(0).isoformat()},ghost,1234567890.123457\n"
    take(cluster, tmp_path, "a.csv", text)
    describe(cluster, "ghost")
    assert again(Quarantine.objects.get()) == (1, 1, 0)
    report = take(cluster, tmp_path, "again.csv", text + f"{at(5).isoformat()},ghost,1234567999\n")
    assert (report.stored, report.duplicates) == (1, 1)
    assert Segment.objects.latest("pk").rows == 1


def test_what_is_declared_of_a_file_holds_for_its_refused_lines_too(tmp_path: Path) -> None:
    cluster = cluster_of()
    take(cluster, tmp_path, "a.csv", csv((0, "ghost", 100)), interval=30.0)
    describe(cluster, "ghost")
    again(Quarantine.objects.get())
    assert ChannelPeriod.objects.get(channel__node__name="ghost").nominal_ms == 30_000


def test_samples_of_a_second_source_stay_out_whatever_is_tried(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    text = 'ipmi_dcmi_power_consumption_watts{{instance="n1"}} {} {}\n'
    assert take(cluster, tmp_path, "a.prom", text.format(400, ms_from_datetime(at(0)))).stored == 1
    ChannelPeriod.objects.update(source="redfish")
    take(cluster, tmp_path, "b.prom", text.format(401, ms_from_datetime(at(10))))
    row = Quarantine.objects.get()
    assert row.reason == "another source feeds this channel"
    assert "source=ipmi_dcmi" in lines_of(row)[0]
    assert again(row) == (0, 0, 0)
    ChannelPeriod.objects.update(source="ipmi_dcmi")
    assert again(row) == (1, 1, 0)
    assert len(held(cluster)) == 2


def test_samples_of_a_metric_without_mapping_go_in_once_it_has_one(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    row_of = 'rack_meter_watts{{host="{}",feed="a\\"b"}} {} {}\n'
    samples = [("n1", 100 + s, at(s)) for s in range(0, 50, 10)] + [("n2", 70, at(0))]
    report = take(cluster, tmp_path, "a.prom", "".join(row_of.format(n, w, ms_from_datetime(t)) for n, w, t in samples))
    assert [(row.reason, row.count) for row in report.refused] == [("no mapping for this metric", 2)]
    row = Quarantine.objects.get()
    assert again(row) == (0, 0, 0)
    assert len(lines_of(row)) == 2 + 6
    own = Path(settings.JOULEBOOK_VAR) / "mappings"
    own.mkdir(parents=True)
    (own / "rack.toml").write_text(MAPPING_FILE)
    assert again(row) == (5, 2, 1)
    assert len(held(cluster)) == 5
    assert balanced(Batch.objects.get()).stored == 5
    describe(cluster, "n2")
    assert again(Quarantine.objects.get(reason="unknown node")) == (1, 1, 0)
    assert (balanced(Batch.objects.get()).stored, lines_of(row)) == (6, [])


def test_no_more_samples_of_refused_series_are_kept_than_the_bound_and_that_is_said(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    text = "".join(
        f'rack_meter_watts{{host="n1"}} 100 {ms_from_datetime(at(0)) - s}\n' for s in range(KEPT_SAMPLES + 5)
    )
    take(cluster, tmp_path, "a.prom", text)
    row = Quarantine.objects.get()
    assert len(lines_of(row)) == 1 + KEPT_SAMPLES + 1
    outcome = replay(row.pk, "olga", NOW, dry_run=True)
    assert outcome is not None
    assert outcome.more


def test_pushed_series_are_kept_and_go_in_and_what_comes_meanwhile_stays(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    for second in range(0, 30, 10):
        push_series(cluster, token, second)
    row = Quarantine.objects.get()
    assert (row.count, len(lines_of(row))) == (3, 6)
    own = Path(settings.JOULEBOOK_VAR) / "mappings"
    own.mkdir(parents=True)
    (own / "rack.toml").write_text(MAPPING_FILE)
    assert again(row) == (3, 3, 0)
    assert len(held(cluster)) == 3
    batch = balanced(Batch.objects.get())
    push_series(cluster, token, 40)
    fold_pushes(cluster)
    assert (balanced(batch).stored, len(held(cluster))) == (4, 4)
    assert Segment.objects.filter(batch_no=batch.pk).count() == Segment.objects.count()


def push_series(cluster: Cluster, token: Token, second: int) -> None:
    """A request of remote write with one series that nobody mapped."""
    with catalogue_of(cluster.pk) as catalogue:
        chunk = RemoteWrite(catalogue).chunk(
            packed(request((SERIES, [(100.0 + second, ms_from_datetime(at(second)))]))),
            ms_from_datetime(NOW), told=set(),
        )  # fmt: skip
    push(token, [chunk], NOW)


def test_lines_of_the_day_after_tomorrow_go_in_when_it_has_come(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    late = NOW + timedelta(days=3)
    text = f"time;host;power [W]\n{late.isoformat()};n1;120,5\nnonsense;n1;1\n"
    take(cluster, tmp_path, "a.csv", text)
    row = Quarantine.objects.get(reason="time out of range")
    assert again(row) == (0, 0, 0)
    outcome = replay(row.pk, "olga", late)
    assert outcome is not None
    assert (outcome.went_in, outcome.settled) == (1, 1)
    balanced(Batch.objects.get())
    broken = Quarantine.objects.get(reason="unreadable time")
    assert again(broken) == (0, 0, 0)
    assert lines_of(broken)[1:] == ["3\tnonsense;n1;1"]


def test_pushed_lines_that_were_counted_and_not_kept_stay_counted() -> None:
    cluster = cluster_of("n1")
    token = token_for(cluster)
    send(token, [(at(s / 10), "ghost", 300.0) for s in range(1_500)])
    row = Quarantine.objects.get()
    describe(cluster, "ghost")
    outcome = replay(row.pk, "olga", NOW)
    assert outcome is not None
    assert (outcome.went_in, outcome.untried) == (1_000, 500)
    row.refresh_from_db()
    assert (row.count, row.replayed, bytes(row.lines)) == (500, 1_000, b"")
    balanced(Batch.objects.get())


def test_for_a_sealed_day_they_become_a_correction(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    take(cluster, tmp_path, "a.csv", csv((0, "ghost", 100)))
    SealedDay.objects.create(cluster=cluster, day=NOW.date(), sealed_at=NOW)
    describe(cluster, "ghost")
    assert again(Quarantine.objects.get()) == (1, 1, 0)
    assert PendingCorrection.objects.get().rows == 1
    assert Segment.objects.count() == 0
    assert balanced(Batch.objects.get()).refused == 0


def test_the_same_file_again_knows_what_was_replayed(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    text = csv((0, "n1", 100), (0, "ghost", 200), (10, "other", 200))
    take(cluster, tmp_path, "a.csv", text)
    describe(cluster, "ghost")
    row = Quarantine.objects.get()
    assert again(row) == (1, 1, 0)
    report = take(cluster, tmp_path, "a.csv", text)
    assert (report.stored, report.duplicates, sum(one.count for one in report.refused)) == (0, 2, 1)
    kept = Quarantine.objects.get()
    assert (kept.count, kept.replayed, kept.replayed_by) == (1, 1, "olga")


def test_the_command_says_what_is_refused_as_before_and_what_for_something_else(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    take(
        cluster, tmp_path, "a.csv", csv((0, "ghost", 200), (10, "other", 200), (20, "other", 5000), (30, "ghost", 5000))
    )
    describe(cluster, "ghost", ceiling_w=1000.0)
    out = StringIO()
    call_command("replay", "--cluster", cluster.name, "--dry-run", stdout=out)
    words = "4 tried, 1 would go in, 2 refused as before, 1 refused for something else"
    assert out.getvalue() == f"batch {Batch.objects.get().pk}, unknown node: {words}\n"
    describe(cluster, "other")
    call_command("replay", "--cluster", cluster.name, "--reason", "unknown node", stdout=(out := StringIO()))
    assert out.getvalue().endswith("unknown node: 4 tried, 2 went in, 2 refused for something else\n")


def test_a_refused_job_goes_in_when_it_can_be_read_and_never_over_a_newer_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = cluster_of("n1")
    row = "{},alice,physics,{},2025-03-01T10:00:00Z,2025-03-01T11:00:00Z,n1\n"
    take_job_rows(cluster, tmp_path / "a.csv", row.format(7, "HELD_BACK") + row.format(8, "HELD_BACK"))
    refused = Quarantine.objects.get()
    assert again(refused) == (0, 0, 0)
    take_job_rows(cluster, tmp_path / "b.csv", row.format(8, "FAILED"))
    monkeypatch.setattr(slurm, "STATES", slurm.STATES | {"HELD_BACK"})
    assert again(refused, dry_run=True) == (2, 2, 0)
    assert Job.objects.count() == 1
    assert again(refused) == (2, 2, 0)
    assert set(Job.objects.values_list("job_id", "state")) == {("7", "HELD_BACK"), ("8", "FAILED")}
    batch = balanced(Batch.objects.earliest("pk"))
    assert (batch.stored, batch.duplicates, batch.refused) == (1, 1, 0)
    assert again(refused) == (0, 0, 0)


def take_job_rows(cluster: Cluster, path: Path, rows: str) -> None:
    path.write_text("job_id,user,account,state,start,end,nodes\n" + rows)
    take_jobs(cluster, Source(path), {}, NOW)


def test_what_somebody_asks_for_is_done_by_the_chore_once() -> None:
    cluster = cluster_of("n1")
    send(token_for(cluster), [(at(0), "ghost", 300.0)])
    assert ask_for(Quarantine.objects.all(), "olga") == 1
    assert waiting().count() == 1
    describe(cluster, "ghost")
    assert [outcome.went_in for outcome in replay_due(NOW)] == [1]
    assert waiting().count() == 0
    assert replay_due(NOW) == []
    assert Channel.objects.get(node__name="ghost").name == "node"


def test_lines_that_mean_nothing_by_themselves_stay_whole(tmp_path: Path) -> None:
    cluster = cluster_of("n1")
    text = (
        "Timestamp: 2025-03-01 11:00:00\nSys Power | 270 Watts | ok\nTimestamp: nonsense\nSys Power | 280 Watts | ok\n"
    )
    take(cluster, tmp_path, "n1-2025-03-01.txt", text)
    rows = list(Quarantine.objects.all())
    before = [(row.reason, row.count, lines_of(row)) for row in rows]
    assert before
    for row in rows:
        assert again(row)[:2] == (0, 0)
    assert [(row.reason, row.count, lines_of(row)) for row in Quarantine.objects.all()] == before
    assert Quarantine.objects.filter(replayed_at=None).count() == 0
