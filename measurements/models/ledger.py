"""The ledger: node-days, what allocations drew in them, job totals and roll-ups.

Everything here is derived, by one writer, from samples, jobs and the dated description
of the machine, and can be rebuilt bit for bit. Joules by quarter hour are packed as
little-endian float64.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.models.cluster import Cluster, Node, NodeType
from measurements.models.jobs import Allocation, Job
from measurements.models.leases import Leased


class Quality(models.TextChoices):
    """How a figure came about, worst first."""

    NONE = "none", _("none")
    ESTIMATED = "estimated", _("estimated")
    REPORTED = "reported", _("reported")
    PARTIAL = "partial", _("partial")
    APPORTIONED = "apportioned", _("apportioned")
    COARSE = "coarse", _("coarse")
    METERED = "metered", _("metered")


class DirtyMark(Leased):
    """Something to be rebuilt.

    ``version`` is drawn anew by each mark: a rebuild reads it first and removes the mark
    only if it is still the same.
    """

    version = models.BigIntegerField()

    class Meta:
        abstract = True


class DirtyNodeDay(DirtyMark):
    """A node's UTC day whose samples, jobs or description changed."""

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    node = models.ForeignKey(Node, models.CASCADE, db_index=False)
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "day", "node"], name="dirty_node_day_once")]

    def __str__(self) -> str:
        return f"{self.node} {self.day}"


class DirtyJob(DirtyMark):
    """A job whose total is out of date."""

    job = models.OneToOneField(Job, models.CASCADE, related_name="dirty")

    def __str__(self) -> str:
        return f"{self.job}"


class DirtyDay(DirtyMark):
    """A cluster's UTC day whose roll-ups are out of date."""

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "day"], name="dirty_day_once")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.day}"


class NodeDay(models.Model):
    """One node, one UTC day, closed: metered = jobs + unallocated."""

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    node = models.ForeignKey(Node, models.CASCADE, db_index=False)
    day = models.DateField()
    metered_j = models.FloatField()
    jobs_j = models.FloatField()
    unallocated_j = models.FloatField()
    unplaced_j = models.FloatField(help_text="Joules of a counter that are known but not placed [J].")
    covered_us = models.BigIntegerField()
    off_us = models.BigIntegerField(default=0, help_text="Not covered while the node was off; the remainder is a gap.")
    samples = models.BigIntegerField()
    margin_ms = models.BigIntegerField(help_text="How far beyond the day samples were read [ms].")
    flags = models.PositiveSmallIntegerField(default=0)
    metered_quarters = models.BinaryField(help_text="[J], 96 float64")
    unallocated_quarters = models.BinaryField(help_text="[J], 96 float64")

    class Meta:
        ordering = ["cluster", "day", "node"]
        constraints = [models.UniqueConstraint(fields=["node", "day"], name="node_day_once")]
        indexes = [models.Index(fields=["cluster", "day"], name="node_day_cluster")]

    def __str__(self) -> str:
        return f"{self.node} {self.day}"


class NodeHour(models.Model):
    """One node, one UTC hour; hours without any sample or covered time have no row."""

    node = models.ForeignKey(Node, models.CASCADE, db_index=False)
    day = models.DateField()
    hour = models.PositiveSmallIntegerField()
    energy_j = models.FloatField()
    unallocated_j = models.FloatField()
    covered_us = models.BigIntegerField()
    samples = models.IntegerField()
    min_w = models.FloatField(null=True)
    max_w = models.FloatField(null=True)

    class Meta:
        ordering = ["node", "day", "hour"]
        constraints = [models.UniqueConstraint(fields=["node", "day", "hour"], name="node_hour_once")]

    def __str__(self) -> str:
        return f"{self.node} {self.day} {self.hour:02d} h"


class AllocationEnergy(models.Model):
    """A ledger row: what one allocation drew on one UTC day."""

    allocation = models.ForeignKey(Allocation, models.CASCADE, related_name="energies", db_index=False)
    job = models.ForeignKey(Job, models.CASCADE, related_name="energies")
    node = models.ForeignKey(Node, models.CASCADE, db_index=False)
    day = models.DateField()
    energy_j = models.FloatField()
    gpu_energy_j = models.FloatField(help_text="Part of energy_j [J].")
    first_quarter = models.PositiveSmallIntegerField()
    quarters = models.BinaryField(help_text="[J] by quarter hour from first_quarter on, float64")
    covered_us = models.BigIntegerField()
    elapsed_us = models.BigIntegerField()
    samples = models.IntegerField()
    expected_samples = models.FloatField(help_text="Elapsed ÷ nominal interval.")
    apportioned = models.BooleanField()
    gpu_held_us = models.BigIntegerField(default=0, help_text="GPU-time held of which it is known whether it was idle.")
    gpu_idle_us = models.BigIntegerField(default=0, help_text="Part of gpu_held_us without work.")
    gpu_idle_j = models.FloatField(default=0.0, help_text="Drawn in gpu_idle_us; part of gpu_energy_j [J].")
    reserved_us = models.BigIntegerField(
        null=True, help_text="Time × share of the node that it held; all shares of an instant are 1 at most."
    )
    flags = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["node", "day", "allocation"]
        constraints = [models.UniqueConstraint(fields=["allocation", "day"], name="allocation_energy_once")]
        indexes = [
            models.Index(fields=["node", "day"], name="allocation_energy_node_day"),
        ]
        verbose_name = _("energy of an allocation")
        verbose_name_plural = _("energies of allocations")

    def __str__(self) -> str:
        return f"{self.allocation_id} {self.day}"


