"""Factors in words: what they are of, what they come to, since when, and where they are from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _

from measurements.domain.carbon import Method, Origin
from measurements.domain.units import EPOCH_DAY
from measurements.models import IntensitySeries, PublishedValue, ReferenceFactor, SiteFactor, Supply
from measurements.models.carbon import Sourced
from measurements.selectors.declared import ClusterFactors, SeriesInForce, SupplyInForce
from portal.methodology import exact, share_words
from portal.quantities import NBSP
from portal.steps import basis_word, mix_word, rung_word
from portal.templatetags.quantities import day, minute


@dataclass(frozen=True, slots=True)
class FactorRow:
    """A factor, as a line of a list."""

    title: str
    value: str
    since: str = ""
    source: str = ""
    url: str = ""
    facts: tuple[str, ...] = field(default=())  # edition, basis, licence, …
    note: str = ""
    entered: str = ""
    values: tuple[tuple[str, str, str], ...] = field(default=())  # of months or years: when, value, note


@dataclass(frozen=True, slots=True)
class ClusterRows:
    """A cluster's factors in force, and its history."""

    name: str
    zones: tuple[str, ...]
    rows: tuple[FactorRow, ...]
    history: tuple[FactorRow, ...]


def cluster_rows(found: ClusterFactors, today: date, *, with_prices: bool) -> ClusterRows:
    """In words; ``with_prices`` says whether the reader may see what the site pays."""
    supplies = [row for supply in found.supplies for row in _supply_rows(supply, today)]
    declared = [_hidden(site_row(row), row, with_prices) for row in found.declared]
    history = [
        supply_row(row) if isinstance(row, Supply) else _hidden(site_row(row), row, with_prices)
        for row in found.history
    ]
    metered = [_metered_row(origin, found.metered_on) for origin in found.metered]
    return ClusterRows(found.name, found.zones, (*supplies, *metered, *declared), tuple(history))


def _metered_row(origin: Origin, at: date | None) -> FactorRow:
    """What meters give beats what is declared."""
    on = _("on %(day)s, the last day that is priced") % {"day": day(at)} if at else ""
    title = f"{_('By meters above the nodes')}: {origin.title}"
    return FactorRow(title, rung_word(origin.rung), on, note=origin.note)


def _hidden(shown: FactorRow, row: SiteFactor, with_prices: bool) -> FactorRow:  # noqa: FBT001 - one private use
    if with_prices or row.kind != SiteFactor.Kind.TARIFF or row.value is None:
        return shown
    return replace(shown, value=_("shown to who is logged in"))


# --- Carbon intensity ----------------------------------------------------------------------------


def method_word(method: str) -> str:
    """What a method is called on pages."""
    return {
        Method.LOCATION: _("Carbon intensity, location-based"),
        Method.MARKET: _("Carbon intensity, market-based"),
    }[Method(method)]


def rung_name(rung: str) -> str:
    """How finely a series is known."""
    return {"slots": _("by quarter hour"), "monthly": _("by month"), "yearly": _("by year")}[rung]


def _supply_rows(found: SupplyInForce, today: date) -> list[FactorRow]:
    since = since_words(found.supply.valid_from)
    if not found.rungs:
        return [FactorRow(method_word(found.supply.method), _("none"), since)]
    return [_rung_row(found.supply.method, rung, since, today) for rung in found.rungs]


def _rung_row(method: str, found: SeriesInForce, since: str, today: date) -> FactorRow:
    series = found.series
    return FactorRow(
        title=f"{method_word(method)}, {rung_name(found.rung)}",
        value=_value_of_today(found, today),
        since=since,
        source=series.source_title,
        url=series.source_url,
        facts=(*series_facts(series), *source_facts(series)),
        note=_sentences([series.note, series.attribution]),
        values=tuple((_period(value), intensity_words(value.g_per_kwh), value.note) for value in found.values),
    )


def _value_of_today(found: SeriesInForce, today: date) -> str:
    if found.rung == "slots":
        if found.first is None or found.last is None:
            return _("nothing yet")
        return f"{day(found.first)} – {day(found.last)}"
    begun = next((value for value in found.values if value.start <= today), None)
    return f"{_period(begun)}: {intensity_words(begun.g_per_kwh)}" if begun else _("nothing yet")


def _period(value: PublishedValue) -> str:
    return value.start.isoformat()[: 4 if value.resolution == PublishedValue.Resolution.YEAR else 7]


def intensity_words(g_per_kwh: float) -> str:
    """All its digits: it is a factor, not a figure."""
    return f"{exact(g_per_kwh)}{NBSP}g/kWh"


def supply_row(row: Supply) -> FactorRow:
    """A row of the history: which series, best first."""
    series = [each for each in (row.slots, row.monthly, row.yearly) if each is not None]
    value = " → ".join(each.slug for each in series) or _("none")
    sources = list(dict.fromkeys(f"{each.source_title} {each.edition}".strip() for each in series))
    return FactorRow(
        method_word(row.method), value, since_words(row.valid_from), "; ".join(sources), entered=minute(row.created_at)
    )


