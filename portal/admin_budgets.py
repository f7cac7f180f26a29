"""Budgets in the admin: end states are ticked, warning levels are entered in per cent."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from measurements.domain.budget import WARNING_LEVELS
from measurements.domain.slurm import ENDED
from measurements.models import Budget
from portal.wording_jobs import STATE_NAMES

HIGHEST_LEVEL = 1000.0  # per cent


class LevelsField(forms.CharField):
    """Shares, as per cent with commas between: 50, 80, 100."""

    def prepare_value(self, value: Any) -> Any:
        """As it is edited."""
        return ", ".join(f"{share * 100:g}" for share in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Shares of 1, each once and rising; none: the usual ones."""
        words = re.split(r"[\s,;%]+", str(super().to_python(value) or ""))
        try:
            levels = sorted({round(float(word), 3) for word in words if word})
        except ValueError:
            raise forms.ValidationError(_("Give numbers in per cent, with commas between: 50, 80, 100.")) from None
        if any(not 0 < level <= HIGHEST_LEVEL for level in levels):
            raise forms.ValidationError(_("A warning level is above 0 % and at most 1000 %."))
        return [round(level / 100, 5) for level in levels]


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A budget."""

    counted_states = forms.MultipleChoiceField(
        label=_("counted end states"),
        choices=[(name, STATE_NAMES.get(name, name)) for name in sorted(ENDED)],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("None ticked: all jobs count, also while they run. Else a job counts when it has ended so."),
    )
    warning_levels = LevelsField(
        label=_("warning levels [%]"),
        required=False,
        help_text=_("Empty: %(levels)s.") % {"levels": ", ".join(f"{share:.0%}" for share in WARNING_LEVELS)},
    )

    class Meta:
        model = Budget
        fields = [
            "project",
            "owner",
            "first",
            "last",
            "unit",
            "currency",
            "amount",
            "carry_over",
            "counted_states",
            "count_filled",
            "warning_levels",
            "note",
        ]

    def clean_currency(self) -> str:
        """In capitals, as tariffs have it."""
        return str(self.cleaned_data["currency"]).upper()

    def clean(self) -> dict[str, Any]:
        """A currency belongs to a budget of money, and only there."""
        found: dict[str, Any] = super().clean() or {}
        money = found.get("unit") == Budget.Unit.MONEY
        if money and not found.get("currency"):
            self.add_error("currency", _("A budget of money needs a currency, such as EUR."))
        if not money:
            found["currency"] = ""
        return found


@admin.register(Budget)
class BudgetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What projects may use."""

    form = BudgetForm
    list_display = ["project", "first", "last", "amount", "unit", "currency", "carry_over", "owner"]
    list_filter = ["unit", "project"]
    search_fields = ["project__name", "owner", "note"]
