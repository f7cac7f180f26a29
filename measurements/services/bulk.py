"""Many rows at once: as the ORM's bulk_create, without its objects, which cost ten times the insert."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from django.db import connection, models, transaction


def insert(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    unique: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> None:
    """Insert rows given as values of the fields ``names`` (ids of what they refer to, days `adapted`).

    With ``unique``: a row that meets one with the same values of these takes its place,
    but for what is to be kept.
    """
    ready = list(rows)
    if not ready:
        return
    quote = connection.ops.quote_name
    columns = {name: quote(_column(model, name)) for name in names}
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns.values())}) "  # noqa: S608 - names of our own
        f"VALUES ({', '.join(['%s'] * len(names))})"
    )
    if unique:
        settings = [f"{columns[name]} = EXCLUDED.{columns[name]}" for name in names if name not in {*unique, *keep}]
        sql += f" ON CONFLICT ({', '.join(columns[name] for name in unique)}) DO UPDATE SET {', '.join(settings)}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(sql, ready)


def assign(model: type[models.Model], name: str, values: Iterable[tuple[Any, int]]) -> None:
    """Set one field of many rows: (value, id) pairs."""
    _assign(model, [name], values)


def save(model: type[models.Model], names: Sequence[str], changed: Iterable[models.Model]) -> None:
    """Write the fields ``names`` of objects that are there; bulk_update takes more than ten times as long.

    Their values go to the driver as they are: texts, numbers, truths, nothing.
    """
    _assign(model, names, ((*(getattr(row, name) for name in names), row.pk) for row in changed))


def _assign(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Set fields of many rows, each given as their values and its id."""
    ready = list(rows)
    if not ready:
        return
    quote = connection.ops.quote_name
    *columns, key = (quote(_column(model, field)) for field in (*names, model._meta.pk.name))
    settings = ", ".join(f"{column} = %s" for column in columns)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {settings} WHERE {key} = %s"  # noqa: S608 - names of our own
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(sql, ready)


def _column(model: type[models.Model], name: str) -> str:
    column: str = model._meta.get_field(name).get_attname_column()[1]  # type: ignore[union-attr, assignment]
    return column


def adapted(day: date) -> Any:
    """A day as the database takes it."""
    return connection.ops.adapt_datefield_value(day)
