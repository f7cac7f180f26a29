"""Files given on the page: tried first with nothing kept, taken exactly as they were tried, or withdrawn."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from measurements.models import Batch, Channel, Cluster, DirtyNodeDay, Intake, Job, Node, NodeState, Segment
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source
from measurements.selectors.imports import known_of, progress
from measurements.services import chores, giving, intake, trying
from measurements.services import preview as dry_run
from measurements.services.giving import Upload, give_path
from measurements.services.inbox import clear_away
from measurements.services.intake import MOST_ATTEMPTS, Stopped, files_in_turn, queue, take_next, var
from measurements.services.marks import claim
from measurements.services.trying import (
    FORGOTTEN,
    accept,
    forget_undecided,
    forgotten_at,
    try_again,
    try_next,
    withdraw,
)
from tests.imports_world import NODES, described, now, uploaded
from tests.imports_world import tried as tried_row

POWER = """timestamp,node,watts
2026-03-01T12:00:00Z,n1,100
2026-03-01T12:01:00Z,n1,110
2026-03-01T12:02:00Z,n1,0
2026-03-01T12:00:00Z,n3,70
"""
JOBS = """job_id,user,account,state,start,end,nodes
1,alice,physics,COMPLETED,2026-03-01T12:00:00Z,2026-03-01T12:01:00Z,n1
2,bob,physics,RUNNING,2026-03-01T12:00:00Z,,n9
"""
STATES = "node,start,end,state\nn1,2026-03-01T12:00:00Z,2026-03-01T13:00:00Z,OFF\n"
pytestmark = pytest.mark.django_db
Give = Callable[..., Intake]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Two nodes."""
    return described(tmp_path)


@pytest.fixture
def give(cluster: Cluster) -> Give:
    """Uploads a text."""

    def put(text: str, name: str = "log.csv", content: str = "", **options: Any) -> Intake:
        return uploaded(cluster, text, name, holds=content, **options)

    return put


def tried(row: Intake) -> dict[str, Any]:
    """What trying it finds."""
    found: dict[str, Any] = tried_row(row).preview
    row.refresh_from_db()
    return found


def nothing_is_stored() -> bool:
    rows = (Batch, Segment, Channel, DirtyNodeDay, Job, NodeState)
    return not any(model._default_manager.exists() for model in rows)


# --- What a dry run says -------------------------------------------------------------------------


def test_a_power_log_is_recognised_judged_and_nothing_of_it_kept(give: Give) -> None:
    row = give(POWER)
    found = tried(row)
    assert (row.content, found["format"], found["naive"], found["interval_s"]) == ("power", "csv", False, 60)
    assert (found["read"], found["stored"], found["duplicates"], found["usable"]) == (4, 2, 0, True)
    assert {(one["reason"], one["count"], one["first_line"]) for one in found["refused"]} == {
        ("zero watts", 1, 4), ("unknown node", 1, 5),
    }  # fmt: skip
    unknown = next(one for one in found["refused"] if one["reason"] == "unknown node")
    assert unknown["lines"] == [[5, "2026-03-01T12:00:00.000Z,n3,70 W,node"]]
    assert (found["nodes"]["known"], found["nodes"]["first_known"]) == (1, ["n1"])
    assert found["nodes"]["first_unknown"] == [["n3", ""]]
    assert [(c["name"], c["kind"], c["low"], c["high"]) for c in found["channels"]] == [("node", "gauge", 0, 110)]
    assert (found["days"], found["first_day"], found["sealed_days"], found["booked_days"]) == (1, "2026-03-01", 0, 0)
    assert found["last_ms"] - found["first_ms"] == 120_000
    assert [watts for _, watts in found["curve"]["points"]] == [85, 110, 0]
    assert nothing_is_stored()
    assert not list((var() / "samples").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("text", "content", "stored", "nodes"),
    [(JOBS, "jobs", 2, (1, 1)), (NODES, "nodes", 0, (2, 0)), (STATES, "states", 1, (1, 0))],
)  # fmt: skip
def test_each_content_is_recognised_and_tried_by_its_own_service(
    text: str, content: str, stored: int, nodes: tuple[int, int], give: Give
) -> None:
    row = give(text)
    found = tried(row)
    assert (row.content, found["stored"]) == (content, stored)
    assert (found["nodes"]["known"], found["nodes"]["unknown"]) == nodes
    assert nothing_is_stored()


