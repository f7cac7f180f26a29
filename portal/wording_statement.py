"""An annual statement in words: its tables' rows, what its lines are called, what differs between two editions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from measurements.domain.carbon import Rung
from measurements.domain.statement import Difference, FactorUse, StatementFigures, StatementPeriod
from measurements.domain.units import S_PER_HOUR
from portal.quantities import NBSP, Unit, format_quantity, in_unit, money, number, percent, unit_for
from portal.steps import basis_word, mix_word, rung_word

DASH = "–"
Row = tuple[str, ...]
_STEPS = {
    "infrastructure": gettext_lazy("shared infrastructure"),
    "pue": gettext_lazy("PUE"),
    "location": gettext_lazy("carbon intensity, location-based"),
    "market": gettext_lazy("carbon intensity, market-based"),
    "tariff": gettext_lazy("tariff"),
    "water": gettext_lazy("WUE"),
    "renewable": gettext_lazy("renewable share"),
    "embodied": gettext_lazy("embodied emissions"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows as they are read; the last row is the year."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Row


def month_name(start: str) -> str:
    """A month in full."""
    return date_format(date.fromisoformat(start), pgettext("month of a year", "F Y"))


def not_supplied() -> str:
    """What stands where a line has no input: never 0."""
    return _("not supplied")


def _table(
    figures: StatementFigures, columns: Sequence[tuple[str, Callable[[StatementPeriod], str]]], first: str
) -> Table:
    def row(period: StatementPeriod, name: str) -> Row:
        return (name, *(shown(period) for _head, shown in columns))

    heads = (first, *(head for head, _shown in columns))
    months = tuple(row(month, _month(month)) for month in figures.months)
    return Table(heads, months, row(figures.total, str(figures.year)))


def _month(month: StatementPeriod) -> str:
    name = date_format(date.fromisoformat(month.start), pgettext("month of a table", "F"))
    return name if month.over else _("%(month)s (not over)") % {"month": name}


def energy_unit(figures: StatementFigures) -> Unit:
    """One unit for the chart and its table: that of the largest month."""
    return unit_for(max(month.facility_j for month in figures.months), "energy")


def energy_table(figures: StatementFigures, unit: Unit) -> Table:
    """What adds up to the facility."""
    parts: list[tuple[str, Callable[[StatementPeriod], float]]] = [
        (_("jobs"), lambda p: p.jobs_j),
        (_("unallocated"), lambda p: p.unallocated_j),
        (_("filled (estimate)"), lambda p: p.filled_j),
        (_("infrastructure"), lambda p: p.infrastructure_j),
        (_("plant"), lambda p: p.plant_j),
    ]
    if any(period.beyond_shown_j for period in (*figures.months, figures.total)):
        parts.append((_("beyond the ledger"), lambda p: p.beyond_shown_j))
    parts.append((_("facility"), lambda p: p.facility_j))
    columns = [(f"{head} [{unit.label}]", _where_any(get, unit)) for head, get in parts]
    return _table(figures, [*columns, (_("coverage"), lambda p: percent(p.coverage))], _("Month"))


def _where_any(get: Callable[[StatementPeriod], float], unit: Unit) -> Callable[[StatementPeriod], str]:
    return lambda p: in_unit(get(p), unit) if p.wall_s or p.facility_j else DASH


def time_table(figures: StatementFigures) -> Table:
    """Node-hours: measured + off + gap = in service."""
    parts: list[tuple[str, Callable[[StatementPeriod], float]]] = [
        (_("in service [node-h]"), lambda p: p.wall_s),
        (_("measured [node-h]"), lambda p: p.covered_s),
        (_("off [node-h]"), lambda p: p.off_s),
        (_("gap [node-h]"), lambda p: p.gap_s),
    ]
    columns = [(head, _hours(get)) for head, get in parts]
    columns += [(_("coverage"), lambda p: percent(p.coverage)), (_("recorded"), lambda p: percent(p.recorded_share))]
    return _table(figures, columns, _("Month"))


def _hours(get: Callable[[StatementPeriod], float]) -> Callable[[StatementPeriod], str]:
    return lambda p: number(get(p) / S_PER_HOUR) if p.wall_s else DASH


def emissions_table(figures: StatementFigures) -> Table:
    """Scope 2 both ways, embodied apart, cost and water."""
    unit = unit_for(max([0.0, *(m.location_g or m.market_g or 0.0 for m in figures.months)]), "emissions")
    made = unit_for(max([0.0, *(m.embodied_g or 0.0 for m in figures.months)]), "emissions")
    columns: list[tuple[str, Callable[[StatementPeriod], str]]] = [
        (_("Scope 2, location-based [%(unit)s]") % {"unit": unit.label}, lambda p: _of(p.location_g, unit, p)),
        (_("Scope 2, market-based [%(unit)s]") % {"unit": unit.label}, lambda p: _of(p.market_g, unit, p)),
        (_("Scope 3, embodied [%(unit)s]") % {"unit": made.label}, lambda p: _of(p.embodied_g, made, p)),
        (_("cost"), _cost),
        (_("water"), lambda p: _water(p)),
        (_("without a price"), lambda p: percent(p.unpriced_j / p.facility_j) if p.facility_j else DASH),
    ]
    return _table(figures, columns, _("Month"))


def _of(value: float | None, unit: Unit, period: StatementPeriod) -> str:
    if not period.facility_j and not period.wall_s:
        return DASH
    return not_supplied() if value is None else in_unit(value, unit)


def _cost(period: StatementPeriod) -> str:
    if not period.facility_j:
        return DASH
    return " + ".join(money(amount, currency) for currency, amount in sorted(period.cost.items())) or not_supplied()


def _water(period: StatementPeriod) -> str:
    if not period.facility_j:
        return DASH
    return not_supplied() if period.water_l is None else format_quantity(period.water_l, "water")


def indicator_table(figures: StatementFigures) -> Table:
    """Ratios of the standards, each only where all of its inputs exist."""
    columns: list[tuple[str, Callable[[StatementPeriod], str]]] = [
        ("PUE", lambda p: _ratio(p, p.pue)),
        (_("how the PUE is known"), _pue_known),
        (_("renewable share"), lambda p: _ratio(p, p.renewable_share, _share)),
        ("CUE [kg/kWh]", lambda p: _ratio(p, p.cue_kg_per_kwh)),
        ("WUE [L/kWh]", lambda p: _ratio(p, p.wue_l_per_kwh)),
        ("REF", lambda p: _ratio(p, p.ref)),
    ]
    return _table(figures, columns, _("Month"))


def _ratio(period: StatementPeriod, value: float | None, shown: Callable[[float], str] = number) -> str:
    if not period.facility_j:
        return DASH
    return not_supplied() if value is None else shown(value)


def _share(value: float) -> str:
    """A mean of equal shares is that share, whatever the last bit of a sum says: so it is not rounded down."""
    return f"{number(round(100 * value, 7))}{NBSP}%"


def _pue_known(period: StatementPeriod) -> str:
    if not period.wall_s:
        return DASH
    parts = [
        (period.pue_measured_share, _("measured")),
        (period.pue_declared_share, _("declared")),
        (1.0 - period.pue_measured_share - period.pue_declared_share, _("not configured")),
    ]
    return ", ".join(f"{word}{NBSP}{percent(share)}" for share, word in parts if share > 1e-9)


def split_table(figures: StatementFigures) -> tuple[tuple[str, str, str, str], ...]:
    """Whose the year's emissions are: jobs', the machine's own, and what lies beyond the ledger."""
    total, nothing = figures.total, not_supplied()
    rows = [
        (_("Jobs"), total.jobs_j + total.filled_j, total.location_jobs_g, total.embodied_jobs),
        (_("The machine's own (unallocated)"), total.unallocated_j, total.location_own_g, total.embodied_own),
    ]
    found = [
        (
            name,
            format_quantity(joules, "energy"),
            nothing if grams is None else format_quantity(grams, "emissions"),
            nothing if made is None else _band(made.low_g, made.central_g, made.high_g),
        )
        for name, joules, grams, made in rows
    ]
    if total.beyond_shown_j and total.location_beyond_g is not None:
        energy, grams_ = (
            format_quantity(total.beyond_j, "energy"),
            format_quantity(total.location_beyond_g, "emissions"),
        )
        found.append((_("Beyond the ledger"), energy, grams_, DASH))
    return tuple(found)


