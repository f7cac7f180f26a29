"""A real Slurm, asked by the feeds: what accounting says is what the site has, whatever happens in between."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from measurements.domain.units import MS_PER_S, ms_from_datetime
from measurements.feeds import slurm_jobs
from measurements.feeds.slurm_commands import Commands
from measurements.models import (
    Allocation,
    AllocationEnergy,
    Batch,
    Cluster,
    Feed,
    GpuHold,
    GpuPlace,
    Job,
    Membership,
    Node,
    NodeState,
    Project,
    Run,
    Token,
)
from measurements.parsers.source import Source
from measurements.services.feeds import Ended, add, ask
from measurements.services.taking import take
from measurements.services.tokens import make_token
from tests.pipeline.slurm_story import LONG, ODD_NAME, Story, play
from tests.services.slurm_handle import CALL_S, CLUSTER, NODES, Slurm, until

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")  # tests that commit run later than the others of this module
def story(slurm: Slurm) -> Story:
    """The jobs, all ended but those that hold GPUs and one that waits for them: played once, for the GPUs stay held."""
    return play(slurm)


def now() -> datetime:
    return datetime.now(UTC)


def feed(slurm: Slurm, kind: str, **options: Any) -> Feed:
    """A feed of this Slurm."""
    cluster, _ = Cluster.objects.get_or_create(name=CLUSTER)
    return add(cluster, kind, kind, {"conf": str(slurm.conf), **options}, now())


def turn(one: Feed) -> Ended:
    """One turn that succeeds."""
    ended = ask(one.pk, now(), at_once=True)
    assert ended is not None
    assert ended.error == ""
    return ended


def described(slurm: Slurm) -> Cluster:
    turn(feed(slurm, "slurm-nodes"))
    return Cluster.objects.get(name=CLUSTER)


def instant(text: str) -> int | None:
    return None if text == "Unknown" else ms_from_datetime(datetime.fromisoformat(f"{text}+00:00"))


def accounting(slurm: Slurm) -> list[tuple[Any, ...]]:
    """What sacct says of each run, read by other means than the site's: no field here is free text."""
    fields = "JobIDRaw,JobID,State,Submit,Start,End,NCPUS,AllocTRES,Account,WCKey"
    rows = [line.split("|") for line in slurm.sacct("--allocations", "--duplicates", f"--format={fields}").splitlines()]
    return sorted(
        (
            int(raw), shown, state.split()[0], instant(submit), instant(start), instant(end), account, wckey,
            int(cpus),
            sum(int(part.partition("=")[2]) for part in tres.split(",") if part.startswith("gres/gpu=")),
        )
        for raw, shown, state, submit, start, end, cpus, tres, account, wckey in rows
    )  # fmt: skip


def stored() -> list[tuple[Any, ...]]:
    """The same of what the site has."""
    return sorted(
        (
            run.job.raw_id, run.job.job_id, run.state, run.submit_ms, run.start_ms, run.end_ms, run.job.account,
            run.job.wckey, run.cpus or 0, run.gpus or 0,
        )
        for run in Run.objects.select_related("job")
    )  # fmt: skip


def places() -> dict[int, list[str]]:
    """By raw id: the nodes of all runs."""
    found: dict[int, list[str]] = {}
    for raw, node in Allocation.objects.order_by("pk").values_list("run__job__raw_id", "node_name"):
        found.setdefault(raw or 0, []).append(node)
    return {raw: sorted(nodes) for raw, nodes in found.items()}


def test_the_feeds_jobs_are_those_of_sacct(story: Story) -> None:
    slurm = story.slurm
    described(slurm)
    jobs = feed(slurm, "slurm-jobs")
    ended = turn(jobs)
    assert ended.report["refused"] == []
    expected = accounting(slurm)
    assert {row[2] for row in expected} == {
        "RUNNING", "PENDING", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "REQUEUED",
    }  # fmt: skip
    assert stored() == expected
    assert {raw: ",".join(nodes) for raw, nodes in places().items()} == sacct_nodes(slurm)
    dump = list(Job.objects.order_by("pk").values()), list(Run.objects.order_by("pk").values())
    for _ in range(2):
        assert turn(jobs).report["stored"] == 0
    assert (list(Job.objects.order_by("pk").values()), list(Run.objects.order_by("pk").values())) == dump
    assert Batch.objects.count() == 1


