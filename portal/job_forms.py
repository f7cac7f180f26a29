"""What a person may ask the list of jobs for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from measurements.domain.slurm import STATES
from measurements.models import Phase, Quality
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.jobfilter import JobFilter, Machine
from portal.wording_jobs import STATE_NAMES

LONGEST_TEXT = 200
_ANY = ("", _("any"))


def _text(label: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=LONGEST_TEXT, empty_value="")


def _day(label: Any) -> forms.DateField:
    return forms.DateField(label=label, required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))


@dataclass(frozen=True, slots=True)
class Choices:
    """What a form offers beside what is the same everywhere."""

    machines: Sequence[Machine]
    several_users: bool

    @property
    def node_types(self) -> list[str]:
        """Of all clusters, each name once."""
        return sorted({name for machine in self.machines for name in machine.node_types})


class JobFilterForm(forms.Form):
    """A filter of jobs; a field that makes no sense is explained and left out."""

    q = _text(_("Job id or part of its name"))
    user = _text(_("User"))
    project = _text(_("Project"))
    cluster = forms.ChoiceField(label=_("Cluster"), required=False)
    partition = _text(_("Partition"))
    type = forms.ChoiceField(label=_("Node type"), required=False)
    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[_ANY, ("failed", _("failed (any way)")), *((name, STATE_NAMES[name]) for name in sorted(STATES))],
    )
    quality = forms.ChoiceField(label=_("Quality"), required=False, choices=[_ANY, *Quality.choices])
    workload = _text(_("Workload"))
    phase = forms.ChoiceField(label=_("Phase"), required=False, choices=[_ANY, *Phase.choices])
    array = forms.IntegerField(label=_("Array"), required=False, min_value=0, max_value=10**18)
    first = _day(_("Started from"))
    last = _day(_("Started until"))
    running = forms.BooleanField(label=_("running now"), required=False)

    def __init__(self, data: Any, choices: Choices) -> None:
        super().__init__(data, auto_id="filter-%s")
        if not choices.several_users:
            del self.fields["user"]
        for name, values in (("cluster", [m.name for m in choices.machines]), ("type", choices.node_types)):
            cast(forms.ChoiceField, self.fields[name]).choices = [_ANY, *((value, value) for value in values)]

    def clean(self) -> dict[str, Any]:
        """The days in order."""
        found: dict[str, Any] = super().clean() or {}
        first, last = found.get("first"), found.get("last")
        if first and last and last < first:
            raise forms.ValidationError(_("The period ends before it begins."))
        return found

    def wanted(self, zone: ZoneInfo) -> JobFilter:
        """What is asked for; of a form with faults what is left of it."""
        self.is_valid()
        found = self.cleaned_data
        first, last = found.get("first"), found.get("last")
        if "__all__" in self.errors:
            first = last = None
        return JobFilter(
            text=found.get("q", "").strip(),
            user=found.get("user", "").strip(),
            project=found.get("project", "").strip(),
            cluster=found.get("cluster", ""),
            partition=found.get("partition", "").strip(),
            node_type=found.get("type", ""),
            state=found.get("state", ""),
            quality=found.get("quality", ""),
            workload=found.get("workload", "").strip().lower(),
            phase=found.get("phase", ""),
            array=found.get("array"),
            start_ms=_start_ms(first, zone) if first else None,
            end_ms=_end_ms(last, zone) if last else None,
            running=bool(found.get("running")),
        )


def _start_ms(day: date, zone: ZoneInfo) -> int:
    return int(day_bounds_ms(day, day, zone)[0])


def _end_ms(day: date, zone: ZoneInfo) -> int:
    return int(day_bounds_ms(day, day, zone)[-1])
