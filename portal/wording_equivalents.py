"""Equivalents in words, each with its source and year."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from measurements.selectors.equivalents import Equivalent
from portal.quantities import number


@dataclass(frozen=True, slots=True)
class Like:
    """An equivalent in words, and where it is from."""

    said: str
    source: str
    url: str


def equivalents_in_words(found: tuple[Equivalent, ...]) -> list[Like]:
    """Each with its source and year."""
    return [_like(each) for each in found]


def _like(each: Equivalent) -> Like:
    row = each.factor
    words = {
        "household-day": _("As much electricity as a typical British household uses in %(amount)s days"),
        "car-eu": _("As much CO₂e as an average European car in %(amount)s km"),
        "train": _("As much CO₂e as one passenger's train journey of %(amount)s km"),
        "tree-month": _("As much CO₂e as a tree takes up in %(amount)s months"),
    }.get(row.key, f"%(amount)s × {row.key} ({number(row.value)} {row.unit})")
    source = ", ".join(filter(None, [row.source_title, row.edition, row.page]))
    return Like(words % {"amount": number(each.amount)}, source, row.source_url)
