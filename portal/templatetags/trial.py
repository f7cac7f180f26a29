"""What the page of a trial needs beside quantities."""

from __future__ import annotations

from django import template

from measurements.domain.units import S_PER_HOUR
from portal import wording
from portal.quantities import number

register = template.Library()
register.filter("quality_sentence", wording.quality_sentence)


@register.filter
def hours(seconds: float) -> str:
    """Node-seconds as node-hours, a bare number."""
    return number(seconds / S_PER_HOUR)
