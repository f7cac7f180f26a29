"""A process of its own: ingest, compact and attribute a cluster's day; prints each step's peak memory as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import django

KIB_PER_GIB = 1 << 20


def peak_gib() -> float:
    """The most memory this process has held since the peak was forgotten [GiB]; unlike ru_maxrss, its own only."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise RuntimeError("/proc/self/status has no VmHWM")
    return int(found.group(1)) / KIB_PER_GIB


def forget_peak() -> None:
    """Let the kernel count the peak anew, from what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """Arguments: cluster, a power log of an hour, the day's jobs."""
    django.setup()
    from measurements.models import Cluster
    from tests.bench.world import attribute, compact_day, ingest, ingest_jobs

    name, power, jobs = sys.argv[1:]
    cluster = Cluster.objects.get(name=name)
    steps: dict[str, Callable[[], None]] = {
        "ingest": lambda: ingest(cluster, Path(power)),
        "compact": lambda: compact_day(cluster),
        "jobs": lambda: ingest_jobs(cluster, Path(jobs)),
        "attribute": lambda: attribute(cluster),
    }
    peaks = {}
    for step, work in steps.items():
        forget_peak()
        work()
        peaks[step] = peak_gib()
    print(json.dumps(peaks))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
