"""The text that exporters show: Prometheus' exposition format and OpenMetrics, with time stamps or of one instant.

``name{label="value"} 1.5 [time]``; a time is in ms (Prometheus) or in s (OpenMetrics), told apart by its size. What
`promtool tsdb dump` writes is the same with the name among the labels. Lines are split by pyarrow, and what stands
before the value is parsed once for all lines that have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import MS_PER_S, FloatArray, IntArray
from measurements.parsers.chunks import Codes
from measurements.parsers.line_table import LineBlock, as_mask, lines_of
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.series import Catalogue, SeriesSamples
from measurements.parsers.series_texts import CodeCache, finished, series_numbers
from measurements.parsers.source import BLOCK_BYTES, Source

MS_FROM = 1e11  # a time stamp from here on is in ms: as seconds it would be of the year 5138
NO_TIME = "no time"
NO_TIME_CURE = "say when it was taken with --at"
_LABELS = r"\{(?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*\}"
_LINE = (
    r"^(?P<series>[a-zA-Z_:][a-zA-Z0-9_:]*[ \t]*(?:" + _LABELS + r")?|" + _LABELS + r")"
    r"[ \t]+(?P<value>[^ \t#]+)(?:[ \t]+(?P<time>[^ \t#]+))?(?:[ \t]+#.*)?$"
)
_FIRST_LINE = re.compile(
    r"(?:[a-zA-Z_:][a-zA-Z0-9_:]*[ \t]*)?" + _LABELS + r"[ \t]+[-+0-9.eEInfNa]+(?:[ \t]+[0-9.]+)?(?:[ \t]+#.*)?"
)
_ABOUT = re.compile(r"# (?:HELP|TYPE|UNIT) [a-zA-Z_:]")
_LABEL = re.compile(
    r'\s*(?:(?P<label>[a-zA-Z_][a-zA-Z0-9_.-]*|"(?:[^"\\]|\\.)*")\s*=\s*)?"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|$)'
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n"}


def matches(head: str) -> bool:
    """Whether a text begins like the metrics of an exporter."""
    lines = [line.strip() for line in head.splitlines()[:50] if line.strip()]
    if any(_ABOUT.match(line) for line in lines):
        return True
    first = next((line for line in lines if not line.startswith("#")), "")
    return bool(_FIRST_LINE.fullmatch(first))


def read(source: Source, options: ParseOptions, now_ms: int, block_bytes: int = BLOCK_BYTES) -> Iterator[PowerChunk]:
    """The power samples of such a text."""
    reader = OpenMetrics(Catalogue(load_mappings(options.mappings), options.node), options.at_ms)
    timed = False
    for first, block in source.blocks(block_bytes):
        chunk = reader.chunk(block, now_ms, first)
        timed = timed or reader.timed
        if not timed and any(one.reason == NO_TIME for one in chunk.refusals):
            raise UnusableFile(f"{source.name}: no time stamps in it; {NO_TIME_CURE}")
        yield replace(chunk, refusals=[*chunk.refusals, *source.take_refusals()])
    yield finished(reader.catalogue, source)


class OpenMetrics:
    """Reads such texts with a catalogue; ``at_ms`` is the instant of what carries no time."""

    def __init__(self, catalogue: Catalogue, at_ms: int | None = None) -> None:
        self.catalogue = catalogue
        self.at_ms = at_ms
        self.timed = False  # whether the last text had a time stamp
        self._codes = CodeCache(self._code, catalogue.remembered("openmetrics"))

    def chunk(self, text: bytes, now_ms: int, first_line: int = 1, told: set[int] | None = None) -> PowerChunk:
        """The samples of a text."""
        every = lines_of(text, first_line)
        said = every.picked(~every.blank & ~as_mask(pc.starts_with(every.texts, "#")))
        fields, whole = said.extract(_LINE)
        code = np.full(len(whole), -1, np.int32)
        code[whole] = self._codes.of(pc.struct_field(fields.filter(pa.array(whole)), "series"))
        good = code >= 0
        refusals = said.refused("unreadable line", "no metric, value and time as exporters write them", ~good)
        fields, lines, code = fields.filter(pa.array(good)), said.picked(good), code[good]
        samples, wrong = self._samples(code, lines, pc.struct_field(fields, "value"), pc.struct_field(fields, "time"))
        chunk = self.catalogue.chunk(samples, now_ms, told)
        return replace(chunk, refusals=[*refusals, *wrong, *chunk.refusals])

    def _samples(
        self, code: Codes, lines: LineBlock, value_text: pa.Array, time_text: pa.Array
    ) -> tuple[SeriesSamples, list[Refusal]]:
        """The samples of lines, and what is wrong with those of series that are read."""
        value, bad_value = series_numbers(value_text)
        has_time = as_mask(pc.not_equal(time_text, ""))
        time, bad_time = series_numbers(time_text)
        bad_time = has_time & (bad_time | ~np.isfinite(time))
        timeless = ~has_time & (self.at_ms is None)
        self.timed = bool(has_time.any())
        reads = self.catalogue.reads(code)
        refusals = [
            *lines.refused("not a number", "the value of a series that is read", reads & bad_value),
            *lines.refused("unreadable time", "ms or s since 1970 behind the value", reads & ~bad_value & bad_time),
            *lines.refused(NO_TIME, NO_TIME_CURE, reads & ~bad_value & timeless),
        ]
        keep = ~reads | ~(bad_value | bad_time | timeless)
        t_ms = np.where(has_time, _ms(time), self.at_ms or 0)
        return SeriesSamples(code[keep], t_ms[keep], value[keep], lines.number[keep]), refusals

    def _code(self, text: str) -> int:
        """The code of what stands before a value; -1 if it is no series."""
        name, brace, inside = text.partition("{")
        name = name.strip()
        if name and (plain := self.catalogue.plain(name)) is not None:
            return plain
        labels = _labels(inside.removesuffix("}")) if brace else {}
        if labels is None:
            return -1
        name = name or labels.pop("", "") or labels.pop("__name__", "")
        return self.catalogue.code(name, labels)


def _labels(text: str) -> dict[str, str] | None:
    """The labels between braces, a quoted name alone under the empty label; None if they are none."""
    found: dict[str, str] = {}
    at, text = 0, text.strip()
    while at < len(text):
        match = _LABEL.match(text, at)
        label = _unescaped((match["label"] or "").strip('"')) if match else ""
        if match is None or label in found:
            return None
        found[label] = _unescaped(match["value"])
        at = match.end()
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text) if "\\" in text else text


def _ms(time: FloatArray) -> IntArray:
    """Time stamps in s or ms as ms."""
    clean = np.clip(np.nan_to_num(time), -1e15, 1e15)
    return np.rint(np.where(np.abs(clean) < MS_FROM, clean * MS_PER_S, clean)).astype(np.int64)
