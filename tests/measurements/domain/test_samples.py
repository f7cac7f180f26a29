"""Sorting, and which of two samples of one instant stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.samples import Samples, concatenate, differing, resolve

Row = tuple[int, int, int, int, int]  # node, channel, t, value, batch
rows = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 6), st.integers(-5, 5), st.integers(1, 3)).map(
        lambda r: (r[0], r[0] * 10 + r[1], r[2], r[3], r[4])
    ),
    max_size=40,
)


def samples(table: list[Row]) -> Samples:
    columns = np.array(table, np.int64).reshape(-1, 5)
    return Samples(columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32), columns[:, 2], columns[:, 3])


def as_dict(part: Samples) -> dict[tuple[int, int, int], int]:
    keys = zip(part.node.tolist(), part.channel.tolist(), part.t_ms.tolist(), strict=True)
    return dict(zip(keys, part.value.tolist(), strict=True))


@given(rows)
def test_of_duplicates_the_later_batch_stays_and_within_a_batch_the_larger_value(table: list[Row]) -> None:
    kept, surplus = resolve(samples(table), np.array([row[4] for row in table], np.int64))
    expected: dict[tuple[int, int, int], tuple[int, int]] = {}
    for node, channel, t, value, batch in table:
        known = expected.get((node, channel, t))
        expected[node, channel, t] = (batch, value) if known is None else max(known, (batch, value))
    assert as_dict(kept) == {key: value for key, (_, value) in expected.items()}
    assert surplus == len(table) - len(expected)
    assert list(as_dict(kept)) == sorted(as_dict(kept))


@given(rows, rows)
def test_what_is_known_and_what_differs(new: list[Row], known: list[Row]) -> None:
    fresh, stored = resolve(samples(new))[0], resolve(samples(known))[0]
    is_known, differs = differing(fresh, stored)
    there = as_dict(stored)
    for place, (key, value) in enumerate(as_dict(fresh).items()):
        assert is_known[place] == (key in there)
        assert differs[place] == (key in there and there[key] != value)


def test_two_days_of_a_node_are_put_in_order() -> None:
    second, first = samples([(1, 11, 9, 1, 1), (2, 21, 9, 1, 1)]), samples([(1, 11, 3, 1, 1), (2, 21, 3, 1, 1)])
    kept, surplus = resolve(concatenate([second, first]))
    assert (list(as_dict(kept)), surplus) == ([(1, 11, 3), (1, 11, 9), (2, 21, 3), (2, 21, 9)], 0)
