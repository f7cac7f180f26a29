"""The machine: clusters, node types, nodes, channels and meters, each dated.

A dated row is in force from ``valid_from`` (a UTC day; for meters an instant) until the next
row of the same thing. What is so from the beginning is dated 1970-01-01, before any sample.
"""

from __future__ import annotations

from typing import Self

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from measurements.domain.nodeday import Policy
from measurements.domain.units import EPOCH_DAY, Kind


class ClusterQuerySet(models.QuerySet["Cluster"]):
    """Who may see a machine as a whole."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser) -> Self:
        """All clusters for whoever is logged in: a cluster's page has sums only, and nobody's name."""
        return self if viewer.is_authenticated and viewer.is_active else self.none()


class NodeQuerySet(models.QuerySet["Node"]):
    """Who may see single nodes."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser) -> Self:
        """All nodes for holders of ``measurements.view_operations``: a node's power can be one person's job."""
        return self if viewer.is_active and viewer.has_perm("measurements.view_operations") else self.none()


class Cluster(models.Model):
    """One machine with one batch system."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    longest_run_ms = models.BigIntegerField(
        default=0, help_text="Longest run seen [ms]: bounds the search for overlaps."
    )
    plausibility = models.JSONField(
        default=dict, blank=True, help_text="Of rules that are not as by default: refuse, report or off, by name."
    )

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("view_operations", "Can see nodes, ingest, quarantine and reconciliation")]
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")

    def __str__(self) -> str:
        return self.name


class PolicyPeriod(models.Model):
    """How a cluster's shared nodes are split, from a UTC day on."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="policy_periods")
    valid_from = models.DateField(default=EPOCH_DAY, help_text="First UTC day; 1970-01-01: from the beginning.")
    policy = models.CharField(max_length=16, choices=[(p.value, p.value) for p in Policy])

    class Meta:
        ordering = ["cluster", "valid_from"]
        constraints = [models.UniqueConstraint(fields=["cluster", "valid_from"], name="policy_period_once")]
        verbose_name = _("sharing policy")
        verbose_name_plural = _("sharing policies")

    def __str__(self) -> str:
        return f"{self.cluster}: {self.policy} from {self.valid_from}"


class NodeType(models.Model):
    """A hardware model of a cluster (ClusterCockpit's subcluster)."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="node_types")
    name = models.CharField(_("name"), max_length=128)

    class Meta:
        ordering = ["cluster", "name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="node_type_once")]
        verbose_name = _("node type")
        verbose_name_plural = _("node types")

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """One host; or something else with a power meter that stands above nodes."""

    class Level(models.TextChoices):
        NODE = "node", _("node")
        CHASSIS = "chassis", _("chassis")
        RACK = "rack", _("rack")
        INFRASTRUCTURE = "infrastructure", _("infrastructure")
        FACILITY = "facility", _("facility")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="nodes")
    name = models.CharField(_("name"), max_length=255)
    level = models.CharField(
        max_length=16,
        choices=Level.choices,
        default=Level.NODE,
        help_text="Only nodes run jobs; the energy of a meter above them is never booked to users.",
    )
    parent = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="children",
        help_text="The meter above; parent minus children is shown as other.",
    )
    first_sample_ms = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="Oldest sample ever stored [ms since 1970, UTC]: from its day on the node counts as in service.",
    )
    last_sample_ms = models.BigIntegerField(
        null=True, blank=True, editable=False, help_text="Newest stored sample [ms since 1970, UTC]."
    )

    objects = NodeQuerySet.as_manager()

    class Meta:
        ordering = ["cluster", "name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="node_once")]
        verbose_name = _("node")
        verbose_name_plural = _("nodes")

    def __str__(self) -> str:
        return self.name


class NodeAlias(models.Model):
    """Another name of a node, for the time it was in use (a rename)."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="aliases")
    alias = models.CharField(max_length=255, db_index=True)
    valid_from = models.DateField(default=EPOCH_DAY)
    valid_to = models.DateField(null=True, blank=True, help_text="First UTC day on which it is not in use any more.")

    class Meta:
        ordering = ["alias", "valid_from"]
        verbose_name = _("other name")
        verbose_name_plural = _("other names")

    def __str__(self) -> str:
        return self.alias