class Figures(models.Model):
    """What is summed over ledger rows."""

    energy_j = models.FloatField()
    gpu_energy_j = models.FloatField()
    filled_j = models.FloatField(help_text="Reported or estimated for what was not metered [J]; not part of energy_j.")
    covered_us = models.BigIntegerField()
    elapsed_us = models.BigIntegerField()
    samples = models.BigIntegerField()
    expected_samples = models.FloatField()
    gpu_held_us = models.BigIntegerField(default=0, help_text="0: not known whether its GPUs were idle.")
    gpu_idle_us = models.BigIntegerField(default=0)
    gpu_idle_j = models.FloatField(default=0.0, help_text="Of held GPUs without work; part of gpu_energy_j [J].")
    reserved_us = models.BigIntegerField(
        default=0, db_default=0, help_text="Node-time × share of the node that was held."
    )
    quality = models.CharField(max_length=12, choices=Quality.choices)

    class Meta:
        abstract = True


class JobEnergy(Figures):
    """A job's total over all its runs, nodes and days."""

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="energy")
    flags = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("energy of a job")
        verbose_name_plural = _("energies of jobs")

    def __str__(self) -> str:
        return f"{self.job}: {self.energy_j} J"


class UsageDay(Figures):
    """What one UTC day's jobs that agree in all that they are grouped by drew: the roll-up that every sum is made of.

    ``hours`` holds a record of 12 float64 (little-endian) for each hour from ``first_hour`` on
    (`measurements.domain.packing`): joules of its four quarter hours, of them of idle GPUs, covered and elapsed
    node-seconds, joules filled, node-seconds × share held. So days of any time zone are sums of it. No constraint
    says that a key comes once: its writer replaces a cluster's day as a whole.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    day = models.DateField()
    username = models.CharField(max_length=255)
    account = models.CharField(max_length=255)
    partition = models.CharField(max_length=255)
    state = models.CharField(max_length=32)
    workload = models.CharField(max_length=64)
    phase = models.CharField(max_length=16)
    node_type = models.ForeignKey(NodeType, models.CASCADE, db_index=False)
    excused = models.BooleanField(help_text="Its jobs were ended by the machine: nobody's waste.")
    first_hour = models.PositiveSmallIntegerField()
    hours = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["username", "day"], name="usage_day_user"),
            models.Index(fields=["account", "day"], name="usage_day_project"),
            models.Index(fields=["cluster", "day"], name="usage_day_cluster"),
        ]

    def __str__(self) -> str:
        return f"{self.username} {self.account} {self.day}"


class TypeDay(models.Model):
    """Cluster × UTC day × node type, closed: metered = jobs + unallocated, wall = covered + off + gap.

    Wall time is ``nodes`` × the day's length (of a day that is not over: up to now). Nodes count from the UTC
    day of their first sample on, measured or not. Meters above nodes are not in it.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    day = models.DateField()
    node_type = models.ForeignKey(NodeType, models.CASCADE, db_index=False)
    nodes = models.PositiveIntegerField()
    measured_nodes = models.PositiveIntegerField(help_text="Those with any covered time.")
    metered_j = models.FloatField()
    jobs_j = models.FloatField()
    unallocated_j = models.FloatField()
    unplaced_j = models.FloatField()
    covered_us = models.BigIntegerField()
    off_us = models.BigIntegerField()
    metered_quarters = models.BinaryField(help_text="[J], 96 float64")
    unallocated_quarters = models.BinaryField(help_text="[J], 96 float64")
    covered_hours = models.BinaryField(help_text="Covered node-seconds of each UTC hour, 24 float64")
    filled_hours = models.BinaryField(default=b"", help_text="Of jobs, not part of metered_j [J], 24 float64")
    reserved_hours = models.BinaryField(default=b"", help_text="Node-seconds × share held by jobs, 24 float64")
    gpu_energy_j = models.FloatField(default=0.0, db_default=0.0, help_text="Of gpu_held_us [J]; part of jobs_j.")
    gpu_held_us = models.BigIntegerField(default=0, db_default=0, help_text="As in Figures.")
    gpu_idle_us = models.BigIntegerField(default=0, db_default=0)
    idle_hours = models.BinaryField(default=b"", help_text="Of idle GPUs that jobs held [J], 24 float64")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "day", "node_type"], name="type_day_once")]

    def __str__(self) -> str:
        return f"{self.node_type} {self.day}"
