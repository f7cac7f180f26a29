"""The one writer of `Token`: what senders show. The secret is told once; only its SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from measurements.domain.token_secrets import PREFIX_LENGTH, digest_of, new_secret
from measurements.models import Cluster, Token

NOTE_EVERY = timedelta(minutes=1)
REASON_LENGTH = 128  # of the column
# Why bodies are refused before a line of them is read: nothing of it is in quarantine.
UNUSABLE_BODY, BROKEN_MAPPING = "unusable body", "broken mapping file"
NOT_IN_QUARANTINE = (UNUSABLE_BODY, BROKEN_MAPPING)


class TokenFault(ValueError):
    """Why there can't be such a token; a sentence."""


class NameTaken(TokenFault):
    """The cluster has a token of that name."""


def make_token(
    cluster: Cluster,
    name: str,
    scopes: Sequence[str],
    *,
    by: str,
    now: datetime,
    expires_at: datetime | None = None,
    late_after_s: int | None = None,
) -> tuple[Token, str]:
    """A new token and its secret, which nobody can be told again."""
    name = name.strip()
    if not name or not name.isprintable():
        raise TokenFault("a token needs a name that can be read: who sends with it")
    wanted = sorted(set(scopes))
    if not wanted or any(scope not in Token.Scope.values for scope in wanted):
        raise TokenFault(f"a token needs a scope: {', '.join(Token.Scope.values)}")
    if expires_at is not None and expires_at <= now:
        raise TokenFault("it would have expired already")
    secret = new_secret()
    row = Token(
        cluster=cluster,
        name=name,
        prefix=secret[:PREFIX_LENGTH],
        sha256=digest_of(secret),
        scopes=wanted,
        made_by=by,
        made_at=now,
        expires_at=expires_at,
        late_after_s=late_after_s,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as fault:
        raise NameTaken(f"{cluster} has a token {name!r} already: give another name") from fault
    return row, secret


def revoke_token(token: Token, now: datetime) -> bool:
    """End a token at once, for ever; whether it was not revoked before."""
    changed = Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now)
    token.refresh_from_db(fields=["revoked_at"])
    return changed > 0


def note_alert(pks: Sequence[int], at: datetime | None) -> None:
    """Note that operators were told that these are late, or that they are not any more."""
    Token.objects.filter(pk__in=pks).update(alerted_at=at)


def note_end_told(pks: Sequence[int], what: Token.End) -> None:
    """Note what operators were told of the end of these."""
    Token.objects.filter(pk__in=pks).update(end_told=what)


def note_knock(token: Token, now: datetime) -> None:
    """Note that a token was shown that has expired or was revoked; at most once a minute."""
    if token.knocked_at is None or now >= token.knocked_at + NOTE_EVERY:
        Token.objects.filter(pk=token.pk).update(knocked_at=now)


def note_uses(
    uses: Iterable[tuple[Token, int | None]], now: datetime, refused: Mapping[int, str] | None = None
) -> None:
    """Note that tokens were used, and the newest reading sent with each [ms]; a token at most once a minute.

    ``refused``: by token for what reason all was refused, empty where something was of use; a token that is not in it
    was used for something else. That something is of use again is noted at once, which is once a minute too.
    """
    newest: dict[int, int | None] = {}
    rows: dict[int, Token] = {}
    for token, newest_ms in uses:
        rows[token.pk] = token
        newest[token.pk] = max((ms for ms in (newest_ms, newest.get(token.pk)) if ms is not None), default=None)
    for token in rows.values():
        reason = None if refused is None else refused.get(token.pk)
        again = reason == "" and token.refused_since is not None
        if not again and token.last_used_at is not None and now < token.last_used_at + NOTE_EVERY:
            continue
        known = [ms for ms in (newest[token.pk], token.newest_ms) if ms is not None]
        Token.objects.filter(pk=token.pk).update(
            last_used_at=now, newest_ms=max(known, default=None), **_refused(token, reason, now)
        )


def _refused(token: Token, reason: str | None, now: datetime) -> dict[str, object]:
    """What is to be noted of refusals."""
    if reason is None:
        return {}
    since = (token.refused_since or now) if reason else None
    return {"refused_since": since, "refused_for": reason[:REASON_LENGTH]}
