"""A project's months for the interface, by the rule of its page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from measurements.domain.units import FloatArray
from measurements.selectors.project import access
from measurements.selectors.project_totals import Totals, shown_months, totals
from measurements.selectors.usage import Dimension


def project_months(viewer: User | AnonymousUser, name: str, since: date, until: date) -> list[dict[str, Any]] | None:
    """The months with a day in [since, until), oldest first; None: the viewer may not see the project."""
    who = access(viewer, name)
    if who is None:
        return None
    zone = ZoneInfo(timezone.get_default_timezone_name())
    months = shown_months(who, since, until - timedelta(days=1), timezone.localdate(timezone=zone))
    found = totals(who, months, zone, Dimension.NODE_TYPE, priced=True)
    return _rows(found) if found is not None else []


def _rows(found: Totals) -> list[dict[str, Any]]:
    cells = found.usage.cells
    energy, filled, grams = (
        _sums(np.where(cells.elapsed_s > 0, part, np.nan))
        for part in (cells.energy_j, cells.filled_j, cells.location_g)
    )
    return [
        {
            "month": month.strftime("%Y-%m"),
            "shown": shown,
            "energy_j": energy[i] if shown else None,
            "filled_j": filled[i] if shown and not np.isnan(cells.facility_j[i]).all() else None,
            "emissions_g_co2e": grams[i] if shown else None,
            "failed_j": found.failed_j[i] if shown else None,
            "idle_j": found.idle_j[i] if shown else None,
        }
        for i, (month, shown) in enumerate(zip(found.months, found.shown, strict=True))
    ]


def _sums(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(row).all() else float(np.nansum(row)) for row in values]
