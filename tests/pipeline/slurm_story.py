"""What jobs did on the private Slurm: one of each kind of end, and some that hold GPUs as long as the tests last."""

from __future__ import annotations

from dataclasses import dataclass

from tests.services.slurm_handle import Slurm, until

ODD_NAME = "a|b\nJobID\x1fState|c"
ODD_COMMENT = "c|d\ne"
LONG = "sleep 3000"
DONE_S = 240.0


@dataclass(frozen=True, slots=True)
class Story:
    """The cluster, and the ids of its jobs by what became of them."""

    slurm: Slurm
    jobs: dict[str, str]


def play(slurm: Slurm) -> Story:
    """Submit all jobs, do to them what has to be done, and wait until those that end have ended."""
    again = slurm.home / "again"
    jobs = {
        "two GPUs": slurm.submit("--nodelist=n1", "--gres=gpu:a100:2", "--account=lasers", script=LONG),
        "one GPU": slurm.submit("--nodelist=n1", "--gres=gpu:1", script=LONG),
        "two nodes": slurm.submit("--nodes=2", "--ntasks=2", "--nodelist=n1,n2", "--gres=gpu:1", script=LONG),
        "waits": slurm.submit("--nodelist=n1", "--gres=gpu:4"),
        "odd": slurm.submit(f"--job-name={ODD_NAME}", f"--comment={ODD_COMMENT}", "--wckey=beam"),
        "failed": slurm.submit(script="exit 3"),
        "array": slurm.submit("--array=0-2", "--gres=gpu:1", "--nodelist=n2", script="test $SLURM_ARRAY_TASK_ID != 2"),
        "het": slurm.submit("--ntasks=1", ":", "--ntasks=2"),
        "never": slurm.submit("--nodelist=n1", "--gres=gpu:4"),
        "cancelled": slurm.submit(script=LONG),
        "timeout": slurm.submit("--time=1", script=LONG),
        "requeued": slurm.submit("--requeue", script=f"test -e {again} || {{ touch {again}; {LONG}; }}"),
    }
    slurm.call("scancel", jobs["never"])
    slurm.wait(jobs["timeout"], "RUNNING")
    slurm.call("scontrol", "update", f"JobId={jobs['timeout']}", "EndTime=now+5")
    for name in ("cancelled", "requeued", "two GPUs", "one GPU", "two nodes"):
        slurm.wait(jobs[name], "RUNNING")
    slurm.call("scancel", jobs["cancelled"])
    until(again.exists, DONE_S, "the first run of the requeued job")
    slurm.call("scontrol", "requeue", jobs["requeued"])
    for name in ("odd", "failed", "array", "het", "cancelled", "requeued", "timeout"):
        slurm.wait(jobs[name], "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", seconds=DONE_S)
    until(lambda: _booked(slurm, jobs), DONE_S, "all ends in accounting")
    return Story(slurm, jobs)


def _booked(slurm: Slurm, jobs: dict[str, str]) -> bool:
    """Whether accounting has heard of all ends: the controller tells them a little later."""
    ended = slurm.sacct("--allocations", "--format=JobIDRaw,End", f"--jobs={','.join(jobs.values())}")
    return sum(line.endswith("|Unknown") for line in ended.splitlines()) == 4  # those with GPUs, and one that waits
