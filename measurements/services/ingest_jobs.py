"""Job records into jobs, runs and allocations: the one writer of these tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Q

from measurements.domain.integrate import NOMINAL_WINDOW_MS
from measurements.domain.nodeday import Policy
from measurements.domain.slurm import has_ended
from measurements.domain.units import DAY_MS, MS_PER_S, day_from_ms, ms_from_datetime
from measurements.models import (
    Allocation,
    AllocationEnergy,
    Batch,
    Cluster,
    Job,
    Node,
    PendingCorrection,
    PolicyPeriod,
    Run,
)
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, ParseOptions, Refusal
from measurements.parsers.source import Source
from measurements.services.batches import IngestReport, QuarantineDraft, earlier_batch, new_batch, refused_lines
from measurements.services.bulk import insert
from measurements.services.judge import NodeDirectory
from measurements.services.marks import mark_day, mark_jobs, mark_node_days, sealed_days
from measurements.services.tags import Tagger, apply_tags, save_tags
from measurements.store import days_between

JOBS = Batch.Content.JOBS
CHUNK = 1_000  # records a transaction
REQUEUE_DAYS = 30
LARGEST_GPU_INDEX = 62
WAITING = frozenset({"PENDING"})  # holds nothing, even where a stale snapshot names nodes and a start
Parser = Callable[[Source, ParseOptions, int], Iterator[JobChunk]]

_JOB_FIELDS = (
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
_RUN_FIELDS = (
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
_TAGS = ("workload", "phase")
_LABELS = ("state", "partition", *_TAGS)  # what roll-ups group jobs by beside whose they are
_ALLOCATION_FIELDS = ("node_id", "start_ms", "end_ms", "cpus", "gpus", "gpu_mask", "exclusive", "cpu_rate")


@dataclass(frozen=True, slots=True)
class JobsInput:
    """What the operator said of a file of job records."""

    parser: Parser
    format_name: str = ""
    parse: ParseOptions = field(default_factory=ParseOptions)

    def identity(self) -> dict[str, object]:
        """The part of a batch's identity that is not its bytes."""
        return {
            "format": self.format_name,
            "time_zone": str(self.parse.time_zone) if self.parse.time_zone else None,
        }


@dataclass(slots=True)
class _Tally:
    quarantine: QuarantineDraft = field(default_factory=QuarantineDraft)
    warnings: list[str] = field(default_factory=list)
    read: int = 0
    skipped: int = 0
    stored: int = 0
    duplicates: int = 0


