"""What the store holds already of what is pushed: so that the same body sent again stores nothing.

Pushes are of the last seconds, and so are the segments that they have to be compared with: small ones, each decoded
once in a process. What is committed between looking and locking is looked at in the lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import numpy as np
from django.db.models import Max

from measurements.domain.samples import Samples, concatenate, empty_samples, resolve
from measurements.domain.units import MS_PER_S, IntArray, ms_from_datetime
from measurements.models import Segment
from measurements.store import SampleStore, Selection, samples_from_parquet

RECENT_MS = 120 * MS_PER_S  # what is older is looked up by itself: one late sender must not have the whole day read
DECODED_SAMPLES = 400_000  # kept decoded in a process: 10 MB

_decoded: OrderedDict[tuple[int, str], Samples] = OrderedDict()


class KnownSamples:
    """Of one cluster, for one commit."""

    def __init__(self, store: SampleStore, cluster_id: int) -> None:
        self.store, self.cluster_id = store, cluster_id
        self._newest = 0
        self._wanted: dict[date, list[Selection]] = {}
        self._found: dict[date, Samples] = {}

    def look(self, by_day: Mapping[date, Sequence[tuple[int, Samples]]], now: datetime) -> None:
        """Read what there is of some days' samples."""
        self._newest = Segment.objects.filter(cluster_id=self.cluster_id).aggregate(pk=Max("pk"))["pk"] or 0
        limit = ms_from_datetime(now) - RECENT_MS
        for day, parts in by_day.items():
            self._wanted[day] = _selections([part for _, part in parts], limit)
            found = [self._scan(day, wanted, 0) for wanted in self._wanted[day]]
            self._found[day] = resolve(concatenate(found))[0]

    def look_at_newer(self) -> None:
        """In the lock: what others committed meanwhile."""
        newer = Segment.objects.filter(cluster_id=self.cluster_id, pk__gt=self._newest, day__in=self._wanted)
        for day in set(newer.values_list("day", flat=True)):
            later = concatenate([self._scan(day, wanted, self._newest) for wanted in self._wanted[day]])
            both = [self._found[day], later]
            self._found[day] = resolve(concatenate(both), np.repeat([0, 1], [len(part) for part in both]))[0]

    def of(self, day: date) -> Samples:
        """What is known of a day, sorted and unique."""
        return self._found.get(day, empty_samples())

    def _scan(self, day: date, wanted: Selection, after: int) -> Samples:
        try:
            return self._read(day, wanted, after)
        except FileNotFoundError:  # folded since the rows were read
            return self._read(day, wanted, after)

    def _read(self, day: date, wanted: Selection, after: int) -> Samples:
        rows = list(
            Segment.objects.filter(
                cluster_id=self.cluster_id,
                day=day,
                pk__gt=after,
                first_ms__lt=wanted.end_ms,
                last_ms__gte=wanted.start_ms,
            )
            .order_by("batch_no", "pk")
            .defer("inline")
        )
        small = _small([row for row in rows if not row.path])
        parts: list[Samples] = []
        batches: list[IntArray] = []
        for row in rows:
            part = _wanted_of(small[row.pk], wanted) if not row.path else self.store.resolved([row], wanted)
            parts.append(part)
            batches.append(np.full(len(part), row.batch_no, np.int64))
        return resolve(concatenate(parts), np.concatenate(batches))[0] if parts else empty_samples()


def _selections(parts: Sequence[Samples], limit_ms: int) -> list[Selection]:
    samples = concatenate(parts)
    recent = samples.t_ms >= limit_ms
    return [_around(samples.take(mask)) for mask in (recent, ~recent) if mask.any()]


def _around(samples: Samples) -> Selection:
    return Selection(np.unique(samples.node), int(samples.t_ms.min()), int(samples.t_ms.max()) + 1)


def _wanted_of(samples: Samples, wanted: Selection) -> Samples:
    return samples.take((samples.t_ms >= wanted.start_ms) & (samples.t_ms < wanted.end_ms))


def _small(rows: Iterable[Segment]) -> dict[int, Samples]:
    """What inline segments hold: decoded once, for a segment never changes."""
    keys = {row.pk: (row.pk, row.sha256) for row in rows}
    found = {pk: samples for pk, key in keys.items() if (samples := _decoded.get(key)) is not None}
    missing = [pk for pk in keys if pk not in found]
    for row in Segment.objects.filter(pk__in=missing) if missing else ():
        found[row.pk] = samples_from_parquet(bytes(row.inline or b""))
        _keep(keys[row.pk], found[row.pk])
    if len(found) < len(keys):
        raise FileNotFoundError("an inline segment was folded meanwhile")
    return found


def _keep(key: tuple[int, str], samples: Samples) -> None:
    _decoded[key] = samples
    while sum(map(len, list(_decoded.values()))) > DECODED_SAMPLES and len(_decoded) > 1:
        _decoded.popitem(last=False)
