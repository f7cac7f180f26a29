"""How feeds stand: what each last did, how far behind it is, and whether that is too far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.units import MS_PER_S, datetime_from_ms, ms_from_datetime
from measurements.models import Feed

UNASKED_S = 60  # a worker looks for what is due more often
# A cluster on which nothing runs is no fault of its feed: these are late when nobody answers them.
_BY_CURSOR = frozenset({Feed.Kind.SLURM_JOBS, Feed.Kind.SLURM_NODES, Feed.Kind.SLURM_MEMBERS, Feed.Kind.SLURM_GPUS})


@dataclass(frozen=True, slots=True)
class FeedState:
    """One feed now."""

    pk: int
    name: str
    kind: str
    kind_name: str
    cluster: str
    enabled: bool
    reached_at: datetime | None  # the newest thing that came, or up to when was asked
    lag_s: float | None
    late: bool
    failures: int
    last_ok_at: datetime | None
    next_at: datetime | None
    error: str
    report: dict[str, Any]
    every_s: int
    late_after_s: int
    options: dict[str, Any]
    alerted_at: datetime | None = None  # when operators were told that it is late
    unasked: bool = False  # its time came more than a turn ago, and nobody is at it

    @property
    def by_cursor(self) -> bool:
        """Whether it has come as far as was asked for, however old the newest thing is."""
        return self.kind in _BY_CURSOR

    @property
    def notes(self) -> list[str]:
        """What its last turn noted beside its figures."""
        return list(self.report.get("notes", []))

    @property
    def refused(self) -> int:
        """What its last turn refused."""
        return sum(row["count"] for row in self.report.get("refused", []))

    def as_json(self) -> dict[str, Any]:
        """For the command."""
        return {
            "name": self.name,
            "kind": self.kind,
            "cluster": self.cluster,
            "enabled": self.enabled,
            "options": self.options,
            "every_s": self.every_s,
            "late_after_s": self.late_after_s,
            "reached_at": _text(self.reached_at),
            "lag_s": self.lag_s,
            "late": self.late,
            "failures": self.failures,
            "last_ok_at": _text(self.last_ok_at),
            "next_at": _text(self.next_at),
            "error": self.error,
            "report": self.report,
        }


def feed_states(now: datetime, viewer: AbstractUser | AnonymousUser | None = None) -> list[FeedState]:
    """All feeds, those that are late first; for a viewer only if operations are theirs to see."""
    if viewer is not None and not (viewer.is_active and viewer.has_perm("measurements.view_operations")):
        return []
    states = [_state(feed, now) for feed in Feed.objects.select_related("cluster").order_by("cluster__name", "name")]
    return sorted(states, key=lambda state: not state.late)


def _state(feed: Feed, now: datetime) -> FeedState:
    reached_ms = feed.cursor_ms if feed.kind in _BY_CURSOR else feed.newest_ms
    lag_s = None if reached_ms is None else max(0.0, (ms_from_datetime(now) - reached_ms) / MS_PER_S)
    return FeedState(
        pk=feed.pk,
        name=feed.name,
        kind=feed.kind,
        kind_name=feed.get_kind_display(),
        cluster=feed.cluster.name,
        enabled=feed.enabled,
        reached_at=None if reached_ms is None else datetime_from_ms(reached_ms),
        lag_s=lag_s,
        late=feed.enabled and _late(feed, lag_s, now),
        failures=feed.failures,
        last_ok_at=feed.last_ok_at,
        next_at=feed.next_at,
        error=feed.last_error,
        report=feed.last_report,
        every_s=feed.every_s,
        late_after_s=feed.late_after_s,
        options=feed.options,
        alerted_at=feed.alerted_at,
        unasked=_unasked(feed, now),
    )


def _late(feed: Feed, lag_s: float | None, now: datetime) -> bool:
    """Further behind than was said; one that never brought anything is late once it has failed for so long."""
    if lag_s is not None:
        return lag_s > feed.late_after_s
    due = feed.next_at is not None and now > feed.next_at + timedelta(seconds=feed.late_after_s)
    return due or feed.failures * feed.every_s > feed.late_after_s


def _unasked(feed: Feed, now: datetime) -> bool:
    """Whether no worker came for it: one at work would have asked by now, or be at it."""
    if not feed.enabled or (feed.claimed_by and feed.claimed_until is not None and feed.claimed_until > now):
        return False
    return feed.next_at is None or now > feed.next_at + timedelta(seconds=max(feed.every_s, UNASKED_S))


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
