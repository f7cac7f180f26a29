"""Files that wait: each is taken once, in order; what is wrong with one can be seen; the folder is watched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from measurements.models import Batch, Cluster, Intake, Node, Run, Segment
from measurements.parsers.source import Source, job_folder
from measurements.services import inbox, intake
from measurements.services.inbox import clear_away, look_into_inbox
from measurements.services.intake import MOST_ATTEMPTS, MOST_FAULTS, Stopped, queue, take_next
from measurements.services.marks import claim, release_dead, renew
from tests.house import ROOT, clean_environment
from tests.imports_world import NODES, described, now
from tests.services.tables import sqlite_tables

POWER = "timestamp,node,watts\n2026-03-01T12:00:00Z,n1,100\n2026-03-01T12:01:00Z,n1,110\n"
JOBS = """job_id,user,account,state,start,end,nodes
1,alice,physics,COMPLETED,2026-03-01T12:00:00Z,2026-03-01T12:01:00Z,n1
"""
pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Two nodes."""
    return described(tmp_path)


@pytest.fixture
def give(cluster: Cluster, tmp_path: Path) -> Callable[..., Intake]:
    """Queues a text as a file."""

    def put(text: str, content: str = "power", name: str = "log.csv", **options: Any) -> Intake:
        (tmp_path / name).write_text(text)
        return queue(cluster, content, Source(tmp_path / name), options, now())

    return put


def drop(own_var: Path, where: str, text: str) -> Path:
    """A file in the watched folder."""
    path = own_var / "inbox" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_taken_as_by_the_command_and_only_once(give: Callable[..., Intake], tmp_path: Path) -> None:
    row = give(POWER)
    (tmp_path / "log.csv").unlink()  # a copy was kept
    assert take_next(now)
    assert not take_next(now)
    row.refresh_from_db()
    assert (row.state, row.report["stored"], row.batch, row.attempts) == ("done", 2, Batch.objects.get(), 1)
    clear_away(now())
    assert not (intake.var() / row.path).exists()
    call_command("ingest_power", give(POWER, name="again.csv").source, cluster="c")  # by the command: known already
    assert Batch.objects.count() == 1
    assert take_next(now)
    assert Segment.objects.count() == 1


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("", {}, "empty; nothing to read"),
        ("what,ever\n1,2\n", {}, "log.csv"),
        (POWER.replace("n1", "n9"), {}, "nothing in it was usable: 2 × unknown node"),
        (POWER.replace("Z", ""), {"time_zone": "Europe/Karlsruhe"}, "'Europe/Karlsruhe' is no time zone"),
    ],
)
def test_a_useless_file_fails_at_once_with_a_sentence_and_is_kept(
    text: str, options: dict[str, Any], sentence: str, give: Callable[..., Intake], own_var: Path
) -> None:
    row = give(text, **options)
    assert take_next(now)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("failed", 1)
    assert sentence in row.error
    clear_away(now())
    kept = own_var / "inbox" / "c" / "failed"
    assert (kept / f"{row.pk}-log.csv").read_text() == text
    assert sentence in (kept / f"{row.pk}.reason.txt").read_text()
    assert not take_next(now)


def standing(at: datetime) -> Callable[[], datetime]:
    """A clock that shows the same time whenever it is looked at."""
    return lambda: at


