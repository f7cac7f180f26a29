"""``ipmitool sdr``, ``ipmitool sensor`` and FreeIPMI's ``ipmi-sensors``: of all sensors of a BMC those in watts.

``name | 270 Watts | ok`` (sdr), ``name | 270.000 | Watts | ok | …`` (sensor), ``name | 77h | ok | 7.1 | 270 Watts``
(sdr elist), ``5 | name | Current | 270.00 | W | 'OK'`` (ipmi-sensors), each with commas too (``-c``,
``--comma-separated-output``). A log is such outputs one below the other, each behind a line ``Timestamp: 2025-05-29
20:58:02 UTC`` or the time alone, as ``date`` prints it; an output without one is a snapshot, whose time ``--at`` says.
Nodes are named by files: ``<node>-<date>.txt``, a tar of them or ``tail -n +1 *`` (lines ``==> path <==``), by what
FreeIPMI, pdsh and clush put before each line of several hosts (``n001: 5 | …``; see `gathered`), else by ``--node``.
What a sensor measures only its name says: one that is not known here is told, and read as ``--rename "PDB Power=node"``
says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import IntArray, Kind
from measurements.parsers.chunks import ChunkMaker, Codes, Rows
from measurements.parsers.clock_texts import ALONE, as_iso
from measurements.parsers.csv_layout import WHOLE_NODE
from measurements.parsers.csv_lines import is_name
from measurements.parsers.facts import with_facts
from measurements.parsers.gathered import Banners, begins_with_hosts, split_hosts
from measurements.parsers.line_table import LineBlock, coded, line_blocks, lines_of, numbers
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.tar_text import FILE_LINE, dated_name, node_of_path
from measurements.parsers.times import Times, parse_times, utc_text

_SENSOR = r"(?i)^(?P<name>[^|]*[^| ]) *\|(?:(?: [^|]*\|){0,3})? *(?P<value>[^| ]+)(?: +| +\| *)watts?(?: *\|.*)?$"
_TIME = r"(?i)^timestamp: *(?P<time>.+)$"
_ELSE = r"^[^|]+\|.*$"  # any other sensor
_STATUS = "(?:ok|ns|nc|cr|na|nr|lnc|unc|lcr|ucr)"
_HOST = r"(?:[\w.-]+: +)?"
_UNIT = "(?:W|Watts|C|V|A|RPM|%|degrees C|Volts|Amps|percent)"
# With commas: a line of ipmitool has a status as its fourth cell or its last, one of FreeIPMI begins with a number.
_COMMAS = rf"^(?:[^,|]+(?:,[^,|]*){{0,2}},{_STATUS}(?:,[^|]*)?|(?:\d+|ID),[^,|]+,[^|]*)$"
_FREEIPMI = r"^\d+ *\| *(?P<name>[^|]*[^| ]) *\|(?:[^|]*\|){0,2} *(?P<value>[^| ]+) *\| *(?:W|Watts) *(?:\|.*)?$"
_FREEIPMI_HEAD = re.compile(rf"{_HOST}ID *([|,]) *Name *\1")
_FREEIPMI_LINE = re.compile(
    rf"{_HOST}\d+ *([|,])[^|,]+\1(?:[^|,]*\1){{1,3}} *{_UNIT} *\1 *(?:'.*'|N/A)\s*", re.IGNORECASE
)
_IPMITOOL_CSV = re.compile(rf"{_HOST}[A-Za-z][^,|;]*,-?[\d.]+,{_UNIT},{_STATUS}(?:,.*)?\s*")
_OF_NODE = frozenset(
    {
        *("sys power", "system power", "total power", "node power", "server power", "power meter", "system level"),
        *("pwr consumption", "power consumption", "pw consumption", "total system power", "sys total power"),
        *("total sys power", "system input power", "sys input power", "system power consumption"),
    }
)
# What is of a chassis that nodes share, or the same power once more behind its conversion, is no power of the node.
_LEFT_OUT = re.compile(r"chassis power|psu power|.*(?:limit|cap|budget|threshold|avail).*|.*\b(?:p?out|output)\b.*")
_CHANNELS = (
    (re.compile(r"(?:total )?cpu (?:power|pwr)"), "cpu"),
    (re.compile(r"(?:mem|memory|dimm) (?:power|pwr)"), "dram"),
    (re.compile(r"gpu (?:board )?(?:power|pwr)"), "gpu"),
    (re.compile(r"(?:sys )?fan (?:power|pwr)"), "fan"),
    (re.compile(r"psu? ?(\d+) (?:ac )?(?:in(?:put)?|power) ?(?:power|pwr)?"), r"psu\1"),
    (re.compile(r"power supply ?(\d+)(?: (?:input|in))?(?: (?:power|pwr))?"), r"psu\1"),
    (re.compile(r"psu? ?(\d+) (?:(?:power|pwr) (?:input|in)|pin)"), r"psu\1"),
    (re.compile(r"cpu ?(\d+) (?:power|pwr)"), r"cpu\1"),
    (re.compile(r"gpu ?(\d+) (?:power|pwr)"), r"gpu\1"),
    (re.compile(r"riser ?(\d+) (?:power|pwr)"), r"riser\1"),
)
_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,63}")
Said = TypeVar("Said")
_NOT_SAID = "\0"  # a time or a node that nothing has named yet


def matches(head: str) -> bool:
    """Whether one of the first lines is a sensor as ipmitool or FreeIPMI prints them."""
    reading = re.compile(rf"[^|,;]+\|.*\| *{_STATUS} *(?:\||$)")
    forms = (reading.match, _FREEIPMI_HEAD.match, _FREEIPMI_LINE.fullmatch, _IPMITOOL_CSV.fullmatch)
    return any(form(line) for line in head.splitlines()[:400] for form in forms)


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The powers of a log of sensors; the whole node's is in the channel ``node``, its parts in others."""
    yield from with_facts(_chunks(source, options, now_ms, block_bytes), ChannelFacts("ipmi_sensor"))


