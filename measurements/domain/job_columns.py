"""Jobs as columns of numpy: taken, split and put together many times for a page, which a data frame is slow at.

A part of some jobs takes a column out of them only when it is asked for: of twenty most parts need a few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.units import BoolArray, FloatArray, IntArray

Column = NDArray[Any]
Codes = tuple[IntArray, Column]  # of each job the place of its word among the words


class Jobs:
    """One value a job in each column; words are plain objects."""

    __slots__ = ("_codes", "_from", "_own", "_taken", "size")

    def __init__(self, columns: Mapping[str, Column], codes: Mapping[str, Codes] | None = None) -> None:
        self._own = dict(columns)
        self._taken: dict[str, Column] = {}  # out of the whole
        self._codes = dict(codes or {})
        self._from: tuple[Jobs, IntArray] | None = None  # of what these are a part, and where they are in it
        self.size = len(next(iter(self._own.values()))) if columns else 0

    @classmethod
    def _part(cls, whole: Jobs, places: IntArray) -> Jobs:
        found = cls({})
        found._from, found.size = (whole, places), len(places)
        return found

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> Column:
        if name in self._own:
            return self._own[name]
        if name not in self._taken:
            if self._from is None:
                raise KeyError(name)
            whole, places = self._from
            self._taken[name] = whole[name][places]
        return self._taken[name]

    def names(self) -> list[str]:
        """What columns there are."""
        return list(dict.fromkeys([*(self._from[0].names() if self._from else ()), *self._own]))

    def number(self, name: str) -> FloatArray:
        """A column as floats."""
        return self[name].astype(np.float64, copy=False)

    def where(self, mask: BoolArray | IntArray) -> Jobs:
        """Those of a mask, or of places."""
        return Jobs._part(self, np.flatnonzero(mask) if mask.dtype == np.bool_ else mask.astype(np.int64, copy=False))

    def having(self, **more: Column | str) -> Jobs:
        """With further columns; a word is that of all."""
        new = {name: np.full(self.size, v, object) if isinstance(v, str) else v for name, v in more.items()}
        codes = {name: code for name, code in self._codes.items() if name not in new}
        found = Jobs(self._own | new, codes)
        found._from, found.size = self._from, self.size
        return found

    def among(self, name: str, words: Collection[str]) -> BoolArray:
        """Where a word is one of some."""
        code, found = self._coded(name)
        return np.array([word in words for word in found], np.bool_)[code]

    def codes(self, names: Sequence[str]) -> IntArray:
        """A number for each combination of the words of some columns, from 0, in the order of their first job."""
        found = np.zeros(self.size, np.int64)
        for name in names:
            code, words = self._coded(name)
            found = found * (len(words) + 1) + code
        return pd.factorize(found)[0].astype(np.int64)

    def _coded(self, name: str) -> Codes:
        """Words are looked at once: a part has the numbers that the whole gave them."""
        if name not in self._codes:
            if name in self._own or self._from is None:
                code, words = pd.factorize(self[name])
            else:
                code, words = self._from[0]._coded(name)
                code = code[self._from[1]]
            self._codes[name] = code, words
        return self._codes[name]

    def by(self, *names: str) -> Iterator[tuple[tuple[str, ...], Jobs]]:
        """Of each combination of words its jobs, in the order of the words; jobs stay in their order."""
        return ((key, self.where(places)) for key, places in self.places(*names))

    def places(self, *names: str) -> Iterator[tuple[tuple[str, ...], IntArray]]:
        """The same, only where they are."""
        code = self.codes(names)
        order = np.argsort(code, kind="stable")
        ends = [*(np.flatnonzero(np.diff(code[order])) + 1).tolist(), self.size]
        parts = [order[start:end] for start, end in zip([0, *ends], ends, strict=False)] if self.size else []
        words = [self[name] for name in names]
        keyed = [(tuple(str(column[places[0]]) for column in words), places) for places in parts]
        yield from sorted(keyed, key=lambda part: part[0])


def together(parts: Sequence[Jobs]) -> Jobs:
    """The jobs of several, one after the other; all have the same columns."""
    first, *others = parts
    return Jobs({n: np.concatenate([part[n] for part in parts]) for n in first.names()}) if others else first
