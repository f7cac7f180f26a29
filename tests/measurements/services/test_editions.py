"""Editions from draft to withdrawal: who may do what when, what is frozen, and what is written down of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import override_settings

from measurements.domain.board_document import canonical, read
from measurements.domain.statement import hash_of
from measurements.models import BoardEvent, DirtyDay, Edition, NameConsent, Seat, WorkloadJob
from measurements.selectors import boards
from measurements.selectors.seats import whose
from measurements.services import editions
from measurements.services.editions import BoardRefused, Refusal
from tests.measurements.services.edition_world import (
    AC,
    FIRST,
    LAST,
    MJ,
    NOW,
    PARTS,
    REVIEWED,
    admins,
    at,
    board,
    cluster,
    job,
    jobs,
    people,
    published,
)

pytestmark = pytest.mark.django_db
State = Edition.State


@pytest.fixture(autouse=True)
def persons_on() -> Any:
    """The site compares persons."""
    with override_settings(BOARDS_OF_PERSONS=True):
        yield


@pytest.fixture
def ada() -> User:
    """Drafts."""
    return admins()[0]


@pytest.fixture
def omar() -> User:
    """Approves."""
    return admins()[1]


def refused(do: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Refusal, dict[str, Any]]:
    """Why something is not done, and that nothing is written down of it."""
    before = BoardEvent.objects.count()
    with pytest.raises(BoardRefused) as caught:
        do(*arguments, **named)
    assert BoardEvent.objects.count() == before
    return caught.value.code, caught.value.values


def trail(edition: Edition) -> list[str]:
    """What was done to an edition."""
    return [event.what for event in boards.events(edition.board, edition)]


# --- From draft to withdrawal -----------------------------------------------------------------------------------------


def test_an_edition_goes_from_draft_to_withdrawal_and_each_step_is_written_down(ada: User, omar: User) -> None:
    names = people()
    edition = editions.draft(board(), FIRST, LAST, ada, NOW)
    assert (edition.number, edition.revision, edition.state, edition.frozen) == (1, 0, State.DRAFT, "")
    edition = editions.submit(edition, ada, NOW)
    assert (edition.state, edition.review_until) == (State.REVIEW, REVIEWED)
    assert edition.seats.count() == len(names)
    edition = editions.approve(edition, omar, REVIEWED)
    assert (edition.state, edition.approved_by, edition.published_at) == (State.PUBLISHED, "omar", REVIEWED)
    edition = editions.withdraw(edition, ada, "the meters were wrong", REVIEWED)
    assert (edition.state, edition.reason) == (State.WITHDRAWN, "the meters were wrong")
    assert not Seat.objects.exists()
    done = [(event.username, event.what) for event in boards.events(edition.board)]
    assert done == [
        ("ada", "created"), ("ada", "drafted"), ("ada", "submitted"), ("omar", "published"), ("ada", "withdrawn"),
    ]  # fmt: skip


def test_what_is_frozen_is_canonical_and_its_hash(ada: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    edition.refresh_from_db()
    assert edition.frozen == canonical(read(edition.frozen))
    assert edition.frozen == json.dumps(json.loads(edition.frozen), sort_keys=True, separators=(",", ":"))
    assert edition.frozen.isascii()
    assert edition.sha256 == hash_of(edition.frozen)


def _state(name: str, ada: User, omar: User) -> Edition:
    """An edition in a state."""
    edition = editions.draft(board(), FIRST, LAST, ada, NOW)
    if name != State.DRAFT:
        edition = editions.submit(edition, ada, NOW)
    if name not in (State.DRAFT, State.REVIEW):
        edition = editions.approve(edition, omar, REVIEWED)
    if name == State.CORRECTED:
        revision = editions.correct(edition, ada, "late data", REVIEWED)
        editions.approve(editions.submit(revision, ada, REVIEWED), omar, REVIEWED + timedelta(days=14))
    if name == State.WITHDRAWN:
        edition = editions.withdraw(edition, ada, "wrong", REVIEWED)
    edition.refresh_from_db()
    assert edition.state == name
    return edition


ACTIONS: dict[str, tuple[Callable[[Edition, User], Any], set[str]]] = {
    "submit": (lambda one, by: editions.submit(one, by, REVIEWED), {"draft"}),
    "discard": (lambda one, by: editions.discard(one, by, REVIEWED), {"draft"}),
    "send_back": (lambda one, by: editions.send_back(one, by, REVIEWED), {"review"}),
    "approve": (lambda one, by: editions.approve(one, by, REVIEWED), {"review"}),
    "object": (lambda one, _: editions.object_to(one, "person00", "no", REVIEWED), {"review"}),
    "correct": (lambda one, by: editions.correct(one, by, "late", REVIEWED), {"published"}),
    "withdraw": (lambda one, by: editions.withdraw(one, by, "wrong", REVIEWED), {"published", "corrected"}),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", State.values)
def test_each_action_is_possible_in_its_states_only(state: str, action: str, ada: User, omar: User) -> None:
    people()
    edition = _state(state, ada, omar)
    do, states = ACTIONS[action]
    if state in states:
        count = BoardEvent.objects.count()
        do(edition, omar)
        assert BoardEvent.objects.count() > count
        return
    said = {"state": state, "action": action}
    assert refused(do, edition, omar) == (Refusal.WRONG_STATE, said)
    assert Edition.objects.get(pk=edition.pk).state == state


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "object"])
def test_nothing_is_done_by_who_may_not_publish(action: str, ada: User, omar: User) -> None:
    people()
    edition = _state(next(iter(ACTIONS[action][1])), ada, omar)
    stranger = User.objects.create_user("stranger")
    assert refused(ACTIONS[action][0], edition, stranger)[0] is Refusal.NOT_ALLOWED
    gone = User.objects.create_superuser("gone", is_active=False)
    assert refused(ACTIONS[action][0], edition, gone)[0] is Refusal.NOT_ALLOWED
    assert refused(editions.make_board, stranger, NOW, slug="x", title="x")[0] is Refusal.NOT_ALLOWED


def test_two_admins_are_needed(ada: User, omar: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), omar, NOW)
    for one in (ada, omar):  # who drafted, and who submitted
        assert refused(editions.approve, edition, one, REVIEWED)[0] is Refusal.SAME_PERSON
    third = User.objects.create_superuser("olga")
    assert editions.approve(edition, third, REVIEWED).state == State.PUBLISHED


def test_the_review_has_to_be_over(ada: User, omar: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    early = REVIEWED - timedelta(seconds=1)
    assert refused(editions.approve, edition, omar, early) == (Refusal.IN_REVIEW_UNTIL, {"until": REVIEWED})


def test_boards_without_persons_need_no_review_time_but_two_admins(ada: User, omar: User) -> None:
    for kind in ("thin", "gpu"):
        people(on=kind, number=6)
    edition = editions.draft(board(kind="node_types", scope="node_type"), FIRST, LAST, ada, NOW)
    edition = editions.submit(edition, ada, NOW)
    assert refused(editions.approve, edition, ada, NOW)[0] is Refusal.SAME_PERSON
    assert editions.approve(edition, omar, NOW).state == State.PUBLISHED


def test_stored_rows_that_somebody_changed_are_not_published(ada: User, omar: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    Edition.objects.filter(pk=edition.pk).update(frozen=edition.frozen.replace("epochs", "epoch"))
    assert refused(editions.approve, edition, omar, REVIEWED)[0] is Refusal.FROZEN_CHANGED


# --- Late data, corrections -------------------------------------------------------------------------------------------


def test_late_data_and_new_figures_leave_a_published_edition_as_it_is(ada: User, omar: User) -> None:
    names = people()
    edition = published(board())
    bytes_before, seats = edition.frozen, list(edition.seats.order_by("pk").values("whose", "own"))
    jobs(names[0], 50 * MJ)
    WorkloadJob.objects.filter(username=names[1]).update(energy_j=1.0, work=1e9)
    edition.board.title = "another"
    edition.refresh_from_db()
    assert edition.frozen == bytes_before
    assert hash_of(edition.frozen) == edition.sha256
    assert list(edition.seats.order_by("pk").values("whose", "own")) == seats
    assert canonical(boards.shown(edition).document) == bytes_before


def test_a_correction_is_a_new_revision_with_what_it_changed(ada: User, omar: User) -> None:
    names = people()
    edition = published(board())
    for name in names:  # all of them: no figure goes back to a few
        job(name, at(20), energy_j=9 * MJ)
    assert refused(editions.correct, edition, ada, " ", REVIEWED)[0] is Refusal.NO_REASON
    revision = editions.correct(edition, ada, "a log came late", REVIEWED)
    assert (revision.number, revision.revision, revision.state) == (1, 1, State.DRAFT)
    assert refused(editions.correct, edition, ada, "again", REVIEWED) == (Refusal.REVISION_OPEN, {"revision": 1})
    edition.refresh_from_db()
    assert edition.state == State.PUBLISHED  # until the correction is published
    revision = editions.approve(editions.submit(revision, ada, REVIEWED), omar, REVIEWED + timedelta(days=14))
    edition.refresh_from_db()
    assert (edition.state, revision.state, revision.reason) == (State.CORRECTED, State.PUBLISHED, "a log came late")
    changed = {(line.row, line.what): (line.before, line.after) for line in boards.difference_of(revision)}
    bands = [{row.band: row for row in read(one.frozen).bands} for one in (edition, revision)]
    for band in bands[0].keys() & bands[1].keys():
        assert changed[band, "value"] == (bands[0][band].value, bands[1][band].value)
    assert changed


def test_a_correction_that_goes_back_to_few_people_shows_no_new_figure_of_their_band(ada: User, omar: User) -> None:
    names = people()
    edition = published(board())
    job(names[0], at(20))  # one person's late job: the difference would be theirs
    revision = editions.submit(editions.correct(edition, ada, "late", REVIEWED), ada, REVIEWED)
    before, after = (read(one.frozen).bands for one in (edition, revision))
    assert [row.value is not None for row in before] == [True, True]
    assert (after[0].value, after[0].low, after[0].high, after[0].reason) == (None, None, None, "small_change")
    assert after[1].value == before[1].value


def test_a_withdrawal_takes_all_revisions_and_open_drafts_with_it(ada: User, omar: User) -> None:
    people()
    edition = published(board())
    editions.correct(edition, ada, "late", REVIEWED)
    assert refused(editions.withdraw, edition, omar, "", REVIEWED)[0] is Refusal.NO_REASON
    editions.withdraw(edition, omar, "an error", REVIEWED)
    assert [(one.revision, one.state) for one in Edition.objects.all()] == [(0, State.WITHDRAWN)]
    assert trail(edition)[-2:] == ["withdrawn", "discarded"] or trail(edition)[-2:] == ["discarded", "withdrawn"]
    # It was public: with another edition of these days one could tell who is in one of them only.
    assert refused(editions.draft, edition.board, FIRST, LAST, ada, REVIEWED)[0] is Refusal.OVERLAPS_EDITION


def test_numbers_of_what_was_discarded_are_not_given_again(ada: User) -> None:
    one = board()
    editions.discard(editions.draft(one, FIRST, LAST, ada, NOW), ada, NOW)
    assert editions.draft(one, FIRST, LAST, ada, NOW).number == 2


# --- Objections -------------------------------------------------------------------------------------------------------


def test_an_upheld_objection_leaves_the_person_out_and_goes_back_to_draft(ada: User, omar: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    objection = editions.object_to(edition, "person03", " these were tests ", NOW)
    assert refused(editions.object_to, edition, "person03", "again", NOW)[0] is Refusal.ALREADY_OBJECTED
    assert refused(editions.object_to, edition, "person04", " ", NOW)[0] is Refusal.NO_TEXT
    assert refused(editions.object_to, edition, "stranger", "no", NOW)[0] is Refusal.NOT_IN_IT
    assert refused(editions.approve, edition, omar, REVIEWED) == (Refusal.OPEN_OBJECTIONS, {"count": 1})
    assert refused(editions.answer, objection, ada, "", NOW, upheld=True)[0] is Refusal.NO_TEXT
    editions.answer(objection, ada, "agreed", NOW, upheld=True)
    edition.refresh_from_db()
    assert (edition.state, edition.left_out, edition.frozen, edition.seats.count()) == (
        State.DRAFT,
        ["person03"],
        "",
        0,
    )
    assert refused(editions.answer, objection, ada, "agreed", NOW, upheld=True)[0] is Refusal.ALREADY_ANSWERED
    edition = editions.submit(edition, ada, NOW)
    assert not edition.seats.filter(whose=whose(edition.pk, "person03")).exists()
    assert read(edition.frozen).people == 11
    assert [own.reasons for own in boards.own_seat(edition, User.objects.create_user("person03"))] == [("left_out",)]
    assert trail(edition) == ["drafted", "submitted", "objected", "answered", "returned", "submitted"]


def test_an_objection_that_is_not_upheld_is_answered_and_the_edition_can_be_published(ada: User, omar: User) -> None:
    people()
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    objection = editions.object_to(edition, "person03", "no", NOW)
    answered = editions.answer(objection, omar, "all are treated alike", NOW, upheld=False)
    assert (answered.upheld, answered.answered_by) == (False, "omar")
    assert editions.approve(edition, omar, REVIEWED).state == State.PUBLISHED


def test_nobody_answers_their_own_objection(ada: User, omar: User) -> None:
    people()
    jobs("ada")
    edition = editions.submit(editions.draft(board(), FIRST, LAST, ada, NOW), ada, NOW)
    objection = editions.object_to(edition, "ada", "no", NOW)
    assert refused(editions.answer, objection, ada, "yes", NOW, upheld=True)[0] is Refusal.SAME_PERSON


# --- What is refused --------------------------------------------------------------------------------------------------


def test_boards_of_persons_are_refused_and_hidden_while_the_site_does_not_compare_persons(
    ada: User, omar: User
) -> None:
    people()
    one = board(names=True)
    drafted = editions.draft(one, date(2026, 9, 1), date(2026, 9, 30), ada, NOW)
    waiting = editions.submit(editions.draft(one, FIRST, LAST, ada, NOW), ada, NOW)
    person = User.objects.create_user("person00")
    assert boards.own_seat(waiting, person)
    assert boards.reviews_for(person, NOW)
    with override_settings(BOARDS_OF_PERSONS=False):
        for do in (
            lambda: board("other"),
            lambda: editions.draft(one, date(2026, 8, 1), date(2026, 8, 31), ada, NOW),
            lambda: editions.submit(drafted, ada, NOW),
            lambda: editions.approve(waiting, omar, REVIEWED),
            lambda: editions.object_to(waiting, "person00", "no", NOW),
            lambda: editions.consent(one, "person00", NOW, named=True),
            lambda: editions.change_board(one, ada, NOW, title="new"),
        ):
            assert refused(do)[0] is Refusal.PERSONS_OFF
        for viewer in (ada, person, User.objects.create_superuser("root")):
            assert boards.boards_for(viewer, NOW) == []
            assert boards.board_for(viewer, one.slug, NOW) is None
            assert boards.edition_for(viewer, one.slug, 2, None, NOW) is None
        assert (boards.own_seat(waiting, person), boards.reviews_for(person, NOW)) == ((), [])
    assert boards.edition_for(ada, one.slug, 2, None, NOW) == waiting


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (LAST, FIRST, Refusal.PERIOD_BACKWARDS),
        (FIRST, date(2026, 11, 2), Refusal.PERIOD_NOT_OVER),
        (date(2025, 10, 30), LAST, Refusal.PERIOD_TOO_LONG),
    ],
)
def test_a_period_that_makes_no_sense_is_refused(first: date, last: date, why: Refusal, ada: User) -> None:
    assert refused(editions.draft, board(), first, last, ada, NOW)[0] is why


def test_editions_of_a_board_do_not_overlap(ada: User) -> None:
    one = board()
    editions.draft(one, FIRST, LAST, ada, NOW)
    later = date(2026, 10, 31), date(2026, 11, 1)
    said = {"number": 1, "first": FIRST, "last": LAST}
    assert refused(editions.draft, one, *later, ada, NOW) == (Refusal.OVERLAPS_EDITION, said)
    assert editions.draft(one, date(2026, 9, 1), date(2026, 9, 30), ada, NOW).number == 2


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        ({}, True),
        ({"audience": "public"}, True),
        ({"unit": "samples"}, True),
        ({"smallest_group": 6}, True),
        ({"phase": "inference"}, False),
        ({"size": "large"}, False),
        ({"scope": "project"}, False),
        ({"workload": "resnet"}, False),
    ],
)
def test_boards_of_the_same_jobs_are_not_published_of_the_same_days(
    other: dict[str, Any],
    meets: bool,  # noqa: FBT001 - a value
    ada: User,
) -> None:
    editions.draft(board(), FIRST, LAST, ada, NOW)
    second = board("second", **other)
    if meets:
        assert refused(editions.draft, second, LAST, LAST, ada, NOW)[0] is Refusal.OVERLAPS_BOARD
    else:
        assert editions.draft(second, LAST, LAST, ada, NOW).number == 1


def test_an_edition_waits_until_its_days_are_booked(ada: User) -> None:
    people()
    edition = editions.draft(board(), FIRST, LAST, ada, NOW)
    mark = DirtyDay.objects.create(cluster=cluster(), day=date(2026, 10, 6), version=1)
    assert refused(editions.submit, edition, ada, NOW) == (Refusal.DAYS_NOT_BOOKED, {"days": 1})
    mark.delete()
    assert editions.submit(edition, ada, NOW).state == State.REVIEW


def test_a_board_means_the_same_in_all_its_editions(ada: User) -> None:
    one = board()
    one = editions.change_board(one, ada, NOW, phase="inference", title="Inference")
    assert (one.phase, one.title) == ("inference", "Inference")
    editions.draft(one, FIRST, LAST, ada, NOW)
    fixed = {"fields": ["audience", "phase"]}
    assert refused(editions.change_board, one, ada, NOW, phase="", audience="public") == (Refusal.FIELDS_FIXED, fixed)
    assert editions.change_board(one, ada, NOW, title="Again", names=True).names
    assert [event.note for event in boards.events(one) if event.what == "changed"] == ["phase, title", "names, title"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"unit": ""}, "unit"),
        ({"workload": ""}, "__all__"),
        ({"kind": "improvement", "size": "large"}, "size"),
        ({"scope": "node_type"}, "__all__"),
        ({"audience": "group"}, "__all__"),
        ({"smallest_group": 2}, "smallest_group"),
        ({"slug": "no spaces"}, "slug"),
    ],
)
def test_a_board_that_makes_no_sense_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        board(**({"slug": "x"} | fields))
    assert fault in caught.value.error_dict


# --- Names and seats --------------------------------------------------------------------------------------------------


def test_a_name_is_laid_over_the_pseudonym_by_consent_and_taken_back_without_changing_a_byte(omar: User) -> None:
    people()
    one = board(names=True)
    edition = published(one)
    person = User.objects.create_user("person07")
    seat = boards.own_seat(edition, person)[0]
    assert boards.shown(edition).names == {}
    editions.consent(one, "person07", REVIEWED, named=True)
    editions.consent(one, "person07", REVIEWED, named=True)  # once is enough
    shown = boards.shown(edition)
    assert (shown.names, shown.member(seat.pseudonym), boards.named(one, person)) == (
        {seat.pseudonym: "person07"}, "person07", True,
    )  # fmt: skip
    assert "person07" not in edition.frozen
    editions.consent(one, "person07", REVIEWED, named=False)
    edition.refresh_from_db()
    assert (boards.shown(edition).names, hash_of(edition.frozen)) == ({}, edition.sha256)
    assert [event.what for event in boards.events(one)][-2:] == ["named", "unnamed"]
    editions.consent(one, "person07", REVIEWED, named=True)
    editions.change_board(one, omar, REVIEWED, names=False)
    assert boards.shown(Edition.objects.get(pk=edition.pk)).names == {}
    assert refused(editions.consent, one, "person08", REVIEWED, named=True)[0] is Refusal.NAMES_OFF
    assert NameConsent.objects.count() == 1


def test_seats_name_nobody_and_can_be_forgotten(ada: User) -> None:
    names = people()
    edition = published(board())
    rows = list(edition.seats.order_by("pk").values_list("whose", "own"))
    assert not any(name in f"{owner}{own}" for owner, own in rows for name in names)
    assert [owner for owner, _ in rows] == sorted(owner for owner, _ in rows)  # not in the order of places
    assert whose(edition.pk, names[0]) != whose(edition.pk + 1, names[0])
    with override_settings(SECRET_KEY="another"):
        assert not edition.seats.filter(whose=whose(edition.pk, names[0])).exists()
    assert editions.forget_seats(names[0]) == 1
    assert boards.own_seat(edition, User.objects.create_user(names[0])) == ()
    assert edition.seats.count() == len(names) - 1


def test_everybody_sees_their_own_figures_and_only_these() -> None:
    people()
    job("person00", at(9), excused=True, state="NODE_FAIL")
    jobs("few", number=3)
    jobs("elsewhere", scope=PARTS)
    edition = published(board())
    (own,) = boards.own_seat(edition, User.objects.create_user("person00"))
    assert (own.jobs, own.excused, own.reasons) == (12, 1, ())
    assert own.energy_j == pytest.approx(12 * MJ)
    assert own.value == pytest.approx(1e5 / 3600)  # 12 MJ ÷ 120 epochs, in Wh
    assert own.best == 1
    assert own.of == 12
    assert own.pseudonym in read(edition.frozen).bands[0].members
    (few,) = boards.own_seat(edition, User.objects.create_user("few"))
    assert (few.reasons, few.pseudonym, few.value) == (("few_jobs", "few_days", "little_energy"), "", None)
    (away,) = boards.own_seat(edition, User.objects.create_user("elsewhere"))
    assert away.reasons == ("other_scope",)
    assert boards.own_seat(edition, User.objects.create_user("stranger")) == ()
    assert AC != PARTS
