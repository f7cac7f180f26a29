"""What the tests of series share: series and values in, plain rows out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import PowerChunk
from measurements.parsers.series import Catalogue, SeriesSamples
from tests.measurements.parsers.reading import NOW_MS

T0_MS = 1_740_830_400_000  # 2025-03-01T12:00:00Z
Sample = tuple[str, Mapping[str, str], int, float]  # metric, labels, ms after T0, value


def catalogue(own: Path | None = None, node: str | None = None) -> Catalogue:
    """A fresh one, with the shipped mappings."""
    return Catalogue(load_mappings(own), node)


def own_mapping(folder: Path, text: str, name: str = "own.toml") -> Path:
    """A folder with one mapping file of a site's own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def taken(known: Catalogue, samples: Iterable[Sample], told: set[int] | None = None) -> PowerChunk:
    """A chunk of some samples; each is on a line of its own, from 1."""
    rows = list(samples)
    columns = SeriesSamples(
        np.array([known.code(metric, labels) for metric, labels, _, _ in rows], np.int32),
        np.array([T0_MS + after for _, _, after, _ in rows], np.int64),
        np.array([value for *_, value in rows], np.float64),
        np.arange(1, len(rows) + 1, dtype=np.int64),
    )
    return known.chunk(columns, NOW_MS, told)


def plain(chunk: PowerChunk) -> list[tuple[str, str, str, int, int]]:
    """Node, channel, kind, ms after T0 and stored value of each sample, sorted."""
    rows = zip(chunk.node.tolist(), chunk.channel.tolist(), chunk.t_ms.tolist(), chunk.value.tolist(), strict=True)
    return sorted(
        (chunk.nodes[node], chunk.channels[channel], chunk.kinds[channel].value, t_ms - T0_MS, value)
        for node, channel, t_ms, value in rows
    )


def refused(chunk: PowerChunk) -> list[tuple[str, int]]:
    """Reason and line of each refusal."""
    return [(refusal.reason, refusal.line) for refusal in chunk.refusals]
