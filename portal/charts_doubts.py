"""The small curve beside a doubt: the stretch with its neighbours, as shapes of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements.domain.units import MW_PER_W, IntArray, Kind
from measurements.selectors.doubts import OneDoubt
from portal.quantities import format_quantity

WIDTH, HEIGHT, PAD = 320, 64, 3


@dataclass(frozen=True, slots=True)
class SmallCurve:
    """Shapes in a box of `WIDTH` × `HEIGHT`."""

    points: str  # of a line
    band_x: str
    band_width: str
    low: str  # the lowest and highest power, in words
    high: str


def small_curve(one: OneDoubt, t_ms: IntArray, value: IntArray) -> SmallCurve | None:
    """The curve; None where fewer than two readings are known."""
    watts = value / MW_PER_W
    if one.kind == Kind.COUNTER and len(value) > 1:
        watts = np.maximum(np.diff(value), 0) / np.maximum(np.diff(t_ms), 1) / MW_PER_W
        t_ms = t_ms[1:]
    if len(watts) < 2:
        return None
    span = float(t_ms[-1] - t_ms[0]) or 1.0
    low, high = float(watts.min()), float(watts.max())
    x = (t_ms - t_ms[0]) / span * WIDTH
    y = HEIGHT - PAD - (watts - low) / ((high - low) or 1.0) * (HEIGHT - 2 * PAD)
    left, right = (float(np.clip((at - t_ms[0]) / span, 0, 1)) * WIDTH for at in (one.start_ms, one.end_ms))
    return SmallCurve(
        " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)),
        f"{max(left - 1, 0):.1f}",
        f"{max(right - left, 0) + 2:.1f}",
        format_quantity(low, "power"),
        format_quantity(high, "power"),
    )
