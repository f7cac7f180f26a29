"""Whose a seat in an edition is: a keyed hash, so that the table names nobody, and no two editions can be joined."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from measurements.models import Edition, Seat


def whose(edition: int, username: str) -> str:
    """HMAC-SHA256 of an edition's id and a user, under a key derived from the site's secret."""
    return salted_hmac("measurements.boards.seat", f"{edition}\0{username}", algorithm="sha256").hexdigest()


def seats_of(username: str) -> QuerySet[Seat]:
    """Somebody's seats in all editions."""
    editions = Edition.objects.exclude(frozen="").values_list("pk", flat=True)
    return Seat.objects.filter(whose__in=[whose(edition, username) for edition in editions])
