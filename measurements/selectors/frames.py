"""Rows of the database as data frames, in lots: a list of all rows as Python objects would not fit a large day."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import pandas as pd
from django.db.models import QuerySet

ROWS_AT_ONCE = 20_000


def frame_of(rows: QuerySet[Any, tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a ``values_list`` under the names ``columns``."""
    stream = rows.iterator(chunk_size=ROWS_AT_ONCE)
    parts = []
    while lot := list(islice(stream, ROWS_AT_ONCE)):
        parts.append(pd.DataFrame(lot, columns=list(columns)))
    if not parts:
        return pd.DataFrame(columns=list(columns))
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
