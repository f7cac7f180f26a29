"""The steps of a figure in templates."""

from __future__ import annotations

from django import template

from measurements.domain.chain import Footprint
from portal import steps

register = template.Library()


@register.filter
def chain(found: Footprint) -> steps.Chain:
    """Its lines in words."""
    return steps.chain(found)
