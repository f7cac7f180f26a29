"""Which jobs held a node when: named where the viewer may see them, else without any trace of whose they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Q

from measurements.domain.units import datetime_from_ms
from measurements.models import Allocation, Job, Node

MOST_BANDS = 300


@dataclass(frozen=True, slots=True)
class JobName:
    """A job the viewer may see."""

    job_id: str
    name: str
    username: str
    account: str
    start_ms: int | None


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which one allocation held the node, cut to the window; ``lane`` keeps concurrent ones apart."""

    start_ms: int
    end_ms: int
    begins_before: bool
    goes_on: bool  # it ends behind the window, or runs
    cpus: int | None
    gpus: int | None
    job: JobName | None  # None: another job
    lane: int = 0

    @property
    def started_at(self) -> datetime:
        """Its beginning inside the window."""
        return datetime_from_ms(self.start_ms)

    @property
    def ended_at(self) -> datetime:
        """Its end inside the window."""
        return datetime_from_ms(self.end_ms)


@dataclass(frozen=True, slots=True)
class Bands:
    """Oldest first; of very many the newest."""

    bands: tuple[Band, ...]
    lanes: int
    more: bool

    @property
    def others(self) -> int:
        """How many the viewer may not see."""
        return sum(band.job is None for band in self.bands)


def job_bands(node: Node, start_ms: int, end_ms: int, now_ms: int, viewer: AbstractUser | AnonymousUser) -> Bands:
    """The allocations on a node that overlap [start, end)."""
    earliest = start_ms - node.cluster.longest_run_ms - 1
    lasting = Q(end_ms__gt=start_ms, start_ms__gt=earliest) | Q(end_ms__isnull=True)
    rows = Allocation.objects.filter(lasting, node=node, start_ms__lt=end_ms).order_by("-start_ms", "-pk")
    columns = ("run__job_id", "start_ms", "end_ms", "cpus", "gpus")
    found = list(rows.values_list(*columns)[: MOST_BANDS + 1])
    names = visible_names({job for job, *_ in found}, viewer)
    bands = []
    for job, start, end, cpus, gpus in reversed(found[:MOST_BANDS]):
        until = min(end_ms, now_ms if end is None else end)
        if until > start:
            bands.append(
                Band(
                    start_ms=max(start, start_ms),
                    end_ms=until,
                    begins_before=start < start_ms,
                    goes_on=end is None or end > end_ms,
                    cpus=cpus,
                    gpus=gpus,
                    job=names.get(job),
                )
            )
    laid = laid_out(bands)
    return Bands(laid, 1 + max((band.lane for band in laid), default=-1), len(found) > MOST_BANDS)


def visible_names(jobs: Iterable[int], viewer: AbstractUser | AnonymousUser) -> dict[int, JobName]:
    """Of some jobs those that the viewer may see."""
    rows = Job.objects.visible_to(viewer).filter(pk__in=list(jobs))
    columns = ("pk", "job_id", "name", "username", "account", "start_ms")
    return {pk: JobName(*rest) for pk, *rest in rows.values_list(*columns)}


def laid_out(bands: Iterable[Band]) -> tuple[Band, ...]:
    """Each in the first lane that is free when it begins."""
    ends: list[int] = []
    found = []
    for band in sorted(bands, key=lambda b: (b.start_ms, b.end_ms)):
        lane = next((i for i, end in enumerate(ends) if end <= band.start_ms), len(ends))
        ends[lane : lane + 1] = [band.end_ms]
        found.append(replace(band, lane=lane))
    return tuple(found)
