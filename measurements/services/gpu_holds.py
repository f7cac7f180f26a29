"""Which job held which GPU: the one writer of `GpuHold`, and of the GPU indices that allocations get from it.

Batch accounting keeps only how many GPUs a job had. A hold says which, and comes while the job runs: from a prolog, the
node agent or the controller. It may come before the job's record and before the node has said which UUID is which
index; so holds are kept, and applied as soon as all is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from measurements.domain.integrate import NOMINAL_WINDOW_MS
from measurements.domain.slurm import is_sluid
from measurements.domain.units import DAY_MS, day_from_ms, ms_from_datetime
from measurements.models import Allocation, Batch, Cluster, GpuHold, GpuPlace, PendingCorrection
from measurements.parsers.gpu_holds import GpuHoldRecord
from measurements.parsers.gpu_index import gpu_uuid
from measurements.services.marks import mark_node_days, sealed_days
from measurements.services.names import NodeNames
from measurements.store import days_between

SLACK_MS = 60_000  # by which the clocks of nodes and of the controller may differ
SAME_MS = 10 * SLACK_MS  # seen again within it: the same hold
LARGEST_INDEX = 62
LONGEST_AHEAD_MS = DAY_MS
WAITING = timedelta(days=30)  # a hold whose job never came is forgotten then
AT_ONCE = 2_000
_WORD_LIMIT = 255

Key = tuple[str, str, str, int]  # job, node, UUID, index


@dataclass(slots=True)
class HoldsReport:
    """What became of some holds: told = stored + known + refused; applied are those that an allocation has now."""

    stored: int = 0
    known: int = 0
    applied: int = 0
    waiting: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For an answer, and for the report of a feed."""
        refused = [{"reason": reason, "count": count} for reason, count in sorted(self.refused.items())]
        return {
            "stored": self.stored, "duplicates": self.known, "applied": self.applied, "waiting": self.waiting,
            "refused": refused,
        }  # fmt: skip


def take(cluster: Cluster, records: Sequence[GpuHoldRecord], via: str, now: datetime) -> HoldsReport:
    """Keep holds, each once however often it is told, and apply all that can be."""
    report = HoldsReport()
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
        fresh = _new(cluster, records, via, ms_from_datetime(now), report)
        GpuHold.objects.bulk_create(fresh, 1_000)
        report.applied = _apply(cluster)
    report.stored = len(fresh)
    report.waiting = GpuHold.objects.filter(cluster=cluster, applied=False).count()
    return report


def apply_waiting(now: datetime) -> int:
    """Apply the holds of all clusters whose job, or whose GPU's place, has become known; forget those too old."""
    waiting = GpuHold.objects.filter(applied=False)
    waiting.filter(seen_ms__lt=ms_from_datetime(now - WAITING)).delete()
    applied = 0
    for cluster in Cluster.objects.filter(pk__in=waiting.order_by().values("cluster")):
        with transaction.atomic():
            Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
            applied += _apply(cluster)
    return applied


# --- keeping ----------------------------------------------------------------------------------------------------------


def _new(
    cluster: Cluster, records: Sequence[GpuHoldRecord], via: str, now_ms: int, report: HoldsReport
) -> list[GpuHold]:
    known: dict[Key, list[int]] = defaultdict(list)
    jobs = {record.job_id for record in records}
    rows = GpuHold.objects.filter(cluster=cluster, job_id__in=jobs)
    for job, node, gpu, index, seen_ms in rows.values_list("job_id", "node_name", "gpu", "index", "seen_ms"):
        known[job, node, gpu, index].append(seen_ms)
    directory, runs = NodeNames(cluster), _Runs(cluster, jobs)
    fresh = []
    for record in records:
        fault = _fault(record, directory, now_ms)
        if fault:
            report.refused[fault] += 1
            continue
        hold = GpuHold(
            cluster=cluster, job_id=record.job_id, node_name=record.node, gpu=gpu_uuid(record.gpu),
            index=-1 if record.gpu else record.index, seen_ms=record.seen_ms, via=via,
        )  # fmt: skip
        key = (hold.job_id, hold.node_name, hold.gpu, hold.index)
        if any(runs.same(hold, seen_ms) for seen_ms in known[key]):
            report.known += 1
        else:
            known[key].append(hold.seen_ms)
            fresh.append(hold)
    return fresh


def _fault(record: GpuHoldRecord, directory: NodeNames, now_ms: int) -> str:
    words = (record.job_id, record.node)
    if not all(word and len(word) <= _WORD_LIMIT and word.isprintable() for word in words):
        return "no job or no node"
    if not record.gpu and not 0 <= record.index <= LARGEST_INDEX:
        return "no GPU: give its UUID or an index from 0 to 62"
    if len(record.gpu) > 64 or not record.gpu.isprintable():
        return "bad UUID"
    if not 0 < record.seen_ms <= now_ms + LONGEST_AHEAD_MS:
        return "time out of range"
    if directory.at(record.node, record.seen_ms) < 0:
        return "unknown node: describe it first, or give the name that Slurm has for it"
    return ""


# --- applying ---------------------------------------------------------------------------------------------------------


