"""Jobs as columns of numpy: taken, split and put together many times for a page, which a data frame is slow at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measurements.domain.units import BoolArray, FloatArray, IntArray

Column = NDArray[Any]


class Jobs:
    """One value a job in each column; words are plain objects."""

    __slots__ = ("columns", "size")

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)
        self.size = len(next(iter(self.columns.values())))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def number(self, name: str) -> FloatArray:
        """A column as floats."""
        return self.columns[name].astype(np.float64, copy=False)

    def where(self, mask: BoolArray | IntArray) -> Jobs:
        """Those of a mask, or of places."""
        return Jobs({name: values[mask] for name, values in self.columns.items()})

    def having(self, **more: Column | str) -> Jobs:
        """With further columns; a word is that of all."""
        new = {name: np.full(self.size, v, object) if isinstance(v, str) else v for name, v in more.items()}
        return Jobs(self.columns | new)

    def among(self, name: str, words: Collection[str]) -> BoolArray:
        """Where a word is one of some."""
        code, found = pd.factorize(self.columns[name])
        return np.array([word in words for word in found], np.bool_)[code]

    def codes(self, names: Sequence[str]) -> IntArray:
        """A number for each combination of the words of some columns, from 0, in the order of their first job."""
        found = np.zeros(self.size, np.int64)
        for name in names:
            code, words = pd.factorize(self.columns[name])
            found = found * (len(words) + 1) + code
        return pd.factorize(found)[0].astype(np.int64)

    def by(self, *names: str) -> Iterator[tuple[tuple[str, ...], Jobs]]:
        """Of each combination of words its jobs, in the order of the words; jobs stay in their order."""
        return ((key, self.where(places)) for key, places in self.places(*names))

    def places(self, *names: str) -> Iterator[tuple[tuple[str, ...], IntArray]]:
        """The same, only where they are."""
        code = self.codes(names)
        order = np.argsort(code, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(code[order])) + 1) if self.size else []
        keyed = [(tuple(str(self.columns[name][places[0]]) for name in names), places) for places in parts]
        yield from sorted(keyed, key=lambda part: part[0])


def together(parts: Sequence[Jobs]) -> Jobs:
    """The jobs of several, one after the other; all have the same columns."""
    return Jobs({name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns})
