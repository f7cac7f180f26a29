"""What a job counts as, tag by tag: the value, where it is from, and what else is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.tagging import KEYS, Said, Tagged, sources, strongest
from measurements.models import Job, JobQuerySet, TagEdit, TagRule
from measurements.selectors.tag_rules import READ, applied, rows_in_force

MANAGE = "measurements.manage_workloads"
SUGGESTED_FROM = 1_000  # of the viewer's newest jobs
_EDITED = (*KEYS, "unit")


@dataclass(frozen=True, slots=True)
class TagLine:
    """One tag of a job; an empty origin: nobody says it."""

    key: str
    value: str | float | None  # empty or None: not tagged, or taken away by an edit
    unit: str
    origin: str  # edit, operator, comment, rule 7
    others: tuple[tuple[str, str | float, str], ...]  # origin, value, unit of what else is said, the strongest first


@dataclass(frozen=True, slots=True)
class JobTagging:
    """A job's tags."""

    lines: tuple[TagLine, ...]
    tagged: Tagged
    rules: dict[str, TagRule]  # those in force, by origin
    edited_by: str
    edited_at: datetime | None


def job_tagging(job: Job) -> JobTagging:
    """By what is said of a job as it stands; one query if it was read with its `tag_edit`."""
    rows = rows_in_force(job.cluster_id)
    (said,) = sources([{name: getattr(job, name) for name in READ}], applied(rows))
    edit: TagEdit | None = getattr(job, "tag_edit", None)
    now = strongest(said, {name: getattr(edit, name) for name in _EDITED} if edit else None)
    return JobTagging(
        lines=tuple(_line(key, now, said) for key in KEYS),
        tagged=now,
        rules={f"rule {row.pk}": row for row in rows},
        edited_by=edit.edited_by if edit else "",
        edited_at=edit.edited_at if edit else None,
    )


def may_tag(viewer: AbstractUser | AnonymousUser, job: Job) -> bool:
    """Whether a person who may see a job may say what it counts as: its owner, and who manages workloads."""
    if not viewer.is_authenticated or not viewer.is_active:
        return False
    return job.username == viewer.get_username() or viewer.has_perm(MANAGE)


def taggable_by(viewer: AbstractUser | AnonymousUser) -> JobQuerySet:
    """The jobs of which `may_tag` holds."""
    jobs = Job.objects.visible_to(viewer)
    return jobs if viewer.has_perm(MANAGE) else jobs.filter(username=viewer.get_username())


def suggestions(viewer: AbstractUser | AnonymousUser) -> tuple[list[str], list[str]]:
    """Workloads and units that the viewer's own newest jobs have, for who types one; one query."""
    own = Job.objects.visible_to(viewer).filter(username=viewer.get_username()).order_by("-start_ms", "-pk")
    rows = list(own.values_list("workload", "tags__unit")[:SUGGESTED_FROM])
    return sorted({name for name, _ in rows if name}), sorted({unit for _, unit in rows if unit})


def _line(key: str, now: Tagged, said: list[Said]) -> TagLine:
    others = [
        (one.origin, getattr(one.tags, key), one.tags.unit if key == "work" else "")
        for one in said
        if getattr(one.tags, key) and one.origin != now.origin.get(key)
    ]
    unit = now.tags.unit if key == "work" else ""
    return TagLine(key, getattr(now.tags, key), unit, now.origin.get(key, ""), tuple(others))
