"""What users and operators declare of a job in its comments."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measurements.domain.tags import LONGEST_UNIT, LONGEST_WORKLOAD, PHASES, Tags, declared

NOTHING = Tags()
WORDS = st.sampled_from(
    [
        *("workload", "phase", "work", "WORKLOAD", "Phase", "=", " = ", '"', "'", ",", ";", " ", "\n", "nnunet"),
        *("training", "infer", "bogus", "500", "1e3", "1,000", "1e999", "-5", "epochs", "epöchs", "a/b:c", "ü", "\0"),
    ]
)
COMMENTS = st.one_of(st.text(), st.lists(WORDS, max_size=20).map("".join))


def written(tags: Tags) -> str:
    """A comment that declares just that."""
    work = "" if tags.work is None else f"work={tags.work!r} {tags.unit}"
    return f"workload={tags.workload} phase={tags.phase} {work}"


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("workload=nnunet phase=training work=500 epochs", Tags("nnunet", "training", 500.0, "epochs")),
        ("WORKLOAD=nnUNet;Phase=Infer,work=1e3", Tags("nnunet", "inference", 1000.0)),
        ("seed 7: workload=foo. phase=train; done", Tags("foo", "training")),
        ("workload='ResNet  50' phase=\"dev\" work='2.5 images'", Tags("resnet-50", "development", 2.5, "images")),
        ("work=500epochs phase=debug", Tags("", "development", 500.0, "epochs")),
        ("workload = org/model:v1.2 work = 3 img/s phase = other", Tags("org/model:v1.2", "other", 3.0, "img/s")),
        ("work=5 workload=b", Tags("b", "", 5.0)),
        ("workload= phase=training work=", Tags("", "training")),
        ("workload=c++", Tags("c++")),
    ],
)
def test_pairs_are_found_in_a_comment(comment: str, expected: Tags) -> None:
    assert declared(comment) == expected


@pytest.mark.parametrize("word", sorted(PHASES))
def test_each_word_for_a_phase_is_one_of_four(word: str) -> None:
    assert declared(f"phase={word.upper()}").phase == PHASES[word]
    assert PHASES[word] in {"training", "inference", "development", "other"}


@pytest.mark.parametrize(
    "comment",
    [
        *("", "training of nnunet", "workload:foo", '{"workload": "x"}', "my_workload=x", "my-phase=train", "x.work=5"),
        *("phase=lunch", "workload=ü", "workload=.hidden", "workload=a|b", "workload=<b>", 'workload="unclosed'),
        *("work=-5", "work=0", "work=many", "work=1e309", "work=nan", "work=٣", "phase=''", "workload==x", "work=5%x!"),
        *("work=1,000 epochs", "work=1,5", "workload=" + "a" * (LONGEST_WORKLOAD + 1)),
    ],
)
def test_what_makes_no_sense_counts_as_not_said(comment: str) -> None:
    assert declared(comment) == NOTHING


def test_lengths_are_bounded() -> None:
    assert declared("workload=" + "a" * LONGEST_WORKLOAD).workload == "a" * LONGEST_WORKLOAD
    assert declared("work=5 " + "a" * LONGEST_UNIT).unit == "a" * LONGEST_UNIT
    assert declared("work=5 " + "a" * (LONGEST_UNIT + 1)) == Tags(work=5.0)


def test_the_operator_beats_the_user_tag_by_tag() -> None:
    user = "workload=a phase=train work=5 epochs"
    assert declared(user, "") == Tags("a", "training", 5.0, "epochs")
    assert declared(user, "phase=infer") == Tags("a", "inference", 5.0, "epochs")
    assert declared(user, "workload=b phase=lunch") == Tags("b", "training", 5.0, "epochs")
    assert declared(user, "work=7") == Tags("a", "training", 7.0), "a unit belongs to its amount"
    assert declared("", user) == declared(user)


def test_a_long_comment_takes_no_time() -> None:
    size = 1 << 16
    hostile = ["workload=", "work=1 ", "phase='", "work = ", 'workload="a ', "work=1_", " ", "w", "work=1e", "=", "1,"]
    started = time.process_time()
    for piece in hostile:
        declared("work=" + piece * (size // len(piece)), piece * (size // len(piece)))
    assert time.process_time() - started < 5


@given(COMMENTS, COMMENTS)
@example("work=5\u017f", "")
@example("work=1" * 3_000, "phaſe=train worK=2")
def test_any_text_gives_tags_that_can_be_stored_and_declare_themselves(comment: str, admin_comment: str) -> None:
    tags = declared(comment, admin_comment)
    assert len(tags.workload) <= LONGEST_WORKLOAD
    assert tags.workload.isascii()
    assert tags.workload == tags.workload.lower()
    assert "\0" not in tags.workload + tags.unit
    assert tags.phase in {"", *PHASES.values()}
    assert tags.work is None or (math.isfinite(tags.work) and tags.work > 0)
    assert len(tags.unit) <= LONGEST_UNIT
    assert tags.unit.isascii()
    assert tags.work is not None or not tags.unit
    assert declared(written(tags)) == tags
    assert declared("", written(tags)) == tags