def test_a_preview_of_jobs_counts_people_and_names_none(give: Give) -> None:
    row = give(JOBS)
    found = tried(row)
    assert found["jobs"] == {"states": {"COMPLETED": 1, "RUNNING": 1}, "users": 2, "accounts": 1, "running": 1}
    assert "alice" not in str(found)


def test_times_without_a_zone_are_said_and_are_taken_once_one_is(give: Give) -> None:
    row = give(POWER.replace("Z", ""))
    found = tried(row)
    assert (found["naive"], found["usable"]) == (True, False)
    assert not accept(row.pk, found["version"], now())
    assert try_again(row.pk, found["version"], "power", {"time_zone": "Europe/Berlin"})
    found = tried(row)
    assert (found["naive"], found["stored"]) == (True, 2)
    assert accept(row.pk, found["version"], now())
    assert take_next(now)
    assert Batch.objects.get().options["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "said"), [("", "empty"), ("\x00\x01\x02", "not a text file"), ("what,ever\n1,2\n", "no power log")]
)
def test_a_useless_file_is_said_to_be_and_cannot_be_taken(text: str, said: str, give: Give) -> None:
    row = give(text)
    found = tried(row)
    assert said in found["fault"]
    assert not accept(row.pk, found["version"], now())
    row.refresh_from_db()
    assert (row.state, row.error) == ("tried", found["fault"])


