"""What ``manage.py check`` says about the site's own settings: each message names the fault and the cure."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@register(Tags.files)
def var_is_writable(**_options: Any) -> list[CheckMessage]:
    """Everything the site writes goes below one folder."""
    folder = Path(settings.JOULEBOOK_VAR)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return []
    hint = "Name a folder that this account may write to in JOULEBOOK_VAR, or change the owner of this one."
    return [Error(f"JOULEBOOK_VAR={folder} cannot be written to.", hint=hint, id="joulebook.E001")]


@register(Tags.security)
def token_is_kept(**_options: Any) -> list[CheckMessage]:
    """Whether the settings of Electricity Maps go together; whether it is asked stands in the database."""
    faults: list[CheckMessage] = []
    url, token = settings.ELECTRICITY_MAPS_URL, settings.ELECTRICITY_MAPS_TOKEN
    if os.environ.get("JOULEBOOK_ELECTRICITY_MAPS_URL", "").strip() and not token:
        hint = "Set JOULEBOOK_ELECTRICITY_MAPS_TOKEN (or …_FILE), or unset the address."
        faults.append(Warning("Electricity Maps has an address and no token.", hint=hint, id="joulebook.W002"))
    if token and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in THIS_MACHINE:
        hint = "Give JOULEBOOK_ELECTRICITY_MAPS_URL an https:// address."
        faults.append(Warning(f"The token goes unencrypted to {url}.", hint=hint, id="joulebook.W003"))
    if not re.fullmatch(r"[!-~]*", token):
        hint = "JOULEBOOK_ELECTRICITY_MAPS_TOKEN has to be one word of ASCII."
        faults.append(Warning("The token of Electricity Maps can be none.", hint=hint, id="joulebook.W004"))
    return faults


@register(Tags.security)
def mails_can_be_sent(**_options: Any) -> list[CheckMessage]:
    """Whether the settings of mails go together; no server is asked."""
    faults: list[CheckMessage] = []
    if settings.DIGESTS != "off" and not settings.DEFAULT_FROM_EMAIL:
        hint = "Set JOULEBOOK_MAIL_FROM to the sender's address, or JOULEBOOK_DIGESTS=off."
        faults.append(Warning("Mails are wanted, but without a sender none is sent.", hint=hint, id="joulebook.W005"))
    encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if settings.EMAIL_HOST_PASSWORD and not encrypted and settings.EMAIL_HOST not in THIS_MACHINE:
        hint = "Begin JOULEBOOK_MAIL_URL with smtp+tls:// or smtps://."
        faults.append(Warning("The mail server's password goes unencrypted.", hint=hint, id="joulebook.W006"))
    return faults


@register(Tags.security, deploy=True)
def demo_is_not_public(**_options: Any) -> list[CheckMessage]:
    """The demo's passwords are known to everybody."""
    if not settings.JOULEBOOK_DEMO:
        return []
    hint = "Unset JOULEBOOK_DEMO, and delete the demo's people if they were made here."
    return [Warning("JOULEBOOK_DEMO is set: its passwords are public.", hint=hint, id="joulebook.W001")]
