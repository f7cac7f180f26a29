"""Leaderboards: what is compared, its editions from draft to withdrawal, and what persons have to say to it."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from measurements.domain.tags import LONGEST_NAME, LONGEST_UNIT, LONGEST_WORKLOAD
from measurements.models.cluster import Cluster
from measurements.models.people import Membership, Project, leads
from measurements.models.workloads import Phase

FEWEST_EVER = 3  # people behind a published figure, whatever the site says


class BoardQuerySet(models.QuerySet["Board"]):
    """Who may see which boards; of a board only published editions, but for those who publish."""

    def visible_to(self, viewer: AbstractUser | AnonymousUser, on: date) -> Self:
        """Public ones for everybody, those of the site for whoever is logged in, those of a group for its members."""
        if not viewer.is_authenticated or not viewer.is_active:
            return self.filter(audience=Board.Audience.PUBLIC)
        if viewer.has_perm("measurements.publish_boards"):
            return self
        member = Membership.objects.on(on).filter(username=viewer.get_username()).values("project")
        mine = Q(project__in=member) | Q(project__name__in=leads(viewer, on))
        return self.filter(Q(audience__in=[Board.Audience.PUBLIC, Board.Audience.SITE]) | mine)


class Board(models.Model):
    """A question that is asked again in each edition."""

    class Kind(models.TextChoices):
        NODE_TYPES = "node_types", _("node types by energy per unit of work")
        ENERGY_PER_WORK = "energy_per_work", _("energy per unit of work")
        IMPROVEMENT = "improvement", _("improvement on one's own past")
        IDLE_ACCELERATORS = "idle_accelerators", _("energy of idle accelerators")
        FAILED_ENERGY = "failed_energy", _("energy of failed jobs")

    class Scope(models.TextChoices):
        USER = "user", _("persons")
        PROJECT = "project", _("projects")
        NODE_TYPE = "node_type", _("node types")

    class Audience(models.TextChoices):
        GROUP = "group", _("the members of a project")
        SITE = "site", _("whoever is logged in")
        PUBLIC = "public", _("everybody")

    slug = models.SlugField(_("name in the address"), max_length=64, unique=True)
    title = models.CharField(_("title"), max_length=120)
    kind = models.CharField(_("question"), max_length=20, choices=Kind.choices)
    scope = models.CharField(_("compares"), max_length=10, choices=Scope.choices)
    audience = models.CharField(_("audience"), max_length=8, choices=Audience.choices, default=Audience.SITE)
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, help_text=_("Only its jobs count, sub-projects included.")
    )
    cluster = models.ForeignKey(Cluster, models.PROTECT, null=True, blank=True, help_text=_("Empty: all clusters."))
    workload = models.CharField(_("workload"), max_length=LONGEST_WORKLOAD, blank=True)
    phase = models.CharField(_("phase"), max_length=16, choices=Phase.choices, blank=True)
    size = models.CharField(_("size"), max_length=LONGEST_NAME, blank=True)
    target = models.CharField(_("target"), max_length=LONGEST_NAME, blank=True)
    unit = models.CharField(_("unit of work"), max_length=LONGEST_UNIT, blank=True)
    smallest_group = models.PositiveSmallIntegerField(
        _("fewest people behind a figure"), default=5, validators=[MinValueValidator(FEWEST_EVER)]
    )
    names = models.BooleanField(_("people may choose to be named"), default=False)
    note = models.CharField(_("note"), max_length=500, blank=True)
    created_by = models.CharField(max_length=255, editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = BoardQuerySet.as_manager()

    class Meta:
        ordering = ["title"]
        permissions = [("publish_boards", "Can draft, review and publish leaderboards")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(audience="group") | Q(project__isnull=False), name="board_of_a_group_names_it"
            ),
            models.CheckConstraint(condition=Q(smallest_group__gte=FEWEST_EVER), name="board_smallest_group"),
            models.CheckConstraint(
                condition=~Q(kind__in=["node_types", "energy_per_work", "improvement"]) | ~Q(workload=""),
                name="board_of_work_names_a_workload",
            ),
            models.CheckConstraint(
                condition=Q(kind="node_types", scope="node_type") | (~Q(kind="node_types") & ~Q(scope="node_type")),
                name="board_of_node_types_compares_node_types",
            ),
        ]
        verbose_name = _("leaderboard")
        verbose_name_plural = _("leaderboards")

    def __str__(self) -> str:
        return self.title

    @property
    def of_persons(self) -> bool:
        """Whether it compares persons."""
        return self.scope == Board.Scope.USER


class Edition(models.Model):
    """One edition of a board, or a corrected revision of it.

    ``frozen`` holds its rows from review on, as canonical JSON: what every form of it is made from. It never changes
    after; what persons may take back (their name) is laid over it.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        REVIEW = "review", _("in review")
        PUBLISHED = "published", _("published")
        CORRECTED = "corrected", _("corrected")  # a later revision is the published one
        WITHDRAWN = "withdrawn", _("withdrawn")

    board = models.ForeignKey(Board, models.PROTECT, related_name="editions")
    number = models.PositiveIntegerField()
    revision = models.PositiveIntegerField(default=0, help_text="0: the edition itself; 1, 2, …: corrections of it.")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT)
    first = models.DateField(_("first day"))
    last = models.DateField(_("last day"), help_text=_("Included; days of the site's zone."))
    left_out = models.JSONField(default=list, blank=True, help_text="People whose objection was upheld.")
    drafted_by = models.CharField(max_length=255)
    drafted_at = models.DateTimeField()
    submitted_by = models.CharField(max_length=255, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    review_until = models.DateTimeField(null=True, blank=True)
    approved_by = models.CharField(max_length=255, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    cutoff_at = models.DateTimeField(null=True, blank=True, help_text="What came in later is not in it.")
    frozen = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Of a correction or a withdrawal.")
    difference = models.JSONField(default=dict, blank=True, help_text="What a correction changed.")

    class Meta:
        ordering = ["board", "-number", "-revision"]
        constraints = [
            models.UniqueConstraint(fields=["board", "number", "revision"], name="edition_once"),
            models.UniqueConstraint(
                fields=["board", "number"], condition=Q(state="published"), name="edition_published_once"
            ),
            models.CheckConstraint(condition=Q(last__gte=F("first")), name="edition_begins_before_it_ends"),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "withdrawn"]) | ~Q(sha256=""), name="edition_shown_is_frozen"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["published", "corrected"])
                | (~Q(approved_by="") & ~Q(approved_by=F("submitted_by")) & ~Q(approved_by=F("drafted_by"))),
                name="edition_two_people",
            ),
        ]
        verbose_name = _("edition")
        verbose_name_plural = _("editions")

    def __str__(self) -> str:
        return f"{self.board} {self.number}.{self.revision}"


