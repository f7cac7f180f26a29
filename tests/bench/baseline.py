"""What Joulebook is measured against: a row per sample through the ORM, a line at a time through the csv module."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

from django.db import connection, models

from tests.bench.generate import Samples


class SampleRow(models.Model):
    """The obvious table: one row per sample. It exists in the benchmark's scratch database only."""

    node = models.CharField(max_length=64)
    channel = models.CharField(max_length=16)
    t_ms = models.BigIntegerField()
    watts = models.FloatField()

    class Meta:
        app_label = "bench"
        managed = False
        constraints = [models.UniqueConstraint(fields=["node", "channel", "t_ms"], name="sample_row_once")]

    def __str__(self) -> str:
        return f"{self.node} {self.t_ms}"


def create_table() -> None:
    """Make the table, empty."""
    with connection.schema_editor() as editor:
        editor.create_model(SampleRow)


def drop_table() -> None:
    """Remove the table and its rows."""
    with connection.schema_editor() as editor:
        editor.delete_model(SampleRow)


def store_rows(samples: Samples, names: list[str], count: int) -> None:
    """Put the first samples into the table, as objects in one bulk_create; parsing is not counted against it."""
    columns = (samples.node[:count].tolist(), samples.t_ms[:count].tolist(), samples.watts[:count].tolist())
    rows = (
        SampleRow(node=names[node], channel="node", t_ms=t_ms, watts=watts)
        for node, t_ms, watts in zip(*columns, strict=True)
    )
    SampleRow._default_manager.bulk_create(rows)


def parse_lines(path: Path, count: int) -> int:
    """Read the first lines of a power log with csv.DictReader and datetime.fromisoformat; returns how many."""
    parsed: list[tuple[str, float, float]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            instant = datetime.fromisoformat(row["timestamp"])
            parsed.append((row["node"], instant.timestamp(), float(row["watts"])))
            if len(parsed) == count:
                break
    return len(parsed)
