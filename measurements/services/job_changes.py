"""What job records change, noted while they are read and written at once: with marks of the days that change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from measurements.models import Allocation, AllocationEnergy, Batch, Cluster, Job, PendingCorrection, Run
from measurements.services.bulk import insert, save
from measurements.services.known_jobs import TAGS, KnownJobs, labels_of
from measurements.services.marks import mark_day, mark_jobs, mark_node_days, sealed_days
from measurements.services.tags import Tagger, apply_tags, save_tags

JOB_FIELDS = (
    "job_id",
    "raw_id",
    "array_job_id",
    "array_task_id",
    "het_job_id",
    "het_offset",
    "username",
    "account",
    "name",
    "partition",
    "qos",
    "comment",
    "admin_comment",
    "wckey",
    "submit_line",
)
RUN_FIELDS = (
    "sluid",
    "submit_ms",
    "start_ms",
    "end_ms",
    "state",
    "suspended_s",
    "time_limit_s",
    "cpus",
    "gpus",
    "memory_bytes",
    "max_rss_bytes",
    "exclusive",
    "total_cpu_s",
    "consumed_energy_j",
    "cancelled_by_uid",
)
ALLOCATION_FIELDS = ("node_id", "start_ms", "end_ms", "cpus", "gpus", "gpu_mask", "exclusive", "cpu_rate")


@dataclass(slots=True)
class Changes:
    """What is new or other than the database has it."""

    cluster: Cluster
    marks: set[tuple[int, date]] = field(default_factory=set)
    corrections: list[tuple[date, dict[str, object]]] = field(default_factory=list)
    moved: dict[int, dict[str, object]] = field(default_factory=dict)  # by job: whose it was before
    touched: dict[int, Job] = field(default_factory=dict)  # by id() until saved
    new_jobs: list[Job] = field(default_factory=list)
    new_runs: list[Run] = field(default_factory=list)
    changed_runs: dict[int, Run] = field(default_factory=dict)
    new_allocations: list[Allocation] = field(default_factory=list)
    changed_allocations: dict[int, Allocation] = field(default_factory=dict)
    dropped: list[int] = field(default_factory=list)

    def write(self, known: KnownJobs, tagger: Tagger) -> None:
        """All at once, in the caller's transaction, which holds the cluster's row."""
        jobs = list(self.touched.values())
        for job in jobs:
            _summarise(job, known.runs_of(job))
        tags = apply_tags(tagger, jobs)
        # Marks first: who is booking one of these node-days finishes before what it read is changed.
        mark_node_days(self.cluster, self.marks)
        Job.objects.bulk_create(self.new_jobs, 1000)
        fresh = {id(job) for job in self.new_jobs}
        fields = [*JOB_FIELDS, *TAGS, "state", "start_ms", "end_ms"]
        save(Job, fields, [job for job in jobs if id(job) not in fresh])
        save_tags(jobs, tags)
        Run.objects.bulk_create(self.new_runs, 1000)
        save(Run, RUN_FIELDS, self.changed_runs.values())
        Allocation.objects.filter(pk__in=self.dropped).delete()
        insert(Allocation, ("run", "node_name", "node", *ALLOCATION_FIELDS[1:]), self._new_rows())
        save(Allocation, ALLOCATION_FIELDS, self.changed_allocations.values())
        self._note_longest()
        mark_jobs(job.pk for job in jobs)
        self._move_roll_ups()
        self._label_roll_ups(known)
        self._save_corrections()

    def _move_roll_ups(self) -> None:
        """The days on which jobs drew something that are now another user's or project's: their roll-ups."""
        rows = AllocationEnergy.objects.filter(job__in=self.moved).order_by("day", "job").distinct()
        pairs = list(rows.values_list("day", "job_id"))
        sealed = sealed_days(self.cluster, {day for day, _ in pairs})
        self.corrections += [(day, self.moved[job]) for day, job in pairs if day in sealed]
        for day in sorted({day for day, _ in pairs} - sealed):
            mark_day(self.cluster.pk, day)

    def _label_roll_ups(self, known: KnownJobs) -> None:
        """The days on which jobs drew something that are now in another state, or tagged otherwise.

        Sealed days too: what a job drew on them does not change, only under which name it is added up.
        """
        changed = [
            job.pk for job in self.touched.values() if known.labels.get(job.pk, labels_of(job)) != labels_of(job)
        ]
        rows = AllocationEnergy.objects.filter(job__in=changed).order_by("day").values_list("day", flat=True)
        for day in rows.distinct() if changed else ():
            mark_day(self.cluster.pk, day)

    def _new_rows(self) -> Iterator[tuple[Any, ...]]:
        """The new allocations, of runs that are saved by now."""
        for row in self.new_allocations:
            yield row.run.pk, row.node_name, *(getattr(row, name) for name in ALLOCATION_FIELDS)

    def _save_corrections(self) -> None:
        new_sealed = sealed_days(self.cluster, {day for _, day in self.marks})
        known = {day for day, _ in self.corrections}
        rows = self.corrections + [(day, {}) for day in sorted(new_sealed - known)]
        PendingCorrection.objects.bulk_create(
            PendingCorrection(cluster=self.cluster, day=day, content=Batch.Content.JOBS, rows=1, detail=detail)
            for day, detail in rows
        )

    def _note_longest(self) -> None:
        rows = [*self.new_allocations, *self.changed_allocations.values()]
        longest = max((row.end_ms - row.start_ms for row in rows if row.end_ms is not None), default=0)
        Cluster.objects.filter(pk=self.cluster.pk, longest_run_ms__lt=longest).update(longest_run_ms=longest)


def _summarise(job: Job, runs: Sequence[Run]) -> None:
    """State, start and end of a job from its runs."""
    ordered = sorted(runs, key=lambda r: (r.start_ms if r.start_ms is not None else 1 << 62, r.submit_ms or 0))
    job.state = ordered[-1].state
    job.start_ms = ordered[0].start_ms
    job.end_ms = ordered[-1].end_ms
