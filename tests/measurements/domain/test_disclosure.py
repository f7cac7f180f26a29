"""No combination of shown sums is about fewer than k people: by hand, and against a search for combinations."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.disclosure import REST, Grouping, People, released

K = 3


def people(rows: list[tuple[int, str, str]], counted: list[bool] | None = None) -> People:
    person, *groups = zip(*rows, strict=True)
    return People(
        np.array(person, np.int64),
        np.array(counted or [True] * len(rows)),
        {name: np.array(values, object) for name, values in zip(("type", "partition"), groups, strict=False)},
    )


def test_fewer_than_k_people_have_no_sum() -> None:
    assert released(people([(1, "a", "x"), (2, "a", "x"), (2, "b", "x")]), K) is None
    some = people([(1, "a", "x"), (2, "a", "x"), (3, "a", "x")], [True, True, False])
    assert released(some, K) is None  # whoever looks knows their own part


def test_small_groups_are_shown_together_and_never_as_the_rest_of_a_sum() -> None:
    rows = [(i, "a", "x") for i in range(5)] + [(i, "b", "x") for i in range(5, 9)] + [(10, "c", "x")]
    found = released(people(rows), K)
    assert found is not None
    assert found["type"] == {"a": "a", "b": REST, "c": REST}  # c alone would be the sum less the others


def test_two_groupings_that_differ_by_one_person_are_not_shown_both() -> None:
    """Partition gpu is node type gpu and one person on node type new."""
    rows = [(i, "gpu", "gpu") for i in range(4)] + [(9, "new", "gpu")] + [(i, "cpu", "cpu") for i in range(5, 9)]
    found = released(people(rows), K)
    assert found is not None
    assert found["type"] == {"gpu": "gpu", "cpu": REST, "new": REST}
    assert found["partition"] == {"gpu": REST, "cpu": REST}


def test_groupings_that_hide_nothing_are_both_shown() -> None:
    rows = [(i, kind, state) for i in range(K) for kind in ("a", "b") for state in ("ok", "failed")]
    found = released(people(rows), K)
    assert found is not None
    assert found["type"] == {"a": "a", "b": "b"}
    assert found["partition"] == {"ok": "ok", "failed": "failed"}


TABLES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.sampled_from("xyz")), min_size=3, max_size=14, unique=True
)


@given(TABLES)
def test_no_difference_of_unions_of_shown_groups_is_of_fewer_than_k_people(rows: list[tuple[int, str, str]]) -> None:
    """Every set of shown groups of one grouping that lies within a set of the other one: who is in between."""
    found = released(people(rows), K)
    if found is None:
        assert len({row[0] for row in rows}) < K
        return
    for one, other in ((1, 2), (2, 1)):
        for inner, outer in product(_unions(rows, one, found), _unions(rows, other, found)):
            if inner <= outer and inner != outer:
                between = {rows[i][0] for i in outer - inner}
                assert len(between) >= K, (found, inner, outer)


def _unions(rows: list[tuple[int, str, str]], column: int, found: dict[str, Grouping]) -> list[frozenset[int]]:
    """The rows behind each union of shown groups, nothing and everything among them."""
    grouping = found[("type", "partition")[column - 1]]
    shown = [grouping[str(row[column])] for row in rows]
    names = sorted(set(shown))
    return [
        frozenset(i for i, name in enumerate(shown) if name in some)
        for size in range(len(names) + 1)
        for some in combinations(names, size)
    ]
