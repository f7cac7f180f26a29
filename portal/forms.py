"""What a person may ask a page for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

LENGTHS = (7, 30, 90)
USUAL_LENGTH = 30
LONGEST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Period:
    """Days [first, last] of the site's zone; ``length`` is set if it is one of the offered ones up to today."""

    first: date
    last: date
    length: int | None = None

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    def shifted(self, step: int) -> Period:
        """The period of the same length so many periods later."""
        by = timedelta(days=step * self.days)
        return Period(self.first + by, self.last + by)


class PeriodForm(forms.Form):
    """A period: so many days up to today, or from one day to another."""

    days = forms.TypedChoiceField(choices=[(str(n), str(n)) for n in LENGTHS], coerce=int, required=False)
    first = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    last = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))

    def clean(self) -> dict[str, Any]:
        """Both days or neither, in order, and not too far apart."""
        found: dict[str, Any] = super().clean() or {}
        first, last = found.get("first"), found.get("last")
        if self.errors or not (first or last):
            return found
        if not first or not last:
            raise forms.ValidationError(_("Give both days of the period."))
        if last < first:
            raise forms.ValidationError(_("The period ends before it begins."))
        if (last - first).days >= LONGEST_DAYS:
            raise forms.ValidationError(_("A period has 366 days at most."))
        return found

    def period(self, today: date) -> Period:
        """The period asked for; the usual one if none is, or if what is asked for makes no sense."""
        found = self.cleaned_data if self.is_valid() else {}
        if found.get("first"):
            return Period(found["first"], found["last"])
        length = found.get("days") or USUAL_LENGTH
        return Period(today - timedelta(days=length - 1), today, length)
