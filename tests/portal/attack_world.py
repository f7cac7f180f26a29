"""People whose jobs are written straight into the tables that boards and workload pages read, so that each figure says
whose jobs are in it: in a band each person's energy is twice that of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from django.contrib.auth.models import Permission, User

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, HOURS_PER_DAY, RECORD, packed_hours
from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, Edition, Job, Node, NodeConfig, NodeType, Project, Scope, UsageDay, WorkloadJob
from measurements.services.editions import approve, draft, make_board, submit

KWH = 3_600_000.0
FIRST, LAST = date(2025, 3, 1), date(2025, 3, 31)
NOW = datetime(2025, 5, 2, 9, tzinfo=UTC)
GROUPS = {"low": 1.0, "middle": 2.0, "high": 4.0}  # J of a unit of work, by group: three bands that are far apart
PEOPLE = {name: [f"{name}-person-{i}" for i in range(6)] for name in GROUPS}
JOBS_EACH = 12
_numbers = count(70_001)


@dataclass(frozen=True)
class Part:
    """Some like jobs of a person: one a day from a day on."""

    person: str
    joules: float  # all together
    work: float  # all together; 0: none is declared
    first: date = FIRST
    jobs: int = JOBS_EACH
    account: str = "physics"
    node_type: str = "cpu"
    size: str = ""
    state: str = "COMPLETED"
    phase: str = "inference"
    workload: str = "nnunet"


def usual() -> list[Part]:
    """Three groups of six people; in each somebody has half of its energy, nobody more."""
    return [
        Part(person, 2.0**place * 4 * KWH, 2.0**place * 4 * KWH / ratio, account=f"account-{name}")
        for name, ratio in GROUPS.items()
        for place, person in enumerate(PEOPLE[name])
    ]


def machine() -> Cluster:
    """A cluster with two node types, and those who publish boards; once."""
    cluster, made = Cluster.objects.get_or_create(name="alpha")
    if not made:
        return cluster
    for name in ("cpu", "gpu"):
        kind = NodeType.objects.create(cluster=cluster, name=name)
        node = Node.objects.create(cluster=cluster, name=f"{name}1")
        NodeConfig.objects.create(node=node, node_type=kind, idle_w=0.0)
    may = Permission.objects.get(codename="publish_boards")
    for name in ("olga", "omar"):
        User.objects.create_user(name).user_permissions.add(may)
    for name in ("zoe", *(person for people in PEOPLE.values() for person in people)):
        User.objects.create_user(name)
    for name in ("physics", *(f"account-{name}" for name in GROUPS)):
        Project.objects.get_or_create(name=name)
    return cluster


def add(parts: list[Part]) -> None:
    """Their jobs, each of an hour from noon."""
    cluster = machine()
    jobs, rows = [], []
    nodes = {node.name[:-1]: node for node in Node.objects.all()}
    kinds = {kind.name: kind for kind in NodeType.objects.all()}
    for part in parts:
        for i in range(part.jobs):
            start = ms_from_datetime(datetime.combine(part.first + timedelta(days=i % 12), datetime.min.time(), UTC))
            start += (12 + i // 12 % 8) * 3_600_000
            number = next(_numbers)
            tags = {"username": part.person, "account": part.account, "workload": part.workload, "phase": part.phase,
                    "state": part.state, "start_ms": start, "end_ms": start + 3_600_000}  # fmt: skip
            jobs.append(
                Job(cluster=cluster, job_id=str(number), raw_id=number, name=f"secret-of-{part.person}", **tags)
            )
            rows.append(_row(cluster, kinds[part.node_type], nodes[part.node_type], part, tags))
    Job.objects.bulk_create(jobs)
    for job, row in zip(jobs, rows, strict=True):
        row.job, row.lot = job, (job.pk * 7_919) % 10_000
    WorkloadJob.objects.bulk_create(rows)


def _row(cluster: Cluster, kind: NodeType, node: Node, part: Part, tags: dict[str, Any]) -> WorkloadJob:
    work = part.work / part.jobs or None
    return WorkloadJob(
        cluster=cluster, node_type=kind, node=node, size=part.size, unit="query" if work else "", work=work,
        excused=False, nodes=1, cpus=4, gpus=0, runtime_s=3_600.0, held_s=3_600.0, energy_j=part.joules / part.jobs,
        gpu_energy_j=0.0, gpu_held_s=0.0, gpu_idle_s=0.0, gpu_idle_j=0.0, estimate_j=KWH, coverage=1.0,
        quality="metered", scope=Scope.NODE_AC, **tags,
    )  # fmt: skip


def user(name: str) -> User:
    """Somebody."""
    return User.objects.get(username=name)


def board(slug: str = "thrift", **fields: Any) -> Any:
    """A public one of persons by energy per query, or as ``fields`` say."""
    said = {
        "kind": "energy_per_work", "scope": "user", "audience": "public", "workload": "nnunet", "phase": "inference",
        "unit": "query", "title": f"Board {slug}", "names": True, "smallest_group": 5,
    }  # fmt: skip
    return make_board(user("olga"), NOW, slug=slug, **(said | fields))


def published(of: Any, first: date = FIRST, last: date = LAST, now: datetime = NOW) -> Edition:
    """An edition of it that everybody may read."""
    return publish(draft(of, first, last, user("olga"), now), now)


def publish(edition: Edition, now: datetime = NOW) -> Edition:
    """Take a draft all the way."""
    submitted = submit(edition, user("olga"), now)
    return approve(submitted, user("omar"), now + timedelta(days=20))


def add_usage(rows: list[tuple[str, float, float]]) -> None:
    """Person, energy of completed and of failed jobs: spread over twelve days, one job of each a day."""
    cluster = machine()
    kind = NodeType.objects.get(name="cpu")
    jobs, usage = [], []
    for person, done_j, failed_j in rows:
        for day in range(12):
            at = FIRST + timedelta(days=day)
            start = ms_from_datetime(datetime(at.year, at.month, at.day, 12, tzinfo=UTC))
            for state, joules in (("COMPLETED", done_j), ("FAILED", failed_j)):
                jobs.append(Job(cluster=cluster, job_id=str(next(_numbers)), username=person, account="physics",
                                state=state, start_ms=start, end_ms=start + 3_600_000))  # fmt: skip
                usage.append(_usage(cluster, kind, person, at, state, joules / 12))
    Job.objects.bulk_create(jobs)
    UsageDay.objects.bulk_create(usage)


def _usage(cluster: Cluster, kind: NodeType, person: str, day: date, state: str, joules: float) -> UsageDay:
    records = np.zeros((HOURS_PER_DAY, RECORD))
    records[12, ENERGY.start] = joules
    records[12, ELAPSED] = records[12, COVERED] = 3_600.0
    hour, hours = packed_hours(records)
    return UsageDay(
        cluster=cluster, day=day, username=person, account="physics", partition="p", state=state, workload="",
        phase="", node_type=kind, excused=False, first_hour=hour, hours=hours, energy_j=joules, gpu_energy_j=0.0,
        filled_j=0.0, covered_us=3_600_000_000, elapsed_us=3_600_000_000, reserved_us=3_600_000_000, samples=60,
        expected_samples=60.0, quality="metered",
    )  # fmt: skip
