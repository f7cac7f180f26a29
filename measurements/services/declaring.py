"""Checks what a site declares of a cluster before it is stored; refusals say why, and what would be right.

Who types it (command or page) makes rows with these functions and gives them to `pricing.add_rows`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.text import slugify

from measurements.domain.carbon import (
    HIGHEST_G_PER_KWH,
    HIGHEST_PUE,
    LOWEST_G_PER_KWH,
    LOWEST_PUE,
    Basis,
    Method,
)
from measurements.domain.units import EPOCH_DAY
from measurements.models import Cluster, IntensitySeries, NodeType, SiteFactor, Supply
from measurements.selectors.holding import row_on
from measurements.services.factors import OtherValue, publish
from measurements.services.intensity import new_series

Kind = SiteFactor.Kind
PLACES = ("slots", "monthly", "yearly")  # of a supply
HIGHEST_WUE_L_PER_KWH = 20.0
HIGHEST_EMBODIED_KG = 100_000.0  # of one node
HIGHEST_LIFETIME_YEARS = 30.0
HIGHEST_PRICE = {"EUR": 5.0, "USD": 5.0, "GBP": 5.0, "CHF": 5.0}  # per kWh
HIGHEST_PRICE_ELSEWHERE = 1_000.0
_LIMITS = {  # lowest, highest, unit, what is wrong outside
    Kind.PUE: (LOWEST_PUE, HIGHEST_PUE, "", "a PUE is facility energy ÷ IT energy, 1 or more"),
    Kind.INFRASTRUCTURE: (0.0, 1.0, "", "give the share of the nodes' energy, 0.176 and not 17.6"),
    Kind.WUE: (0.0, HIGHEST_WUE_L_PER_KWH, "L/kWh", "give litres per kWh of IT energy"),
    Kind.RENEWABLE: (0.0, 1.0, "", "give the share, 0.5 and not 50"),
    Kind.EMBODIED: (0.0, HIGHEST_EMBODIED_KG, "kg CO2e", "give kg CO2e of one node"),
}


class NotDeclarable(ValueError):
    """What was said cannot hold; the message says why and what would be right."""


@dataclass(frozen=True, slots=True)
class By:
    """Who declares something, from which day on, why, and where it is from."""

    valid_from: date
    author: str = ""
    reason: str = ""
    source: str = ""
    url: str = ""


# --- Which series price the energy ---------------------------------------------------------------------


def supply(
    cluster: Cluster, method: Method, changes: Mapping[str, IntensitySeries | None], by: By, *, afresh: bool = False
) -> Supply:
    """A supply from a day on: what was in force then, with some of its series changed; ``afresh``: nothing else."""
    before = None if afresh else row_on(cluster, ("supply", method.value), by.valid_from)
    series = {place: getattr(before, place, None) for place in PLACES} | dict(changes)
    made = Supply(
        cluster=cluster, method=method, valid_from=by.valid_from, author=by.author, reason=by.reason, **series
    )
    check_supply(made)
    return made


def check_supply(made: Supply) -> None:
    """NotDeclarable where its series are of different zones, bases or methods, or have no such values."""
    _check_day(made.valid_from)
    named = {place: getattr(made, place) for place in PLACES if getattr(made, place) is not None}
    for place, series in named.items():
        if series.method != made.method:
            raise NotDeclarable(
                f"{series.slug} is {series.method}, asked for is a {made.method} series: "
                f"{'--market-yearly takes it' if series.method == Method.MARKET else 'it is of no supplier'}"
            )
        if series.signal != IntensitySeries.Signal.AVERAGE:
            raise NotDeclarable(
                f"{series.slug} is a {series.signal} signal: it prices no footprint; take an average one"
            )
        resolution = {"yearly": "year", "monthly": "month"}.get(place)
        if resolution and not series.values.filter(resolution=resolution).exists():
            raise NotDeclarable(f"{series.slug} has no value of a {resolution}: choose another series for --{place}")
    for what in ("zone", "basis"):
        values = {place: getattr(series, what) for place, series in named.items()}
        if len(set(values.values())) > 1:
            said = ", ".join(f"{place} {named[place].slug} is {value}" for place, value in values.items())
            raise NotDeclarable(f"one supply has one {what}: {said}; {_agreeing(named, what)}")


def _agreeing(named: Mapping[str, IntensitySeries], what: str) -> str:
    """What would agree with the first, which is the most resolved."""
    first, *others = named
    leader = named[first]
    rows = IntensitySeries.objects.filter(zone=leader.zone, basis=leader.basis, method=leader.method)
    fitting = [row.slug for row in rows.filter(values__isnull=False).distinct()][:5]
    cure = f" ({', '.join(fitting)})" if fitting else ""
    return f"take a {getattr(leader, what)} one as --{others[-1]}{cure}, or none"


def contract_series(
    cluster: Cluster, g_per_kwh: float, by: By, now: datetime, *, zone: str, basis: Basis, mix: str
) -> IntensitySeries:
    """The series of a supplier's contract (or a residual mix), with its value of the year from which it holds."""
    if not LOWEST_G_PER_KWH <= g_per_kwh <= HIGHEST_G_PER_KWH:
        raise NotDeclarable(
            f"{g_per_kwh:g} g/kWh is not from {LOWEST_G_PER_KWH:g} to {HIGHEST_G_PER_KWH:g}: g CO2e per kWh are meant "
            "(1 lb/MWh is 0.45359237 g/kWh)"
        )
    slug = slugify(f"{cluster.name} market {basis} {by.source}")[:128]
    series = IntensitySeries.objects.filter(slug=slug).first() or new_series(
        now,
        slug=slug,
        zone=zone,
        basis=basis,
        method=Method.MARKET,
        mix=mix,
        source_title=by.source,
        source_url=by.url,
        note=by.reason,
    )
    if (series.zone, series.mix) != (zone, mix):
        raise NotDeclarable(f"{slug} is there already, of zone {series.zone} and mix {series.mix}: name another source")
    try:
        publish(series, {by.valid_from.replace(month=1, day=1): g_per_kwh}, now=now)
    except OtherValue as fault:
        raise NotDeclarable(f"{fault}: name the new edition in the source") from fault
    return series