# --- What a site declares --------------------------------------------------------------------------


def site_row(row: SiteFactor) -> FactorRow:
    """A declared factor."""
    kind = str(SiteFactor.Kind(row.kind).label)
    title = f"{kind}: {row.node_type.name}" if row.node_type else kind
    return FactorRow(
        title=title[:1].upper() + title[1:],
        value=_("not declared any more") if row.value is None else site_value(row),
        since=since_words(row.valid_from),
        source=row.source_title,
        url=row.source_url,
        facts=source_facts(row),
        note=_sentences([*_details(row), row.attribution]),
        entered=minute(row.created_at),
    )


def site_value(row: SiteFactor) -> str:
    """The value with its unit and band."""
    assert row.value is not None  # noqa: S101 - asked by the caller
    if row.kind in (SiteFactor.Kind.INFRASTRUCTURE, SiteFactor.Kind.RENEWABLE):
        return share_words(row.value)
    unit = row.unit or {SiteFactor.Kind.EMBODIED: "kg CO2e", SiteFactor.Kind.WUE: "L/kWh"}.get(
        SiteFactor.Kind(row.kind), ""
    )
    if row.kind == SiteFactor.Kind.TARIFF:
        bands = "".join(f" / {exact(band['price'])}" for band in row.detail.get("bands", []))
        return f"{exact(row.value)}{bands}{NBSP}{unit}"
    band = f" ({exact(row.low)} … {exact(row.high)})" if row.low is not None and row.high is not None else ""
    return f"{exact(row.value)}{band}{NBSP if unit else ''}{raised(unit)}"


def _details(row: SiteFactor) -> list[str]:
    detail: dict[str, Any] = row.detail
    said = []
    if detail.get("category"):
        said.append(_("Category: %(category)s.") % {"category": detail["category"]})
    if detail.get("lifetime_years"):
        said.append(_("Lifetime: %(years)s years.") % {"years": exact(detail["lifetime_years"])})
    said += [_band_words(band) for band in detail.get("bands", [])]
    return [*said, str(detail.get("note", ""))]


def _band_words(band: dict[str, Any]) -> str:
    """Hours of the week with a price of their own; the price itself stands in the value."""
    days = ", ".join(str(WEEKDAYS_ABBR[weekday]) for weekday in sorted(band["days"]))
    every = _("every day") if len(set(band["days"])) == len(WEEKDAYS_ABBR) else days
    return _("Another price %(days)s from %(start)s to %(end)s.") % {
        "days": every,
        "start": _clock(band["start"]),
        "end": _clock(band["end"]),
    }


def _clock(minute_of_day: int) -> str:
    hour, minutes = divmod(minute_of_day, 60)
    return f"{hour:02}:{minutes:02}"


# --- Where it is from ----------------------------------------------------------------------------


def source_facts(row: Sourced) -> tuple[str, ...]:
    """Edition, page, licence, day of retrieval."""
    facts = (
        _("edition %(edition)s") % {"edition": row.edition} if row.edition else "",
        row.page,
        row.licence,
        _("retrieved %(day)s") % {"day": row.retrieved_on.isoformat()} if row.retrieved_on else "",
    )
    return tuple(filter(None, facts))


def series_facts(series: IntensitySeries) -> tuple[str, ...]:
    """What an intensity counts, and of which electricity."""
    facts = (
        series.zone,
        basis_word(series.basis),
        raised(series.gas),
        mix_word(series.mix),
        str(series.get_signal_display()),
    )
    return tuple(filter(None, facts))


def raised(unit: str) -> str:
    """A unit as pages write it."""
    return unit.replace("CO2", "CO₂")


def reference_name(row: ReferenceFactor) -> str:
    """What a fuel or an equivalent is called; its key where it has no name here."""
    return _names().get(row.key, row.key)


def _names() -> dict[str, str]:
    return {
        "hard-coal": _("hard coal"), "lignite": _("lignite"), "gas": _("natural gas"), "oil": _("oil"),
        "biomass": _("biomass"), "geothermal": _("geothermal"), "hydro": _("hydropower"), "nuclear": _("nuclear"),
        "solar": _("solar, large plants"), "solar-rooftop": _("solar, roofs"), "csp": _("concentrated solar"),
        "wind-onshore": _("wind on land"), "wind-offshore": _("wind at sea"), "car-eu": _("a car in Europe"),
        "train": _("a passenger in a train"), "tree-month": _("what a tree takes up"),
        "household-day": _("electricity of a household"),
    }  # fmt: skip


def since_words(first: date) -> str:
    """From when on a row holds."""
    return _("from the beginning") if first == EPOCH_DAY else _("since %(day)s") % {"day": day(first)}


def _sentences(texts: Iterable[str]) -> str:
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts if text)
