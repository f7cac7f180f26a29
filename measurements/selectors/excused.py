"""Jobs that the machine ended: their energy is nobody's waste."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from django.db.models import Q

from measurements.domain.blame import AFTER_MS, BEFORE_MS, NOBODYS, WASTED, stops_jobs
from measurements.models import Allocation, NodeState

_ASKED_AT_ONCE = 10_000  # jobs named in a query


def excused_jobs(states: Mapping[int, str]) -> set[int]:
    """Of jobs by id, with the state they ended in: those whose state says so, and those that failed when one of their
    nodes went down or into maintenance; two queries for each 10,000 that failed."""
    found = {pk for pk, state in states.items() if state in NOBODYS}
    failed = sorted(pk for pk, state in states.items() if state in WASTED)
    for i in range(0, len(failed), _ASKED_AT_ONCE):
        found |= _ended_with_a_node(failed[i : i + _ASKED_AT_ONCE])
    return found


def _ended_with_a_node(jobs: list[int]) -> set[int]:
    rows = Allocation.objects.filter(run__job__in=jobs, node__isnull=False, end_ms__isnull=False).order_by("pk")
    held = rows.values_list("run__job_id", "node_id", "end_ms")
    return ended_with_a_node(pd.DataFrame(held, columns=["job", "node", "end_ms"]))


def ended_with_a_node(held: pd.DataFrame) -> set[int]:
    """Of jobs with all nodes that they held (job, node, end_ms; none of them missing) those that ended when one of
    their nodes went down or into maintenance; one query."""
    if held.empty:
        return set()
    held = held[held["end_ms"] == held.groupby("job")["end_ms"].transform("max")]
    stops = pd.DataFrame(_stops(held), columns=["node", "start", "stop"])
    both = held.merge(stops, on="node")
    near = (both["end_ms"] >= both["start"] - BEFORE_MS) & (both["end_ms"] <= both["start"] + AFTER_MS)
    within = (both["end_ms"] >= both["start"]) & (both["end_ms"] <= both["stop"])
    return set(both.loc[near | within, "job"].tolist())


def _stops(held: pd.DataFrame) -> list[tuple[int, int, int]]:
    """The times in which no job could run on the nodes, near where jobs ended."""
    first, last = int(held["end_ms"].min()), int(held["end_ms"].max())
    goes_on = Q(end_ms__isnull=True) | Q(end_ms__gt=first - AFTER_MS)
    rows = NodeState.objects.filter(goes_on, node__in=set(held["node"].tolist()), start_ms__lte=last + BEFORE_MS)
    return [
        (node, start, np.iinfo(np.int64).max if end is None else end)
        for node, start, end, state in rows.values_list("node_id", "start_ms", "end_ms", "state")
        if stops_jobs(state)
    ]
