"""The one writer of `Digest` and `DigestChoice`: mails of a week or month, each handed over once at most.

A mail is claimed by inserting its row, which is unique: of two processes one has it. The claim is a lease of an hour.
Until the mail is handed over whatever fails is tried again, three times in all. Right before, `sent_at` is noted: whose
process dies from there on, or whose connection breaks, may have arrived, and is never sent again. A server that cannot
be reached costs nobody an attempt and ends the turn.

What a mail says is composed by whom the setting `DIGEST_COMPOSER` names: this house knows no page.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from smtplib import SMTPException, SMTPNotSupportedError, SMTPRecipientsRefused, SMTPResponseException

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import F
from django.utils.module_loading import import_string

from measurements.models import Digest, DigestChoice
from measurements.selectors.digests import MOST_ATTEMPTS, RETRY, Turn, addressees, to_be_tried, turns_due
from measurements.services.audit import Page, note_project_read

logger = logging.getLogger(__name__)
TURN_S = 10.0  # of one call: other work waits for it
BREATH_S = 0.02  # after each mail: in the web process pages come first
KEEP = timedelta(days=366)
LONGEST_ERROR = 500
REFUSED = (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupportedError)  # the server said no
IN_DOUBT = "it broke off while the mail was handed over: it may have arrived, and is not sent again"
GIVEN_UP = "whoever composed it ended before it was done, each time"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says."""

    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)
    projects: tuple[str, ...] = ()  # whose sums it shows: their members see that somebody read them


Compose = Callable[[User, Digest.Kind, date], Letter | None]  # None: there is nothing to say


def composer() -> Compose:
    """Who composes mails on this site."""
    found: Compose = import_string(settings.DIGEST_COMPOSER)
    return found


# --- Sending --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mail now."""

    digest: Digest
    reached: bool = True  # the mail server


def send_due(now: datetime) -> list[Outcome]:
    """Send what is due, for a few seconds; what is left comes with the next call."""
    return list(send_turns(turns_due(now), now, at_most_s=TURN_S))


def send_turns(
    turns: Iterable[Turn], now: datetime, usernames: Collection[str] | None = None, at_most_s: float = math.inf
) -> Iterator[Outcome]:
    """Send the mails of some periods that are not done yet, and say what became of each."""
    began = time.monotonic()
    for turn in turns if settings.DEFAULT_FROM_EMAIL else ():
        give_up(now)
        for user in addressees(turn, now, usernames):
            outcome = send_one(user, turn, now + timedelta(seconds=time.monotonic() - began))
            if outcome:
                yield outcome
                if not outcome.reached:
                    return
            if time.monotonic() - began >= at_most_s:
                return
            time.sleep(BREATH_S)


def send_one(user: User, turn: Turn, now: datetime) -> Outcome | None:
    """Compose and send a mail; None if somebody else has it."""
    digest = claim(user.get_username(), turn, now)
    if digest is None:
        return None
    try:
        letter = composer()(user, turn.kind, turn.first)
        if letter is None:
            return _ended(digest, state=Digest.State.QUIET)
        mail = message(user, digest, letter)
        mail.message()  # an address that is none is found before anybody is asked
        note_project_read(user.get_username(), letter.projects, Page.MAIL, now)
    except Exception as fault:  # whatever is wrong with one letter keeps no other from being sent
        logger.exception("the %s mail to %s cannot be composed", turn.kind, user.get_username())
        return _ended(digest, state=Digest.State.FAILED, error=f"unexpected {type(fault).__name__}: see the log")
    return _deliver(digest, mail, now)


def claim(username: str, turn: Turn, now: datetime) -> Digest | None:
    """Take a mail upon oneself; None if somebody else has, or it is done."""
    fresh = {"claimed_at": now, "attempts": 1}
    digest, new = Digest.objects.get_or_create(username=username, kind=turn.kind, first=turn.first, defaults=fresh)
    if new:
        return digest
    again = Digest.objects.filter(to_be_tried(now), pk=digest.pk)
    taken = again.update(state=Digest.State.CLAIMED, claimed_at=now, attempts=F("attempts") + 1, error="")
    return Digest.objects.get(pk=digest.pk) if taken else None


