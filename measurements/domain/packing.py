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


def stacked(days: Iterable[bytes | memoryview], width: int = QUARTERS_PER_DAY) -> FloatArray:
    """Days, packed, as rows of an array [days, width]; one that is not rolled up yet is zeros."""
    nothing = bytes(width * np.dtype("<f8").itemsize)
    data = b"".join(bytes(day) or nothing for day in days)
    return np.frombuffer(data, "<f8").reshape(-1, width) if data else np.zeros((0, width))
