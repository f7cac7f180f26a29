"""Small numbers and sentences of the operators' pages."""

from __future__ import annotations

from django import template

from portal import wording_operations as wording

register = template.Library()
register.filter("small_energy", wording.small_energy)
register.filter("small_share", wording.small_share)
register.filter("node_hours", wording.node_hours)
register.filter("level_word", wording.level_word)
register.filter("cure", wording.cure_of)
register.filter("example", wording.example_of)
register.filter("tail", wording.tail)
