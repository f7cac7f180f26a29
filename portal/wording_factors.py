"""The factor pages in words: what is missing and what follows, what a declaration would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from measurements.domain.chain import Footprint
from measurements.models import SiteFactor
from measurements.selectors.declaration_effect import Effect
from measurements.selectors.declared import ClusterFactors
from portal.quantities import NBSP, number
from portal.templatetags.quantities import day, emissions, energy, money, water


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after."""

    title: str
    before: str
    after: str
    difference: str  # in per cent; empty where there is nothing to compare


def kind_title(kind: str) -> str:
    """What a kind of factor is called at the beginning of a line."""
    title = _("carbon intensity") if kind == "intensity" else str(SiteFactor.Kind(kind).label)
    return title[:1].upper() + title[1:]


def missing(found: ClusterFactors) -> list[str]:
    """What a cluster lacks, and what follows."""
    kinds = {row.kind for row in found.declared}
    metered = {origin.title for origin in found.metered}
    location = any(supply.rungs for supply in found.supplies if supply.supply.method == "location_based")
    lines = [
        ("" if location else _("No carbon intensity: there are no emissions.")),
        ("" if "pue" in kinds or any("facility" in title for title in metered) else _("No PUE: counted as 1.")),
        (
            ""
            if "infrastructure" in kinds or any("infrastructure" in title for title in metered)
            else _("No shared infrastructure: switches and storage are not included.")
        ),
        ("" if "tariff" in kinds else _("No tariff: there is no cost.")),
        ("" if "embodied" in kinds else _("No embodied emissions: only those of the electricity are shown.")),
        ("" if "wue" in kinds else _("No WUE: there is no water.")),
    ]
    return [line for line in lines if line]


def changes(effect: Effect) -> list[Change]:
    """Figures of the affected period as they are and as they would be; those that no factor gives are left out."""
    before, after = effect.before, effect.after
    rows = [
        _change(_("Energy of the facility"), before.facility_j, after.facility_j, energy),
        _change(_("Emissions, location-based"), before.location_g, after.location_g, emissions),
        _change(_("Emissions, market-based"), before.market_g, after.market_g, emissions),
        _change(_("Embodied emissions"), _embodied(before), _embodied(after), emissions),
        _change(_("Water of the site"), before.water_l, after.water_l, water),
        *(_change_of_cost(currency, before.cost, after.cost) for currency in sorted({*before.cost, *after.cost})),
    ]
    return [row for row in rows if row is not None]


def _change(title: str, before: float | None, after: float | None, shown: object) -> Change | None:
    if before is None and after is None:
        return None
    said = shown if callable(shown) else str
    return Change(title, said(before), said(after), _difference(before, after))


def _change_of_cost(currency: str, before: Mapping[str, float], after: Mapping[str, float]) -> Change | None:
    def said(amount: float | None) -> str:
        return "–" if amount is None else money({currency: amount})

    return _change(_("Cost of the electricity"), before.get(currency), after.get(currency), said)


def _difference(before: float | None, after: float | None) -> str:
    if not before or after is None:
        return ""
    share = after / before - 1
    return f"{'+' if share > 0 else ''}{number(100 * share)}{NBSP}%" if share else _("the same")


def _embodied(found: Footprint) -> float | None:
    return found.embodied.central_g if found.embodied else None


def so_far(effect: Effect) -> str:
    """Of which days."""
    if effect.first is None or effect.last is None:
        return _("Nothing is booked in the time from then on: it changes no figure yet.")
    return _("Of the UTC days from %(first)s to %(last)s, the whole machine:") % {
        "first": day(effect.first),
        "last": day(effect.last),
    }