def sacct_nodes(slurm: Slurm) -> dict[int, str]:
    """By raw id: the nodes, one name after the other; of a requeued job those of each run."""
    found: dict[int, list[str]] = {}
    for line in slurm.sacct("--allocations", "--duplicates", "--format=JobIDRaw,NodeList").splitlines():
        raw, nodes = line.split("|")
        names = slurm.call("scontrol", "show", "hostnames", nodes).split() if nodes.startswith("n") else []
        found.setdefault(int(raw), []).extend(names)
    return {raw: ",".join(sorted(names)) for raw, names in found.items() if names}


def test_a_name_with_bars_and_lines_stays_one_job_and_its_comment_comes(story: Story) -> None:
    turn(feed(story.slurm, "slurm-jobs"))
    job = Job.objects.get(raw_id=story.jobs["odd"])
    assert job.name == ODD_NAME.replace("\n", " ").replace("\x1f", " ")
    assert job.comment == "c|d e"
    assert job.wckey == "beam"
    assert Job.objects.filter(raw_id=story.jobs["odd"]).count() == 1


def test_arrays_het_jobs_and_requeues_are_what_they_are(story: Story) -> None:
    turn(feed(story.slurm, "slurm-jobs"))
    array = int(story.jobs["array"])
    assert sorted(Job.objects.filter(array_job_id=array).values_list("array_task_id", "state")) == [
        (0, "COMPLETED"), (1, "COMPLETED"), (2, "FAILED"),
    ]  # fmt: skip
    het = Job.objects.filter(het_job_id=int(story.jobs["het"]))
    assert sorted(het.values_list("het_offset", "runs__cpus")) == [(0, 1), (1, 2)]
    requeued = Job.objects.get(raw_id=story.jobs["requeued"])
    assert list(requeued.runs.order_by("start_ms").values_list("state", flat=True)) == ["REQUEUED", "COMPLETED"]
    assert requeued.state == "COMPLETED"
    never = Run.objects.get(job__raw_id=story.jobs["never"])
    assert (never.state, never.allocations.count()) == ("CANCELLED", 0)


def test_a_job_is_seen_waiting_running_and_ended(story: Story) -> None:
    slurm = story.slurm
    described(slurm)
    jobs = feed(slurm, "slurm-jobs")
    stop = slurm.home / f"stop-{uuid4()}"
    raw = slurm.submit("--hold", script=f"until test -e {stop}; do sleep 0.2; done")
    seen = []
    for state in ("PENDING", "RUNNING", "COMPLETED"):
        if state == "RUNNING":
            slurm.call("scontrol", "release", raw)
        if state == "COMPLETED":
            slurm.call("touch", stop)
        slurm.wait(raw, state)
        until(partial(in_accounting, slurm, raw, state), CALL_S, state)
        turn(jobs)
        run = Run.objects.filter(job__raw_id=raw).first()
        seen.append((run and run.state, run and run.end_ms is not None, Allocation.objects.filter(run=run).count()))
    assert seen[1:] == [("RUNNING", False, 1), ("COMPLETED", True, 1)]
    assert seen[0] in [("PENDING", False, 0), (None, None, 0)]  # not eligible yet: not in any stretch of time


def test_a_job_of_this_very_second_is_in_a_feeds_answer(story: Story, tmp_path: Path) -> None:
    slurm = story.slurm
    eligible = slurm.sacct("-X", "--format=Eligible", f"-j{story.jobs['two GPUs']}").strip()
    at_ms = int(datetime.fromisoformat(f"{eligible}+00:00").timestamp()) * 1_000
    commands = Commands(conf=str(slurm.conf))
    known = slurm_jobs.fields(commands, tmp_path)
    for end_ms, is_there in ((at_ms, True), (at_ms + 999, True), (at_ms - 1, False)):
        path = slurm_jobs.by_time(commands, known, end_ms - 1_000, end_ms, tmp_path, steps=False)
        found = {line.split(b"\x1f")[0].decode() for line in path.read_bytes().splitlines()}
        assert (story.jobs["two GPUs"] in found) is is_there


def in_accounting(slurm: Slurm, raw: str, state: str) -> bool:
    told = slurm.sacct("-X", "--format=JobID,State,End", f"-j{raw}")
    return f"|{state}|" in told and (state != "COMPLETED" or "Unknown" not in told)  # a state may come before its end


