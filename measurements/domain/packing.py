"""Joules by quarter hour as they are stored: little-endian float64, one after the other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from measurements.domain.units import QUARTERS_PER_DAY, FloatArray


def packed(joules: FloatArray) -> bytes:
    """As it is stored."""
    return joules.astype("<f8").tobytes()


def unpacked(data: bytes | memoryview) -> FloatArray:
    """What `packed` packed."""
    return np.frombuffer(bytes(data), "<f8")


def stacked(days: Iterable[bytes | memoryview]) -> FloatArray:
    """Whole days, packed, as rows of an array [days, 96]."""
    data = b"".join(map(bytes, days))
    return np.frombuffer(data, "<f8").reshape(-1, QUARTERS_PER_DAY) if data else np.zeros((0, QUARTERS_PER_DAY))
