"""Where readings and jobs come from without anybody giving a file: senders with a token, and feeds that are asked."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.models.cluster import Cluster, Node
from measurements.models.leases import Leased


class Token(models.Model):
    """What a sender shows; only its SHA-256 is kept. Bound to one cluster and to what it is for."""

    class Scope(models.TextChoices):
        POWER_WRITE = "power:write", _("may send power readings")
        JOBS_WRITE = "jobs:write", _("may send which job holds which GPU")

    class End(models.TextChoices):
        NEAR = "near", "that it is near"
        KNOCKS = "knocks", "that it is used all the same"

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=64, help_text=_("Who sends with it: a rack, an agent, a Telegraf."))
    prefix = models.CharField(max_length=12, unique=True, help_text="Its first letters: says which one it is.")
    sha256 = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    made_by = models.CharField(max_length=255, blank=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    newest_ms = models.BigIntegerField(null=True, blank=True, help_text="Newest reading sent with it [ms since 1970].")
    refused_since = models.DateTimeField(null=True, blank=True, help_text="Since when nothing of it was of use.")
    refused_for = models.CharField(max_length=128, blank=True, help_text="The reason most often given since.")
    late_after_s = models.PositiveIntegerField(null=True, blank=True, help_text="Silent for longer [s]: late.")
    alerted_at = models.DateTimeField(null=True, blank=True, help_text="When the operators were told that it is late.")
    knocked_at = models.DateTimeField(null=True, blank=True, help_text="Shown after its end, to the minute.")
    end_told = models.CharField(max_length=8, blank=True, choices=End, help_text="What operators were told of its end.")

    class Meta:
        ordering = ["cluster", "name"]
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="token_name_once")]
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Feed(Leased):
    """Something that is asked again and again, how far it has come, and how it stands.

    The cursor moves in the transaction that stores what came; what lies behind it by an overlap is asked for again.
    """

    class Kind(models.TextChoices):
        SLURM_JOBS = "slurm-jobs", _("Slurm: jobs")
        SLURM_NODES = "slurm-nodes", _("Slurm: nodes and their states")
        SLURM_MEMBERS = "slurm-members", _("Slurm: accounts and members")
        SLURM_GPUS = "slurm-gpus", _("Slurm: which job holds which GPU")
        PROMETHEUS = "prometheus", _("Prometheus")
        REDFISH = "redfish", _("Redfish")
        IPMI = "ipmi", _("IPMI")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="feeds")
    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    options = models.JSONField(default=dict, help_text="Address, mapping, nodes …; secrets only as paths of files.")
    enabled = models.BooleanField(default=True)
    every_s = models.PositiveIntegerField(help_text="[s] between two turns.")
    late_after_s = models.PositiveIntegerField(help_text="Nothing newer for longer [s]: late.")
    since_ms = models.BigIntegerField(null=True, blank=True, help_text="From when on things are asked for [ms].")
    cursor_ms = models.BigIntegerField(null=True, blank=True, help_text="Fetched up to here [ms since 1970, UTC].")
    newest_ms = models.BigIntegerField(null=True, blank=True, help_text="Newest thing that came [ms since 1970, UTC].")
    next_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    last_report = models.JSONField(default=dict, help_text="What the last turn did: read, stored, refused …")
    alerted_at = models.DateTimeField(null=True, blank=True, help_text="When the operators were told that it is late.")

    class Meta:
        ordering = ["cluster", "name"]
        verbose_name = _("feed")
        verbose_name_plural = _("feeds")

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class GpuPlace(models.Model):
    """Which index a GPU has on a node, from an instant on: channel ``gpu<index>`` is this device's."""

    node = models.ForeignKey(Node, models.CASCADE, related_name="gpu_places")
    index = models.PositiveSmallIntegerField()
    uuid = models.CharField(max_length=64, db_index=True, help_text="As NVML spells it: GPU-…; a MIG instance: MIG-…")
    valid_from_ms = models.BigIntegerField(default=0, help_text="[ms since 1970, UTC]")

    class Meta:
        ordering = ["node", "index", "valid_from_ms"]
        constraints = [
            models.UniqueConstraint(fields=["node", "uuid", "valid_from_ms"], name="gpu_place_once"),
        ]

    def __str__(self) -> str:
        return f"{self.node} gpu{self.index}: {self.uuid}"


class GpuHold(models.Model):
    """That a job held a GPU, as somebody saw it while it ran: batch accounting keeps only how many."""

    class Via(models.TextChoices):
        PROLOG = "prolog", _("told by the prolog")
        AGENT = "agent", _("seen by the node agent")
        SCONTROL = "scontrol", _("asked of Slurm")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="gpu_holds")
    job_id = models.CharField(max_length=255, help_text="As told: 123, 36_1, 93+0, a SLUID.")
    node_name = models.CharField(max_length=255)
    gpu = models.CharField(max_length=64, help_text="UUID; empty where only the index was told.")
    index = models.SmallIntegerField(default=-1, help_text="On the node; -1: told by UUID.")
    seen_ms = models.BigIntegerField(help_text="When it was seen first [ms since 1970, UTC].")
    via = models.CharField(max_length=8, choices=Via.choices)
    applied = models.BooleanField(default=False, help_text="Written to the job's allocation.")

    class Meta:
        ordering = ["cluster", "job_id", "node_name", "index", "gpu"]
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "job_id", "node_name", "gpu", "index", "seen_ms"], name="gpu_hold_once"
            ),
        ]
        indexes = [models.Index(fields=["cluster"], name="gpu_hold_open", condition=models.Q(applied=False))]

    def __str__(self) -> str:
        return f"{self.job_id} holds {self.gpu or self.index} of {self.node_name}"
