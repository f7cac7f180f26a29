"""A cluster's emissions as its page shows them: of its jobs and its own, each column in one unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from measurements.domain.chain import Footprint, together
from measurements.domain.quality import ratio
from measurements.selectors.emissions import MachineFootprints
from portal.quantities import in_unit, percent, unit_for
from portal.templatetags.quantities import money


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    quantity: str
    value: Callable[[Footprint], float | None]


def shown(machine: MachineFootprints) -> dict[str, Any]:
    """Tiles, table and sentence; nothing where no energy was booked."""
    whole = together([machine.jobs, machine.own])
    if not whole.node_j:
        return {}
    parts = [machine.jobs, machine.own, whole]
    names = (_("Jobs"), _("The machine's own"), _("Together"))
    columns = [_cells(column, parts) for column in _columns(whole)]
    if whole.cost:
        columns.append((_("Electricity"), [money(dict(part.cost)) for part in parts]))
    if whole.water_l is not None:
        columns.append(_cells(_Column(_("Water"), "water", lambda part: part.water_l), parts))
    return {
        "machine": machine,
        "whole": whole,
        "columns": [heading for heading, _cells_of_it in columns],
        "rows": [(name, [(heading, cells[i]) for heading, cells in columns]) for i, name in enumerate(names)],
        "own_sentence": _own_sentence(machine.own, whole),
    }


def _columns(whole: Footprint) -> list[_Column]:
    """Those of which anything is known."""
    found = [_Column(_("Energy of the facility"), "energy", lambda part: part.facility_j)]
    if whole.location_g is not None:
        found.append(_Column(_("Location-based"), "emissions", lambda part: part.location_g))
    if whole.market_g is not None:
        found.append(_Column(_("Market-based"), "emissions", lambda part: part.market_g))
    if whole.embodied is not None:
        found.append(_Column(_("Embodied"), "emissions", _embodied_g))
    return found


def _embodied_g(part: Footprint) -> float | None:
    return part.embodied.central_g if part.embodied else None


def _cells(column: _Column, parts: Sequence[Footprint]) -> tuple[str, list[str]]:
    """The heading with its unit, and a cell a part."""
    values = [column.value(part) for part in parts]
    unit = unit_for(max((value for value in values if value is not None), default=0.0), column.quantity)
    cells = ["–" if value is None else in_unit(value, unit) for value in values]
    return f"{column.heading} [{unit.label}]", cells


def _own_sentence(own: Footprint, whole: Footprint) -> str:
    """How much of it no job held."""
    if own.location_g is None or not whole.location_g:
        return ""
    share = percent(ratio(own.location_g, whole.location_g))
    return _("%(share)s of the emissions are of energy that no job held; they are nobody's.") % {"share": share}
