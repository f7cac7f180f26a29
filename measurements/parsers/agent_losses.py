"""What a node agent says of readings that it dropped: ``"lost": [{"id", "readings", "from", "to"}, …]`` beside samples.

A loss is of one UTC day, and may grow under its id. Entries that make no sense are passed over: a sender's readings are
taken whatever it says beside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from measurements.domain.losses import Loss
from measurements.domain.units import MS_PER_S
from measurements.parsers.body import json_object

MOST_OF_A_BODY = 100
MOST_READINGS = 10**12
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NODE = re.compile(r"[^\s,\"]{1,255}")
_FIRST_S, _LAST_S = 946_684_800.0, 4_102_444_800.0  # from 2000 to 2100


def read(body: bytes) -> list[Loss]:
    """The losses that a body of JSON tells."""
    if b'"lost"' not in body:
        return []
    document = json_object(body)
    node, said = document.get("node"), document.get("lost")
    if not isinstance(node, str) or not _NODE.fullmatch(node) or not isinstance(said, list):
        return []
    return list(_losses(node, said[:MOST_OF_A_BODY]))


def _losses(node: str, said: list[Any]) -> Iterator[Loss]:
    for one in said:
        if not isinstance(one, dict):
            continue
        number, readings = one.get("id"), one.get("readings")
        first: Any = one.get("from")
        last: Any = one.get("to")
        if not isinstance(number, str) or not _ID.fullmatch(number):
            continue
        if type(readings) is not int or not 0 < readings <= MOST_READINGS:
            continue
        if _is_time(first) and _is_time(last) and first <= last:
            yield Loss(node, number, readings, int(first * MS_PER_S), int(last * MS_PER_S))


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and _FIRST_S <= value < _LAST_S
