"""Which of the rows that a site ever declared hold on a day: of one thing the last that has begun."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TypeVar

from measurements.models import Cluster, SiteFactor, Supply
from measurements.selectors.in_force import site_factors, supplies_of

Row = TypeVar("Row", Supply, SiteFactor, Supply | SiteFactor)
What = tuple[str, str | int | None]


def what(row: Supply | SiteFactor) -> What:
    """What a row is of: a method's intensity, or a kind of factor, of embodied emissions by node type."""
    return ("supply", row.method) if isinstance(row, Supply) else (row.kind, row.node_type_id)


def holding(rows: Iterable[Row], day: date) -> dict[What, Row]:
    """By what they are of; ``rows`` come in the order in which they hold, later ones beat those before."""
    return {what(row): row for row in rows if row.valid_from <= day}


def row_on(cluster: Cluster, wanted: What, day: date) -> Supply | SiteFactor | None:
    """The row of something that holds on a local day of a cluster."""
    of_supply, _ = wanted
    if of_supply == "supply":
        return holding(supplies_of(cluster), day).get(wanted)
    return holding(site_factors(cluster).filter(kind=of_supply), day).get(wanted)
