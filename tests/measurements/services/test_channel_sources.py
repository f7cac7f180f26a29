"""A change of source for many channels at once: what was refused goes in, and the ledger is as if it had been said."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from measurements.domain.units import Kind
from measurements.models import Channel, ChannelPeriod, Cluster, JobEnergy, Node, Quarantine, SealedDay
from measurements.services.channel_sources import Chosen, NotChangeable, asking, change_source
from measurements.services.channels import Declaration, declare_channels
from measurements.services.replay import replay
from tests.measurements.services.booked import MARCH, booked, dirty_days
from tests.measurements.services.test_channel_facts import T0_MS, dcmi, give, redfish, run
from tests.pipeline.ledger_dump import ledger

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_var")]
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REFUSED = "another source feeds this channel"
Row = tuple[date, str]


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster.objects.create(name="alpha")
    Node.objects.bulk_create([Node(cluster=found, name=f"n{i}") for i in range(1, 4)])
    return found


def channel(cluster: Cluster, *rows: Row, node: str = "n1", name: str = "node", **facts: Any) -> Channel:
    """A channel with declared sources, and the same facts in each of its rows."""
    made = Channel.objects.create(node=Node.objects.get(cluster=cluster, name=node), name=name, kind=Kind.COUNTER)
    for day, source in rows:
        ChannelPeriod.objects.create(channel=made, valid_from=day, source=source, **facts)
    return made


def sources(made: Channel) -> list[Row]:
    return list(made.periods.order_by("valid_from").values_list("valid_from", "source"))


# --- What holds afterwards ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [(2, "redfish")]),
        ([(0, "ipmi")], [(0, "ipmi"), (2, "redfish")]),
        ([(2, "ipmi")], [(2, "redfish")]),
        ([(0, "ipmi"), (5, "ipmi")], [(0, "ipmi"), (2, "redfish"), (5, "redfish")]),
        ([(0, "ipmi"), (5, "pdu"), (7, "ipmi")], [(0, "ipmi"), (2, "redfish"), (5, "pdu"), (7, "ipmi")]),
        ([(4, "trial")], [(2, "redfish"), (4, "redfish")]),
        ([(4, "trial"), (6, "pdu")], [(2, "redfish"), (4, "redfish"), (6, "pdu")]),
        ([(0, ""), (4, "trial")], [(0, ""), (2, "redfish"), (4, "redfish")]),
        ([(0, "redfish"), (4, "")], [(0, "redfish"), (4, "redfish")]),
        ([(0, "ipmi"), (5, "redfish")], [(0, "ipmi"), (2, "redfish"), (5, "redfish")]),
    ],
    ids=str,
)
def test_the_new_source_holds_until_still_another_one_is_declared(
    cluster: Cluster, before: list[tuple[int, str]], after: list[tuple[int, str]]
) -> None:
    made = channel(cluster, *[(MARCH[day], source) for day, source in before])
    first = change_source(cluster, "redfish", MARCH[2], Chosen())
    assert sources(made) == [(MARCH[day], source) for day, source in after]
    again = change_source(cluster, "redfish", MARCH[2], Chosen())
    assert (first.changed, first.already_so, again.changed, again.already_so) == (1, 0, 0, 1)
    assert first.later == again.later == any(source == "pdu" for _, source in before)


def test_what_is_of_the_sensor_goes_and_what_was_declared_of_the_channel_stays(cluster: Cluster) -> None:
    facts: dict[str, Any] = {"nominal_ms": 10_000, "max_gap_ms": 60_000, "covers_gpus": False, "wrap_uj": 5, "dc": True}
    made = channel(cluster, (MARCH[0], "rapl"), **facts)
    change_source(cluster, "redfish", MARCH[2], Chosen())
    row = made.periods.get(valid_from=MARCH[2])
    assert (row.nominal_ms, row.max_gap_ms, row.covers_gpus, row.wrap_uj, row.dc) == (
        10_000,
        60_000,
        False,
        None,
        False,
    )
    assert made.periods.get(valid_from=MARCH[0]).wrap_uj == 5
    unnamed = channel(cluster, (MARCH[0], ""), name="cpu0", **facts)
    change_source(cluster, "rapl", MARCH[2], Chosen(names=["cpu0"]))
    assert unnamed.periods.get(valid_from=MARCH[2]).wrap_uj == 5, "it is of no other sensor"


def test_only_nodes_whose_figures_depend_on_it_are_booked_anew(cluster: Cluster) -> None:
    channel(cluster, (MARCH[0], "ipmi"))
    channel(cluster, (MARCH[0], "rapl"), node="n2", wrap_uj=2**32)
    for node in Node.objects.all():
        booked(node, *MARCH[:6])
    done = change_source(cluster, "redfish", MARCH[3], Chosen())
    assert (done.changed, done.nodes, done.nodes_booked_anew) == (2, 2, 1)
    assert dirty_days() == MARCH[2:6]


def test_channels_are_chosen_by_node_name_and_the_source_that_feeds_them(cluster: Cluster) -> None:
    for node in ("n1", "n2"):
        channel(cluster, (MARCH[0], "ipmi"), node=node)
        channel(cluster, (MARCH[0], "nvml"), node=node, name="gpu0")
    other = Cluster.objects.create(name="beta")
    Node.objects.create(cluster=other, name="n1")
    stranger = channel(other, (MARCH[0], "ipmi"))
    done = change_source(cluster, "redfish", MARCH[0], Chosen(nodes=["n1", "n3", "n9"], names=["node"]))
    assert (done.changed, done.unknown_nodes, done.without_channel) == (1, ("n9",), ("n3",))
    done = change_source(cluster, "redfish", MARCH[0], Chosen(instead_of="ipmi"))
    assert (done.changed, done.already_so, dict(done.instead_of)) == (1, 1, {"ipmi": 1})
    fed = ChannelPeriod.objects.filter(channel__node__cluster=cluster).values_list("channel__name", "source")
    assert sorted(fed) == [("gpu0", "nvml")] * 2 + [("node", "redfish")] * 2
    assert sources(stranger) == [(MARCH[0], "ipmi")]


def test_a_sealed_day_is_refused_with_the_first_open_one_and_nothing_is_written(cluster: Cluster) -> None:
    made = channel(cluster, (MARCH[0], "ipmi"))
    SealedDay.objects.bulk_create(SealedDay(cluster=cluster, day=day, sealed_at=timezone.now()) for day in MARCH[:3])
    with pytest.raises(NotChangeable, match=r"sealed up to 2025-03-03.*from 2025-03-04 on"):
        change_source(cluster, "redfish", MARCH[2], Chosen())
    assert sources(made) == [(MARCH[0], "ipmi")]
    change_source(cluster, "redfish", MARCH[3], Chosen())
    assert sources(made) == [(MARCH[0], "ipmi"), (MARCH[3], "redfish")]


@pytest.mark.parametrize("source", ["", "a,b", "a b", "x" * 33])
def test_what_can_name_no_source_is_refused(cluster: Cluster, source: str) -> None:
    with pytest.raises(NotChangeable, match="names no source"):
        change_source(cluster, source, MARCH[0], Chosen())


def test_three_hundred_nodes_take_no_query_each(cluster: Cluster) -> None:
    nodes = Node.objects.bulk_create([Node(cluster=cluster, name=f"m{i}") for i in range(300)])
    made = Channel.objects.bulk_create([Channel(node=node, name="node", kind=Kind.GAUGE) for node in nodes])
    declare_channels(cluster, {one.pk: MARCH[0] for one in made}, Declaration(source="rapl", wrap_uj=5))
    with CaptureQueriesContext(connection) as queries:
        done = change_source(cluster, "redfish", MARCH[2], Chosen(nodes=[node.name for node in nodes]))
    assert (done.changed, done.nodes_booked_anew) == (300, 300)
    assert len(queries) < 20


# --- What was refused -----------------------------------------------------------------------------------


def hours(line: Any, node: str, first: int, last: int, watts: int) -> str:
    """A reading an hour, of hours counted from T0."""
    return "".join(line(node, watts + h, T0_MS + h * HOUR_MS) for h in range(first, last))


def ledger_of(name: str) -> dict[str, list[list[Any]]]:
    """All that is derived of a cluster, but its name."""
    return {table: [row[1:] for row in rows if row[0] == name] for table, rows in ledger().items()}


def take_a_job(folder: Path) -> None:
    """One that is on both nodes while the source changes."""
    header = "job_id,user,account,state,start,end,nodes,cpus\n"
    row = '7,alice,physics,COMPLETED,2025-03-01T14:00:00Z,2025-03-02T20:00:00Z,"n1,n2",4\n'
    (folder / "jobs.csv").write_text(header + row)
    run("ingest_jobs", str(folder / "jobs.csv"))


def test_refused_samples_go_in_and_the_ledger_is_as_if_it_had_been_declared_before(
    cluster: Cluster, tmp_path: Path
) -> None:
    nodes = ("n1", "n2")
    old = "".join(hours(dcmi, node, -36, 0, 300) for node in nodes)
    new = "".join(hours(redfish, node, 12, 48, 400) for node in nodes)
    give(tmp_path, old)
    assert give(tmp_path, new) == {"stored": 0, REFUSED: 72}
    take_a_job(tmp_path)
    run("attribute")
    (one,), whole = asking(Quarantine.objects.all())
    assert whole
    assert (one.source, one.feeder, one.first, one.last, one.lines) == ("redfish", "ipmi_dcmi", MARCH[1], MARCH[2], 72)
    assert (len(one.channels), one.names, len(one.nodes), one.ready) == (2, {"node"}, 2, False)
    change_source(cluster, "redfish", one.first, Chosen(ids=one.channels))
    (one,), _ = asking(Quarantine.objects.all())
    assert one.ready
    outcome = replay(Quarantine.objects.get().pk, "karla", timezone.now())
    assert outcome is not None
    assert outcome.went_in == 72
    run("attribute")
    late = ledger_of("alpha")

    Cluster.objects.update(name="before")
    again = Cluster.objects.create(name="alpha")
    Node.objects.bulk_create([Node(cluster=again, name=name) for name in nodes])
    give(tmp_path, old)
    for made in Channel.objects.filter(node__cluster=again):
        ChannelPeriod.objects.create(channel=made, valid_from=MARCH[1], source="redfish")
    assert give(tmp_path, new) == {"stored": 72}
    take_a_job(tmp_path)
    run("attribute")
    assert ledger_of("alpha") == late
    assert JobEnergy.objects.get(job__cluster=again).energy_j > 2 * 20 * 3600 * 400


def test_a_trial_reading_that_made_the_channel_is_replaced_from_its_first_day_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert give(tmp_path, dcmi()) == {"stored": 1}
    before = hours(redfish, "n1", -30, -20, 300)
    assert give(tmp_path, before + hours(redfish, "n1", 1, 5, 300)) == {"stored": 10, REFUSED: 4}
    (one,), _ = asking(Quarantine.objects.all())
    assert (one.feeder, one.first, one.lines) == ("ipmi_dcmi", MARCH[0], 4)
    change_source(cluster, "redfish", one.first, Chosen(ids=one.channels))
    outcome = replay(Quarantine.objects.get().pk, "karla", timezone.now())
    assert outcome is not None
    assert (outcome.went_in, Quarantine.objects.get().count) == (4, 0)
    assert give(tmp_path, dcmi(t_ms=T0_MS + DAY_MS)) == {"stored": 0, REFUSED: 1}


def test_who_wants_what_is_told_by_day_and_by_cluster(cluster: Cluster, tmp_path: Path) -> None:
    give(tmp_path, "".join(dcmi(node, t_ms=T0_MS + 2 * DAY_MS) for node in ("n1", "n2")))
    give(tmp_path, "".join(redfish(node, t_ms=T0_MS + d * DAY_MS) for node in ("n1", "n2") for d in (2, 3)))
    change_source(cluster, "redfish", MARCH[3], Chosen(nodes=["n1"]))
    found, _ = asking(Quarantine.objects.all())
    assert [(one.feeder, one.lines, len(one.channels), one.first) for one in found] == [
        ("ipmi_dcmi", 3, 2, MARCH[2]),
        ("redfish", 1, 1, MARCH[3]),
    ]


# --- The command ----------------------------------------------------------------------------------------


def command(*argv: str) -> dict[str, Any]:
    out = StringIO()
    call_command("channel_source", "--cluster", "alpha", "--json", *argv, stdout=out, stderr=StringIO())
    return dict(json.loads(out.getvalue()))


def test_the_command_declares_it_and_says_what_it_did(cluster: Cluster) -> None:
    made = [channel(cluster, (MARCH[0], "ipmi"), node=node) for node in ("n1", "n2")]
    argv = ("--source", "redfish", "--from", "2025-03-03", "--nodes", "n[1-3],n7", "--channel", "node")
    said = {
        "cluster": "alpha", "source": "redfish", "from": "2025-03-03", "changed": 2, "already_so": 0, "nodes": 2,
        "nodes_booked_anew": 0, "instead_of": {"ipmi": 2}, "other_source_later": 0, "unknown_nodes": ["n7"],
        "without_channel": ["n3"], "dry_run": True,
    }  # fmt: skip
    assert command(*argv, "--dry-run") == said
    assert sources(made[0]) == [(MARCH[0], "ipmi")]
    assert command(*argv) == said | {"dry_run": False}
    assert [sources(one) for one in made] == [[(MARCH[0], "ipmi"), (MARCH[2], "redfish")]] * 2
    assert command(*argv) == said | {
        "dry_run": False, "changed": 0, "already_so": 2, "nodes": 0, "instead_of": {},
    }  # fmt: skip
    out, err = StringIO(), StringIO()
    call_command("channel_source", "--cluster", "alpha", *argv[:3], "2025-03-02", *argv[4:], stdout=out, stderr=err)
    assert out.getvalue() == ("from 2025-03-02 on redfish feeds 2 channels of 2 nodes (until then: 2 of ipmi)\n")
    assert (
        err.getvalue() == "note: not known as nodes: n7\nnote: no such channel yet, whatever comes first feeds it: n3\n"
    )


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--from", "2025-03-03"], 2, "say which channels"),
        (["--from", "2025-03-03", "--channel", "node", "--nodes", "n[1-"], 2, "--nodes: brackets"),
        (["--from", "2025-03-01", "--channel", "all"], 1, "declare it from 2025-03-02 on"),
        (["--from", "2025-03-03", "--channel", "gpu7"], 1, "no such channel"),
    ],
)
def test_the_command_refuses_with_a_cure(cluster: Cluster, argv: list[str], code: int, words: str) -> None:
    made = channel(cluster, (MARCH[0], "ipmi"))
    SealedDay.objects.create(cluster=cluster, day=MARCH[0], sealed_at=timezone.now())
    with pytest.raises(CommandError, match=words) as refused:
        command("--source", "redfish", *argv)
    assert refused.value.returncode == code
    assert sources(made) == [(MARCH[0], "ipmi")]
