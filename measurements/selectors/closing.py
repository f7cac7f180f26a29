"""Does it close up to the facility? Jobs + unallocated against node meters, and each meter against those below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.units import US_PER_S
from measurements.models import Cluster, DirtyDay, DirtyNodeDay, Node, NodeDay, UsageDay
from measurements.selectors.meter_figures import MeterReport
from measurements.selectors.meter_places import Tree
from measurements.selectors.metertree import meter_reports


@dataclass(frozen=True, slots=True)
class NodesDay:
    """All node meters of a cluster on a UTC day, and what became of their energy; unrounded."""

    day: date
    metered_j: float
    jobs_j: float
    unallocated_j: float
    unplaced_j: float  # known of counters, not placed in time; not part of metered_j
    projects_j: float  # what projects were told they drew, from their own roll-up
    covered_s: float  # node-seconds
    off_s: float
    waiting: bool  # to be booked or rolled up anew

    @property
    def residue_j(self) -> float:
        """What is booked to nobody and nothing: never more than floating point leaves."""
        return self.metered_j - self.jobs_j - self.unallocated_j

    @property
    def told_residue_j(self) -> float:
        """Booked to jobs, but in no project's sum."""
        return self.jobs_j - self.projects_j


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A cluster's UTC days [first, last], from jobs up to the facility."""

    cluster: str
    first: date
    last: date
    days: tuple[NodesDay, ...]  # with anything booked, oldest first
    total: NodesDay
    meters: tuple[MeterReport, ...]  # from the lowest level up
    nodes: int
    loose: int  # nodes that no meter stands above

    @property
    def has_meters(self) -> bool:
        """Whether anything above nodes is described."""
        return bool(self.meters)


def reconciliation(viewer: AbstractUser | AnonymousUser, cluster: Cluster, first: date, last: date) -> Reconciliation:
    """For whoever may see nodes; to others the cluster has none."""
    tree = Tree.of(viewer, cluster)
    days = _node_days(cluster, first, last)
    meters = meter_reports(tree, first, last)
    return Reconciliation(
        cluster=cluster.name,
        first=first,
        last=last,
        days=days if tree.nodes else (),
        total=_total(days if tree.nodes else (), first),
        meters=meters,
        nodes=len(tree.nodes),
        loose=sum(not node.parent for node in tree.nodes),
    )


def _node_days(cluster: Cluster, first: date, last: date) -> tuple[NodesDay, ...]:
    inside = {"cluster": cluster, "day__gte": first, "day__lte": last}
    names = ("metered_j", "jobs_j", "unallocated_j", "unplaced_j", "covered_us", "off_us")
    rows = NodeDay.objects.filter(node__level=Node.Level.NODE, **inside).order_by("day", "node__name")
    sums: dict[date, list[float]] = defaultdict(lambda: [0.0] * len(names))
    for day, *values in rows.values_list("day", *names):
        total = sums[day]
        for i, value in enumerate(values):
            total[i] += value
    told: dict[date, float] = defaultdict(float)
    for day, joules in UsageDay.objects.filter(**inside).order_by("day", "pk").values_list("day", "energy_j"):
        told[day] += joules
    waiting = set(DirtyNodeDay.objects.filter(**inside).values_list("day", flat=True).distinct())
    waiting |= set(DirtyDay.objects.filter(**inside).values_list("day", flat=True))
    return tuple(
        NodesDay(
            day=day,
            metered_j=metered_j,
            jobs_j=jobs_j,
            unallocated_j=unallocated_j,
            unplaced_j=unplaced_j,
            projects_j=told[day],
            covered_s=covered_us / US_PER_S,
            off_s=off_us / US_PER_S,
            waiting=day in waiting,
        )
        for day, (metered_j, jobs_j, unallocated_j, unplaced_j, covered_us, off_us) in sorted(sums.items())
    )


def _total(days: Iterable[NodesDay], first: date) -> NodesDay:
    days = list(days)
    names = [field.name for field in fields(NodesDay) if field.name not in ("day", "waiting")]
    sums = {name: float(sum(getattr(day, name) for day in days)) for name in names}
    return NodesDay(day=first, waiting=any(day.waiting for day in days), **sums)
