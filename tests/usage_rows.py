"""Roll-ups of usage as tests look at them: by whom, kind of node and hour."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from measurements.domain.profiles import ENERGY, HOURS_PER_DAY, RECORD, unpacked_hours
from measurements.domain.units import FloatArray
from measurements.models import UsageDay


def records(row: UsageDay) -> FloatArray:
    """A row's day, hour by hour [24, 12]."""
    day = np.zeros((HOURS_PER_DAY, RECORD))
    _owner, found = unpacked_hours([row.hours])
    day[row.first_hour : row.first_hour + len(found)] = found
    return day


def quarters(row: UsageDay) -> FloatArray:
    """A row's joules by quarter hour [96]."""
    return records(row)[:, ENERGY].ravel()


def hours_by_type(column: int) -> dict[str, FloatArray]:
    """A column of the records, added up over all rows of a node type [24]."""
    found: dict[str, FloatArray] = defaultdict(lambda: np.zeros(HOURS_PER_DAY))
    for row in UsageDay.objects.select_related("node_type"):
        found[row.node_type.name] = found[row.node_type.name] + records(row)[:, column]
    return dict(found)
