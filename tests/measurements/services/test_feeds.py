"""The runner of feeds: one turn at a time, a cursor that never runs ahead, failures that are told and tried again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from measurements.domain.units import ms_from_datetime
from measurements.feeds.about import FeedError
from measurements.models import Batch, Cluster, Feed, Job, Quarantine
from measurements.selectors.feeds import feed_states
from measurements.services import feed_kinds, marks
from measurements.services.bmc_feeds import memory_of
from measurements.services.chores import due, run
from measurements.services.feed_turns import Turn
from measurements.services.feeds import NotPossible, add, ask, ask_due, change, disable, enable, remove

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
NOW_MS = ms_from_datetime(NOW)
ROW = "{0}<>{0}<>{1}<>2025-03-01T09:00:00<>2025-03-01T10:00:00<>2025-03-01T11:00:00<>n1<>"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.objects.create(name="alpha")


def does(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    """Have the turns of a kind do something of the test's."""
    kind = feed_kinds.KINDS[Feed.Kind.SLURM_JOBS]
    told = feed_kinds.Kind(kind.every_s, kind.late_after_s, kind.options, what)
    monkeypatch.setitem(feed_kinds.KINDS, Feed.Kind.SLURM_JOBS, told)


def make(cluster: Cluster, **options: Any) -> Feed:
    return add(cluster, "jobs", "slurm-jobs", options, NOW)


def sacct(folder: Path, *rows: str) -> None:
    """A program that prints these rows; fields are separated as it is told."""
    head = "JobID<>JobIDRaw<>State<>Submit<>Start<>End<>NodeList<>"
    (folder / "rows").write_text("\n".join([head, *rows]) + "\n")
    script = (
        "#!/bin/sh\nfor word; do case $word in --helpformat) echo JobID JobIDRaw State Submit Start End NodeList;"
        f' exit;; --delimiter=*) mark=${{word#*=}};; esac; done\nsed "s/<>/$mark/g" {folder}/rows\n'
    )
    (folder / "sacct").write_text(script)
    (folder / "sacct").chmod(0o755)


def test_a_turn_moves_the_cursor_and_says_when_it_comes_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(monkeypatch, lambda turn: turn.keep(cursor_ms=turn.now_ms, newest_ms=turn.now_ms - 5))
    feed = make(cluster)
    assert [turn.error for turn in ask_due(NOW)] == [""]
    feed.refresh_from_db()
    assert (feed.cursor_ms, feed.newest_ms, feed.last_ok_at) == (NOW_MS, NOW_MS - 5, NOW)
    assert feed.next_at == NOW + timedelta(seconds=feed.every_s)
    assert ask_due(NOW + timedelta(seconds=feed.every_s - 1)) == []
    assert len(ask_due(NOW + timedelta(seconds=feed.every_s))) == 1


def test_a_failure_leaves_the_cursor_and_waits_longer_each_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(turn: Turn) -> None:
        raise FeedError("Slurm's database is away")

    does(monkeypatch, fail)
    feed = make(cluster)
    Feed.objects.update(cursor_ms=123)
    waits, now = [], NOW
    for _ in range(7):
        ask_due(now)
        feed.refresh_from_db()
        waits.append((feed.next_at or now) - now)
        now = feed.next_at or now
    assert (feed.cursor_ms, feed.failures, feed.last_error) == (123, 7, "Slurm's database is away")
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=30))
    enable(feed, now)
    feed.refresh_from_db()
    assert (feed.failures, feed.next_at, feed.cursor_ms) == (0, now, 123)


def test_nothing_is_left_out_however_long_nobody_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []

    def note(turn: Turn) -> None:
        starts.append(turn.start_ms(3_600_000))
        turn.keep(cursor_ms=turn.now_ms)

    does(monkeypatch, note)
    make(cluster)
    for hours in (0, 12):
        ask_due(NOW + timedelta(hours=hours))
    assert starts == [NOW_MS - 3_600_000, NOW_MS - 3_600_000], "an overlap ago at first, then behind the cursor"
    Feed.objects.update(since_ms=NOW_MS + 42)
    ask_due(NOW + timedelta(days=9))
    assert starts[2] == NOW_MS + 11 * 3_600_000


