"""Of a workload with very many jobs a fixed random sample, without counting them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from math import ceil, log2
from typing import Any

from django.db import connection

from measurements.domain.job_columns import Jobs
from measurements.models.workloads import LOTS
from measurements.selectors.frames import columns_by
from measurements.selectors.workload_rows import FIELDS, Sampled, as_jobs

_PARTS_AT_ONCE = 250  # SQLite puts 500 together at most
# By phase and node type the lot of the first job too many, along one index: for each a look at its first few hundred.
_EDGES = """
WITH RECURSIVE phases(phase) AS (
    SELECT MIN(phase) FROM measurements_workloadjob WHERE workload = %(workload)s
    UNION ALL
    SELECT (SELECT MIN(phase) FROM measurements_workloadjob
            WHERE workload = %(workload)s AND phase > phases.phase)
    FROM phases WHERE phases.phase IS NOT NULL
)
SELECT phases.phase, kind.id,
    (SELECT lot FROM measurements_workloadjob
     WHERE workload = %(workload)s AND phase = phases.phase AND node_type_id = kind.id
     ORDER BY lot LIMIT 1 OFFSET %(most)s)
FROM phases CROSS JOIN measurements_nodetype kind
WHERE EXISTS (SELECT 1 FROM measurements_workloadjob
              WHERE workload = %(workload)s AND phase = phases.phase AND node_type_id = kind.id)
UNION ALL
SELECT phases.phase, NULL,
    (SELECT lot FROM measurements_workloadjob
     WHERE workload = %(workload)s AND phase = phases.phase AND node_type_id IS NULL
     ORDER BY lot LIMIT 1 OFFSET %(most)s)
FROM phases
WHERE EXISTS (SELECT 1 FROM measurements_workloadjob
              WHERE workload = %(workload)s AND phase = phases.phase AND node_type_id IS NULL)
"""
_COLUMNS = ", ".join("node_type_id" if field == "node_type" else field for field in FIELDS)
_PART = (
    f"SELECT {_COLUMNS} FROM measurements_workloadjob "  # noqa: S608 - names of columns, none of them said by anybody
    "WHERE workload = %s AND phase = %s AND lot < %s AND node_type_id "
)
Group = tuple[str, int | None]  # phase, node type


def sample_of(workload: str, most: int, phase: str | None = None, *, halved: bool = False) -> Sampled:
    """Of each phase (or of one) and node type of a workload ``most`` jobs at most: two queries.

    Which of many are taken depends on the jobs' ids alone (their lot), never on what they drew. ``halved``: a
    half, a quarter, … of them, so that a few more jobs do not change which of the others are taken.
    """
    edges = {group: edge for group, edge in _edges(workload, most).items() if phase is None or group[0] == phase}
    lots = {group: LOTS if edge is None else _lots_below(edge, halved=halved) for group, edge in edges.items()}
    return Sampled(_rows(workload, lots), whole=not any(edge is not None for edge in edges.values()))


def _edges(workload: str, most: int) -> dict[Group, int | None]:
    """Of each group that has jobs the lot of the first one too many, in the order of lots; None: there are so few."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"workload": workload, "most": most})
        return {(phase, kind): edge for phase, kind, edge in cursor.fetchall()}


def _lots_below(edge: int, *, halved: bool) -> int:
    """How many lots to take, one at least; halved: of all a half, a quarter, …"""
    if not halved or not edge:
        return max(1, edge)
    return max(1, int(LOTS * 2.0 ** -ceil(log2(LOTS / edge))))


def _rows(workload: str, lots: Mapping[Group, int]) -> Jobs:
    """The jobs of each group that are in its first lots: each group along the index."""
    columns: list[list[Any]] = [[] for _ in FIELDS]
    groups = list(lots.items())
    for at in range(0, len(groups), _PARTS_AT_ONCE):
        part = groups[at : at + _PARTS_AT_ONCE]
        sql = " UNION ALL ".join(_PART + ("IS NULL" if kind is None else "= %s") for (_, kind), _ in part)
        said = ((workload, phase, lot) if kind is None else (workload, phase, lot, kind) for (phase, kind), lot in part)
        columns_by(sql, tuple(chain.from_iterable(said)), columns)
    return as_jobs(columns)
