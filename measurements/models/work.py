"""What the workers are to do beside rebuilding what is dirty, and when they were last seen."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.models.cluster import Cluster
from measurements.models.leases import Leased
from measurements.models.samples import Batch


class Intake(Leased):
    """A file waiting to be taken in, or one that was.

    Files of one cluster and content are taken in the order of their ids, so that of two samples of one instant the
    one given later stays, whoever does the work.
    """

    class Content(models.TextChoices):
        POWER = "power", _("power")
        JOBS = "jobs", _("jobs")
        NODES = "nodes", _("nodes")
        STATES = "states", _("node states")

    class State(models.TextChoices):
        TRYING = "trying", _("to be tried")
        TRIED = "tried", _("tried: awaits a decision")
        WITHDRAWN = "withdrawn", _("withdrawn")
        QUEUED = "queued", _("waiting")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="intakes")
    content = models.CharField(max_length=8, choices=Content.choices)
    source = models.CharField(max_length=1024, help_text="File name as given.")
    path = models.CharField(max_length=512, unique=True, help_text="Where it lies, below JOULEBOOK_VAR.")
    options = models.JSONField(default=dict, help_text="What the operator said, as the command's options are called.")
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    given_by = models.CharField(max_length=255, blank=True, help_text="Who gave it on the page; else empty.")
    size_bytes = models.BigIntegerField(null=True, blank=True)
    done_bytes = models.BigIntegerField(null=True, blank=True, help_text="How much of it has been read.")
    preview = models.JSONField(default=dict, help_text="What a dry run found: form, units, nodes, span, refusals.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often somebody began with it.")
    faults = models.PositiveSmallIntegerField(default=0, help_text="How often that ended in an unexpected error.")
    error = models.TextField(blank=True, help_text="Why nothing of it was taken, or why it is tried again.")
    report = models.JSONField(default=dict, help_text="What became of it: read, stored, duplicates, refused.")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="intakes")
    queued_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["state", "cluster", "content"], name="intake_state")]
        verbose_name = _("file taken in")
        verbose_name_plural = _("files taken in")

    def __str__(self) -> str:
        return f"{self.source} ({self.state})"


class Heartbeat(models.Model):
    """When something that runs again and again was last seen: the sweep, beat, each worker, each chore."""

    name = models.CharField(max_length=128, unique=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
