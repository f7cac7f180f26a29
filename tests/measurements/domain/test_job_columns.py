"""Parts of jobs: the same columns and numbers as if each had been taken out at once."""

from __future__ import annotations

import numpy as np
import pytest

from measurements.domain.job_columns import Jobs, together


def jobs() -> Jobs:
    words = np.array(["b", "a", "b", "c", "a", "b"], object)
    return Jobs({"word": words, "other": np.array(["x", "x", "y", "y", "x", "x"], object), "n": np.arange(6)})


def test_a_part_of_a_part_has_the_values_of_its_jobs() -> None:
    part = jobs().where(np.array([1, 0, 1, 1, 1, 1], bool)).where(np.array([4, 1, 0]))
    assert len(part) == 3
    assert (part["n"].tolist(), part["word"].tolist()) == ([5, 2, 0], ["b", "b", "b"])
    assert part.number("n").dtype == np.float64
    assert part.names() == ["word", "other", "n"]


def test_a_column_put_in_the_place_of_another_is_that_of_the_parts_too() -> None:
    whole = jobs()
    whole.codes(["word"])
    part = whole.having(word=np.array(["q", "r", "q", "q", "r", "r"], object), kind="k").where(np.array([1, 2, 5]))
    assert part["word"].tolist() == ["r", "q", "r"]
    assert part.codes(["word"]).tolist() == [0, 1, 0]
    assert part["kind"].tolist() == ["k"] * 3
    assert whole["word"].tolist()[0] == "b", "the whole is left alone"
    again = whole.where(np.array([0, 1])).having(word="z")
    assert (again.codes(["word"]).tolist(), again["n"].tolist()) == ([0, 0], [0, 1])


def test_numbers_count_from_the_first_job_of_a_part() -> None:
    whole = jobs()
    assert whole.codes(["word", "other"]).tolist() == [0, 1, 2, 3, 1, 0]
    assert whole.where(np.array([3, 4, 1, 0])).codes(["word", "other"]).tolist() == [0, 1, 1, 2]


def test_groups_come_in_the_order_of_their_words_and_jobs_in_theirs() -> None:
    whole = jobs()
    assert [(key, part["n"].tolist()) for key, part in whole.by("word")] == [
        (("a",), [1, 4]), (("b",), [0, 2, 5]), (("c",), [3])
    ]  # fmt: skip
    assert [key for key, _ in whole.where(whole["n"] > 2).places("other", "word")] == [
        ("x", "a"), ("x", "b"), ("y", "c")
    ]  # fmt: skip
    assert list(whole.where(whole["n"] > 9).places("word")) == []


def test_words_are_found_among_some() -> None:
    part = jobs().where(np.array([0, 1, 3]))
    assert part.among("word", ("a", "c", "missing")).tolist() == [False, True, True]


def test_parts_are_put_together_one_after_the_other() -> None:
    whole = jobs()
    parts = whole.where(np.array([5, 0])), whole.where(np.array([1]))
    assert together(parts)["n"].tolist() == [5, 0, 1]
    assert together(parts[:1])["word"].tolist() == ["b", "b"]


def test_a_column_that_is_not_there_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        jobs().where(np.array([0]))["missing"]
