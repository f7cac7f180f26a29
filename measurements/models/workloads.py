"""What jobs compute: rules and edits that tag them, the tags with their origin, and a row a job for comparing them."""

from __future__ import annotations

from typing import Self

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from measurements.domain.scopes import MeterScope
from measurements.domain.tagging import LONGEST_PATTERN, compiled
from measurements.domain.tags import LONGEST_NAME, LONGEST_UNIT, LONGEST_WORKLOAD
from measurements.models.cluster import Cluster, Node, NodeType
from measurements.models.jobs import Job
from measurements.models.ledger import Quality

LOTS = 10_000


class Phase(models.TextChoices):
    """What a job does with its workload; training and inference are judged apart."""

    TRAINING = "training", _("training")
    INFERENCE = "inference", _("inference")
    DEVELOPMENT = "development", _("development")
    OTHER = "other", _("other")


class TagRule(models.Model):
    """Jobs in which a pattern is found count as a workload, a phase, a size; the first rule that says it wins."""

    class Field(models.TextChoices):
        WCKEY = "wckey", _("wckey")
        NAME = "name", _("job name")
        SUBMIT_LINE = "submit_line", _("submit line")
        PARTITION = "partition", _("partition")
        ACCOUNT = "account", _("project")

    position = models.PositiveIntegerField(_("position"), default=100, help_text=_("The lowest is tried first."))
    cluster = models.ForeignKey(
        Cluster, models.CASCADE, null=True, blank=True, related_name="tag_rules", help_text=_("Empty: all clusters.")
    )
    field = models.CharField(_("looks at"), max_length=16, choices=Field.choices, default=Field.NAME)
    pattern = models.CharField(
        _("pattern"),
        max_length=LONGEST_PATTERN,
        help_text=_("A regular expression, found anywhere, in capitals or not: ^train-(.+)$"),
    )
    workload = models.CharField(
        _("workload"), max_length=LONGEST_WORKLOAD, blank=True, help_text=_(r"May take a group of the pattern: \1")
    )
    phase = models.CharField(_("phase"), max_length=16, choices=Phase.choices, blank=True)
    size = models.CharField(
        _("size"), max_length=LONGEST_NAME, blank=True, help_text=_("Of the problem, or its scenario.")
    )
    target = models.CharField(
        _("target"), max_length=LONGEST_NAME, blank=True, help_text=_("Quality of the result that is asked for.")
    )
    enabled = models.BooleanField(_("in use"), default=True)
    note = models.CharField(_("note"), max_length=255, blank=True)

    class Meta:
        ordering = ["position", "pk"]
        permissions = [("manage_workloads", "Can make rules for workloads and tag the jobs of every user")]
        verbose_name = _("rule for workloads")
        verbose_name_plural = _("rules for workloads")

    def __str__(self) -> str:
        return f"{self.field} ~ {self.pattern}"

    def clean(self) -> None:
        """A pattern that can't be used is refused with the reason."""
        try:
            compiled(self.pattern)
        except ValueError as error:
            raise ValidationError({"pattern": str(error)}) from error
        if not (self.workload or self.phase or self.size or self.target):
            raise ValidationError(_("A rule sets at least one of workload, phase, size and target."))


class TagState(models.Model):
    """How far jobs are tagged by the rules as they stand; one row."""

    rules_version = models.BigIntegerField(default=0, help_text="Drawn anew when a rule changes.")
    done_version = models.BigIntegerField(default=0, help_text="All jobs are tagged by these rules.")
    at_version = models.BigIntegerField(default=0, help_text="Of the pass that is under way.")
    next_job = models.BigIntegerField(default=0, help_text="Jobs below this id are done in it.")

    def __str__(self) -> str:
        return "done" if self.done_version == self.rules_version else f"at job {self.next_job}"


class TagEdit(models.Model):
    """What a person set of a job's tags on the site; null: left alone, empty: taken away."""

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="tag_edit")
    workload = models.CharField(max_length=LONGEST_WORKLOAD, null=True)  # noqa: DJ001 - see the class
    phase = models.CharField(max_length=16, null=True)  # noqa: DJ001
    size = models.CharField(max_length=LONGEST_NAME, null=True)  # noqa: DJ001
    target = models.CharField(max_length=LONGEST_NAME, null=True)  # noqa: DJ001
    work = models.FloatField(null=True, help_text="0: taken away.")
    unit = models.CharField(max_length=LONGEST_UNIT, blank=True)
    edited_by = models.CharField(max_length=255)
    edited_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.job}: {self.edited_by}"


class JobTags(models.Model):
    """The tags of a job beyond workload and phase (which stand on the job), and where each is from.

    An origin is `edit`, `operator` or `comment` (the job's comments), or `rule 7`; empty: not tagged.
    """

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="tags")
    size = models.CharField(max_length=LONGEST_NAME, blank=True)
    target = models.CharField(max_length=LONGEST_NAME, blank=True)
    work = models.FloatField(null=True, help_text="Units of work done, declared.")
    unit = models.CharField(max_length=LONGEST_UNIT, blank=True)
    workload_origin = models.CharField(max_length=24, blank=True)
    phase_origin = models.CharField(max_length=24, blank=True)
    size_origin = models.CharField(max_length=24, blank=True)
    target_origin = models.CharField(max_length=24, blank=True)
    work_origin = models.CharField(max_length=24, blank=True)

    class Meta:
        verbose_name = _("tags of a job")
        verbose_name_plural = _("tags of jobs")

    def __str__(self) -> str:
        return f"{self.job}"


