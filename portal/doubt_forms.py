"""What an operator may ask of doubts, and say of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from measurements.domain.plausibility import Rule, Setting
from measurements.models import Doubt
from measurements.selectors.doubts import DoubtFilter
from portal.forms import Period
from portal.wording_doubts import RULES

MOST_AT_ONCE = 20_000
LIFT, REFUSE = "lift", "refuse"


class DoubtFilterForm(forms.Form):
    """Which of them; the cluster and the period stand in the address."""

    rule = forms.ChoiceField(
        label=_("Rule"), required=False, choices=[("", _("all")), *((r.value, RULES[r]) for r in Rule)]
    )
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("all")), *Doubt.State.choices])
    node = forms.CharField(
        label=_("Node"),
        required=False,
        max_length=255,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )

    def said(self) -> dict[str, str]:
        """What is set."""
        found = self.cleaned_data if self.is_valid() else {}
        return {name: value.strip() for name, value in found.items() if value and value.strip()}

    def wanted(self, cluster: str, period: Period) -> DoubtFilter:
        """As the selector takes it."""
        return DoubtFilter(cluster=cluster, first=period.first, before=period.last + timedelta(days=1), **self.said())


class DecideForm(forms.Form):
    """Take some in again, or leave them out: those named, or all that the filter says."""

    do = forms.ChoiceField(choices=[(LIFT, LIFT), (REFUSE, REFUSE)])
    one = forms.IntegerField(required=False, min_value=1)
    note = forms.CharField(required=False, max_length=255)

    def state(self) -> Doubt.State:
        """The state asked for."""
        return Doubt.State.LIFTED if self.cleaned_data["do"] == LIFT else Doubt.State.REFUSED


class RuleSettingForm(forms.Form):
    """What a cluster does with what a rule finds."""

    rule = forms.ChoiceField(choices=[(rule.value, rule.value) for rule in Rule])
    setting = forms.ChoiceField(choices=[(setting.value, setting.value) for setting in Setting])

    def chosen(self) -> tuple[Rule, Setting]:
        """Both, as the code has them."""
        said: dict[str, Any] = self.cleaned_data
        return Rule(said["rule"]), Setting(said["setting"])
