"""Factors in the admin: to be looked at. They are declared, with a dry run, below /operations/factors/."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from measurements.models import FactorImport, IntensitySeries, PublishedValue, Pull, ReferenceFactor, SiteFactor, Supply
from portal.admin import ReadOnlyAdmin


class PublishedValueInline(admin.TabularInline):  # type: ignore[type-arg]
    """Means of years and months."""

    model = PublishedValue
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are imported."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Another value is another edition."""
        return False


@admin.register(IntensitySeries)
class IntensitySeriesAdmin(ReadOnlyAdmin):
    """Series of carbon intensity."""

    list_display = ["slug", "zone", "basis", "method", "source_title", "edition", "licence"]
    list_filter = ["basis", "method", "packaged"]
    search_fields = ["slug", "zone", "source_title"]
    inlines = [PublishedValueInline]


@admin.register(Supply)
class SupplyAdmin(ReadOnlyAdmin):
    """Which series price a cluster's energy."""

    list_display = ["cluster", "method", "valid_from", "slots", "monthly", "yearly", "author", "created_at"]
    list_filter = ["cluster", "method"]


@admin.register(SiteFactor)
class SiteFactorAdmin(ReadOnlyAdmin):
    """What is declared."""

    list_display = ["cluster", "kind", "node_type", "value", "unit", "valid_from", "author", "created_at"]
    list_filter = ["cluster", "kind"]


@admin.register(FactorImport)
class FactorImportAdmin(ReadOnlyAdmin):
    """What came in for series."""

    list_display = ["series", "source", "read", "stored", "changed", "created_at"]


@admin.register(Pull)
class PullAdmin(ReadOnlyAdmin):
    """Switched on and off with pull_intensity."""

    list_display = ["provider", "zone", "series", "enabled", "last_ok_at", "failures", "last_error"]


@admin.register(ReferenceFactor)
class ReferenceFactorAdmin(ReadOnlyAdmin):
    """Factors of fuels, and equivalents: whether one is shown may be changed."""

    list_display = ["kind", "key", "value", "unit", "basis", "source_title", "edition", "shown"]
    list_filter = ["kind"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of ``shown`` alone: see the fields."""
        return request.user.has_perm("measurements.change_referencefactor")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All but one."""
        return [field.name for field in ReferenceFactor._meta.fields if field.name != "shown"]