class Scope(models.IntegerChoices):
    """What the meters of a job's nodes cover; figures of unlike scopes are never ranked against each other."""

    UNKNOWN = MeterScope.UNKNOWN.value, _("not known")
    NODE_AC = MeterScope.NODE_AC.value, _("whole node, at the wall (AC)")
    NODE_DC = MeterScope.NODE_DC.value, _("whole node, behind the power supply (DC)")
    NODE_WITHOUT_GPUS = MeterScope.NODE_WITHOUT_GPUS.value, _("node without its GPUs")
    PARTS = MeterScope.PARTS.value, _("processors, memory and any GPUs only")
    PARTS_WITHOUT_GPUS = MeterScope.PARTS_WITHOUT_GPUS.value, _("processors and memory only")
    MIXED = MeterScope.MIXED.value, _("nodes metered in different ways")


class WorkloadJobQuerySet(models.QuerySet["WorkloadJob"]):
    """Who may see single rows; what sums may be shown of others' is for the selectors to say."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser) -> Self:
        """As `JobQuerySet.visible_to`."""
        if viewer.is_authenticated and viewer.is_active and viewer.has_perm("measurements.view_all_jobs"):
            return self
        return self.filter(job__in=Job.objects.visible_to(viewer))


class WorkloadJob(models.Model):
    """One ended job of a workload, with all that comparing it needs, in one row: made with the job's total.

    Of jobs on nodes of several types ``node_type`` is empty.
    """

    job = models.OneToOneField(Job, models.CASCADE, primary_key=True, related_name="compared")
    cluster = models.ForeignKey(Cluster, models.CASCADE, db_index=False)
    username = models.CharField(max_length=255)
    account = models.CharField(max_length=255)
    workload = models.CharField(max_length=LONGEST_WORKLOAD)
    phase = models.CharField(max_length=16, blank=True)
    size = models.CharField(max_length=LONGEST_NAME, blank=True)
    target = models.CharField(max_length=LONGEST_NAME, blank=True)
    unit = models.CharField(max_length=LONGEST_UNIT, blank=True)
    work = models.FloatField(null=True)
    state = models.CharField(max_length=32)
    excused = models.BooleanField()
    node_type = models.ForeignKey(NodeType, models.CASCADE, null=True, db_index=False)
    node = models.ForeignKey(Node, models.CASCADE, null=True, db_index=False, help_text="Empty: several.")
    nodes = models.PositiveIntegerField()
    cpus = models.PositiveIntegerField(null=True)
    gpus = models.PositiveIntegerField(help_text="Held.")
    start_ms = models.BigIntegerField()
    end_ms = models.BigIntegerField()
    runtime_s = models.FloatField(help_text="Wall time of its runs [s].")
    held_s = models.FloatField(help_text="Wall time × nodes [s].")
    energy_j = models.FloatField(help_text="Metered [J].")
    gpu_energy_j = models.FloatField(help_text="Part of energy_j [J].")
    gpu_held_s = models.FloatField(help_text="GPU-time of which it is known whether it was idle [s].")
    gpu_idle_s = models.FloatField(help_text="[s]")
    gpu_idle_j = models.FloatField(help_text="[J]")
    estimate_j = models.FloatField(null=True, help_text="Rated power × time × share of cores, GPUs not in it [J].")
    coverage = models.FloatField()
    quality = models.CharField(max_length=12, choices=Quality.choices)
    scope = models.PositiveSmallIntegerField(choices=Scope.choices)
    lot = models.PositiveSmallIntegerField(help_text="0 to 9999, drawn once from its id: for samples of many jobs.")

    objects = WorkloadJobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["workload", "phase", "node_type", "lot"], name="compared_lot"),
            models.Index(fields=["workload", "phase", "unit", "energy_j", "end_ms"], name="compared_sums"),
            models.Index(fields=["workload", "username", "-end_ms"], name="compared_user"),
            models.Index(fields=["workload", "-end_ms"], name="compared_end"),
        ]

    def __str__(self) -> str:
        return f"{self.job}: {self.workload}"


class ScopeCheck(models.Model):
    """Whether a node's meter appears to include its GPUs: slope of its power over Σ GPU power, newest check."""

    class Verdict(models.TextChoices):
        INCLUDES = "includes", _("appears to include the GPUs")
        EXCLUDES = "excludes", _("appears to exclude the GPUs")
        UNCLEAR = "unclear", _("cannot be told")

    node = models.OneToOneField(Node, models.CASCADE, primary_key=True, related_name="scope_check")
    day = models.DateField(help_text="UTC day that was looked at.")
    checked_at = models.DateTimeField()
    minutes = models.PositiveIntegerField(help_text="Pairs of values compared.")
    slope = models.FloatField(null=True, help_text="W of the meter for each W of the GPUs.")
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    declared_includes = models.BooleanField(help_text="What is declared of the meter.")

    def __str__(self) -> str:
        return f"{self.node}: {self.verdict}"
