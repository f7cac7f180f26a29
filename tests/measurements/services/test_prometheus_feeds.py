"""Feeds of a real Prometheus and a real VictoriaMetrics: what these hold is stored, each sample once and no other."""

from __future__ import annotations

import shlex
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from django.core.management import call_command
from django.test import override_settings

from measurements.domain.units import DAY_MS, datetime_from_ms, ms_from_datetime
from measurements.models import Batch, Channel, Cluster, Feed, Node, Quarantine, Segment
from measurements.parsers.source import Source
from measurements.services import prometheus_feeds
from measurements.services.feeds import Ended, NotPossible, add, ask
from measurements.store import SampleStore, Selection
from tests.measurements.parsers.reading import read_log
from tests.measurements.services.pushing import NOW, cluster_of
from tests.services.binaries import PROMETHEUS, VICTORIA_METRICS
from tests.services.fixtures import programs
from tests.services.process import folder, free_port
from tests.services.prometheus import Series, backfill, fill, prometheus_server, victoria_metrics

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("allowed")]
HOURS, STEP_MS = 30, 20_000
FIRST_MS = ms_from_datetime(NOW) - HOURS * 3_600_000
NODES = ("n1", "n2")
Held = dict[tuple[str, str, int], int]


def history() -> Series:
    """A day and more of two nodes: watts, a counter that once begins anew, and what is neither."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]] = {}
    steps = range(HOURS * 3_600_000 // STEP_MS)
    for i, node in enumerate(NODES):
        times = [FIRST_MS + k * STEP_MS + 137 * i for k in steps]  # of n1 at full seconds: at the ends of windows
        watts = [(t, 300.0 + 100 * i + k % 7 + 0.125) for k, t in enumerate(times)]
        joules = [(t, 0.5 + 150.0 * (k % 3_000)) for k, t in enumerate(times)]
        found["ipmi_dcmi_power_consumption_watts", (("instance", f"{node}:9290"), ("cluster", "alpha"))] = watts
        labels = (("index", "0"), ("instance", f"{node}:9100"), ("cluster", "alpha"))
        found["node_rapl_package_joules_total", labels] = joules
    found["ipmi_dcmi_power_consumption_watts", (("instance", "elsewhere:9290"), ("cluster", "beta"))] = watts[:100]
    found["rack_draw_watts", (("instance", "n1"), ("cluster", "alpha"))] = watts[:100]
    found["go_goroutines", (("instance", "n1:9100"), ("cluster", "alpha"))] = watts[:100]
    return found


HISTORY = history()
CHANNELS = {"ipmi_dcmi_power_consumption_watts": ("node", 1_000), "node_rapl_package_joules_total": ("cpu0", 1_000_000)}


def truth(first_ms: int = FIRST_MS - 1, last_ms: int = FIRST_MS + HOURS * 3_600_000) -> Held:
    """What should be held of the instants (first, last]."""
    return {
        (dict(labels)["instance"].partition(":")[0], CHANNELS[metric][0], t): round(value * CHANNELS[metric][1])
        for (metric, labels), samples in HISTORY.items()
        if metric in CHANNELS and ("cluster", "alpha") in labels
        for t, value in samples
        if first_ms < t <= last_ms
    }


def held(cluster: Cluster) -> Held:
    """What the store has, by node and channel."""
    names = dict(Node.objects.filter(cluster=cluster).values_list("pk", "name"))
    channels = dict(Channel.objects.filter(node__cluster=cluster).values_list("pk", "name"))
    wanted = Selection(np.array(sorted(names), np.int32), FIRST_MS - DAY_MS, FIRST_MS + 3 * DAY_MS)
    found = SampleStore().scan(cluster.pk, wanted)
    columns = (found.node.tolist(), found.channel.tolist(), found.t_ms.tolist(), found.value.tolist())
    return {(names[n], channels[c], t): v for n, c, t, v in zip(*columns, strict=True)}


@pytest.fixture
def allowed() -> Iterator[None]:
    with override_settings(FEED_HOSTS=("127.0.0.1",)):
        yield


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The data of a Prometheus that holds the history."""
    with folder("prometheus-history") as path:
        backfill(programs(PROMETHEUS)[0], HISTORY, path)
        yield path


