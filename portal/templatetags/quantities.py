"""Quantities, times and figures in templates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import pgettext

from measurements.models import Quality
from portal import quantities

register = template.Library()
register.filter("percent", quantities.percent)
register.filter("duration", quantities.duration)
register.filter("whole", quantities.whole)


@register.filter
def energy(joules: float | None) -> str:
    """12.3 kWh; a dash where there is none."""
    return "–" if joules is None else quantities.format_quantity(joules, "energy")


@register.filter
def power(watts: float | None) -> str:
    """1.23 kW; a dash where there is none."""
    return "–" if watts is None else quantities.format_quantity(watts, "power")


@register.filter
def emissions(grams: float | None) -> str:
    """12.3 kg CO₂e; a dash where they are not known."""
    return "–" if grams is None else quantities.format_quantity(grams, "emissions")


@register.filter
def water(litres: float | None) -> str:
    """1.23 L; a dash where it is not known."""
    return "–" if litres is None else quantities.format_quantity(litres, "water")


@register.filter
def intensity(g_per_kwh: float | None) -> str:
    """312 g/kWh; a dash where it is not known."""
    return "–" if g_per_kwh is None else f"{quantities.number(g_per_kwh)}{quantities.NBSP}g/kWh"


@register.filter
def money(amounts: dict[str, float]) -> str:
    """12.34 EUR; several currencies one after the other, a dash where there is none."""
    return " + ".join(quantities.money(amount, currency) for currency, amount in sorted(amounts.items())) or "–"


@register.filter
def big(shown: str) -> SafeString:
    """A quantity as the large figure of a page, its unit set smaller."""
    value, space, unit = shown.partition(quantities.NBSP)
    if not space:
        return format_html('<span class="value">{}</span>', shown)
    return format_html('<span class="value">{}</span><span class="unit">&nbsp;{}</span>', value, unit)


@register.filter
def of_unit(value: float | None, unit: quantities.Unit) -> str:
    """A bare number for a column whose heading has the unit."""
    return "–" if value is None else quantities.in_unit(value, unit)


@register.filter
def plain_number(value: float | None) -> str:
    """Three significant digits."""
    return "–" if value is None else quantities.number(value)


@register.filter
def moment(instant: datetime | None) -> str:
    """Date and time to the second, in the site's zone."""
    return date_format(localtime(instant), pgettext("moment", "j M Y, H:i:s")) if instant else "–"


@register.filter
def minute(instant: datetime | None) -> str:
    """Date and time to the minute, in the site's zone."""
    return date_format(localtime(instant), pgettext("minute", "j M Y, H:i")) if instant else "–"


@register.filter
def day(value: date) -> str:
    """A day with its weekday."""
    return date_format(value, pgettext("day", "D j M Y"))


@register.simple_tag
def bar_width(share: float | None) -> Any:
    """How much of a bar of width 100 is filled."""
    return round(100 * min(max(share or 0.0, 0.0), 1.0), 2)


@register.filter
def quality_word(quality: str) -> str:
    """The one word, in the reader's language."""
    return str(Quality(quality).label)
