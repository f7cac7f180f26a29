"""Whose secret somebody shows, and what the tokens of a site are doing."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from measurements.domain.token_secrets import LONGEST, PREFIX_LENGTH, digest_of
from measurements.domain.units import MS_PER_S, datetime_from_ms, ms_from_datetime
from measurements.models import Token

NOTED_EVERY_MS = 60_000  # use is noted once a minute: by that much it may be newer than is known


class TokenRefused(Exception):
    """Why a secret opens nothing: a sentence, and whether it is the secret (401) or what it is for (403)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


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
        raise TokenRefused(401, "this token was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenRefused(401, "this token has expired")
    if scope not in row.scopes:
        raise TokenRefused(403, f"this token is not for {scope}")
    return row


@dataclass(frozen=True, slots=True)
class TokenState:
    """A token as operators see it."""

    token: Token
    newest: datetime | None  # newest reading sent with it
    usable: bool  # neither revoked nor expired
    late: bool  # it should have sent something by now

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
    return TokenState(row, newest, usable, usable and _late(row, now))


def _late(row: Token, now: datetime) -> bool:
    """Silent for longer than was said; a token that nobody has used yet is not late."""
    if row.late_after_s is None or row.last_used_at is None:
        return False
    last_ms = row.newest_ms if row.newest_ms is not None else ms_from_datetime(row.last_used_at)
    return ms_from_datetime(now) - last_ms > row.late_after_s * MS_PER_S + NOTED_EVERY_MS
