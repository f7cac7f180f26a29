"""Factors as data, dated and sourced, and the price lists that are made of them.

A row of a factor is never changed: another value is another row, the newest of a date holds. What was made with an
earlier one and closed keeps it.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.domain.carbon import Basis, Method
from measurements.domain.units import EPOCH_DAY
from measurements.models.cluster import Cluster, NodeType


class Sourced(models.Model):
    """Where a value is from."""

    source_title = models.CharField(max_length=255)
    source_url = models.CharField(max_length=1024, blank=True)
    edition = models.CharField(max_length=64, blank=True, help_text="Of the publication: a year, a number, a version.")
    page = models.CharField(max_length=64, blank=True, help_text="Page or table of the publication.")
    licence = models.CharField(max_length=64, blank=True)
    attribution = models.CharField(max_length=255, blank=True, help_text="What the licence asks to be shown.")
    retrieved_on = models.DateField(null=True, blank=True)

    class Meta:
        abstract = True


class IntensitySeries(Sourced):
    """One account of a grid's carbon intensity: a zone, a basis, a method, a source, an edition.

    Time-resolved values stand in `SlotDay`, those of a month or a year in `PublishedValue`.
    """

    class Gas(models.TextChoices):
        CO2 = "CO2", "CO2"
        CO2E = "CO2e", "CO2e"

    class Mix(models.TextChoices):
        PRODUCTION = "production", _("production")
        CONSUMPTION = "consumption", _("consumption")
        SUPPLIER = "supplier", _("supplier's contract")
        RESIDUAL = "residual", _("residual mix")

    class Signal(models.TextChoices):
        AVERAGE = "average", _("average")
        MARGINAL = "marginal", _("marginal")

    slug = models.SlugField(max_length=128, unique=True, help_text="By which commands name it.")
    zone = models.CharField(max_length=64, help_text="DE, FR, US-CAL-CISO, …")
    basis = models.CharField(max_length=16, choices=[(b.value, b.value) for b in Basis])
    method = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Method], default=Method.LOCATION)
    gas = models.CharField(max_length=4, choices=Gas.choices, default=Gas.CO2E)
    mix = models.CharField(max_length=16, choices=Mix.choices)
    signal = models.CharField(max_length=16, choices=Signal.choices, default=Signal.AVERAGE)
    packaged = models.BooleanField(default=False, editable=False, help_text="Comes with the software.")
    note = models.CharField(max_length=1024, blank=True)

    class Meta:
        ordering = ["zone", "slug"]
        permissions = [("manage_factors", "Can change emission factors, PUE, tariffs, and close statements")]
        verbose_name = _("carbon intensity series")
        verbose_name_plural = _("carbon intensity series")

    def __str__(self) -> str:
        return self.slug


class SlotDay(models.Model):
    """A UTC day of a time-resolved series, by quarter hour: longer slots fill several."""

    series = models.ForeignKey(IntensitySeries, models.CASCADE, related_name="slot_days", db_index=False)
    day = models.DateField()
    g_per_kwh = models.BinaryField(help_text="[g/kWh], 96 float64, nan: missing")
    kinds = models.BinaryField(help_text="96 uint8: 0 missing, 1 measured, 2 estimated or forecast")
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["series", "day"]
        constraints = [models.UniqueConstraint(fields=["series", "day"], name="slot_day_once")]

    def __str__(self) -> str:
        return f"{self.series} {self.day}"


class PublishedValue(models.Model):
    """The mean of a series over a year or a month; never changed."""

    class Resolution(models.TextChoices):
        YEAR = "year", _("year")
        MONTH = "month", _("month")

    series = models.ForeignKey(IntensitySeries, models.CASCADE, related_name="values", db_index=False)
    resolution = models.CharField(max_length=8, choices=Resolution.choices, default=Resolution.YEAR)
    start = models.DateField(help_text="First day of the year or month, in the site's time zone.")
    g_per_kwh = models.FloatField(help_text="[g/kWh]")
    note = models.CharField(max_length=255, blank=True, help_text="provisional, estimated, …")

    class Meta:
        ordering = ["series", "start"]
        constraints = [
            models.UniqueConstraint(fields=["series", "resolution", "start"], name="published_value_once"),
            models.CheckConstraint(condition=models.Q(g_per_kwh__gte=0), name="published_value_not_negative"),
        ]
        verbose_name = _("published value")
        verbose_name_plural = _("published values")

    def __str__(self) -> str:
        return f"{self.series} {self.start}: {self.g_per_kwh} g/kWh"


class Typed(models.Model):
    """Who entered a row, when and why. Rows are only added."""

    reason = models.CharField(max_length=1024, blank=True)
    author = models.CharField(max_length=255, blank=True, help_text="Who entered it.")
    created_at = models.DateTimeField()

    class Meta:
        abstract = True


class Supply(Typed):
    """From a local day on: which series price a cluster's energy under one method, best first.

    A quarter hour takes the time-resolved series' value, else the month's, else the year's. All three are of one
    zone and one basis. None of them: no intensity from that day on.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="supplies")
    method = models.CharField(max_length=16, choices=[(m.value, m.value) for m in Method], default=Method.LOCATION)
    valid_from = models.DateField(
        default=EPOCH_DAY, help_text="First day in the site's time zone; 1970-01-01: from the beginning."
    )
    slots = models.ForeignKey(IntensitySeries, models.PROTECT, null=True, blank=True, related_name="+")
    monthly = models.ForeignKey(IntensitySeries, models.PROTECT, null=True, blank=True, related_name="+")
    yearly = models.ForeignKey(IntensitySeries, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["cluster", "method", "valid_from", "pk"]
        verbose_name = _("electricity supply")
        verbose_name_plural = _("electricity supplies")

    def __str__(self) -> str:
        return f"{self.cluster}: {self.method} from {self.valid_from}"


class SiteFactor(Sourced, Typed):
    """A dated factor that a site declares of a cluster; of one date the newest row holds."""

    class Kind(models.TextChoices):
        PUE = "pue", _("power usage effectiveness (PUE)")
        INFRASTRUCTURE = "infrastructure", _("shared infrastructure")
        TARIFF = "tariff", _("electricity tariff")
        WUE = "wue", _("water usage effectiveness (WUE)")
        EMBODIED = "embodied", _("embodied emissions of a node")
        RENEWABLE = "renewable", _("renewable share of the electricity")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="site_factors")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    node_type = models.ForeignKey(NodeType, models.CASCADE, null=True, blank=True, help_text="Of embodied emissions.")
    valid_from = models.DateField(
        default=EPOCH_DAY, help_text="First day in the site's time zone; 1970-01-01: from the beginning."
    )
    value = models.FloatField(null=True, blank=True, help_text="Empty: not declared any more from this day on.")
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=32, blank=True)
    detail = models.JSONField(
        default=dict, blank=True, help_text="pue: category; tariff: bands; embodied: lifetime_years."
    )

    class Meta:
        ordering = ["cluster", "kind", "valid_from", "pk"]
        verbose_name = _("factor of the site")
        verbose_name_plural = _("factors of the site")

    def __str__(self) -> str:
        return f"{self.cluster}: {self.kind} {self.value} {self.unit} from {self.valid_from}"


