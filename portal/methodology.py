"""The rules by which figures are made, with the constants of the code: what `/methodology/` shows.

A rule names its constants by module and name and its sentence shows their values, so that nothing is typed twice. A
test fails when a numeric constant of `measurements.domain` is neither in a rule nor in `EXEMPT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import ModuleType
from typing import Any

from django.utils.formats import get_format

from portal.quantities import NBSP, duration, format_quantity

NARROW_NBSP = "\u202f"
LEAST_WRITTEN_OUT, MOST_WRITTEN_OUT = 1e-4, 1e15
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Constant:
    """A constant of the code, and how a sentence says it."""

    module: ModuleType
    name: str
    write: Callable[[Any], str]

    @property
    def value(self) -> Any:
        """As the code has it now."""
        return getattr(self.module, self.name)

    @cached_property
    def shown(self) -> str:
        """As a sentence says it, in the reader's language."""
        return self.write(self.value)

    @property
    def place(self) -> str:
        """Where it stands: measurements.domain.integrate.GAP_INTERVALS."""
        return f"{self.module.__name__}.{self.name}"


@dataclass(frozen=True)
class Rule:
    """A sentence with the values of its constants, and the formula where there is one."""

    sentence: str
    constants: tuple[Constant, ...] = field(default=())
    formula: str = ""


@dataclass(frozen=True)
class Section:
    """A card of the page."""

    slug: str
    title: str
    rules: tuple[Rule, ...]

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Of all its rules, each once."""
        return tuple({each.place: each for rule in self.rules for each in rule.constants}.values())


def rule(sentence: str, *constants: Constant, formula: str = "") -> Rule:
    """A rule whose sentence has %(NAME)s for each of its constants."""
    shown = {each.name: each.shown for each in constants}
    return Rule(sentence % shown if shown else sentence, constants, formula)


def sections() -> list[Section]:
    """All rules, in the reader's language."""
    # They are made of what stands here.
    from portal import (
        methodology_compare,
        methodology_emissions,
        methodology_joules,
        methodology_nodes,
        methodology_plausibility,
        methodology_use,
    )

    parts = (
        methodology_joules,
        methodology_plausibility,
        methodology_use,
        methodology_nodes,
        methodology_compare,
        methodology_emissions,
    )
    return [section for part in parts for section in part.sections()]


# --- How sentences say values ----------------------------------------------------------------------


def plain(module: ModuleType, name: str) -> Constant:
    """The number itself."""
    return Constant(module, name, exact)


def share(module: ModuleType, name: str) -> Constant:
    """A share of 0 to 1 in per cent."""
    return Constant(module, name, share_words)


def fraction(module: ModuleType, name: str) -> Constant:
    """A part as one of few."""
    return Constant(module, name, lambda value: str(Fraction(value).limit_denominator(100)))


def milliseconds(module: ModuleType, name: str) -> Constant:
    """A length of time, given in ms."""
    return Constant(module, name, lambda value: duration(value / 1000))


def joules(module: ModuleType, name: str) -> Constant:
    """An energy, given in J."""
    return Constant(module, name, lambda value: format_quantity(value, "energy"))


def listed(module: ModuleType, name: str) -> Constant:
    """Each number."""
    return Constant(module, name, lambda values: ", ".join(map(exact, sorted(values))))


def prefixes(module: ModuleType, name: str) -> Constant:
    """What letters stand for: K = 1 000, …"""
    return Constant(module, name, lambda table: ", ".join(f"{k} = {exact(v)}" for k, v in table.items() if k))


def exact(value: float) -> str:
    """All digits of a number, in groups of three; very large and very small ones by powers of ten."""
    sign = str(get_format("DECIMAL_SEPARATOR"))
    if value and not LEAST_WRITTEN_OUT <= abs(value) < MOST_WRITTEN_OUT:
        digits, _, power = f"{value:e}".partition("e")
        mantissa = f"{float(digits):g}".replace(".", sign)
        ten = f"10{str(int(power)).translate(_RAISED)}"
        return ten if mantissa == "1" else f"{mantissa} · {ten}"
    whole, _, rest = f"{value:.15g}".partition(".")
    grouped = f"{int(whole):,}".replace(",", NARROW_NBSP) if len(whole) > len("9999") else whole
    return f"{grouped}{sign}{rest}" if rest else grouped


def share_words(value: float) -> str:
    """A share in per cent, with all its digits."""
    return f"{exact(round(value * 100, 9))}{NBSP}%"


def values_of(constants: Sequence[Constant]) -> list[tuple[str, str]]:
    """Place and value of each, as a table shows them."""
    return [(each.place, each.shown.replace(NBSP, " ")) for each in constants]


# --- Constants that no rule names ----------------------------------------------------------------------

