"""InfluxDB's line protocol, as Telegraf and cc-metric-collector send it.

``measurement,tag=value field=1.5,other=2i [time]``: each field that is a number is a series of its own, called
``measurement_field`` (``measurement`` alone where the field is ``value``), with the tags as its labels. What the
whole numbers of time stamps count is not on the line and must be declared where it is not ns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import FloatArray, IntArray
from measurements.parsers.body import Body
from measurements.parsers.chunks import EMPTY
from measurements.parsers.line_table import LineBlock, as_mask, lines_of
from measurements.parsers.mapping_rules import Action
from measurements.parsers.mappings import load_mappings
from measurements.parsers.openmetrics import NO_TIME, NO_TIME_CURE
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.series import Catalogue, SeriesSamples
from measurements.parsers.series_texts import REMEMBERED_TEXTS, CodeCache, finished, is_long
from measurements.parsers.source import BLOCK_BYTES, Source
from measurements.parsers.times import ms_from_ns

NS_OF = {"ns": 1, "us": 1_000, "u": 1_000, "µ": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TAGS = r"(?:[^\\ ]|\\.)"
_FIELDS = r"(?:[^\\ \"]|\\.|\"(?:[^\"\\]|\\.)*\")"
_LINE = rf"^(?P<series>{_TAGS}+) +(?P<fields>{_FIELDS}+)(?: +(?P<time>-?[0-8]?[0-9]{{1,18}}))?$"
_ONE_FIELD = r"^(?P<field>[^=,\\\"]+)=(?P<value>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)[iu]?$"
_FIELD = re.compile(r'((?:[^\\=,"]|\\.)+)=("(?:[^"\\]|\\.)*"|[^,"\\]+)(?:,|$)')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[iu]?", re.ASCII)
_WORD = re.compile(r'"|[tTfF]$|(?:true|false)$', re.IGNORECASE)
_UNESCAPED_COMMA = re.compile(r"(?<!\\)(?:\\\\)*,")
_ESCAPE = re.compile(r"\\([,= \\])")
_FIRST_LINE = re.compile(rf"{_TAGS}+ +{_FIELDS}*[^\\ \"]={_FIELDS}+(?: +-?[0-9]{{1,19}})?")
_NOT_READ = -2
_OTHER_MESSAGES = frozenset({"event", "log", "control"})  # ClusterCockpit's messages that are no metrics
_PRECISION_CURE = "is what its time stamps count declared (--precision ns, us, ms or s)?"


def matches(head: str) -> bool:
    """Whether a text begins like line protocol."""
    first = next((line for line in head.splitlines() if line.strip() and not line.startswith("#")), "")
    return bool(_FIRST_LINE.fullmatch(first.strip()))


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The power samples of such a text."""
    catalogue = Catalogue(load_mappings(options.mappings), options.node, _PRECISION_CURE)
    reader = LineProtocol(catalogue, options.precision or "ns", options.at_ms)
    for first, block in source.blocks(block_bytes):
        chunk = reader.chunk(block, now_ms, first)
        yield replace(chunk, refusals=[*chunk.refusals, *source.take_refusals()])
    yield finished(catalogue, source)


def chunks(body: bytes, catalogue: Catalogue, precision: str, now_ms: int) -> Iterator[PowerChunk]:
    """The power samples of what somebody sent, block by block; lines without a time are of now."""
    source, told = Body(body), set[int]()
    reader = LineProtocol(catalogue, precision, at_ms=now_ms)
    for first, block in source.blocks() if body.strip() else ():
        yield reader.chunk(block, now_ms, first, told)
    if refused := source.take_refusals():
        yield replace(EMPTY, refusals=refused)


