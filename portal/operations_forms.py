"""What an operator may ask the operators' pages for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, ClassVar
from unicodedata import normalize

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms import EARLIEST_YEAR, LATEST_YEAR, Period, PeriodForm
from portal.wording_reasons import reason_name

OPERATIONS_LENGTHS = (7, 30, 90)
LONGEST_DAYS = 92
REFUSED_CONTENTS = {"": _("power and jobs"), "power": _("power"), "jobs": _("jobs")}
REFUSED_STATES = {
    "": _("refused now"),
    "open": _("not tried again yet"),
    "tried": _("tried again in vain"),
    "waiting": _("waiting to be tried again"),
    "in": _("went in since"),
}


class OperationsPeriodForm(PeriodForm):
    """UTC days, a quarter of a year at most: what is read of each day is the nodes' own."""

    usual: ClassVar[int] = 30

    def clean(self) -> dict[str, Any]:
        """Not too long."""
        found = super().clean()
        first, last = found.get("first"), found.get("last")
        if first and last and (first.year < EARLIEST_YEAR or last.year > LATEST_YEAR):
            raise forms.ValidationError(_("Give days between 1971 and 2100."))
        if first and last and (last - first).days >= LONGEST_DAYS:
            raise forms.ValidationError(_("Here a period has 92 days at most."))
        return found

    def period(self, today: date) -> Period:
        """The period asked for; the page's usual one if none is, or if what is asked for makes no sense."""
        found = self.cleaned_data if self.is_valid() else {}
        if found.get("first"):
            return Period(found["first"], found["last"])
        length = found.get("days") or self.usual
        return Period(today - timedelta(days=length - 1), today, length)


class WeekForm(OperationsPeriodForm):
    """The same; a week if nothing is said."""

    usual = 7


class RefusedForm(forms.Form):
    """Which refusals to show, or to try again."""

    reason = forms.CharField(required=False, max_length=128, label=_("Reason"))
    source = forms.CharField(required=False, max_length=128, label=_("Source"))
    node = forms.CharField(required=False, max_length=255, label=_("Node"))
    content = forms.ChoiceField(choices=[*REFUSED_CONTENTS.items()], required=False, label=_("Content"))
    state = forms.ChoiceField(choices=[*REFUSED_STATES.items()], required=False, label=_("State"))

    def said(self) -> dict[str, str]:
        """What was said and makes sense."""
        found = self.cleaned_data if self.is_valid() else {}
        return {name: str(value) for name, value in found.items() if value}

    def offer(self, reasons: Iterable[str]) -> None:
        """Let one choose among these reasons, and the one that is chosen, instead of writing one as it is stored."""
        offered = {reason: reason_name(reason) for reason in (*reasons, self.said().get("reason", "")) if reason}
        named = sorted(offered.items(), key=lambda one: normalize("NFKD", one[1]).casefold())
        self.fields["reason"].widget = forms.Select(choices=[("", _("all reasons")), *named])


class BatchFilterForm(forms.Form):
    """Which batches to list."""

    cluster = forms.CharField(required=False, max_length=64)
    content = forms.ChoiceField(choices=[("power", _("power")), ("jobs", _("jobs"))], required=False)
    refused = forms.BooleanField(required=False)
    reason = forms.CharField(required=False, max_length=128)
