"""Which job computes on which GPU: from processes to cgroups to jobs, by any name that Slurm gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workers.agent import tree
from tests.workers.agent.receiver import TOKEN, Receiver
from workers.agent.holds import MOST_WAITING, Holds, job_of
from workers.agent.settings import Settings
from workers.agent.trouble import Trouble
from workers.agent.wire import Wire

V2 = "0::/system.slice/{scope}/{job}/step_0/user/task_0"


@pytest.mark.parametrize(
    ("cgroup", "job"),
    [
        (V2.format(scope="slurmstepd.scope", job="job_123"), "123"),
        (V2.format(scope="n001_slurmstepd.scope", job="job_123"), "123"),
        (V2.format(scope="slurmstepd.scope", job="s5K1KKYAYG5D00"), "s5K1KKYAYG5D00"),
        (V2.format(scope="slurmstepd.scope", job="job_s5K1KKYAYG5D00"), "s5K1KKYAYG5D00"),
        ("11:memory:/slurm/uid_1000/job_77/step_batch\n1:name=systemd:/system.slice/slurmd.service", "77"),
        ("4:devices:/slurm_n001/uid_1000/job_78/step_0/task_0", "78"),
        ("0::/system.slice/slurmstepd.scope/system", ""),
        ("0::/system.slice/slurmd.service", ""),
        ("0::/user.slice/user-1000.slice/job_5/session-2.scope", ""),
        ("0::/user.slice/user-5.slice/user@5.service/slurmstepd.scope/job_1", ""),
        (V2.format(scope="slurmstepd.scope", job="job_123") + "/slurmstepd.scope/job_5", "123"),
        ("0::/system.slice/slurmstepd.scope/job_12x/step_0", ""),
        ("0::/", ""),
        ("", ""),
    ],
)
def test_a_job_is_known_by_its_cgroup(cgroup: str, job: str) -> None:
    assert job_of(cgroup) == job


@pytest.fixture
def holds(server: Receiver, tmp_path: Path) -> Holds:
    (tmp_path / "token").write_text(TOKEN)
    settings = Settings(server=server.address, token_file=tmp_path / "token", node="n1")
    computing = [("GPU-a", 10), ("GPU-a", 11), ("GPU-b", 12), ("GPU-b", 13), ("GPU-c", 14)]
    for pid, job in ((10, "job_1"), (11, "job_1"), (12, "job_2"), (13, "job_1")):
        tree.process(tmp_path / "proc", pid, V2.format(scope="slurmstepd.scope", job=job))
    made = Holds("n1", lambda: computing, tmp_path / "proc", Wire(settings), Trouble())
    made.computing = computing  # type: ignore[attr-defined]
    return made


def test_each_pair_of_job_and_gpu_is_told_once(holds: Holds, server: Receiver) -> None:
    for _ in range(3):
        holds.look()
        holds.tell()
    (one,) = server.sent
    told = json.loads(one.body)["holds"]
    assert one.path == "/api/v1/gpu-holds"
    assert [(hold["job_id"], hold["gpu"]) for hold in told] == [("1", "GPU-a"), ("1", "GPU-b"), ("2", "GPU-b")]
    assert {(hold["node"], hold["via"]) for hold in told} == {("n1", "agent")}


def test_pairs_wait_while_the_server_is_away_and_keep_when_they_were_seen(holds: Holds, server: Receiver) -> None:
    server.answers = [(503, {}, "no")]
    holds.look()
    seen = [hold["seen"] for hold in holds.waiting]
    holds.tell()
    holds.look()
    holds.tell()
    assert [hold["seen"] for hold in json.loads(server.sent[1].body)["holds"]] == seen
    assert holds.waiting == []


def test_a_process_that_ended_meanwhile_is_nobodys(holds: Holds) -> None:
    holds.look()
    assert {hold["gpu"] for hold in holds.waiting} == {"GPU-a", "GPU-b"}


def test_what_waits_is_bounded(holds: Holds) -> None:
    holds.waiting = [{}] * MOST_WAITING
    holds.look()
    assert len(holds.waiting) == MOST_WAITING
    assert holds.waiting[-1]["job_id"] == "2"
    assert holds.trouble.counts == {"gpu holds": 1}
