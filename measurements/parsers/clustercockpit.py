"""ClusterCockpit job archives: the power of a job's nodes from data.json, the job from meta.json.

Sample i of a series is at the job's start + i × timestep; null is missing. Every scope a
metric has becomes channels of its own (``cpu`` of a whole node beside ``cpu0``, ``cpu1``):
they nest and are never to be added. A sample's line is its position, from 1, among all values
of the power metrics in the order of the file, nulls counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from measurements.domain.units import MS_PER_S, FloatArray, IntArray, Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.clustercockpit_job import META_LIMIT_BYTES, Json, document, matches_job, read_job, start_of
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.csv_lines import is_name
from measurements.parsers.gpu_index import accelerators_of, gpu_indices
from measurements.parsers.job_rows import RowRefused
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.times import TimeRefused, times_from_epoch

__all__ = ["matches_job", "matches_power", "read_job", "read_power"]

MAX_TIMESTEP_S = 86_400
_PREFIX = {"": 1.0, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6}
_NO_DRAW = ("limit", "cap", "budget", "tdp")  # parts of names of metrics in W that are no consumption
# metric → (channel, scopes whose ids number it); of two metrics for one channel the first listed here is taken
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("node_power", "node_total_power", "total_power", "system_power", "ipmi_power", "dcmi_power", "power"),
        (WHOLE_NODE, ()),
    ),
    **dict.fromkeys(("cpu_power", "rapl_power", "pkg_power", "package_power"), ("cpu", ("socket", "die"))),
    **dict.fromkeys(("mem_power", "dram_power", "memory_power"), ("dram", ("socket", "die", "memoryDomain"))),
    **dict.fromkeys(("acc_power", "gpu_power", "accelerator_power"), ("gpu", ("accelerator",))),
    "core_power": ("core", ("core", "hwthread")),
}


@dataclass(frozen=True, slots=True)
class _Metric:
    """One power metric in one scope."""

    name: str
    scope: str
    channel: str
    numbered: bool  # whether the series' ids are the channel's numbers
    watts: float  # W in one unit of its values
    timestep_s: float
    series: list[Json]
    first_line: int


def matches_power(head: str) -> bool:
    """Whether a text begins like a job's data.json (or is its meta.json, which `read_power` explains)."""
    start = head.lstrip()
    return start.startswith("{") and (('"series"' in start and '"hostname"' in start) or matches_job(head))


