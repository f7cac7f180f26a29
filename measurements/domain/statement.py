"""What an annual statement says: its figures as plain data, their canonical form and hash, what differs between two.

All amounts are in base units, nothing is rounded; None: not supplied. docs/statement.md explains each line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

METHOD = "1"  # one more whenever a line of a statement is computed in another way
ROUNDING = 1e-9  # of a sum: less is no energy
_NOT_STATED = ("method", "version")  # another version alone changes no figure


@dataclass(frozen=True, slots=True)
class EmbodiedFigures:
    """Embodied emissions [g CO2e], apart from what the electricity emits."""

    low_g: float
    central_g: float
    high_g: float
    node_hours: float
    unknown_node_hours: float  # of node types without a declared figure; not in the grams


@dataclass(frozen=True, slots=True)
class StatementPeriod:
    """A month, or the year: facility = jobs + unallocated + filled + infrastructure + plant + beyond."""

    start: str  # ISO, first day in the site's zone
    end: str  # ISO, first day after it
    over: bool
    recorded_share: float  # of the time that is over: the ledger has a node in service then
    wall_s: float  # node-seconds, as all times here
    covered_s: float
    off_s: float
    jobs_j: float  # metered
    unallocated_j: float  # metered
    filled_j: float  # estimated where nothing was metered; never inside a metered figure
    infrastructure_j: float
    plant_j: float  # what the PUE adds
    beyond_j: float  # of the facility meter, beyond all that
    facility_j: float
    facility_metered_j: float  # part of facility_j that the facility meter shows; the rest is IT × PUE
    infrastructure_measured_share: float  # of the nodes' energy
    infrastructure_declared_share: float
    pue: float | None  # None: neither measured nor declared
    pue_measured_share: float  # of the time that the ledger knows
    pue_declared_share: float
    location_g: float | None  # Scope 2, location-based: jobs + own + beyond
    location_jobs_g: float | None
    location_own_g: float | None  # of unallocated energy
    location_beyond_g: float | None
    market_g: float | None  # Scope 2, market-based
    unpriced_j: float  # facility energy without a location-based intensity
    market_unpriced_j: float
    embodied_jobs: EmbodiedFigures | None
    embodied_own: EmbodiedFigures | None
    cost: Mapping[str, float]  # by currency
    untariffed_j: float
    water_l: float | None
    renewable_share: float | None  # of the facility's energy, as declared
    ref: float | None
    cue_kg_per_kwh: float | None
    wue_l_per_kwh: float | None

    @property
    def metered_j(self) -> float:
        """Of the nodes."""
        return self.jobs_j + self.unallocated_j

    @property
    def it_j(self) -> float:
        """Nodes, metered and filled, and shared infrastructure."""
        return self.metered_j + self.filled_j + self.infrastructure_j

    @property
    def gap_s(self) -> float:
        """Neither covered nor off."""
        return max(self.wall_s - self.covered_s - self.off_s, 0.0)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ time in which nodes were on."""
        on_s = self.covered_s + self.gap_s
        return self.covered_s / on_s if on_s else None

    @property
    def beyond_shown_j(self) -> float:
        """``beyond_j`` without what only the rounding of sums left of it."""
        return self.beyond_j if abs(self.beyond_j) > ROUNDING * self.facility_j else 0.0

    @property
    def facility_metered_share(self) -> float:
        """How much of the facility's energy its meter shows."""
        return self.facility_metered_j / self.facility_j if self.facility_j else 0.0

    @property
    def embodied_g(self) -> float | None:
        """Jobs and the machine's own, central."""
        known = [part.central_g for part in (self.embodied_jobs, self.embodied_own) if part is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class FactorUse:
    """A factor that the year was made with, and for which part of it."""

    part: str  # infrastructure, pue, location, market, tariff, water, renewable, embodied
    share: float  # of the energy (embodied: of the node-hours; renewable: of the time)
    origin: Mapping[str, str]  # as `Origin.as_json`


@dataclass(frozen=True, slots=True)
class StatementFigures:
    """A statement of one cluster and one year of the site's zone."""

    cluster: str
    year: int
    zone: str
    version: str  # of the software
    method: str
    pue_category: str  # as declared: PUE1, PUE2, PUE3
    factor_edition: str
    months: tuple[StatementPeriod, ...]
    total: StatementPeriod
    factors: tuple[FactorUse, ...]

    @property
    def over(self) -> bool:
        """Whether the year is."""
        return self.total.over


def canonical(figures: StatementFigures) -> str:
    """As it is hashed: keys sorted, no blanks, numbers as Python writes them, so that they can be read back exactly."""
    return canonical_json(asdict(figures))


def canonical_json(said: dict[str, Any]) -> str:
    """Plain data as it is hashed, likewise."""
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(text: str) -> str:
    """SHA-256 of the canonical form in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(text: str) -> StatementFigures:
    """What `canonical` wrote, in this version or an earlier one: what that did not state is None."""
    said = json.loads(text)
    return StatementFigures(
        **{
            **_known(StatementFigures, said),
            "months": tuple(map(_period, said["months"])),
            "total": _period(said["total"]),
            "factors": tuple(FactorUse(**_known(FactorUse, row)) for row in said["factors"]),
        }
    )


def _period(said: Mapping[str, Any]) -> StatementPeriod:
    embodied = {
        name: EmbodiedFigures(**_known(EmbodiedFigures, said[name])) if said.get(name) else None
        for name in ("embodied_jobs", "embodied_own")
    }
    return StatementPeriod(**{**_known(StatementPeriod, said), **embodied})


def _known(kind: type, said: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: said.get(field.name) for field in fields(kind)}


# --- What differs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A line that two statements give differently."""

    period: str  # first day of the month; empty: the year, or the statement as a whole
    line: str  # name of a field; below it after a dot
    before: float | str | None
    after: float | str | None

    @property
    def by(self) -> float | None:
        """After less before, where both are numbers."""
        if isinstance(self.before, float) and isinstance(self.after, float):
            return self.after - self.before
        return None


def differences(before: StatementFigures, after: StatementFigures) -> list[Difference]:
    """Line by line: the year first, then its months, then factors that came or went."""
    found = list(_of_periods("", before.total, after.total))
    for earlier, later in zip(before.months, after.months, strict=True):
        found += _of_periods(later.start, earlier, later)
    for line in ("pue_category", "factor_edition", "zone"):
        if getattr(before, line) != getattr(after, line):
            found.append(Difference("", line, getattr(before, line), getattr(after, line)))
    return found + _of_factors(before, after)


def same_figures(before: StatementFigures, after: StatementFigures) -> bool:
    """Whether two statements say the same, whichever version of the software made them."""
    one, other = asdict(before), asdict(after)
    return all(one[key] == other[key] for key in one if key not in _NOT_STATED)


def _of_periods(period: str, before: StatementPeriod, after: StatementPeriod) -> Iterator[Difference]:
    one, other = _flat(asdict(before)), _flat(asdict(after))
    for line in dict.fromkeys([*one, *other]):
        if one.get(line) != other.get(line):
            yield Difference(period, line, one.get(line), other.get(line))


def _flat(said: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{name}.")
        elif not isinstance(value, bool):
            flat[above + name] = value
    return flat


def _of_factors(before: StatementFigures, after: StatementFigures) -> list[Difference]:
    one, other = ({(use.part, _said(use)): use.share for use in figures.factors} for figures in (before, after))
    keys = dict.fromkeys([*one, *other])
    return [Difference(k[1], f"factor.{k[0]}", one.get(k), other.get(k)) for k in keys if one.get(k) != other.get(k)]


def _said(use: FactorUse) -> str:
    return " ".join(filter(None, (use.origin.get(key, "") for key in ("title", "edition", "rung", "since", "factor"))))