@contextmanager
def server(home: Path, port: int = 0) -> Iterator[str]:
    with prometheus_server(programs(PROMETHEUS)[0], {}, home=home, port=port) as started:
        yield f"http://127.0.0.1:{started.port}"


@pytest.fixture(scope="module")
def prometheus(home: Path) -> Iterator[str]:
    with server(home) as address:
        yield address


@pytest.fixture(scope="module")
def victoria() -> Iterator[str]:
    with victoria_metrics(programs(VICTORIA_METRICS)[0]) as port:
        fill(port, HISTORY)
        yield f"http://127.0.0.1:{port}"


def test_what_victoriametrics_exports_into_a_file_is_read_as_it_stands(victoria: str, tmp_path: Path) -> None:
    query = urllib.parse.urlencode({"match[]": '{cluster="alpha"}', "start": FIRST_MS / 1_000})
    path = tmp_path / "export.jsonl"
    path.write_bytes(urllib3.request("GET", f"{victoria}/api/v1/export?{query}").data)
    log = read_log(Source(path))
    assert {(node, channel, t): value for node, channel, t, value, _ in log.rows} == truth()
    assert len(log.rows) == len(truth())
    assert [reason for reason, _ in log.refused] == ["no mapping for this metric"]  # rack_draw_watts


def make(address: str, since: datetime | None = None, **options: Any) -> Feed:
    cluster = cluster_of(*NODES) if not Node.objects.exists() else Cluster.objects.get()
    said = {"address": address, "match": '{cluster="alpha"}'} | options
    return add(cluster, "prom", "prometheus", said, NOW, since=since)


def caught_up(feed: Feed, now: datetime = NOW) -> list[Ended]:
    """Turn after turn, until there is nothing left."""
    turns = []
    for _ in range(50):
        turn = ask(feed.pk, now, at_once=True)
        assert turn is not None
        assert not turn.error, turn.error
        turns.append(turn)
        if not turn.behind and not turn.report["again"]:
            return turns
    raise AssertionError("still behind")


