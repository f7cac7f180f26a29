"""The chain of a figure in words: a line a step, each with its factors, their sources and how much each priced."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from measurements.domain.carbon import Origin, Part, Rung
from measurements.domain.chain import Embodied, Footprint, Share
from portal.quantities import format_quantity, number, percent
from portal.templatetags.quantities import emissions, intensity, money, water


@dataclass(frozen=True, slots=True)
class Factor:
    """Where a factor is from, and the share of the energy that it priced."""

    share: float
    known: str  # measured, estimated, …
    title: str
    facts: tuple[str, ...]  # edition, zone, basis, …
    note: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """A step: what it is, what it comes to, the value that was applied."""

    title: str
    amount: str
    applied: str = ""
    words: str = ""
    factors: tuple[Factor, ...] = field(default=())
    result: bool = False  # a result of the chain, not an amount on the way


@dataclass(frozen=True, slots=True)
class Chain:
    """All steps of a figure."""

    lines: tuple[Line, ...]
    edition: str


def chain(found: Footprint) -> Chain:
    """The steps in their order."""
    lines = (
        Line(_("Metered energy of the nodes"), format_quantity(found.metered_j, "energy")),
        _filled(found),
        _infrastructure(found),
        _pue(found),
        _location(found),
        *_market(found),
        *_embodied(found.embodied),
        *_cost(found),
        *_water(found),
    )
    return Chain(lines, found.factor_edition)


def _filled(found: Footprint) -> Line:
    words = _("Estimated where nothing was metered: rated power × time × share of cores, or the batch system's figure.")
    return Line(_("Filled"), format_quantity(found.filled_j, "energy"), words=words)


def _infrastructure(found: Footprint) -> Line:
    amount = format_quantity(found.infrastructure_j, "energy")
    factors = _factors(found.shares.get(Part.INFRASTRUCTURE, ()), found.node_j)
    if not factors:
        words = _("Not configured: switches, storage and service nodes are not included.")
        return Line(_("Shared infrastructure"), amount, words=words)
    share = found.infrastructure_j / found.node_j if found.node_j else 0.0
    return Line(_("Shared infrastructure"), amount, f"+ {percent(share)}", factors=factors)


def _pue(found: Footprint) -> Line:
    title, amount = _("Facility, with its PUE"), format_quantity(found.facility_j, "energy")
    factors = _factors(found.shares.get(Part.PUE, ()), found.node_j)
    if not factors:
        return Line(title, amount, "× 1", _("PUE not configured: cooling and power supply are not included."))
    return Line(title, amount, f"× {number(found.pue or 1.0)}", factors=factors)


def _location(found: Footprint) -> Line:
    title = _("Emissions, location-based")
    factors = _factors(found.shares.get(Part.LOCATION, ()), found.facility_j)
    words = _unpriced(found.unpriced_j, found.facility_j) if factors else _("No carbon intensity is configured.")
    applied = f"× {intensity(found.intensity_g_per_kwh)}" if factors else ""
    return Line(title, emissions(found.location_g), applied, words, factors, result=True)


def _market(found: Footprint) -> tuple[Line, ...]:
    factors = _factors(found.shares.get(Part.MARKET, ()), found.facility_j)
    if not factors:
        return ()
    applied, words = f"× {intensity(found.market_g_per_kwh)}", _unpriced(found.market_unpriced_j, found.facility_j)
    title = _("Emissions, market-based")
    return (Line(title, emissions(found.market_g), applied, words, factors, result=True),)


def _unpriced(unknown_j: float, whole_j: float) -> str:
    if not unknown_j:
        return ""
    share = percent(unknown_j / whole_j) if whole_j else percent(0.0)
    return _("%(share)s of the energy has no factor and is not in it.") % {"share": share}


def _embodied(found: Embodied | None) -> tuple[Line, ...]:
    if found is None:
        return ()
    words = _("Making the hardware, by the node-hours reserved (%(hours)s); %(low)s to %(high)s.") % {
        "hours": number(found.node_hours),
        "low": emissions(found.low_g),
        "high": emissions(found.high_g),
    }
    if found.unknown_node_hours:
        words += " " + _("%(hours)s node-hours are of node types without a figure.") % {
            "hours": number(found.unknown_node_hours)
        }
    factors = tuple(_factor(origin, 1.0) for origin in found.origins)
    return (Line(_("Embodied emissions"), emissions(found.central_g), words=words, factors=factors, result=True),)


def _cost(found: Footprint) -> tuple[Line, ...]:
    factors = _factors(found.shares.get(Part.TARIFF, ()), found.facility_j)
    if not factors:
        return ()
    return (Line(_("Cost of the electricity"), money(dict(found.cost)), factors=factors, result=True),)


def _water(found: Footprint) -> tuple[Line, ...]:
    factors = _factors(found.shares.get(Part.WATER, ()), found.node_j)
    if not factors or found.water_l is None:
        return ()
    applied = f"× {number(found.water_l / (found.it_j / 3.6e6))}\u00a0L/kWh" if found.it_j else ""
    return (Line(_("Water of the site"), water(found.water_l), applied, factors=factors, result=True),)


# --- Factors ---------------------------------------------------------------------------------------


def _factors(shares: tuple[Share, ...], whole_j: float) -> tuple[Factor, ...]:
    """Those that priced most first."""
    ordered = sorted(shares, key=lambda share: -share.weight_j)
    return tuple(_factor(row.origin, row.weight_j / whole_j if whole_j else 0.0) for row in ordered)


def _factor(origin: Origin, share: float) -> Factor:
    facts = [
        _("edition %(edition)s") % {"edition": origin.edition} if origin.edition else "",
        origin.zone,
        basis_word(origin.basis),
        origin.gas.replace("2", "₂"),
        mix_word(origin.mix),
        _since(origin),
        origin.licence,
        _("retrieved %(day)s") % {"day": origin.retrieved} if origin.retrieved else "",
    ]
    return Factor(share, rung_word(origin.rung), origin.title, tuple(filter(None, facts)), origin.note, origin.url)


def _since(origin: Origin) -> str:
    if origin.rung in (Rung.YEARLY, Rung.EARLIER_YEAR, Rung.MONTHLY):
        return origin.since
    if not origin.since or origin.since == "1970-01-01":
        return ""
    return _("in force since %(day)s") % {"day": origin.since}


def rung_word(rung: Rung) -> str:
    """How a factor is known."""
    return {
        Rung.MEASURED: _("measured"),
        Rung.ESTIMATED: _("estimated"),
        Rung.MONTHLY: _("mean of the month"),
        Rung.YEARLY: _("mean of the year"),
        Rung.EARLIER_YEAR: _("mean of an earlier year"),
        Rung.DECLARED: _("declared"),
    }[rung]


def basis_word(basis: str) -> str:
    """What an intensity counts."""
    return {"direct": _("direct"), "lifecycle": _("lifecycle")}.get(basis, "")


def mix_word(mix: str) -> str:
    """Whose electricity it is."""
    return {
        "production": _("production mix"),
        "consumption": _("consumption mix"),
        "supplier": _("supplier's contract"),
        "residual": _("residual mix"),
    }.get(mix, "")