def read_power(source: Source, _options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The power samples of one job folder, or of a data.json beside its meta.json."""
    meta_path = source.meta_path
    if meta_path is None:
        raise UnusableFile(f"{source.name}: data.json and meta.json are read together; give the job's folder")
    meta = document(Source(meta_path).read_all(META_LIMIT_BYTES), f"{source.name}: meta.json")
    start_ms = _start_ms(meta, source, now_ms)
    data = document(source.read_all(), source.name)
    maker = ChunkMaker(source)
    known = accelerators_of(meta, source.path.parent)
    for metric in _power_metrics(data, maker.warnings):
        maker.interval_ms = round(metric.timestep_s * MS_PER_S)
        yield from _metric_chunks(metric, start_ms, known, maker, now_ms)
    yield from maker.finish()


def _start_ms(meta: Json, source: Source, now_ms: int) -> int:
    try:
        return start_of(meta, now_ms)
    except (RowRefused, TimeRefused) as error:
        raise UnusableFile(f"{source.name}: startTime in meta.json is no usable time ({error})") from error


def _power_metrics(data: Json, warnings: list[str]) -> list[_Metric]:
    """The metrics that are power, in the order of the file; what is left out is told in ``warnings``."""
    found: list[_Metric] = []
    line = 1
    for name, scopes in data.items():
        for scope, content in scopes.items() if isinstance(scopes, dict) else ():
            watts = _watts(name, content)
            if watts is None:
                if "power" in name.casefold():
                    warnings.append(f"metric {name}: not used, for it is no power drawn in W")
                continue
            metric = _metric(name, scope, content, watts, line)
            if metric is None:
                warnings.append(f"metric {name} ({scope}): not used, for it has no timestep or no series")
                continue
            line += sum(len(_values(series)) for series in metric.series)
            found.append(metric)
    return _one_a_channel(found, warnings)


def _watts(name: str, content: object) -> float | None:
    """W in one unit of a metric's values; None if it is no power drawn."""
    unit = content.get("unit") if isinstance(content, dict) else None
    if isinstance(unit, str):  # older archives
        unit = {"base": unit[-1:], "prefix": unit[:-1]}
    if not isinstance(unit, dict) or unit.get("base") != "W" or any(part in name.casefold() for part in _NO_DRAW):
        return None
    prefix = unit.get("prefix") or ""
    return _PREFIX.get(prefix) if isinstance(prefix, str) else None


def _metric(name: str, scope: str, content: Json, watts: float, line: int) -> _Metric | None:
    timestep, series = content.get("timestep"), content.get("series")
    if not isinstance(timestep, int | float) or isinstance(timestep, bool) or not isinstance(series, list):
        return None
    if not 0 < timestep <= MAX_TIMESTEP_S:
        return None
    channel, numbering = _FAMILIES.get(name.casefold(), (name.casefold().removesuffix("_power"), ()))
    numbered = scope in numbering
    if scope != "node" and not numbered:
        channel = f"{channel}_{scope.casefold()}"
    good = [one for one in series if isinstance(one, dict)]
    return _Metric(name, scope, channel, numbered, watts, float(timestep), good, line)


def _one_a_channel(found: list[_Metric], warnings: list[str]) -> list[_Metric]:
    """Of several metrics for the same channel the one listed first in `_FAMILIES`."""
    rank = {name: i for i, name in enumerate(_FAMILIES)}
    taken: dict[tuple[str, bool], _Metric] = {}
    for metric in sorted(found, key=lambda metric: rank.get(metric.name.casefold(), len(rank))):
        first = taken.setdefault((metric.channel, metric.scope == "node"), metric)
        if first is not metric:
            warnings.append(f"metric {metric.name} ({metric.scope}): not used, for {first.name} is the same channel")
    return [metric for metric in found if metric in taken.values()]


def _values(series: Json) -> list[Any]:
    values = series.get("data")
    return values if isinstance(values, list) else []


def _metric_chunks(
    metric: _Metric, start_ms: int, known: dict[str, list[str]], maker: ChunkMaker, now_ms: int
) -> Iterator[PowerChunk]:
    """All series of a metric as one chunk."""
    nodes: dict[str, int] = {}
    channels: dict[str, int] = {}
    refusals: list[Refusal] = []
    codes, values, lines, samples = [], [], [], []
    first = metric.first_line
    for series, number in zip(metric.series, _numbers(metric, known, maker.warnings), strict=True):
        count, host = len(_values(series)), series.get("hostname")
        if isinstance(host, str) and host.strip() and is_name(host):
            channel = metric.channel + number
            codes.append((nodes.setdefault(host, len(nodes)), channels.setdefault(channel, len(channels)), count))
            values.append(_watt_values(metric, _values(series), first, refusals))
            lines.append(np.arange(first, first + count))
            samples.append(np.arange(count))
        else:
            refusals.append(Refusal("unreadable series", first, f"{metric.name} without a host name"))
        first += count
    node, channel_codes = (np.repeat([code[i] for code in codes], [code[2] for code in codes]) for i in (0, 1))
    t_s: FloatArray = start_ms / MS_PER_S + _joined(samples).astype(np.float64) * metric.timestep_s
    rows = Rows(
        list(nodes), list(channels), [Kind.GAUGE] * len(channels),
        node.astype(np.int32), channel_codes.astype(np.int32),
        times_from_epoch(t_s, now_ms), np.concatenate([np.zeros(0), *values]), _joined(lines),
    )  # fmt: skip
    yield from maker.make(rows, lambda line: f"{metric.name}, {metric.scope}, value {line}", refusals)


def _joined(arrays: list[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def _numbers(metric: _Metric, known: dict[str, list[str]], warnings: list[str]) -> list[str]:
    """What a series adds to its channel's name: nothing for a whole node, else its id.

    Ids that are missing or come twice on a host say nothing: its series are numbered in order.
    """
    if metric.scope == "node":
        return [""] * len(metric.series)
    of_host: dict[str, list[int]] = {}
    for position, series in enumerate(metric.series):
        of_host.setdefault(str(series.get("hostname")), []).append(position)
    numbers = [""] * len(metric.series)
    for host, positions in of_host.items():
        ids = [str(metric.series[position].get("id", "")) for position in positions]
        if len(set(ids)) < len(ids) or not all(one and is_name(one) for one in ids):
            warnings.append(f"metric {metric.name} ({metric.scope}) of {host}: ids missing or twice, counted in order")
            ids = [str(i) for i in range(len(ids))]
        indices = gpu_indices(ids, known.get(host, [])) if metric.channel == "gpu" else {}
        for position, one in zip(positions, ids, strict=True):
            numbers[position] = str(indices.get(one, one))
    return numbers


def _watt_values(metric: _Metric, values: list[Any], first: int, refusals: list[Refusal]) -> FloatArray:
    """Values in W, NaN for null; what is no number is refused."""
    if not {type(value) for value in values} <= {int, float, type(None)}:
        values = list(values)
        for i, value in enumerate(values):
            if type(value) not in (int, float, type(None)):
                refusals.append(Refusal("not a number", first + i, f"{str(value)[:80]!r} in {metric.name}"))
                values[i] = None
    try:
        return np.array(values, dtype=np.float64) * metric.watts
    except OverflowError:  # an integer beyond float64
        return np.array([float("inf") if isinstance(v, int) and abs(v) >> 1000 else v for v in values], np.float64)