def test_who_says_how_long_to_wait_is_obeyed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(turn: Turn) -> None:
        raise FeedError("busy", wait_s=7_200)

    does(monkeypatch, fail)
    feed = make(cluster)
    ask_due(NOW)
    feed.refresh_from_db()
    assert feed.next_at == NOW + timedelta(hours=2)


def test_an_unexpected_error_ends_the_turn_and_not_the_worker(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(monkeypatch, lambda turn: 1 // 0)
    make(cluster)
    assert [turn.error for turn in ask_due(NOW)] == ["unexpected ZeroDivisionError: see the log"]


def test_two_workers_never_ask_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[object] = []
    does(monkeypatch, lambda turn: inner.append(ask(turn.feed.pk, turn.now, at_once=True)))
    make(cluster)
    ask_due(NOW)
    assert inner == [None]


def test_a_feed_that_is_set_anew_during_its_turn_keeps_what_was_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(turn: Turn) -> None:
        disable(turn.feed)
        turn.keep(cursor_ms=turn.now_ms)

    does(monkeypatch, disturbed)
    feed = make(cluster)
    assert ask_due(NOW) == []
    feed.refresh_from_db()
    assert (feed.enabled, feed.cursor_ms) == (False, None)
    assert ask_due(NOW + timedelta(days=1)) == []


def test_the_feed_of_a_worker_that_died_is_free_at_the_next_sweep(cluster: Cluster) -> None:
    feed = make(cluster)
    dead = marks.lease_name().rpartition("/")[0] + "/1/x"  # this process' id, begun at another time
    Feed.objects.update(claimed_by=dead, claimed_until=NOW + timedelta(minutes=15))
    assert ask_due(NOW) == []
    marks.release_dead()
    feed.refresh_from_db()
    assert feed.claimed_by == ""


def test_the_chore_asks_what_is_due(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    does(monkeypatch, lambda turn: asked.append(turn.feed.name))
    make(cluster)
    assert "ask feeds" in due(NOW)
    run("ask feeds", NOW)
    assert asked == ["jobs"]


def test_late_is_further_behind_than_was_said(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    does(monkeypatch, lambda turn: turn.keep(cursor_ms=turn.now_ms))
    feed = make(cluster)
    ask_due(NOW)
    limit = timedelta(seconds=feed.late_after_s)
    assert [state.late for state in feed_states(NOW + limit)] == [False]
    late = feed_states(NOW + limit + timedelta(seconds=1))
    assert [(state.late, state.lag_s) for state in late] == [(True, feed.late_after_s + 1)]
    disable(feed)
    assert [state.late for state in feed_states(NOW + 2 * limit)] == [False]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"colour": "red"}, "no option 'colour' for this kind"),
        ({"overlap_s": "long"}, "the option 'overlap_s' can't be 'long'"),
        ({"overlap_s": True}, "can't be True"),
        ({"address": "http://slurm:6820"}, "add it to JOULEBOOK_FEED_HOSTS"),
        ({"address": "unix:/run/x", "token_file": "token"}, "the whole path of a file"),
    ],
)
def test_what_is_wrong_with_options_is_said_at_once(cluster: Cluster, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NotPossible, match=sentence):
        make(cluster, **options)


def test_the_turns_of_a_day_share_one_batch_and_keep_a_refusal_once(cluster: Cluster, tmp_path: Path) -> None:
    feed = make(cluster)
    for minute in range(4):
        sacct(tmp_path, *(ROW.format(raw, "COMPLETED") for raw in range(1, minute + 2)), ROW.format(99, "ODD"))
        with override_settings(SLURM_BIN=str(tmp_path)):
            assert [turn.error for turn in ask_due(NOW + timedelta(minutes=5 * minute))] == [""]
    batch = Batch.objects.get()
    assert (batch.stored, batch.refused, batch.read) == (4, 1, 5)
    assert Quarantine.objects.get().reason == "unknown state"
    assert Job.objects.count() == 4
    feed.refresh_from_db()
    assert feed.last_report["duplicates"] == 3


