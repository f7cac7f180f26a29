"""Who belongs to which project, what a project may use, and what the site keeps for people.

A person is named by the account on the cluster, which is the login's name: where logins come from (a local password,
single sign-on, a directory) only adds a source of memberships.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Self

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ProjectQuerySet(models.QuerySet["Project"]):
    """Who may see which projects."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser, on: date | None = None) -> Self:
        """Those the viewer leads on a day (today) with what lies below; all for holders of ``view_all_jobs``."""
        if not viewer.is_authenticated or not viewer.is_active:
            return self.none()
        if viewer.has_perm("measurements.view_all_jobs"):
            return self
        return self.filter(name__in=leads(viewer, on))


class Project(models.Model):
    """A Slurm account; the same name on several clusters is one project."""

    name = models.CharField(_("name"), max_length=255, unique=True, help_text="Slurm account.")
    title = models.CharField(_("title"), max_length=255, blank=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children")

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What somebody is in a project."""

    MEMBER = "member", _("member")
    LEADER = "leader", _("leader")
    DEPUTY = "deputy", _("deputy")


LEADING = (Role.LEADER, Role.DEPUTY)


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Dated roles."""

    def on(self, day: date) -> Self:
        """In force on a day of the site's zone."""
        begun = Q(valid_from__isnull=True) | Q(valid_from__lte=day)
        return self.filter(begun, Q(valid_to__isnull=True) | Q(valid_to__gt=day))


class Membership(models.Model):
    """A role of a person in a project, from a day on and up to another one; days of the site's zone."""

    class Source(models.TextChoices):
        ADMIN = "admin", _("entered in the admin")
        CSV = "csv", _("list of members")
        SACCTMGR = "sacctmgr", _("Slurm's accounting")

    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    username = models.CharField(_("user"), max_length=255, db_index=True, help_text="Account on the cluster.")
    role = models.CharField(_("role"), max_length=8, choices=Role.choices, default=Role.MEMBER)
    valid_from = models.DateField(
        _("from"), null=True, blank=True, help_text="First day; empty: from the beginning. A leader sees no day before."
    )
    valid_to = models.DateField(_("until"), null=True, blank=True, help_text="First day on which it is over.")
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.ADMIN)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["project", "username", "valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["project", "username", "role", "valid_from"], name="membership_once"),
            models.UniqueConstraint(
                fields=["project", "username", "role"],
                condition=Q(valid_from__isnull=True),
                name="membership_from_the_beginning_once",
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="membership_begins_before_it_ends",
            ),
        ]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return f"{self.username}: {self.role} of {self.project}"


def leads(viewer: AbstractUser | AnonymousUser, on: date | None = None) -> dict[str, date | None]:
    """The projects a person leads or deputises for on a day (today), those below them too, by name.

    With the first day of what is shown of each: a leader sees no day before the role began (None: all days). One query
    for whoever leads nothing, else two.
    """
    if not viewer.is_authenticated or not viewer.is_active:
        return {}
    day = timezone.localdate() if on is None else on
    roles = Membership.objects.on(day).filter(username=viewer.get_username(), role__in=LEADING)
    own: dict[int, date] = {}
    for project, since in roles.values_list("project_id", "valid_from"):
        own[project] = min(own.get(project, date.max), since or date.min)
    if not own:
        return {}
    found: dict[int, date] = {}
    rows = list(Project.objects.values_list("pk", "name", "parent_id"))
    parents = {pk: parent for pk, _, parent in rows}
    for pk in parents:
        begun = [own[above] for above in _up(pk, parents) if above in own]
        if begun:
            found[pk] = min(begun)
    return {name: None if found[pk] == date.min else found[pk] for pk, name, _ in rows if pk in found}


def _up(pk: int, parents: Mapping[int, int | None]) -> list[int]:
    """A project and all above it; a circle is walked once."""
    found: list[int] = []
    at: int | None = pk
    while at is not None and at not in found:
        found.append(at)
        at = parents.get(at)
    return found


