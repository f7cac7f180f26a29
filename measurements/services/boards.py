"""Makes and changes boards, and keeps who wants to be named on them; editions: `measurements.services.editions`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from measurements.models import Board, BoardEvent, Edition, NameConsent, Seat
from measurements.selectors.seats import whose
from measurements.services.board_refusals import BoardRefused, Refusal, may_publish, note, persons_allowed

What = BoardEvent.What
FREE_FIELDS = frozenset({"title", "note", "names"})  # all else is what its editions mean
_OF_WORK = (Board.Kind.ENERGY_PER_WORK, Board.Kind.IMPROVEMENT, Board.Kind.NODE_TYPES)


def make_board(by: AbstractUser, now: datetime, **fields: Any) -> Board:
    """Make a board of the model's fields; `ValidationError` names those that make no sense."""
    may_publish(by)
    board = Board(**fields, created_by=by.get_username(), created_at=now)
    persons_allowed(board)
    _check(board)
    with transaction.atomic():
        board.save(force_insert=True)
        note(board, What.CREATED, by.get_username(), now)
    return board


def change_board(board: Board, by: AbstractUser, now: datetime, **fields: Any) -> Board:
    """Change a board; what its editions mean only while it has none."""
    may_publish(by)
    with transaction.atomic():
        held = Board.objects.select_for_update().get(pk=board.pk)
        changed = sorted(name for name, value in fields.items() if getattr(held, name) != value)
        fixed = sorted(set(changed) - FREE_FIELDS)
        if fixed and held.editions.exists():
            raise BoardRefused(Refusal.FIELDS_FIXED, fields=fixed)
        for name in changed:
            setattr(held, name, fields[name])
        persons_allowed(held)
        _check(held)
        if changed:
            held.save()
            note(held, What.CHANGED, by.get_username(), now, said=", ".join(changed))
    return held


def _check(board: Board) -> None:
    """All that the model says, and that work can be counted."""
    faults: dict[str, Any] = {}
    if board.kind in _OF_WORK and not board.unit:
        faults["unit"] = _("Energy per unit of work needs the unit that jobs declare.")
    if board.kind == Board.Kind.IMPROVEMENT and (board.size or board.target):
        faults["size" if board.size else "target"] = _("Improvement is over all sizes and targets: leave this empty.")
    try:
        board.full_clean()
    except ValidationError as error:
        faults = error.update_error_dict(faults)
    if faults:
        raise ValidationError(faults)


def consent(board: Board, username: str, now: datetime, *, named: bool) -> None:
    """Somebody wants to be named on a board, in all its editions, or no longer."""
    with transaction.atomic():
        held = Board.objects.select_for_update().get(pk=board.pk)
        if not named:
            if NameConsent.objects.filter(board=held, username=username).delete()[0]:
                note(held, What.UNNAMED, username, now)
            return
        persons_allowed(held)
        if not held.names:
            raise BoardRefused(Refusal.NAMES_OFF)
        if NameConsent.objects.get_or_create(board=held, username=username, defaults={"given_at": now})[1]:
            note(held, What.NAMED, username, now)


def forget_seats(username: str) -> int:
    """Remove what is kept of somebody's places in editions, at their wish; how many. What is published stays."""
    editions = Edition.objects.filter(seats__isnull=False).values_list("pk", flat=True).distinct()
    return Seat.objects.filter(whose__in=[whose(pk, username) for pk in editions]).delete()[0]
