"""Days as a page says them, of which a year's page says hundreds."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from django.utils.formats import date_format
from django.utils.translation import get_language

_DAYS_KEPT = 10_000  # texts


def day_in_words(day: date, form: str) -> str:
    """A day in a form of Django's date filter and the reader's language; likewise a month or whatever the form says."""
    return _in_words(day, form, get_language())


@lru_cache(maxsize=_DAYS_KEPT)
def _in_words(day: date, form: str, _language: str | None) -> str:
    """The same for the same day, form and language for ever."""
    return str(date_format(day, form))
