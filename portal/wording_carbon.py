"""Sentences about the grid, the load over it, and what another time would have meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.carbon import Origin, Part, PriceList, Rung
from measurements.domain.chain import Footprint
from measurements.domain.timeshift import Shift, Timing
from measurements.selectors.grid import RUNGS, Extreme, GridReport
from portal.quantities import percent
from portal.steps import basis_word, mix_word, rung_word
from portal.templatetags.quantities import emissions, intensity
from portal.wording import compared

FLAT = 0.005  # a load nearer to a flat one than this is called as green
WHOLE = 0.9995
FEW = 0.01  # energy without a factor up to which periods are compared
LEAST = 0.001  # of what is shown with one decimal of a per cent
ALWAYS = "1970-01-01"


@dataclass(frozen=True, slots=True)
class InForce:
    """A factor of the period, in words."""

    of: str  # carbon intensity, PUE, …
    known: str
    title: str
    facts: str
    note: str  # what its licence asks to be shown
    url: str
    share: str  # of the time; empty where it is all of it


# --- The grid ---------------------------------------------------------------------------------------


def grid_sentences(report: GridReport) -> list[str]:
    """The grid's hours in words: lowest, mean, highest, and how they are known."""
    if report.lowest is None or report.highest is None or report.mean_g_per_kwh is None:
        return []
    if report.lowest.g_per_kwh == report.highest.g_per_kwh:
        return [_("All the time at %(mean)s.") % {"mean": intensity(report.mean_g_per_kwh)}, *_known(report)]
    said = _("Between %(lowest)s (%(green)s) and %(highest)s (%(grey)s), %(mean)s on average.") % {
        "lowest": intensity(report.lowest.g_per_kwh),
        "green": _when(report.lowest),
        "highest": intensity(report.highest.g_per_kwh),
        "grey": _when(report.highest),
        "mean": intensity(report.mean_g_per_kwh),
    }
    return [said, *_known(report)]


def _when(extreme: Extreme) -> str:
    return date_format(localtime(extreme.at), pgettext("minute", "j M Y, H:i"))


def _known(report: GridReport) -> list[str]:
    prices = report.prices
    number_of = [RUNGS.index(origin.rung) for origin in prices.origins]
    places, counts = np.unique(prices.origin[Part.LOCATION], return_counts=True)
    by_rung: dict[int, int] = {}
    for place, count in zip(places.tolist(), counts.tolist(), strict=True):
        if place >= 0:
            by_rung[number_of[place]] = by_rung.get(number_of[place], 0) + count
    shares = [(count / len(prices.at_ms), rung_word(RUNGS[rung])) for rung, count in sorted(by_rung.items())]
    if not shares:
        return []
    return [_("Of the time: %(shares)s.") % {"shares": _listed(shares)}]


def _listed(shares: list[tuple[float, str]]) -> str:
    return str(get_text_list([f"{_some(share)} {word}" for share, word in shares], _("and")))


def _some(share: float) -> str:
    """A share that is not nothing never looks like it."""
    return _("under %(share)s") % {"share": percent(LEAST)} if 0 < share < LEAST else percent(share)


def rung_sentence(found: Footprint, part: Part = Part.LOCATION) -> str:
    """Which share of the energy was priced how: 92 % measured and 8 % mean of the year."""
    if not found.facility_j:
        return ""
    by_rung: dict[int, float] = {}
    for share in found.shares.get(part, ()):
        rung = RUNGS.index(share.origin.rung)
        by_rung[rung] = by_rung.get(rung, 0.0) + share.weight_j
    shares = [(joules / found.facility_j, rung_word(RUNGS[rung])) for rung, joules in sorted(by_rung.items()) if joules]
    unknown_j = found.unpriced_j if part is Part.LOCATION else found.market_unpriced_j
    if unknown_j:
        shares.append((unknown_j / found.facility_j, _("not known, and not counted")))
    return _("The carbon intensity of the energy: %(shares)s.") % {"shares": _listed(shares)} if shares else ""


# --- When it was drawn ------------------------------------------------------------------------------


def load_sentences(found: Timing | None) -> list[str]:
    """The cluster's load in the grid's hours."""
    if found is None:
        return [no_hours_sentence()]
    values = {"share": percent(found.greenest_share), "flat": percent(found.greenest_part)}
    said = _("%(share)s of the energy was drawn in the greenest third of the time; a flat load would have %(flat)s.")
    mean = _("The nodes ran at %(drawn)s on average; the grid's mean over the same time was %(grid)s: %(verdict)s.")
    return [said % values, mean % _means(found), *_only(found)]


def own_timing_sentences(found: Timing | None) -> list[str]:
    """A person's jobs in the grid's hours."""
    if found is None:
        return [no_hours_sentence()]
    mean = _("Your jobs ran at %(drawn)s on average; the grid's mean over the period was %(grid)s: %(verdict)s.")
    values = {"share": percent(found.greenest_share), "flat": percent(found.greenest_part)}
    third = _("%(share)s of their energy was drawn in the greenest third of the time; a flat load would have %(flat)s.")
    return [mean % _means(found), third % values, *_only(found)]


