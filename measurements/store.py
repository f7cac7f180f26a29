"""The sample store: Parquet segments, committed through the database.

A segment is a file (or, if small, bytes in its row) that is never changed. Its row in
the table `Segment` is what makes it exist; nothing outside this module knows about files.
Layout: ``<root>/cluster=<name>/day=<YYYY-MM-DD>/part-<id>.parquet``, columns node,
channel (ids of the database), t (ms since 1970, UTC), value (mW or µJ), as any Parquet reader reads it.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from numpy.typing import NDArray

from measurements.domain.samples import Samples, concatenate, empty_samples, resolve, runs_of
from measurements.domain.units import MW_PER_W, IntArray, day_from_ms
from measurements.models import Channel, Cluster, Segment

ROW_GROUP = 65_536
LONG_SERIES = 500  # samples of a channel in a segment
GROUPS_AT_ONCE = 16
QUICK_ZSTD = 3  # while samples come in
DENSE_ZSTD = 9  # of a day that is over: written once, a tenth smaller, read as fast
INLINE_BYTES = 32_768
RUBBISH_AGE_S = 3_600
_SCHEMA = pa.schema([("node", pa.int32()), ("channel", pa.int32()), ("t", pa.int64()), ("value", pa.int64())])
_INCOMING = "_incoming"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples of a day are wanted: of these nodes (ascending ids), in [start, end)."""

    nodes: NDArray[np.int32]
    start_ms: int
    end_ms: int
    channels: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Footer:
    """What a segment's file says of its row groups: least and greatest node, channel and instant of each."""

    metadata: pq.FileMetaData
    low: IntArray  # [3, row groups]
    high: IntArray

    def may_hold(self, wanted: Selection) -> list[int]:
        """The row groups in which something wanted may be."""
        keep = (self.high[2] >= wanted.start_ms) & (self.low[2] < wanted.end_ms)
        keep &= _any_between(wanted.nodes, self.low[0], self.high[0])
        if wanted.channels is not None:
            keep &= _any_between(wanted.channels, self.low[1], self.high[1])
        found: list[int] = np.flatnonzero(keep).tolist()
        return found


@lru_cache(maxsize=512)
def _footer(path: Path) -> Footer:
    """Kept, for a segment never changes and is read block by block."""
    return _read_footer(path)


def _read_footer(source: Path | io.BytesIO) -> Footer:
    metadata = pq.read_metadata(source)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    statistics = [[group.column(i).statistics for group in groups] for i in range(3)]
    low = np.array([[s.min for s in column] for column in statistics], np.int64).reshape(3, -1)
    high = np.array([[s.max for s in column] for column in statistics], np.int64).reshape(3, -1)
    return Footer(metadata, low, high)


def _any_between(ids: NDArray[np.int32], low: IntArray, high: IntArray) -> NDArray[np.bool_]:
    return np.searchsorted(ids, low) < np.searchsorted(ids, high, side="right")