def test_an_unexpected_error_is_tried_again_a_little_later_and_given_up_in_the_end(
    give: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = give(POWER)
    monkeypatch.setattr(intake, "take", lambda *_: 1 / 0)
    at, later = now(), 0
    for turn in range(MOST_FAULTS):
        assert take_next(standing(at + timedelta(seconds=later)))
        assert not take_next(standing(at + timedelta(seconds=later))), "without a pause"
        row.refresh_from_db()
        assert (row.state == "failed") == (turn == MOST_FAULTS - 1)
        assert "ZeroDivisionError" in row.error
        later += 100


@pytest.mark.parametrize("fault", [OperationalError("server closed the connection"), Stopped()])
def test_what_is_not_the_files_fault_is_not_counted(
    fault: Exception, give: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = give(POWER)

    def fail(*_: Any) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(intake, "take", fail)
        with pytest.raises(type(fault)):
            take_next(now)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.faults, row.claimed_by) == ("queued", 0, 0, "")
    assert take_next(now)
    row.refresh_from_db()
    assert row.state == "done"


def test_a_file_that_kills_whoever_reads_it_is_given_up(give: Callable[..., Intake]) -> None:
    row = give(POWER)
    Intake.objects.update(attempts=MOST_ATTEMPTS)
    assert take_next(now)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "killed 10 times" in row.error


def test_files_of_a_cluster_are_taken_in_their_order_and_nothing_beside_its_nodes(
    give: Callable[..., Intake],
) -> None:
    power, more, jobs = give(POWER), give(POWER, name="more.csv"), give(JOBS, "jobs", "jobs.csv")
    nodes, last = give(NODES, "nodes", "new.csv"), give(JOBS, "jobs", "last.csv")
    assert set(intake.files_in_turn()) == {power.pk, jobs.pk}
    claimed = claim(Intake.objects.filter(pk=power.pk), now())
    assert claimed
    assert take_next(now)  # jobs
    assert not take_next(now), "more power waits for the first, nodes for both, the last jobs for the nodes"
    assert set(intake.files_in_turn()) == {power.pk}
    Intake.objects.filter(pk=power.pk).update(claimed_by="", claimed_until=None)
    for expected in (power, more, nodes, last):
        assert expected.pk in intake.files_in_turn()
        assert take_next(now)
    assert Intake.objects.filter(state="done").count() == 5
    assert Run.objects.count() == 1


def test_the_lease_of_a_dead_process_ends_and_a_long_file_keeps_its_own(give: Callable[..., Intake]) -> None:
    row = give(POWER)
    held = claim(Intake.objects.all(), now())
    assert not take_next(now)
    assert renew(held, now() + timedelta(hours=1))
    row.refresh_from_db()
    assert row.claimed_until is not None
    assert row.claimed_until > now() + timedelta(hours=1)
    host, _, _, token = row.claimed_by.split("/")
    Intake.objects.update(claimed_by=f"{host}/999999999/1/{token}")
    assert not renew(held, now()), "somebody else has it"
    release_dead()
    assert take_next(now)


def test_a_file_is_taken_from_the_folder_once_it_is_complete(cluster: Cluster, own_var: Path) -> None:
    drop(own_var, "c/power/p.csv", POWER)
    drop(own_var, "c/power/.p2.csv", POWER)
    drop(own_var, "c/power/p3.csv.part", POWER)
    assert look_into_inbox(now(), settled_s=30) == 0, "it may still be written to"
    later = now() + timedelta(seconds=31)
    assert look_into_inbox(later, settled_s=30) == 1
    assert look_into_inbox(later, settled_s=30) == 0
    assert take_next(now)
    clear_away(now())
    row = Intake.objects.get()
    assert (own_var / "inbox" / "c" / "done" / f"{row.pk}-p.csv").read_text() == POWER
    assert sorted(path.name for path in (own_var / "inbox" / "c" / "power").glob("*p*")) == [".p2.csv", "p3.csv.part"]


def test_a_crash_between_any_two_steps_loses_no_file(
    cluster: Cluster, own_var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(own_var, "c/power/p.csv", POWER)
    with monkeypatch.context() as patched:
        patched.setattr(inbox, "_enter", _killed)
        with pytest.raises(KeyboardInterrupt):
            look_into_inbox(now(), settled_s=0)
    clear_away(now() + timedelta(days=1))  # it is no rubbish
    assert look_into_inbox(now(), settled_s=0) == 1
    assert take_next(now)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", _killed)
        with pytest.raises(KeyboardInterrupt):
            clear_away(now())
    clear_away(now())
    assert len(list((own_var / "inbox" / "c" / "done").iterdir())) == 1
    assert not list((own_var / "inbox" / "c" / "power" / ".taken").iterdir())


def _killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_copy_whose_entry_never_came_is_swept(give: Callable[..., Intake], own_var: Path) -> None:
    row = give(POWER)
    Intake.objects.all().delete()
    clear_away(now())
    assert (own_var / row.path).exists()
    clear_away(now() + timedelta(hours=2))
    assert not (own_var / row.path).exists()


def test_nodes_in_the_folder_make_the_cluster_and_come_before_its_logs(own_var: Path) -> None:
    drop(own_var, "new/power/p.csv", POWER)
    drop(own_var, "new/jobs/j.csv", JOBS)
    assert look_into_inbox(now(), settled_s=0) == 0, "no such cluster yet"
    drop(own_var, "new/nodes/n.csv", NODES)
    assert look_into_inbox(now(), settled_s=0) == 3
    while take_next(now):
        pass
    assert list(Intake.objects.order_by("pk").values_list("content", "state")) == [
        ("nodes", "done"), ("power", "done"), ("jobs", "done"),
    ]  # fmt: skip
    assert Node.objects.count() == 2
    assert Segment.objects.count() == 1


@pytest.mark.parametrize(
    ("options", "state", "sentence"),
    [
        ('{"time_zone": "UTC"}', "done", ""),
        ('{"timezone": "UTC"}', "failed", "no option 'timezone'"),
        ("{", "failed", "options.json"),
    ],
)
def test_a_folder_says_what_its_files_do_not(
    options: str, state: str, sentence: str, cluster: Cluster, own_var: Path
) -> None:
    drop(own_var, "c/power/p.csv", POWER.replace("Z", ""))
    drop(own_var, "c/power/options.json", options)
    assert look_into_inbox(now(), settled_s=0) == 1
    assert take_next(now)
    row = Intake.objects.get()
    assert row.state == state
    assert sentence in row.error


def test_a_job_folder_is_kept_together(cluster: Cluster, tmp_path: Path, own_var: Path) -> None:
    folder = tmp_path / "1403244"
    folder.mkdir()
    for name in ("meta.json", "data.json"):
        (folder / name).write_text(json.dumps({"made up": name}))
    job = job_folder(folder)
    assert job is not None
    row = queue(cluster, "power", job, {}, now())
    found = intake.source_of(row)
    assert found.sha256 == job.sha256
    assert found.name == job.name
    assert found.folder is not None
    assert found.folder.name == "1403244"


def test_the_command_only_queues(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.csv").write_text(POWER.replace("Z", ""))
    arguments = ["--cluster", "c", "--time-zone", "UTC", "--interval", "60", "--queue", "--json"]
    call_command("ingest_power", tmp_path / "p.csv", *arguments)
    queued = json.loads(capsys.readouterr().out)["queued"]
    assert (Intake.objects.get().pk, Batch.objects.count()) == (queued[0], 0)
    assert take_next(now)
    assert Intake.objects.get().state == "done"
    call_command("ingest_power", tmp_path / "p.csv", *arguments[:-2], "--json")
    assert json.loads(capsys.readouterr().out)["duplicates"] == 2, "the same batch, whoever took it"
    assert Batch.objects.count() == 1


def test_the_foreground_worker_does_it_all_and_says_so(tmp_path: Path) -> None:
    environment = clean_environment(JOULEBOOK_VAR=str(tmp_path / "site"), JOULEBOOK_SWEEP_S="0.5")

    def manage(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *map(str, words)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    sqlite_tables(tmp_path / "site" / "joulebook.sqlite3")
    for kind, text in (("nodes", NODES), ("power", POWER), ("jobs", JOBS)):
        drop(tmp_path / "site", f"c/{kind}/{kind}.csv", text)
    time.sleep(0.6)
    assert manage("work", "--once").returncode == 0
    energy = json.loads(manage("energy", "job", "c", "1", "--json").stdout)
    assert energy["energy_j"] == pytest.approx(105 * 60)
    environment["JOULEBOOK_SWEEP_S"] = "600"  # by then a busy machine has missed many a sweep of half a second
    assert manage("seen", "sweep").returncode == 0
    assert manage("seen", "beat").returncode == 1
