"""Push as 1,000 node agents do it: every acknowledged sample is in the ledger, whatever happens in the middle."""

from __future__ import annotations

from tests.bench.harness import FULL, QUICK, Row
from tests.bench.push_load import CHANNELS
from tests.bench.push_run import Result, run
from tests.bench.world import World
from tests.services.push_site import push_site

BYTES_PER_SAMPLE = 3.0
GROWTH = 1.3  # of the server's memory from its start under load to its end
EVERY_S = 10.0


def rows(world: World) -> list[Row]:
    """A full disk for ten seconds at a third, a kill at two thirds."""
    nodes = world.scale.nodes
    seconds = {FULL.name: 600.0, QUICK.name: 90.0}.get(world.scale.name, 6.0)
    every_s = EVERY_S if seconds > 60 else 1.0
    with push_site() as site:
        result = run(site, nodes, int(seconds / every_s), every_s, full_s=min(10.0, seconds / 6))
    return told(result, seconds)


def told(result: Result, seconds: float) -> list[Row]:
    """What a run gave, as rows."""
    early, late = _ends(result.resident_mib)
    due = result.plan.turns * len(result.plan.nodes) * len(CHANNELS)
    return [
        Row("pushed: samples acknowledged", result.acknowledged, "samples", due, at_least=True),
        Row("pushed: rate", result.acknowledged / seconds, "samples/s"),
        Row("pushed: acknowledged and not in the store", result.lost, "samples", 0),
        Row("pushed: in the store, and never sent so", result.wrong, "samples", 0),
        Row("pushed: ledger against the same as a file", _apart(result), "J", 0),
        Row("pushed: answers, 99th percentile", result.p99_ms(), "ms"),
        Row("pushed: size after folding", result.bytes_per_sample, "B/sample", BYTES_PER_SAMPLE),
        Row("pushed: size while its hour lasts", result.minutes_bytes_per_sample, "B/sample"),
        Row("pushed: the server's memory at the end", late, "MiB"),
        Row("pushed: the same over that a while after its start", late / early, "x", GROWTH),
        Row("pushed: answers that no sender should get", len(result.outcome.wrong), "answers", 0),
    ]


def _apart(result: Result) -> float:
    return max(abs(result.ledger[name] - result.twin[name]) for name in result.ledger)


def _ends(resident_mib: list[float]) -> tuple[float, float]:
    """Median of the second tenth and of the last tenth of what was sampled since the last start."""
    tenth = max(1, len(resident_mib) // 10)
    first, last = sorted(resident_mib[tenth : 2 * tenth] or resident_mib), sorted(resident_mib[-tenth:])
    return first[len(first) // 2], last[len(last) // 2]
