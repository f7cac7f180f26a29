"""What jobs count as: the one writer of their tags, from comments, rules and people's edits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max

from measurements.domain.tag_edits import TagsRefused, checked_edit
from measurements.domain.tagging import KEYS, Tagged, sources, strongest
from measurements.models import AllocationEnergy, Cluster, Job, JobTags, TagEdit, TagRule, TagState
from measurements.selectors.tag_rules import READ, rules_in_force
from measurements.services.bulk import assign, insert
from measurements.services.marks import mark_days, mark_jobs, new_version

MOST_EDITED = 10_000  # jobs at once
LOT = 300  # a tenth of a second
BREATH_S = 0.02  # after each lot: in the web process pages come first
PASS_S = 20.0  # a pass over all jobs goes on for so long, then lets others work
_COLUMNS = ("job", "size", "target", "work", "unit", *(f"{key}_origin" for key in KEYS))
_STEP = 10  # between the positions of two rules


class Tagger:
    """The rules of a cluster, read once: within the transaction that uses it, which holds the cluster's row."""

    def __init__(self, cluster: Cluster) -> None:
        self.rules = rules_in_force(cluster)

    def tags(self, jobs: Sequence[Job], edits: Mapping[int, TagEdit]) -> list[Tagged]:
        """What some jobs count as, with their edits by job."""
        said = sources([{name: getattr(job, name) for name in READ} for job in jobs], self.rules)
        return [strongest(one, edited(edits.get(job.pk))) for job, one in zip(jobs, said, strict=True)]


def apply_tags(tagger: Tagger, jobs: Iterable[Job]) -> dict[int, Tagged]:
    """Set workload and phase of jobs (not saved by this); their tags by id() of the job, for `save_tags`."""
    jobs = list(jobs)
    edits = TagEdit.objects.in_bulk([job.pk for job in jobs if job.pk])
    found = {}
    for job, now in zip(jobs, tagger.tags(jobs, edits), strict=True):
        found[id(job)] = now
        job.workload, job.phase = now.tags.workload, now.tags.phase
    return found


def save_tags(jobs: Iterable[Job], found: Mapping[int, Tagged]) -> None:
    """Write the tags of saved jobs as `apply_tags` found them."""
    rows, without = [], []
    for job in jobs:
        tags, origin = found[id(job)]
        if origin:
            names = [origin.get(key, "") for key in KEYS]
            rows.append((job.pk, tags.size, tags.target, tags.work, tags.unit, *names))
        else:
            without.append(job.pk)
    JobTags.objects.filter(pk__in=without).delete()
    insert(JobTags, _COLUMNS, rows, unique=("job",))