# --- Typed factors ---------------------------------------------------------------------------------------


def factor(cluster: Cluster, kind: str, value: float | None, by: By, **fields: Any) -> SiteFactor:
    """A factor from a day on; None: not declared any more. Its source has to be said."""
    unit = fields.pop("unit", _LIMITS[Kind(kind)][2] if Kind(kind) in _LIMITS else "")
    made = SiteFactor(
        cluster=cluster,
        kind=kind,
        value=value,
        valid_from=by.valid_from,
        source_title=by.source,
        source_url=by.url,
        author=by.author,
        reason=by.reason,
        unit=unit,
        **fields,
    )
    check_factor(made)
    return made


def check_factor(made: SiteFactor) -> None:
    """NotDeclarable where a value cannot be one, or nobody says where it is from."""
    kind = Kind(made.kind)
    _check_day(made.valid_from)
    if not made.source_title.strip():
        raise NotDeclarable(f"{kind.value}: say where the value is from (--source)")
    if made.source_url and not made.source_url.startswith(("https://", "http://")):
        raise NotDeclarable(f"{made.source_url[:80]!r} is no address of a page: it begins with https:// or http://")
    if kind == Kind.EMBODIED:
        _check_embodied(made)
    if made.value is None:
        return
    low, high, _, cure = _LIMITS.get(kind) or _price_limits(made)
    bands = made.detail.get("bands", []) if kind == Kind.TARIFF else []
    for value in (made.value, *(band["price"] for band in bands)):
        if not (math.isfinite(value) and low <= value <= high):
            raise NotDeclarable(f"{kind.value} {value:g} is not from {low:g} to {high:g}: {cure}")


def _check_day(day: date) -> None:
    if day < EPOCH_DAY:
        raise NotDeclarable(f"{day} is before 1970-01-01, which means from the beginning")


def _check_embodied(made: SiteFactor) -> None:
    if made.node_type is None:
        raise NotDeclarable("embodied emissions are of a node type: name it")
    if made.value is None:
        return
    years = made.detail.get("lifetime_years")
    if not years or not 0 < years <= HIGHEST_LIFETIME_YEARS:
        raise NotDeclarable(
            f"embodied: a lifetime above 0 and up to {HIGHEST_LIFETIME_YEARS:g} years is needed (--lifetime)"
        )
    low, high = (made.value if bound is None else bound for bound in (made.low, made.high))
    if not 0 < low <= made.value <= high:
        raise NotDeclarable(
            f"embodied {made.node_type.name}: {low:g}, {made.value:g}, {high:g} are not low, central, high"
        )


def _price_limits(made: SiteFactor) -> tuple[float, float, str, str]:
    currency = made.unit.partition("/")[0]
    most = HIGHEST_PRICE.get(currency, HIGHEST_PRICE_ELSEWHERE)
    return 0.0, most, made.unit, f"give {currency} per kWh, not cents and not per MWh"


def node_type(cluster: Cluster, name: str) -> NodeType:
    """A node type of the cluster by its name."""
    found = NodeType.objects.filter(cluster=cluster, name=name).first()
    if found is None:
        known = ", ".join(NodeType.objects.filter(cluster=cluster).values_list("name", flat=True)) or "none yet"
        raise NotDeclarable(f"no node type {name!r} on {cluster.name}; known: {known}")
    return found
