"""Dirty marks: what has to be rebuilt, and who is at it.

A mark's version is drawn anew each time it is set. A rebuild reads it before its input and removes the
mark only if it is unchanged, so that input arriving meanwhile is never lost.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from measurements.models import (
    Cluster,
    DirtyDay,
    DirtyDoubt,
    DirtyJob,
    DirtyNodeDay,
    Feed,
    Intake,
    Job,
    SealedDay,
    TypeDay,
)
from measurements.models.leases import Leased
from measurements.models.ledger import DirtyMark
from measurements.services.bulk import adapted, insert

Lease = TypeVar("Lease", bound=Leased)

LEASE_S = 30  # one sweep: a machine that vanished holds work up for two at most; a block takes well under a second
RETRY_S = 0.01
_VERSION_BITS = 62


def new_version() -> int:
    """A version no other mark has."""
    return secrets.randbits(_VERSION_BITS)


def mark_node_days(cluster: Cluster, pairs: Iterable[tuple[int, date]], *, examine: bool = True) -> int:
    """Mark (node id, UTC day) pairs dirty, sealed days excepted; how many.

    What books a node-day anew may make other samples of its day doubtful: the day is to be looked through again.
    """
    wanted = sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))
    sealed = sealed_days(cluster, {day for _, day in wanted})
    rows = [(cluster.pk, node_id, adapted(day), new_version(), "") for node_id, day in wanted if day not in sealed]
    insert(
        DirtyNodeDay,
        ("cluster", "node", "day", "version", "claimed_by"),
        rows,
        unique=("cluster", "day", "node"),
        keep=("claimed_by",),
    )
    if examine:
        mark_examinations(cluster, {day for _, day in wanted} - sealed)
    return len(rows)


def mark_examinations(cluster: Cluster, days: Iterable[date]) -> None:
    """Have the samples of some days looked through for what is not plausible; none of them may be sealed.

    Always after marks of node-days: whoever waits for one of these holds no other.
    """
    rows = [(cluster.pk, adapted(day), new_version(), "") for day in sorted(days)]
    insert(
        DirtyDoubt, ("cluster", "day", "version", "claimed_by"), rows, unique=("cluster", "day"), keep=("claimed_by",)
    )


def sealed_days(cluster: Cluster, days: Iterable[date]) -> set[date]:
    """Those of some days that are sealed."""
    days = sorted(days)
    if not days:
        return set()
    known = SealedDay.objects.filter(cluster=cluster, day__gte=days[0], day__lte=days[-1])
    return set(known.values_list("day", flat=True))


def mark_jobs(job_ids: Iterable[int]) -> None:
    """Mark job totals dirty."""
    rows = [(job_id, new_version(), "") for job_id in sorted(set(job_ids))]
    insert(DirtyJob, ("job", "version", "claimed_by"), rows, unique=("job",), keep=("claimed_by",))


def mark_day(cluster_id: int, day: date) -> None:
    """Mark a day's roll-ups dirty."""
    mark_days(cluster_id, [day])


def mark_days(cluster_id: int, days: Iterable[date]) -> None:
    """Mark the roll-ups of some days dirty."""
    rows = [(cluster_id, adapted(day), new_version(), "") for day in sorted(set(days))]
    insert(DirtyDay, ("cluster", "day", "version", "claimed_by"), rows, unique=("cluster", "day"), keep=("claimed_by",))


def mark_rolled_up_days(cluster: Cluster, first: date, before: date | None = None) -> None:
    """Mark the roll-ups of the days [first, before) dirty that exist or are being made, sealed days excepted.

    The marks are read first: a roll-up that is committed in between is found among the rows.
    """
    days: set[date] = set()
    for model in (DirtyDay, TypeDay):
        rows = model._default_manager.filter(cluster=cluster, day__gte=first)
        days |= set((rows.filter(day__lt=before) if before else rows).values_list("day", flat=True))
    rows_of_days = [(cluster.pk, adapted(day), new_version(), "") for day in sorted(days - sealed_days(cluster, days))]
    insert(
        DirtyDay,
        ("cluster", "day", "version", "claimed_by"),
        rows_of_days,
        unique=("cluster", "day"),
        keep=("claimed_by",),
    )