def _band(low: float, central: float, high: float) -> str:
    words = _("%(central)s (%(low)s to %(high)s)")
    return words % {k: format_quantity(v, "emissions") for k, v in (("central", central), ("low", low), ("high", high))}


# --- Sentences -------------------------------------------------------------------------------------


def sentences(figures: StatementFigures) -> list[str]:
    """The year in words, and what is partial about it."""
    total = figures.total
    found = [
        _("The facility drew %(facility)s: jobs %(jobs)s, unallocated %(own)s.")
        % {
            "facility": format_quantity(total.facility_j, "energy"),
            "jobs": format_quantity(total.jobs_j, "energy"),
            "own": format_quantity(total.unallocated_j, "energy"),
        },
        facility_sentence(total),
    ]
    if total.recorded_share < 1:
        found.append(
            _("The ledger has nodes in service for %(share)s of the time that is over.")
            % {"share": percent(total.recorded_share)}
        )
    return found


def facility_sentence(total: StatementPeriod) -> str:
    """How the facility's energy is known."""
    if not total.facility_metered_j:
        if total.pue is None:
            return _("No facility meter and no PUE: facility is the energy of nodes and infrastructure alone.")
        return _("The facility's energy is computed: IT energy × PUE.")
    return _("Its meter shows %(share)s of that; the rest is computed: IT energy × PUE.") % {
        "share": percent(total.facility_metered_share)
    }


