"""What the texts with series share: a code for what names a series, looked up once, and numbers as Go writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from measurements.domain.units import BoolArray, FloatArray
from measurements.parsers.chunks import EMPTY, Codes
from measurements.parsers.line_table import coded, numbers
from measurements.parsers.records import PowerChunk
from measurements.parsers.series import Catalogue
from measurements.parsers.series_known import LONGEST_SERIES
from measurements.parsers.source import Source

REMEMBERED_TEXTS = 200_000
_INFINITE = r"(?i)^[+-]?inf(inity)?$"


@dataclass(slots=True)
class CodeCache:
    """Codes of series by the text that names them."""

    code_of: Callable[[Any], int]
    _known: dict[Any, int]

    def of(self, texts: pa.Array) -> Codes:
        """The code for each text of a column."""
        places, names = coded(texts)
        return np.array([self.one(name) for name in names], np.int32)[places] if names else places

    def one(self, text: Any) -> int:
        """The code for one text, or whatever else names a series."""
        known = self._known.get(text)
        if known is None and is_long(text):
            return self.code_of(text)
        if known is None:
            if len(self._known) >= REMEMBERED_TEXTS:
                self._known.clear()
            known = self._known[text] = self.code_of(text)
        return known


def is_long(text: Any) -> bool:
    """Whether what names a series is too long to be remembered: many of them would fill the memory."""
    return (len(text) if isinstance(text, str) else sum(map(len, text))) > LONGEST_SERIES


def series_numbers(texts: pa.Array) -> tuple[FloatArray, BoolArray]:
    """Texts as numbers, NaN where they are none to store (NaN, ±Inf, empty), and which of them are neither."""
    return numbers(pc.replace_substring_regex(texts, _INFINITE, "NaN"))


def finished(catalogue: Catalogue, source: Source) -> PowerChunk:
    """What there is to tell at the end of a file."""
    return replace(EMPTY, refusals=source.take_refusals(), warnings=catalogue.summary())