def message(user: User, digest: Digest, letter: Letter) -> EmailMultiAlternatives:
    """The mail itself. Its id is made of what it is, so that a mail program knows a second one as the same."""
    host = settings.SITE_URL.hostname
    what = hashlib.sha256(f"{digest.username} {digest.kind} {digest.first}".encode()).hexdigest()[:24]
    headers = {
        "Message-ID": f"<{digest.kind}.{digest.first}.{what}@{host}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",  # Exchange: no "out of office"
    }
    mail = EmailMultiAlternatives(letter.subject, letter.text, to=[user.email], headers=headers | dict(letter.headers))
    mail.attach_alternative(letter.html, "text/html")
    return mail


def _deliver(digest: Digest, mail: EmailMultiAlternatives, now: datetime) -> Outcome | None:
    connection: BaseEmailBackend = get_connection()
    try:
        connection.open()
    except (SMTPException, OSError) as fault:
        return _unreached(digest, fault)
    try:
        if not _note(digest, sent_at=now):
            return None
        connection.send_messages([mail])
    except REFUSED as fault:
        return _ended(digest, state=Digest.State.FAILED, error=reason(fault), sent_at=None)
    except (SMTPException, OSError) as fault:
        return _ended(digest, state=Digest.State.FAILED, error=f"{IN_DOUBT} ({fault})")
    finally:
        with suppress(SMTPException, OSError):  # the mail is taken or not, whatever the server says at the end
            connection.close()
    return _ended(digest, state=Digest.State.SENT)


def _unreached(digest: Digest, fault: Exception) -> Outcome | None:
    logger.warning("the mail server cannot be reached: %s", fault)
    error = f"the mail server cannot be reached: {fault}"
    found = _ended(digest, state=Digest.State.FAILED, error=error, attempts=digest.attempts - 1)
    return Outcome(found.digest, reached=False) if found else None


def reason(fault: Exception) -> str:
    """What a server said against a mail: its code and words."""
    words: bytes | str
    if isinstance(fault, SMTPRecipientsRefused):
        code, words = next(iter(fault.recipients.values()))
    elif isinstance(fault, SMTPResponseException):
        code, words = fault.smtp_code, fault.smtp_error
    else:
        return str(fault)
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"the mail server refused it: {code} {' '.join(text.split())}"


def _ended(digest: Digest, **values: object) -> Outcome | None:
    if isinstance(values.get("error"), str):
        values["error"] = str(values["error"])[:LONGEST_ERROR]
    return Outcome(digest) if _note(digest, **values) else None


def _note(digest: Digest, **values: object) -> bool:
    """Write to a mail while it is this process's; False: it stood still for so long that another one took over."""
    mine = Digest.objects.filter(pk=digest.pk, state=Digest.State.CLAIMED, claimed_at=digest.claimed_at)
    for name, value in values.items():
        setattr(digest, name, value)
    return mine.update(**values) == 1


def give_up(now: datetime) -> None:
    """Say of mails whose process died what is known of them, where they are not tried again."""
    dead = Digest.objects.filter(state=Digest.State.CLAIMED, claimed_at__lte=now - RETRY)
    dead.filter(sent_at__isnull=False).update(state=Digest.State.FAILED, error=IN_DOUBT)
    spent = dead.filter(sent_at__isnull=True, attempts__gte=MOST_ATTEMPTS)
    spent.update(state=Digest.State.FAILED, error=GIVEN_UP)


# --- What people choose, what is kept -------------------------------------------------------------


def choose(username: str, **wanted: bool | str) -> None:
    """Keep which mails a person wants: weekly=…, monthly=…, language=…; what is not said stays."""
    DigestChoice.objects.update_or_create(username=username, defaults=wanted)


def forget_digests(now: datetime) -> int:
    """Remove what was sent long ago; how many rows."""
    return Digest.objects.filter(claimed_at__lt=now - KEEP).delete()[0]
