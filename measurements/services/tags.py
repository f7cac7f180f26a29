"""What jobs count as: the one writer of their tags, from comments, rules and people's edits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from measurements.domain.tagging import KEYS, Rule, Tagged, compiled, tagged
from measurements.domain.tags import LONGEST_NAME, LONGEST_UNIT, LONGEST_WORKLOAD, PHASES, tag_name
from measurements.models import AllocationEnergy, Cluster, Job, JobTags, TagEdit, TagRule, TagState
from measurements.services.bulk import insert
from measurements.services.marks import mark_day, mark_jobs, new_version

READ = ("comment", "admin_comment", "wckey", "name", "submit_line", "partition", "account")  # fields of a job
MOST_EDITED = 10_000  # jobs at once
LOT = 2_000
PASS_S = 20.0  # a pass over all jobs goes on for so long, then lets others work
_COLUMNS = ("job", "size", "target", "work", "unit", *(f"{key}_origin" for key in KEYS))


class TagsRefused(ValueError):
    """Tags that can't be set; the message says which and why."""


class Tagger:
    """The rules of a cluster, read once."""

    def __init__(self, cluster: Cluster) -> None:
        rules = TagRule.objects.filter(enabled=True).order_by("position", "pk")
        self.rules = tuple(_rule(row) for row in rules if row.cluster_id in (None, cluster.pk))

    def tags(self, job: Job, edit: TagEdit | None) -> Tagged:
        """What a job counts as."""
        return tagged({name: getattr(job, name) for name in READ}, self.rules, _edited(edit))


def apply_tags(tagger: Tagger, jobs: Iterable[Job]) -> dict[int, Tagged]:
    """Set workload and phase of jobs (not saved by this); their tags by id() of the job, for `save_tags`."""
    jobs = list(jobs)
    edits = TagEdit.objects.in_bulk([job.pk for job in jobs if job.pk])
    found = {}
    for job in jobs:
        found[id(job)] = now = tagger.tags(job, edits.get(job.pk) if job.pk else None)
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
def retag(cluster: Cluster, job_ids: Sequence[int], tagger: Tagger | None = None) -> int:
    """Tag some jobs of a cluster by what is said of them now, and mark what changes with it; how many changed."""
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)  # ingest writes jobs under the same lock
    jobs = list(Job.objects.filter(cluster=cluster, pk__in=job_ids).order_by("pk"))
    before = {job.pk: (job.workload, job.phase) for job in jobs}
    known = {row.pk: row for row in JobTags.objects.filter(pk__in=before)}
    found = apply_tags(tagger or Tagger(cluster), jobs)
    changed = [job for job in jobs if _differs(job, before[job.pk], known.get(job.pk), found[id(job)])]
    relabelled = [job for job in changed if before[job.pk] != (job.workload, job.phase)]
    Job.objects.bulk_update(relabelled, ["workload", "phase"], 500)
    save_tags(changed, found)
    mark_jobs(job.pk for job in changed)
    days = AllocationEnergy.objects.filter(job__in=[job.pk for job in relabelled]).order_by("day")
    for day in days.values_list("day", flat=True).distinct():
        mark_day(cluster.pk, day)
    return len(changed)


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
        raise TagsRefused(f"at most {MOST_EDITED} jobs at once, these are {len(job_ids)}: narrow the filter")
    values = _checked(said)
    changed = 0
    for cluster in Cluster.objects.filter(jobs__in=job_ids).distinct():
        ids = list(Job.objects.filter(cluster=cluster, pk__in=job_ids).values_list("pk", flat=True))
        with transaction.atomic():
            Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
            _save_edits(editor, ids, values, now)
            changed += retag(cluster, ids)
    return changed


def rules_changed() -> None:
    """Have all jobs tagged anew; call it in the transaction that changes a rule."""
    TagState.objects.update_or_create(pk=_state().pk, defaults={"rules_version": new_version()})