def _means(found: Timing) -> dict[str, str]:
    return {
        "drawn": intensity(found.drawn_g_per_kwh),
        "grid": intensity(found.grid_g_per_kwh),
        "verdict": _verdict(found.greener),
    }


def _verdict(greener: float) -> str:
    if abs(greener) < FLAT:
        return _("as green as a flat load")
    words = _("%(by)s greener than a flat load") if greener > 0 else _("%(by)s less green than a flat load")
    return words % {"by": percent(abs(greener))}


def _only(found: Timing) -> list[str]:
    if found.known_share >= WHOLE:
        return []
    said = _("This counts the %(share)s of the energy for which the intensity of the hour itself is known.")
    return [said % {"share": percent(found.known_share)}]


def no_hours_sentence() -> str:
    """Why nothing is said of hours."""
    return _(
        "Of this time no intensity is known hour by hour, or nothing was drawn in it: when it was green cannot be said."
    )


def shift_sentences(shifts: tuple[Shift, ...]) -> list[str]:
    """What if: each joule of a job at the greenest quarter hour near to it."""
    said = []
    for shift in shifts:
        hours = round(shift.reach_h)
        words = ngettext(
            "In the greenest quarter hour within %(hours)d hour before or after: %(shifted)s instead of %(drawn)s "
            "(%(less)s less).",
            "In the greenest quarter hour within %(hours)d hours before or after: %(shifted)s instead of %(drawn)s "
            "(%(less)s less).",
            hours,
        )
        values = {"shifted": emissions(shift.shifted_g), "drawn": emissions(shift.drawn_g)}
        said.append(words % (values | {"hours": hours, "less": percent(shift.saved_share)}))
    return said


# --- One's own emissions ------------------------------------------------------------------------------


def own_sentences(found: Footprint, previous: Footprint, when: str, *, market: bool) -> list[str]:
    """At which intensity, how that is known, and against the time before, which ``when`` names."""
    grams, mean = (found.market_g, found.market_g_per_kwh) if market else (found.location_g, found.intensity_g_per_kwh)
    if grams is None:
        return [_("No carbon intensity is configured for this time.")]
    said = [_("At %(mean)s on average, by the quarter hours in which the jobs ran.") % {"mean": intensity(mean)}]
    said.append(rung_sentence(found, Part.MARKET if market else Part.LOCATION))
    before = previous.market_g if market else previous.location_g
    if before is not None and _unknown(found, market=market) <= FEW:
        unknown = _unknown(previous, market=market)
        known = compared(when, grams, before, "emissions")
        said.append(not_compared(when, unknown) if unknown > FEW else known)
    return [sentence for sentence in said if sentence]


def not_compared(when: str, unknown: float) -> str:
    """That the time before lacks factors; ``unknown`` is the share of its energy."""
    values = {"when": when, "share": _some(unknown)}
    return _("%(when)s %(share)s of the energy has no factor: the two are not compared.") % values


def _unknown(found: Footprint, *, market: bool) -> float:
    """Share of the energy without a factor."""
    unknown_j = found.market_unpriced_j if market else found.unpriced_j
    return unknown_j / found.facility_j if found.facility_j else 0.0


# --- Factors ----------------------------------------------------------------------------------------


def in_force(prices: PriceList) -> list[InForce]:
    """The factors of the period, each of its part the one that held longest first."""
    found = []
    for part in (Part.LOCATION, Part.MARKET, Part.PUE, Part.INFRASTRUCTURE, Part.TARIFF, Part.WATER):
        places, counts = np.unique(prices.origin[part], return_counts=True)
        rows = sorted(zip(counts.tolist(), places.tolist(), strict=True), reverse=True)
        found += [_in_words(part, prices.origins[i], n / len(prices.at_ms)) for n, i in rows if i >= 0]
    return found


def _in_words(part: Part, origin: Origin, share: float) -> InForce:
    facts = [
        _("zone %(zone)s") % {"zone": origin.zone} if origin.zone else "",
        basis_word(origin.basis),
        mix_word(origin.mix),
        origin.gas.replace("2", "₂"),
        _("edition %(edition)s") % {"edition": origin.edition} if origin.edition else "",
        _since(origin),
        origin.licence,
        _("retrieved %(day)s") % {"day": origin.retrieved} if origin.retrieved else "",
    ]
    words = ", ".join(filter(None, facts))
    shown = "" if share >= WHOLE else _some(share)
    return InForce(_part_word(part), rung_word(origin.rung), origin.title, words, origin.note, origin.url, shown)


def _since(origin: Origin) -> str:
    if origin.since in ("", ALWAYS):
        return ""
    if origin.rung in (Rung.MONTHLY, Rung.YEARLY, Rung.EARLIER_YEAR):
        return _("of %(time)s") % {"time": origin.since}
    return _("in force since %(day)s") % {"day": origin.since}


def _part_word(part: Part) -> str:
    return {
        Part.LOCATION: _("Carbon intensity, location-based"),
        Part.MARKET: _("Carbon intensity, market-based"),
        Part.PUE: _("PUE"),
        Part.INFRASTRUCTURE: _("Shared infrastructure"),
        Part.TARIFF: _("Tariff"),
        Part.WATER: _("Water (WUE)"),
    }[part]
