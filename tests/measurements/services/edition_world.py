"""Ended jobs of a workload, and the roll-up of their days, put straight into the tables that boards are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from django.contrib.auth.models import Permission, User

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, HOURS_PER_DAY, RECORD, RESERVED, packed_hours
from measurements.domain.units import ms_from_datetime
from measurements.models import Board, Cluster, Job, Node, NodeConfig, NodeType, UsageDay, WorkloadJob
from measurements.services import editions

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
REVIEWED = NOW + timedelta(days=14)
AC, PARTS = 1, 4
MJ = 1e6
_ids = count(1)


def at(day: int, hour: float = 12, month: int = 10) -> datetime:
    """An instant of a day of the month."""
    return datetime(2026, month, day, tzinfo=UTC) + timedelta(hours=hour)


def cluster() -> Cluster:
    """The one that all run on, with a node of each type."""
    found = Cluster.objects.filter(name="alpha").first()
    if found is None:
        found = Cluster.objects.create(name="alpha")
        for name, idle_w, gpus in (("thin", 100.0, 0), ("gpu", 200.0, 4)):
            kind = NodeType.objects.create(cluster=found, name=name)
            node = Node.objects.create(cluster=found, name=f"{name}1")
            gpu_idle_w = 50.0 if gpus else None
            NodeConfig.objects.create(node=node, node_type=kind, idle_w=idle_w, gpus=gpus, gpu_idle_w=gpu_idle_w)
    return found


def kind(name: str) -> NodeType:
    """A node type of it."""
    return cluster().node_types.get(name=name)


def job(username: str, start: datetime, hours: float = 1.0, **said: Any) -> WorkloadJob:
    """One that ended: 1 MJ for 10 epochs of nnunet training on a thin node, or as said."""
    made, row = unsaved(username, start, hours, **said)
    made.save()
    row.save(force_insert=True)
    return row


def unsaved(username: str, start: datetime, hours: float = 1.0, **said: Any) -> tuple[Job, WorkloadJob]:
    """It, before it is in the tables."""
    number = next(_ids)
    row: dict[str, Any] = {
        "account": "physics", "workload": "nnunet", "phase": "training", "unit": "epochs", "work": 10.0,
        "state": "COMPLETED", "excused": False, "node_type": kind(said.pop("on", "thin")), "nodes": 1, "gpus": 0,
        "energy_j": MJ, "gpu_energy_j": 0.0, "coverage": 1.0, "quality": "metered", "scope": AC,
    } | said  # fmt: skip
    start_ms = ms_from_datetime(start)
    whose = {"cluster": cluster(), "username": username}
    times = {"start_ms": start_ms, "end_ms": start_ms + round(hours * 3_600_000)}
    of_job = {name: row[name] for name in ("account", "workload", "phase", "state")}
    made = Job(pk=number, raw_id=number, job_id=str(number), **whose, **of_job, **times)
    zeros = dict.fromkeys(("gpu_held_s", "gpu_idle_s", "gpu_idle_j"), 0.0)
    lasted = {"runtime_s": hours * 3600, "held_s": hours * 3600, "lot": number % 10_000}
    return made, WorkloadJob(job=made, **whose, **zeros, **lasted, **times, **row)


def jobs(username: str, energy_j: float = MJ, number: int = 12, **said: Any) -> None:
    """Twelve, two a day from the 5th on, each with this energy."""
    both = [unsaved(username, at(5 + i // 2, 6 + 6 * (i % 2)), energy_j=energy_j, **said) for i in range(number)]
    Job.objects.bulk_create(one for one, _ in both)
    WorkloadJob.objects.bulk_create(row for _, row in both)


def people(number: int = 12, **said: Any) -> list[str]:
    """Half of them need a third of the energy of the others for the same work."""
    names = [f"person{i:02d}" for i in range(number)]
    for i, name in enumerate(names):
        jobs(name, (1.0 if i < number // 2 else 3.0) * (1 + i / 100) * MJ, **said)
    return names


def usage(username: str, day: date, energy_j: float, **said: Any) -> UsageDay:
    """A row of the roll-up: an hour from noon on, a node held; 360 kJ of it are what a thin node draws idle."""
    row: dict[str, Any] = {
        "account": "physics", "partition": "p", "state": "COMPLETED", "workload": "", "phase": "", "excused": False,
        "node_type": kind(said.pop("on", "thin")), "gpu_energy_j": 0.0, "filled_j": 0.0, "quality": "metered",
        "covered_us": 3_600_000_000, "elapsed_us": 3_600_000_000, "reserved_us": 3_600_000_000, "samples": 60,
        "expected_samples": 60.0,
    } | said  # fmt: skip
    hours = np.zeros((HOURS_PER_DAY, RECORD))
    hour = int(row.pop("hour", 12))
    hours[hour, ENERGY] = energy_j / 4
    hours[hour, [COVERED, ELAPSED, RESERVED]] = 3600
    first_hour, data = packed_hours(hours)
    whole = {"energy_j": energy_j, "first_hour": first_hour, "hours": data}
    return UsageDay.objects.create(cluster=cluster(), username=username, day=day, **whole, **row)


def admins() -> tuple[User, User]:
    """Two who publish boards."""
    may = Permission.objects.get(codename="publish_boards")
    found = []
    for name in ("ada", "omar"):
        user, _ = User.objects.get_or_create(username=name)
        user.user_permissions.add(may)
        found.append(User.objects.get(pk=user.pk))
    return found[0], found[1]


def board(slug: str = "nnunet", **said: Any) -> Board:
    """One of persons by energy per epoch, or as said."""
    fields: dict[str, Any] = {"kind": "energy_per_work", "scope": "user", "title": f"Board {slug}"}
    if said.get("kind", fields["kind"]) not in ("failed_energy", "idle_accelerators"):
        fields |= {"workload": "nnunet", "phase": "training", "unit": "epochs"}
    return editions.make_board(admins()[0], NOW, slug=slug, **(fields | said))


def published(of: Board, first: date = FIRST, last: date = LAST) -> Any:
    """An edition of it, through all steps."""
    ada, omar = admins()
    edition = editions.submit(editions.draft(of, first, last, ada, NOW), ada, NOW)
    return editions.approve(edition, omar, REVIEWED)
