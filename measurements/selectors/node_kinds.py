"""What the nodes of each type are made of and how they are metered, and how much one of them differs from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from django.db.models import QuerySet, Sum

from measurements.domain.comparison import Spread, spread
from measurements.domain.scopes import MeterScope, scope_of
from measurements.domain.units import DAY_MS, US_PER_S, day_from_ms, day_start_ms
from measurements.models import Cluster, MeterPeriod, Node, NodeConfig, NodeDay, ScopeCheck
from measurements.selectors.frames import frame_of
from measurements.selectors.meters import MeterChannel

MOST_NODE_DAYS = 10_000  # that are read for telling nodes apart; of a longer time evenly spread days
LEAST_COVERED = 0.1  # of the time of the node of its type that was measured longest, for one to count
_SUMMED = ("node", "metered_j", "covered_us")
_CONFIG_COLUMNS = (
    *(
        "node__cluster_id",
        "node__cluster__name",
        "node_id",
        "valid_from",
        "node_type_id",
        "cpus",
        "gpus",
        "node__first_sample_ms",
    ),
    *("node__scope_check__verdict", "node__scope_check__declared_includes"),
)
_METER_COLUMNS = (
    *("node_id", "valid_from_ms", "channels", "channels__name", "channels__kind"),
    *("channels__periods__valid_from", "channels__periods__covers_gpus", "channels__periods__dc"),
)


class _Config(NamedTuple):
    """A description in force from a day on."""

    since: date
    node_type: int
    cpus: int | None
    gpus: int | None
    first_sample_ms: int | None  # of the node
    verdict: str | None  # likewise, of the check of its meter
    declared: bool | None


@dataclass(frozen=True, slots=True)
class Parts:
    """How many of something the nodes of a type have: fewest, most, and the mean over nodes and days."""

    low: int
    high: int
    mean: float


@dataclass(frozen=True, slots=True)
class Scopes:
    """How many nodes' meters were checked, and how many seem to hold the GPUs although declared not to, or not to."""

    checked: int = 0
    told: int = 0  # of which it could be told
    includes: int = 0  # seem to hold them, declared not to
    excludes: int = 0

    @property
    def disagree(self) -> int:
        """Nodes whose meter seems to be other than declared."""
        return self.includes + self.excludes


@dataclass(frozen=True, slots=True)
class Kind:
    """A type's nodes as described in the period."""

    cores: Parts | None  # None: not described of all of them
    gpus: Parts | None
    scopes: dict[MeterScope, int]  # nodes by what their meters cover, at the end of the period
    checks: Scopes


