"""Allocations as a data frame, with what their figures need."""

from __future__ import annotations

import numpy as np
import pandas as pd
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from measurements.models import Allocation, NodeConfig
from measurements.selectors.frames import frame_of, plain

MANY_NODES = 1_000
_COLUMNS: dict[str, str | Coalesce] = {
    "allocation_id": "pk",
    "job_id": "run__job_id",
    "cluster_id": "run__job__cluster_id",
    "run_id": "run_id",
    "node_id": "node_id",
    "node_name": "node_name",
    "start_ms": "start_ms",
    "end_ms": "end_ms",
    "cpus": "cpus",
    "gpus": "gpus",
    "exclusive": plain("exclusive"),
    "consumed_j": "run__consumed_energy_j",
}


def allocation_figures(allocations: QuerySet[Allocation]) -> pd.DataFrame:
    """One row an allocation, as `measurements.domain.figures` describes it."""
    rows = allocations.order_by("pk").values_list(*_COLUMNS.values())
    frame = frame_of(rows, list(_COLUMNS))
    frame["node_id"] = pd.to_numeric(frame["node_id"]).fillna(0).astype(np.int64)  # 0: not known
    configs = _configs(frame["node_id"].unique().tolist())
    known = [configs.get(node, (None, None)) for node in frame["node_id"].tolist()]
    frame["rated_w"] = np.array([np.nan if rated is None else rated for rated, _ in known], np.float64)
    frame["node_cpus"] = np.array([cpus or np.nan for _, cpus in known], np.float64)
    return frame


def _configs(nodes: list[int]) -> dict[int, tuple[float | None, int | None]]:
    """Rated power and cpus of some nodes, as described last."""
    rows = NodeConfig.objects.order_by("valid_from")
    if len(nodes) <= MANY_NODES:  # else reading all of them is quicker than naming them
        rows = rows.filter(node_id__in=nodes)
    return {node: (rated, cpus) for node, rated, cpus in rows.values_list("node_id", "rated_w", "cpus")}
