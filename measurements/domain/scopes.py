"""What a meter covers, as one word that figures can be told apart by."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol


class MeterScope(IntEnum):
    """Figures of unlike scopes are never ranked against each other."""

    UNKNOWN = 0
    NODE_AC = 1
    NODE_DC = 2
    NODE_WITHOUT_GPUS = 3
    PARTS = 4
    PARTS_WITHOUT_GPUS = 5
    MIXED = 6


class MeteredChannel(Protocol):
    """What has to be known of a channel."""

    @property
    def name(self) -> str:
        """node, cpu0, dram1, gpu3."""

    @property
    def covers_gpus(self) -> bool:
        """Of a node channel: whether the GPUs are in it."""

    @property
    def dc(self) -> bool:
        """Measured behind the power supply."""


def scope_of(channels: Iterable[MeteredChannel], *, has_gpus: bool) -> MeterScope:
    """
    What a node's meter covers, of its channels; a node without GPUs is covered whole by a meter that leaves them out.

    Examples
    --------
    >>> scope_of([], has_gpus=False).name
    'UNKNOWN'
    """
    listed = list(channels)
    whole = [channel for channel in listed if channel.name == "node"]
    with_gpus = not has_gpus or any(channel.name.startswith("gpu") for channel in listed)
    if whole:
        if not with_gpus and not any(channel.covers_gpus for channel in whole):
            return MeterScope.NODE_WITHOUT_GPUS
        return MeterScope.NODE_DC if any(channel.dc for channel in whole) else MeterScope.NODE_AC
    if not listed:
        return MeterScope.UNKNOWN
    return MeterScope.PARTS if with_gpus else MeterScope.PARTS_WITHOUT_GPUS


def common(scopes: Iterable[MeterScope]) -> MeterScope:
    """That of nodes together: the one they share, else MIXED."""
    distinct = set(scopes)
    if not distinct:
        return MeterScope.UNKNOWN
    return distinct.pop() if len(distinct) == 1 else MeterScope.MIXED
