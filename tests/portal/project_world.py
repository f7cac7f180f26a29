"""A project whose joules can be taken apart again: each person's part of each cell is a power of two.

Three months of 2025 of the project physics with its sub-project optics. Whatever figure somebody is shown says bit by
bit whose use it contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count

import numpy as np
from django.contrib.auth.models import User

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, HOURS_PER_DAY, RECORD, packed_hours
from measurements.domain.units import ms_from_datetime
from measurements.models import Cluster, Job, Membership, Node, NodeType, Project, UsageDay

PROJECT, SUB = "physics", "optics"
PEOPLE = ("adam", "beth", "carl", "dina", "emil", "fawn", "gwen")  # who run its jobs, besides its leader
LEADER, DEPUTY, EX_LEADER, MEMBER, EX_MEMBER, STRANGER = "lena", "dora", "exa", "mona", "xavier", "zoe"
READERS = (LEADER, DEPUTY, EX_LEADER, MEMBER, EX_MEMBER, STRANGER)


@dataclass(frozen=True)
class Part:
    """A person's use of a cell; its joules are 2 to the power of its place in the list."""

    person: str
    day: date
    account: str = PROJECT
    node_type: str = "cpu"
    partition: str = "cpu"
    state: str = "COMPLETED"


def _parts() -> list[Part]:
    january, february, march = (date(2025, month, 12) for month in (1, 2, 3))
    found = [Part(who, january, node_type="gpu", partition="gpu") for who in PEOPLE[:6]]
    found += [Part("gwen", january, node_type="new", partition="gpu")]  # partition less node type is one person
    found += [Part(who, january) for who in PEOPLE]
    found += [Part("adam", january, state="FAILED")]
    found += [Part(who, february) for who in PEOPLE[:3]]  # too few
    found += [Part(who, march) for who in PEOPLE[:6]]
    found += [Part(LEADER, march), Part("gwen", date(2025, 3, 31))]
    found += [Part(who, march, account=SUB) for who in ("adam", "beth")]  # too few of their own
    found += [Part(who, date(2025, 5, 12)) for who in (*PEOPLE[:4], LEADER)]  # five with the leader
    return found


PARTS = _parts()


def build() -> None:
    """The machine, the people, their roles, their use."""
    cluster = Cluster.objects.create(name="alpha")
    types = {name: NodeType.objects.create(cluster=cluster, name=name) for name in ("cpu", "gpu", "new")}
    Node.objects.create(cluster=cluster, name="n1", last_sample_ms=ms_from_datetime(datetime(2025, 4, 2, tzinfo=UTC)))
    for name in (*READERS, *PEOPLE):
        User.objects.create_user(name)
    physics = Project.objects.create(name=PROJECT, title="All of physics")
    Project.objects.create(name=SUB, parent=physics)
    Project.objects.create(name="biology")
    roles = [
        (LEADER, "leader", None, None), (DEPUTY, "deputy", date(2025, 3, 1), None), (MEMBER, "member", None, None),
        (EX_LEADER, "leader", None, date(2025, 4, 1)), (EX_MEMBER, "member", None, date(2025, 2, 1)),
    ]  # fmt: skip
    for name, role, begin, end in roles:
        Membership.objects.create(project=physics, username=name, role=role, valid_from=begin, valid_to=end)
    UsageDay.objects.bulk_create([_row(types, part, 2**place) for place, part in enumerate(PARTS)])
    numbers = count(70_001)
    for part in PARTS:
        start = ms_from_datetime(datetime(part.day.year, part.day.month, part.day.day, tzinfo=UTC))
        Job.objects.create(
            cluster=cluster, job_id=str(next(numbers)), username=part.person, account=part.account,
            name=f"secret-of-{part.person}", state=part.state, start_ms=start, end_ms=start + 3_600_000,
        )  # fmt: skip


def _row(types: dict[str, NodeType], part: Part, joules: int) -> UsageDay:
    records = np.zeros((HOURS_PER_DAY, RECORD))
    records[0, ENERGY.start] = float(joules)  # in one quarter hour, so that sums are exact
    records[0, ELAPSED] = records[0, COVERED] = 3_600.0
    hour, hours = packed_hours(records)
    return UsageDay(
        cluster=types["cpu"].cluster, day=part.day, username=part.person, account=part.account,
        partition=part.partition, state=part.state, workload="", phase="", node_type=types[part.node_type],
        excused=False, first_hour=hour, hours=hours, energy_j=float(joules), gpu_energy_j=0.0, filled_j=0.0,
        covered_us=3_600_000_000, elapsed_us=3_600_000_000, samples=60, expected_samples=60.0, quality="metered",
    )  # fmt: skip


def parts_of(joules: float) -> frozenset[int]:
    """Whose use of which cell a figure is made of."""
    whole = int(joules)
    assert whole == joules, "sums of powers of two"
    return frozenset(place for place in range(len(PARTS)) if whole >> place & 1)


def people_in(parts: frozenset[int], viewer: str) -> set[str]:
    """The people behind some parts, but for who looks."""
    return {PARTS[place].person for place in parts} - {viewer}
