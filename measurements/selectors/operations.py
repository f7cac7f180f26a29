"""What an operator asks first: does it close, what waits, what came in last."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Count, Max, Min, OuterRef, Q, Subquery, Sum

from measurements.domain.quality import ratio
from measurements.domain.units import (
    DAY_MS,
    MS_PER_S,
    QUARTER_MS,
    US_PER_S,
    datetime_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import (
    Batch,
    ChannelPeriod,
    Cluster,
    DirtyDay,
    DirtyJob,
    DirtyNodeDay,
    Job,
    Node,
    PendingCorrection,
    TypeDay,
)
from measurements.selectors.inventory import SILENT_INTERVALS, is_off_now

PENDING_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Waiting:
    """Marks of one kind that wait to be worked off."""

    count: int = 0
    claimed: int = 0  # of them: somebody is at them
    oldest: date | None = None  # the day they are about


@dataclass(frozen=True, slots=True)
class Heard:
    """The nodes of a cluster, and what was heard of them."""

    nodes: int = 0
    meters: int = 0  # above nodes
    silent: int = 0  # not switched off, heard once, but far longer ago than the newest
    off: int = 0  # switched off, as the batch system says
    never: int = 0
    newest_sample_at: datetime | None = None  # of any meter


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over days of all nodes, unrounded."""

    metered_j: float = 0.0
    jobs_j: float = 0.0
    unallocated_j: float = 0.0
    unplaced_j: float = 0.0
    covered_s: float = 0.0  # node-seconds
    off_s: float = 0.0
    wall_s: float = 0.0

    @property
    def residue_j(self) -> float:
        """Metered, and booked to nobody and nothing."""
        return self.metered_j - self.jobs_j - self.unallocated_j

    @property
    def gap_s(self) -> float:
        """Neither covered nor off."""
        return max(0.0, self.wall_s - self.covered_s - self.off_s)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ the time in which nodes were on."""
        return ratio(self.covered_s, self.wall_s - self.off_s)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster over the last days, and now."""

    name: str
    figures: Figures
    node_days: Waiting
    days: Waiting
    jobs: Waiting
    heard: Heard
    power_in_at: datetime | None  # when the newest batch of power came in
    jobs_in_at: datetime | None

    @property
    def waits(self) -> bool:
        """Whether anything is to be booked or added up."""
        return bool(self.node_days.count or self.days.count or self.jobs.count)


@dataclass(frozen=True, slots=True)
class Pending:
    """Input for a sealed day, kept and not applied."""

    cluster: str
    day: date
    content: str
    rows: int
    newest_batch: int | None


def cluster_states(
    viewer: AbstractUser | AnonymousUser, first: date, last: date, now: datetime
) -> tuple[ClusterState, ...]:
    """Each cluster on the UTC days [first, last], by name."""
    clusters = (
        Cluster.objects.visible_to(viewer)
        .annotate(power_in=_newest(Batch.Content.POWER), jobs_in=_newest(Batch.Content.JOBS))
        .order_by("name")
        .values_list("pk", "name", "power_in", "jobs_in")
    )
    sums = _sums(first, last, now)
    heard = _heard(viewer)
    node_days, days = _waiting(DirtyNodeDay, now), _waiting(DirtyDay, now)
    jobs = _waiting_jobs(now)
    return tuple(
        ClusterState(
            name=name,
            figures=Figures(*sums[pk]),
            node_days=node_days.get(pk, Waiting()),
            days=days.get(pk, Waiting()),
            jobs=jobs.get(pk, Waiting()),
            heard=heard.get(pk, Heard()),
            power_in_at=power_in_at,
            jobs_in_at=jobs_in_at,
        )
        for pk, name, power_in_at, jobs_in_at in clusters
    )


def pending_corrections(limit: int = PENDING_SHOWN) -> tuple[tuple[Pending, ...], int]:
    """Those of the newest days, and on how many days there are any."""
    rows = PendingCorrection.objects.order_by().values_list("cluster__name", "day", "content")
    grouped = rows.annotate(Sum("rows"), Max("batch")).order_by("-day", "cluster__name", "content")
    found = [Pending(*row) for row in grouped]
    return tuple(found[:limit]), len(found)


