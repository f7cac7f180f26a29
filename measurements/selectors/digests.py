"""Which mails are due, to whom, and what became of earlier ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, Q
from django.utils import timezone

from measurements.domain.units import day_from_ms
from measurements.models import Digest, DigestChoice, DirtyDay, DirtyJob, DirtyNodeDay
from measurements.selectors.days import day_bounds_ms

SENT_AT = time(6)  # of the day after the period, in the site's zone
PATIENCE = timedelta(hours=24)  # for what is left to book of a period
WINDOW = timedelta(days=3)  # afterwards nothing is sent: a mail about a week long past is none
RETRY = timedelta(hours=1)  # between two attempts; a claim older than this is that of a dead process
MOST_ATTEMPTS = 3
_KINDS = {
    "off": (),
    "weekly": (Digest.Kind.WEEKLY,),
    "monthly": (Digest.Kind.MONTHLY,),
    "both": (Digest.Kind.WEEKLY, Digest.Kind.MONTHLY),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A kind of mail and its period: local days [first, last]."""

    kind: Digest.Kind
    first: date
    last: date

    def due_at(self, zone: ZoneInfo) -> datetime:
        """When it may be sent at the earliest."""
        return datetime.combine(self.last + timedelta(days=1), SENT_AT, zone)


def kinds_sent() -> tuple[Digest.Kind, ...]:
    """What the site sends: nothing without a sender."""
    return _KINDS[settings.DIGESTS] if settings.DEFAULT_FROM_EMAIL else ()


def last_turn(kind: Digest.Kind, today: date) -> Turn:
    """The last week (Monday to Sunday) or month that is over on a day."""
    if kind is Digest.Kind.WEEKLY:
        monday = today - timedelta(days=today.weekday() + 7)
        return Turn(kind, monday, monday + timedelta(days=6))
    last = today.replace(day=1) - timedelta(days=1)
    return Turn(kind, last.replace(day=1), last)


def turns_due(now: datetime) -> list[Turn]:
    """Those of which it is time: the period is booked, or that has taken too long already."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    turns = [last_turn(kind, timezone.localdate(now, zone)) for kind in kinds_sent()]
    begun = [turn for turn in turns if turn.due_at(zone) <= now < turn.due_at(zone) + WINDOW]
    return [turn for turn in begun if now >= turn.due_at(zone) + PATIENCE or booked(turn, zone, now)]


def booked(turn: Turn, zone: ZoneInfo, now: datetime) -> bool:
    """Whether nothing of the period waits to be booked; of UTC days that are over, for today's is never done."""
    bounds = day_bounds_ms(turn.first, turn.last, zone)
    start_ms, end_ms = int(bounds[0]), int(bounds[-1])
    last = min(day_from_ms(end_ms - 1), timezone.localdate(now, ZoneInfo("UTC")) - timedelta(days=1))
    days = Q(day__gte=day_from_ms(start_ms), day__lte=last)
    jobs = DirtyJob.objects.filter(job__start_ms__lt=end_ms, job__end_ms__gt=start_ms)
    return not (DirtyNodeDay.objects.filter(days).exists() or DirtyDay.objects.filter(days).exists() or jobs.exists())


def addressees(turn: Turn, now: datetime, usernames: Collection[str] | None = None) -> list[User]:
    """Who is still to get it, by name: active, with an address, not opted out, and not done or under way."""
    refused = DigestChoice.objects.filter(**{turn.kind.value: False}).values("username")
    settled = Digest.objects.filter(kind=turn.kind, first=turn.first).exclude(to_be_tried(now)).values("username")
    people = User.objects.filter(is_active=True).exclude(email="")
    people = people.exclude(username__in=refused).exclude(username__in=settled)
    people = people if usernames is None else people.filter(username__in=usernames)
    return list(people.order_by("username"))


def to_be_tried(now: datetime) -> Q:
    """Mails that failed, or whose process died, before they were handed over; neither too often nor too soon."""
    early = Q(state=Digest.State.FAILED) | Q(state=Digest.State.CLAIMED)
    return early & Q(sent_at__isnull=True, attempts__lt=MOST_ATTEMPTS, claimed_at__lte=now - RETRY)


def choice_of(username: str) -> DigestChoice:
    """What a person chose; without a row, what holds for whoever chose nothing."""
    return DigestChoice.objects.filter(username=username).first() or DigestChoice(username=username)


def latest_digests(username: str, most: int = 20) -> list[Digest]:
    """The last mails of a person, newest first."""
    rows = Digest.objects.filter(username=username)
    return list(rows.order_by(F("claimed_at").desc(), "-pk")[:most])