class ReferenceFactor(Sourced):
    """An emission factor of a fuel, or an equivalent: the same for every cluster."""

    class Kind(models.TextChoices):
        FUEL = "fuel", _("fuel")
        EQUIVALENT = "equivalent", _("equivalent")

    kind = models.CharField(max_length=16, choices=Kind.choices)
    key = models.SlugField(max_length=64, help_text="gas, wind-onshore, train, …")
    basis = models.CharField(max_length=16, choices=[(b.value, b.value) for b in Basis], blank=True)
    value = models.FloatField()
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    unit = models.CharField(max_length=32)
    packaged = models.BooleanField(default=False, editable=False)
    shown = models.BooleanField(default=True, help_text="Whether an equivalent is shown on pages.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["kind", "key", "pk"]
        verbose_name = _("reference factor")
        verbose_name_plural = _("reference factors")

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.value} {self.unit}"


class FactorImport(models.Model):
    """What once came in for a series: a file, or a pull from a provider."""

    series = models.ForeignKey(IntensitySeries, models.CASCADE, related_name="imports")
    source = models.CharField(max_length=1024)
    sha256 = models.CharField(max_length=64, blank=True)
    read = models.BigIntegerField(default=0, help_text="Slots or values.")
    stored = models.BigIntegerField(default=0, help_text="New ones.")
    changed = models.BigIntegerField(default=0, help_text="Revised: another value than before.")
    refused = models.JSONField(default=list, help_text="[{reason, count, first_line, example}]")
    first_ms = models.BigIntegerField(null=True)
    last_ms = models.BigIntegerField(null=True)
    author = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("import of factors")
        verbose_name_plural = _("imports of factors")

    def __str__(self) -> str:
        return f"{self.series}: {self.source}"