class SampleStore:
    """Reads and writes segments below ``root`` (the setting JOULEBOOK_VAR's ``samples``)."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else Path(settings.JOULEBOOK_VAR) / "samples"

    # --- writing ----------------------------------------------------------------------------

    def write(
        self,
        cluster: Cluster,
        day: date,
        samples: Samples,
        *,
        level: int = 0,
        unique: bool = True,
        inline: bool = False,
    ) -> Segment:
        """Write sorted samples of one day; the row given back is not saved: its saving is the commit."""
        buffer = io.BytesIO()
        with open_writer(buffer, samples) as writer:
            writer.write_table(_table(samples), row_group_size=ROW_GROUP)
        data = buffer.getvalue()
        segment = Segment(
            cluster=cluster,
            day=day,
            level=level,
            unique=unique,
            rows=len(samples),
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            first_ms=int(samples.t_ms.min()),
            last_ms=int(samples.t_ms.max()),
        )
        if inline and len(data) <= INLINE_BYTES:
            segment.inline = data
        else:
            incoming = self.incoming_path()
            incoming.write_bytes(data)
            segment.path = self.publish(incoming, cluster, day)
        return segment

    def incoming_path(self) -> Path:
        """A fresh file name for something not yet committed."""
        folder = self.root / _INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{uuid.uuid4().hex}.parquet"

    def publish(self, incoming: Path, cluster: Cluster, day: date) -> str:
        """Make a written file durable under its final name, which is given back."""
        name = f"cluster={cluster.name}/day={day.isoformat()}/part-{uuid.uuid4().hex}.parquet"
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        sync_to_disk(incoming)
        incoming.rename(final)
        sync_to_disk(final.parent)
        return name

    def discard(self, segments: Iterable[Segment]) -> None:
        """Remove files of segments that were never committed."""
        for segment in segments:
            if segment.path:
                (self.root / segment.path).unlink(missing_ok=True)

    def retire(self, segments: Iterable[Segment]) -> None:
        """Before a swap: let the files of replaced segments live another hour for their readers."""
        now = time.time()
        for segment in segments:
            if segment.path and (self.root / segment.path).exists():
                os.utime(self.root / segment.path, (now, now))

    def sweep(self, *, age_s: float = RUBBISH_AGE_S) -> int:
        """Remove files that no row names and that are older than ``age_s``; how many."""
        if not self.root.exists():
            return 0
        limit = time.time() - age_s
        old = [p for p in self.root.rglob("*.parquet") if p.stat().st_mtime < limit]
        known = set(Segment.objects.exclude(path="").values_list("path", flat=True))
        rubbish = [p for p in old if p.relative_to(self.root).as_posix() not in known]
        for path in rubbish:
            path.unlink(missing_ok=True)
        return len(rubbish)

    # --- reading ----------------------------------------------------------------------------

    def read(self, channel_ids: Sequence[int], start_ms: int, end_ms: int) -> Samples:
        """The samples of some channels in [start, end), sorted by node, channel, time; unique."""
        if not channel_ids or start_ms >= end_ms:
            return empty_samples()

        rows = Channel.objects.filter(pk__in=channel_ids).values_list("node_id", "node__cluster_id", "pk")
        by_cluster: dict[int, list[tuple[int, int]]] = {}
        for node_id, cluster_id, pk in rows:
            by_cluster.setdefault(cluster_id, []).append((node_id, pk))
        parts = []
        for cluster_id, pairs in sorted(by_cluster.items()):
            nodes = np.unique(np.array([n for n, _ in pairs], np.int32))
            channels = np.unique(np.array([c for _, c in pairs], np.int32))
            parts.append(self.scan(cluster_id, Selection(nodes, start_ms, end_ms, channels)))
        return concatenate(parts)

    def scan(self, cluster_id: int, wanted: Selection) -> Samples:
        """The samples wanted, sorted by node, channel, time; of duplicates the later batch's."""
        try:
            return self._scan(cluster_id, wanted)
        except FileNotFoundError:  # folded or compacted since the rows were read
            return self._scan(cluster_id, wanted)

    def _scan(self, cluster_id: int, wanted: Selection) -> Samples:
        rows = Segment.objects.filter(
            cluster_id=cluster_id,
            day__gte=day_from_ms(wanted.start_ms),
            day__lte=day_from_ms(wanted.end_ms - 1),
            first_ms__lt=wanted.end_ms,
            last_ms__gte=wanted.start_ms,
        ).order_by("day", "batch_no", "pk")
        return self.resolved(rows, wanted)

    def resolved(self, rows: Iterable[Segment], wanted: Selection) -> Samples:
        """What some segments hold of what is wanted; days do not overlap, segments of one day may."""
        parts: list[Samples] = []
        batches: list[IntArray] = []
        certain = True
        days: set[date] = set()
        for row in rows:
            part = self._load(row, wanted)
            if len(part):
                certain &= row.unique and row.day not in days
                days.add(row.day)
                parts.append(part)
                batches.append(np.full(len(part), row.batch_no or 0, np.int64))  # drafts have no number yet
        if not parts:
            return empty_samples()
        if certain and len(parts) == 1:
            return parts[0]
        return resolve(concatenate(parts), np.concatenate(batches))[0]

    def _load(self, segment: Segment, wanted: Selection) -> Samples:
        footer = _footer(self.root / segment.path) if segment.path else _read_footer(self._inline(segment))
        groups = footer.may_hold(wanted)
        if not groups:
            return empty_samples()
        parts = []
        with self.open(segment, footer) as file:
            for lot in range(0, len(groups), GROUPS_AT_ONCE):  # few of many may be wanted
                samples = _samples(file.read_row_groups(groups[lot : lot + GROUPS_AT_ONCE], use_threads=False))
                parts.append(samples.take(_mask(samples, wanted)))
        return concatenate(parts)

    def everything(self, segment: Segment) -> Samples:
        """All samples of one segment, sorted as it is."""
        return _samples(self.open(segment).read(use_threads=False))

    def open(self, segment: Segment, footer: Footer | None = None) -> pq.ParquetFile:
        """The segment as a Parquet file."""
        source = self.root / segment.path if segment.path else self._inline(segment)
        return pq.ParquetFile(source, metadata=footer.metadata if footer else None, memory_map=bool(segment.path))

    @staticmethod
    def _inline(segment: Segment) -> io.BytesIO:
        return io.BytesIO(bytes(segment.inline or b""))

    def node_ids(self, segment: Segment) -> NDArray[np.int32]:
        """The nodes a segment holds samples of, ascending."""
        file = self.open(segment)
        found = [
            np.unique(file.read_row_group(i, columns=["node"], use_threads=False).column(0).to_numpy())
            for i in range(file.metadata.num_row_groups)
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int32)


