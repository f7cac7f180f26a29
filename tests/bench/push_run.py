"""Push at real rate, with a kill and a full disk in between, and compare what was acknowledged with what is there."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.bench.push_load import CHANNELS, COUNTERS, Outcome, Plan, Senders
from tests.services.push_site import CLUSTER, PushSite

DRAIN_S = 120.0
LOOK_S = 2.0
TWIN = "twin"
_ONE_SEGMENT = (
    "from measurements.models import Cluster, Segment; from measurements.services.upkeep import compact\n"
    "for day in set(Segment.objects.values_list('day', flat=True)): compact(Cluster.objects.get(), day)"
)


@dataclass
class Result:
    """What one run gave."""

    plan: Plan
    outcome: Outcome
    resident_mib: list[float] = field(default_factory=list)  # since the last start, sampled
    restarts: int = 0
    lost: int = 0  # samples acknowledged and not in the store
    wrong: int = 0  # samples in the store that nobody sent so
    stored: int = 0
    minutes_bytes_per_sample: float = 0.0  # as the folds of minutes leave it, while the hour lasts
    bytes_per_sample: float = 0.0  # once it is one segment a day
    ledger: dict[str, float] = field(default_factory=dict)
    twin: dict[str, float] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        """Samples that were answered with 200."""
        return int(self.outcome.acknowledged.sum()) * len(CHANNELS)

    def p99_ms(self) -> float:
        """Of the answers with 200."""
        return float(np.percentile(self.outcome.answers_s, 99)) * 1000 if self.outcome.answers_s else float("nan")


def run(site: PushSite, nodes: int, turns: int, every_s: float, threads: int = 16, full_s: float = 10.0) -> Result:
    """All of it: a third in the disk is full for a while, at two thirds the server is killed and started again."""
    names = [f"n{number:04d}" for number in range(nodes)]
    secret = site.prepare(names)
    site.start()
    plan = Plan(names, turns, every_s, int(time.time() * 1000) + 1000)
    senders = Senders(plan, site.port, secret, threads)
    result = Result(plan, senders.outcome)
    length_s = turns * every_s
    is_full, is_killed = threading.Event(), threading.Event()
    senders.gates = [
        (turns // 3, is_full),
        (2 * turns // 3, is_killed),
    ]  # somebody still sends then, however late it is
    senders.start()
    _watch(site, result, length_s / 3)
    with site.full_disk():
        is_full.set()
        _watch(site, result, full_s)
        _wait_for(senders.outcome, 503)
    _watch(site, result, max(0.0, length_s / 3 - full_s))
    site.kill()
    is_killed.set()
    time.sleep(1.0)
    _wait_for(senders.outcome, 0)
    site.start()
    result.restarts, result.resident_mib = 1, []
    _watch(site, result, length_s / 3)
    senders.join(DRAIN_S)
    _watch(site, result, LOOK_S)
    _compare(site, result)
    return result


def _wait_for(outcome: Outcome, status: int) -> None:
    """Until some sender was answered so."""
    last = time.monotonic() + DRAIN_S
    while not outcome.statuses.get(status) and time.monotonic() < last:
        time.sleep(0.05)


def _watch(site: PushSite, result: Result, seconds: float) -> None:
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        time.sleep(min(LOOK_S, max(0.05, last - time.monotonic())))
        result.resident_mib.append(site.resident_mib())


def _compare(site: PushSite, result: Result) -> None:
    """What is in the store against what was sent and acknowledged; then the ledger against a file of the same."""
    told = json.loads(site.manage("attribute", "--cluster", CLUSTER, "--json"))
    site.stop()
    found = read_store(site.var, CLUSTER)
    expected = _expected(result.plan, result.outcome.acknowledged)
    possible = _expected(result.plan, result.outcome.sent)
    result.lost = sum(1 for key, value in expected.items() if found.get(key) != value)
    result.wrong = sum(1 for key, value in found.items() if possible.get(key) != value)
    result.stored = len(found)
    result.minutes_bytes_per_sample = _bytes_per_sample(site.var)
    site.manage("shell", "--command", _ONE_SEGMENT)
    result.bytes_per_sample = _bytes_per_sample(site.var)
    result.ledger = _figures(told)
    result.twin = _booked_from_a_file(site, result.plan, found)


Key = tuple[str, str, int]  # node, channel, ms


def _expected(plan: Plan, turns: np.ndarray) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for node, turn in zip(*(axis.tolist() for axis in np.nonzero(turns)), strict=True):
        at = plan.t_ms(node, turn)
        for channel, value in zip(CHANNELS, plan.values(node, turn), strict=True):
            found[plan.nodes[node], channel, at] = value
    return found


def read_store(var: Path, cluster: str) -> dict[Key, int]:
    """All samples of a cluster, read without a line of the site's own code."""
    found: dict[Key, int] = {}
    with closing(sqlite3.connect(var / "joulebook.sqlite3")) as database:
        names = {
            pk: (node, channel)
            for pk, node, channel in database.execute(
                "SELECT c.id, n.name, c.name FROM measurements_channel c JOIN measurements_node n ON c.node_id = n.id"
            )
        }
        segments = database.execute(
            "SELECT s.path, s.inline FROM measurements_segment s JOIN measurements_cluster c ON s.cluster_id = c.id "
            "WHERE c.name = ? ORDER BY s.id",
            (cluster,),
        )
        for path, inline in segments:
            table = pq.ParquetFile(var / "samples" / path if path else io.BytesIO(inline)).read()
            columns = (table.column(name).to_pylist() for name in ("channel", "t", "value"))
            for channel, t, value in zip(*columns, strict=True):
                key = (*names[channel], t)
                assert found.setdefault(key, value) == value, f"two values of {key}"
    return found


def _bytes_per_sample(var: Path) -> float:
    with closing(sqlite3.connect(var / "joulebook.sqlite3")) as database:
        size, rows = database.execute("SELECT sum(bytes), sum(rows) FROM measurements_segment").fetchone()
    return float(size) / float(rows)


def _booked_from_a_file(site: PushSite, plan: Plan, found: dict[Key, int]) -> dict[str, float]:
    """The same samples as a file into a cluster of the same nodes: what the ledger then says."""
    site.load_nodes(plan.nodes, TWIN)
    files = {"watts": ["timestamp,node,channel,watts\n"], "joules": ["timestamp,node,channel,joules\n"]}
    for (node, channel, at), value in sorted(found.items()):
        unit, scale = ("joules", 1e6) if channel in COUNTERS else ("watts", 1e3)
        files[unit].append(f"{at // 1000}.{at % 1000:03d},{node},{channel},{value / scale:.6f}\n")
    paths = [site.var / f"{unit}.csv" for unit in files]
    for path, lines in zip(paths, files.values(), strict=True):
        path.write_text("".join(lines))
    site.manage("ingest_power", *map(str, paths), "--cluster", TWIN)
    return _figures(json.loads(site.manage("attribute", "--cluster", TWIN, "--json")))


def _figures(told: dict[str, float]) -> dict[str, float]:
    return {name: told[name] for name in ("metered_j", "jobs_j", "unallocated_j", "covered_s")}
