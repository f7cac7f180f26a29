"""Advice that people do not want to see any more: the one writer of `Dismissal`."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from measurements.domain.advice_kinds import Kind
from measurements.models import Dismissal

MOST_DISMISSED = 500  # of a person: then the oldest comes back


def dismiss(username: str, kind: Kind, subject: str, now: datetime) -> None:
    """Show a person no line of this kind on this subject any more; saying it twice changes nothing."""
    row = Dismissal(username=username, advice=kind.value, subject=subject, dismissed_at=now)
    with transaction.atomic():
        Dismissal.objects.bulk_create([row], ignore_conflicts=True)
        kept = Dismissal.objects.filter(username=username).order_by("-dismissed_at", "-pk")
        beyond = list(kept.values_list("pk", flat=True)[MOST_DISMISSED:])
        Dismissal.objects.filter(pk__in=beyond).delete()


def restore(username: str, kind: Kind, subject: str) -> None:
    """Show it again."""
    Dismissal.objects.filter(username=username, advice=kind.value, subject=subject).delete()
