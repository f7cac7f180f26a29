"""What plausibility rules found among the samples."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.models.cluster import Channel, Cluster
from measurements.models.ledger import DirtyMark


class Doubt(models.Model):
    """Samples that a plausibility rule found: in the store as before, left out of the ledger while refused.

    Found anew from the samples of the day whenever they change, so that the order of input makes no difference;
    what an operator said of one stays.
    """

    class State(models.TextChoices):
        REFUSED = "refused", _("left out")
        REPORTED = "reported", _("only reported")
        LIFTED = "lifted", _("taken in again")

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="doubts")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="doubts")
    day = models.DateField(help_text="UTC day.")
    rule = models.CharField(max_length=32)
    start_ms = models.BigIntegerField(help_text="First sample [ms since 1970, UTC].")
    end_ms = models.BigIntegerField(help_text="Behind the last sample [ms since 1970, UTC].")
    samples = models.BigIntegerField()
    detail = models.JSONField(default=dict, help_text="What the sentence about it says: figures, the other nodes …")
    state = models.CharField(max_length=8, choices=State.choices)
    found_at = models.DateTimeField()
    decided_by = models.CharField(max_length=255, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["cluster", "day", "rule", "channel", "start_ms"]
        constraints = [models.UniqueConstraint(fields=["channel", "day", "rule", "start_ms"], name="doubt_once")]
        indexes = [models.Index(fields=["cluster", "day"], name="doubt_day")]
        verbose_name = _("doubt")
        verbose_name_plural = _("doubts")

    def __str__(self) -> str:
        return f"{self.channel}, {self.day}: {self.rule}"


class DirtyDoubt(DirtyMark):
    """A UTC day of a cluster whose samples changed and have not been looked through since."""

    cluster = models.ForeignKey(Cluster, models.CASCADE)
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "day"], name="dirty_doubt_once")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.day}"
