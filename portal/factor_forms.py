"""What is typed to declare a factor: a form a kind, and the rows that it makes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from measurements.domain.carbon import Method
from measurements.domain.units import EPOCH_DAY
from measurements.models import Cluster, IntensitySeries, NodeType, SiteFactor, Supply
from measurements.parsers.tariff_bands import BandDetail, WrongBand, band_text, check_bands, read_band
from measurements.services.declaring import PLACES, By, NotDeclarable, check_supply, factor

Kind = SiteFactor.Kind
INTENSITY = "intensity"
Row = Supply | SiteFactor
METHODS = [(Method.LOCATION.value, _("location-based")), (Method.MARKET.value, _("market-based"))]
CATEGORIES = [("", "–"), *((f"PUE{n}", f"PUE{n}") for n in (1, 2, 3))]


class DeclareForm(forms.Form):
    """From which day on, where it is from, and why."""

    valid_from = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("First day in the site's time zone; empty: from the beginning."),
    )
    reason = forms.CharField(label=_("Why"), max_length=1024, required=False)

    def __init__(self, cluster: Cluster, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cluster = cluster

    def row(self, author: str) -> Row:
        """The row that would be stored; ValidationError where it cannot hold."""
        try:
            return self.made(author)
        except (NotDeclarable, WrongBand) as fault:
            raise ValidationError(str(fault)) from fault

    def made(self, author: str) -> Row:
        """See row."""
        raise NotImplementedError

    def by(self, author: str) -> By:
        """Who, when, why and where from."""
        said = self.cleaned_data
        since = said["valid_from"] or EPOCH_DAY
        return By(since, author, said["reason"], said.get("source_title", ""), said.get("source_url", ""))


class IntensityForm(DeclareForm):
    """Which series price the energy: best first."""

    method = forms.ChoiceField(label=_("Method"), choices=METHODS)
    slots = forms.ModelChoiceField(label=_("By quarter hour"), queryset=IntensitySeries.objects.none(), required=False)
    monthly = forms.ModelChoiceField(label=_("By month"), queryset=IntensitySeries.objects.none(), required=False)
    yearly = forms.ModelChoiceField(label=_("By year"), queryset=IntensitySeries.objects.none(), required=False)
    field_order = ["method", *PLACES, "valid_from", "reason"]

    def __init__(self, cluster: Cluster, *args: Any, **kwargs: Any) -> None:
        super().__init__(cluster, *args, **kwargs)
        every = IntensitySeries.objects.order_by("zone", "slug")
        having = {"slots": every.filter(slot_days__isnull=False).distinct()}
        having |= {"monthly": every.filter(values__resolution="month").distinct()}
        having |= {"yearly": every.filter(values__resolution="year").distinct()}
        for place, rows in having.items():
            self.fields[place].queryset = rows  # type: ignore[attr-defined]

    def made(self, author: str) -> Supply:
        """A supply with just these series."""
        by, said = self.by(author), self.cleaned_data
        series = {place: said[place] for place in PLACES}
        row = Supply(
            cluster=self.cluster,
            method=said["method"],
            valid_from=by.valid_from,
            author=author,
            reason=by.reason,
            **series,
        )
        check_supply(row)
        return row


class FactorForm(DeclareForm):
    """A number, and where it is from."""

    kind: Kind
    value = forms.FloatField(
        label=_("Value"), required=False, help_text=_("Empty: not declared any more from that day on.")
    )
    source_title = forms.CharField(label=_("Source"), max_length=255)
    source_url = forms.CharField(label=_("Address of the source"), max_length=1024, required=False)
    field_order = ["value", "low", "high", "node_type", "lifetime_years", "currency", "bands", "category", "valid_from"]

    def made(self, author: str) -> SiteFactor:
        """A declared factor."""
        return factor(self.cluster, self.kind, self.cleaned_data["value"], self.by(author), **self.more())

    def more(self) -> dict[str, Any]:
        """Further fields of the row."""
        return {}


class PueForm(FactorForm):
    """The typed PUE, which stands in where the meters give none."""

    kind = Kind.PUE
    category = forms.ChoiceField(label=_("Category (ISO/IEC 30134-2)"), choices=CATEGORIES, required=False)

    def more(self) -> dict[str, Any]:
        """Its category."""
        category = self.cleaned_data["category"]
        return {"detail": {"category": category} if category else {}}


class InfrastructureForm(FactorForm):
    """Switches, storage and service nodes as a share of the nodes' energy."""

    kind = Kind.INFRASTRUCTURE


class WueForm(FactorForm):
    """Litres per kWh of IT energy."""

    kind = Kind.WUE


class RenewableForm(FactorForm):
    """The renewable share of the electricity bought."""

    kind = Kind.RENEWABLE


class TariffForm(FactorForm):
    """A price per kWh, and hours with another one."""

    kind = Kind.TARIFF
    currency = forms.RegexField(r"[A-Z]{3}", label=_("Currency"), initial="EUR", max_length=3)
    bands = forms.CharField(
        label=_("Hours with another price"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("A line each, such as: mon-fri 08:00-20:00 0.31"),
    )

    def more(self) -> dict[str, Any]:
        """Its bands and unit."""
        bands: list[BandDetail] = [read_band(line) for line in self.cleaned_data["bands"].splitlines() if line.strip()]
        check_bands(bands)
        return {"unit": f"{self.cleaned_data['currency']}/kWh", "detail": {"bands": bands} if bands else {}}


class EmbodiedForm(FactorForm):
    """Making, moving and disposing of one node of a type."""

    kind = Kind.EMBODIED
    node_type = forms.ModelChoiceField(label=_("Node type"), queryset=NodeType.objects.none())
    low = forms.FloatField(label=_("Low [kg CO₂e]"), required=False)
    high = forms.FloatField(label=_("High [kg CO₂e]"), required=False)
    lifetime_years = forms.FloatField(label=_("Lifetime [years]"), initial=5)

    def __init__(self, cluster: Cluster, *args: Any, **kwargs: Any) -> None:
        super().__init__(cluster, *args, **kwargs)
        self.fields["node_type"].queryset = NodeType.objects.filter(cluster=cluster)  # type: ignore[attr-defined]

    def more(self) -> dict[str, Any]:
        """Of which type, its band and lifetime."""
        said = self.cleaned_data
        band = {name: said[name] for name in ("low", "high", "node_type")}
        return band | {"detail": {"lifetime_years": said["lifetime_years"]}}


FORMS: dict[str, type[DeclareForm]] = {
    INTENSITY: IntensityForm,
    **{
        form.kind.value: form
        for form in (PueForm, InfrastructureForm, TariffForm, WueForm, EmbodiedForm, RenewableForm)
    },
}


def initial_of(row: Row | None) -> dict[str, Any]:
    """A form filled in with what holds now."""
    if row is None:
        return {}
    if isinstance(row, Supply):
        return {"method": row.method} | {place: getattr(row, place) for place in PLACES}
    detail = row.detail
    return {
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "node_type": row.node_type_id,
        "source_title": row.source_title,
        "source_url": row.source_url,
        "category": detail.get("category", ""),
        "lifetime_years": detail.get("lifetime_years"),
        "currency": row.unit.partition("/")[0] or "EUR",
        "bands": "\n".join(map(band_text, detail.get("bands", []))),
    }
