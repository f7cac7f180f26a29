"""Which sums of a project may be shown to somebody who must not learn what fewer than k people did.

Sums by node type, by state, by partition, …: each shown alone is harmless if k people stand behind every group. Taken
together they are not: what is on partition *gpu* but not of node type *gpu* may be one person's. So the groupings are
released together. Groups of fewer than k people are merged with others, and a grouping is coarsened until every
difference of shown sums, of however many groupings, is about k people or more:

a combination of shown sums is Σ f(cell) × what the cell drew, over the cells of the finest table in which all released
groupings agree, where f is a sum of one number a group. If the cells that have k people each determine all these f
(the matrix of cells × groups has the same rank on them alone), then no f ≠ 0 is zero on all of them: every
combination contains a cell of k people. Rank: Golub and Van Loan, Matrix Computations, 4th ed., section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import BoolArray, FloatArray, IntArray

REST = "\0rest"  # the group of what is not shown apart: no name of anything
ALL = "\0all"  # the one group where nothing is shown apart

Grouping = dict[str, str]  # a group's value → under which it is shown: itself, or REST


@dataclass(frozen=True, slots=True)
class People:
    """Who did what [n rows]: of each grouping the group, and whether the person counts for k there."""

    person: IntArray
    counted: BoolArray
    groups: Mapping[str, NDArray[np.object_]]  # by grouping

    def number(self) -> int:
        """How many people count."""
        return len(np.unique(self.person[self.counted]))


def released(people: People, k: int) -> dict[str, Grouping] | None:
    """
    How the groups of each grouping may be shown, all groupings together; None: not even the sum may.

    Parameters
    ----------
    people : People
        Groupings in the order of their worth: what does not go together with an earlier one is coarsened.
    k : int
        The least number of people behind any sum or difference of sums.

    Returns
    -------
    dict
        Of each grouping the group each value is shown in. A grouping of REST alone says no more than the sum.
    """
    if people.number() < k:
        return None
    found: dict[str, Grouping] = {}
    accepted: list[IntArray] = []
    for name, values in people.groups.items():
        heads = _heads(people, values)
        shown = {value for value, number in heads.items() if number >= k}
        while True:
            grouping = {value: value if value in shown else REST for value in heads}
            code = _codes(values, grouping)
            if len(set(grouping.values())) == 1 or _safe(people, [*accepted, code], k):
                break
            shown.discard(min(shown, key=lambda value: (heads[value], value)))
        found[name] = grouping
        if len(set(grouping.values())) > 1:
            accepted.append(code)
    return found


def _heads(people: People, values: NDArray[np.object_]) -> dict[str, int]:
    """How many people count in each group."""
    names, code = np.unique(values.astype(str), return_inverse=True)
    pairs = np.unique(np.column_stack([code, people.person])[people.counted], axis=0)
    return dict(zip(names.tolist(), np.bincount(pairs[:, 0], minlength=len(names)).tolist(), strict=True))


def _codes(values: NDArray[np.object_], grouping: Grouping) -> IntArray:
    shown = [grouping[str(value)] for value in values]
    return np.unique(np.array(shown, object).astype(str), return_inverse=True)[1].astype(np.int64)


def _safe(people: People, codes: Sequence[IntArray], k: int) -> bool:
    """Whether every combination of the shown sums contains a cell of k people."""
    cells, cell = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([cell.ravel(), people.person])[people.counted], axis=0)
    heads = np.bincount(pairs[:, 0], minlength=len(cells))
    table = _table(cells)
    return _rank(table[heads >= k]) == _rank(table)


def _table(cells: IntArray) -> FloatArray:
    """Cells × groups of all groupings, 1 where the cell belongs to the group."""
    parts = [np.eye(int(column.max()) + 1)[column] for column in cells.T]
    return np.hstack(parts)


def _rank(table: FloatArray) -> int:
    return int(np.linalg.matrix_rank(table)) if table.size else 0
