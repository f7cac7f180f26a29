"""Days that are not over: something changes in them every minute, and they are examined every quarter of an hour.

When that was last stands in a heartbeat, one a cluster. A day's mark waits meanwhile, and is never removed unexamined;
once the day is over it waits no more.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.db.models import Q

from measurements.models import Cluster, Heartbeat
from measurements.services.heartbeats import EXAMINED, beat, forget

WAIT = timedelta(minutes=15)  # from one examination to the next


def just_examined(now: datetime) -> Q:
    """Marks of days that are not over and were looked through less than `WAIT` ago."""
    found = Q(pk__in=[])
    for detail in Heartbeat.objects.filter(name__startswith=EXAMINED).values_list("detail", flat=True):
        for day, at in _open(detail["days"], now).items():
            if timedelta() <= now - datetime.fromisoformat(at) < WAIT:  # a clock that was set back waits for nothing
                found |= Q(cluster=detail["cluster"], day=day)
    return found


def note_examined(cluster: Cluster, day: date, now: datetime) -> None:
    """Note that a day was looked through, from ``now`` on; the cluster's row is locked."""
    said = {day.isoformat(): now.isoformat()}
    if not _open(said, now):
        return
    row = Heartbeat.objects.filter(name=_name(cluster)).first()
    known = _open(row.detail["days"], now) if row is not None else {}
    beat(_name(cluster), now, {"cluster": cluster.pk, "days": known | said})


def examine_at_once(cluster: Cluster) -> None:
    """Let none of a cluster's days wait."""
    forget(_name(cluster))


def _name(cluster: Cluster) -> str:
    return f"{EXAMINED}{cluster.pk}"


def _open(days: dict[str, str], now: datetime) -> dict[str, str]:
    """Those of some days that are not over."""
    today = now.astimezone(UTC).date().isoformat()
    return {day: at for day, at in days.items() if day >= today}
