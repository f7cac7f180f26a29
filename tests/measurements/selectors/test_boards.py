"""What editions say of jobs and roll-ups in the tables, and who gets to see what of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from measurements.domain.board_document import Document, read
from measurements.models import Edition, NodeConfig, Project
from measurements.selectors import boards
from measurements.services import editions
from measurements.services.editions import BoardRefused, Refusal
from tests.measurements.services.edition_world import (
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
    usage,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def persons_on() -> Iterator[None]:
    """The site compares persons."""
    with override_settings(BOARDS_OF_PERSONS=True):
        yield


def looked_at(**said: Any) -> Document:
    """A preview of October."""
    edition = editions.draft(board(**said), FIRST, LAST, admins()[0], NOW)
    return boards.preview(edition, NOW).document


def withheld(document: Document) -> list[tuple[str, str]]:
    """What is not shown, and why."""
    return [(one.subject, one.reason) for one in document.withheld]


# --- Kinds ------------------------------------------------------------------------------------------------------------


def test_bands_of_persons_have_pooled_figures_and_nothing_of_one_person() -> None:
    names = people()
    said = looked_at()
    assert [(row.band, len(row.members)) for row in said.bands] == [("A–B", 5), ("C–E", 7)] or said.people == 12
    assert sum(len(row.members) for row in said.bands) == 12
    assert all(len(row.members) >= 5 for row in said.bands)
    assert (said.measure.energy_unit, said.measure.work_unit, said.measure.digits) == ("Wh", "epochs", 2)
    assert (said.scope, said.smallest_group, said.coverage, said.rows) == ("NODE_AC", 5, 1.0, ())
    assert not any(name in str(said) for name in names)


def test_a_preview_draws_other_pseudonyms_each_time() -> None:
    people()
    edition = editions.draft(board(), FIRST, LAST, admins()[0], NOW)
    first, second = (set(boards.preview(edition, NOW).document.bands[0].members) for _ in range(2))
    assert first != second


def test_only_jobs_of_the_cell_that_ended_in_the_period_count() -> None:
    people()
    others: tuple[dict[str, Any], ...] = (
        {"size": "large"},
        {"target": "99"},
        {"phase": "inference"},
        {"workload": "resnet"},
    )
    for other in others:
        job("person00", at(9), energy_j=900 * MJ, **other)
    job("person00", at(30, month=9), energy_j=900 * MJ)
    edition = published(board())
    (own,) = boards.own_seat(edition, User.objects.create_user("person00"))
    assert own.jobs == 12
    assert own.energy_j == pytest.approx(12 * MJ)


def test_work_in_another_unit_and_of_jobs_that_failed_is_no_work_but_its_energy_counts() -> None:
    people()
    job("person00", at(9), work=1e6, unit="samples")
    job("person00", at(9), work=1e6, state="FAILED")
    edition = published(board())
    (own,) = boards.own_seat(edition, User.objects.create_user("person00"))
    assert own.value == pytest.approx(14 * MJ / 120 / 3600)


def test_fewer_than_twice_k_persons_are_not_put_up_for_review() -> None:
    people(9)
    assert withheld(looked_at()) == [("", "few_people")]
    with pytest.raises(BoardRefused) as caught:
        editions.submit(Edition.objects.get(), admins()[0], NOW)
    assert caught.value.code is Refusal.NOTHING_TO_SHOW


def test_the_site_can_ask_for_more_people_than_the_board_but_not_for_fewer() -> None:
    people()
    with override_settings(SMALLEST_GROUP=6):
        assert looked_at(smallest_group=3).smallest_group == 6
    edition = Edition.objects.get()
    edition.board.smallest_group = 7
    assert withheld(boards.preview(edition, NOW).document) == [("", "few_people")]


def _project(name: str, number: int, factor: float = 1.0) -> None:
    for i in range(number):
        jobs(f"{name}{i}", factor * (1 + i / 50) * MJ, account=name)


def test_projects_with_too_few_people_are_left_out_without_saying_how_many_if_it_is_one() -> None:
    for name, factor in (("physics", 1.0), ("biology", 2.0)):
        _project(name, 5, factor)
    _project("tiny", 4)
    said = looked_at(scope="project")
    assert [(row.name, row.best, row.worst) for row in said.rows] == [("physics", 1, 1), ("biology", 2, 2)]
    assert (said.left_out, said.withheld) == (None, ())
    _project("small", 2)
    assert boards.preview(Edition.objects.get(), NOW).document.left_out == 2


def test_a_project_in_which_one_person_draws_most_is_left_out() -> None:
    for name in ("physics", "biology", "geology"):
        _project(name, 5)
    jobs("large", 400 * MJ, account="geology")
    said = looked_at(scope="project")
    assert [row.name for row in said.rows] == ["biology", "physics"]
    assert "geology" not in str(said)


def test_members_of_a_project_see_it_and_their_own_part_and_may_object() -> None:
    for name in ("physics", "biology"):
        _project(name, 5)
    jobs("physics0", MJ, account="biology")
    _project("tiny", 2)
    edition = editions.submit(editions.draft(board(scope="project"), FIRST, LAST, admins()[0], NOW), admins()[0], NOW)
    both = boards.own_seat(edition, User.objects.create_user("physics0"))
    said = [(own.project, own.jobs, own.energy_j, own.value, own.best, own.band) for own in both]
    # No figure of the project yet: that of another review of it might be one person away.
    assert said == [(name, 12, 12 * MJ, None, None, "") for name in ("biology", "physics")]
    (few,) = boards.own_seat(edition, User.objects.create_user("tiny0"))
    assert (few.project, few.reasons, few.value) == ("tiny", ("few_people",), None)
    assert editions.object_to(edition, "physics0", "no", NOW).username == "physics0"
    with pytest.raises(BoardRefused):
        editions.object_to(edition, "tiny0", "no", NOW)
    editions.answer(edition.objections.get(), admins()[0], "they stay", NOW, upheld=False)
    edition = editions.approve(edition, admins()[1], REVIEWED)
    both = boards.own_seat(edition, User.objects.get(username="physics0"))
    assert [own.value for own in both] == [row.value for row in sorted(read(edition.frozen).rows, key=str)]


def test_node_types_are_compared_by_the_jobs_of_enough_people_or_of_benchmarks() -> None:
    people(5, on="thin")
    jobs("bench", 0.5 * MJ, on="gpu")
    assert withheld(looked_at(kind="node_types", scope="node_type")) == [("", "few_rows"), ("gpu", "few_people")]
    with override_settings(BENCHMARK_USERS=("bench",)):
        said = boards.preview(Edition.objects.get(), NOW).document
    assert [(row.name, row.best, row.worst) for row in said.rows] == [("gpu", 1, 1), ("thin", 2, 2)]
    assert said.measure.digits == 3


def test_node_types_that_are_metered_otherwise_are_not_ranked_with_the_others() -> None:
    for kind, scope in (("thin", 1), ("gpu", PARTS)):
        people(6, on=kind, scope=scope)
    said = looked_at(kind="node_types", scope="node_type")
    assert [reason for _, reason in withheld(said)] == ["few_rows", "other_scope"]
    assert said.rows == ()


def test_benchmarks_are_no_persons() -> None:
    people()
    jobs("bench", 9 * MJ)
    with override_settings(BENCHMARK_USERS=("bench",)):
        assert looked_at().people == 12


def test_a_board_of_a_project_counts_its_jobs_and_those_of_projects_below_it() -> None:
    physics = Project.objects.create(name="physics")
    Project.objects.create(name="optics", parent=Project.objects.create(name="light", parent=physics))
    people(6)
    for i in range(6):
        jobs(f"optics{i}", account="optics")
        jobs(f"other{i}", account="other")
    assert looked_at(project=physics).people == 12


def test_improvement_compares_everybody_with_their_own_past() -> None:
    for i in range(10):
        factor = 0.5 if i < 5 else 1.5
        for number in range(12):
            job(f"p{i}", at(1 + number // 2, number % 2, month=9), energy_j=(1 + i) * MJ)
            job(f"p{i}", at(3 + number // 2, number % 2), energy_j=factor * (1 + i) * MJ, size="")
    edition = published(board(kind="improvement"))
    said = read(edition.frozen)
    assert [(row.value, len(row.members)) for row in said.bands] == [(0.5, 5), (1.5, 5)]
    assert (said.measure.energy_unit, said.measure.work_unit) == ("", "")
    (own,) = boards.own_seat(edition, User.objects.create_user("p3"))
    assert own.value == pytest.approx(0.5)


# --- Waste ------------------------------------------------------------------------------------------------------------


def _waste(number: int = 10, **said: Any) -> None:
    for i in range(number):
        failed = (1.0 if i < number // 2 else 8.0) * 1e5
        for day in range(6):
            usage(f"p{i}", date(2026, 10, 5 + day), 1.378 * MJ, **said)
            usage(f"p{i}", date(2026, 10, 5 + day), failed, state="FAILED", **said)
        for number_of in range(12):
            job(f"p{i}", at(5 + number_of // 2))


def test_shares_of_failed_energy_come_from_the_roll_up() -> None:
    _waste()
    said = looked_at(kind="failed_energy")
    # 1.378 MJ less 1.05 × 360 kJ of waiting are 1 MJ put to use; 0.1 and 0.8 MJ failed.
    assert [(row.value, len(row.members)) for row in said.bands] == [(0.091, 5), (0.44, 5)]
    assert (said.scope, said.measure.digits) == ("", 2)


def test_a_node_type_without_idle_power_withholds_the_edition_with_its_name() -> None:
    _waste()
    NodeConfig.objects.filter(node__name="thin1").update(idle_w=None)
    said = looked_at(kind="failed_energy")
    assert (withheld(said), said.bands) == ([("thin", "idle_power")], ())


def test_days_are_those_of_the_sites_zone() -> None:
    _waste()
    for i in range(10):  # 2026-09-30 22:00 UTC is the 1st of October in Berlin, 21:00 is not
        usage(f"p{i}", date(2026, 9, 30), 1e6, state="FAILED", hour=21)
    document = looked_at(kind="failed_energy")
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert boards.preview(Edition.objects.get(), NOW).document.bands[0].value == document.bands[0].value
        for i in range(10):
            usage(f"p{i}", date(2026, 9, 30), 1e6, state="FAILED", hour=22)
        said = boards.preview(Edition.objects.get(), NOW).document
    assert said.edition["zone"] == "Europe/Berlin"
    assert said.bands[0].value == 0.21  # (0.6 + 1) ÷ (0.6 + 1 + 6)


def test_a_board_is_drafted_in_the_same_few_queries_whatever_the_number_of_jobs() -> None:
    people()
    edition = editions.draft(board(), FIRST, LAST, admins()[0], NOW)
    with CaptureQueriesContext(
        connection,
    ) as few:
        boards.preview(edition, NOW)
    people()
    with CaptureQueriesContext(connection) as more:
        boards.preview(edition, NOW)
    assert len(few) == len(more) <= 4


# --- Who sees what ----------------------------------------------------------------------------------------------------


def test_everybody_sees_the_boards_of_their_audience_and_only_what_was_published() -> None:
    people()
    physics = Project.objects.create(name="physics")
    physics.memberships.create(username="member")
    member, stranger = (User.objects.create_user(name) for name in ("member", "stranger"))
    one = board("group", audience="group", project=physics)
    edition = editions.draft(one, FIRST, LAST, admins()[0], NOW)
    for viewer in (member, stranger, AnonymousUser()):
        assert boards.boards_for(viewer, NOW) == []
        assert boards.edition_for(viewer, "group", 1, None, NOW) is None
    edition = editions.submit(edition, admins()[0], NOW)
    assert boards.edition_for(member, "group", 1, None, NOW) is None
    assert boards.edition_for(admins()[1], "group", 1, None, NOW) == edition
    edition = editions.approve(edition, admins()[1], REVIEWED)
    assert [each.newest for each in boards.boards_for(member, NOW)] == [edition]
    assert boards.edition_for(member, "group", 1, 0, NOW) == edition
    assert boards.edition_for(stranger, "group", 1, None, NOW) is None
    assert boards.board_for(AnonymousUser(), "group", NOW) is None
    for audience, seen in (("site", [True, True, False]), ("public", [True, True, True])):
        one.audience = audience
        one.save()
        viewers = (member, stranger, AnonymousUser())
        assert [boards.edition_for(viewer, "group", 1, None, NOW) is not None for viewer in viewers] == seen


def test_an_old_revision_stays_readable_and_the_newest_is_what_is_asked_for_without_a_revision() -> None:
    people()
    ada, omar = admins()
    edition = published(board(audience="public"))
    revision = editions.submit(editions.correct(edition, ada, "late", REVIEWED), ada, REVIEWED)
    anybody = AnonymousUser()
    assert boards.edition_for(anybody, "nnunet", 1, None, REVIEWED) == edition
    assert boards.edition_for(anybody, "nnunet", 1, 1, REVIEWED) is None
    editions.approve(revision, omar, REVIEWED + timedelta(days=14))
    assert boards.edition_for(anybody, "nnunet", 1, None, REVIEWED) == revision
    assert boards.edition_for(anybody, "nnunet", 1, 0, REVIEWED) == edition
    assert [one.revision for one in boards.editions_for(anybody, edition.board)] == [1, 0]


def test_the_last_quarter_that_is_over_is_proposed() -> None:
    assert boards.last_whole_period(NOW) == (date(2026, 7, 1), date(2026, 9, 30))
    assert boards.last_whole_period(at(1, month=1)) == (date(2025, 10, 1), date(2025, 12, 31))
    assert cluster().name == "alpha"
