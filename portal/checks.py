"""What ``manage.py check`` says about the site's own settings: each message names the fault and the cure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.files)
def var_is_writable(**_options: Any) -> list[CheckMessage]:
    """Everything the site writes goes below one folder."""
    folder = Path(settings.JOULEBOOK_VAR)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return []
    hint = "Name a folder that this account may write to in JOULEBOOK_VAR, or change the owner of this one."
    return [Error(f"JOULEBOOK_VAR={folder} cannot be written to.", hint=hint, id="joulebook.E001")]


@register(Tags.security, deploy=True)
def demo_is_not_public(**_options: Any) -> list[CheckMessage]:
    """The demo's passwords are known to everybody."""
    if not settings.JOULEBOOK_DEMO:
        return []
    hint = "Unset JOULEBOOK_DEMO, and delete the demo's people if they were made here."
    return [Warning("JOULEBOOK_DEMO is set: its passwords are public.", hint=hint, id="joulebook.W001")]
