"""Rows of the roll-up of usage as columns, with the records of their hours one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from measurements.domain.blame import WASTED
from measurements.domain.profiles import HOURS_PER_DAY, unpacked_hours
from measurements.domain.slot_sums import consecutive
from measurements.domain.slurm import ENDED_BY_TIME, NOT_ENDED
from measurements.domain.units import EPOCH_DAY, BoolArray, FloatArray, IntArray
from measurements.models import UsageDay
from measurements.selectors.frames import columns_of, day_numbers, plain

_COLUMNS = ("pk", "cluster_id", "cluster__name", "node_type_id", "state", "first_hour", "hours")
_PLAIN = (plain("day"), plain("excused"))
_RUNNING = NOT_ENDED - ENDED_BY_TIME


@dataclass(frozen=True, slots=True)
class Labels:
    """A text of each of k rows."""

    names: tuple[str, ...]  # each once
    code: IntArray  # [k] its place in names

    def are(self, some: frozenset[str]) -> BoolArray:
        """Where it is one of some [k]."""
        return np.array([name in some for name in self.names], bool)[self.code]


@dataclass(frozen=True, slots=True)
class UsageRows:
    """k rows in an order that depends on content alone, by day first; and all their records of hours [m]."""

    day: IntArray  # UTC day since 1970, ascending
    cluster: IntArray
    node_type: IntArray
    wasted: BoolArray  # its jobs came to nothing, and that is their user's doing
    running: BoolArray  # its jobs have not ended
    labels: Mapping[str, Labels]  # by field
    owner: IntArray  # [m] the row of each record, ascending
    hour: IntArray  # [m] since 1970
    records: FloatArray  # [m, 12] `measurements.domain.profiles`

    def of_days(self, first: date, last: date) -> UsageRows:
        """Those of the UTC days [first, last]."""
        begin, end = np.searchsorted(self.day, [(first - EPOCH_DAY).days, (last - EPOCH_DAY).days + 1]).tolist()
        rows, each = slice(begin, end), slice(*np.searchsorted(self.owner, [begin, end]).tolist())
        return UsageRows(
            self.day[rows], self.cluster[rows], self.node_type[rows], self.wasted[rows], self.running[rows],
            {field: Labels(text.names, text.code[rows]) for field, text in self.labels.items()},
            self.owner[each] - begin, self.hour[each], self.records[each],
        )  # fmt: skip


def usage_rows(rows: QuerySet[UsageDay], fields: Sequence[str]) -> UsageRows:
    """Rows of the roll-up with the texts that are asked for; one query."""
    # Put in order here: a database would carry the records through its sort.
    others = [field for field in fields if field not in _COLUMNS]  # none is read twice
    every: tuple[str | Combinable, ...] = (*_COLUMNS, *_PLAIN, *others)
    pk, cluster, name, node_type, state, first_hour, hours, day, excused, *texts = columns_of(
        rows.order_by().values_list(*every), len(every)
    )
    days, clusters, states = day_numbers(day), _labels(name), _labels(state)
    labels = {"cluster__name": clusters, "state": states, **dict(zip(others, map(_labels, texts), strict=True))}
    rank = np.argsort(np.argsort(np.array(clusters.names, object)))[clusters.code] if clusters.names else clusters.code
    order = np.lexsort((_numbers(pk), rank, days))
    owner, records = unpacked_hours([hours[i] for i in order.tolist()])
    begins = (days * HOURS_PER_DAY + _numbers(first_hour))[order]
    return UsageRows(
        day=days[order],
        cluster=_numbers(cluster)[order],
        node_type=_numbers(node_type)[order],
        wasted=(states.are(WASTED) & ~np.array(excused, bool))[order],
        running=states.are(_RUNNING)[order],
        labels={field: Labels(labels[field].names, labels[field].code[order]) for field in fields},
        owner=owner,
        hour=consecutive(begins, np.bincount(owner, minlength=len(order))),
        records=records,
    )


def _numbers(column: Sequence[Any]) -> IntArray:
    return np.array(column, np.int64)


def _labels(column: Sequence[Any]) -> Labels:
    code, names = pd.factorize(np.array(column, object))
    return Labels(tuple(map(str, names)), code.astype(np.int64))
