"""Finds jobs by whatever name a person has for them."""

from __future__ import annotations

from django.db.models import Q

from measurements.domain.slurm import is_sluid
from measurements.models import Cluster, Job, JobQuerySet


def find_jobs(cluster: Cluster, text: str) -> JobQuerySet:
    """The jobs that 123, 36_1, 93+1, a SLUID, 36_* (an array) or 93+* (a het job) names, newest first.

    More than one of a plain id: the batch system used the number again.
    """
    jobs = Job.objects.filter(cluster=cluster).order_by("-start_ms", "-pk")
    text = text.strip()
    if is_sluid(text):
        return jobs.filter(runs__sluid=text).distinct()
    stem, star, rest = text.partition("*")
    if star and not rest and stem[:-1].isdecimal() and stem[-1:] in ("_", "+"):
        number = int(stem[:-1])
        return jobs.filter(array_job_id=number) if stem[-1] == "_" else jobs.filter(het_job_id=number)
    return jobs.filter(_one(text))


def _one(text: str) -> Q:
    """A plain number is a raw id, a shown id, or that of a het job's first component, whose raw id it is."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return Q(raw_id=int(text)) | Q(job_id=text) | Q(raw_id=None, het_job_id=int(text), het_offset=0)
    return Q(job_id=text)