def test_accounting_that_is_away_for_a_while_loses_nothing(story: Story) -> None:
    slurm = story.slurm
    jobs = feed(slurm, "slurm-jobs", timeout_s=120)
    turn(jobs)
    jobs.refresh_from_db()
    before = jobs.cursor_ms
    slurm.stop_dbd()
    try:
        raw = slurm.submit()
        slurm.wait(raw, "COMPLETED")
        ended = ask(jobs.pk, now(), at_once=True)
    finally:
        slurm.start_dbd()
    assert ended is not None
    assert "sacct ended with 1" in ended.error
    assert "Connection refused" in ended.error
    jobs.refresh_from_db()
    assert (jobs.cursor_ms, jobs.failures, jobs.last_error) == (before, 1, ended.error)
    assert not Job.objects.filter(raw_id=raw).exists()
    until(partial(in_accounting, slurm, raw, "COMPLETED"), CALL_S, "the queue is told")
    turn(jobs)
    assert Job.objects.get(raw_id=raw).state == "COMPLETED"
    jobs.refresh_from_db()
    assert (jobs.failures, jobs.last_error) == (0, "")
    assert stored() == accounting(slurm)


def test_a_job_whose_end_was_recorded_late_is_asked_for_by_its_id(story: Story) -> None:
    described(story.slurm)
    jobs = feed(story.slurm, "slurm-jobs", overlap_s=1)
    turn(jobs)
    raw = int(story.jobs["failed"])
    Run.objects.filter(job__raw_id=raw).update(end_ms=None, state="RUNNING")  # as if it had been seen running only
    turn(jobs)
    assert Run.objects.get(job__raw_id=raw).state == "FAILED"


def test_each_job_is_booked_the_energy_of_its_own_gpus(story: Story, tmp_path: Path) -> None:
    slurm = story.slurm
    cluster = described(slurm)
    gpus, jobs = feed(slurm, "slurm-gpus"), feed(slurm, "slurm-jobs")
    first = turn(gpus).report
    assert (first["stored"], first["applied"], first["waiting"]) == (5, 0, 5)  # the jobs are not known yet
    turn(jobs)
    assert not GpuHold.objects.filter(applied=False).exists()
    assert turn(gpus).report["stored"] == 0
    expected = slurm_indices(slurm)
    masks = {(row.run.job.raw_id, row.node_name): row.gpu_mask for row in Allocation.objects.exclude(gpu_mask=0)}
    assert masks == expected
    turn(jobs)  # accounting knows no indices, and wipes none
    assert {(r.run.job.raw_id, r.node_name): r.gpu_mask for r in Allocation.objects.exclude(gpu_mask=0)} == expected
    begin_ms = max(Allocation.objects.exclude(gpu_mask=0).values_list("start_ms", flat=True))
    watts = {"node": 2_000} | {f"gpu{i}": 100 * (i + 1) for i in range(4)}
    rows = [f"{begin_ms // MS_PER_S + s},n1,{w},{name}" for s in range(-60, 11) for name, w in watts.items()]
    log = tmp_path / "power.csv"
    log.write_text("\n".join(["timestamp,node,watts,channel", *rows]) + "\n")
    report = take(Batch.Content.POWER, cluster, Source(log), {"interval": 1.0}, now())
    assert report.stored == len(rows)
    call_command("attribute", stderr=StringIO())
    two, one = (Job.objects.get(raw_id=story.jobs[name]) for name in ("two GPUs", "one GPU"))
    for job in (two, one):
        held = [i for i in range(4) if expected[job.raw_id or 0, "n1"] >> i & 1]
        seconds = 10 + (begin_ms - (job.start_ms or 0)) / MS_PER_S
        drawn_j = sum(AllocationEnergy.objects.filter(job=job).values_list("gpu_energy_j", flat=True))
        assert drawn_j == pytest.approx(sum(100 * (i + 1) for i in held) * seconds, rel=0.1)


def slurm_indices(slurm: Slurm) -> dict[tuple[int, str], int]:
    """The GPUs that the controller gave to each job, job by job."""
    found: dict[tuple[int, str], int] = {}
    for raw in slurm.call("squeue", "--noheader", "--states=R", "--format=%A").split():
        for line in slurm.call("scontrol", "--details", "show", "job", raw).splitlines():
            if line.lstrip().startswith("Nodes=") and "GRES=gpu" in line:
                words = dict(word.split("=", 1) for word in line.split())
                indices = words["GRES"].rpartition("IDX:")[2].rstrip(")")
                mask = 0
                for part in indices.split(","):
                    low, _, high = part.partition("-")
                    mask |= sum(1 << i for i in range(int(low), int(high or low) + 1))
                for node in slurm.call("scontrol", "show", "hostnames", words["Nodes"]).split():
                    found[int(raw), node] = mask
    return found


