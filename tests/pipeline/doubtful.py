"""Logs with planted faults, and what rules found in them as canonical text."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.pipeline.rich_input import write
from tests.pipeline.site import Farm, Site

C = ("--cluster", "c")
NODES = (*(f"n{n},a,64,,," for n in range(1, 9)), "pdu,meter,,,rack,")
DAY = "2026-03-01"
SPIKE_MINUTE = 720
STILL = range(300, 480)  # minutes in which n2's sensor stands still
HEADER = "timestamp,node,watts,channel"
FOUND = """
import json
names = ("cluster__name", "channel__node__name", "channel__name", "channel__kind", "day", "rule", "start_ms", "end_ms")
rows = models.Doubt.objects.values_list(*names, "samples", "state", "decided_by", "detail")
print(json.dumps(sorted([str(value) if not isinstance(value, dict) else value for value in row] for row in rows)))
"""


def readings(day: str = DAY, *, faults: bool = True) -> list[str]:
    """A day minute by minute: n1 with a spike, n2 that stands still, n3 to n5 with one reading, others, a PDU."""
    draw = random.Random(day)
    shared = [draw.randint(900, 1600) for _ in range(1440)]
    lines = []
    for minute in range(1440):
        at = f"{day}T{minute // 60:02d}:{minute % 60:02d}:00Z"
        busy = 300 * (minute // 90 % 2)
        watts = {"n1": 200 + busy + draw.randint(0, 9), "n2": 220 + busy + draw.randint(0, 9)}
        cpu = 80 + busy * 0.8 + draw.random()
        watts |= {f"n{n}": shared[minute] + (0 if faults else draw.randint(1, 99)) for n in (3, 4, 5)}
        watts |= {f"n{n}": 300 + draw.randint(0, 99) for n in (6, 7, 8)}
        watts["pdu"] = sum(watts.values()) + 10
        if faults:
            watts["n1"] = 90_000 if minute == SPIKE_MINUTE else watts["n1"]
            watts["n2"] = 225 if minute in STILL else watts["n2"]
        lines += [f"{at},{node},{value},node" for node, value in watts.items()]
        lines.append(f"{at},n2,{cpu:.2f},cpu0")
    return lines


def doubtful_site(farm: Farm, folder: Path) -> Site:
    """The cluster without any readings."""
    site = farm.new()
    nodes = write(folder / "nodes.csv", "node,node_type,cpus,gpus,level,parent", list(NODES))
    site.do("load_nodes", nodes, *C)
    return site


def taken(site: Site, path: Path, lines: list[str], *more: str) -> dict[str, Any]:
    """Give readings as a file."""
    return site.json("ingest_power", write(path, HEADER, lines), *C, "--interval", "60", *more)


def found(site: Site) -> list[list[Any]]:
    """What rules found, without ids."""
    rows: list[list[Any]] = json.loads(site.evaluate(FOUND))
    return rows


def brief(site: Site) -> list[tuple[str, str, str]]:
    """Node, rule and state of each."""
    return [(row[1], row[5], row[9]) for row in found(site)]
