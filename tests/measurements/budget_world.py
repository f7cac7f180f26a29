"""Use of projects by day, written as the roll-up has it, for tests that need months of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np

from measurements.domain.profiles import COVERED, ELAPSED, ENERGY, FILLED, HOURS_PER_DAY, RECORD, packed_hours
from measurements.domain.units import J_PER_KWH, ms_from_datetime
from measurements.models import Cluster, Node, NodeType, UsageDay

DAY = timedelta(days=1)


def machine(newest: datetime) -> tuple[Cluster, NodeType]:
    """A cluster with a node that was heard of last at an instant."""
    cluster = Cluster.objects.create(name="alpha")
    kind = NodeType.objects.create(cluster=cluster, name="thin")
    Node.objects.create(cluster=cluster, name="n1", last_sample_ms=ms_from_datetime(newest))
    return cluster, kind


def use(first: date, kwh: Iterable[float], account: str = "physics", filled: float = 0.0, **more: str) -> None:
    """So much on each day from the first on, evenly over its 24 UTC hours; 0: no job ran.

    ``filled`` is the share of it that is not metered, 0 to 1.
    """
    kind = NodeType.objects.select_related("cluster").get()
    rows = [_row(kind, first + i * DAY, amount, filled, account, more) for i, amount in enumerate(kwh) if amount]
    UsageDay.objects.bulk_create(rows)


def _row(kind: NodeType, day: date, kwh: float, filled: float, account: str, more: dict[str, str]) -> UsageDay:
    records = np.zeros((HOURS_PER_DAY, RECORD))
    joules = kwh * J_PER_KWH
    records[:, ENERGY] = joules * (1 - filled) / 96
    records[:, FILLED] = joules * filled / HOURS_PER_DAY
    records[:, ELAPSED] = 3600.0
    records[:, COVERED] = 3600.0 * (1 - filled)
    hour, hours = packed_hours(records)
    said: dict[str, str] = {"username": "alice", "state": "COMPLETED", "partition": "", "workload": "", "phase": ""}
    return UsageDay(
        cluster=kind.cluster,
        node_type=kind,
        day=day,
        account=account,
        excused=False,
        first_hour=hour,
        hours=hours,
        energy_j=joules * (1 - filled),
        gpu_energy_j=0.0,
        filled_j=joules * filled,
        covered_us=round(24 * 3600e6 * (1 - filled)),
        elapsed_us=round(24 * 3600e6),
        samples=0,
        expected_samples=0.0,
        quality="metered",
        **(said | more),
    )


def noon(day: date) -> datetime:
    """Of a day, UTC."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def used_by(people: Iterable[str], first: date, kwh: Iterable[float]) -> None:
    """The same, by several people in equal parts."""
    names, days = list(people), list(kwh)
    for name in names:
        use(first, [amount / len(names) for amount in days], username=name)
