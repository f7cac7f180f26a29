"""What a rule or an edit would change, before it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.tagging import KEYS, Said, Tagged, sources, strongest
from measurements.models import Job, JobQuerySet, TagEdit, TagRule
from measurements.selectors.tag_rules import NEWEST, READ, applied

EXAMPLES = 20
MOST_MOVES = 12  # from one workload to another, the most frequent
_IDENTITY = ("pk", "cluster_id", "cluster__name", "job_id", "username", "start_ms")
_EDITED = (*KEYS, "unit")


@dataclass(frozen=True, slots=True)
class Example:
    """A job in which the pattern is found."""

    cluster: str
    job_id: str
    username: str
    start_ms: int | None
    text: str  # what the rule looks at
    before: Tagged
    after: Tagged

    @property
    def changes(self) -> bool:
        """Whether it would count as something else."""
        return self.before.tags != self.after.tags


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of the newest jobs."""

    looked_at: int
    more: bool  # there are older ones, which were not looked at
    matched: int
    stronger: int  # of these: already said otherwise, or by somebody, who goes before the rule
    changed: int  # would count as something else, those included in which the rule is not found any more
    moves: tuple[tuple[str, str, int], ...]  # workload before, then, jobs
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an edit of some jobs would change."""

    jobs: int
    changed: int
    moves: tuple[tuple[str, str, int], ...]


def preview(viewer: AbstractUser | AnonymousUser, draft: TagRule) -> Preview:
    """What a rule as drafted (a new one, or one there is) would do to the newest jobs that the viewer may see.

    Three queries, and two more of what a job counts as. New rules stand last, as they are stored.
    """
    rows = list(TagRule.objects.order_by("position", "pk"))
    after = [draft if row.pk == draft.pk else row for row in rows]
    after += [draft] if draft.pk is None else []
    found = _newest(Job.objects.visible_to(viewer))
    more, found = len(found) > NEWEST, found[:NEWEST]
    one = applied([draft] if draft.enabled else [])
    old = applied([row for row in rows if row.pk == draft.pk and row.enabled])
    matched = _places(one, draft.cluster_id, found)
    old_cluster = next((row.cluster_id for row in rows if row.pk == draft.pk), None)
    touched = sorted(matched | _places(old, old_cluster, found))
    pairs = _tagged_twice([found[i] for i in touched], rows, after)
    tried = [
        Example(job["cluster__name"], job["job_id"], job["username"], job["start_ms"], job[draft.field], *pair)
        for job, pair in zip((found[i] for i in touched), pairs, strict=True)
    ]
    of_rule = [one for place, one in zip(touched, tried, strict=True) if place in matched]
    name = f"rule {draft.pk or 0}"
    return Preview(
        looked_at=len(found),
        more=more,
        matched=len(matched),
        stronger=sum(name not in one.after.origin.values() for one in of_rule),
        changed=sum(one.changes for one in tried),
        moves=_moves([(one.before, one.after) for one in tried]),
        examples=tuple(sorted(of_rule, key=lambda one: not one.changes)[:EXAMPLES]),
    )


def edit_effect(jobs: JobQuerySet, values: Mapping[str, Any]) -> Effect:
    """What setting tags (`measurements.domain.tag_edits.checked_edit`) of some jobs would change; four queries."""
    found = [dict(zip((*_IDENTITY, *READ), row, strict=True)) for row in jobs.values_list(*_IDENTITY, *READ)]
    said = _said(found, list(TagRule.objects.order_by("position", "pk")))
    edits = _edits(found)
    pairs = []
    for job, one in zip(found, said, strict=True):
        edit = edits.get(job["pk"], {})
        pairs.append((strongest(one, edit), strongest(one, {**edit, **values})))
    return Effect(len(pairs), sum(before.tags != after.tags for before, after in pairs), _moves(pairs))


def _newest(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """The newest, and one to see whether there are more."""
    rows = jobs.filter(start_ms__isnull=False).order_by("-start_ms", "-pk").values_list(*_IDENTITY, *READ)
    return [dict(zip((*_IDENTITY, *READ), row, strict=True)) for row in rows[: NEWEST + 1]]


def _places(rules: Sequence[Any], cluster_id: int | None, jobs: Sequence[Mapping[str, Any]]) -> set[int]:
    """Where a rule's pattern is found."""
    places = [i for i, job in enumerate(jobs) if cluster_id in (None, job["cluster_id"])]
    return {places[i] for rule in rules for i in rule.found([jobs[place][rule.field] for place in places])}


def _tagged_twice(
    jobs: Sequence[Mapping[str, Any]], before: Sequence[TagRule], after: Sequence[TagRule]
) -> list[tuple[Tagged, Tagged]]:
    edits = _edits(jobs)
    pairs = zip(jobs, _said(jobs, before), _said(jobs, after), strict=True)
    return [(strongest(one, edits.get(job["pk"])), strongest(other, edits.get(job["pk"]))) for job, one, other in pairs]


def _said(jobs: Sequence[Mapping[str, Any]], rows: Sequence[TagRule]) -> list[list[Said]]:
    """What is said of each job by the rules of its cluster, and by comments."""
    said: list[list[Said]] = [[] for _ in jobs]
    for cluster in {job["cluster_id"] for job in jobs}:
        places = [i for i, job in enumerate(jobs) if job["cluster_id"] == cluster]
        rules = applied(row for row in rows if row.enabled and row.cluster_id in (None, cluster))
        for place, one in zip(places, sources([jobs[i] for i in places], rules), strict=True):
            said[place] = one
    return said


def _edits(jobs: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    rows = TagEdit.objects.filter(pk__in=[job["pk"] for job in jobs]).values_list("pk", *_EDITED)
    return {pk: dict(zip(_EDITED, values, strict=True)) for pk, *values in rows}


def _moves(pairs: Sequence[tuple[Tagged, Tagged]]) -> tuple[tuple[str, str, int], ...]:
    """From one workload to another, the most frequent first."""
    moved = Counter((before.tags.workload, after.tags.workload) for before, after in pairs)
    changed = sorted(((a, b, n) for (a, b), n in moved.items() if a != b), key=lambda row: (-row[2], row))
    return tuple(changed[:MOST_MOVES])