def test_nodes_their_hardware_and_their_states_come(story: Story) -> None:
    slurm = story.slurm
    nodes = feed(slurm, "slurm-nodes")
    slurm.call("scontrol", "update", "NodeName=n4", "State=DRAIN", "Reason=fan|broken")
    try:
        until(lambda: "|DRAIN|" in slurm.call("sacctmgr", "-P", "show", "event"), CALL_S, "in accounting")
        turn(nodes)
        assert sorted(Node.objects.values_list("name", flat=True)) == list(NODES)
        assert set(Node.objects.values_list("name", "configs__cpus", "configs__gpus")) == {
            ("n1", 4, 4), ("n2", 4, 4), ("n3", 4, 0), ("n4", 4, 0),
        }  # fmt: skip
        drained = NodeState.objects.get(node__name="n4", state="DRAIN", end_ms=None)
        assert (drained.reason, drained.end_ms, drained.power) == ("fan|broken", None, "on")
    finally:
        slurm.call("scontrol", "update", "NodeName=n4", "State=RESUME")
    turn(nodes)
    drained.refresh_from_db()
    assert drained.end_ms is not None
    assert turn(nodes).report["stored"] == 0


def test_accounts_members_and_coordinators_come(story: Story) -> None:
    slurm = story.slurm
    members = feed(slurm, "slurm-members")
    turn(members)
    assert set(Project.objects.values_list("name", "parent__name")) == {("physics", None), ("lasers", "physics")}
    roles = set(Membership.objects.values_list("username", "project__name", "role", "valid_to"))
    assert ("alice", "lasers", "leader", None) in roles
    assert ("bob", "physics", "member", None) in roles
    slurm.call("sacctmgr", "-i", "-Q", "delete", "user", "bob", "account=lasers")
    turn(members)
    assert not Membership.objects.filter(username="bob", project__name="lasers", valid_to=None).exists()
    assert Membership.objects.filter(username="bob", project__name="physics", valid_to=None).exists()


def test_slurmrestd_tells_the_same_jobs(story: Story) -> None:
    slurm = story.slurm
    described(slurm)
    by_rest = add(Cluster.objects.get(), "rest", "slurm-jobs", {"address": f"unix:{slurm.rest}"}, now())
    ended = turn(by_rest)
    assert ended.report["refused"] == []
    told = {row[:7] for row in stored()}
    assert told == {row[:7] for row in accounting(slurm)}
    by_sacct = feed(slurm, "slurm-jobs")
    turn(by_sacct)
    assert {row[:7] for row in stored()} == told  # the other way adds no job


def test_the_prolog_tells_which_gpus_a_job_holds(
    story: Story, live_server: LiveServer, own_var: Path, tmp_path: Path
) -> None:
    slurm = story.slurm
    cluster = described(slurm)
    _, secret = make_token(cluster, "prologs", [Token.Scope.JOBS_WRITE], by="olga", now=now())
    for index in range(4):
        GpuPlace.objects.create(node=Node.objects.get(name="n2"), index=index, uuid=f"GPU-n2-{index}")
    with pytest.raises(HTTPError, match="401"):  # the first request of a server takes long
        urlopen(Request(f"{live_server.url}/api/v1/gpu-holds", data=b"{}"), timeout=CALL_S)  # noqa: S310 - our own server
    install_prolog(slurm, live_server.url, secret)
    raw = slurm.submit("--nodelist=n2", "--gres=gpu:2", "--job-name=prolog", script=LONG)
    try:
        slurm.wait(raw, "RUNNING")
        until((slurm.home / "told").exists, CALL_S, "the prolog has told")  # the database is the server's until then
        holds = GpuHold.objects.filter(job_id=raw)
        assert holds.count() == 2
        assert {(hold.node_name, hold.via, hold.gpu[:7]) for hold in holds} == {("n2", "prolog", "GPU-n2-")}
        until(lambda: f"{raw}|RUNNING" in slurm.sacct("-X", "--format=JobID,State", f"-j{raw}"), CALL_S, "accounting")
        turn(feed(slurm, "slurm-jobs"))
        row = Allocation.objects.get(run__job__raw_id=raw)
        assert row.gpu_mask == slurm_indices(slurm)[int(raw), "n2"]
    finally:
        slurm.script("prolog.sh", "exit 0")
        slurm.call("scancel", raw)


