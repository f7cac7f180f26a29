"""The demo goes through the real pipeline, carries on where it stopped, and stays out of real sites."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.test import Client, override_settings

from measurements.models import Cluster, Job, UserDay

pytestmark = pytest.mark.django_db

NOON = "2025-03-10T14:00:00+00:00"
LATER = "2025-03-10T17:30:00+00:00"
LEDGER = ("metered_j", "energy_j", "gpu_energy_j", "unallocated_j", "covered_s", "samples", "jobs")


@pytest.fixture
def demo_mode() -> Iterator[None]:
    """As `make demo` sets it."""
    with override_settings(JOULEBOOK_DEMO=True):
        yield


def run(now: str, **options: object) -> str:
    said = io.StringIO()
    call_command("demo", "--now", now, "--days", "1", stdout=io.StringIO(), stderr=said, **options)
    return said.getvalue()


def energy(*what: str) -> dict[str, float]:
    answer = io.StringIO()
    call_command("energy", *what, "--json", stdout=answer)
    found: dict[str, float] = json.loads(answer.getvalue())
    return found


def test_the_simulated_cluster_is_booked_and_people_can_look_at_it(demo_mode: None, own_var: Path) -> None:
    said = run(NOON)
    assert "Simulated cluster: 12 nodes, 1.6 days." in said
    assert sorted(path.name for path in (own_var / "demo").iterdir()) == [
        "jobs-2025-03-10T140000.txt",
        "nodes.csv",
        "power-2025-03-09.csv",
        "power-2025-03-10.csv",
        "simulated.json",
    ]
    closed = energy("cluster", "demo")
    assert closed["metered_j"] > 4e8
    assert closed["energy_j"] + closed["unallocated_j"] == pytest.approx(closed["metered_j"], rel=1e-9)
    assert 0.9 < closed["coverage"] <= 1.0
    assert Job.objects.filter(state="RUNNING").exists()
    assert UserDay.objects.filter(username="alice", energy_j__gt=0).exists()
    assert Client().login(username="alice", password="demo")
    assert [user.username for user in User.objects.filter(is_superuser=True)] == ["olga"]


def test_a_second_start_finds_nothing_new_and_a_later_one_carries_on(demo_mode: None) -> None:
    run(NOON)
    before = energy("cluster", "demo")
    running = Job.objects.filter(state="RUNNING").values_list("job_id", flat=True)
    long_job = running.get(name="nnunet-train-folds")
    so_far = energy("job", "demo", long_job)
    assert "nothing new" in run(NOON)
    assert energy("cluster", "demo") == before
    assert "0.1 days" in run(LATER)
    assert energy("cluster", "demo")["metered_j"] > before["metered_j"]
    assert energy("job", "demo", long_job)["covered_s"] == pytest.approx(so_far["covered_s"] + 3.5 * 3_600, abs=60)


def booked_after(var: Path, *starts: str) -> dict[str, float]:
    """The cluster's figures after some starts in a site of their own, which is gone afterwards."""
    with transaction.atomic(), override_settings(JOULEBOOK_VAR=var):
        for now in starts:
            run(now)
        found = energy("cluster", "demo")
        transaction.set_rollback(True)
    return {name: found[name] for name in LEDGER}


def test_two_starts_come_to_the_same_ledger_as_one(demo_mode: None, tmp_path: Path) -> None:
    assert booked_after(tmp_path / "once", LATER) == booked_after(tmp_path / "twice", NOON, LATER)
    assert not Cluster.objects.exists()


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


def test_an_instant_has_an_offset() -> None:
    with pytest.raises(CommandError, match="2025-03-10T14:00:00"):
        run("2025-03-10T14:00:00")