def test_the_deep_look_back_of_a_new_day_counts_no_refusal_again(cluster: Cluster, tmp_path: Path) -> None:
    make(cluster)
    midnight = NOW.replace(hour=0, minute=0, second=0) + timedelta(days=1)
    rows = [ROW.format(1, "COMPLETED"), ROW.format(99, "ODD")]
    for minute in (-2, 3, 8):
        if minute == 8:
            rows.append(ROW.format(98, "ODD"))
        sacct(tmp_path, *rows)
        with override_settings(SLURM_BIN=str(tmp_path)):
            assert [turn.error for turn in ask_due(midnight + timedelta(minutes=minute))] == [""]
    batches = {batch.options["day"]: (batch.stored, batch.refused, batch.read) for batch in Batch.objects.all()}
    days = [(midnight + timedelta(days=day)).date().isoformat() for day in (-1, 0)]
    assert batches == dict(zip(days, [(1, 1, 2), (0, 1, 1)], strict=True))
    assert [row.count for row in Quarantine.objects.all()] == [1, 1]


def test_long_ago_is_fetched_piece_by_piece(cluster: Cluster, tmp_path: Path) -> None:
    sacct(tmp_path)
    add(cluster, "jobs", "slurm-jobs", {"piece_h": 24}, NOW, since=NOW - timedelta(days=20))
    behind = []
    with override_settings(SLURM_BIN=str(tmp_path)):
        while turns := ask_due(NOW):
            behind.append(turns[0].behind)
    assert behind == [True, True, True, False] or behind == [True, True, False]
    assert Feed.objects.get().cursor_ms == NOW_MS


def test_the_command_makes_runs_and_lists_feeds(tmp_path: Path) -> None:
    def feed(*words: str) -> dict[str, Any]:
        out = StringIO()
        call_command("feed", *words, "--json", stdout=out, stderr=StringIO())
        found: dict[str, Any] = json.loads(out.getvalue())["feeds"][0]
        return found

    sacct(tmp_path, ROW.format(7, "COMPLETED"))
    with override_settings(SLURM_BIN=str(tmp_path)):
        made = feed("add", "tiny", "--kind", "slurm-jobs", "--cluster", "tiny", "--option", "overlap_s=600")
        assert (made["options"], made["enabled"], made["reached_at"]) == ({"overlap_s": 600}, True, None)
        assert feed("run", "tiny")["report"]["stored"] == 1
        assert not feed("disable", "tiny")["enabled"]
        assert feed("enable", "tiny")["enabled"]
        assert feed("list")["name"] == "tiny"
        (tmp_path / "sacct").write_text("#!/bin/sh\nexit 1\n")
        with pytest.raises(CommandError, match="sacct ended with 1") as fault:
            feed("run", "tiny")
    assert fault.value.returncode == 1
    out = StringIO()
    call_command("feed", "remove", "tiny", stdout=out)
    assert out.getvalue() == "tiny is removed: nobody asks it any more; its batches and what they brought stay\n"
    assert (Feed.objects.count(), Job.objects.count(), Batch.objects.count()) == (0, 1, 1)
    with pytest.raises(CommandError, match="no feed 'tiny'"):
        call_command("feed", "remove", "tiny")
    made = feed("add", "tiny", "--kind", "slurm-jobs", "--cluster", "tiny")
    assert made["reached_at"] is None, "another one, of the same name"
    out = StringIO()
    call_command("feed", "remove", "tiny", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"removed": "tiny"}
    with pytest.raises(CommandError, match="no feed 'other'"):
        feed("run", "other")


def test_a_feed_is_said_otherwise_and_asks_from_a_day_on_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(monkeypatch, lambda turn: turn.keep(cursor_ms=turn.now_ms))
    feed = make(cluster, overlap_s=600, conf="/etc/slurm/wrong.conf")
    ask_due(NOW)
    words = ("--option", "overlap_s=60", "--option", "conf=", "--every", "30", "--since", "2025-02-01", "--json")
    out = StringIO()
    call_command("feed", "set", "jobs", *words, stdout=out, stderr=StringIO())
    told = json.loads(out.getvalue())["feeds"][0]
    assert (told["options"], told["every_s"], told["late_after_s"]) == ({"overlap_s": 60}, 30, feed.late_after_s)
    feed.refresh_from_db()
    since_ms = ms_from_datetime(datetime(2025, 2, 1, tzinfo=UTC))
    assert (feed.cursor_ms, feed.since_ms, feed.failures) == (None, since_ms, 0)
    call_command("feed", "set", "jobs", "--option", "overlap_s=61", stdout=StringIO())
    feed.refresh_from_db()
    assert (feed.since_ms, feed.every_s) == (since_ms, 30), "what is not said stays"
    with pytest.raises(CommandError, match="no option 'adress' for this kind"):
        call_command("feed", "set", "jobs", "--option", "adress=x")
    feed.refresh_from_db()
    assert feed.options == {"overlap_s": 61}