def infrastructure_sentence(total: StatementPeriod) -> str:
    """How the shared infrastructure is known."""
    measured, declared = total.infrastructure_measured_share, total.infrastructure_declared_share
    if not measured and not declared:
        return _("Shared infrastructure (network, storage) is not configured and not included.")
    if not measured:
        return _("Shared infrastructure is a declared share of the nodes' energy.")
    words = _("Shared infrastructure: metered for %(measured)s of the nodes' energy.")
    if declared:
        words = _(
            "Shared infrastructure: metered for %(measured)s of the nodes' energy, a declared one for %(declared)s."
        )
    return words % {"measured": percent(measured), "declared": percent(declared)}


# --- Factors ---------------------------------------------------------------------------------------


def factor_rows(uses: Iterable[FactorUse]) -> list[dict[str, str]]:
    """Each factor with its source, and how much it priced."""
    return [
        {
            "step": str(_STEPS.get(use.part, use.part)),
            "share": percent(use.share),
            "known": rung_word(Rung(use.origin["rung"])) if use.origin.get("rung") in set(Rung) else "",
            "title": use.origin.get("title", ""),
            "url": _safe(use.origin.get("url", "")),
            "facts": ", ".join(filter(None, _facts(use))),
        }
        for use in uses
    ]


def _safe(url: str) -> str:
    return url if url.startswith(("https://", "http://")) else ""


def _facts(use: FactorUse) -> list[str]:
    said = use.origin
    edition, retrieved = said.get("edition", ""), said.get("retrieved", "")
    since = said.get("since", "")
    return [
        _("edition %(edition)s") % {"edition": edition} if edition else "",
        said.get("zone", ""),
        basis_word(said.get("basis", "")),
        said.get("gas", ""),
        mix_word(said.get("mix", "")),
        "" if since == "1970-01-01" else since,
        said.get("licence", ""),
        _("retrieved %(day)s") % {"day": retrieved} if retrieved else "",
        said.get("note", ""),
    ]


# --- What differs ----------------------------------------------------------------------------------

