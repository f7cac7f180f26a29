"""Readings that a sender lost before it could send them."""

from __future__ import annotations

from dataclasses import dataclass

LOST = "dropped by the sender (buffer full)"  # the reason in quarantine


@dataclass(frozen=True, slots=True)
class Loss:
    """Readings of a node that never came; of one UTC day, and it may grow under its number."""

    node: str
    number: str  # the sender's
    readings: int
    first_ms: int
    last_ms: int
