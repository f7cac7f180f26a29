"""What a job counts as: which source goes first, tag by tag, and that no pattern of a rule can take for ever."""

from __future__ import annotations

import re
import time
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements.domain.tagging import (
    KEYS,
    LONGEST_PATTERN,
    LOOKED_AT,
    Rule,
    check_names,
    compiled,
    sources,
    strongest,
    tagged,
)
from measurements.domain.tags import Tags

VALUES: dict[str, dict[str, Any]] = {  # of each source one value of its own for each tag
    "edit": {"workload": "by-edit", "phase": "other", "size": "s-edit", "target": "t-edit", "work": 1.0},
    "operator": {"workload": "by-op", "phase": "inference", "size": "s-op", "target": "t-op", "work": 2.0},
    "comment": {"workload": "by-user", "phase": "training", "size": "s-user", "target": "t-user", "work": 3.0},
    "rule 4": {"workload": "first", "phase": "development", "size": "s-first", "target": "t-first"},
    "rule 3": {"workload": "second", "phase": "training", "size": "s-second", "target": "t-second"},
}
ORDER = list(VALUES)


def rule(number: int, field: str, pattern: str, **sets: str) -> Rule:
    return Rule(number, field, compiled(pattern), **sets)


def said_by(present: set[str], key: str) -> dict[str, Any]:
    """A job of which these sources say this tag; its edit, comments and rules."""
    job = {"name": "train"}
    for source, field in (("operator", "admin_comment"), ("comment", "comment")):
        if source in present:
            job[field] = f"{key}={VALUES[source][key]}"
    rules = [
        rule(int(name[-1]), "name", "train", **{key: str(VALUES[name][key])}) for name in ORDER[3:] if name in present
    ]
    edit = {key: VALUES["edit"][key], "unit": ""} if "edit" in present else None
    return {"job": job, "rules": rules, "edit": edit}


@pytest.mark.parametrize("key", KEYS)
def test_of_every_set_of_sources_the_strongest_says_a_tag(key: str) -> None:
    able = [name for name in ORDER if key in VALUES[name]]
    for chosen in product([False, True], repeat=len(able)):
        present = {name for name, there in zip(able, chosen, strict=True) if there}
        found = tagged(**said_by(present, key))
        first = next((name for name in ORDER if name in present), None)
        assert found.origin == ({key: first} if first else {})
        assert getattr(found.tags, key) == (VALUES[first][key] if first else getattr(Tags(), key)), present


def test_each_tag_comes_from_its_own_source() -> None:
    job = {"admin_comment": "phase=inference", "comment": "workload=a phase=train work=5 epochs", "name": "big-run"}
    rules = [rule(1, "name", "big", workload="b", size="big"), rule(2, "name", "run", size="run", target="99")]
    found = tagged(job, rules, {"target": "99.9", "workload": None})
    assert found.tags == Tags("a", "inference", 5.0, "epochs", "big", "99.9")
    assert found.origin == {
        "workload": "comment", "phase": "operator", "work": "comment", "size": "rule 1", "target": "edit",
    }  # fmt: skip


def test_an_edit_can_take_a_tag_away() -> None:
    found = tagged({"comment": "workload=a phase=train work=5 q"}, (), {"workload": "", "work": 0.0, "unit": ""})
    assert found.tags == Tags("", "training")
    assert found.origin == {"workload": "edit", "phase": "comment", "work": "edit"}


def test_a_unit_belongs_to_its_amount() -> None:
    found = tagged({"comment": "work=5 epochs"}, (), {"work": 7.0, "unit": ""})
    assert (found.tags.work, found.tags.unit) == (7.0, "")


# --- Rules ---------------------------------------------------------------------------------------


def test_a_pattern_is_found_anywhere_in_capitals_or_not_and_hands_its_groups_on() -> None:
    model = rule(1, "submit_line", r"--model[ =](\w+)\s+--size (\d+)", workload=r"org/\1", size=r"\2", phase="training")
    job = {"submit_line": "sbatch --MODEL=UNet  --size 512 --model=other --size 1"}
    assert tagged(job, [model]).tags == Tags("org/unet", "training", size="512"), "the first place counts"
    assert tagged({"name": job["submit_line"]}, [model]).origin == {}


