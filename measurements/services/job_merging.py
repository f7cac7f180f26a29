"""Job records against what the database knows: a record that says nothing new changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from measurements.domain.slurm import has_ended
from measurements.models import Job, Run
from measurements.parsers.records import JobRecord
from measurements.services.job_allocations import RunAllocations
from measurements.services.job_changes import JOB_FIELDS, RUN_FIELDS, Changes
from measurements.services.judge import NodeDirectory
from measurements.services.known_jobs import KnownJobs
from measurements.services.tags import Tagger


class Merging:
    """Some records, taken one by one and written together."""

    def __init__(self, directory: NodeDirectory, records: Sequence[JobRecord]) -> None:
        self.cluster = directory.cluster
        self.known = KnownJobs(self.cluster, records)
        self.changes = Changes(self.cluster)
        self.allocations = RunAllocations(directory, self.known, self.changes)

    def take(self, record: JobRecord) -> bool:
        """Whether a record says anything new; if so it is noted for writing."""
        run = self.known.run_of(record)
        if run is None:
            self._begin(record)
            return True
        if _ended(run.state, run.end_ms) and not _ended(record.state, record.end_ms):
            return False  # an older view of a run that has ended since
        changed = self._merge_run(run, record)
        owner = (run.job.username, run.job.account)
        changed |= self._merge_job(run.job, record)
        if run.job.pk and owner != (run.job.username, run.job.account):
            self.changes.moved.setdefault(run.job.pk, {"job": run.job.job_id, "before": owner})
        changed |= self.allocations.take(run, record)
        if changed:
            self._note(run.job)
            self.known.add(run)
        return changed

    def tells_more(self, record: JobRecord) -> bool:
        """Whether a record is of a run that is not known, or that has ended since it was recorded."""
        run = self.known.run_of(record)
        return run is None or (_ended(record.state, record.end_ms) and not _ended(run.state, run.end_ms))

    def write(self, tagger: Tagger) -> None:
        """All that was taken."""
        self.changes.write(self.known, tagger)

    def _begin(self, record: JobRecord) -> None:
        """A run that is not known."""
        job = self.known.job_of(record)
        if job is None:
            job = Job(cluster=self.cluster, state=record.state)
            self.changes.new_jobs.append(job)
        run = Run(job=job, **_run_values(record))
        self.changes.new_runs.append(run)
        self._merge_job(job, record)
        self.known.add(run)
        self._note(job)
        self.allocations.take(run, record)

    def _merge_job(self, job: Job, record: JobRecord) -> bool:
        said = {name: getattr(record, name) for name in JOB_FIELDS if getattr(record, name) not in (None, "")}
        changed = {name: value for name, value in said.items() if getattr(job, name) != value}
        for name, value in changed.items():
            setattr(job, name, value)
        return bool(changed)

    def _merge_run(self, run: Run, record: JobRecord) -> bool:
        values = _run_values(record)
        said = {name: value for name, value in values.items() if value not in (None, "")}
        changed = {name: value for name, value in said.items() if getattr(run, name) != value}
        for name, value in changed.items():
            setattr(run, name, value)
        if changed and run.pk:
            self.changes.changed_runs[run.pk] = run
        return bool(changed)

    def _note(self, job: Job) -> None:
        self.changes.touched[id(job)] = job


def _run_values(record: JobRecord) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(record, name) for name in RUN_FIELDS}
    values["suspended_s"] = float(record.suspended_s or 0.0)
    return values


def _ended(state: str, end_ms: int | None) -> bool:
    return has_ended(state, end_known=end_ms is not None)
