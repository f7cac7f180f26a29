"""Zones of the grid of which a carbon intensity is known, and which series is the first choice of a zone."""

from __future__ import annotations

import difflib

from django.db.models import Max

from measurements.domain.carbon import Basis, Method
from measurements.models import IntensitySeries

NATIONAL = {"DE": "Umweltbundesamt"}  # whose account of a zone comes before those of the whole world
OTHER_NAMES = {"UK": "GB", "EL": "GR"}
_NEAR = 5


def default_series(zone: str) -> IntensitySeries | None:
    """The newest packaged lifecycle series by year of a zone, the national one where there is one."""
    found = IntensitySeries.objects.filter(
        zone=zone, packaged=True, basis=Basis.LIFECYCLE, method=Method.LOCATION, values__resolution="year"
    )
    rows = list(found.annotate(newest=Max("values__start")).order_by("-newest", "-pk"))
    rows.sort(key=lambda row: not row.source_title.startswith(NATIONAL.get(zone, " ")))
    return rows[0] if rows else None


def near_zones(zone: str) -> list[str]:
    """The zones there are whose name is like one that is not; of none that is like it, all."""
    zones = sorted(set(IntensitySeries.objects.values_list("zone", flat=True)))
    folded = zone.upper()
    if OTHER_NAMES.get(folded) in zones:
        return [OTHER_NAMES[folded]]
    inside = [name for name in zones if name.startswith(f"{folded}-") or folded.startswith(f"{name}-")]
    near = [name for name in (folded,) if name in zones] or inside
    return near or difflib.get_close_matches(folded, zones, _NEAR, 0.5) or zones


def near_slugs(slug: str) -> list[str]:
    """Series whose name is like one that is not there."""
    return difflib.get_close_matches(slug, IntensitySeries.objects.values_list("slug", flat=True), _NEAR, 0.4)