@dataclass(slots=True)
class _Use:
    """A description in force on some days of the period."""

    node: int
    node_type: int
    days: int
    last: bool  # the newest of the node in the period
    cpus: int | None
    gpus: int | None
    verdict: str | None
    declared: bool | None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Which node was of which type when."""

    uses: list[_Use]
    since: dict[int, list[tuple[date, int]]] = field(default_factory=dict)  # node: [(from, type)], ascending
    clusters: dict[int, str] = field(default_factory=dict)  # names, in order

    def type_on(self, node: int, day: date) -> int:
        """Its type on a day; one not yet described then has its first one."""
        periods = self.since[node]
        return next((kind for since, kind in reversed(periods) if since <= day), periods[0][1])


def described_nodes(clusters: QuerySet[Cluster], first: date, last: date) -> Nodes:
    """The nodes of some clusters that were in service in the UTC days [first, last]; one query."""
    rows = NodeConfig.objects.filter(node__cluster__in=clusters, node__level=Node.Level.NODE)
    by_node: dict[int, list[_Config]] = {}
    names: dict[int, str] = {}
    for cluster, name, node, *row in rows.order_by("node_id", "valid_from").values_list(*_CONFIG_COLUMNS):
        names[cluster] = name
        by_node.setdefault(node, []).append(_Config(*row))
    uses: list[_Use] = []
    for node, periods in by_node.items():
        uses += _uses(node, periods, first, last)
    since = {node: [(row.since, row.node_type) for row in periods] for node, periods in by_node.items()}
    return Nodes(uses, since, dict(sorted(names.items(), key=lambda item: item[1])))


def _uses(node: int, periods: list[_Config], first: date, last: date) -> list[_Use]:
    in_service_ms = periods[0].first_sample_ms
    if in_service_ms is None or in_service_ms >= day_start_ms(last) + DAY_MS:
        return []
    begin = max(first, day_from_ms(in_service_ms))
    edges = [date.min, *(row.since for row in periods[1:]), date.max]
    found = []
    for (since, until), row in zip(pairwise(edges), periods, strict=True):
        days = (min(until, last + timedelta(days=1)) - max(since, begin)).days
        if days > 0:
            found.append(_Use(node, row.node_type, days, until > last, row.cpus, row.gpus, row.verdict, row.declared))
    return found


def kinds(nodes: Nodes, clusters: Sequence[int], end_ms: int) -> dict[int, Kind]:
    """By node type; one query."""
    meters = _meters(clusters, end_ms)
    by_type: dict[int, list[_Use]] = {}
    for use in nodes.uses:
        by_type.setdefault(use.node_type, []).append(use)
    return {
        kind: Kind(
            cores=_parts([(use.cpus, use.days) for use in uses]),
            gpus=_parts([(use.gpus or 0, use.days) for use in uses]),
            scopes=_scopes(uses, meters),
            checks=_checks(uses),
        )
        for kind, uses in by_type.items()
    }


def _parts(counts: list[tuple[int | None, int]]) -> Parts | None:
    numbers = [number for number, _ in counts if number is not None]
    if len(numbers) < len(counts):
        return None
    mean = sum(number * days for number, (_, days) in zip(numbers, counts, strict=True)) / sum(d for _, d in counts)
    return Parts(min(numbers), max(numbers), mean)


def _scopes(uses: list[_Use], meters: dict[int, tuple[MeterChannel, ...]]) -> dict[MeterScope, int]:
    last = [use for use in uses if use.last]
    found = Counter(scope_of(meters.get(use.node, ()), has_gpus=bool(use.gpus)) for use in last or uses)
    return dict(sorted(found.items()))


def _checks(uses: list[_Use]) -> Scopes:
    checked = [use for use in uses if use.last and use.verdict]
    told = [(use.verdict, use.declared) for use in checked if use.verdict != ScopeCheck.Verdict.UNCLEAR]
    return Scopes(
        checked=len(checked),
        told=len(told),
        includes=told.count((ScopeCheck.Verdict.INCLUDES.value, False)),
        excludes=told.count((ScopeCheck.Verdict.EXCLUDES.value, True)),
    )


def _meters(clusters: Sequence[int], at_ms: int) -> dict[int, tuple[MeterChannel, ...]]:
    """By node the channels of the meter in force at an instant, with what is declared of them then."""
    rows = MeterPeriod.objects.filter(node__cluster__in=clusters, node__level=Node.Level.NODE, valid_from_ms__lt=at_ms)
    day = day_from_ms(at_ms - 1)
    found: dict[int, tuple[int, dict[int, MeterChannel]]] = {}
    ordered = rows.order_by("node_id", "valid_from_ms", "channels__periods__valid_from")
    for node, since_ms, channel, name, kind, declared, covers, dc in ordered.values_list(*_METER_COLUMNS):
        if node not in found or found[node][0] != since_ms:
            found[node] = (since_ms, {})
        if channel is None:
            continue
        if declared is None or declared <= day:
            found[node][1][channel] = MeterChannel(name, kind, "", covers is not False, bool(dc))
        else:
            found[node][1].setdefault(channel, MeterChannel(name, kind, "", covers_gpus=True, dc=False))
    return {node: tuple(channels.values()) for node, (_, channels) in found.items()}


# --- Node by node -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spreads:
    """How the mean power of nodes lies [W], by node type, and how many UTC days were looked at."""

    by_type: dict[int, Spread]
    looked_at: int


def node_spreads(nodes: Nodes, clusters: Sequence[int], first: date, last: date) -> Spreads:
    """Of the UTC days of the dates [first, last], of a long time some that are evenly spread; one query, or two.

    A node that changed its type counts in each with its days as such.
    """
    days = sampled_days(first, last, max(1, len({use.node for use in nodes.uses})))
    rows = NodeDay.objects.filter(cluster__in=clusters, day__in=days, node__level=Node.Level.NODE, covered_us__gt=0)
    types: dict[int, set[int]] = {}
    for use in nodes.uses:
        types.setdefault(use.node, set()).add(use.node_type)
    changed = [node for node, several in types.items() if len(several) > 1]
    summed = rows.exclude(node__in=changed) if changed else rows
    sums = _frame(summed.order_by("node").values_list("node").annotate(Sum("metered_j"), Sum("covered_us")))
    sums["kind"] = [min(types.get(node, {0})) for node in sums["node"].tolist()]
    if changed:
        sums = pd.concat([sums, _by_day(rows.filter(node__in=changed), nodes)])
    sums = sums.groupby(["kind", "node"], as_index=False).sum()
    longest_us = sums.groupby("kind")["covered_us"].transform("max")
    sums = sums[sums["covered_us"] >= LEAST_COVERED * longest_us]
    mean_w = sums["metered_j"] / (sums["covered_us"] / US_PER_S)
    by_type = {int(kind): _spread(values) for kind, values in mean_w.groupby(sums["kind"])}
    return Spreads({kind: found for kind, found in by_type.items() if found}, len(days))


def _frame(rows: QuerySet[NodeDay, tuple[Any, ...]]) -> pd.DataFrame:
    return frame_of(rows, _SUMMED).astype({"metered_j": np.float64, "covered_us": np.float64})


def _by_day(rows: QuerySet[NodeDay], nodes: Nodes) -> pd.DataFrame:
    """Of nodes that changed: each of their days with the type they had on it."""
    columns = (*_SUMMED, "day")
    found = frame_of(rows.order_by("node", "day").values_list(*columns), columns)
    found["kind"] = [nodes.type_on(node, day) for node, day in zip(found["node"], found["day"], strict=True)]
    return found.drop(columns="day")


def _spread(values: pd.Series) -> Spread | None:
    return spread(values.to_numpy(np.float64))


def sampled_days(first: date, last: date, nodes: int) -> list[date]:
    """All days of a period, or of a long one as many as may be read, evenly spread, and not all of one weekday.

    >>> len(sampled_days(date(2025, 1, 1), date(2025, 12, 31), 1_000))
    10
    >>> len(sampled_days(date(2025, 1, 1), date(2025, 12, 31), 20))
    365
    """
    length = (last - first).days + 1
    step = -(-length // max(1, MOST_NODE_DAYS // nodes))
    step += 1 if step > 1 and step % 7 == 0 else 0
    return [first + timedelta(days=i) for i in range(0, length, step)]
