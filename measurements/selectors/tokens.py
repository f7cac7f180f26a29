"""Whose secret somebody shows, and what the tokens of a site are doing."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from measurements.domain.token_secrets import LONGEST, PREFIX_LENGTH, digest_of
from measurements.domain.units import MS_PER_S, datetime_from_ms, ms_from_datetime
from measurements.models import Token

NOTED_EVERY_MS = 60_000  # use is noted once a minute: by that much it may be newer than is known
REFUSED_AFTER = timedelta(minutes=5)  # of a sender of many series one body alone may be without any power
END_TOLD_BEFORE = timedelta(days=14)
KNOCKS_FOR = timedelta(days=1)  # shown after its end within so long: whoever sends with it still does
FAR_BEHIND_S = 86_400.0  # readings that are so old when they are sent are late, whatever was said


class TokenRefused(Exception):
    """Why a secret opens nothing: a sentence, and whether it is the secret (401) or what it is for (403).

    ``ended``: the token whose secret it was, for our own notes; whoever sends is told the sentence and no more.
    """

    def __init__(self, status: int, reason: str, ended: Token | None = None) -> None:
        super().__init__(reason)
        self.status, self.ended = status, ended


def token_of(secret: str, scope: str, now: datetime) -> Token:
    """The token whose secret this is, if it may be used for ``scope``; else `TokenRefused`.

    The time it takes says nothing about a secret: what is compared are digests, in constant time.
    """
    known = len(secret) <= LONGEST
    row = Token.objects.select_related("cluster").filter(prefix=secret[:PREFIX_LENGTH]).first() if known else None
    same = hmac.compare_digest(digest_of(secret), row.sha256 if row is not None else "0" * 64)
    if row is None or not same:
        raise TokenRefused(401, "no such token")
    if row.revoked_at is not None:
        raise TokenRefused(401, "this token was revoked", row)
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenRefused(401, "this token has expired", row)
    if scope not in row.scopes:
        raise TokenRefused(403, f"this token is not for {scope}")
    return row


@dataclass(frozen=True, slots=True)
class TokenState:
    """A token as operators see it."""

    token: Token
    newest: datetime | None  # newest reading sent with it
    usable: bool  # neither revoked nor expired
    late: bool  # it should have sent something newer by now
    refused: bool = False  # nothing of what it sends is of use
    ends_soon: bool = False  # and it is in use
    knocks: bool = False  # it has ended, and was shown lately all the same
    behind_s: float | None = None  # how old its newest reading was when it sent last, where that is far too old

    @property
    def never_used(self) -> bool:
        """Whether nobody has shown it yet."""
        return self.token.last_used_at is None


def token_states(now: datetime) -> list[TokenState]:
    """All tokens: those that can be used first, by cluster and name."""
    rows = Token.objects.select_related("cluster").order_by("cluster__name", "name")
    found = [_state(row, now) for row in rows]
    return sorted(found, key=lambda state: not state.usable)


def _state(row: Token, now: datetime) -> TokenState:
    usable = row.revoked_at is None and (row.expires_at is None or row.expires_at > now)
    newest = datetime_from_ms(row.newest_ms) if row.newest_ms is not None else None
    behind_s = _behind_s(row)
    late = usable and (behind_s is not None or _late(row, now))
    return TokenState(
        row, newest, usable, late, usable and _refused(row, now, late=late), usable and _ends_soon(row, now),
        knocks=not usable and row.knocked_at is not None and now - row.knocked_at < KNOCKS_FOR, behind_s=behind_s,
    )  # fmt: skip


def _refused(row: Token, now: datetime, *, late: bool) -> bool:
    """Nothing was of use for a while; at once where nothing ever was, or where it is late."""
    since = row.refused_since
    return since is not None and (late or row.newest_ms is None or now - since >= REFUSED_AFTER)


def _ends_soon(row: Token, now: datetime) -> bool:
    """Within two weeks, or the second half of a shorter life; what nobody uses any more may end."""
    if row.expires_at is None or row.last_used_at is None or now - row.last_used_at > END_TOLD_BEFORE:
        return False
    return row.expires_at - now <= min(END_TOLD_BEFORE, (row.expires_at - row.made_at) / 2)


def _behind_s(row: Token) -> float | None:
    """Whoever sends what is far too old has a wrong clock, or catches up: it is not in time because it knocks."""
    if row.last_used_at is None or row.newest_ms is None or Token.Scope.POWER_WRITE not in row.scopes:
        return None  # who holds a GPU may be told again long after it was seen
    behind_ms = ms_from_datetime(row.last_used_at) - row.newest_ms
    most_s = FAR_BEHIND_S if row.late_after_s is None else row.late_after_s
    return behind_ms / MS_PER_S if behind_ms > most_s * MS_PER_S + NOTED_EVERY_MS else None


def _late(row: Token, now: datetime) -> bool:
    """Silent for longer than was said; a token that nobody has used yet is not late."""
    if row.late_after_s is None or row.last_used_at is None:
        return False
    last_ms = row.newest_ms if row.newest_ms is not None else ms_from_datetime(row.last_used_at)
    return ms_from_datetime(now) - last_ms > row.late_after_s * MS_PER_S + NOTED_EVERY_MS