def install_prolog(slurm: Slurm, url: str, secret: str) -> None:
    """The prolog as a site has it; instead of a driver, a program that says what nvidia-smi would."""
    copy = slurm.home / "joulebook-prolog.sh"
    shutil.copy(ROOT / "workers" / "slurm" / "prolog.sh", copy)
    copy.chmod(0o755)
    token = slurm.script("token", "")
    token.write_text(secret)
    programs = slurm.home / "programs"
    programs.mkdir(exist_ok=True)
    programs.chmod(0o755)
    smi = programs / "nvidia-smi"
    smi.write_text('#!/bin/sh\nfor i in 0 1 2 3; do echo "$i, GPU-$SLURMD_NODENAME-$i"; done\n')
    smi.chmod(0o755)
    curl = programs / "curl"
    curl.write_text(f'#!/bin/sh\n{shutil.which("curl")} "$@" && touch {slurm.home}/told\n')
    curl.chmod(0o755)
    slurm.script(
        "prolog.sh",
        f"export PATH={programs}:/usr/local/bin:/usr/bin:/bin JOULEBOOK_SETTINGS=/nowhere\n"
        f"export JOULEBOOK_URL={url} JOULEBOOK_TOKEN_FILE={token}\nexec {copy}",
    )


def test_a_prolog_whose_site_is_away_delays_no_job(story: Story) -> None:
    slurm = story.slurm
    install_prolog(slurm, "http://127.0.0.1:9", "jb_nobody")
    try:
        raw = slurm.submit("--nodelist=n2", "--gres=gpu:1")
        slurm.wait(raw, "COMPLETED", seconds=60)
    finally:
        slurm.script("prolog.sh", "exit 0")
    assert "COMPLETED" in slurm.sacct("-X", "--format=State", f"-j{raw}") or slurm.state(raw) == "COMPLETED"


def test_the_epilog_writes_a_jobs_energy_into_its_comment(story: Story, tmp_path: Path) -> None:
    slurm, raw = story.slurm, story.jobs["odd"]
    tells = tmp_path / "energy"
    tells.write_text('#!/bin/sh\necho "job $1 $2: 1.5 kWh, it\'s \\"metered\\""\necho more\n')
    tells.chmod(0o755)
    environment = slurm.environment | {
        "SLURM_JOB_ID": raw, "SLURM_CLUSTER_NAME": CLUSTER, "JOULEBOOK_ENERGY": str(tells), "JOULEBOOK_WAIT_S": "0",
        "JOULEBOOK_SETTINGS": "/nowhere",
    }  # fmt: skip
    command = [str(ROOT / "workers" / "slurm" / "epilog.sh")]
    assert subprocess.run(command, env=environment, timeout=CALL_S, check=False).returncode == 0
    told = f"job {CLUSTER} {raw}: 1.5 kWh, its metered"
    until(
        lambda: told.lower() in slurm.sacct("-X", "--format=AdminComment%200", f"-j{raw}").lower(),
        CALL_S,
        "the comment",
    )
    turn(feed(slurm, "slurm-jobs"))
    assert Job.objects.get(raw_id=raw).admin_comment.lower() == told.lower()


def test_a_node_that_is_powered_down_is_off_until_it_comes_back(story: Story) -> None:
    """The last one: a virtual node that was switched off never boots again."""
    slurm = story.slurm
    nodes = feed(slurm, "slurm-nodes")
    slurm.call("scontrol", "update", "NodeName=n4", "State=POWER_DOWN")
    until(lambda: "~" in slurm.call("sinfo", "-hN", "-nn4", "--format=%T"), CALL_S, "n4 is powered down")
    turn(nodes)
    off = NodeState.objects.filter(node__name="n4", power="off")
    assert off.filter(end_ms=None).count() == 1
    slurm.call("scontrol", "update", "NodeName=n4", "State=POWER_UP")
    until(lambda: "~" not in slurm.call("sinfo", "-hN", "-nn4", "--format=%T"), CALL_S, "n4 is switched on")
    until(lambda: "~|" not in still(slurm), CALL_S, "in accounting")
    turn(nodes)
    assert off.count() >= 1
    assert not off.filter(end_ms=None).exists()


def still(slurm: Slurm) -> str:
    """The states that last, by accounting."""
    events = slurm.call("sacctmgr", "-nP", "show", "event", "format=nodename,timeend,state,reason")
    return "\n".join(line for line in events.splitlines() if "|Unknown|" in line)
