"""Which jobs a list shows: what may be asked for, and the queries that answer it in bounded time.

A list of a million jobs is only quick along an index. So one condition of a filter *leads*: it and the order
(newest first) are one index. The others are tried on the jobs in that order, on so many at most; the page says
how far it has looked and goes on from there. No combination of filters can make a page slow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce

from measurements.domain.slurm import STATES
from measurements.models import Allocation, Cluster, Job, JobQuerySet, Quality
from measurements.selectors.lookup import array_of, is_job_name, named

LOOKED_AT = 20_000  # jobs a page examines at most
LOOKED_AT_NODES = 4_000  # the same where each has to be asked for its nodes
FAILED = frozenset({"BOOT_FAIL", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"})
STATE_GROUPS = {"failed": FAILED}

Place = tuple[int, int]  # start [ms] and id of the last job before the place


@dataclass(frozen=True, slots=True)
class Machine:
    """A cluster as a filter needs it."""

    pk: int
    name: str
    node_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What is asked for; empty fields ask for nothing."""

    text: str = ""  # an id in any form (`measurements.selectors.lookup`), else a part of the name
    user: str = ""
    project: str = ""
    cluster: str = ""
    partition: str = ""
    node_type: str = ""
    state: str = ""  # of Slurm, or a key of STATE_GROUPS
    quality: str = ""
    workload: str = ""
    phase: str = ""
    array: int | None = None
    start_ms: int | None = None  # that began in [start, end)
    end_ms: int | None = None
    running: bool = False

    @property
    def is_name(self) -> bool:
        """Whether the text is a part of names, not an id."""
        return bool(self.text) and not is_job_name(self.text)


def machines(viewer: AbstractUser | AnonymousUser) -> tuple[Machine, ...]:
    """The clusters the viewer may know, with the names of their node types."""
    rows = Cluster.objects.visible_to(viewer).order_by("name", "node_types__name")
    found: dict[int, tuple[str, list[str]]] = {}
    for pk, name, node_type in rows.values_list("pk", "name", "node_types__name"):
        found.setdefault(pk, (name, []))[1].extend([node_type] if node_type else [])
    return tuple(Machine(pk, name, tuple(types)) for pk, (name, types) in found.items())