def dirty_jobs(cluster: Cluster | None) -> QuerySet[DirtyJob]:
    """The marks of a cluster's jobs, without one of all; looked for mark by mark, for marks are few and jobs many."""
    if cluster is None:
        return DirtyJob.objects.all()
    return DirtyJob.objects.filter(Exists(Job.objects.filter(pk=OuterRef("job"), cluster=cluster).order_by()))


def claim(marks: QuerySet[Lease], now: datetime) -> list[Lease]:
    """Take a lease on those of some marks that are free; the ones taken.

    ``marks`` is ordered and sliced by the caller to what it can do at once. Nobody ever waits for
    a mark that somebody else is writing: it is left out, so that there is no deadlock.
    """
    model = marks.model._default_manager
    token = f"{lease_name()}/{secrets.token_hex(8)}"
    until = now + timedelta(seconds=LEASE_S)
    with transaction.atomic():
        keys = list(marks.values_list("pk", flat=True))
        unlocked = model.filter(free(now), pk__in=keys).select_for_update(skip_locked=True)
        taken = list(unlocked)
        model.filter(pk__in=[mark.pk for mark in taken]).update(claimed_by=token, claimed_until=until)
    for mark in taken:
        mark.claimed_by, mark.claimed_until = token, until
    if not taken:
        time.sleep(RETRY_S)  # others are at them: whoever asks again does not have to hurry
    return taken


def renew(marks: Sequence[Leased], now: datetime) -> bool:
    """Prolong the lease on some claimed marks; False if it expired and somebody else has any of them."""
    model = type(marks[0])
    mine = model._default_manager.filter(pk__in=[mark.pk for mark in marks], claimed_by=marks[0].claimed_by)
    return mine.update(claimed_until=now + timedelta(seconds=LEASE_S)) == len(marks)


def free(now: datetime) -> Q:
    """Not claimed, or by a lease that has expired."""
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)


def still_mine(marks: Sequence[DirtyMark]) -> dict[int, int]:
    """Inside a transaction: key → version now, of those whose lease nobody has taken over, and nobody marks anew."""
    if not marks:
        return {}
    wanted = {mark.pk for mark in marks}
    rows = type(marks[0])._default_manager.select_for_update(skip_locked=True).filter(claimed_by=marks[0].claimed_by)
    return {key: version for key, version in rows.values_list("pk", "version") if key in wanted}


def settle(marks: Sequence[DirtyMark], current: Mapping[int, int]) -> None:
    """Remove the marks that did not change since they were read; set the others free."""
    seen = {mark.pk: mark.version for mark in marks}
    done = [key for key, version in current.items() if seen[key] == version]
    again = [key for key, version in current.items() if seen[key] != version]
    model = type(marks[0])
    model._default_manager.filter(pk__in=done).delete()
    model._default_manager.filter(pk__in=again).update(claimed_by="", claimed_until=None)


def give_back(marks: Sequence[Leased]) -> None:
    """Set free what is left of some claimed marks: those that somebody was marking anew."""
    if marks:
        left = type(marks[0])._default_manager.filter(claimed_by=marks[0].claimed_by)
        left.update(claimed_by="", claimed_until=None)


def changed_since(marks: Sequence[DirtyMark]) -> bool:
    """Whether any of some marks was set anew since it was read, or is gone."""
    rows = type(marks[0])._default_manager.filter(pk__in=[mark.pk for mark in marks])
    return dict(rows.values_list("pk", "version")) != {mark.pk: mark.version for mark in marks}


def release_dead() -> None:
    """End the leases of processes of this machine that are gone (killed, say)."""
    leased: tuple[type[Leased], ...] = (DirtyNodeDay, DirtyDoubt, DirtyJob, DirtyDay, Intake, Feed)
    for model in leased:
        owners = model._default_manager.exclude(claimed_by="").values_list("claimed_by", flat=True).distinct()
        for claimed_by in owners:
            if _is_dead(claimed_by):
                model._default_manager.filter(claimed_by=claimed_by).update(claimed_by="", claimed_until=None)


def lease_name() -> str:
    """Who this process is, in the name of a lease: how others of this machine see that it is dead."""
    return f"{_host()}/{os.getpid()}/{_started(os.getpid())}"


def _host() -> str:
    return socket.gethostname().replace("/", "_")


def _is_dead(claimed_by: str) -> bool:
    host, pid, started, _ = claimed_by.split("/")
    return host == _host() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process of this machine began, in the kernel's ticks; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