def retag_due(now: datetime) -> int:
    """Go on tagging all jobs by the rules as they stand, for some seconds; how many jobs were looked at."""
    seen, until = 0, time.monotonic() + PASS_S
    while time.monotonic() < until:
        count = _next_lot()
        if count is None:
            break
        seen += count
    return seen


def _next_lot() -> int | None:
    """One lot of the pass under way; None: all jobs are tagged by the rules in force."""
    with transaction.atomic():
        state = TagState.objects.select_for_update().get(pk=_state().pk)
        if state.done_version == state.rules_version:
            return None
        if state.at_version != state.rules_version:
            state.at_version, state.next_job = state.rules_version, 0
        ids = list(Job.objects.filter(pk__gte=state.next_job).order_by("pk").values_list("pk", flat=True)[:LOT])
        for cluster in Cluster.objects.filter(jobs__in=ids).distinct():
            retag(cluster, ids)
        if len(ids) < LOT:
            state.done_version = state.rules_version
        state.next_job = ids[-1] + 1 if ids else state.next_job
        state.save()
    return len(ids)


def waiting_jobs() -> int:
    """Roughly how many jobs are not yet tagged by the rules in force."""
    state = _state()
    if state.done_version == state.rules_version:
        return 0
    begun = state.next_job if state.at_version == state.rules_version else 0
    return max(0, (Job.objects.aggregate(last=Max("pk"))["last"] or 0) + 1 - begun)


def _state() -> TagState:
    return TagState.objects.order_by("pk").first() or TagState.objects.create(rules_version=1)


def _rule(row: TagRule) -> Rule:
    return Rule(row.pk, row.field, compiled(row.pattern), row.workload, row.phase, row.size, row.target)


def _edited(edit: TagEdit | None) -> dict[str, Any] | None:
    return None if edit is None else {name: getattr(edit, name) for name in (*KEYS, "unit")}


def _differs(job: Job, before: tuple[str, str], row: JobTags | None, now: Tagged) -> bool:
    if before != (job.workload, job.phase) or (row is None) != (not now.origin):
        return True
    if row is None:
        return False
    tags = (row.size, row.target, row.work, row.unit) == (now.tags.size, now.tags.target, now.tags.work, now.tags.unit)
    return not tags or any(getattr(row, f"{key}_origin") != now.origin.get(key, "") for key in KEYS)


def _checked(said: Mapping[str, object]) -> dict[str, Any]:
    """The values to be kept of an edit."""
    values: dict[str, Any] = {}
    for key, longest in (("workload", LONGEST_WORKLOAD), ("size", LONGEST_NAME), ("target", LONGEST_NAME)):
        if key in said:
            values[key] = _name(key, said[key], longest)
    if "phase" in said:
        phase = said["phase"]
        if phase not in (None, "") and str(phase).lower() not in PHASES:
            raise TagsRefused(f"phase: {phase!r} is none of training, inference, development, other")
        values["phase"] = None if phase is None else PHASES.get(str(phase).lower(), "")
    if "work" in said:
        values |= _work(said["work"], str(said.get("unit") or ""))
    return values


def _name(key: str, value: object, longest: int) -> str | None:
    if value is None or value == "":
        return None if value is None else ""
    name = tag_name(str(value), longest)
    if not name:
        raise TagsRefused(f"{key}: a name has at most {longest} of the characters a-z 0-9 _ . + / : @ -")
    return name


def _work(value: object, unit: str) -> dict[str, Any]:
    if value is None or value == "":
        return {"work": None if value is None else 0.0, "unit": ""}
    try:
        amount = float(str(value))
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount > 0):
        raise TagsRefused(f"work: {value!r} is no number above 0")
    if len(unit) > LONGEST_UNIT:
        raise TagsRefused(f"unit: at most {LONGEST_UNIT} characters")
    return {"work": amount, "unit": unit.strip().lower()}


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
