"""Power logs of MLPerf Training: ``:::MLLOG`` lines, one file a node, ``node_0.txt``, or a switch, ``sw_0.txt``.

``power_reading`` is in W at ``time_ms``, in ms since 1970 UTC. A log measured behind the power supplies carries a
``conversion_eff``, the factor from there to the wall: what is read is multiplied with it, as the benchmark's own rule
does, wherever in the file it stands. A constant ``interconnect_power_est`` is an estimate without a time: refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import MS_PER_S, Kind
from measurements.parsers.chunks import ChunkMaker, Rows
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.facts import with_facts
from measurements.parsers.line_table import LineBlock, as_mask, line_blocks, numbers
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.tar_text import node_of_path
from measurements.parsers.times import times_from_epoch

_LINE = r"^:::MLLOG +\{.*\}$"
_METADATA_FIRST = r'"metadata": *\{.*\}.*"(?:key|value|time_ms)":'
_TIME = r'"time_ms": *(?P<it>-?[0-9.eE+]+)'
_KEY = r'"key": *"(?P<it>[^"]*)"'
_VALUE = r'"value": *"?(?P<it>[^,"}]*)'
_POWER = re.compile(r':::MLLOG \{.*"key": ?"(?:power_reading|power_measurement_start|interconnect_power_est)"')
_ESTIMATE = "a constant estimate says nothing of when: meter the switches, or write it as a power CSV over the run"
_MOST_FACTOR = 10.0  # from behind a power supply to the wall


def matches(head: str) -> bool:
    """Whether one of the first lines is of a power log of MLPerf Training."""
    return any(_POWER.match(line) for line in head.splitlines()[:100])


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The readings of one node, named by ``--node`` or the file: ``node_0.txt`` is the node node_0."""
    node = options.node or node_of_path(source.name)
    if not node:
        raise UnusableFile(f"{source.name}: the log names no node; name it with --node")
    factor, warnings = _factor(source, block_bytes)
    maker = ChunkMaker(source, warnings=warnings)
    for block in line_blocks(source, block_bytes):
        rows, refusals = _rows(block, node, options, factor, now_ms)
        yield from with_facts(maker.make(rows, block.raw, refusals), ChannelFacts())
    yield from maker.finish()


def _factor(source: Source, block_bytes: int) -> tuple[float, list[str]]:
    """What the readings are multiplied with, 1 where nothing is said; the first that is said counts."""
    said: dict[float, None] = {}
    for block in line_blocks(source, block_bytes):
        lines = block.picked(as_mask(pc.match_substring(block.texts, "conversion_eff")))
        values, _ = numbers(_field(lines, _VALUE))
        said |= dict.fromkeys(values[~np.isnan(values)].tolist())
    source.take_refusals()  # they are told when the readings are read
    good = [value for value in said if 0 < value <= _MOST_FACTOR]
    others = [f"conversion_eff {value:g}: not used" for value in said if value not in good[:1]]
    return (good[0], [f"readings times {good[0]:g}, the log's conversion_eff", *others]) if good else (1.0, others)


def _field(block: LineBlock, pattern: str) -> pa.Array:
    """A field of each line, empty where there is none."""
    return pc.fill_null(pc.struct_field(pc.extract_regex(block.texts, pattern), "it"), "")


def _rows(block: LineBlock, node: str, options: ParseOptions, factor: float, now_ms: int) -> tuple[Rows, list[Refusal]]:
    # What a line says of itself stands before its metadata, in which anything may stand.
    is_log = as_mask(pc.match_substring_regex(block.texts, _LINE))
    is_log &= ~as_mask(pc.match_substring_regex(block.texts, _METADATA_FIRST))
    refusals = block.refused("unreadable line", "no :::MLLOG line", ~is_log & ~block.blank)
    block = block.picked(is_log)
    key = _field(block, _KEY)
    estimated = as_mask(pc.equal(key, "interconnect_power_est"))
    refusals += block.refused("estimate without a time", _ESTIMATE, estimated)
    block = block.picked(as_mask(pc.equal(key, "power_reading")))
    value, wrong = numbers(_field(block, _VALUE))
    refusals += block.refused("not a number", "the power reading", wrong)
    t_ms, _ = numbers(_field(block, _TIME))
    measured = ~np.isnan(value)
    times = times_from_epoch(t_ms[measured] / MS_PER_S, now_ms)
    rows = Rows(
        nodes=[node],
        channels=[options.channel or WHOLE_NODE],
        kinds=[Kind.GAUGE],
        node=np.zeros(len(times.t_ms), np.int32),
        channel=np.zeros(len(times.t_ms), np.int32),
        times=times,
        value=value[measured] * factor,
        line=block.number[measured],
    )
    return rows, refusals