_LINES: dict[str, tuple[object, str]] = {
    "recorded_share": (gettext_lazy("recorded"), "share"),
    "wall_s": (gettext_lazy("node time in service"), "hours"),
    "covered_s": (gettext_lazy("node time measured"), "hours"),
    "off_s": (gettext_lazy("node time off"), "hours"),
    "jobs_j": (gettext_lazy("energy of jobs"), "energy"),
    "unallocated_j": (gettext_lazy("unallocated energy"), "energy"),
    "filled_j": (gettext_lazy("filled energy"), "energy"),
    "infrastructure_j": (gettext_lazy("energy of infrastructure"), "energy"),
    "plant_j": (gettext_lazy("energy of the plant"), "energy"),
    "beyond_j": (gettext_lazy("energy beyond the ledger"), "energy"),
    "facility_j": (gettext_lazy("energy of the facility"), "energy"),
    "facility_metered_j": (gettext_lazy("of which metered"), "energy"),
    "infrastructure_measured_share": (gettext_lazy("infrastructure, measured share"), "share"),
    "infrastructure_declared_share": (gettext_lazy("infrastructure, declared share"), "share"),
    "pue": (gettext_lazy("PUE"), "number"),
    "pue_measured_share": (gettext_lazy("PUE, measured share of time"), "share"),
    "pue_declared_share": (gettext_lazy("PUE, declared share of time"), "share"),
    "location_g": (gettext_lazy("Scope 2, location-based"), "emissions"),
    "location_jobs_g": (gettext_lazy("Scope 2, location-based, of jobs"), "emissions"),
    "location_own_g": (gettext_lazy("Scope 2, location-based, unallocated"), "emissions"),
    "location_beyond_g": (gettext_lazy("Scope 2, location-based, beyond the ledger"), "emissions"),
    "market_g": (gettext_lazy("Scope 2, market-based"), "emissions"),
    "unpriced_j": (gettext_lazy("energy without a carbon intensity"), "energy"),
    "market_unpriced_j": (gettext_lazy("energy without a market-based intensity"), "energy"),
    "untariffed_j": (gettext_lazy("energy without a tariff"), "energy"),
    "water_l": (gettext_lazy("water of the site"), "water"),
    "renewable_share": (gettext_lazy("renewable share"), "share"),
    "ref": (gettext_lazy("REF"), "number"),
    "cue_kg_per_kwh": (gettext_lazy("CUE [kg/kWh]"), "number"),
    "wue_l_per_kwh": (gettext_lazy("WUE [L/kWh]"), "number"),
    "pue_category": (gettext_lazy("PUE category"), "text"),
    "factor_edition": (gettext_lazy("set of factors"), "text"),
    "zone": (gettext_lazy("time zone"), "text"),
}
_PARTS = {
    "embodied_jobs": gettext_lazy("embodied emissions of jobs"),
    "embodied_own": gettext_lazy("embodied emissions, unallocated"),
    "low_g": gettext_lazy("low"),
    "central_g": gettext_lazy("central"),
    "high_g": gettext_lazy("high"),
    "node_hours": gettext_lazy("node-hours"),
    "unknown_node_hours": gettext_lazy("node-hours without a figure"),
}


def difference_rows(found: Iterable[Difference]) -> tuple[list[Row], list[Row]]:
    """Those of the year, and those of its months: line, before, after, by how much."""
    year: list[Row] = []
    months: list[Row] = []
    for each in found:
        label, quantity, where = _line(each)
        row = (label, *(_shown(value, quantity) for value in (each.before, each.after, each.by)))
        if where:
            months.append((where, *row))
        else:
            year.append(row)
    return year, months


def _line(found: Difference) -> tuple[str, str, str]:
    """What a line is called, its quantity, and its month."""
    head, _dot, part = found.line.partition(".")
    if head == "factor":
        return f"{_STEPS.get(part, part)}: {found.period}", "share", ""
    where = month_name(found.period) if found.period else ""
    if head == "cost":
        return _("cost [%(currency)s]") % {"currency": part}, "money", where
    if head in _PARTS:
        quantity = "number" if part.endswith("hours") else "emissions"
        return f"{_PARTS[head]}, {_PARTS[part]}" if part else str(_PARTS[head]), quantity, where
    label, quantity = _LINES.get(found.line, (found.line, "number"))
    return str(label), quantity, where


def _shown(value: float | str | None, quantity: str) -> str:
    if value is None or isinstance(value, str):
        return value or DASH
    if quantity in ("energy", "emissions", "water"):
        return format_quantity(value, quantity)
    if quantity == "hours":
        return f"{number(value / S_PER_HOUR)}{NBSP}h"
    return percent(value) if quantity == "share" else number(value)


def refusal(code: str) -> str:
    """Why a statement is not closed, and what to do."""
    return {
        "not_over": _("The year is not over yet: a statement is closed after its last day."),
        "waiting": _("Days of the year are not booked yet; try again when they are."),
        "nothing": _("Nothing was metered in that year."),
        "unchanged": _("Nothing has changed since the last edition: there is nothing to restate."),
        "changed": _("The figures have changed since you looked at them: look again."),
        "no_reason": _("A restatement needs a reason."),
    }[code]