class Seat(models.Model):
    """Where in an edition somebody is, and the figures that nobody else gets to see.

    Whose it is stands there as a keyed hash only (`measurements.services.seats`): the site can tell somebody who is
    logged in which place is theirs, and whoever reads the table learns no name.
    """

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="seats")
    whose = models.CharField(max_length=64, help_text="HMAC-SHA256 of edition and user.")
    pseudonym = models.CharField(max_length=64)
    own = models.JSONField(help_text="The person's own figures.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["edition", "whose"], name="seat_once")]

    def __str__(self) -> str:
        return f"{self.edition}: {self.pseudonym}"


class Objection(models.Model):
    """What somebody in an edition under review says against it; an edition with an open one is not published."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="objections")
    username = models.CharField(max_length=255)
    at = models.DateTimeField()
    text = models.TextField(max_length=2_000)
    answer = models.TextField(blank=True)
    answered_by = models.CharField(max_length=255, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    upheld = models.BooleanField(null=True, help_text="Upheld: the person is left out of the edition.")

    class Meta:
        ordering = ["edition", "at"]
        constraints = [models.UniqueConstraint(fields=["edition", "username"], name="objection_once")]

    def __str__(self) -> str:
        return f"{self.edition}: {self.username}"


class NameConsent(models.Model):
    """Somebody wants to be named on a board, in all editions, until they take it back."""

    board = models.ForeignKey(Board, models.CASCADE, related_name="consents")
    username = models.CharField(max_length=255)
    given_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["board", "username"], name="name_consent_once")]

    def __str__(self) -> str:
        return f"{self.board}: {self.username}"


class BoardEvent(models.Model):
    """Who did what to a board or an edition, and when; never changed, never removed."""

    class What(models.TextChoices):
        CREATED = "created", _("board made")
        CHANGED = "changed", _("board changed")
        DRAFTED = "drafted", _("drafted")
        SUBMITTED = "submitted", _("put up for review")
        OBJECTED = "objected", _("objection")
        ANSWERED = "answered", _("objection answered")
        RETURNED = "returned", _("sent back to draft")
        PUBLISHED = "published", _("approved and published")
        CORRECTED = "corrected", _("corrected")
        WITHDRAWN = "withdrawn", _("withdrawn")
        DISCARDED = "discarded", _("draft discarded")
        NAMED = "named", _("consent to be named")
        UNNAMED = "unnamed", _("consent taken back")

    board = models.ForeignKey(Board, models.PROTECT, related_name="events")
    number = models.PositiveIntegerField(null=True, help_text="Of the edition.")
    revision = models.PositiveIntegerField(null=True)
    at = models.DateTimeField()
    username = models.CharField(max_length=255)
    what = models.CharField(max_length=10, choices=What.choices)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["board", "at", "pk"]

    def __str__(self) -> str:
        return f"{self.at} {self.username} {self.what}"