def _newest(content: Batch.Content) -> Subquery:
    own = Batch.objects.filter(cluster=OuterRef("pk"), content=content).order_by("-pk")
    return Subquery(own.values("committed_at")[:1])


def _sums(first: date, last: date, now: datetime) -> dict[int, list[float]]:
    """Per cluster: metered, jobs, unallocated, unplaced [J]; covered, off and wall time [s]."""
    now_ms = ms_from_datetime(now)
    names = ("metered_j", "jobs_j", "unallocated_j", "unplaced_j", "covered_us", "off_us", "nodes")
    rows = TypeDay.objects.filter(day__gte=first, day__lte=last).order_by("day", "node_type__name")
    found: dict[int, list[float]] = defaultdict(lambda: [0.0] * len(names))
    for cluster, day, *values in rows.values_list("cluster_id", "day", *names):
        length_s = min(max(now_ms - day_start_ms(day), 0), DAY_MS) / MS_PER_S
        covered_s, off_s, wall_s = values[4] / US_PER_S, values[5] / US_PER_S, values[6] * length_s
        # A state that lasts is off up to the end of the day, of which only a part may be over.
        parts = (*values[:4], covered_s, min(off_s, max(0.0, wall_s - covered_s)), wall_s)
        for i, value in enumerate(parts):
            found[cluster][i] += value
    return found


def _heard(viewer: AbstractUser | AnonymousUser) -> dict[int, Heard]:
    last: dict[int, list[int | None]] = defaultdict(list)
    above: dict[int, list[int | None]] = defaultdict(list)
    off: dict[int, list[int | None]] = defaultdict(list)
    rows = Node.objects.visible_to(viewer).annotate(is_off=is_off_now()).order_by()
    for cluster, level, last_ms, is_off in rows.values_list("cluster_id", "level", "last_sample_ms", "is_off"):
        (above if level != Node.Level.NODE else off if is_off else last)[cluster].append(last_ms)
    declared = ChannelPeriod.objects.filter(channel__name="node").order_by().values_list("channel__node__cluster")
    longest = dict(declared.annotate(Max("nominal_ms")))
    found = {}
    for cluster in {*last, *above, *off}:
        instants = last[cluster]
        known = np.array([ms for ms in instants if ms is not None], np.int64)
        silent_after_ms = max(QUARTER_MS, SILENT_INTERVALS * (longest.get(cluster) or 0))
        silent = int((known < known.max() - silent_after_ms).sum()) if len(known) else 0
        newest = max((ms for ms in [*instants, *off[cluster], *above[cluster]] if ms is not None), default=None)
        found[cluster] = Heard(
            nodes=len(instants) + len(off[cluster]),
            off=len(off[cluster]),
            meters=len(above[cluster]),
            silent=silent,
            never=len(instants) - len(known),
            newest_sample_at=datetime_from_ms(newest) if newest is not None else None,
        )
    return found


def _waiting(model: type[DirtyNodeDay | DirtyDay], now: datetime) -> dict[int, Waiting]:
    rows = model._default_manager.order_by().values_list("cluster")
    claimed = Count("pk", filter=_under_way(now))
    return {
        cluster: Waiting(*values) for cluster, *values in rows.annotate(Count("pk"), claimed=claimed, oldest=Min("day"))
    }


def _under_way(now: datetime) -> Q:
    """A lease without a holder means: not before then."""
    return Q(claimed_until__gte=now) & ~Q(claimed_by="")


def _waiting_jobs(now: datetime) -> dict[int, Waiting]:
    # A subquery: along the index of clusters a database would pass all jobs, to look for their marks.
    cluster = Subquery(Job.objects.filter(pk=OuterRef("job")).order_by().values("cluster")[:1])
    rows = DirtyJob.objects.order_by().values_list(cluster)
    claimed = Count("pk", filter=_under_way(now))
    return {cluster: Waiting(*values) for cluster, *values in rows.annotate(Count("pk"), claimed=claimed)}
