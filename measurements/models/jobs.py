"""What ran: jobs, their runs, and what a run held on each node."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from measurements.domain.units import ms_from_datetime
from measurements.models.cluster import Cluster, Node
from measurements.models.people import leads


class JobQuerySet(models.QuerySet["Job"]):
    """The one rule of who may see which jobs."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser) -> Self:
        """Jobs the viewer ran; all of them for holders of ``measurements.view_all_jobs``.

        Where the site lets leaders see names, also those of the projects they lead today, from the first day of the
        role on. Else a leader sees sums only (`measurements.selectors.project`).
        """
        if not viewer.is_authenticated or not viewer.is_active:
            return self.none()
        if viewer.has_perm("measurements.view_all_jobs"):
            return self
        own = Q(username=viewer.get_username())
        if settings.LEADER_SEES != "names":
            return self.filter(own)
        by_day: dict[date | None, list[str]] = {}
        for name, since in leads(viewer).items():
            by_day.setdefault(since, []).append(name)
        for since, names in by_day.items():
            of_days = Q(start_ms__gte=_midnight_ms(since)) if since else Q()
            own |= Q(account__in=names) & of_days
        return self.filter(own)


def _midnight_ms(day: date) -> int:
    """When a day of the site's zone begins."""
    return ms_from_datetime(datetime.combine(day, time.min, timezone.get_default_timezone()))


class Job(models.Model):
    """One job: all runs with the same id, user and name within 30 days."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="jobs")
    raw_id = models.BigIntegerField(null=True, help_text="JobIDRaw; empty where the id is no number.")
    job_id = models.CharField(_("job id"), max_length=255, help_text="As the batch system shows it: 123, 36_1, 93+0.")
    array_job_id = models.BigIntegerField(null=True, blank=True)
    array_task_id = models.BigIntegerField(null=True, blank=True)
    het_job_id = models.BigIntegerField(null=True, blank=True)
    het_offset = models.IntegerField(null=True, blank=True)
    username = models.CharField(_("user"), max_length=255, blank=True)
    account = models.CharField(_("project"), max_length=255, blank=True, help_text="Slurm account.")
    name = models.TextField(_("name"), blank=True)
    partition = models.CharField(max_length=255, blank=True)
    qos = models.CharField(max_length=255, blank=True)
    comment = models.TextField(blank=True)
    admin_comment = models.TextField(blank=True)
    wckey = models.CharField(max_length=255, blank=True)
    submit_line = models.TextField(blank=True, db_default="", help_text="The command that submitted it.")
    workload = models.CharField(max_length=64, blank=True, db_default="", help_text="What it computes, see JobTags.")
    phase = models.CharField(max_length=16, blank=True, db_default="", help_text="training, inference, …")
    state = models.CharField(_("state"), max_length=32, help_text="Of its last run, in Slurm's spelling.")
    start_ms = models.BigIntegerField(null=True, help_text="Of its first run [ms since 1970, UTC].")
    end_ms = models.BigIntegerField(null=True, help_text="Of its last run; empty while it runs or waits.")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-start_ms", "-pk"]
        permissions = [("view_all_jobs", "Can see the jobs of every user")]
        indexes = [
            models.Index(fields=["cluster", "raw_id"], name="job_raw_id"),
            models.Index(fields=["cluster", "job_id"], name="job_shown_id"),
            models.Index(fields=["cluster", "array_job_id", "-start_ms"], name="job_array_start"),
            models.Index(fields=["cluster", "het_job_id"], name="job_het"),
            models.Index(fields=["username", "-start_ms"], name="job_user_start"),
            models.Index(fields=["account", "-start_ms"], name="job_account_start"),
            models.Index(fields=["-start_ms"], name="job_start"),
            models.Index(fields=["cluster", "-start_ms"], name="job_cluster_start"),
            models.Index(fields=["state", "-start_ms"], name="job_state_start"),
            models.Index(fields=["-start_ms"], name="job_running", condition=models.Q(end_ms__isnull=True)),
        ]
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

    def __str__(self) -> str:
        return f"{self.cluster} {self.job_id}"


class Run(models.Model):
    """One run of a job; a requeue makes another."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="runs")
    sluid = models.CharField(max_length=14, blank=True)
    submit_ms = models.BigIntegerField(null=True)
    start_ms = models.BigIntegerField(null=True)
    end_ms = models.BigIntegerField(null=True, help_text="Empty while it runs or waits.")
    state = models.CharField(max_length=32)
    suspended_s = models.FloatField(default=0.0, help_text="[s], part of the wall time: the node stays held.")
    time_limit_s = models.BigIntegerField(null=True)
    cpus = models.PositiveIntegerField(null=True, help_text="Of all its nodes.")
    gpus = models.PositiveIntegerField(null=True, help_text="Of all its nodes.")
    memory_bytes = models.BigIntegerField(null=True)
    max_rss_bytes = models.BigIntegerField(null=True, help_text="Most memory used, of all its nodes [bytes].")
    exclusive = models.BooleanField(null=True, help_text="Empty: not stated.")
    total_cpu_s = models.FloatField(null=True, help_text="CPU time of all its processes [s].")
    consumed_energy_j = models.FloatField(null=True, help_text="The batch system's own figure [J].")
    cancelled_by_uid = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["job", "start_ms", "pk"]
        indexes = [models.Index(fields=["sluid"], name="run_sluid", condition=~models.Q(sluid=""))]

    def __str__(self) -> str:
        return f"run of {self.job}"


class Allocation(models.Model):
    """What a run holds on one node, in [start, end)."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="allocations")
    node_name = models.CharField(max_length=255, help_text="As the batch system names it.")
    node = models.ForeignKey(Node, models.PROTECT, null=True, related_name="allocations", db_index=False)
    start_ms = models.BigIntegerField()
    end_ms = models.BigIntegerField(null=True, help_text="Empty while it runs.")
    cpus = models.PositiveIntegerField(null=True)
    gpus = models.PositiveIntegerField(null=True)
    gpu_mask = models.PositiveBigIntegerField(default=0, help_text="Bit i: holds GPU index i; 0: indices not known.")
    exclusive = models.BooleanField(null=True)
    cpu_rate = models.FloatField(null=True, help_text="Mean CPU seconds per second held.")

    class Meta:
        ordering = ["run", "node_name"]
        constraints = [models.UniqueConstraint(fields=["run", "node_name"], name="allocation_once")]
        indexes = [
            models.Index(fields=["node", "start_ms"], name="allocation_node_start"),
            models.Index(fields=["node_name"], name="allocation_homeless", condition=models.Q(node__isnull=True)),
            models.Index(fields=["node"], name="allocation_open", condition=models.Q(end_ms__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.run} on {self.node_name}"