@dataclass(slots=True)
class _Above:
    """What stands above the lines to come: the node they are of, and when they were taken."""

    node: str
    time: str = _NOT_SAID
    line: int = 0  # that says the time


@dataclass(slots=True)
class _Reader:
    """What is known from the lines so far."""

    options: ParseOptions
    now_ms: int
    above: dict[str, _Above]  # by the host before the line; an empty name where there is none
    of_hosts: bool  # whether hosts stand before lines
    common: tuple[str, int] = (_NOT_SAID, 0)  # the last time that was said without a host, and its line
    banners: Banners = field(default_factory=Banners)
    counts: dict[tuple[str, str], str] = field(default_factory=dict)  # node and channel → the sensor that is read
    left_out: dict[str, None] = field(default_factory=dict)  # what was not used and why, each once
    untold: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)  # sensor → the channel that the operator says

    def rows(self, block: LineBlock) -> tuple[Rows, list[Refusal]]:
        """The lines of a block as rows, and those that are none."""
        block, hosts, begins = self._by_host(block)
        block = LineBlock(_as_ipmitool(block.texts), block.number, block.raw)
        files, is_file = block.extract(FILE_LINE)
        times, is_time = block.extract(_TIME)
        paths = pc.struct_field(files.filter(pa.array(is_file)), "path").to_pylist()
        stamps = pc.struct_field(times.filter(pa.array(is_time)), "time").to_pylist()
        first = [self.above.setdefault(host, _Above(self.options.node or host)) for host in hosts]
        at_file, at_time = np.flatnonzero(is_file), np.flatnonzero(is_time)
        # A file begins without a time: the one of the file before is not its own.
        stated = _in_order(
            (begins, [(one.time, one.line) for one in first]),
            (at_file, [(_NOT_SAID, line) for line in block.number[at_file].tolist()]),
            (at_time, list(zip(stamps, block.number[at_time].tolist(), strict=True))),
        )
        named = [self.options.node or node_of_path(path) or _NOT_SAID for path in paths]
        nodes = _in_order((begins, [one.node for one in first]), (at_file, named))
        is_first = np.zeros(len(block.number), np.int64)
        is_first[begins] = 1
        node_code = np.cumsum(is_first + is_file) - 1
        time_code = np.cumsum(is_first + is_file + is_time) - 1
        for one, last in zip(first, [*(begins[1:] - 1), len(block.number) - 1], strict=True):
            one.node, (one.time, one.line) = nodes[node_code[last]], stated[time_code[last]]
        if self.of_hosts:
            of_all = np.array([not host for host in hosts])[np.cumsum(is_first) - 1] & (is_file | is_time)
            stated, time_code = self._or_of_all(block.number, stated, time_code, np.flatnonzero(of_all))
        fields, is_power = block.extract(_SENSOR)
        _, is_sensor = block.extract(_ELSE)
        known = is_power | is_sensor | is_file | is_time | block.blank
        refusals = block.refused("unreadable line", "neither a sensor nor a time", ~known)
        return self._powers(
            fields.filter(pa.array(is_power)), block.picked(is_power), refusals,
            (nodes, node_code[is_power]), ([text for text, _ in stated], time_code[is_power]),
        )  # fmt: skip

    def _or_of_all(
        self, number: IntArray, stated: list[tuple[str, int]], code: IntArray, of_all: IntArray
    ) -> tuple[list[tuple[str, int]], IntArray]:
        """The time of each line: its host's, or what was said since without a host, and so of all."""
        said = [self.common, *(stated[code[place]] for place in of_all.tolist())]
        self.common = said[-1]
        lines = np.array([line for _, line in said])
        last = np.searchsorted(lines, number, side="right") - 1
        newer = lines[last] > np.array([line for _, line in stated])[code]
        return stated + said, np.where(newer, len(stated) + last, code)

    def _by_host(self, block: LineBlock) -> tuple[LineBlock, list[str], IntArray]:
        """The lines of each host together and in their order, without its name; the hosts, and where each begins."""
        texts = self.banners.lines(block.texts)
        if not self.of_hosts:
            return LineBlock(_timed(texts), block.number, block.raw), [""], np.zeros(1, np.int64)
        texts, host = split_hosts(texts)
        code, names = coded(host)
        order = np.argsort(code, kind="stable")
        begins = np.searchsorted(code[order], np.arange(len(names))).astype(np.int64)
        return LineBlock(_timed(texts.take(pa.array(order))), block.number[order], block.raw), names, begins

    def _powers(
        self,
        fields: pa.StructArray,
        block: LineBlock,
        refusals: list[Refusal],
        nodes: tuple[list[str], IntArray],
        times: tuple[list[str], IntArray],
    ) -> tuple[Rows, list[Refusal]]:
        value, wrong = numbers(pc.replace_substring_regex(pc.struct_field(fields, "value"), "(?i)^(no|disabled)$", ""))
        refusals += block.refused("not a number", "the watts", wrong)
        sensor, names = coded(pc.struct_field(fields, "name"))
        node = nodes[1]
        channels, channel = self._channels(names, sensor, nodes[0], node)
        unnamed = np.array([name == _NOT_SAID or not is_name(name) for name in nodes[0]], bool)[node]
        keep = (channel >= 0) & ~np.isnan(value)
        refusals += block.refused("no node", "say it with --node", unnamed & keep)
        keep &= ~unnamed
        timeless = np.array([text == _NOT_SAID and self.options.at_ms is None for text in times[0]], bool)[times[1]]
        refusals += block.refused("no time", "say when it was taken with --at", timeless & keep)
        keep &= ~timeless
        rows = Rows(
            nodes=nodes[0],
            channels=channels,
            kinds=[Kind.GAUGE] * len(channels),
            node=node[keep].astype(np.int32),
            channel=channel[keep],
            times=self._times(times[0], times[1][keep]),
            value=value[keep],
            line=block.number[keep],
        )
        return rows, refusals

    def _channels(self, names: list[str], sensor: Codes, nodes: list[str], node: IntArray) -> tuple[list[str], Codes]:
        """The channel of each row, -1 where it is none of the node's; of two whole powers the first seen counts."""
        channels: dict[str, int] = {}
        pairs, of_row = np.unique(node * max(len(names), 1) + sensor, return_inverse=True)
        codes = np.full(len(pairs), -1, np.int32)
        for i, pair in enumerate(pairs.tolist()):
            channel = self._channel(nodes[pair // len(names)], names[pair % len(names)])
            if channel is not None:
                codes[i] = channels.setdefault(channel, len(channels))
        return list(channels), codes[of_row]

    def _channel(self, node: str, name: str) -> str | None:
        channel = self.renamed.get(name.casefold()) or channel_of(name)
        if channel is None:
            self._tell(f"{name}: not used, for {_why_not(name)}")
        elif (first := self.counts.setdefault((node, channel), name)) != name:
            whose = "the node's power" if channel == WHOLE_NODE else channel
            self._tell(f"{name}: not used where {first} says {whose} too")
            return None
        return channel

    def _tell(self, text: str) -> None:
        if text not in self.left_out:
            self.left_out[text] = None
            self.untold.append(text)

    def _times(self, texts: list[str], code: IntArray) -> Times:
        """The time of each row by the last stamp above it, else ``--at``."""
        at_ms = self.options.at_ms
        instants = [utc_text(at_ms) if text == _NOT_SAID and at_ms is not None else text for text in texts]
        zone = self.options.time_zone
        return parse_times(as_iso(pa.array(instants, pa.string()), zone).take(pa.array(code)), zone, self.now_ms)


def _timed(texts: pa.Array) -> pa.Array:
    """The lines, and a time alone as a logger would say it."""
    return pc.replace_substring_regex(texts, rf"^({ALONE})$", r"Timestamp: \1")


def _as_ipmitool(texts: pa.Array) -> pa.Array:
    """Every line as ipmitool prints it with bars."""
    commas = pc.match_substring_regex(texts, _COMMAS)
    texts = pc.if_else(commas, pc.replace_substring(texts, ",", " | "), texts)
    fields = pc.extract_regex(texts, _FREEIPMI)
    name, value = (pc.struct_field(fields, part) for part in ("name", "value"))
    texts = pc.if_else(pc.is_valid(fields), pc.binary_join_element_wise(name, value, " | "), texts)
    return pc.if_else(pc.is_valid(fields), pc.binary_join_element_wise(texts, "Watts | ok", " "), texts)


def _why_not(name: str) -> str:
    if _LEFT_OUT.fullmatch(_plain(name)):
        return "it is no power that a node draws by itself"
    return f'its name does not say what it measures: --rename "{name}=node" reads it as the node\'s power'


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\s]+", " ", name).casefold().split())


def channel_of(name: str) -> str | None:
    """The channel of a power sensor by its name; None where it is none of the node's own."""
    plain = _plain(name).removeprefix("system board ")
    if plain in _OF_NODE:
        return WHOLE_NODE
    if _LEFT_OUT.fullmatch(plain):
        return None
    for pattern, channel in _CHANNELS:
        if match := pattern.fullmatch(plain):
            return match.expand(channel)
    return None


def _chunks(source: Source, options: ParseOptions, now_ms: int, block_bytes: int) -> Iterator[PowerChunk]:
    maker = ChunkMaker(source)
    node = options.node or dated_name(source.name) or _NOT_SAID
    of_hosts = begins_with_hosts(lines_of(source.head()).texts, "[|,]")
    reader = _Reader(options, now_ms, {"": _Above(node)}, of_hosts, renamed=_renamed(source, options))
    for block in line_blocks(source, block_bytes):
        rows, refusals = reader.rows(block)
        maker.warnings += reader.untold
        reader.untold = []
        yield from maker.make(rows, block.raw, refusals)
    yield from maker.finish()


def _in_order(*said: tuple[IntArray, list[Said]]) -> list[Said]:
    """What lines say in the order of the lines; of one line in the order given."""
    places = np.concatenate([at for at, _ in said])
    texts = [one for _, some in said for one in some]
    return [texts[i] for i in np.argsort(places, kind="stable").tolist()]


def _renamed(source: Source, options: ParseOptions) -> dict[str, str]:
    """Sensors and the channels that they are by ``--rename``."""
    wrong = next((name for _, name in options.rename if not _CHANNEL.fullmatch(name)), None)
    if wrong is not None:
        raise UnusableFile(f"{source.name}: --rename: {wrong!r} is no channel; give one such as node, cpu0 or psu1")
    return {sensor.casefold(): channel for sensor, channel in options.rename}
