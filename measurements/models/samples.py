"""What came in: batches, the segments that hold samples, and what was kept out."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.models.cluster import Cluster


class Batch(models.Model):
    """One input taken: a file, a stream or a push. Its id is its place in the order of batches."""

    class Content(models.TextChoices):
        POWER = "power"
        JOBS = "jobs"

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="batches")
    content = models.CharField(max_length=8, choices=Content.choices)
    source = models.CharField(max_length=1024, help_text="File name as given.")
    sha256 = models.CharField(max_length=64)
    options = models.JSONField(default=dict, help_text="What the operator said; part of the batch's identity.")
    options_key = models.CharField(max_length=64)
    read = models.BigIntegerField(default=0)
    stored = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    committed_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "content", "sha256", "options_key"], name="batch_once")
        ]
        verbose_name = _("batch")
        verbose_name_plural = _("batches")

    def __str__(self) -> str:
        return f"batch {self.pk} ({self.source})"


class Segment(models.Model):
    """Some samples of one cluster and UTC day, in Parquet, sorted by node, channel and time.

    This table is the truth: a file without a row is rubbish, and a row without a file
    can't happen. Small segments are kept inline.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="segments")
    day = models.DateField()
    batch_no = models.BigIntegerField(help_text="Newest batch in it: where two segments differ, the greater wins.")
    level = models.PositiveSmallIntegerField(default=0, help_text="0 as ingested, 1 folded, 2 compacted, 3 pushed.")
    unique = models.BooleanField(help_text="No instant of a channel comes twice in it.")
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    first_ms = models.BigIntegerField()
    last_ms = models.BigIntegerField()
    path = models.CharField(max_length=255, blank=True, help_text="Below the store's root; empty if inline.")
    inline = models.BinaryField(null=True)

    class Meta:
        ordering = ["cluster", "day", "batch_no", "pk"]
        indexes = [models.Index(fields=["cluster", "day"], name="segment_day")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.day}: {self.rows} samples"


class Quarantine(models.Model):
    """Lines of a batch that were refused for one reason."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="quarantine")
    reason = models.CharField(max_length=128)
    count = models.BigIntegerField()
    first_line = models.BigIntegerField()
    example = models.TextField(blank=True, help_text="What the first such line held, and what to do.")
    lines = models.BinaryField(help_text="gzip: the refused lines, each as 'number<TAB>text'.")
    replayed_at = models.DateTimeField(null=True, blank=True, help_text="When its lines were last tried again.")
    replayed_by = models.CharField(max_length=255, blank=True)
    replayed = models.BigIntegerField(default=0, help_text="Lines of it that went in since.")

    class Meta:
        ordering = ["batch", "first_line"]
        verbose_name = _("refusal")
        verbose_name_plural = _("refusals")

    def __str__(self) -> str:
        return f"{self.count} × {self.reason}"


class SealedDay(models.Model):
    """A UTC day of a cluster that is never rebuilt."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="sealed_days")
    day = models.DateField()
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["cluster", "day"]
        constraints = [models.UniqueConstraint(fields=["cluster", "day"], name="sealed_day_once")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.day}"


class PendingCorrection(models.Model):
    """Input that would change a sealed day: kept, and not applied."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="pending_corrections")
    day = models.DateField()
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, related_name="pending_corrections")
    content = models.CharField(max_length=8, choices=Batch.Content.choices)
    rows = models.BigIntegerField()
    detail = models.JSONField(default=dict)
    payload = models.BinaryField(null=True, help_text="Parquet: the samples.")

    class Meta:
        ordering = ["cluster", "day", "pk"]
        verbose_name = _("pending correction")
        verbose_name_plural = _("pending corrections")

    def __str__(self) -> str:
        return f"{self.rows} {self.content} for the sealed {self.day}"