def open_writer(target: Path | io.BytesIO, like: Samples, *, zstd_level: int = QUICK_ZSTD) -> pq.ParquetWriter:
    """A writer of segments for samples such as these, sorted.

    Whole watts take few values: a dictionary of them is smaller than differences of milliwatts. Differences pay where
    series are long: between two short ones they leap, and each leap widens a whole block. Of a minute's pushes it is
    smaller to keep the bytes apart, first with first and last with last (docs/performance.md).
    """
    long_series = len(like) >= LONG_SERIES * len(runs_of(like.channel))
    whole_watts = bool(np.all(like.value % MW_PER_W == 0))
    encoding = "DELTA_BINARY_PACKED" if long_series else "BYTE_STREAM_SPLIT"
    return pq.ParquetWriter(
        target,
        _SCHEMA,
        compression="zstd",
        compression_level=zstd_level,
        use_dictionary=["node", "channel", "value"] if whole_watts else ["node", "channel"],
        column_encoding={"t": encoding} | ({} if whole_watts else {"value": encoding}),
    )


def write_part(writer: pq.ParquetWriter, samples: Samples) -> None:
    """Append sorted samples to a segment being written."""
    writer.write_table(_table(samples), row_group_size=ROW_GROUP)


def _table(samples: Samples) -> pa.Table:
    return pa.table([samples.node, samples.channel, samples.t_ms, samples.value], schema=_SCHEMA)


def _samples(table: pa.Table) -> Samples:
    node, channel, t, value = (column.to_numpy() for column in table.columns)
    return Samples(node, channel, t, value)


def samples_from_parquet(data: bytes) -> Samples:
    """All samples of a segment's bytes, or of anything else kept in its columns."""
    return _samples(pq.ParquetFile(io.BytesIO(data)).read(use_threads=False))


def _mask(samples: Samples, wanted: Selection) -> NDArray[np.bool_] | slice:
    keep = (samples.t_ms >= wanted.start_ms) & (samples.t_ms < wanted.end_ms)
    keep &= _one_of(samples.node, wanted.nodes)
    if wanted.channels is not None:
        keep &= _one_of(samples.channel, wanted.channels)
    return slice(None) if keep.all() else keep


def _one_of(values: NDArray[np.int32], ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    if not len(values) or not len(ids):
        return np.zeros(len(values), bool)
    low = int(values.min())
    table = np.zeros(int(values.max()) - low + 1, bool)
    inside = ids[(ids >= low) & (ids <= int(values.max()))]
    table[inside - low] = True
    return table[values - low]


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def days_between(first: date, last: date) -> list[date]:
    """All days from first to last, both included."""
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]