class Budget(models.Model):
    """What a project may use in a period; how it is counted: docs/budgets.md."""

    class Unit(models.TextChoices):
        KWH = "kwh", _("kWh")
        KG_CO2E = "kg_co2e", _("kg CO₂e")
        MONEY = "money", _("money")

    class CarryOver(models.TextChoices):
        NONE = "none", _("nothing")
        UNUSED = "unused", _("what is left")
        BOTH = "both", _("what is left, or overdrawn")

    project = models.ForeignKey(Project, models.CASCADE, related_name="budgets")
    owner = models.CharField(_("owner"), max_length=255, help_text="Who answers for it.")
    first = models.DateField(_("first day"))
    last = models.DateField(_("last day"), help_text="Part of the period.")
    unit = models.CharField(_("unit"), max_length=8, choices=Unit.choices, default=Unit.KWH)
    currency = models.CharField(_("currency"), max_length=3, blank=True, help_text="Of a budget of money: EUR.")
    amount = models.FloatField(_("amount"))
    carry_over = models.CharField(
        _("taken over from the period before"), max_length=8, choices=CarryOver.choices, default=CarryOver.NONE
    )
    counted_states = models.JSONField(_("counted end states"), default=list, blank=True, help_text="Empty: all.")
    count_filled = models.BooleanField(
        _("counts what is not metered"), default=False, help_text="Estimated energy of unmetered time counts as used."
    )
    warning_levels = models.JSONField(_("warning levels"), default=list, blank=True, help_text="Empty: 0.8 and 1.")
    note = models.CharField(_("note"), max_length=255, blank=True)

    class Meta:
        ordering = ["project", "-first", "unit"]
        constraints = [
            models.CheckConstraint(condition=Q(last__gte=F("first")), name="budget_begins_before_it_ends"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="budget_positive"),
        ]
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")

    def __str__(self) -> str:
        return f"{self.project}: {self.amount:g} {self.unit}, {self.first} to {self.last}"


class Dismissal(models.Model):
    """An advice that a person does not want to see any more."""

    username = models.CharField(max_length=255)
    advice = models.CharField(max_length=32)
    subject = models.CharField(max_length=255, blank=True, help_text="What it was about: a workload, a job's name.")
    dismissed_at = models.DateTimeField()

    class Meta:
        ordering = ["username", "advice", "subject"]
        constraints = [models.UniqueConstraint(fields=["username", "advice", "subject"], name="dismissal_once")]

    def __str__(self) -> str:
        return f"{self.username}: {self.advice} {self.subject}"


class DigestChoice(models.Model):
    """Which mails a person wants; who has no row gets what the site sends."""

    username = models.CharField(max_length=255, unique=True)
    weekly = models.BooleanField(_("weekly mail"), default=True)
    monthly = models.BooleanField(_("monthly mail"), default=True)
    language = models.CharField(_("language"), max_length=8, blank=True, help_text="Empty: the site's.")

    class Meta:
        ordering = ["username"]
        verbose_name = _("choice of mails")
        verbose_name_plural = _("choices of mails")

    def __str__(self) -> str:
        return self.username


class Digest(models.Model):
    """A mail of a period to a person: made once, whoever is quicker."""

    class Kind(models.TextChoices):
        WEEKLY = "weekly", _("weekly")
        MONTHLY = "monthly", _("monthly")

    class State(models.TextChoices):
        CLAIMED = "claimed", _("being sent")
        SENT = "sent", _("sent")
        QUIET = "quiet", _("nothing to say")
        FAILED = "failed", _("failed")

    username = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    first = models.DateField(help_text="First day of the period, in the site's zone.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.CLAIMED)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    claimed_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-first", "username"]
        constraints = [models.UniqueConstraint(fields=["username", "kind", "first"], name="digest_once")]
        verbose_name = _("mail")
        verbose_name_plural = _("mails")

    def __str__(self) -> str:
        return f"{self.username} {self.kind} {self.first}"


class PageRead(models.Model):
    """That somebody read what is somebody else's: one row a reader, subject, page and UTC day."""

    reader = models.CharField(max_length=255)
    username = models.CharField(max_length=255, blank=True, help_text="Whose it is.")
    project = models.CharField(max_length=255, blank=True, help_text="Or which project's.")
    page = models.CharField(max_length=64)
    day = models.DateField()
    count = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-day", "reader"]
        constraints = [
            models.UniqueConstraint(fields=["username", "project", "reader", "page", "day"], name="page_read_once")
        ]
        verbose_name = _("page read")
        verbose_name_plural = _("pages read")

    def __str__(self) -> str:
        return f"{self.reader} read {self.page} of {self.username or self.project}"


class Report(models.Model):
    """What somebody reported of some jobs, frozen: the text is never made again."""

    sha256 = models.CharField(max_length=64, unique=True, help_text="Of the body: its address.")
    username = models.CharField(max_length=255, db_index=True, help_text="Who made it.")
    created_at = models.DateTimeField()
    body = models.TextField(help_text="JSON with sorted keys: figures, method, factors, sentences.")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("report")
        verbose_name_plural = _("reports")

    def __str__(self) -> str:
        return self.sha256[:12]
