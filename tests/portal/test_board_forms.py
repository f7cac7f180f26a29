"""What is wrong with a board or refused of an edition is said in words: for each reason there is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db.models import Q
from django.utils.translation import override

from measurements.domain.board_document import Document, Measure, NamedRow, Withheld
from measurements.domain.boards import Reason
from measurements.models import Board, BoardEvent, Edition
from measurements.services.editions import BoardRefused, Refusal
from portal import wording_boards, wording_editions
from portal.board_actions import ACTIONS, offered
from portal.board_forms import CONSTRAINTS, BoardForm, PeriodForm
from portal.wording_refusals import refusal

GOOD = {
    "title": "nnU-Net",
    "slug": "nnunet",
    "kind": "node_types",
    "scope": "node_type",
    "audience": "public",
    "workload": "nnunet",
    "unit": "cases",
    "smallest_group": "5",
}
VALUES: dict[str, Any] = {
    "action": "approve",
    "board": "Idle GPUs",
    "count": 2,
    "days": 3,
    "fields": ("kind", "unit"),
    "first": date(2026, 10, 1),
    "last": date(2026, 10, 31),
    "number": 4,
    "revision": 1,
    "state": "review",
    "withheld": (Withheld(Reason.FEW_PEOPLE.value), Withheld(Reason.FEW_JOBS.value, "thin")),
    "until": datetime(2026, 11, 16, 9, tzinfo=UTC),
}


@pytest.mark.django_db
def test_a_board_that_makes_sense_is_taken() -> None:
    form = BoardForm(GOOD)
    assert form.is_valid(), form.errors


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"audience": "group"}, "project", "needs the project"),
        ({"workload": ""}, "workload", "name the workload"),
        ({"scope": "project"}, "scope", "compares node types"),
        ({"kind": "failed_energy"}, "scope", "compares node types"),
        ({"smallest_group": "2"}, "smallest_group", "three"),
        ({"slug": "new"}, "slug", "taken"),
        ({"slug": "two words"}, "slug", "valid"),
        ({"kind": "mean_power"}, "kind", "valid choice"),
    ],
)
def test_a_board_that_makes_none_says_at_which_field(changed: dict[str, str], field: str, words: str) -> None:
    form = BoardForm(GOOD | changed)
    assert not form.is_valid()
    assert words in str(form.errors[field])


def test_each_constraint_of_the_table_has_words() -> None:
    assert {constraint.name for constraint in Board._meta.constraints} == set(CONSTRAINTS)
    assert all(isinstance(constraint.condition, Q) for constraint in Board._meta.constraints)  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", Refusal)
@pytest.mark.parametrize("language", ["en-gb", "de"])
def test_each_refusal_has_words(code: Refusal, language: str) -> None:
    with override(language):
        said = refusal(BoardRefused(code, **VALUES))
    assert len(said) > 10
    assert "%(" not in said


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_words(reason: Reason) -> None:
    assert wording_editions.reason(reason.value)[0].islower()


@pytest.mark.parametrize("kind", Board.Kind)
def test_each_question_is_explained(kind: Board.Kind) -> None:
    (found,) = [one for one in wording_boards.explained() if one.kind == kind]
    assert found.question.endswith("?")
    assert len(found.rule) > 80
    for scope in Board.Scope:
        assert "%" not in wording_boards.question(kind, scope)
    assert wording_editions.directive(kind)[1].startswith("#SBATCH")


@pytest.mark.parametrize("state", Edition.State)
def test_each_state_has_a_shape_and_its_next_steps(state: Edition.State) -> None:
    assert wording_boards.state_shape(state) in {"off", "wait", "ok", "warn", "bad"}
    steps = {
        "draft": ["submit", "discard"],
        "review": ["approve", "return"],
        "published": ["correct", "withdraw"],
        "corrected": ["withdraw"],
        "withdrawn": [],
    }
    assert offered(Edition(state=state)) == steps[state]
    assert all(name in ACTIONS for name in steps[state])


@pytest.mark.parametrize("what", BoardEvent.What)
def test_each_event_has_a_word(what: BoardEvent.What) -> None:
    assert wording_boards.event_word(BoardEvent(what=what))


def test_days_that_end_before_they_begin_are_no_period() -> None:
    form = PeriodForm({"first": "2026-10-31", "last": "2026-10-01"})
    assert not form.is_valid()
    assert "before the first" in str(form.errors["last"])
    assert PeriodForm({"first": "2026-10-31", "last": "2026-10-31"}).is_valid()


@pytest.mark.parametrize(
    ("declared", "one"),
    [
        ("cases", "case"),
        ("epochs", "epoch"),
        ("ns", "ns"),
        ("GPs", "GPs"),
        ("analysis", "analysis"),
        ("series", "series"),
    ],
)
def test_a_unit_is_said_of_one(declared: str, one: str) -> None:
    assert wording_editions.unit(Measure("node_types", "Wh", declared, 3)) == f"Wh per {one}"


def ties(*ranks: tuple[int, int]) -> str:
    rows = tuple(NamedRow(str(i), "A", best, worst, 1.0, 0.9, 1.1) for i, (best, worst) in enumerate(ranks))
    return wording_editions.ties(cast(Document, SimpleNamespace(bands=(), rows=rows)))


def test_a_single_place_beside_a_range_that_holds_it_is_explained() -> None:
    why = "a single place can stand beside a range that holds it"
    assert why in ties((1, 1), (1, 3), (2, 3))
    assert why in ties((1, 2), (1, 3), (3, 3))
    assert why not in ties((1, 1), (2, 3), (2, 3))
    assert ties((1, 1), (2, 2)) == "Each of them can be told from the others: no place is shared."
