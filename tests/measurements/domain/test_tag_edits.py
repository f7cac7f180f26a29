"""What a person may set of a job's tags."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.tag_edits import FIELDS, TagsRefused, checked_edit
from measurements.domain.tags import PHASES, read_tags

VALUES = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["ResNet 50", "train", "99.9", "1e6", "img/s", ""]),
                   st.integers(), st.floats())  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, {}),
        ({"workload": "  ResNet  50 "}, {"workload": "resnet-50"}),
        ({"phase": "Predict"}, {"phase": "inference"}),
        ({"target": 99.9, "size": 512}, {"target": "99.9", "size": "512"}),
        ({"work": "500"}, {"work": 500.0, "unit": ""}),
        ({"work": 2, "unit": "Simulated ns"}, {"work": 2.0, "unit": "simulated-ns"}),
        ({"work": "", "unit": "q"}, {"work": 0.0, "unit": ""}),
        ({"work": None, "unit": "q"}, {"work": None, "unit": ""}),
        ({"workload": " ", "phase": None}, {"workload": "", "phase": None}),
    ],
)
def test_values_are_kept_in_one_form(said: dict[str, object], kept: dict[str, object]) -> None:
    assert checked_edit(said) == kept


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_whatever_is_said_is_refused_or_kept_as_a_comment_would_say_it(said: dict[str, object]) -> None:
    try:
        kept = checked_edit(said)
    except TagsRefused:
        return
    again = kept | ({"work": ""} if kept.get("work") == 0 else {})  # 0: taken away
    assert checked_edit(again) == kept, "what is kept can be said again"
    assert kept.get("phase") in {None, "", *PHASES.values()}
    for key in ("workload", "size", "target"):
        if kept.get(key):
            assert getattr(read_tags(f"{key}={kept[key]}"), key) == str(kept[key]).rstrip(".:")
    work = kept.get("work")
    if isinstance(work, float) and work:
        assert math.isfinite(work)
        read = read_tags(f"work={work!r} {kept['unit']}")
        assert (read.work, read.unit) == (work, kept["unit"])
