"""Clusters as a whole, and their electricity: sums only, and nobody's name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router

from measurements.domain.carbon import Part
from measurements.domain.units import datetime_from_ms, ms_from_datetime
from measurements.models import Cluster
from measurements.selectors.emissions import cluster_footprints
from measurements.selectors.energy import emissions_json
from measurements.selectors.prices import price_list
from portal.api.forms import ClusterEnergy, ClusterRow, Days, Slot

router = Router(tags=["clusters"])


@router.get("/clusters", response=list[ClusterRow])
def clusters(request: HttpRequest) -> list[dict[str, Any]]:
    """The clusters of this site."""
    return [{"name": cluster.name} for cluster in Cluster.objects.visible_to(request.user)]


@router.get("/clusters/{name}", response=ClusterEnergy)
def cluster(request: HttpRequest, name: str, days: Query[Days]) -> dict[str, Any]:
    """What a cluster drew and emitted: jobs + unallocated = metered, slot by slot."""
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=name)
    period = days.period()
    found = cluster_footprints(machine, *period.bounds_ms, ms_from_datetime(timezone.now()))
    return {
        "cluster": machine.name,
        "since": period.since,
        "until": period.until,
        "metered_j": found.jobs.metered_j + found.own.metered_j,
        "jobs_j": found.jobs.metered_j,
        "unallocated_j": found.own.metered_j,
        "jobs": emissions_json(found.jobs),
        "unallocated": emissions_json(found.own),
    }


@router.get("/clusters/{name}/carbon-intensity", response=list[Slot])
def carbon_intensity(request: HttpRequest, name: str, days: Query[Days]) -> list[dict[str, Any]]:
    """The price list of a cluster's electricity by quarter hour; null: not known."""
    machine = get_object_or_404(Cluster.objects.visible_to(request.user), name=name)
    since, until = days.bounds()
    prices = price_list(machine, since, until - timedelta(days=1))
    rungs = ["", *(origin.rung.value for origin in prices.origins)]
    columns = (prices.part(part) for part in (Part.LOCATION, Part.MARKET, Part.PUE))
    known = (map(_known, column.tolist()) for column in columns)
    rows = zip(prices.at_ms.tolist(), *known, prices.origin[Part.LOCATION].tolist(), strict=True)
    return [
        {
            "start": datetime_from_ms(ms),
            "g_co2e_per_kwh": location,
            "market_g_co2e_per_kwh": market,
            "pue": pue,
            "rung": rungs[place + 1],
        }
        for ms, location, market, pue, place in rows
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