@pytest.fixture(params=["prometheus", "victoriametrics"])
def peer(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A real one of each kind: address and flavour."""
    name = "prometheus" if request.param == "prometheus" else "victoria"
    return request.getfixturevalue(name), request.param


def test_all_that_is_there_is_stored_once_and_nothing_else(peer: tuple[str, str]) -> None:
    feed = make(peer[0], flavour=peer[1], since=NOW - timedelta(days=2))
    turns = caught_up(feed)
    assert len(turns) > 1
    found = held(feed.cluster)
    assert found == truth(last_ms=ms_from_datetime(NOW) - 30_000)
    assert sum(turn.report["stored"] for turn in turns) == len(found)
    assert not Quarantine.objects.exists()
    feed.refresh_from_db()
    assert feed.cursor_ms == ms_from_datetime(NOW) - 30_000
    notes = [note for turn in turns for note in turn.report.get("notes", [])]
    assert any("rack_draw_watts" in note for note in notes)
    assert not any("goroutines" in note for note in notes)


def test_the_overlap_again_leaves_no_trace(peer: tuple[str, str]) -> None:
    start = NOW - timedelta(hours=3)
    feed = make(peer[0], flavour=peer[1], overlap_s=3_600)
    Feed.objects.filter(pk=feed.pk).update(since_ms=ms_from_datetime(start))
    before = None
    for minutes in (0, 0, 1, 2):
        [turn] = caught_up(feed, NOW - timedelta(minutes=10 - minutes))
        rows = (Segment.objects.count(), Batch.objects.count(), list(Batch.objects.values_list("stored", flat=True)))
        if minutes == 0 and before is not None:
            assert rows == before, "the same window again"
            assert (turn.report["stored"], turn.report["read"]) == (0, turn.report["duplicates"])
            assert turn.report["duplicates"] == len(truth(start_of(feed), feed_cursor(feed)))
        before = rows
    end = ms_from_datetime(NOW) - 8 * 60_000 - 30_000
    assert held(feed.cluster) == truth(ms_from_datetime(start), end)


def start_of(feed: Feed) -> int:
    return feed_cursor(feed) - 3_600_000


def feed_cursor(feed: Feed) -> int:
    feed.refresh_from_db()
    assert feed.cursor_ms is not None
    return feed.cursor_ms


def test_a_prometheus_that_is_away_and_comes_back_leaves_no_gap(home: Path) -> None:
    port = free_port()
    with server_copy(home) as copied:
        with server(copied, port) as address:
            feed = make(address, since=NOW - timedelta(days=2))
            caught_up(feed, NOW - timedelta(hours=10))
        reached = feed_cursor(feed)
        gone = ask(feed.pk, NOW - timedelta(hours=9), at_once=True)
        assert gone is not None
        assert "no connection" in gone.error
        feed.refresh_from_db()
        assert (feed.cursor_ms, feed.failures) == (reached, 1)
        with server(copied, port):
            caught_up(feed)
    assert held(feed.cluster) == truth(last_ms=ms_from_datetime(NOW) - 30_000)
    feed.refresh_from_db()
    assert (feed.failures, feed.last_error) == (0, "")


@contextmanager
def server_copy(home: Path) -> Iterator[Path]:
    """The same history for a Prometheus beside the other one."""
    with folder("prometheus-copy") as path:
        backfill(programs(PROMETHEUS)[0], HISTORY, path)
        yield path


def test_what_comes_late_is_there_a_day_later() -> None:
    """A scraper that was cut off brings hours at once, long behind the overlap."""
    with victoria_metrics(programs(VICTORIA_METRICS)[0]) as port:
        late = {key: samples[1_000:1_500] for key, samples in HISTORY.items() if "n1:9290" in dict(key[1]).values()}
        early = {key: [one for one in samples if one not in late.get(key, [])] for key, samples in HISTORY.items()}
        fill(port, early)
        before_midnight = datetime(2025, 3, 1, 23, 59, tzinfo=UTC)
        feed = make(f"http://127.0.0.1:{port}", flavour="victoriametrics", since=NOW - timedelta(days=2), again_h=48)
        caught_up(feed, before_midnight)
        missing = 500
        assert len(held(feed.cluster)) == len(truth()) - missing
        fill(port, late)
        caught_up(feed, before_midnight + timedelta(seconds=30))
        assert len(held(feed.cluster)) == len(truth()) - missing
        turns = caught_up(feed, before_midnight + timedelta(minutes=5))
    assert held(feed.cluster) == truth()
    assert len(turns) > 1
    assert sum(turn.report["stored"] for turn in turns) == missing


def test_a_window_that_is_too_large_is_halved_until_it_is_answered(home: Path) -> None:
    """A Prometheus that loads no more samples than so many answers 422."""
    with (
        server_copy(home) as copied,
        prometheus_server(programs(PROMETHEUS)[0], {}, home=copied, flags=["--query.max-samples=60"]) as small,
    ):
        feed = make(f"http://127.0.0.1:{small.port}", since=NOW - timedelta(days=1))
        Feed.objects.filter(pk=feed.pk).update(since_ms=ms_from_datetime(NOW) - 3_600_000)
        turns = caught_up(feed)
    assert turns[0].report["piece_s"] < prometheus_feeds.PIECE_S / 2
    assert held(feed.cluster) == truth(ms_from_datetime(NOW) - 3_600_000, ms_from_datetime(NOW) - 30_000)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"address": "http://prometheus.example.org:9090"}, "JOULEBOOK_FEED_HOSTS"),
        ({"address": "http://169.254.169.254/"}, "JOULEBOOK_FEED_HOSTS"),
        ({"address": "http://user:word@127.0.0.1:9090"}, "no name or password"),
        ({"address": "unix:/run/prometheus"}, "address=http"),
        ({"address": "file:///etc/passwd"}, "no address"),
        ({"flavour": "influx"}, "flavour"),
        ({"match": 'up{a="b"}'}, "match"),
        ({"match": '{a="b"} or vector(1)'}, "match"),
        ({"metrics": "sum(x)"}, "metrics"),
        ({"user": "x"}, "belong together"),
        ({"token_file": "secret"}, "whole path"),
        ({"piece_s": 5}, "piece_s"),
        ({"step": 5}, "no option"),
    ],
)
def test_what_cannot_be_asked_is_said_when_the_feed_is_made(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotPossible, match=reason):
        make(**{"address": "http://127.0.0.1:9"} | options)


def test_a_host_that_is_taken_off_the_list_is_asked_no_more(prometheus: str) -> None:
    feed = make(prometheus)
    with override_settings(FEED_HOSTS=()):
        turn = ask(feed.pk, NOW, at_once=True)
    assert turn is not None
    assert "JOULEBOOK_FEED_HOSTS" in turn.error
    assert held(feed.cluster) == {}


def test_only_the_metrics_that_were_named_are_asked_for(prometheus: str) -> None:
    feed = make(prometheus, metrics="ipmi_dcmi_power_consumption_watts,go_goroutines", since=NOW - timedelta(hours=1))
    caught_up(feed)
    assert {channel for _, channel, _ in held(feed.cluster)} == {"node"}


def test_what_is_found_at_last_is_not_called_nothing_and_where_nothing_is_it_is_said(prometheus: str) -> None:
    first = datetime_from_ms(FIRST_MS)
    feed = make(prometheus, since=first - timedelta(hours=5))
    notes: list[str] = []
    while (turn := ask(feed.pk, NOW, at_once=True)) is not None:
        notes += turn.report.get("notes", [])
        if not turn.behind:
            break
    assert not [note for note in notes if "none of the 0" in note]
    assert "there is no series at all" in notes[0], "hours before the first scrape"
    assert turn is not None
    assert not [note for note in turn.report.get("notes", []) if "no series" in note or "none of" in note]
    Feed.objects.update(cursor_ms=None, options=feed.options | {"match": '{cluster="gamma"}'})
    turn = ask(feed.pk, NOW, at_once=True)
    assert turn is not None
    assert turn.report["notes"][0].startswith("there is no series at all in the time that was asked for")


def test_without_a_match_what_is_of_other_clusters_is_refused_and_kept_once(prometheus: str) -> None:
    feed = make(prometheus, match="", since=NOW - timedelta(days=2))
    caught_up(feed)
    caught_up(feed)
    assert held(feed.cluster) == truth(last_ms=ms_from_datetime(NOW) - 30_000)
    assert Quarantine.objects.get().count == 100


def test_the_example_of_the_documents_works_as_it_stands(prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_of(*NODES)
    Cluster.objects.update(name="alpha")
    monkeypatch.setattr("measurements.management.commands.feed.now", lambda: NOW)
    text = (
        (Path(__file__).resolve().parents[3] / "docs/pull.md")
        .read_text()
        .partition("```console\n")[2]
        .partition("```")[0]
    )
    said = text.replace("\\\n", " ").replace("http://prometheus.example.org:9090", prometheus)
    lines = [shlex.split(line.removeprefix("$ "), comments=True) for line in said.splitlines() if line.startswith("$ ")]
    prometheus_lines = [words for words in lines if "monitoring" in words]
    assert [words[2] for words in prometheus_lines] == ["add", "run"]
    for words in prometheus_lines:
        call_command(*words[1:], stdout=StringIO(), stderr=StringIO())
    start = ms_from_datetime(datetime(2025, 3, 1, tzinfo=UTC))
    assert held(Cluster.objects.get()) == truth(start, ms_from_datetime(NOW) - 30_000)