EXEMPT: dict[str, str] = {
    "advice_kinds.MOST_GROUPS": "how many lines of advice of a kind there are; the totals count all",
    "advice_kinds.LONGEST_SUBJECT": "where a long name is cut",
    "advice_sizes._MINUTE_S": "a unit of time",
    "advice_sizes._HOUR_S": "likewise",
    "advice_sizes._DAY_S": "likewise",
    "advice_sizes._TIME_STEPS": "how a time limit is rounded up; a saving is of what is left (docs/waste.md)",
    "advice_sizes._MIB": "a unit of memory; no energy",
    "advice_sizes._GIB": "likewise",
    "advice_sizes._MEMORY_STEPS": "how memory is rounded up (docs/waste.md)",
    "comparison.SIZES_KEPT": "how much memory is used",
    "mlperf_training.FEWEST_RUNS": "of MLPerf's own rule, which books nothing (docs/formats.md)",
    "token_secrets.LONGEST": "of tokens, no energy",
    "token_secrets.PREFIX_LENGTH": "likewise",
    "token_secrets._BYTES": "likewise",
    "token_secrets._LENGTH": "likewise",
    "blocks.NOT_YET": "a name for: in no block",
    "board_places.ROUNDING": "what sums added up in another order may differ by; no rank hangs on it",
    "board_scores._COLUMNS_AT_ONCE": "how much memory is used",
    "comparison.MOST_AT_ONCE": "likewise",
    "like_jobs._T90": "a table of Student's t",
    "tag_edits._MOST_SAID": "a longer text is refused; no energy",
    "tag_edits._NAMES": "a longer name is refused; no energy",
    "tagging.LONGEST_PATTERN": "a longer pattern of a rule is refused",
    "tagging.LOOKED_AT": "how much of a field a rule looks at",
    "tagging.MOST_REPEATED": "a pattern that takes too long is refused",
    "tagging._NAMES": "a longer name is none; no energy",
    "tags.LONGEST_NAME": "likewise",
    "workload_findings.AMOUNTS_TRIED": "of how many amounts of work the most common is looked for",
    "workload_findings.SAME_WORK": "how alike two amounts are that count as equal, for rounding",
    "alignment.SHIFTS_H": "a trial's hint that a time zone is wrong; no figure is made of it",
    "alignment.LEAST_HOURS": "likewise",
    "alignment.GOOD": "likewise",
    "alignment.BETTER": "likewise",
    "curves.MOST_BUCKETS": "how finely a curve is drawn",
    "curves.FEWEST_BUCKETS": "likewise",
    "curves.SHORTEST_SAMPLES": "how far a drawn curve can be zoomed",
    "curves.SHORTEST_MS": "likewise",
    "figures._FAR_MS": "a job that is running ends after everything",
    "hostlist.DEFAULT_LIMIT": "a longer list of hosts is refused whole, with the reason",
    "integrate.TICKS_PER_MS": "the grain in which times are exact",
    "integrate.DAY_TICKS": "likewise",
    "integrate.US_PER_TICK": "likewise",
    "integrate.QUARTER_UJ_PER_UJ": "the grain in which energies are exact",
    "span_power.HOUR_TICKS": "a unit of time",
    "span_power.HOUR_EDGES": "likewise",
    "profiles.HOURS_PER_DAY": "likewise, of UTC days",
    "profiles._EDGES_US": "likewise",
    "profiles.QUARTERS_PER_HOUR": "likewise",
    "profiles.COVERED": "where in a record of an hour something stands",
    "profiles.ELAPSED": "likewise",
    "profiles.FILLED": "likewise",
    "profiles.RESERVED": "likewise",
    "profiles.RECORD": "likewise",
    "usage._EVEN": "likewise",
    "tags.LONGEST_WORKLOAD": "a longer name is no workload; no energy",
    "tags.LONGEST_UNIT": "likewise",
    "samples._MAX_RADIX": "how samples are sorted",
    "plausibility_chassis.HOURS": "a unit of time",
    "plausibility_chassis._MIX": "how readings are compared by a sum of them",
    "plausibility_chassis._SHIFT": "likewise",
    "plausibility_skew.SKEW_SHIFTS": "which shifts are tried",
    "scope_check.SEED": "so that the same day gives the same interval",
    "scope_check.DRAWS": "how finely an interval is told",
    "scope_check.LEAST_SLOPE": "which slopes are tried",
    "scope_check.MOST_SLOPE": "likewise",
    "scope_check.SLOPE_STEP": "likewise",
    "scope_check.LEAST_SPREAD_W": "less is the rounding of a mean",
    "sharing.QUARTER_TICKS": "a unit of time",
    "sharing.QUARTER_EDGES": "likewise",
    "sheet.ALWAYS_MS": "the date 1970-01-01 means: before everything",
    "sheet.MINUTES_PER_DAY": "a unit of time",
    "sheet.MINUTE_MS": "likewise",
    "slot_sums.QUARTERS_PER_HOUR": "likewise",
    "slotting.MISSING": "a name for a kind of slot",
    "slotting.MEASURED": "likewise",
    "slotting.ESTIMATED": "likewise",
    "slurm.JOB_ID_LIMIT": "a longer id of a job is refused, with the reason",
    "slurm_quantities._PER_CPU_BIT": "how old versions of Slurm mark memory for each CPU; no energy",
    "slurm_quantities.MIB": "a unit of memory; no energy",
    "slurm_quantities.BINARY": "units of memory and counts; no energy",
    "statement.ROUNDING": "so little is what adding up leaves, and is shown as 0; what is stored is not touched",
    "units.MS_PER_S": "a unit of time",
    "units.S_PER_HOUR": "likewise",
    "units.US_PER_MS": "likewise",
    "units.US_PER_S": "likewise",
    "units.DAY_MS": "likewise",
    "units.HOUR_MS": "likewise",
    "units.MW_PER_W": "milliwatts of a watt",
    "units.UJ_PER_J": "microjoules of a joule",
}
