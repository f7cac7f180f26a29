"""What jobs emit, priced when it is read: their ledger rows by quarter hour times the price lists of their clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from django.db.models import QuerySet

from measurements.domain.chain import Footprint, embodied_of, footprint, together
from measurements.domain.units import US_PER_MS, day_from_ms
from measurements.models import AllocationEnergy, Cluster
from measurements.selectors.prices import price_list
from measurements.selectors.quarters import energy_quarters, filled_quarters


def jobs_footprint(allocations: pd.DataFrame, booked: QuerySet[AllocationEnergy], start_ms: int = 0) -> Footprint:
    """The figure of some allocations with all its steps, those of several clusters added up.

    ``allocations`` are filled (`measurements.domain.figures.fill`) and ``booked`` their ledger rows, both of a period
    that begins at ``start_ms``.
    """
    lasting = allocations[allocations["elapsed_us"] > 0]
    clusters = sorted(set(lasting["cluster_id"].tolist()))
    several = len(clusters) > 1
    parts = []
    for cluster in Cluster.objects.filter(pk__in=clusters).order_by("name"):
        mine = lasting[lasting["cluster_id"] == cluster.pk]
        rows = booked.filter(job__cluster=cluster) if several else booked
        parts.append(_of_cluster(cluster, mine, rows, start_ms))
    return together(parts)


def _of_cluster(
    cluster: Cluster, allocations: pd.DataFrame, booked: QuerySet[AllocationEnergy], start_ms: int
) -> Footprint:
    begin = np.maximum(allocations["start_ms"].to_numpy(np.int64), start_ms)
    end = begin + allocations["elapsed_us"].to_numpy(np.int64) // US_PER_MS
    first, last = day_from_ms(int(begin.min())), day_from_ms(int(max(end.max() - 1, begin.min())))
    drawn = energy_quarters(booked, first, last)
    prices = price_list(cluster, first, last)
    filled_j = filled_quarters(allocations, first, drawn.days, start_ms)
    return footprint(drawn.metered_j, filled_j, prices, embodied_of(drawn.node_hours, prices.embodied))
