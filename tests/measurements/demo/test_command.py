"""The demo goes through the real pipeline, carries on where it stopped, and stays out of real sites."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.test import Client, override_settings

from measurements.demo.cluster import NODES
from measurements.demo.faults import LATE
from measurements.demo.live import LEAST_S, carry_on
from measurements.demo.lots import LEAST_DAYS
from measurements.demo.morning import OF_OUTLETS, OF_RACK
from measurements.demo.note import note_path, read_note, read_past
from measurements.demo.people import LOOK_AS, PASSWORD, SECOND_OPERATOR
from measurements.demo.rhythm import DAY_S
from measurements.demo.site import book_all
from measurements.domain.units import MS_PER_S
from measurements.management.commands import demo
from measurements.management.commands.demo import WORTH_A_HELPER_DAYS
from measurements.models import Batch, Cluster, Edition, Job, JobEnergy, UsageDay
from tests.house import ROOT, clean_environment
from tests.pipeline.ledger_dump import inputs, ledger, text
from tests.services.tables import sqlite_tables

pytestmark = pytest.mark.django_db

NOON = "2025-03-11T14:00:00+00:00"
LATER = "2025-03-11T17:30:00+00:00"
LOG_CAME = "2025-03-09T08:15:00+00:00"  # a quarter of an hour ago: from then on the log is among the stories
LEDGER = ("metered_j", "energy_j", "gpu_energy_j", "unallocated_j", "covered_s", "samples", "jobs")


@pytest.fixture
def demo_mode() -> Iterator[None]:
    """As `make demo` sets it."""
    with override_settings(JOULEBOOK_DEMO=True):
        yield


def run(now: str, days: int = 0, **options: object) -> str:
    said = io.StringIO()
    call_command("demo", "--now", now, "--days", str(days), stdout=io.StringIO(), stderr=said, **options)
    return said.getvalue()


def energy(*what: str) -> dict[str, float]:
    answer = io.StringIO()
    call_command("energy", *what, "--json", stdout=answer)
    found: dict[str, float] = json.loads(answer.getvalue())
    return found


def test_the_simulated_cluster_is_booked_and_people_can_look_at_it(demo_mode: None, own_var: Path) -> None:
    said = run(NOON, days=1)
    assert f"Simulated cluster: {len(NODES)} nodes, 1.6 days." in said
    assert sorted(path.name for path in (own_var / "demo").iterdir()) == [
        "jobs-2025-03-10.txt",
        "nodes.csv",
        "past",
        "power-2025-03-10.csv",
        "power-2025-03-11.csv",
        "simulated.json",
        "states.csv",
    ]
    closed = energy("cluster", "demo")
    assert closed["metered_j"] > 8e8
    assert closed["booked_j"] + closed["unallocated_j"] == pytest.approx(closed["metered_j"], rel=1e-9)
    assert 0.8 < closed["coverage"] <= 1.0  # a BMC is dead, and some jobs began before all was simulated
    assert Job.objects.filter(state="RUNNING").exists()
    assert UsageDay.objects.filter(username="alice", energy_j__gt=0).exists()


WORDS = ("view_operations", "view_all_jobs", "manage_factors")


def test_there_is_somebody_to_look_as_for_every_role(demo_mode: None) -> None:
    run(NOON)
    for name in LOOK_AS.values():
        assert Client().login(username=name, password=PASSWORD)
    may = {
        role: {word for word in WORDS if user.has_perm(f"measurements.{word}")}
        for role, user in ((role, User.objects.get(username=name)) for role, name in LOOK_AS.items())
    }
    factors = {"view_operations", "manage_factors"}
    assert may == {"student": set(), "leader": set(), "operator": set(WORDS), "sustainability": factors}
    assert not User.objects.filter(is_superuser=True).exists()
    run(LATER)
    olga = User.objects.get(username="olga")
    changing = {word.codename for word in olga.user_permissions.all() if not word.codename.startswith("view_")}
    assert changing == {
        *("manage_factors", "manage_workloads", "publish_boards", "add_token", "change_token"),
        *("add_intake", "change_intake", "change_doubt", "change_quarantine"),
    }
    omar = User.objects.get(username=SECOND_OPERATOR)
    assert omar.has_perm("measurements.publish_boards"), "a leaderboard takes two"
    assert olga.has_perm("measurements.view_node")  # what the admin shows


def test_its_operators_made_leaderboards_in_every_state_and_the_late_log_came_behind_the_first_edition(
    demo_mode: None,
) -> None:
    with override_settings(BOARDS_OF_PERSONS=True):
        assert "leaderboards" not in run(LOG_CAME, days=LEAST_DAYS)
    made = Edition.objects.values_list("board__slug", "number", "revision", "state").order_by("pk")
    expected = [
        ("nnunet-inference", 1, 0, "published"),
        ("nnunet-inference", 2, 0, "corrected"),
        ("failed-jobs", 1, 0, "published"),
        ("failed-jobs", 2, 0, "review"),
        ("idle-gpus", 1, 0, "draft"),
        ("nnunet-inference", 2, 1, "published"),
    ]
    assert list(made) == expected
    latest = Edition.objects.latest("published_at").published_at
    assert latest is not None
    assert latest <= datetime.fromisoformat(LOG_CAME)
    late = Batch.objects.get(
        source__contains=LATE, source__endswith=".csv", stored__gt=0, source__icontains="2025-03-04"
    )
    left = Batch.objects.filter(refused__gt=0)
    assert late.pk == Batch.objects.exclude(pk__in=left).latest("pk").pk
    assert [Path(batch.source).name for batch in left.order_by("pk")] == [OF_RACK, OF_OUTLETS]
    assert "nothing new" in run(LOG_CAME, days=LEAST_DAYS)
    assert list(made.all()) == expected
    assert left.count() == 2


def test_a_second_start_finds_nothing_new_and_a_later_one_carries_on(demo_mode: None) -> None:
    run(NOON)
    before = energy("cluster", "demo")
    running = Job.objects.filter(state="RUNNING").values_list("job_id", flat=True)
    long_job = running.get(name="train-folds")
    so_far = energy("job", "demo", long_job)
    assert "nothing new" in run(NOON)
    assert energy("cluster", "demo") == before
    assert "0.1 days" in run(LATER)
    assert energy("cluster", "demo")["metered_j"] > before["metered_j"]
    assert energy("job", "demo", long_job)["covered_s"] == pytest.approx(so_far["covered_s"] + 3.5 * 3_600, abs=60)


def booked_after(var: Path, *starts: str, live: int = 0) -> dict[str, float]:
    """The cluster's figures after some starts in a site of their own, which is gone afterwards.

    With ``live`` the last of them is no start: the running site carries on by itself, every so many seconds.
    """
    with transaction.atomic(), override_settings(JOULEBOOK_VAR=var):
        for now in starts[:-1] if live else starts:
            run(now)
        if live:
            go_on(datetime.fromisoformat(starts[-2]), datetime.fromisoformat(starts[-1]), live)
        found = energy("cluster", "demo")
        transaction.set_rollback(True)
    return {name: found[name] for name in LEDGER}


def go_on(now: datetime, until: datetime, every_s: int) -> None:
    """What the site's periodic work does."""
    cluster = Cluster.objects.get(name="demo")
    while now < until:
        now = min(now + timedelta(seconds=every_s), until)
        assert carry_on(now)
        book_all(cluster, lambda _share, _what: None)


