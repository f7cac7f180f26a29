"""Nodes that nobody described: found in the jobs and the power logs, described by what is seen of them, and written
to a file to be put right."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from measurements.domain.hostlist import compress
from measurements.models import Cluster
from measurements.parsers.records import NodeRecord
from measurements.selectors.observed import held_parts, idle_means

UNKNOWN_TYPE = "unknown"
COLUMNS = ("node", "node_type", "cpus", "gpus", "idle_w", "rated_w", "ceiling_w", "gpu_idle_w", "level", "guessed")
NOT_READ = "columns not read: guessed"  # what the parser says of the last one
_WATTS = 1  # decimals


@dataclass(frozen=True, slots=True)
class Guess:
    """What is seen of some nodes that are alike; None: nothing."""

    nodes: tuple[str, ...]
    cpus: int | None
    gpus: int | None

    def records(self) -> Iterator[NodeRecord]:
        """As a parser of node descriptions would give them."""
        for node in self.nodes:
            yield NodeRecord(0, node, UNKNOWN_TYPE, cpus=self.cpus, gpus=self.gpus)


def unknown_names(known: Iterable[str], in_jobs: Iterable[str], in_power: Iterable[str]) -> list[str]:
    """The names to be added so that every name is one of a node; a long name is that of its short one."""
    names = set(known)
    for found in (in_jobs, in_power):
        fresh = [name for name in set(found) if name not in names and name.partition(".")[0] not in names]
        short = {name for name in fresh if "." not in name}
        names |= {name for name in fresh if name in short or name.partition(".")[0] not in short}
    return sorted(names - set(known))


def guesses(cluster: Cluster, names: Sequence[str]) -> list[Guess]:
    """Cores and GPUs of some nodes: the most that jobs held on one at the same time."""
    parts = held_parts(cluster, names)
    most = {name: (_most(group, "cpus"), _most(group, "gpus")) for name, group in parts.groupby("node_name")}
    alike: dict[tuple[int | None, int | None], list[str]] = {}
    for name in names:
        alike.setdefault(most.get(name, (None, None)), []).append(name)
    return [Guess(tuple(nodes), cpus, gpus) for (cpus, gpus), nodes in alike.items()]


def _most(parts: pd.DataFrame, column: str) -> int | None:
    """The largest sum of a column over allocations that held a node at the same time; None if it is never said."""
    amount = pd.to_numeric(parts[column]).to_numpy(np.float64)
    start = parts["start_ms"].to_numpy(np.int64)
    end = pd.to_numeric(parts["end_ms"]).to_numpy(np.float64)  # nan: runs
    said = (amount > 0) & ~(end <= start)
    if not said.any():
        return None
    ended = said & ~np.isnan(end)
    times = np.concatenate([end[ended], start[said]])
    steps = np.concatenate([-amount[ended], amount[said]])
    order = np.argsort(times, kind="stable")  # at one instant those that end come first
    return int(np.cumsum(steps[order]).max())


def nodes_csv(found: Sequence[Guess]) -> str:
    """The file: a row for all nodes that look alike, its last column naming what is guessed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for guess in found:
        idle = None if guess.gpus else _median(idle_means(guess.nodes))
        said = {"cpus": guess.cpus, "gpus": guess.gpus, "idle_w": None if idle is None else round(idle, _WATTS)}
        guessed = " ".join(["node_type", *(name for name, value in said.items() if value is not None)])
        row = {"node": compress(guess.nodes), "node_type": UNKNOWN_TYPE, **said, "guessed": guessed}
        writer.writerow(["" if row.get(column) is None else row[column] for column in COLUMNS])
    return out.getvalue()


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def write_beside(page: Path, text: str) -> Path:
    """Write nodes.csv beside the page, or nodes-2.csv, …: a file that is there is never overwritten."""
    number = 1
    while True:
        path = page.with_name("nodes.csv" if number == 1 else f"nodes-{number}.csv")
        if path.exists() and path.is_file() and path.read_bytes() == text.encode():
            return path
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            number += 1
        else:
            return path
