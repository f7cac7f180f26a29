"""What is typed to make a token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from measurements.models import Cluster, Token

LATE_AFTER_S = 300
DAYS_AT_MOST = 3650


class TokenForm(forms.Form):
    """Who sends, to which cluster, what, until when."""

    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        help_text=_("Who sends with it: a rack, an agent, a Telegraf."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    cluster = forms.ModelChoiceField(label=_("Cluster"), queryset=Cluster.objects.none(), empty_label=None)
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=Token.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Token.Scope.POWER_WRITE],
    )
    days = forms.IntegerField(
        label=_("Days until it expires"),
        required=False,
        min_value=1,
        max_value=DAYS_AT_MOST,
        help_text=_("Empty: it holds until it is revoked."),
    )
    late_after_s = forms.IntegerField(
        label=_("Late after [s]"),
        required=False,
        min_value=1,
        max_value=10**7,
        initial=LATE_AFTER_S,
        help_text=_("Silent for longer it is shown as late. Empty: never."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """With the clusters there are."""
        super().__init__(*args, **kwargs)
        field, clusters = self.fields["cluster"], Cluster.objects.order_by("name")
        field.queryset = clusters  # type: ignore[attr-defined]
        known = [(cluster.pk, cluster.name) for cluster in clusters]  # asked for once
        chosen = [] if len(known) == 1 else [("", _("choose the cluster"))]  # among several nobody chooses for a person
        field.choices = [*chosen, *known]  # type: ignore[attr-defined]

    def expires_at(self) -> datetime | None:
        """When it ends; None: not by itself."""
        days = self.cleaned_data["days"]
        return None if days is None else timezone.now() + timedelta(days=days)