def test_a_group_that_is_no_name_says_nothing_and_the_next_rule_is_asked() -> None:
    rules = [rule(1, "name", "^(.*)$", workload=r"\1"), rule(2, "name", "<", workload="odd")]
    assert tagged({"name": "<b>"}, rules).origin == {"workload": "rule 2"}
    assert tagged({"name": "x" * 65}, rules[:1]).origin == {}
    assert tagged({"name": "a"}, [rule(1, "name", "(a)|(b)", workload=r"\2")]).origin == {}
    assert tagged({"name": "a"}, [Rule(1, "name", compiled("a"), workload=r"\1")]).origin == {}, "no such group"


def test_many_jobs_are_tagged_as_each_alone() -> None:
    rules = [
        rule(1, "name", r"^(\w+)-train", workload=r"\1", phase="training"),
        rule(2, "account", "^bio", workload="bio"),
    ]
    jobs = [
        {"name": name, "account": account, "comment": comment}
        for name, account, comment in product(
            ["a-train", "B-TRAIN-2", "x", ""], ["bio1", "phys"], ["", "phase=dev", "\0"]
        )
    ]
    said = sources(jobs, rules)
    assert [strongest(one) for one in said] == [tagged(job, rules) for job in jobs]
    assert len({found.tags for found in map(strongest, said)}) > 4


def test_only_so_much_of_a_field_is_looked_at() -> None:
    end = rule(1, "name", "end$", workload="long")
    assert tagged({"name": "x" * (LOOKED_AT - 3) + "end" + "y" * 50}, [end]).origin == {"workload": "rule 1"}
    assert tagged({"name": "x" * LOOKED_AT + "end"}, [end]).origin == {}


def test_letters_of_any_alphabet_are_text() -> None:
    assert tagged({"name": "größe-3"}, [rule(1, "name", "größe-(.)", size=r"s\1")]).tags.size == "s3"


# --- Patterns that are refused, and none that takes for ever ------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "x" * (LONGEST_PATTERN + 1), "(", "a)(b", "[a", "*a", "a**", "\\", "a{1001}", "(a{100}){100}", "(?x)a"),
        *(
            "(?=a)b",
            "(?!a)b",
            "(?<=a)b",
            r"(a)\1",
            r"\Qa",
            r"a\Cb",
            r"\\\C",
            "\0",
            "(?i:a",
            "a{101}",
            "(a{10,}b{3,11}){2}",
        ),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|characters"):
        compiled(pattern)


def test_a_backslash_before_a_capital_c_is_a_backslash() -> None:
    assert tagged({"name": "a\\C"}, [rule(1, "name", r"\\C$", workload="w")]).origin == {"workload": "rule 1"}


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(a+)+$",
            "(a|a)*$",
            "(a|aa)+$",
            "((a+))+$",
            "(a*)*$",
            "(a+b?)+$",
            "(.*a){20}$",
            "(?:a?){10}a{10}$",
            "a?" * 90 + "$",
        ),
        *(".*.*.*.*.*.*x", "a+a+a+a+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){100}$", ".{100}x", "(x+x+)+y"),
    ],
)
def test_no_pattern_takes_longer_than_the_text_is_long(pattern: str) -> None:
    hostile = rule(1, "name", pattern, workload=r"\1" if re.compile(pattern).groups else "w")
    texts = ["a" * LOOKED_AT + "!", "a" * (LOOKED_AT - 1) + "!", "x" * LOOKED_AT, "ab" * (LOOKED_AT // 2)] * 5
    started = time.process_time()
    hostile.found(texts)
    assert time.process_time() - started < 1, "20 texts of 2,000 letters"


@given(st.text(alphabet="ab()|*+?{}[]^$.\\123,-", max_size=24), st.text(alphabet="ab-123", max_size=40))
def test_whatever_is_typed_is_refused_or_can_be_applied(pattern: str, text: str) -> None:
    try:
        ready = compiled(pattern)
    except ValueError:
        return
    for template in ("w", r"\0", r"x-\1", r"\9"):
        assert tagged({"name": text}, [Rule(1, "name", ready, workload=template)]).tags.workload.isascii()


# --- Names that a rule sets ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ({"workload": "Bad Name!"}, "workload: a name"),
        ({"workload": "x" * 65}, "workload: a name has at most 64"),
        ({"size": "x" * 33}, "size: a name has at most 32"),
        ({"target": r"\2"}, "target: the pattern has no such group"),
        ({"workload": "\\1\\"}, "workload: the pattern has no such group, or a backslash"),
    ],
)
def test_names_that_a_rule_cannot_set_are_told(names: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        check_names(compiled("(a)"), **names)


def test_names_that_a_rule_can_set() -> None:
    check_names(compiled("(a)(b)"), workload=r"org/\1-\2", size="", target="99.9")