class NodeConfig(models.Model):
    """What a node is made of, from a UTC day on."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="configs")
    valid_from = models.DateField(default=EPOCH_DAY, help_text="First UTC day; 1970-01-01: from the beginning.")
    node_type = models.ForeignKey(NodeType, models.PROTECT, related_name="configs")
    cpus = models.PositiveIntegerField(null=True, blank=True, help_text="As the batch system counts them.")
    gpus = models.PositiveIntegerField(null=True, blank=True)
    threads_per_core = models.PositiveSmallIntegerField(null=True, blank=True)
    cpu_model = models.CharField(max_length=255, blank=True)
    gpu_model = models.CharField(max_length=255, blank=True)
    memory_gib = models.FloatField(null=True, blank=True, help_text="[GiB]")
    idle_w = models.FloatField(null=True, blank=True, help_text="Idle power of the node without its GPUs [W].")
    rated_w = models.FloatField(null=True, blank=True, help_text="Rated power of the node without its GPUs [W].")
    ceiling_w = models.FloatField(null=True, blank=True, help_text="No reading of its meter can be above this [W].")
    floor_w = models.FloatField(
        null=True, blank=True, help_text="No reading of its meter can be below this while it has power [W]."
    )
    gpu_idle_w = models.FloatField(
        null=True, blank=True, help_text="Power of one of its GPUs without work [W]: tells idle GPUs from busy ones."
    )

    class Meta:
        ordering = ["node", "valid_from"]
        constraints = [models.UniqueConstraint(fields=["node", "valid_from"], name="node_config_once")]
        verbose_name = _("configuration")
        verbose_name_plural = _("configurations")

    def __str__(self) -> str:
        return f"{self.node} ({self.node_type}) from {self.valid_from}"


class NodeState(models.Model):
    """What the batch system says of a node other than that it is up, in [start, end).

    Only `Power.OFF` changes a figure: time that is not covered in it is *off*, else it is a gap.
    """

    class Power(models.TextChoices):
        OFF = "off", _("off")
        ON = "on", _("on")

    node = models.ForeignKey(Node, models.CASCADE, related_name="states", db_index=False)
    start_ms = models.BigIntegerField(help_text="[ms since 1970, UTC]")
    end_ms = models.BigIntegerField(null=True, blank=True, help_text="Empty while it lasts.")
    state = models.CharField(max_length=64, help_text="As the batch system spells it: DOWN, DRAIN, POWERED_DOWN, …")
    power = models.CharField(max_length=3, choices=Power.choices, help_text="Whether the node draws power in it.")
    reason = models.CharField(max_length=1024, blank=True)

    class Meta:
        ordering = ["node", "start_ms"]
        constraints = [models.UniqueConstraint(fields=["node", "start_ms", "state"], name="node_state_once")]
        verbose_name = _("node state")
        verbose_name_plural = _("node states")

    def __str__(self) -> str:
        return f"{self.node} {self.state}"


class Channel(models.Model):
    """One measured series of one node. A gauge and a counter of the same name are two channels."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="channels")
    name = models.CharField(max_length=64, help_text="node, cpu0, dram0, gpu0, …")
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in Kind])

    class Meta:
        ordering = ["node", "name", "kind"]
        constraints = [models.UniqueConstraint(fields=["node", "name", "kind"], name="channel_once")]
        verbose_name = _("channel")
        verbose_name_plural = _("channels")

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


class ChannelPeriod(models.Model):
    """What is declared about a channel, from a UTC day on; empty fields are not declared."""

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="periods")
    valid_from = models.DateField(default=EPOCH_DAY)
    nominal_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Nominal interval [ms].")
    max_gap_ms = models.PositiveBigIntegerField(null=True, blank=True, help_text="Longest gap bridged [ms].")
    wrap_uj = models.BigIntegerField(null=True, blank=True, help_text="A counter wraps at this [µJ].")
    source = models.CharField(max_length=32, blank=True, help_text="ipmi_dcmi, redfish, rapl, nvml, pdu, …")
    covers_gpus = models.BooleanField(
        null=True, blank=True, help_text="Whether a node channel includes the GPUs; empty: it does."
    )
    dc = models.BooleanField(default=False, help_text="Measured behind the power supply (DC), not at the wall (AC).")

    class Meta:
        ordering = ["channel", "valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "valid_from"], name="channel_period_once"),
            models.CheckConstraint(condition=Q(nominal_ms__isnull=True) | Q(nominal_ms__gt=0), name="nominal_positive"),
        ]
        verbose_name = _("declaration of a channel")
        verbose_name_plural = _("declarations of channels")

    def __str__(self) -> str:
        return f"{self.channel} from {self.valid_from}"


class MeterPeriod(models.Model):
    """The channels that count as a node's energy, from an instant on."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="meter_periods")
    valid_from_ms = models.BigIntegerField(
        default=0, help_text="First instant [ms since 1970, UTC]; 0: from the beginning."
    )
    channels = models.ManyToManyField(Channel, related_name="meter_periods")
    automatic = models.BooleanField(default=False, help_text="Chosen at first ingest, not by a person.")

    class Meta:
        ordering = ["node", "valid_from_ms"]
        constraints = [models.UniqueConstraint(fields=["node", "valid_from_ms"], name="meter_period_once")]
        verbose_name = _("choice of meter")
        verbose_name_plural = _("choices of meters")

    def __str__(self) -> str:
        return f"meter of {self.node}"
