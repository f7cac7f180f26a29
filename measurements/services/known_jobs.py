"""What the database knows of the jobs that some records are of: which run a record continues, which job it is of."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from measurements.domain.units import DAY_MS
from measurements.models import Allocation, Cluster, Job, Run
from measurements.parsers.records import JobRecord

REQUEUE_DAYS = 30
TAGS = ("workload", "phase")
_LABELS = ("state", "partition", *TAGS)  # what roll-ups group jobs by beside whose they are


class KnownJobs:
    """Runs and allocations that records may continue, and those that these records begin."""

    def __init__(self, cluster: Cluster, records: Sequence[JobRecord]) -> None:
        self.labels: dict[int, tuple[object, ...]] = {}  # by job: as its roll-ups have it
        self._runs: dict[int | str, list[Run]] = {}
        self._by_sluid: dict[str, Run] = {}
        self._allocations: dict[int, list[Allocation]] = {}
        raw_ids = {r.raw_id for r in records if r.raw_id is not None}
        texts = {r.job_id for r in records}
        sluids = {r.sluid for r in records if r.sluid}
        known = Run.objects.filter(job__cluster=cluster).filter(
            Q(job__raw_id__in=raw_ids) | Q(job__job_id__in=texts) | Q(sluid__in=sluids)
        )
        for run in known.select_related("job").order_by("pk"):
            self.add(run)
            self.labels[run.job_id] = labels_of(run.job)
        for row in Allocation.objects.filter(run__in=known).order_by("pk"):
            self._allocations.setdefault(row.run_id, []).append(row)

    def add(self, run: Run) -> None:
        """By what a record may name it."""
        keys: list[int | str] = [run.job.job_id]
        if run.job.raw_id is not None:
            keys.append(run.job.raw_id)
        for key in keys:
            rows = self._runs.setdefault(key, [])
            if not any(row is run for row in rows):
                rows.append(run)
        if run.sluid:
            self._by_sluid[run.sluid] = run

    def run_of(self, record: JobRecord) -> Run | None:
        """By SLUID, then (id, submit), then (id, start); without a submit time by the id alone."""
        if record.sluid and record.sluid in self._by_sluid:
            return self._by_sluid[record.sluid]
        key: int | str = record.raw_id if record.raw_id is not None else record.job_id
        rows = self._runs.get(key) or self._runs.get(record.job_id) or []
        rows = [r for r in rows if not (record.sluid and r.sluid and r.sluid != record.sluid)]
        if record.submit_ms is not None:
            found = [r for r in rows if r.submit_ms == record.submit_ms]
            if found:
                return found[-1]
        if record.start_ms is not None:
            found = [
                r for r in rows if r.start_ms == record.start_ms and (r.submit_ms is None or record.submit_ms is None)
            ]
            if found:
                return found[-1]
        return rows[-1] if rows and record.submit_ms is None and not record.sluid else None

    def job_of(self, record: JobRecord) -> Job | None:
        """The job a new run belongs to: one of the same id, user and name within 30 days; None: a new one."""
        key: int | str = record.raw_id if record.raw_id is not None else record.job_id
        when = record.submit_ms if record.submit_ms is not None else record.start_ms
        for run in reversed(self._runs.get(key, [])):
            job = run.job
            then = run.submit_ms if run.submit_ms is not None else run.start_ms
            near = when is None or then is None or abs(when - then) <= REQUEUE_DAYS * DAY_MS
            if near and job.username == record.username and job.name == record.name:
                return job
        return None

    def runs_of(self, job: Job) -> list[Run]:
        """Those of a job."""
        key: int | str = job.raw_id if job.raw_id is not None else job.job_id
        return [run for run in self._runs.get(key, []) if run.job is job or (job.pk and run.job_id == job.pk)]

    def rows_of(self, run: Run) -> list[Allocation]:
        """Its allocations, to be added to."""
        key = run.pk if run.pk else -id(run)
        return self._allocations.setdefault(key, [])


def labels_of(job: Job) -> tuple[object, ...]:
    """Under which names what it drew is added up."""
    return tuple(getattr(job, name) for name in _LABELS)
