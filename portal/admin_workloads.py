"""Rules for workloads in the admin: as at /operations/workloads/, which also shows what they would change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from measurements.models import TagRule
from measurements.services.tags import delete_rule, rules_changed
from portal.tag_forms import RuleForm


class AdminRuleForm(RuleForm):
    """With its position."""

    class Meta(RuleForm.Meta):
        fields = ["position", *RuleForm.Meta.fields]


@admin.register(TagRule)
class TagRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """After a change all jobs are tagged anew."""

    form = AdminRuleForm
    list_display = ["__str__", "position", "workload", "phase", "size", "target", "cluster", "enabled"]
    list_filter = ["field", "enabled", "cluster"]
    search_fields = ["pattern", "workload", "note"]

    def save_model(self, request: HttpRequest, obj: TagRule, form: ModelForm[Any], change: bool) -> None:  # noqa: FBT001 - Django's signature
        """In the transaction of the admin's view."""
        super().save_model(request, obj, form, change)
        rules_changed()

    def delete_model(self, request: HttpRequest, obj: TagRule) -> None:
        """See the class."""
        delete_rule(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """See the class."""
        super().delete_queryset(request, queryset)
        rules_changed()
