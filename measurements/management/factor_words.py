"""What is declared of a cluster, and what a declaration would change, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from measurements.domain.carbon import G_PER_KG
from measurements.domain.chain import Footprint
from measurements.domain.units import EPOCH_DAY, kwh_from_joules
from measurements.models import Cluster, SiteFactor, Supply
from measurements.parsers.tariff_bands import band_text
from measurements.selectors.declaration_effect import Effect
from measurements.selectors.holding import holding, what
from measurements.selectors.in_force import site_factors, supplies_of

PLACES = ("slots", "monthly", "yearly")


def listed(cluster: Cluster, at: datetime) -> list[dict[str, Any]]:
    """All that was ever declared, in the order in which it holds, with what is in force today."""
    today = at.astimezone(ZoneInfo(timezone.get_default_timezone_name())).date()
    rows: list[Supply | SiteFactor] = [*supplies_of(cluster), *site_factors(cluster).select_related("node_type")]
    newest = holding(rows, today)
    return [_as_json(row) | {"in_force": newest.get(what(row)) is row, "words": row_words(row)} for row in rows]


def row_words(row: Supply | SiteFactor) -> str:
    """A row in one line."""
    since = "from the beginning" if row.valid_from == EPOCH_DAY else f"from {row.valid_from}"
    entered = f" (entered {row.created_at:%Y-%m-%d} by {row.author or 'somebody'})" if row.pk and row.created_at else ""
    reason = f" [{row.reason}]" if row.reason else ""
    if isinstance(row, Supply):
        series = ", ".join(f"{place} {slug}" for place, slug in _slugs(row).items()) or "none"
        return f"carbon intensity {row.method}, {since}: {series}{reason}{entered}"
    return f"{_name(row)}, {since}: {_value(row)}; {row.source_title}{reason}{entered}"


def until_then(cluster: Cluster, row: Supply | SiteFactor) -> str:
    """Says so where something that was declared of a later date holds from then on; else empty."""
    rows: list[Supply | SiteFactor] = [*supplies_of(cluster), *site_factors(cluster).select_related("node_type")]
    later = [one for one in rows if what(one) == what(row) and one.valid_from > row.valid_from]
    return f"note: from {later[0].valid_from} on what was declared before still holds" if later else ""


def _slugs(row: Supply) -> dict[str, str]:
    return {place: getattr(row, place).slug for place in PLACES if getattr(row, place) is not None}


def _name(row: SiteFactor) -> str:
    return f"{row.kind} {row.node_type.name}" if row.node_type else str(row.kind)


def _value(row: SiteFactor) -> str:
    if row.value is None:
        return "not declared any more"
    parts = [f"{row.value:g}{f' {row.unit}' if row.unit else ''}"]
    if row.low is not None and row.high is not None:
        parts.append(f"({row.low:g} to {row.high:g})")
    parts += [f"over {row.detail['lifetime_years']:g} years"] if "lifetime_years" in row.detail else []
    parts += [row.detail["category"]] if "category" in row.detail else []
    parts += [f"[{band_text(band)}]" for band in row.detail.get("bands", [])]
    return " ".join(parts)


def _as_json(row: Supply | SiteFactor) -> dict[str, Any]:
    said: dict[str, Any] = {
        "valid_from": row.valid_from.isoformat(),
        "reason": row.reason,
        "author": row.author,
        "created_at": row.created_at.isoformat(),
    }
    if isinstance(row, Supply):
        return {"kind": "supply", "method": row.method} | _slugs(row) | said
    return {
        "kind": row.kind,
        "node_type": row.node_type.name if row.node_type else None,
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "unit": row.unit,
        "detail": row.detail,
        "source": row.source_title,
        "url": row.source_url,
    } | said


# --- A dry run ----------------------------------------------------------------------------------------


def effect_json(effect: Effect) -> dict[str, Any]:
    """Figures of the affected period, before and after."""
    return {
        "first": _day(effect.first),
        "last": _day(effect.last),
        "before": _figures(effect.before),
        "after": _figures(effect.after),
    }


def effect_words(effect: Effect) -> Iterator[str]:
    """The same as lines; what stays as it is says so once."""
    if effect.first is None:
        yield "nothing is booked there yet: no figure changes"
        return
    yield f"the whole cluster, {effect.first} to {effect.last} (UTC days):"
    before, after = _figures(effect.before), _figures(effect.after)
    changed = [name for name in before if before[name] != after[name]]
    for name in changed:
        yield f"  {name}: {_text(before[name])} → {_text(after[name])}"
    if not changed:
        yield "  no figure changes"


def _figures(found: Footprint) -> dict[str, Any]:
    return {
        "facility_energy_kwh": kwh_from_joules(found.facility_j),
        "emissions_kg_co2e": _kg(found.location_g),
        "market_emissions_kg_co2e": _kg(found.market_g),
        "unpriced_energy_kwh": kwh_from_joules(found.unpriced_j),
        "embodied_kg_co2e": _kg(found.embodied.central_g if found.embodied else None),
        "cost": dict(found.cost),
        "water_l": found.water_l,
    }


def _kg(grams: float | None) -> float | None:
    return None if grams is None else grams / G_PER_KG


def _text(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, dict):
        return ", ".join(f"{amount:.6g} {currency}" for currency, amount in value.items()) or "not known"
    return f"{value:.6g}"


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