@transaction.atomic
def retag(cluster: Cluster, job_ids: Sequence[int]) -> int:
    """Tag some jobs of a cluster by what is said of them now, and mark what changes with it; how many now count as
    something else."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)  # ingest writes jobs under the same lock
    jobs = list(Job.objects.filter(cluster=cluster, pk__in=job_ids).order_by("pk"))
    before = {job.pk: (job.workload, job.phase) for job in jobs}
    known = {row.pk: _stored(row) for row in JobTags.objects.filter(pk__in=list(before))}
    found = apply_tags(Tagger(cluster), jobs)
    stated = {job.pk: _as_stored(found[id(job)]) for job in jobs}
    relabelled = [job for job in jobs if before[job.pk] != (job.workload, job.phase)]
    written = [job for job in jobs if known.get(job.pk) != stated[job.pk]]
    assign(Job, "workload", ((job.workload, job.pk) for job in relabelled))
    assign(Job, "phase", ((job.phase, job.pk) for job in relabelled))
    save_tags(written, found)
    moved = {job.pk for job in relabelled}
    moved |= {job.pk for job in written if _values(known.get(job.pk)) != _values(stated[job.pk])}
    mark_jobs(moved)
    # Sealed days too: what a job drew on them does not change, only under which name it is added up.
    days = AllocationEnergy.objects.filter(job__in=[job.pk for job in relabelled]).order_by("day")
    mark_days(cluster.pk, days.values_list("day", flat=True).distinct())
    return len(moved)


def edit_tags(editor: str, job_ids: Sequence[int], said: Mapping[str, object], now: datetime) -> int:
    """Set tags of some jobs for a person who may (the caller has checked); how many jobs now count as something else.

    ``said`` has any of workload, phase, size, target, work and unit; `""` takes a tag away, None takes the edit back,
    so that comments and rules hold again; what is missing stays as it is.

    Raises
    ------
    TagsRefused
        For too many jobs, or a value that can't be kept.
    """
    if len(job_ids) > MOST_EDITED:
        raise TagsRefused("jobs", f"at most {MOST_EDITED} jobs at once, these are {len(job_ids)}: narrow the filter")
    values = checked_edit(said)
    changed = 0
    by_cluster: dict[int, list[int]] = {}
    for pk, cluster_id in Job.objects.filter(pk__in=job_ids).order_by("pk").values_list("pk", "cluster_id"):
        by_cluster.setdefault(cluster_id, []).append(pk)
    for cluster in Cluster.objects.filter(pk__in=by_cluster).order_by("pk") if values else ():
        with transaction.atomic():
            Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
            _save_edits(editor, by_cluster[cluster.pk], values, now)
            changed += retag(cluster, by_cluster[cluster.pk])
    return changed


# --- Rules --------------------------------------------------------------------------------------


@transaction.atomic
def save_rule(rule: TagRule) -> None:
    """Store a rule; a new one stands behind those there are."""
    rule.full_clean()
    if rule.pk is None:
        rule.position = (TagRule.objects.aggregate(last=Max("position"))["last"] or 0) + _STEP
    rule.save()
    rules_changed()


@transaction.atomic
def delete_rule(rule: TagRule) -> None:
    """Have a rule no more."""
    rule.delete()
    rules_changed()


@transaction.atomic
def switch_rule(rule: TagRule, *, enabled: bool) -> None:
    """Have a rule apply, or not."""
    TagRule.objects.filter(pk=rule.pk).update(enabled=enabled)
    rules_changed()


@transaction.atomic
def move_rule(rule: TagRule, by: int) -> None:
    """Put a rule before or behind its neighbour (``by`` -1 or 1); at the end of the list it stays."""
    rows = list(TagRule.objects.select_for_update().order_by("position", "pk"))
    place = next((i for i, row in enumerate(rows) if row.pk == rule.pk), None)
    if place is None or not 0 <= place + by < len(rows):
        return
    rows.insert(place + by, rows.pop(place))
    for i, row in enumerate(rows):
        row.position = (i + 1) * _STEP
    TagRule.objects.bulk_update(rows, ["position"])
    rules_changed()


def rules_changed() -> None:
    """Have all jobs tagged anew; call it in the transaction that changes a rule."""
    TagState.objects.update_or_create(pk=_state().pk, defaults={"rules_version": new_version()})


# --- The pass over all jobs ---------------------------------------------------------------------


def retag_due(now: datetime) -> int:
    """Go on tagging all jobs by the rules as they stand, for some seconds; how many jobs were looked at."""
    seen, until = 0, time.monotonic() + PASS_S
    while time.monotonic() < until:
        count = _next_lot()
        if count is None:
            break
        seen += count
        time.sleep(BREATH_S)
    return seen


@transaction.atomic
def _next_lot() -> int | None:
    """One lot of the pass under way; None: all jobs are tagged by the rules in force.

    The clusters are locked before the jobs are looked up: an ingest that began under older rules has then been
    committed, and its jobs are in the lot; one that begins later reads the rules in force.
    """
    state = TagState.objects.select_for_update().get(pk=_state().pk)
    if state.done_version == state.rules_version:
        return None
    if state.at_version != state.rules_version:
        state.at_version, state.next_job = state.rules_version, 0
    clusters = list(Cluster.objects.select_for_update(no_key=True).order_by("pk"))
    rows = list(Job.objects.filter(pk__gte=state.next_job).order_by("pk").values_list("pk", "cluster_id")[:LOT])
    for cluster in clusters:
        if ids := [pk for pk, cluster_id in rows if cluster_id == cluster.pk]:
            retag(cluster, ids)
    if len(rows) < LOT:
        state.done_version = state.rules_version
    state.next_job = rows[-1][0] + 1 if rows else state.next_job
    state.save()
    return len(rows)


class Progress(NamedTuple):
    """How far the pass over all jobs is; roughly, by their ids."""

    waiting: int
    jobs: int


def pass_progress() -> Progress:
    """Roughly how many jobs are not yet tagged by the rules in force, of how many."""
    last = Job.objects.aggregate(last=Max("pk"))["last"] or 0
    state = TagState.objects.order_by("pk").first()
    if state is None:
        return Progress(last, last)
    if state.done_version == state.rules_version:
        return Progress(0, last)
    begun = state.next_job if state.at_version == state.rules_version else 0
    return Progress(max(0, last + 1 - begun) if last else 0, last)


def _state() -> TagState:
    return TagState.objects.order_by("pk").first() or TagState.objects.create(rules_version=1)


# --- Rows ---------------------------------------------------------------------------------------


def edited(edit: TagEdit | None) -> dict[str, Any] | None:
    """What a person set of a job, as `measurements.domain.tagging` takes it."""
    return None if edit is None else {name: getattr(edit, name) for name in (*KEYS, "unit")}


_Stored = tuple[Any, ...]  # size, target, work, unit, then the origins


def _stored(row: JobTags) -> _Stored:
    return (row.size, row.target, row.work, row.unit, *(getattr(row, f"{key}_origin") for key in KEYS))


def _as_stored(now: Tagged) -> _Stored | None:
    if not now.origin:
        return None
    tags = now.tags
    return (tags.size, tags.target, tags.work, tags.unit, *(now.origin.get(key, "") for key in KEYS))


def _values(stored: _Stored | None) -> _Stored:
    return stored[:4] if stored else ("", "", None, "")


def _save_edits(editor: str, job_ids: Sequence[int], values: dict[str, Any], now: datetime) -> None:
    known = TagEdit.objects.in_bulk(job_ids)
    rows = [known.get(pk) or TagEdit(pk=pk) for pk in job_ids]
    for row in rows:
        for name, value in values.items():
            setattr(row, name, value)
        row.edited_by, row.edited_at = editor, now
    kept = [row for row in rows if any(getattr(row, key) is not None for key in KEYS)]
    TagEdit.objects.filter(pk__in={row.pk for row in rows} - {row.pk for row in kept}).delete()
    fields = [*KEYS, "unit", "edited_by", "edited_at"]
    TagEdit.objects.bulk_create(kept, 500, update_conflicts=True, unique_fields=["job"], update_fields=fields)
