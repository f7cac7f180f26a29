"""Reads the worked cases of docs/integration.md and turns them into what attribution takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from measurements.domain.attribution import Holdings, MeterPeriod, NodeDay, Policy, Series
from measurements.domain.integrate import max_gap_ms, nominal_interval_ms, wrap_limit_mw
from measurements.domain.units import MS_PER_S, Kind, day_start_ms

PAGE = Path(__file__).resolve().parents[3] / "docs" / "integration.md"
BLOCK = re.compile(r"^```case\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (\d+) \| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
ANY_DAY = "2024-10-04"
LONG_AGO_S = -10 * 86_400

Case = dict[str, Any]


def worked_cases(kind: str | None = None) -> list[Case]:
    """The cases of the page, in its order; of one kind if it is named."""
    cases: list[Case] = [json.loads(text) for text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    return [case for case in cases if kind is None or case.get("kind", "joules") == kind]


def table_rows() -> list[tuple[int, str, list[float]]]:
    """Rule, name and joules of each line of the table."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [(int(rule), name, [_number(part) for part in re.split(r" \+ |, then ", j)]) for rule, name, j in rows]


def _number(text: str) -> float:
    return float(text.replace(" ", ""))


def numbers_in(value: object) -> Iterator[float]:
    """Every number anywhere in a case."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, int | float):
        yield float(value)


def day_of(case: Case) -> int:
    """The instant the case's day begins at [ms]."""
    return day_start_ms(date.fromisoformat(case.get("date", ANY_DAY)))


def node_days(case: Case, day_ms: int) -> list[NodeDay]:
    """The case's nodes; ``day_ms`` is the day that is attributed, which may be the one after the case's."""
    return [_node_day(spec, day_of(case), day_ms) for spec in case.get("nodes", [case])]


def _node_day(spec: Case, origin_ms: int, day_ms: int) -> NodeDay:
    node = spec.get("node", {})
    return NodeDay(
        series=[_series(name, channel, origin_ms, day_ms) for name, channel in spec["channels"].items()],
        meter=[_meter_period(period, origin_ms) for period in _periods(spec["meter"])],
        holdings=_holdings(list(_jobs(spec)), origin_ms),
        cpus=node.get("cpus", 0),
        gpus=node.get("gpus", 0),
        idle_mw=_milliwatts(node.get("idle_w")),
        ceiling_mw=_milliwatts(node.get("ceiling_w")),
        policy=Policy(node.get("policy", "allocation")),
        gpu_idle_mw=_milliwatts(node.get("gpu_idle_w")),
        off_ms=[(origin_ms + _ms(start), origin_ms + _ms(end)) for start, end in node.get("off_s", ())],
    )


def _milliwatts(watts: float | None) -> int:
    return -1 if watts is None else round(watts * 1_000)


def _ms(seconds: float) -> int:
    return round(seconds * MS_PER_S)


def _series(name: str, channel: Case, origin_ms: int, day_ms: int) -> Series:
    kind = Kind.COUNTER if "joules" in channel else Kind.GAUGE
    points = channel.get("joules") or channel.get("watts") or _steady(*channel["steady"])
    t_ms = origin_ms + np.array([_ms(t) for t, _ in points], dtype=np.int64)
    readings = np.array([value for _, value in points], dtype=np.float64)
    value = np.rint(readings * kind.stored_per_unit).astype(np.int64)
    nominal = _ms(channel["interval_s"]) if "interval_s" in channel else nominal_interval_ms(t_ms, day_ms)
    explicit = _ms(channel["max_gap_s"]) if "max_gap_s" in channel else None
    wrap_uj = round(channel.get("wrap_j", 0) * 1_000_000)
    begins_ms = [origin_ms + _ms(second) for second in channel.get("other_device_s", ())]
    breaks_ms = [origin_ms + _ms(second) for second in channel.get("left_out_s", ())]
    limit_mw = wrap_limit_mw(channel.get("source", ""), wrap_uj)
    gap_ms = max_gap_ms(kind, nominal, explicit)
    return Series(name, kind, t_ms, value, nominal, gap_ms, wrap_uj, begins_ms, breaks_ms, limit_mw)


def _steady(watts: float, every_s: int, from_s: int, until_s: int) -> list[tuple[float, float]]:
    return [(t, watts) for t in range(from_s, until_s + 1, every_s)]


def _periods(meter: list[Any]) -> list[Case]:
    """A bare list of channels has been the meter for long."""
    return [{"from_s": LONG_AGO_S, "channels": meter}] if isinstance(meter[0], str) else meter


def _meter_period(period: Case, origin_ms: int) -> MeterPeriod:
    return MeterPeriod(origin_ms + _ms(period["from_s"]), tuple(period["channels"]), tuple(period.get("gpus", ())))


def _jobs(spec: Case) -> Iterator[Case]:
    """The case's jobs; one that repeats is written out."""
    for job in spec.get("jobs", []):
        for i in range(job.get("repeat", 1)):
            shift = i * job.get("every_s", 0)
            for _ in range(job.get("times", 1)):
                yield {**job, "start_s": job["start_s"] + shift, "end_s": job["end_s"] + shift}


def _holdings(jobs: list[Case], origin_ms: int) -> Holdings:
    stated = {True: 1, False: 0, None: -1}
    rates = [job.get("cpu_rate") for job in jobs]
    cpus = [job.get("cpus") for job in jobs]
    masks = [sum(1 << i for i in job.get("gpu_indices", ())) for job in jobs]
    return Holdings(
        start_ms=np.array([origin_ms + _ms(job["start_s"]) for job in jobs], dtype=np.int64),
        end_ms=np.array([origin_ms + _ms(job["end_s"]) for job in jobs], dtype=np.int64),
        cpus=np.array([-1 if n is None else n for n in cpus], dtype=np.int64),
        gpus=np.array([job.get("gpus", 0) for job in jobs], dtype=np.int64),
        gpu_mask=np.array(masks, dtype=np.uint64),
        exclusive=np.array([stated[job.get("exclusive")] for job in jobs], dtype=np.int8),
        cpu_rate=np.array([np.nan if rate is None else rate for rate in rates], dtype=np.float64),
    )
