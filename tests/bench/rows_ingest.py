"""Ingest against a row per sample, the parser against the csv module, and what compaction makes of a day."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from django.db.models import Sum

from measurements.domain.units import DAY_MS
from measurements.models import Segment
from measurements.parsers import power_csv
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.parsers.source import Source
from tests.bench.baseline import create_table, drop_table, parse_lines, store_rows
from tests.bench.generate import DAY_START_MS, SLOTS_PER_DAY
from tests.bench.harness import Row, median_s, timed
from tests.bench.world import World

SAMPLES_PER_S = 2e6
OVER_BULK_CREATE = 30.0
PARSE_OVER_READER = 8.0
BYTES_PER_SAMPLE = 2.0


def rows(world: World) -> list[Row]:
    """All of them."""
    ingest_rate, orm_rate = world.samples / median(world.ingest_s), _bulk_create_rate(world)
    return [
        Row("CSV to committed segments", ingest_rate / 1e6, "M samples/s", SAMPLES_PER_S / 1e6, at_least=True),
        Row("Django bulk_create, a row per sample", orm_rate / 1e6, "M samples/s"),
        Row("the former over the latter", ingest_rate / orm_rate, "x", OVER_BULK_CREATE, at_least=True),
        *_parsing(world),
        *_compaction(world, orm_rate),
    ]


def _bulk_create_rate(world: World) -> float:
    """Rows a second through the ORM into an empty table with its unique constraint."""
    samples, count = world.power.slots(0, SLOTS_PER_DAY // 24), world.scale.row_samples
    seconds = []
    for _ in range(world.scale.repeats):
        create_table()
        seconds.append(timed(lambda: store_rows(samples, world.names, count)))
        drop_table()
    return min(count, len(samples)) / median(seconds)


def _parsing(world: World) -> list[Row]:
    path, count = world.power_file, min(world.scale.row_samples, world.samples)
    now_ms = DAY_START_MS + 2 * DAY_MS
    ours_s = median_s(lambda: _drain(power_csv.read(Source(path), ParseOptions(), now_ms)), world.scale.repeats)
    theirs_s = median_s(lambda: parse_lines(path, count), world.scale.repeats)
    rate, baseline = world.samples / ours_s, count / theirs_s
    return [
        Row("parse power CSV", rate / 1e6, "M lines/s"),
        Row("over csv.DictReader and fromisoformat", rate / baseline, "x", PARSE_OVER_READER, at_least=True),
    ]


def _drain(chunks: Iterable[PowerChunk]) -> None:
    for _ in chunks:
        pass


def _compaction(world: World, orm_rate: float) -> list[Row]:
    """Samples a second when the day's segments become one, and its size."""
    rate = world.samples / median(world.compact_s)
    size = Segment.objects.filter(cluster=world.cluster).aggregate(bytes=Sum("bytes"), rows=Sum("rows"))
    return [
        Row("compact a day", rate / 1e6, "M samples/s"),
        Row("over Django bulk_create", rate / orm_rate, "x", OVER_BULK_CREATE, at_least=True),
        Row("whole watts after compaction", size["bytes"] / size["rows"], "B/sample", BYTES_PER_SAMPLE),
    ]
