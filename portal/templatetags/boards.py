"""Editions of leaderboards in templates: their number, days, state and address."""

from __future__ import annotations

from django import template
from django.urls import reverse

from measurements.models import Edition
from portal import wording_boards as wording

register = template.Library()
register.filter("edition_number", wording.edition_number)
register.filter("edition_period", wording.edition_period)
register.filter("state_word", wording.state_word)
register.filter("state_shape", wording.state_shape)
register.filter("event_word", wording.event_word)
register.filter("event_edition", wording.event_edition)


@register.simple_tag
def edition_url(route: str, edition: Edition) -> str:
    """The address of a page of an edition."""
    return reverse(route, args=[edition.board.slug, wording.edition_number(edition)])
