"""Who sends: a token instead of a login. No cookie is looked at, so that no page can make a browser send."""

from __future__ import annotations

import base64
import binascii
import logging
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.http import HttpAuthBase

from measurements.models import Token
from measurements.parsers.mapping_rules import MappingFault
from measurements.parsers.records import UnusableFile
from measurements.selectors.tokens import TokenRefused, token_of
from measurements.services.push import NotDurable
from measurements.services.tokens import BROKEN_MAPPING, UNUSABLE_BODY, note_knock, note_uses
from portal.push_body import Refused

logger = logging.getLogger(__name__)
_OF_THE_BODY = (400, 413, 415, 422)
NO_TOKEN = "a token is needed: Authorization: Bearer TOKEN"  # noqa: S105 - a sentence


class Sender(HttpAuthBase):
    """A token for a scope, as the interface's description names it."""

    openapi_scheme = "bearer"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        """The token; raises `TokenRefused`."""
        return sender_of(request, self.scope)


def sender_of(request: HttpRequest, scope: str) -> Token:
    """Whose token a request shows; `TokenRefused` where it may not send, `NotDurable` where nobody can say."""
    secret = secret_in(request.headers.get("Authorization", ""))
    if not secret:
        raise TokenRefused(401, NO_TOKEN)
    try:
        return token_of(secret, scope, timezone.now())
    except TokenRefused as fault:
        if fault.ended is not None:
            _note_knock(fault.ended)
        raise
    except DatabaseError as fault:
        raise NotDurable(str(fault)) from fault


def _note_knock(token: Token) -> None:
    """The answer is the same whether it can be noted or not."""
    try:
        note_knock(token, timezone.now())
    except DatabaseError as fault:
        logger.warning("that %s was used after its end could not be noted: %s", token, fault)


def note_unusable(token: Token | None, fault: Exception) -> None:
    """Note that a body was refused before it could be judged: broken, too large, of another form.

    Or that a mapping file of ours is broken: the sender keeps it then, and operators have to know. Who only has to come
    again (429, 503) has done nothing wrong. The answer is the same whether it can be noted or not.
    """
    own = isinstance(fault, UnusableFile) or (isinstance(fault, Refused) and fault.status in _OF_THE_BODY)
    if token is None or not own:
        return
    reason = BROKEN_MAPPING if isinstance(fault, MappingFault) else UNUSABLE_BODY
    try:
        note_uses([(token, None)], timezone.now(), {token.pk: reason})
    except DatabaseError as error:
        logger.warning("that a body of %s was refused could not be noted: %s", token, error)


def secret_in(header: str) -> str:
    """What a header shows: ``Bearer …``, Influx's ``Token …``, or a password, whatever the user is.

    Which comes as ``Basic …``, or, from Influx's clients, as ``Token user:password``.
    """
    kind, _, value = header.strip().partition(" ")
    value = value.strip()
    match kind.lower():
        case "bearer":
            return value
        case "token":
            return value.rpartition(":")[2]
        case "basic":
            return _password(value)
    return ""


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
