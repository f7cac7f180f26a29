"""Whether there is anything to see without a login."""

from __future__ import annotations

from django.conf import settings

from measurements.models import Board, Edition


def public_boards() -> bool:
    """Whether an edition is published that everybody may see; one query."""
    shown = Edition.objects.filter(state=Edition.State.PUBLISHED, board__audience=Board.Audience.PUBLIC)
    return (shown if settings.BOARDS_OF_PERSONS else shown.exclude(board__scope=Board.Scope.USER)).exists()