class _Runs:
    """What some jobs hold on which node, found by the id as a prolog, an agent or the controller says it."""

    def __init__(self, cluster: Cluster, jobs: Iterable[str]) -> None:
        names = set(jobs)
        numbers = {int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= 18}
        sluids = {name for name in names if is_sluid(name)}
        wanted = Q(run__job__raw_id__in=numbers) | Q(run__job__job_id__in=names) | Q(run__sluid__in=sluids)
        self.names = NodeNames(cluster)
        self.found: dict[str, list[Allocation]] = defaultdict(list)
        rows = Allocation.objects.filter(wanted, run__job__cluster=cluster, node__isnull=False)
        for row in rows.select_related("run__job", "node").order_by("pk"):
            job = row.run.job
            for name in {str(job.raw_id) if job.raw_id is not None else job.job_id, job.job_id, row.run.sluid}:
                self.found[name].append(row)

    def of(self, job_id: str, node_name: str, seen_ms: int) -> Allocation | None:
        """The allocation in which something was seen; where two runs are near, the later one."""
        node = self.names.at(node_name, seen_ms)
        rows = [
            row
            for row in self.found.get(job_id, ())
            if row.node_id == node
            and row.start_ms - SLACK_MS <= seen_ms
            and (row.end_ms is None or seen_ms <= row.end_ms + SLACK_MS)
        ]
        raw = [row for row in rows if str(row.run.job.raw_id) == job_id]
        return max(raw or rows, key=lambda row: (row.start_ms, row.pk), default=None)

    def same(self, hold: GpuHold, seen_ms: int) -> bool:
        """Whether a hold is one that was seen before: in the same run, or so lately that it is."""
        now, then = (self.of(hold.job_id, hold.node_name, ms) for ms in (hold.seen_ms, seen_ms))
        if now is not None and then is not None:
            return now.pk == then.pk
        return abs(hold.seen_ms - seen_ms) <= SAME_MS


def _apply(cluster: Cluster) -> int:
    """Write the indices of waiting holds to their allocations; how many holds that were."""
    done = 0
    last = 0
    while True:
        holds = list(GpuHold.objects.filter(cluster=cluster, applied=False, pk__gt=last).order_by("pk")[:AT_ONCE])
        if not holds:
            return done
        last = holds[-1].pk
        done += _apply_some(cluster, holds)


def _apply_some(cluster: Cluster, holds: list[GpuHold]) -> int:
    runs = _Runs(cluster, [hold.job_id for hold in holds])
    places = _places(cluster, {hold.gpu for hold in holds if hold.gpu})
    masks: dict[int, int] = defaultdict(int)
    rows: dict[int, Allocation] = {}
    applied = []
    for hold in holds:
        row = runs.of(hold.job_id, hold.node_name, hold.seen_ms)
        index = _index(hold, row, places)
        if row is None or not 0 <= index <= LARGEST_INDEX:
            continue
        rows[row.pk] = row
        masks[row.pk] |= 1 << index
        applied.append(hold.pk)
    _write(cluster, [(rows[pk], rows[pk].gpu_mask | mask) for pk, mask in masks.items()])
    GpuHold.objects.filter(pk__in=applied).update(applied=True)
    return len(applied)


def _places(cluster: Cluster, uuids: set[str]) -> dict[tuple[int, str], list[tuple[int, int]]]:
    """By node and UUID: from when on which index, in order."""
    found: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    rows = GpuPlace.objects.filter(node__cluster=cluster, uuid__in=uuids).order_by("valid_from_ms")
    for node, uuid, since_ms, index in rows.values_list("node_id", "uuid", "valid_from_ms", "index"):
        found[node, uuid].append((since_ms, index))
    return found


def _index(hold: GpuHold, row: Allocation | None, places: dict[tuple[int, str], list[tuple[int, int]]]) -> int:
    """The index that was told, or that the UUID had then (or got first, if its place was told later); else -1."""
    if row is None or not hold.gpu:
        return hold.index
    known = places.get((row.node_id or -1, hold.gpu), [])
    before = [index for since_ms, index in known if since_ms <= hold.seen_ms]
    return before[-1] if before else known[0][1] if known else -1


def _write(cluster: Cluster, wanted: list[tuple[Allocation, int]]) -> None:
    """New masks, with the marks of the node-days that are to be shared anew."""
    changed: list[Allocation] = []
    days: set[tuple[int, date]] = set()
    corrections: list[tuple[date, dict[str, object]]] = []
    for row, mask in wanted:
        if mask == row.gpu_mask:
            continue
        row.gpu_mask = mask
        changed.append(row)
        own = _days(row)
        days |= {(row.node_id or 0, day) for day in own}
        detail: dict[str, object] = {"job": row.run.job.job_id, "node": row.node_name, "now": {"gpu_mask": mask}}
        corrections += [(day, detail) for day in own]
    mark_node_days(cluster, days)  # before what they are made of is changed
    Allocation.objects.bulk_update(changed, ["gpu_mask"], 500)
    sealed = sealed_days(cluster, {day for _, day in days})
    PendingCorrection.objects.bulk_create(
        PendingCorrection(cluster=cluster, day=day, content=Batch.Content.JOBS, rows=1, detail=detail)
        for day, detail in corrections
        if day in sealed
    )


def _days(row: Allocation) -> list[date]:
    """The days of an allocation; of one that lasts, up to its node's newest sample."""
    last = row.node.last_sample_ms if row.node else None
    open_end = row.start_ms if last is None else max(row.start_ms, last + NOMINAL_WINDOW_MS)
    end_ms = row.end_ms if row.end_ms is not None else open_end
    return list(days_between(day_from_ms(row.start_ms), day_from_ms(max(end_ms - 1, row.start_ms))))
