"""One mail to the operators when a source becomes late or all it sends is refused, and one when it is back.

One more before a token in use expires, and one when a token is used after its end.

Whether they were told stands with the source, and is noted once the mail is handed over: what cannot be sent is tried
again, the later the more often it failed. What is switched off or revoked says nothing any more. What the mail says
is composed by whom the setting ``ALERT_COMPOSER`` names: this house knows no page.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db.models import Q
from django.utils.module_loading import import_string

from measurements.models import DigestChoice, Heartbeat, Token
from measurements.selectors.sources import FEED, SENDER, SourceState, live_states
from measurements.selectors.tokens import REFUSED_AFTER
from measurements.services import feeds, tokens
from measurements.services.heartbeats import CHORE, beat, forget

logger = logging.getLogger(__name__)
FAILED = f"{CHORE}alert mails: failed"
LONGEST_WAIT = timedelta(hours=1)
FIRST_WAIT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class News:
    """Which sources became late (or all they send is refused), which are back, and whose tokens end or have ended."""

    late: tuple[SourceState, ...]
    back: tuple[SourceState, ...]
    ending: tuple[SourceState, ...] = ()
    knocking: tuple[SourceState, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.late or self.back or self.ending or self.knocking)


Compose = Callable[[News, datetime], tuple[str, str]]  # subject and text


def alert_due(now: datetime) -> News | None:
    """Tell the operators what is new; None where there is nothing, nobody to tell, or it could not be sent."""
    states = live_states(now)
    _forget([one for one in states if one.alerted_at is not None and not one.active])
    news = News(
        tuple(one for one in states if one.alerted_at is None and _is_due(one, now)),
        tuple(one for one in states if one.active and not one.brings_nothing and one.alerted_at is not None),
        tuple(one for one in states if one.active and one.ends_at is not None and not one.end_told),
        tuple(one for one in states if one.state == "knocks" and one.end_told != Token.End.KNOCKS),
    )
    people = recipients() if news else []
    if not people or not settings.DEFAULT_FROM_EMAIL or not _may_try(now):
        return None
    try:
        _message(news, people, now).send()
    except (SMTPException, OSError) as fault:
        logger.warning("an alert could not be sent: %s", fault)
        beat(FAILED, now, {"failures": _failures() + 1})
        return None
    _note(news.late, now)
    _forget(news.back)
    tokens.note_end_told([one.pk for one in news.ending], Token.End.NEAR)
    tokens.note_end_told([one.pk for one in news.knocking], Token.End.KNOCKS)
    forget(FAILED)
    return news


def _is_due(one: SourceState, now: datetime) -> bool:
    """Late, or refused for a while: whoever tries a new token may be wrong once without a mail."""
    lasts = one.refused_since is None or now - one.refused_since >= REFUSED_AFTER
    return one.brings_nothing and lasts


def recipients() -> list[str]:
    """Whom to tell: the addresses of the setting; else operators who get mails, where the site sends any."""
    if settings.ALERT_MAILS:
        return list(settings.ALERT_MAILS)
    if settings.DIGESTS == "off":
        return []
    may = {"content_type__app_label": "measurements", "codename": "view_operations"}
    own = Q(**{f"user_permissions__{name}": value for name, value in may.items()})
    by_group = Q(**{f"groups__permissions__{name}": value for name, value in may.items()})
    people = User.objects.filter(own | by_group | Q(is_superuser=True), is_active=True).exclude(email="")
    quiet = DigestChoice.objects.filter(weekly=False, monthly=False).values("username")
    return sorted(set(people.exclude(username__in=quiet).values_list("email", flat=True)))


def _message(news: News, people: Sequence[str], now: datetime) -> EmailMessage:
    compose: Compose = import_string(settings.ALERT_COMPOSER)
    subject, text = compose(news, now)
    about = [
        f"{one.kind}{one.pk}{one.state}{one.newest_at}{one.refused_since}{one.alerted_at}"
        for one in (*news.late, *news.back)
    ]
    about += [f"end {one.pk}{one.state}" for one in (*news.ending, *news.knocking)]
    what = "\n".join([*people, *about])
    number = hashlib.sha256(what.encode()).hexdigest()[:24]  # of two that arrived a mail program shows one
    headers = {
        "Message-ID": f"<alert.{number}@{settings.SITE_URL.hostname}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    return EmailMessage(subject, text, to=list(people), headers=headers)


def _failures() -> int:
    row = Heartbeat.objects.filter(name=FAILED).first()
    return int(row.detail.get("failures", 0)) if row is not None else 0


def _may_try(now: datetime) -> bool:
    """Not too soon after a failure."""
    row = Heartbeat.objects.filter(name=FAILED).first()
    if row is None:
        return True
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(_failures(), 10))
    return bool(now >= row.at + wait)


def _note(states: Sequence[SourceState], at: datetime | None) -> None:
    feeds.note_alert([one.pk for one in states if one.kind == FEED], at)
    tokens.note_alert([one.pk for one in states if one.kind == SENDER], at)


def _forget(states: Sequence[SourceState]) -> None:
    if states:
        _note(states, None)
