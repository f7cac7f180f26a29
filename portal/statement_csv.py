"""A statement as a table of base units: a row a month, and the year."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from measurements.domain.statement import EmbodiedFigures, StatementFigures, StatementPeriod
from portal.csvs import Cell

_PLAIN = {
    "jobs_j": "jobs_metered_j", "unallocated_j": "unallocated_metered_j", "filled_j": "filled_estimated_j",
    "infrastructure_j": "infrastructure_j", "plant_j": "plant_j", "beyond_j": "beyond_the_ledger_j",
    "facility_j": "facility_j", "facility_metered_j": "of_which_facility_metered_j", "wall_s": "node_time_s",
    "covered_s": "node_time_measured_s", "off_s": "node_time_off_s", "gap_s": "node_time_gap_s",
    "recorded_share": "recorded_share", "pue": "pue", "pue_measured_share": "pue_measured_share_of_time",
    "pue_declared_share": "pue_declared_share_of_time",
    "infrastructure_measured_share": "infrastructure_measured_share",
    "infrastructure_declared_share": "infrastructure_declared_share", "renewable_share": "renewable_share",
    "ref": "ref", "cue_kg_per_kwh": "cue_kg_co2e_per_kwh", "wue_l_per_kwh": "wue_l_per_kwh", "water_l": "water_l",
    "unpriced_j": "without_location_based_intensity_j", "market_unpriced_j": "without_market_based_intensity_j",
    "untariffed_j": "without_tariff_j", "location_jobs_g": "scope2.location_based.jobs_g_co2e",
    "location_own_g": "scope2.location_based.unallocated_g_co2e",
    "location_beyond_g": "scope2.location_based.beyond_the_ledger_g_co2e",
}  # fmt: skip
_BOUNDS = ("low_g", "central_g", "high_g")


def statement_table(figures: StatementFigures, edition: int | None) -> tuple[list[str], Iterator[list[Cell]]]:
    """Header and rows; what is not supplied is empty. The first columns are those of other providers' exports."""
    currencies = sorted({currency for period in (*figures.months, figures.total) for currency in period.cost})
    factor_ids = " ".join(sorted({use.origin.get("factor", "") for use in figures.factors} - {""}))
    columns: list[tuple[str, Callable[[StatementPeriod], Cell]]] = [
        ("month", lambda p: str(figures.year) if p is figures.total else p.start[:7]),
        ("cluster", lambda p: figures.cluster),
        ("carbon_model_version", lambda p: f"{figures.version}/{figures.method}"),
        ("edition", lambda p: "draft" if edition is None else edition),
        ("is_over", lambda p: p.over),
        ("scope1_g_co2e", lambda p: None),  # electricity only: not applicable
        ("scope2.location_based_g_co2e", lambda p: p.location_g),
        ("scope2.market_based_g_co2e", lambda p: p.market_g),
        *((f"scope3.embodied_{bound}_co2e", _embodied(bound)) for bound in _BOUNDS),
        ("coverage", lambda p: p.coverage),
        ("factor_ids", lambda p: factor_ids),
        ("factor_edition", lambda p: figures.factor_edition),
        *((name, _field(field)) for field, name in _PLAIN.items()),
        *((f"cost_{currency}", _cost(currency)) for currency in currencies),
        *((f"scope3.embodied.jobs_{bound}_co2e", _part("embodied_jobs", bound)) for bound in _BOUNDS),
        *((f"scope3.embodied.unallocated_{bound}_co2e", _part("embodied_own", bound)) for bound in _BOUNDS),
    ]
    rows = ([get(period) for _name, get in columns] for period in (*figures.months, figures.total))
    return [name for name, _get in columns], rows


def _field(name: str) -> Callable[[StatementPeriod], Cell]:
    return lambda period: getattr(period, name)


def _cost(currency: str) -> Callable[[StatementPeriod], Cell]:
    return lambda period: period.cost.get(currency)


def _part(whose: str, bound: str) -> Callable[[StatementPeriod], Cell]:
    def amount(period: StatementPeriod) -> Cell:
        found: EmbodiedFigures | None = getattr(period, whose)
        return None if found is None else getattr(found, bound)

    return amount


def _embodied(bound: str) -> Callable[[StatementPeriod], Cell]:
    def amount(period: StatementPeriod) -> Cell:
        found = [getattr(part, bound) for part in (period.embodied_jobs, period.embodied_own) if part is not None]
        return sum(found) if found else None

    return amount
