"""Writes the channels of nodes, and what is said of them, dated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from django.db.models import Max

from measurements.domain.integrate import wrap_limit_mw
from measurements.domain.units import Kind
from measurements.models import Channel, ChannelPeriod, Cluster
from measurements.services.machine import touch_nodes

_NO_FIGURE = {"source", "dc"}  # what may be said of a channel without a figure changing


def channels_of(cluster: Cluster, wanted: Iterable[tuple[int, str, Kind]]) -> dict[tuple[int, str, Kind], int]:
    """The ids of (node id, name, kind), made where they are not there."""
    wanted = set(wanted)
    missing = sorted(wanted - known_channels(wanted).keys())
    if missing:
        Channel.objects.bulk_create(
            [Channel(node_id=node_id, name=name, kind=kind) for node_id, name, kind in missing],
            ignore_conflicts=True,
        )
    found = known_channels(wanted)
    return {key: found[key] for key in wanted}


def known_channels(wanted: Iterable[tuple[int, str, Kind]]) -> dict[tuple[int, str, Kind], int]:
    """The ids of all channels of the nodes of (node id, name, kind)."""
    rows = Channel.objects.filter(node_id__in={node_id for node_id, _, _ in wanted})
    return {
        (node_id, name, Kind(kind)): pk for node_id, name, kind, pk in rows.values_list("node_id", "name", "kind", "pk")
    }


def made_up_channels(wanted: Iterable[tuple[int, str, Kind]], made_up: int) -> dict[tuple[int, str, Kind], int]:
    """As `channels_of`, but nothing is written: what is not there gets an id behind all others."""
    wanted = sorted(set(wanted))
    found = known_channels(wanted)
    first = (Channel.objects.aggregate(newest=Max("pk"))["newest"] or 0) + 1 + made_up
    return {key: found.get(key, first + i) for i, key in enumerate(wanted)}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an ingest says of its channels; None where nothing."""

    nominal_ms: int | None = None
    max_gap_ms: int | None = None
    wrap_uj: int | None = None
    source: str | None = None
    covers_gpus: bool | None = None
    dc: bool | None = None

    def said(self) -> dict[str, Any]:
        """The fields that are stated."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in pairs if value is not None}


def declare_channels(cluster: Cluster, first_days: dict[int, date], declaration: Declaration) -> None:
    """Date what is said of channels (id → first day of their samples); a change dirties its days.

    Saying the same again, or of earlier days later, gives the same rows in any order.
    """
    said = declaration.said()
    if not said or not first_days:
        return
    periods: dict[int, list[ChannelPeriod]] = {}
    for row in ChannelPeriod.objects.filter(channel_id__in=first_days).order_by("valid_from"):
        periods.setdefault(row.channel_id, []).append(row)
    nodes = dict(Channel.objects.filter(pk__in=first_days).values_list("pk", "node_id"))
    touched: dict[int, date] = {}
    fresh: list[ChannelPeriod] = []
    changed: list[ChannelPeriod] = []
    for channel_id, day in sorted(first_days.items()):
        written = _declared(channel_id, day, said, periods.get(channel_id, []))
        if written is None:
            continue
        (changed if written.pk else fresh).append(written)
        # How large a wrap of its counter may be is known of some sources.
        if not said.keys() <= _NO_FIGURE or wrap_limit_mw(written.source, written.wrap_uj or 0) >= 0:
            node = nodes[channel_id]
            touched[node] = min(day, touched.get(node, day))
    write_periods(cluster, fresh, changed, ["valid_from", *said], touched)


def write_periods(
    cluster: Cluster,
    fresh: Sequence[ChannelPeriod],
    changed: Sequence[ChannelPeriod],
    names: Sequence[str],
    touched: dict[int, date],
) -> None:
    """Write new rows, and fields of others; of ``touched`` nodes figures depend on it from a day on."""
    ChannelPeriod.objects.bulk_create(fresh, 1000)
    ChannelPeriod.objects.bulk_update(changed, names, 200)
    # A stretch may reach over midnight, hence the day before.
    touch_nodes(cluster, {node: day - timedelta(days=1) for node, day in touched.items()})


def _declared(channel_id: int, day: date, said: dict[str, Any], rows: list[ChannelPeriod]) -> ChannelPeriod | None:
    """The row that must be written so that from ``day`` on holds what is said; None if it does already."""
    current = next((row for row in reversed(rows) if row.valid_from <= day), None)
    following = next((row for row in rows if row.valid_from > day), None)
    if current is not None and _says(current, said):
        return None
    if current is not None and current.valid_from == day:
        row = current
    elif current is None and following is not None and _says(following, said):
        row = following
    else:
        row = copy(current) if current is not None else ChannelPeriod(channel_id=channel_id)
        row.pk = None
        row._state.adding = True
    row.valid_from = day
    for name, value in said.items():
        setattr(row, name, value)
    return row


def _says(row: ChannelPeriod, said: dict[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in said.items())
