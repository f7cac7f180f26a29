"""Finds jobs by whatever name a person has for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from operator import or_

from django.db.models import Q

from measurements.domain.slurm import is_sluid
from measurements.models import Cluster, Job, JobQuerySet

MOST_NAMED = 1_000  # jobs that are looked for by one id
_JOB_NAME = re.compile(r"[0-9]{1,18}(?:[_+](?:[0-9]{1,18}|\*))?", re.ASCII)

_TASK = re.compile(r"[0-9]{1,18}_[0-9]{1,9}", re.ASCII)


def is_job_name(text: str) -> bool:
    """Whether a text has the form of a job's id, of an array or of a het job, and is no part of a name."""
    return _JOB_NAME.fullmatch(text.strip()) is not None or is_sluid(text.strip())


def array_of(text: str) -> int | None:
    """36 of 36_*."""
    text = text.strip()
    return int(text[:-2]) if text.endswith("_*") and _JOB_NAME.fullmatch(text) else None


def find_jobs(cluster: Cluster, text: str) -> JobQuerySet:
    """The jobs that 123, 36_1, 93+1, a SLUID, 36_* (an array) or 93+* (a het job) names, newest first.

    More than one of a plain id: the batch system used the number again.
    """
    return _find([cluster.pk], text).order_by("-start_ms", "-pk")


def named(clusters: Sequence[int], text: str) -> list[int]:
    """The ids of the jobs of some clusters that a text names; whoever may see them is not asked here.

    Asked for in a query of its own: together with a user's name a database may take the index of that user's jobs.
    """
    return list(_find(clusters, text).order_by().values_list("pk", flat=True)[:MOST_NAMED])


def answers_to(job: Job, text: str) -> bool:
    """Whether a text is a job's shown or raw id."""
    return text in (job.job_id, str(job.raw_id))


def by_ids(wanted: Sequence[tuple[int, str]]) -> list[int]:
    """The ids of the jobs of which one of (cluster, shown or raw id) is; whoever may see them is not asked here."""
    each = [_one(cluster, text) for cluster, text in wanted]
    return list(Job.objects.filter(reduce(or_, each)).order_by().values_list("pk", flat=True)) if each else []


def _find(clusters: Sequence[int], text: str) -> JobQuerySet:
    text = text.strip()
    if not clusters or "\0" in text:
        return Job.objects.none()
    if is_sluid(text):
        return Job.objects.filter(cluster__in=clusters, runs__sluid=text).distinct()
    stem, star, rest = text.partition("*")
    if star and not rest and _JOB_NAME.fullmatch(text):
        field = "array_job_id" if stem[-1] == "_" else "het_job_id"
        return Job.objects.filter(**{"cluster__in": clusters, field: int(stem[:-1])})
    tasks = [_task(cluster, text) for cluster in clusters] if _TASK.fullmatch(text) else []
    return Job.objects.filter(reduce(or_, [*(_one(cluster, text) for cluster in clusters), *tasks]))


def _task(cluster: int, text: str) -> Q:
    """36_1 as task 1 of array 36: other batch systems than Slurm show it as 36[1]."""
    array, _, task = text.partition("_")
    return Q(cluster=cluster, array_job_id=int(array), array_task_id=int(task))


def _one(cluster: int, text: str) -> Q:
    """A plain number is a raw id, a shown id, or that of a het job's first component, whose raw id it is.

    The cluster stands in each part: every part is an index of its own then.
    """
    shown = Q(cluster=cluster, job_id=text)
    if text.isascii() and text.isdecimal() and len(text) < 19:
        first = Q(cluster=cluster, raw_id=None, het_job_id=int(text), het_offset=0)
        return Q(cluster=cluster, raw_id=int(text)) | shown | first
    return shown
