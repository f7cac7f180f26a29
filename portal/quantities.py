"""Numbers as a person reads them: three significant digits, a prefix, a space that doesn't break.

static/js/quantities.js says the same in the browser, from the same table (quantities.json:
units of a quantity and how many J or W one of them is); tests hold both to the same cases.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _

TABLE: dict[str, list[tuple[str, float]]] = json.loads(
    Path(__file__).with_name("quantities.json").read_text(encoding="utf-8")
)
NBSP = "\u00a0"
MINUS = "\u2212"
DIGITS = 3
NEXT_PREFIX = 1000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit a quantity is shown in; ``size`` is how many of the base unit (J, W, g, L) it is."""

    label: str
    size: float


def unit_for(value: float, quantity: str) -> Unit:
    """The unit in which a value in J or W is shown: 1 ≤ |shown| < 1000 where there is one."""
    *smaller, largest = (Unit(label, size) for label, size in TABLE[quantity])
    return next((u for u in smaller if abs(_rounded(value / u.size)) < NEXT_PREFIX), largest)


def format_quantity(value: float, quantity: str) -> str:
    """A value in J or W with its unit: 12.3 kWh."""
    unit = unit_for(value, quantity)
    return f"{in_unit(value, unit)}{NBSP}{unit.label}"


def in_unit(value: float, unit: Unit) -> str:
    """A value in J or W as a bare number of some unit."""
    return number(value / unit.size)


def number(value: float) -> str:
    """Three significant digits, with the language's decimal sign."""
    return _localised(_rounded(value))


def _rounded(value: float) -> Decimal:
    exact = Decimal(value)
    if not exact:
        return Decimal(0)
    rounded = _to_digits(exact)
    return _to_digits(rounded)  # 9.996 becomes 10.00, which has a digit too many


def _to_digits(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1).scaleb(value.adjusted() - DIGITS + 1), ROUND_HALF_UP)


def _localised(value: Decimal) -> str:
    text = f"{abs(value):f}"
    if "." in text:
        text = text.replace(".", str(get_format("DECIMAL_SEPARATOR")))
    return f"{MINUS}{text}" if value < 0 else text


def whole(count: float | None) -> str:
    """A number of things, with the language's thousands separator: 12,345."""
    return "–" if count is None else str(number_format(count, 0, force_grouping=True))


def money(amount: float, currency: str) -> str:
    """An amount with its currency: two decimals, and three significant digits of what is less than one."""
    if abs(amount) < 1:
        return f"{number(amount)}{NBSP}{currency}"
    return f"{_localised(Decimal(amount).quantize(Decimal('0.01'), ROUND_HALF_UP))}{NBSP}{currency}"


def percent(share: float | None) -> str:
    """A share with one decimal, rounded down: what is not whole never looks whole."""
    if share is None:
        return "–"
    value = Decimal(str(share)) * 100  # as it is written: 0.62 is 62 %, though the float is a little less
    places = Decimal(1) if value >= 100 else Decimal("0.1")
    return f"{_localised(value.quantize(places, ROUND_DOWN))}{NBSP}%"


def duration(seconds: float | None) -> str:
    """The two leading parts of a time: 2 d 3 h, 23 h 42 min, 2 min 57 s, 1 d 27 s."""
    if seconds is None:
        return "–"
    rest = round(seconds)
    if rest < 1:
        return f"{number(seconds)}{NBSP}{_('s')}"
    shown = []
    for label, size in ((_("d"), _DAY_S), (_("h"), _HOUR_S), (_("min"), _MINUTE_S), (_("s"), 1)):
        count, rest = divmod(rest, size)
        if count:
            shown.append(f"{count}{NBSP}{label}")
    return " ".join(shown[:2])
