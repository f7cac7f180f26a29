"""What the line-based power formats share: a block's lines as columns, with the numbers of its lines.

Every step works on whole columns, so that a day of a cluster is read as fast as it can be split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray, FloatArray, IntArray
from measurements.parsers.chunks import LineText, line_text
from measurements.parsers.records import Refusal
from measurements.parsers.source import BLOCK_BYTES, Source

NUMBER = r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$"
_MISSING = r"(?i)^(?:|-|na|n/?a|nan|null|none|\[[^\]]*\])$"  # [N/A], [Not Supported], [Insufficient Permissions]


@dataclass(frozen=True, slots=True)
class LineBlock:
    """The lines of a block without blanks around them, and their numbers in the file."""

    texts: pa.Array
    number: IntArray
    raw: LineText

    def picked(self, which: BoolArray) -> LineBlock:
        """Some of the lines."""
        return LineBlock(self.texts.filter(pa.array(which)), self.number[which], self.raw)

    @property
    def blank(self) -> BoolArray:
        """Which lines hold nothing."""
        return as_mask(pc.equal(self.texts, ""))

    def extract(self, pattern: str) -> tuple[pa.StructArray, BoolArray]:
        """The named groups of a pattern for every line, and which lines it fits."""
        fields = pc.extract_regex(self.texts, pattern)
        return fields, as_mask(pc.is_valid(fields))

    def refused(self, reason: str, detail: str, which: BoolArray) -> list[Refusal]:
        """A refusal for each of some lines."""
        return [Refusal(reason, line, detail, self.raw(line)) for line in self.number[which].tolist()]


def line_blocks(source: Source, block_bytes: int = BLOCK_BYTES) -> Iterator[LineBlock]:
    """The lines of a source, block by block."""
    for first, block in source.blocks(block_bytes):
        yield lines_of(block, first)


def lines_of(block: bytes, first: int = 1) -> LineBlock:
    """The lines of some text; ``first`` is the number of its first one."""
    whole = pa.array([block.removesuffix(b"\n").decode("utf-8", errors="replace")])
    texts = pc.utf8_trim_whitespace(pc.split_pattern(whole, "\n").flatten())
    return LineBlock(texts, np.arange(first, first + len(texts), dtype=np.int64), line_text(first, block))


def cells_of(block: LineBlock, delimiter: str, width: int) -> tuple[list[pa.Array], LineBlock, BoolArray]:
    """The columns of the lines that have ``width`` cells, those lines, and which of the block's they are."""
    split = pc.split_pattern(block.texts, delimiter)
    whole = as_mask(pc.equal(pc.list_value_length(split), width))
    flat = pc.utf8_trim_whitespace(split.filter(pa.array(whole)).flatten())
    places = np.arange(len(flat)).reshape(-1, width)
    return [flat.take(pa.array(places[:, column])) for column in range(width)], block.picked(whole), whole


def numbers(texts: pa.Array) -> tuple[FloatArray, BoolArray]:
    """Cells as numbers, NaN where they say that nothing was measured, and which of them are neither."""
    is_number = as_mask(pc.match_substring_regex(texts, NUMBER))
    missing = as_mask(pc.match_substring_regex(texts, _MISSING))
    plain = pc.if_else(pa.array(is_number), texts, pa.scalar(None, pa.string()))
    return pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False), ~is_number & ~missing


def without_unit(texts: pa.Array, unit: str) -> pa.Array:
    """Cells without the unit that follows their number."""
    return pc.replace_substring_regex(texts, rf"(?i)^([^ ]+) +{re.escape(unit)}$", r"\1")


def coded(texts: pa.Array) -> tuple[np.ndarray, list[str]]:
    """A column of names as codes and the names they stand for."""
    encoded = pc.dictionary_encode(texts)
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), encoded.dictionary.to_pylist()


def carried(marks: BoolArray, values: Sequence[object], before: object) -> tuple[np.ndarray, list[object]]:
    """For each row the last marked value at or above it, as a code into the list: ``before`` stands above the first."""
    return np.cumsum(marks).astype(np.int64), [before, *values]


def as_mask(values: pa.Array) -> BoolArray:
    """A column of booleans."""
    return values.to_numpy(zero_copy_only=False).astype(bool)