class LineProtocol:
    """Reads line protocol with a catalogue; ``at_ms`` is the instant of lines without a time."""

    def __init__(self, catalogue: Catalogue, precision: str = "ns", at_ms: int | None = None) -> None:
        if precision not in NS_OF:
            raise UnusableFile(f"no precision {precision!r}; known: {', '.join(NS_OF)}")
        self.catalogue = catalogue
        self.at_ms = at_ms
        self._ns = NS_OF[precision]
        self._fields: dict[str, dict[str, int]] = catalogue.remembered("fields of line protocol")
        self._codes = CodeCache(self._code, catalogue.remembered("line protocol"))

    def chunk(self, text: bytes, now_ms: int, first_line: int = 1, told: set[int] | None = None) -> PowerChunk:
        """The samples of a text."""
        every = lines_of(text, first_line)
        said = every.picked(~every.blank & ~as_mask(pc.starts_with(every.texts, "#")))
        fields, whole = said.extract(_LINE)
        refusals = said.refused("unreadable line", "not measurement,tags fields time", ~whole)
        fields, lines = fields.filter(pa.array(whole)), said.picked(whole)
        series, said_fields, times = (pc.struct_field(fields, name) for name in ("series", "fields", "time"))
        row, code, value, wrong = self._values(series, said_fields, lines)
        t_ms, timeless = self._times(times)
        reads = self.catalogue.reads(code)
        lost = np.zeros(len(timeless), bool)
        lost[row[reads]] = True
        refusals += [*wrong, *lines.refused(NO_TIME, NO_TIME_CURE, lost & timeless)]
        keep = ~(reads & timeless[row])
        samples = SeriesSamples(code, t_ms[row], value, lines.number[row]).take(keep)
        chunk = self.catalogue.chunk(samples, now_ms, told)
        return replace(chunk, refusals=[*refusals, *chunk.refusals])

    def _times(self, texts: pa.Array) -> tuple[IntArray, np.ndarray]:
        """Time stamps in ms, and which lines have none and get none."""
        absent = as_mask(pc.equal(texts, ""))
        count = pc.cast(pc.if_else(pa.array(absent), "0", texts), pa.int64(), safe=False).to_numpy(zero_copy_only=False)
        far = np.abs(count.astype(np.float64)) * self._ns > 9e18
        ns = np.where(far, 9 * 10**18, count * np.where(far, 0, self._ns))
        t_ms = np.where(absent, self.at_ms or 0, ms_from_ns(ns))
        return t_ms, absent & (self.at_ms is None)

    def _values(
        self, series: pa.Array, fields: pa.Array, lines: LineBlock
    ) -> tuple[IntArray, np.ndarray, FloatArray, list[Refusal]]:
        """Each field that is a number: the row it is in, its series' code, its value; and what is wrong."""
        one = pc.extract_regex(fields, _ONE_FIELD)
        single = as_mask(pc.is_valid(one))
        names = pc.binary_join_element_wise(series, pc.struct_field(one, "field"), "\n").filter(pa.array(single))
        values = pc.cast(pc.struct_field(one, "value").filter(pa.array(single)), pa.float64())
        rows, codes = [np.flatnonzero(single)], [self._codes.of(names)]
        found = [values.to_numpy(zero_copy_only=False)]
        many, refusals = self._several(series, fields, lines, np.flatnonzero(~single))
        rows.append(np.array([row for row, _, _ in many], np.int64))
        codes.append(np.array([code for _, code, _ in many], np.int32))
        found.append(np.array([value for _, _, value in many], np.float64))
        row, code, value = (np.concatenate(parts) for parts in (rows, codes, found))
        unknown = np.unique(row[code < 0])
        mask = np.zeros(len(lines.number), bool)
        mask[unknown] = True
        refusals += lines.refused("unreadable line", "tags that are not name=value", mask)
        good = code >= 0
        return row[good], code[good], value[good], refusals

    def _several(
        self, series: pa.Array, fields: pa.Array, lines: LineBlock, rows: IntArray
    ) -> tuple[list[tuple[int, int, float]], list[Refusal]]:
        """Lines with several fields, or with words: row, code and value of each number that is read."""
        found: list[tuple[int, int, float]] = []
        refusals: list[Refusal] = []
        picked = pa.array(rows)
        texts = zip(rows.tolist(), series.take(picked).to_pylist(), fields.take(picked).to_pylist(), strict=True)
        for row, name, text in texts:
            known = self._fields_of(name)
            at, before = 0, len(found)
            while match := _FIELD.match(text, at):  # never searched for: that takes the square of a long word
                field, value = match.groups()
                number = _number(value)
                if number is None and not _WORD.match(value):
                    break
                at = match.end()
                if number is None:
                    continue
                code = known.get(field)
                if code is None:
                    code = known[field] = self._first(name, field, row, found)
                if code != _NOT_READ:
                    found.append((row, code, number))
            if at != len(text):
                del found[before:]
                line = int(lines.number[row])
                refusals.append(Refusal("unreadable line", line, "fields that are not name=value", lines.raw(line)))
        return found, refusals

    def _fields_of(self, series: str) -> dict[str, int]:
        """The fields of a series that were seen: their codes, _NOT_READ for those that are not read."""
        if is_long(series):
            return {}
        if len(self._fields) >= REMEMBERED_TEXTS:
            self._fields.clear()
        return self._fields.setdefault(series, {})

    def _first(self, series: str, field: str, row: int, found: list[tuple[int, int, float]]) -> int:
        """What a field's code is; one that is not read is told once."""
        code = self._codes.one(f"{series}\n{field}")
        if code < 0 or self.catalogue.is_read(code):
            return code
        found.append((row, code, np.nan))
        return _NOT_READ

    def _code(self, text: str) -> int:
        """The code of a field's series; -1 if its tags can't be read."""
        series, _, field = text.rpartition("\n")
        measurement, *tags = _split(series)
        field = _unescaped(field)
        metric = measurement if field == "value" else f"{measurement}_{field}"
        if field in _OTHER_MESSAGES:
            return self.catalogue.fixed(Action.IGNORE, metric, "no metric, but another kind of message")
        plain = self.catalogue.plain(metric)
        if plain is not None:
            return plain
        labels: dict[str, str] = {}
        for tag in tags:
            name, equals, value = _parted(tag)
            if not equals or not name:
                return -1
            labels[name] = value
        return self.catalogue.code(metric, labels)


def _number(text: str) -> float | None:
    """A field's value as a number; None if it is none."""
    return float(text.rstrip("iu")) if _NUMBER.fullmatch(text) else None


def _split(series: str) -> list[str]:
    """Measurement and tags, still with escapes in the tags."""
    if "\\" not in series:
        return series.split(",")
    parts, start = [], 0
    for match in _UNESCAPED_COMMA.finditer(series):
        parts.append(series[start : match.end() - 1])
        start = match.end()
    first, *rest = [*parts, series[start:]]
    return [_unescaped(first), *rest]


def _parted(tag: str) -> tuple[str, str, str]:
    """Name and value of a tag."""
    if "\\" not in tag:
        return tag.partition("=")
    match = re.match(r"((?:[^\\=]|\\.)*)(=?)(.*)", tag, re.DOTALL)
    return (_unescaped(match[1]), match[2], _unescaped(match[3])) if match else ("", "", "")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
