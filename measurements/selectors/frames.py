"""Rows of the database as data frames, in lots: a list of all rows as Python objects would not fit a large day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Field, QuerySet
from django.db.models.functions import Coalesce

from measurements.domain.units import EPOCH_DAY, IntArray

ROWS_AT_ONCE = 20_000
SMALL_LOT = 500  # rows that live so shortly that the garbage collector does not look at all there is


def frame_of(rows: QuerySet[Any, tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a ``values_list`` under the names ``columns``."""
    stream = rows.iterator(chunk_size=ROWS_AT_ONCE)
    parts = []
    while lot := list(islice(stream, ROWS_AT_ONCE)):
        parts.append(pd.DataFrame(lot, columns=list(columns)))
    if not parts:
        return pd.DataFrame(columns=list(columns))
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def columns_of(rows: QuerySet[Any, tuple[Any, ...]], count: int) -> list[list[Any]]:
    """The ``count`` columns of a ``values_list``, for many rows: each value as the driver gives it.

    What Django makes of each value one by one takes longer than the query: here a day may be a text, a truth a number.
    """
    columns: list[list[Any]] = [[] for _ in range(count)]
    try:
        sql, values = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return columns
    columns_by(sql, values, columns, rows.db)
    return columns


def columns_by(sql: str, values: Sequence[Any], columns: Sequence[list[Any]], alias: str = DEFAULT_DB_ALIAS) -> None:
    """The same of a query's text, put behind what the columns have."""
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, values)
        while lot := cursor.fetchmany(SMALL_LOT):
            for column, part in zip(columns, zip(*lot, strict=True), strict=True):
                column.extend(part)


def plain(field: str) -> Coalesce:
    """A field for many rows, its values as the driver gives them.

    Of a bare column SQLite's driver makes a day or a truth one by one, through Python, and so does Django of a field
    that is said to hold one.
    """
    return Coalesce(field, field, output_field=Field())


def as_days(column: Sequence[Any]) -> list[date]:
    """Days of `columns_of`, where a driver gave texts too."""
    days = {day: day if isinstance(day, date) else date.fromisoformat(day) for day in set(column)}
    return [days[day] for day in column]


def day_numbers(column: Sequence[Any]) -> IntArray:
    """The same as days since 1970."""
    found = list(set(column))
    numbers = dict(zip(found, ((day - EPOCH_DAY).days for day in as_days(found)), strict=True))
    return np.array([numbers[day] for day in column], np.int64)