def test_two_starts_come_to_the_same_ledger_as_one(demo_mode: None, tmp_path: Path) -> None:
    once = booked_after(tmp_path / "once", LATER)
    assert booked_after(tmp_path / "twice", NOON, LATER) == once
    assert booked_after(tmp_path / "live", NOON, LATER, live=3_000) == once
    assert not Cluster.objects.exists()


def test_a_start_with_the_newest_days_and_one_with_those_before_come_to_the_same_ledger_as_one(
    demo_mode: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = ledger_after(tmp_path / "once", [{"now": NOON, "days": 3}])
    monkeypatch.setattr(demo, "newest_from_s", lambda now_s: now_s // DAY_S * DAY_S - DAY_S)
    starts = [{"now": NOON, "days": 3, "newest": True}, {"now": NOON, "days": 3}]
    assert ledger_after(tmp_path / "parts", starts) == once
    assert ledger_after(tmp_path / "newest", starts[:1]) != once


def ledger_after(var: Path, starts: list[dict[str, Any]]) -> str:
    """Everything derived, after some starts in a site of their own, which is gone afterwards."""
    with transaction.atomic(), override_settings(JOULEBOOK_VAR=var):
        for start in starts:
            run(**start)
        found = text({**ledger(), **inputs()})
        transaction.set_rollback(True)
    return found


def test_what_runs_beside_a_site_ends_with_it_and_the_next_start_goes_on(
    demo_mode: None, own_var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "newest_from_s", lambda now_s: now_s // DAY_S * DAY_S)
    monkeypatch.setattr(demo, "give_way", lambda: None)  # this process goes on
    run(NOON, days=2, newest=True)
    missing = read_past(own_var)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    run(NOON, days=2, beside=ended.pid)
    assert read_past(own_var) == missing is not None
    assert not JobEnergy.objects.filter(job__end_ms__lt=missing * MS_PER_S, energy_j__gt=0).exists()
    assert "all its months are booked" in run(NOON, days=2, beside=os.getpid())
    assert read_past(own_var) is None
    assert JobEnergy.objects.filter(job__end_ms__lt=missing * MS_PER_S, energy_j__gt=0).exists()
    assert "all its months" not in run(NOON, days=2)


def test_a_running_jobs_figure_moves_while_the_site_runs(demo_mode: None) -> None:
    run(NOON)
    job = Job.objects.get(state="RUNNING", name="train-folds").job_id
    cluster = Cluster.objects.get(name="demo")
    figures = [energy("job", "demo", job)["energy_j"]]
    now = datetime.fromisoformat(NOON)
    for _ in range(3):
        now += timedelta(seconds=60)
        assert carry_on(now)
        book_all(cluster, lambda _share, _what: None)
        figures.append(energy("job", "demo", job)["energy_j"])
    steps = [later - earlier for earlier, later in pairwise(figures)]
    assert all(30_000 < step_j < 150_000 for step_j in steps)  # a minute of a node at work, 0.5 to 2.5 kW
    assert not carry_on(now + timedelta(seconds=LEAST_S - 1))


def test_what_a_kill_left_undone_is_sent_again_and_changes_nothing(demo_mode: None, own_var: Path) -> None:
    run(NOON)
    noted = note_path(own_var).read_bytes()
    go_on(datetime.fromisoformat(NOON), datetime.fromisoformat(LATER), 3_600)
    before = energy("cluster", "demo")
    note_path(own_var).write_bytes(noted)  # as if it had been killed before it noted what is done
    go_on(datetime.fromisoformat(NOON), datetime.fromisoformat(LATER), 3_600)
    assert energy("cluster", "demo") == before
    assert sum(Batch.objects.values_list("refused", flat=True)) == 0


def test_a_site_that_slept_catches_up_piece_by_piece(demo_mode: None, own_var: Path) -> None:
    run(NOON)
    now = datetime(2025, 3, 12, 9, 0, tzinfo=UTC)
    assert [carry_on(now) for _ in range(5)] == [True, True, True, True, False]
    done = read_note(own_var)
    assert done is not None
    assert done.until_s == now.timestamp()
    assert list((own_var / "demo").glob("tmp*")) == []


def test_nothing_goes_on_where_nothing_was_simulated() -> None:
    assert not carry_on(datetime.fromisoformat(NOON))


def test_no_login_is_made_outside_demo_mode() -> None:
    assert "JOULEBOOK_DEMO=1" in run(NOON)
    assert not User.objects.exists()


def test_a_real_site_is_left_alone(demo_mode: None) -> None:
    Cluster.objects.create(name="barnard")
    with pytest.raises(CommandError, match="barnard"):
        run(NOON)
    assert not User.objects.exists()


def test_another_seed_needs_another_site(demo_mode: None) -> None:
    run(NOON)
    with pytest.raises(CommandError, match="--seed 2212"):
        run(NOON, seed=5)


def test_the_cluster_of_an_earlier_version_is_not_mixed_with_this_one(demo_mode: None, own_var: Path) -> None:
    run(NOON)
    note_path(own_var).write_text('{"seed": 2212, "until_s": 1741615200}')
    batches = Batch.objects.count()
    with pytest.raises(CommandError, match="an earlier version: remove that folder"):
        run(LATER)
    assert Batch.objects.count() == batches


def test_a_cluster_of_that_name_that_was_not_simulated_is_left_alone(demo_mode: None) -> None:
    Cluster.objects.create(name="demo")
    with pytest.raises(CommandError, match="not simulated here"):
        run(NOON)
    assert not Batch.objects.exists()


def test_the_running_site_leaves_a_long_time_to_the_next_start(demo_mode: None, own_var: Path) -> None:
    run(NOON)
    before = note_path(own_var).read_bytes()
    assert not carry_on(datetime.fromisoformat(NOON) + timedelta(days=8))
    assert note_path(own_var).read_bytes() == before


def test_an_instant_has_an_offset() -> None:
    with pytest.raises(CommandError, match="2025-03-10T14:00:00"):
        run("2025-03-10T14:00:00")


def test_two_processes_one_of_them_killed_book_what_one_would(demo_mode: None, tmp_path: Path) -> None:
    """A longer start as a person does it: a database on disk, and a second process that writes and books."""
    environment = clean_environment(JOULEBOOK_VAR=str(tmp_path / "site"), JOULEBOOK_DEMO="1")

    def manage(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip

    sqlite_tables(tmp_path / "site" / "joulebook.sqlite3")
    start = ("demo", "--now", NOON, "--days", str(WORTH_A_HELPER_DAYS))
    killed = subprocess.Popen(
        [sys.executable, "manage.py", *start], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert killed.stderr is not None
    first_words = [next(killed.stderr), next(killed.stderr)]
    killed.kill()  # while it takes in logs; the helper notices by itself
    killed.communicate()
    assert re.match(r"Simulated cluster: +\d+%  taking in the logs up to 2025-03-", first_words[1])
    assert "booked up to 2025-03-11 14:00 UTC" in manage(*start).stderr
    run(NOON, days=WORTH_A_HELPER_DAYS)  # in this process, where nobody could help
    assert json.loads(manage("energy", "cluster", "demo", "--json").stdout) == energy("cluster", "demo")