class Selection:
    """The jobs a viewer may see that match a filter, newest first, along one index."""

    def __init__(self, viewer: AbstractUser | AnonymousUser, wanted: JobFilter, known: Sequence[Machine]) -> None:
        self.viewer, self.wanted = viewer, wanted
        self.clusters = [m for m in known if not wanted.cluster or m.name == wanted.cluster]
        self.budget = LOOKED_AT_NODES if wanted.node_type else LOOKED_AT
        self.few = False  # whether the leading condition can't leave many
        self._lead, used = self._leading()
        kinds = ("user", "project", "cluster", "partition", "state", "workload", "phase", "quality", "node_type")
        self._rest = [kind for kind in kinds if getattr(wanted, kind) and kind not in used]
        self._array_rest = wanted.array is not None and "array" not in used

    @property
    def tried_one_by_one(self) -> bool:
        """Whether conditions are left that no index answers."""
        return bool(self._rest or self._array_rest or self.wanted.is_name)

    def candidates(self, after: Place | None = None) -> JobQuerySet:
        """Jobs that meet the leading condition, in order, from a place on."""
        jobs = Job.objects.visible_to(self.viewer).filter(self._lead)
        if not self.clusters:
            return jobs.none()
        if not self.few:  # a job that is asked for by its id is shown before it starts, too
            jobs = jobs.filter(start_ms__isnull=False)
        if self.wanted.end_ms is not None:
            jobs = jobs.filter(start_ms__lt=self.wanted.end_ms)
        if self.wanted.start_ms is not None:
            jobs = jobs.filter(start_ms__gte=self.wanted.start_ms)
        if after:
            jobs = jobs.filter(Q(start_ms__lt=after[0]) | Q(pk__lt=after[1]), start_ms__lte=after[0])
        newest = F("start_ms").desc(nulls_last=True) if self.few else "-start_ms"
        return jobs.order_by(newest, "-pk")

    def floor_ms(self, after: Place | None = None, summed: int = LOOKED_AT) -> int | None:
        """The start of the last candidate that may be looked at; None if all of them may.

        Where no condition is left to be tried that is known after ``summed`` of them, as many as are added up.
        """
        if self.few:
            return None
        most = self.budget if self.tried_one_by_one else min(summed, self.budget)
        found = self.candidates(after).values_list("start_ms", flat=True)[most : most + 1]
        return next(iter(found), None)

    def matching(self, after: Place | None = None, floor_ms: int | None = None) -> JobQuerySet:
        """Candidates down to a floor that meet the other conditions too."""
        jobs = self.candidates(after)
        if floor_ms is not None:
            jobs = jobs.filter(start_ms__gte=floor_ms)
        for kind in self._rest:
            jobs = getattr(self, f"_with_{kind}")(jobs)
        if self._array_rest:
            jobs = jobs.alias(an_array=Coalesce(F("array_job_id"), Value(-1))).filter(an_array=self.wanted.array)
        return jobs.filter(name__icontains=self.wanted.text) if self.wanted.is_name else jobs

    # --- The leading condition --------------------------------------------------------------------

    def _leading(self) -> tuple[Q, set[str]]:
        """The condition that an index answers in the list's order, and which fields of the filter it is."""
        wanted, ids = self.wanted, [m.pk for m in self.clusters]
        if wanted.text and not wanted.is_name:
            if array := array_of(wanted.text):
                return Q(cluster__in=ids, array_job_id=array), {"cluster"}
            self.few = True
            return Q(pk__in=named(ids, wanted.text)), {"cluster"}
        if wanted.array is not None:
            return Q(cluster__in=ids, array_job_id=wanted.array), {"cluster", "array"}
        if wanted.user:
            return Q(username=wanted.user), {"user"}
        if wanted.running:
            return Q(end_ms__isnull=True), set()
        if wanted.project:
            return Q(account=wanted.project), {"project"}
        if wanted.state in STATES:
            return Q(state=wanted.state), {"state"}
        if wanted.cluster:
            return Q(cluster__in=ids), {"cluster"}
        return Q(), set()

    # --- Conditions tried one by one: not on the bare column, or the database might prefer its index and sort --------

    def _with_user(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "username", [self.wanted.user])

    def _with_project(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "account", [self.wanted.project])

    def _with_cluster(self, jobs: JobQuerySet) -> JobQuerySet:
        one = Coalesce(F("cluster_id"), Value(0))
        return jobs.alias(one_cluster=one).filter(one_cluster__in=[m.pk for m in self.clusters])

    def _with_partition(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "partition", [self.wanted.partition])

    def _with_state(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "state", STATE_GROUPS.get(self.wanted.state, [self.wanted.state]))

    def _with_workload(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "workload", [self.wanted.workload])

    def _with_phase(self, jobs: JobQuerySet) -> JobQuerySet:
        return _equal(jobs, "phase", [self.wanted.phase])

    def _with_quality(self, jobs: JobQuerySet) -> JobQuerySet:
        booked = Coalesce(F("energy__quality"), Value(Quality.NONE.value))
        return jobs.alias(booked_quality=booked).filter(booked_quality=self.wanted.quality)

    def _with_node_type(self, jobs: JobQuerySet) -> JobQuerySet:
        held = Allocation.objects.filter(run__job=OuterRef("pk"), node__configs__node_type__name=self.wanted.node_type)
        return jobs.filter(Exists(held))


def _equal(jobs: JobQuerySet, field: str, values: Iterable[str]) -> JobQuerySet:
    return jobs.alias(**{f"one_{field}": Coalesce(F(field), Value(""))}).filter(**{f"one_{field}__in": sorted(values)})