@override_settings(IMPORT_TRY_MIB=1)
def test_of_a_large_file_a_part_is_tried_and_said_to_be_one(give: Give) -> None:
    line = "2026-03-01T{:02d}:{:02d}:{:02d}Z,n1,100\n"
    text = "timestamp,node,watts\n" + "".join(
        line.format(s // 3600, s // 60 % 60, s % 60) for s in range(86_400) for _ in range(4)
    )
    row = give(text)
    found = tried(row)
    assert 0 < found["part"]["bytes"] < found["part"]["of"] == len(text)
    assert found["read"] < 4 * 86_400
    assert try_again(row.pk, found["version"], "power", {}, whole=True)
    found = tried(row)
    assert (found["part"], found["read"]) == (None, 4 * 86_400)


def test_unknown_nodes_that_are_loaded_meanwhile_make_a_preview_old(give: Give, tmp_path: Path) -> None:
    row = give(POWER)
    before = tried(row)
    (tmp_path / "more.csv").write_text("node,node_type\nn3,a\n")
    call_command("load_nodes", tmp_path / "more.csv", cluster="c")
    assert known_of(row.cluster) != before["known"]
    assert try_again(row.pk, before["version"], row.content, row.options)
    assert tried(row)["nodes"]["unknown"] == 0


# --- Deciding -----------------------------------------------------------------------------------


def test_what_was_tried_is_taken_once_whoever_clicks_how_often(give: Give) -> None:
    row = give(POWER)
    found = tried(row)
    assert accept(row.pk, found["version"], now())
    assert not accept(row.pk, found["version"], now()), "a second click"
    assert not try_again(row.pk, found["version"], "power", {}), "a second operator"
    assert take_next(now)
    row.refresh_from_db()
    assert (row.state, row.report["stored"], row.batch) == ("done", found["stored"], Batch.objects.get())
    assert row.batch is not None
    assert row.batch.sha256 == found["sha256"]
    assert not withdraw(row.pk, now())


def test_who_looks_at_an_older_preview_decides_nothing(give: Give) -> None:
    row = give(POWER)
    old = tried(row)["version"]
    assert try_again(row.pk, old, "power", {"interval": 60})
    new = tried(row)["version"]
    assert not accept(row.pk, old, now())
    assert not try_again(row.pk, old, "power", {})
    assert accept(row.pk, new, now())


def test_other_bytes_than_were_tried_are_not_taken(give: Give) -> None:
    row = give(POWER)
    assert accept(row.pk, tried(row)["version"], now())
    (var() / row.path / "log.csv").write_text(POWER.replace("100", "999"))
    assert take_next(now)
    row.refresh_from_db()
    assert (row.state, Batch.objects.count()) == ("failed", 0)
    assert "no longer those that were tried" in row.error


def test_a_withdrawn_file_leaves_no_byte(give: Give) -> None:
    row = give(POWER)
    tried(row)
    assert withdraw(row.pk, now())
    assert not withdraw(row.pk, now())
    assert not (var() / row.path).exists()
    clear_away(now())
    assert not try_next(now)
    assert not take_next(now)


def test_a_queued_file_can_be_withdrawn_until_somebody_begins_with_it(
    give: Give, cluster: Cluster, tmp_path: Path
) -> None:
    row = give(POWER)
    assert accept(row.pk, tried(row)["version"], now())
    assert withdraw(row.pk, now())
    begun = give(POWER)
    assert accept(begun.pk, tried(begun)["version"], now())
    assert claim(Intake.objects.filter(pk=begun.pk), now())
    assert not withdraw(begun.pk, now())
    (tmp_path / "p.csv").write_text(POWER)
    assert not withdraw(queue(cluster, "power", Source(tmp_path / "p.csv"), {}, now()).pk, now()), "not given here"


def test_an_option_that_makes_no_sense_changes_nothing(give: Give) -> None:
    row = give(POWER)
    version = tried(row)["version"]
    with pytest.raises(UnusableFile, match="no option 'colour'"):
        try_again(row.pk, version, "power", {"colour": "red"})
    row.refresh_from_db()
    assert (row.state, row.preview["version"]) == ("tried", version)


def test_the_bytes_of_a_file_that_awaits_a_decision_are_not_tidied_away(give: Give) -> None:
    waiting, undecided = give(POWER, "a.csv"), give(POWER, "b.csv")
    tried(waiting)
    clear_away(now() + timedelta(days=30))
    assert (var() / waiting.path / "a.csv").exists()
    assert (var() / undecided.path / "b.csv").exists()


def test_one_under_way_comes_before_one_given_earlier_and_decided_on_later(give: Give) -> None:
    nodes, power = give(NODES, "nodes.csv"), give(POWER)
    versions = [tried(row)["version"] for row in (nodes, power)]
    assert accept(power.pk, versions[1], now())
    assert claim(Intake.objects.filter(pk=power.pk), now())
    assert accept(nodes.pk, versions[0], now())
    assert files_in_turn() == [power.pk], "a node list waits for what is under way"


# --- How far it is ------------------------------------------------------------------------------


def test_how_far_a_file_is_can_be_seen_while_it_is_tried(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "NOTED_EVERY_S", -1)
    row = give("timestamp,node,watts\n" + "2026-03-01T12:00:00Z,n1,100\n" * 800_000)
    seen: list[tuple[float, int]] = []

    def look() -> None:
        row.refresh_from_db()
        one = progress(row, now())
        assert one.begun
        seen.append((one.share or 0.0, one.rows))

    assert try_next(now, look)
    shares = [share for share, _ in seen]
    assert shares == sorted(shares), "it never goes back"
    assert len({share for share in shares if 0 < share < 1}) >= 3, shares
    assert seen[-1][1] > 0
    row.refresh_from_db()
    assert (row.done_bytes, progress(row, now()).begun) == (row.size_bytes, False)


# --- Kills, full disks --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Stopped(), KeyboardInterrupt()])
def test_who_is_stopped_while_trying_leaves_the_file_to_be_tried(
    fault: BaseException, give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = give(POWER)

    def fail(*_: Any, **__: Any) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(trying, "preview", fail)
        with pytest.raises(type(fault)):
            try_next(now)
    row.refresh_from_db()
    assert row.state == "trying"
    assert try_next(lambda: now() + timedelta(minutes=2))
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("tried", 0)


def test_a_file_that_kills_whoever_tries_it_is_given_up_with_a_sentence(give: Give) -> None:
    row = give(POWER)
    Intake.objects.update(attempts=MOST_ATTEMPTS)
    assert "killed 10 times" in tried(row)["fault"]


def test_a_file_withdrawn_while_it_is_tried_stays_withdrawn(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    row = give(POWER)
    kept = dry_run.preview

    def withdraw_meanwhile(*words: Any) -> Any:
        assert withdraw(row.pk, now())
        return kept(*words)

    monkeypatch.setattr(trying, "preview", withdraw_meanwhile)
    assert try_next(now)
    row.refresh_from_db()
    assert (row.state, row.preview) == ("withdrawn", {})


def test_a_full_disk_is_said_and_the_file_can_be_tried_again(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    row = give(POWER)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(trying, "preview", full)
        found = tried(row)
    assert "no room on the disk" in found["fault"]
    assert try_again(row.pk, found["version"], "power", {})
    assert tried(row)["stored"] == 2


def test_a_parsers_mistake_is_said_and_keeps_no_other_file_from_being_tried(
    give: Give, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row, other = give(POWER), give(POWER, "other.csv")
    with monkeypatch.context() as patched:
        patched.setattr(trying, "preview", lambda *_: dict[str, str]()["nothing"])
        found = tried(row)
    assert "unexpected error: KeyError: 'nothing'" in found["fault"]
    assert "the log of whoever tried it has it in full" in found["fault"]
    assert "Traceback" in caplog.text
    assert tried(other)["stored"] == 2


def test_an_upload_that_broke_off_is_swept_and_one_that_still_comes_is_not(cluster: Cluster) -> None:
    upload = Upload("log.csv")
    upload.write(b"timestamp")
    folder = next((var() / "inbox-spool").iterdir())
    clear_away(now())
    assert folder.exists()
    clear_away(now() + timedelta(hours=2))
    assert not folder.exists()
    upload.discard()


# --- Nobody decides -----------------------------------------------------------------------------


@override_settings(IMPORT_KEEP_DAYS=3)
def test_a_file_nobody_decides_on_is_withdrawn_in_time_and_gives_its_disk_back(give: Give) -> None:
    old, young, decided = give(POWER, "old.csv"), give(POWER, "young.csv"), give(POWER, "decided.csv")
    for row in (old, young, decided):
        tried(row)
    assert accept(decided.pk, decided.preview["version"], now())
    assert forget_undecided(now() + timedelta(days=3) - timedelta(minutes=1)) == 0
    again = now() + timedelta(days=2)
    Intake.objects.filter(pk=young.pk).update(preview=young.preview | {"tried_at": again.isoformat()})
    due = forgotten_at(old)
    assert due is not None
    assert forget_undecided(due) == 1
    for row, state, there in ((old, "withdrawn", False), (young, "tried", True), (decided, "queued", True)):
        row.refresh_from_db()
        assert (row.state, (var() / row.path).exists()) == (state, there), row.source
    assert (old.error, old.preview, old.finished_at) == (FORGOTTEN, {}, due)
    assert forget_undecided(due + timedelta(days=2, hours=1)) == 1, "young, two days after it was tried anew"
    assert not accept(old.pk, "", now())


def test_who_decides_in_the_last_moment_is_heard(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    row = give(POWER)
    version = tried(row)["version"]
    due = trying.forgotten_at

    def meanwhile(looked_at: Intake) -> Any:
        accept(row.pk, version, now())
        return due(looked_at)

    monkeypatch.setattr(trying, "forgotten_at", meanwhile)
    assert forget_undecided(now() + timedelta(days=400)) == 0
    row.refresh_from_db()
    assert row.state == "queued"
    assert (var() / row.path / "log.csv").exists()


def test_forgetting_is_a_chore(db: None) -> None:
    assert "forget files nobody decided on" in chores.names()


# --- By path ------------------------------------------------------------------------------------


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder that may be read."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def test_a_path_is_copied_by_who_tries_it_and_taken_whatever_becomes_of_it(cluster: Cluster, logs: Path) -> None:
    (logs / "day.csv").write_text(POWER)
    with override_settings(IMPORT_FOLDERS=(logs,)):
        (row,) = give_path(str(logs / "day.csv"), cluster, "", {}, "olga", now())
        found = tried(row)
    assert row.source == str(logs / "day.csv")
    (logs / "day.csv").write_text("something else")
    assert accept(row.pk, found["version"], now())
    assert take_next(now)
    row.refresh_from_db()
    assert (row.state, row.report["stored"]) == ("done", 2)


def test_a_folder_gives_all_its_files(cluster: Cluster, logs: Path) -> None:
    (logs / "below").mkdir()
    for name in ("a.csv", "below/b.csv"):
        (logs / name).write_text(POWER)
    with override_settings(IMPORT_FOLDERS=(logs,)):
        rows = give_path(str(logs), cluster, "", {}, "olga", now())
    assert [Path(row.source).name for row in rows] == ["a.csv", "b.csv"]


def test_no_path_leads_out_of_the_folders_that_may_be_read(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(POWER)
    (logs / "link.csv").symlink_to(secret)
    (logs / "out").symlink_to(tmp_path)
    wrong = [secret, logs / "../secret.csv", logs / "link.csv", logs / "out" / "secret.csv", "secret.csv", "/", "a\0b"]
    with override_settings(IMPORT_FOLDERS=(logs,)):
        for path in wrong:
            with pytest.raises(UnusableFile, match="none of the folders"):
                give_path(str(path), cluster, "", {}, "olga", now())
        with pytest.raises(UnusableFile, match="leads out"):
            give_path(str(logs), cluster, "", {}, "olga", now())
    with override_settings(IMPORT_FOLDERS=()), pytest.raises(UnusableFile, match="none of the folders"):
        give_path(str(logs), cluster, "", {}, "olga", now())
    assert not Intake.objects.exists()


def test_a_file_that_became_a_link_meanwhile_is_not_followed(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(POWER)
    (logs / "day.csv").write_text(POWER)
    with override_settings(IMPORT_FOLDERS=(logs,)):
        (row,) = give_path(str(logs / "day.csv"), cluster, "", {}, "olga", now())
        (logs / "day.csv").unlink()
        (logs / "day.csv").symlink_to(tmp_path / "secret.csv")
        assert "is it still there" in tried(row)["fault"]
        version = row.preview["version"]
        (logs / "day.csv").unlink()
        assert try_again(row.pk, version, "power", {})
        assert "is it still there" in tried(row)["fault"]


def test_there_must_be_room_for_a_copy(cluster: Cluster, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (logs / "day.csv").write_text(POWER)
    monkeypatch.setattr(giving, "RESERVE_BYTES", shutil.disk_usage(logs).free * 2)
    with override_settings(IMPORT_FOLDERS=(logs,)):
        (row,) = give_path(str(logs / "day.csv"), cluster, "", {}, "olga", now())
        assert "no room for a copy" in tried(row)["fault"]


def test_a_name_of_any_nonsense_is_only_a_name(give: Give) -> None:
    for name in ("../../etc/passwd", ".hidden", "a" * 400, "\u202e.csv", "…", "."):
        row = give(POWER, name)
        assert tried(row)["stored"] == 2
        assert len(list((var() / row.path).iterdir())) == 1
    assert Node.objects.count() == 2


def test_a_reading_that_cannot_be_does_not_flatten_the_curve(give: Give) -> None:
    found = tried(give(POWER.replace("n1,110", "n1,99999999")))
    assert [watts for _, watts in found["curve"]["points"]] == [85, 0]
    assert found["channels"][0]["high"] == 99_999_999


def test_a_counter_is_drawn_as_the_power_it_means(give: Give) -> None:
    lines = "".join(f"2026-03-01T12:{minute:02d}:00Z,n1,{minute * 6000}\n" for minute in range(10))
    found = tried(give("timestamp,node,joules\n" + lines))
    assert (found["channels"][0]["kind"], found["channels"][0]["high"]) == ("counter", 54_000)
    assert {watts for _, watts in found["curve"]["points"]} == {100.0}
