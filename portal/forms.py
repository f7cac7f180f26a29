"""What a person may ask a page for."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db import models
from django.utils.timezone import localtime, make_aware
from django.utils.translation import gettext_lazy as _

from measurements.domain.units import DAY_MS, HOUR_MS, datetime_from_ms, ms_from_datetime

LENGTHS = (7, 30, 90, 365)
MACHINE_LENGTHS = (1, 7, 30, 365)  # of a cluster
NODE_SPANS = {"day": DAY_MS, "3days": 3 * DAY_MS, "week": 7 * DAY_MS, "month": 31 * DAY_MS}  # the first: usual
EARLIEST_YEAR, LATEST_YEAR = 1971, 2100
USUAL_LENGTH = 30
LONGEST_DAYS = 366


class Span(models.TextChoices):
    """A period of the calendar."""

    DAY = "day", _("Day")
    WEEK = "week", _("Week")
    MONTH = "month", _("Month")
    QUARTER = "quarter", _("Quarter")
    YEAR = "year", _("Year")


class Compare(models.TextChoices):
    """What a period is held against."""

    PREVIOUS = "previous", _("the period before")
    YEAR = "year", _("the same a year before")


@dataclass(frozen=True, slots=True)
class Period:
    """Days [first, last] of the site's zone; ``length`` is set if it is one of the offered ones up to today, ``span``
    if it is one of the calendar."""

    first: date
    last: date
    length: int | None = None
    span: Span | None = None

    @classmethod
    def of(cls, span: Span, at: date) -> Period:
        """The day, week, month, quarter or year in which a day lies."""
        if span is Span.DAY:
            return cls(at, at, None, span)
        if span is Span.WEEK:
            monday = at - timedelta(days=at.weekday())
            return cls(monday, monday + timedelta(days=6), None, span)
        months = {Span.MONTH: 1, Span.QUARTER: 3, Span.YEAR: 12}[span]
        month = (at.month - 1) // months * months + 1
        first = date(at.year, month, 1)
        return cls(first, _months_later(first, months) - timedelta(days=1), None, span)

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def query(self) -> str:
        """As a page's address says it."""
        if self.span:
            return urlencode({"span": self.span.value, "at": self.first.isoformat()})
        if self.length:
            return urlencode({"days": self.length})
        return urlencode({"first": self.first.isoformat(), "last": self.last.isoformat()})

    def shifted(self, step: int) -> Period:
        """The period of the same length so many periods later; of the calendar, its next one."""
        if self.span in (None, Span.DAY, Span.WEEK):
            by = timedelta(days=step * self.days)
            return Period(self.first + by, self.last + by, None, self.span)
        months = {Span.MONTH: 1, Span.QUARTER: 3}.get(self.span, 12)
        return Period.of(self.span, _months_later(self.first, step * months))

    def before(self, compare: Compare, today: date) -> Period:
        """What the period is held against: of one that is not over, only as many days as have begun."""
        earlier = self.shifted(-1)
        if compare is Compare.YEAR:
            earlier = Period(_months_later(self.first, -12), _months_later(self.last, -12))
        if self.first <= today < self.last:
            begun = timedelta(days=(today - self.first).days)
            return Period(earlier.first, min(earlier.first + begun, earlier.last))
        return earlier


def _months_later(day: date, months: int) -> date:
    """The same day of a later month, or its last one."""
    month = day.year * 12 + day.month - 1 + months
    year, month = max(month // 12, 1), month % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _bounded(day: date | None) -> date | None:
    if day is not None and not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        raise forms.ValidationError(_("Give days between 1971 and 2100."))
    return day


class PeriodForm(forms.Form):
    """A period: so many days up to today, or from one day to another."""

    days = forms.TypedChoiceField(choices=[(str(n), str(n)) for n in LENGTHS], coerce=int, required=False)
    first = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    last = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    span = forms.TypedChoiceField(choices=Span.choices, coerce=Span, required=False)
    at = forms.DateField(required=False)

    def clean_first(self) -> date | None:
        """Of a year that the arithmetic of days can go on from."""
        return _bounded(self.cleaned_data["first"])

    def clean_last(self) -> date | None:
        """As the first."""
        return _bounded(self.cleaned_data["last"])

    def clean_at(self) -> date | None:
        """As the first."""
        return _bounded(self.cleaned_data["at"])

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
        if found.get("span"):
            return Period.of(found["span"], found.get("at") or today)
        if found.get("first"):
            return Period(found["first"], found["last"])
        length = found.get("days") or USUAL_LENGTH
        return Period(today - timedelta(days=length - 1), today, length)


class MachinePeriodForm(PeriodForm):
    """The same for a cluster, which has short and long periods besides."""

    days = forms.TypedChoiceField(choices=[(str(n), str(n)) for n in MACHINE_LENGTHS], coerce=int, required=False)


@dataclass(frozen=True, slots=True)
class NodeWindow:
    """A time of whole UTC hours, of one of the offered lengths; ``end`` is set if the address names it."""

    span: str
    start_ms: int
    end_ms: int
    end: datetime | None

    @property
    def query(self) -> str:
        """As a page's address says it."""
        return self._query(self.end)

    def _query(self, end: datetime | None) -> str:
        fixed = {"end": end.isoformat(timespec="minutes")} if end else {}
        return urlencode({"span": self.span, **fixed})

    def shifted(self, step: int) -> str:
        """The address of the window so many of its lengths later."""
        end_ms = self.end_ms + step * (self.end_ms - self.start_ms)
        return self._query(localtime(datetime_from_ms(end_ms)))

    def behind(self, instant: datetime) -> str:
        """The address of a window of the same length that ends soon after an instant."""
        return self._query(localtime(instant) + timedelta(minutes=1))


class NodeWindowForm(forms.Form):
    """A length, and when it ends: now, if nothing is said."""

    span = forms.ChoiceField(choices=[(name, name) for name in NODE_SPANS], required=False)
    end = forms.CharField(label=_("Until"), required=False, max_length=40)

    def clean_end(self) -> datetime | None:
        """An instant; without an offset it is of the site's zone."""
        text = self.cleaned_data["end"].strip()
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError as fault:
            raise forms.ValidationError(_("Give an instant as 2025-03-10T12:00.")) from fault
        if not EARLIEST_YEAR <= found.year <= LATEST_YEAR:
            raise forms.ValidationError(_("Give an instant as 2025-03-10T12:00."))
        return found if found.tzinfo else make_aware(found)

    def window(self, now: datetime) -> NodeWindow:
        """The window asked for; the usual one for what makes no sense."""
        found = self.cleaned_data if self.is_valid() else {}
        span, end = found.get("span") or next(iter(NODE_SPANS)), found.get("end")
        end_ms = -(-ms_from_datetime(end or now) // HOUR_MS) * HOUR_MS
        return NodeWindow(span, end_ms - NODE_SPANS[span], end_ms, localtime(end) if end else None)
