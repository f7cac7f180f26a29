"""People in the admin: projects and memberships are entered here; what people chose or did is only read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from measurements.models import DigestChoice, Membership, PageRead, Project, Report
from measurements.parsers.members_csv import overlap
from portal.admin import ReadOnlyAdmin


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
    """A role: no two at the same time, and its end after its beginning."""

    class Meta:
        model = Membership
        fields = ("project", "username", "role", "valid_from", "valid_to")

    def clean(self) -> dict[str, Any]:
        """As lists of members are read."""
        found: dict[str, Any] = super().clean() or {}
        begin, end = found.get("valid_from"), found.get("valid_to")
        if begin and end and end <= begin:
            raise forms.ValidationError({"valid_to": _("It ends before it begins.")})
        same = {name: found.get(name) for name in ("project", "username", "role")}
        if not self.errors and all(same.values()):
            others = Membership.objects.filter(**same).exclude(pk=self.instance.pk)
            if any(overlap(row.valid_from, row.valid_to, begin, end) for row in others):
                raise forms.ValidationError(_("This person has the role at that time already."))
        return found

    def save(self, commit: bool = True) -> Membership:  # noqa: FBT001, FBT002 - Django's signature
        """It is the admin's from now on, and no list ends it."""
        if self.has_changed():
            self.instance.source = Membership.Source.ADMIN
        row: Membership = super().save(commit)
        return row


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """Who belongs to a project."""

    model = Membership
    form = MembershipForm
    extra = 0
    readonly_fields = ("source",)


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    """A project: never below itself."""

    class Meta:
        model = Project
        fields = ("name", "title", "parent")

    def clean_parent(self) -> Project | None:
        """Walk up."""
        parent: Project | None = self.cleaned_data["parent"]
        at, seen = parent, set()
        while at is not None and at.pk not in seen:
            if at.pk == self.instance.pk:
                raise forms.ValidationError(_("A project cannot lie below itself."))
            seen.add(at.pk)
            at = at.parent
        return parent


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Projects with their members."""

    form = ProjectForm
    list_display = ["name", "title", "parent"]
    search_fields = ["name", "title"]
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Roles with their days."""

    form = MembershipForm
    list_display = ["project", "username", "role", "valid_from", "valid_to", "source"]
    list_filter = ["role", "source"]
    search_fields = ["username", "project__name"]


@admin.register(DigestChoice)
class DigestChoiceAdmin(ReadOnlyAdmin):
    """Which mails people want: theirs to choose."""

    list_display = ["username", "weekly", "monthly"]
    search_fields = ["username"]


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Frozen statements."""

    list_display = ["sha256", "username", "created_at", "withdrawn_at"]
    search_fields = ["sha256", "username"]


@admin.register(PageRead)
class PageReadAdmin(ReadOnlyAdmin):
    """Who read what is somebody else's."""

    list_display = ["day", "reader", "username", "project", "page", "count"]
    list_filter = ["page"]
    search_fields = ["reader", "username", "project"]
