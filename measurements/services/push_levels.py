"""How pushes stand in the tables: segments not marked yet, and the batch that an hour's pushes share."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Min

from measurements.models import Batch, Cluster, Segment

PUSHED = 3  # level of a segment as pushed: its node-days are marked when it is folded, with others of its minute
PUSH = "push"  # the option of a batch that says of which hour's pushes it is
_SLACK = timedelta(hours=1)  # clocks of several processes: a batch is left alone an hour longer than it is added to


def hour_of(now: datetime) -> str:
    """How a batch names its hour."""
    return f"{now:%Y-%m-%dT%H}:00Z"


def first_open_batch(cluster: Cluster, now: datetime) -> int | None:
    """The oldest batch that may still grow, or has segments that are not folded; None if there is none.

    Segments of it and of later ones must not be merged with those of others: of two samples of one instant
    the later batch's stays, and in one segment nobody can tell any more which that was.
    """
    waiting = Segment.objects.filter(cluster=cluster, level=PUSHED).aggregate(first=Min("batch_no"))["first"]
    newest = Batch.objects.filter(cluster=cluster, content=Batch.Content.POWER).order_by("-pk").first()
    hours = (hour_of(now), hour_of(now - _SLACK))
    growing = newest.pk if newest is not None and newest.options.get(PUSH) in hours else None
    return min((number for number in (waiting, growing) if number is not None), default=None)