def ingest_jobs(
    cluster: Cluster,
    source: Source,
    what: JobsInput,
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Take job records, each run once; a record that says nothing new changes nothing."""
    earlier = earlier_batch(cluster, JOBS, source, what.identity())
    again = set(refused_lines(earlier).tolist()) if earlier else None
    tally = _Tally()
    directory = NodeDirectory(cluster)
    held: list[JobRecord] = []
    for chunk in what.parser(source, what.parse, ms_from_datetime(now)):
        _take(cluster, chunk, again, tally, held)
        while len(held) >= CHUNK:
            _store(directory, held[:CHUNK], tally, dry_run=dry_run)
            del held[:CHUNK]
        if progress:
            progress(chunk.read)
    _store(directory, held, tally, dry_run=dry_run)
    batch = None if dry_run else _save_batch(cluster, source, what, now, tally)
    return IngestReport(
        source=source.name,
        batch=batch.pk if batch else None,
        read=tally.read - tally.skipped,
        stored=tally.stored,
        duplicates=tally.duplicates,
        refused=tally.quarantine.counts(),
        warnings=tally.warnings,
    )


def _take(cluster: Cluster, chunk: JobChunk, again: set[int] | None, tally: _Tally, held: list[JobRecord]) -> None:
    tally.read += chunk.read
    tally.skipped += chunk.skipped
    tally.warnings += [w for w in chunk.warnings if w not in tally.warnings]
    tally.quarantine.add(chunk.refusals)
    for record in chunk.records:
        if record.cluster and record.cluster != cluster.name:
            warning = f"the file says cluster {record.cluster}; --cluster {cluster.name} is taken"
            if warning not in tally.warnings:
                tally.warnings.append(warning)
        if again is not None and record.line not in again:
            tally.duplicates += 1
        else:
            held.append(record)


@transaction.atomic
def _save_batch(cluster: Cluster, source: Source, what: JobsInput, now: datetime, tally: _Tally) -> Batch:
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    batch = earlier_batch(cluster, JOBS, source, what.identity())
    if batch is None:
        batch = new_batch(cluster, JOBS, source, what.identity(), now)
    batch.read = tally.read - tally.skipped
    batch.stored += tally.stored
    batch.duplicates = tally.duplicates
    batch.refused = tally.quarantine.total
    batch.save()
    tally.quarantine.save(batch)
    return batch


def _store(directory: NodeDirectory, records: Sequence[JobRecord], tally: _Tally, *, dry_run: bool) -> None:
    """Write some records in one transaction, with the marks of what they change."""
    if not records:
        return
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=directory.cluster.pk)
        writer = _Writer(directory, records)
        for record in records:
            fault = _fault(record)
            if fault:
                tally.quarantine.add([fault])
            elif writer.take(record):
                tally.stored += 1
            else:
                tally.duplicates += 1
        writer.flush(Tagger(directory.cluster))  # the rules as they are now: they may have changed since the file began
        if dry_run:
            transaction.set_rollback(True)


def _fault(record: JobRecord) -> Refusal | None:
    text = f"{record.job_id} {record.username} {record.state}"
    if record.start_ms is not None and record.end_ms is not None and record.end_ms < record.start_ms:
        return Refusal("end before start", record.line, f"job {record.job_id}: correct its times", text)
    indices = [i for share in record.shares for i in share.gpu_indices or ()]
    if any(not 0 <= i <= LARGEST_GPU_INDEX for i in indices):
        return Refusal("GPU index out of range", record.line, f"job {record.job_id}: 0 to {LARGEST_GPU_INDEX}", text)
    return None


class _Writer:
    """Some records against what the database knows of them."""

    def __init__(self, directory: NodeDirectory, records: Sequence[JobRecord]) -> None:
        self.cluster = directory.cluster
        self.directory = directory
        self.hybrid = PolicyPeriod.objects.filter(cluster=self.cluster, policy=Policy.HYBRID).exists()
        self.marks: set[tuple[int, date]] = set()
        self.corrections: list[tuple[date, dict[str, object]]] = []
        self.moved: dict[int, dict[str, object]] = {}  # by job: whose it was before
        self.labels: dict[int, tuple[object, ...]] = {}  # by job: as its roll-ups have it
        self.touched: dict[int, Job] = {}  # by id() until saved
        self.new_jobs: list[Job] = []
        self.new_runs: list[Run] = []
        self.changed_runs: dict[int, Run] = {}
        self.new_allocations: list[Allocation] = []
        self.changed_allocations: dict[int, Allocation] = {}
        self.dropped: list[int] = []
        self._load(records)

    @cached_property
    def last_sample(self) -> dict[int, int]:
        """Per node its newest sample [ms]; read inside the transaction, which holds the cluster's row."""
        rows = Node.objects.filter(cluster=self.cluster, last_sample_ms__isnull=False)
        return {pk: last for pk, last in rows.values_list("pk", "last_sample_ms") if last is not None}

    def _load(self, records: Sequence[JobRecord]) -> None:
        raw_ids = {r.raw_id for r in records if r.raw_id is not None}
        texts = {r.job_id for r in records}
        sluids = {r.sluid for r in records if r.sluid}
        known = Run.objects.filter(job__cluster=self.cluster).filter(
            Q(job__raw_id__in=raw_ids) | Q(job__job_id__in=texts) | Q(sluid__in=sluids)
        )
        self.runs: dict[int | str, list[Run]] = {}
        self.by_sluid: dict[str, Run] = {}
        self.allocations: dict[int, list[Allocation]] = {}
        for run in known.select_related("job").order_by("pk"):
            self._index(run)
            self.labels[run.job_id] = _labels(run.job)
        for row in Allocation.objects.filter(run__in=known).order_by("pk"):
            self.allocations.setdefault(row.run_id, []).append(row)

    def _index(self, run: Run) -> None:
        keys: list[int | str] = [run.job.job_id]
        if run.job.raw_id is not None:
            keys.append(run.job.raw_id)
        for key in keys:
            rows = self.runs.setdefault(key, [])
            if not any(row is run for row in rows):
                rows.append(run)
        if run.sluid:
            self.by_sluid[run.sluid] = run

    def take(self, record: JobRecord) -> bool:
        """Whether a record says anything new; if so it is noted for writing."""
        run = self._match(record)
        if run is None:
            job = self._job_for(record)
            run = Run(job=job, **_run_values(record))
            self.new_runs.append(run)
            self._merge_job(job, record)
            self._index(run)
            self._note(job)
            self._allocate(run, record)
            return True
        if _ended(run.state, run.end_ms) and not _ended(record.state, record.end_ms):
            return False  # an older view of a run that has ended since
        changed = self._merge_run(run, record)
        owner = (run.job.username, run.job.account)
        changed |= self._merge_job(run.job, record)
        if run.job.pk and owner != (run.job.username, run.job.account):
            self.moved.setdefault(run.job.pk, {"job": run.job.job_id, "before": owner})
        changed |= self._allocate(run, record)
        if changed:
            self._note(run.job)
            self._index(run)
        return changed

    def _match(self, record: JobRecord) -> Run | None:
        """By SLUID, then (id, submit), then (id, start); without a submit time by the id alone."""
        if record.sluid and record.sluid in self.by_sluid:
            return self.by_sluid[record.sluid]
        key: int | str = record.raw_id if record.raw_id is not None else record.job_id
        rows = self.runs.get(key) or self.runs.get(record.job_id) or []
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

    def _job_for(self, record: JobRecord) -> Job:
        """The job a new run belongs to: one of the same id, user and name within 30 days, else a new one."""
        key: int | str = record.raw_id if record.raw_id is not None else record.job_id
        when = record.submit_ms if record.submit_ms is not None else record.start_ms
        for run in reversed(self.runs.get(key, [])):
            job = run.job
            then = run.submit_ms if run.submit_ms is not None else run.start_ms
            near = when is None or then is None or abs(when - then) <= REQUEUE_DAYS * DAY_MS
            if near and job.username == record.username and job.name == record.name:
                return job
        job = Job(cluster=self.cluster, state=record.state)
        self.new_jobs.append(job)
        return job

    def _merge_job(self, job: Job, record: JobRecord) -> bool:
        said = {name: getattr(record, name) for name in _JOB_FIELDS if getattr(record, name) not in (None, "")}
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
            self.changed_runs[run.pk] = run
        return bool(changed)

    def _note(self, job: Job) -> None:
        self.touched[id(job)] = job

    # --- allocations --------------------------------------------------------------------------

    def _allocate(self, run: Run, record: JobRecord) -> bool:
        """Make the run's allocations what the record says; whether anything changed."""
        wanted = self._wanted(run, record)
        present = {row.node_name: row for row in self._rows(run)}
        changed = False
        for name, values in wanted.items():
            row = present.get(name)
            if row is None:
                row = Allocation(run=run, node_name=name, **values)
                self.new_allocations.append(row)
                self._rows(run).append(row)
                self._mark_span(row.node_id, row.start_ms, self._end(row))
                changed = True
            elif any(getattr(row, field_name) != value for field_name, value in values.items()):
                self._change(row, values)
                changed = True
        for name in present.keys() - wanted.keys():
            self._drop(run, present[name])
            changed = True
        return changed

    def _rows(self, run: Run) -> list[Allocation]:
        key = run.pk if run.pk else -id(run)
        return self.allocations.setdefault(key, [])

    def _wanted(self, run: Run, record: JobRecord) -> dict[str, dict[str, Any]]:
        if run.start_ms is None or record.start_ms is None or record.state in WAITING:
            return {}
        return {share.node: self._values(run, record, share) for share in record.shares}

    def _values(self, run: Run, record: JobRecord, share: NodeShare) -> dict[str, Any]:
        node_id = self.directory.at(share.node, run.start_ms or 0)
        values: dict[str, Any] = {
            "node_id": node_id if node_id >= 0 else None,
            "start_ms": run.start_ms,
            "end_ms": run.end_ms,
            "cpus": share.cpus,
            "gpus": share.gpus,
            "exclusive": run.exclusive,
            "cpu_rate": _cpu_rate(run, share, len(record.shares)),
        }
        if share.gpu_indices is not None:  # accounting does not say which: what a GpuHold said stays
            values["gpu_mask"] = sum(1 << i for i in set(share.gpu_indices))
        return values

    def _change(self, row: Allocation, values: dict[str, Any]) -> None:
        before = {name: getattr(row, name) for name in _ALLOCATION_FIELDS}
        before_end = self._end(row)
        for name, value in values.items():
            setattr(row, name, value)
        only_times = all(
            before[name] == getattr(row, name)
            for name in _ALLOCATION_FIELDS
            if name not in ("start_ms", "end_ms") and (name != "cpu_rate" or self.hybrid)
        )
        if only_times:
            days = self._mark_span(row.node_id, *sorted((before["start_ms"], row.start_ms)))
            days |= self._mark_span(row.node_id, *sorted((before_end, self._end(row))))
        else:
            days = self._mark_span(before["node_id"], before["start_ms"], before_end)
            days |= self._mark_span(row.node_id, row.start_ms, self._end(row))
        if row.pk:
            self.changed_allocations[row.pk] = row
            self._note_sealed(row, before, days)

    def _drop(self, run: Run, row: Allocation) -> None:
        """The run did not hold this node after all; ledger rows of sealed days keep their allocation."""
        self._mark_span(row.node_id, row.start_ms, self._end(row))
        if not row.pk:
            self.new_allocations = [a for a in self.new_allocations if a is not row]
            self._rows(run).remove(row)
        elif self._sealed_rows(row):
            self._change(row, {"end_ms": row.start_ms})
        else:
            self.dropped.append(row.pk)
            self.changed_allocations.pop(row.pk, None)
            self._rows(run).remove(row)

    def _end(self, row: Allocation) -> int:
        """Where a row's energy ends for now: a running one's soon after its node's last sample."""
        if row.end_ms is not None:
            return row.end_ms
        last = self.last_sample.get(row.node_id or -1)
        return row.start_ms if last is None else max(row.start_ms, last + NOMINAL_WINDOW_MS)

    def _mark_span(self, node_id: int | None, start_ms: int, end_ms: int) -> set[date]:
        """Mark a node's days of [start, end); which."""
        if node_id is None or start_ms >= end_ms:
            return set()
        days = set(days_between(day_from_ms(start_ms), day_from_ms(end_ms - 1)))
        self.marks.update((node_id, day) for day in days)
        return days

    # --- sealed days --------------------------------------------------------------------------

    def _sealed_rows(self, row: Allocation) -> bool:
        booked = AllocationEnergy.objects.filter(allocation=row).values_list("day", flat=True)
        return bool(sealed_days(self.cluster, booked))

    def _note_sealed(self, row: Allocation, before: dict[str, Any], days: set[date]) -> None:
        """Keep what would change of sealed days."""
        names = ("start_ms", "end_ms", "cpus", "gpus")
        detail: dict[str, object] = {
            "job": row.run.job.job_id,
            "node": row.node_name,
            "before": {name: before[name] for name in names},
            "now": {name: getattr(row, name) for name in names},
        }
        self.corrections += [(day, detail) for day in sorted(sealed_days(self.cluster, days))]

    # --- writing ------------------------------------------------------------------------------

    def flush(self, tagger: Tagger) -> None:
        """Write all that was noted."""
        jobs = list(self.touched.values())
        for job in jobs:
            _summarise(job, self._runs_of(job))
        tags = apply_tags(tagger, jobs)
        # Marks first: who is booking one of these node-days finishes before what it read is changed.
        mark_node_days(self.cluster, self.marks)
        Job.objects.bulk_create(self.new_jobs, 1000)
        fresh = {id(job) for job in self.new_jobs}
        fields = [*_JOB_FIELDS, *_TAGS, "state", "start_ms", "end_ms"]
        Job.objects.bulk_update([job for job in jobs if id(job) not in fresh], fields, 200)
        save_tags(jobs, tags)
        Run.objects.bulk_create(self.new_runs, 1000)
        Run.objects.bulk_update(self.changed_runs.values(), _RUN_FIELDS, 200)
        Allocation.objects.filter(pk__in=self.dropped).delete()
        insert(Allocation, ("run", "node_name", "node", *_ALLOCATION_FIELDS[1:]), self._new_rows())
        Allocation.objects.bulk_update(self.changed_allocations.values(), _ALLOCATION_FIELDS, 200)
        self._note_longest()
        mark_jobs(job.pk for job in jobs)
        self._move_roll_ups()
        self._label_roll_ups()
        self._save_corrections()

    def _move_roll_ups(self) -> None:
        """The days on which jobs drew something that are now another user's or project's: their roll-ups."""
        rows = AllocationEnergy.objects.filter(job__in=self.moved).order_by("day", "job").distinct()
        pairs = list(rows.values_list("day", "job_id"))
        sealed = sealed_days(self.cluster, {day for day, _ in pairs})
        self.corrections += [(day, self.moved[job]) for day, job in pairs if day in sealed]
        for day in sorted({day for day, _ in pairs} - sealed):
            mark_day(self.cluster.pk, day)

    def _label_roll_ups(self) -> None:
        """The days on which jobs drew something that are now in another state, or tagged otherwise.

        Sealed days too: what a job drew on them does not change, only under which name it is added up.
        """
        changed = [job.pk for job in self.touched.values() if self.labels.get(job.pk, _labels(job)) != _labels(job)]
        rows = AllocationEnergy.objects.filter(job__in=changed).order_by("day").values_list("day", flat=True)
        for day in rows.distinct() if changed else ():
            mark_day(self.cluster.pk, day)

    def _new_rows(self) -> Iterator[tuple[Any, ...]]:
        """The new allocations, of runs that are saved by now."""
        for row in self.new_allocations:
            yield row.run.pk, row.node_name, *(getattr(row, name) for name in _ALLOCATION_FIELDS)

    def _save_corrections(self) -> None:
        new_sealed = sealed_days(self.cluster, {day for _, day in self.marks})
        known = {day for day, _ in self.corrections}
        rows = self.corrections + [(day, {}) for day in sorted(new_sealed - known)]
        PendingCorrection.objects.bulk_create(
            PendingCorrection(cluster=self.cluster, day=day, content=JOBS, rows=1, detail=detail)
            for day, detail in rows
        )

    def _runs_of(self, job: Job) -> list[Run]:
        key: int | str = job.raw_id if job.raw_id is not None else job.job_id
        return [run for run in self.runs.get(key, []) if run.job is job or (job.pk and run.job_id == job.pk)]

    def _note_longest(self) -> None:
        rows = [*self.new_allocations, *self.changed_allocations.values()]
        longest = max((row.end_ms - row.start_ms for row in rows if row.end_ms is not None), default=0)
        Cluster.objects.filter(pk=self.cluster.pk, longest_run_ms__lt=longest).update(longest_run_ms=longest)


def _labels(job: Job) -> tuple[object, ...]:
    return tuple(getattr(job, name) for name in _LABELS)


def _run_values(record: JobRecord) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(record, name) for name in _RUN_FIELDS}
    values["suspended_s"] = float(record.suspended_s or 0.0)
    return values


def _ended(state: str, end_ms: int | None) -> bool:
    return has_ended(state, end_known=end_ms is not None)


def _cpu_rate(run: Run, share: NodeShare, nodes: int) -> float | None:
    """Mean CPU seconds per second held on this node: the job's, in proportion to the node's part of its cpus."""
    if run.total_cpu_s is None or run.start_ms is None or run.end_ms is None or run.end_ms <= run.start_ms:
        return None
    part = share.cpus / run.cpus if share.cpus and run.cpus else 1 / nodes
    return run.total_cpu_s * part / ((run.end_ms - run.start_ms) / MS_PER_S)


def _summarise(job: Job, runs: Sequence[Run]) -> None:
    """State, start and end of a job from its runs."""
    ordered = sorted(runs, key=lambda r: (r.start_ms if r.start_ms is not None else 1 << 62, r.submit_ms or 0))
    job.state = ordered[-1].state
    job.start_ms = ordered[0].start_ms
    job.end_ms = ordered[-1].end_ms
