"""What all who ask others over HTTP share: who they are, why there was no answer, when to come again."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

import urllib3

USER_AGENT = "joulebook (energy ledger of a computing cluster)"
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (urllib3.exceptions.NameResolutionError, "the host's name is not known here"),
    (urllib3.exceptions.NewConnectionError, "no connection: refused or unreachable"),  # to urllib3 a kind of timeout
    (urllib3.exceptions.TimeoutError, "no answer in time"),
    (urllib3.exceptions.SSLError, "the certificate is not trusted, or TLS failed"),
    (urllib3.exceptions.ProtocolError, "the connection broke off in the middle of the answer"),
)


def cause_of(fault: Exception) -> Exception:
    """What urllib3 wraps, where it wraps something."""
    reason = getattr(fault, "reason", None)
    return reason if isinstance(reason, Exception) else fault


def in_words(fault: Exception) -> str:
    """Why there was no answer; never the address, which may hold a password."""
    cause = cause_of(fault)
    return next((words for kind, words in _CAUSES if isinstance(cause, kind)), type(cause).__name__)


def wait_s(answer: urllib3.BaseHTTPResponse) -> float | None:
    """What Retry-After says, in seconds or as a date [s]."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
