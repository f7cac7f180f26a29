"""What the controller's text says of GPUs, and what the names of jobs make of it."""

from __future__ import annotations

from measurements.parsers.gpu_holds import GpuHoldRecord, of_text

START = "2025-03-01T12:00:00"
START_MS = 1_740_830_400_000


def block(job: int, held: str, name: str = "x", comment: str = "", state: str = "RUNNING") -> str:
    return (
        f"JobId={job} JobName={name}\n"
        f"   UserId=alice(1) GroupId=alice(1) MCS_label=N/A\n"
        f"   JobState={state} Reason=None Dependency=(null)\n"
        f"   StartTime={START} EndTime=Unknown Deadline=N/A\n"
        f"   NodeList=n[1-2]\n   JOB_GRES=gpu:4\n{held}"
        f"   MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0\n"
        f"   Comment={comment}\n\n"
    )


def held(nodes: str, indices: str, count: int) -> str:
    return f"     Nodes={nodes} CPU_IDs=0-1 Mem=0 GRES=gpu:a100:{count}(IDX:{indices})\n"


def test_each_gpu_of_each_node_is_a_hold_from_the_start_of_the_run() -> None:
    holds, refused = of_text(block(1, held("n1", "0-1", 2) + held("n[2-3]", "3", 1)), {"1"})
    assert refused == []
    assert holds == [
        GpuHoldRecord("1", "n1", START_MS, index=0), GpuHoldRecord("1", "n1", START_MS, index=1),
        GpuHoldRecord("1", "n2", START_MS, index=3), GpuHoldRecord("1", "n3", START_MS, index=3),
    ]  # fmt: skip


def test_a_job_that_does_not_run_holds_nothing() -> None:
    assert of_text(block(1, held("n1", "0", 1), state="COMPLETED"), {"1"}) == ([], [])
    assert of_text(block(1, held("n1", "0", 1)), set()) == ([], [])


def test_a_name_or_comment_with_lines_like_slurms_gives_nobody_a_gpu() -> None:
    forged = f"x\n{block(2, held('n9', '0-3', 4))}"
    holds, refused = of_text(block(1, held("n1", "0", 1), name=forged) + block(2, held("n2", "1", 1)), {"1", "2"})
    assert holds == []  # of 2 there are two descriptions, of 1 none that is whole
    assert {refusal.reason for refusal in refused} == {"job described ambiguously"}
    holds, refused = of_text(block(1, held("n1", "0", 1), comment=held("n9", "0-3", 4)), {"1"})
    assert [(hold.node, hold.index) for hold in holds] == [("n1", 0)]
    assert refused == []
    holds, _ = of_text(block(1, held("n1", "0", 1), name="x\n" + held("n9", "0-3", 4)), {"1"})
    assert [(hold.node, hold.index) for hold in holds] == [("n1", 0)]