def test_a_turn_under_way_stores_nothing_more_when_its_feed_is_said_otherwise(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_and_be_changed(turn: Turn) -> None:
        change(Feed.objects.get(), {"overlap_s": 60}, NOW)
        turn.keep(cursor_ms=turn.now_ms)

    does(monkeypatch, ask_and_be_changed)
    feed = make(cluster)
    assert ask(feed.pk, NOW) is None
    feed.refresh_from_db()
    assert (feed.cursor_ms, feed.options, feed.claimed_by) == (None, {"overlap_s": 60}, "")


def test_a_feed_that_is_removed_during_its_turn_stores_nothing_more_and_leaves_no_file(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_and_be_removed(turn: Turn) -> None:
        remove(Feed.objects.get())
        turn.keep(cursor_ms=turn.now_ms)

    does(monkeypatch, ask_and_be_removed)
    feed = make(cluster)
    memory = memory_of(feed)
    memory.path.parent.mkdir(parents=True, exist_ok=True)
    memory.path.write_text("{}")
    assert ask(feed.pk, NOW) is None
    assert not Feed.objects.exists()
    assert not memory.path.exists()
    assert ask(feed.pk, NOW) is None, "whoever had it on a list finds it gone"


def test_readings_are_asked_for_only_of_a_cluster_that_is_there(cluster: Cluster) -> None:
    words = ("feed", "add", "gpus", "--kind", "slurm-gpus", "--cluster")
    with pytest.raises(CommandError, match="no cluster 'alhpa' \\(known: alpha\\)"):
        call_command(*words, "alhpa")
    assert not Feed.objects.exists()
    assert Cluster.objects.count() == 1
    call_command(*words, "alpha", stdout=StringIO())
    assert Feed.objects.get().cluster == cluster


def test_a_failure_is_said_once_by_the_command_and_counted(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(turn: Turn) -> None:
        turn.note("Slurm's database is away")
        raise FeedError("none answered: Slurm's database is away")

    does(monkeypatch, fail)
    make(cluster)
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="none answered"):
        call_command("feed", "run", "jobs", stdout=out, stderr=err)
    assert out.getvalue().splitlines()[1:] == ["  failed once: none answered: Slurm's database is away"]
    assert err.getvalue() == ""
    with pytest.raises(CommandError, match="none answered"):
        call_command("feed", "run", "jobs", stdout=out)
    assert "  failed 2 times in a row: none answered" in out.getvalue()


def test_a_run_says_what_each_turn_brought_and_refused_and_up_to_when(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(turn: Turn) -> None:
        turn.count({"read": 5, "stored": 2})
        turn.report["refused"] = [{"reason": "unknown node", "count": 3, "example": "n9"}]
        turn.keep(cursor_ms=NOW_MS)

    does(monkeypatch, some)
    make(cluster)
    out, err = StringIO(), StringIO()
    call_command("feed", "run", "jobs", stdout=out, stderr=err)
    assert err.getvalue() == "jobs: 5 read, 2 stored, 0 known, 3 refused, up to 2025-03-01T12:00:00Z\n"
    assert "  3 refused: unknown node (n9)" in out.getvalue()
    does(monkeypatch, lambda turn: turn.count({"nodes_created": 4}))
    call_command("feed", "run", "jobs", stdout=out, stderr=(err := StringIO()))
    assert err.getvalue().startswith("jobs: 0 read, 0 stored, 0 known, 4 nodes made, up to")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--cluster", "../etc"), "'../etc' can't name a cluster"),
        (("--cluster", "tiny", "--option", "overlap_s=0"), "the option 'overlap_s' can't be 0"),
        (("--cluster", "tiny", "--every", "-5"), "'-5' is no whole number from 1 on"),
        (("--cluster", "tiny", "--late-after", "0"), "'0' is no whole number from 1 on"),
    ],
)
def test_a_feed_that_is_refused_leaves_no_cluster(db: None, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("feed", "add", "tiny", "--kind", "slurm-jobs", *words)
    assert not Feed.objects.exists()
    assert not Cluster.objects.exists()