class Pull(models.Model):
    """A provider that is asked again and again for a series, how far it has come, and how it stands. Off by default."""

    class Provider(models.TextChoices):
        ENERGY_CHARTS = "energy_charts", "Energy-Charts"
        ELECTRICITY_MAPS = "electricity_maps", "Electricity Maps"
        UK_CARBON_INTENSITY = "uk_carbon_intensity", "UK Carbon Intensity"

    provider = models.CharField(max_length=32, choices=Provider.choices)
    zone = models.CharField(max_length=64, help_text="As the provider names it.")
    series = models.OneToOneField(IntensitySeries, models.PROTECT, related_name="pull")
    enabled = models.BooleanField(default=False)
    since = models.DateField(help_text="First UTC day to be fetched.")
    cursor_ms = models.BigIntegerField(null=True, blank=True, editable=False, help_text="Fetched up to here.")
    next_at = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    last_ok_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=1024, blank=True, editable=False)

    class Meta:
        ordering = ["provider", "zone"]
        constraints = [models.UniqueConstraint(fields=["provider", "zone", "series"], name="pull_once")]
        verbose_name = _("provider that is asked")
        verbose_name_plural = _("providers that are asked")

    def __str__(self) -> str:
        return f"{self.provider} {self.zone}"


class PriceDay(models.Model):
    """The price list of a cluster's UTC day: derived from factors and meters, made anew when one of them changes."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, db_index=False)
    day = models.DateField()
    prices = models.BinaryField(help_text="6 × 96 float64 by domain.carbon.Part, nan: not known")
    origin = models.BinaryField(help_text="6 × 96 int16: place in origins, -1: not known")
    origins = models.TextField(help_text="JSON list")
    embodied = models.TextField(help_text="JSON: per node type [low, central, high, place in origins] g CO2e/node-hour")
    priced_at = models.DateTimeField()

    class Meta:
        ordering = ["cluster", "day"]
        constraints = [models.UniqueConstraint(fields=["cluster", "day"], name="price_day_once")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.day}"


class Statement(models.Model):
    """A closed annual statement of a cluster: its figures as they were, for good. A restatement is one edition more."""

    cluster = models.ForeignKey(Cluster, models.PROTECT, related_name="statements")
    year = models.PositiveSmallIntegerField(help_text="In the site's time zone.")
    edition = models.PositiveSmallIntegerField(help_text="1, then one more with each restatement.")
    figures = models.TextField(help_text="Canonical JSON, as it was hashed.")
    sha256 = models.CharField(max_length=64)
    factor_edition = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=1024, blank=True, help_text="Of a restatement: why.")
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField()

    class Meta:
        ordering = ["cluster", "year", "edition"]
        constraints = [models.UniqueConstraint(fields=["cluster", "year", "edition"], name="statement_once")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.year} edition {self.edition}"
