"""Words about jobs in templates."""

from __future__ import annotations

from datetime import datetime

from django import template

from measurements.domain.units import datetime_from_ms
from portal import wording_jobs, wording_report

register = template.Library()
register.filter("state_name", wording_jobs.state_name)
register.filter("phase_word", wording_report.phase_word)


@register.filter
def at_ms(ms: int) -> datetime:
    """The instant of milliseconds since 1970."""
    return datetime_from_ms(ms)
