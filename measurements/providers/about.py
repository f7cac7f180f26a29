"""What is to be known of a provider before it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from measurements.domain.carbon import Basis
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.client import Access


@dataclass(frozen=True, slots=True)
class Zone:
    """An area, as the provider names it and as a series of ours does."""

    asked: str
    series: str
    title: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: what its values are, under which licence, how it wants to be asked, and the function that asks."""

    name: str
    url: str  # where it says what its values are
    licence: str
    attribution: str  # to be shown beside its values
    gas: str
    bases: tuple[Basis, ...]  # more than one: the site says which
    mixes: tuple[str, ...]  # likewise
    note: str
    needs_token: bool
    every_s: float  # between two turns
    pause_s: float  # between two calls of somebody who can wait
    calls_a_turn: int
    zone: Callable[[str], Zone]  # ValueError for what can be no zone
    piece_end_ms: Callable[[int, int], int]  # how far of [start, end) one call may reach
    fetch: Callable[[str, int, int, Access, Basis], IntensitySlots]
