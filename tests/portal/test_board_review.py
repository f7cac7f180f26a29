"""An edition on its way: one's own figures to oneself alone, objections, names by consent, and every step asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from measurements.models import Board, BoardEvent, Edition, Membership, NameConsent, Objection, Project
from portal.board_actions import ACTIONS
from tests.portal.board_world import make_board, make_edition, people, seat
from tests.portal.test_boards import as_

State = Edition.State
MOST_QUERIES = 10
MINE = ("4711", "988 kWh", "274 kWh", "1.2", "1–7")  # jobs, energy, figure, place
HERE = "/leaderboards/failed/"


@pytest.fixture
def users(db: None) -> Iterator[dict[str, User]]:
    with override_settings(BOARDS_OF_PERSONS=True):
        yield people()


@pytest.fixture
def board(users: dict[str, User]) -> Board:
    """Of persons, public."""
    return make_board("failed", kind="failed_energy", scope="user", names=True)


@pytest.fixture
def review(board: Board) -> Edition:
    """Alice and charlie are in it, and she is under review for another day."""
    edition = make_edition(board, State.REVIEW, 1, review_until=timezone.now() + timedelta(days=1))
    seat(edition, "alice", "amber-kite")
    seat(edition, "charlie", "old-acorn", band="D–E", best=9, worst=15, value=0.54321, jobs=31337, energy_j=1.0e6)
    return edition


def text(response: HttpResponseBase) -> str:
    return unescape(re.sub(r"\s+", " ", bytes(response.getvalue()).decode().replace("\u00a0", " ")))


def said(response: HttpResponseBase) -> str:
    """Its messages."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))  # type: ignore[attr-defined]


# --- One's own ------------------------------------------------------------------------------------


def test_who_is_in_a_review_sees_their_own_figures_and_nobody_else_does(review: Edition) -> None:
    own = text(as_("alice").get(f"{HERE}1/review/"))
    for figure in ("4711", "274 kWh", "1.2 %", "Your place is 1–7 of 15", "Others see you as amber-kite."):
        assert figure in own, figure
    assert "31337" not in own
    assert "old-acorn" not in own, "of the others nothing is shown before it is published"
    for name in ("olga", "omar", "charlie"):
        page = text(as_(name).get(f"{HERE}1/review/"))
        for secret in ("4711", "274 kWh", "1–7"):
            assert secret not in page, (name, secret)
    assert "You are in an edition of “Board failed”" in text(as_("alice").get("/leaderboards/"))
    assert "You are in an edition" not in text(as_("olga").get("/leaderboards/"))


@pytest.mark.parametrize("path", ["", "1/", "1/edition.csv", "1/edition.json", "1/edition.csv?format=json"])
def test_no_figure_of_a_seat_is_in_what_others_get(review: Edition, path: str) -> None:
    Edition.objects.update(state=State.PUBLISHED, approved_by="omar", published_at=timezone.now())
    for name in ("", "olga", "charlie"):
        sent = bytes(as_(name).get(HERE + path).getvalue()).decode().replace("\u00a0", " ")
        for secret in ("4711", "274 kWh", "987600000", "0123456", "alice"):
            assert secret not in sent, (name, secret)
    sent = bytes(as_("alice").get(HERE + path).getvalue()).decode()
    assert ("4711" in sent) == (path in ("", "1/")), "her own place is on her page, and in no file"


def test_one_s_own_band_is_marked_for_oneself(review: Edition) -> None:
    Edition.objects.update(state=State.PUBLISHED, approved_by="omar", published_at=timezone.now())
    for name, marked in (("", 0), ("alice", 1), ("olga", 0)):
        assert text(as_(name).get(f"{HERE}1/")).count('class="own"') - marked == (1 if marked else 0), name


def test_who_is_not_compared_learns_why(board: Board) -> None:
    edition = make_edition(board, State.PUBLISHED, 1)
    seat(edition, "alice", "", band="", best=None, worst=None, of=None, value=None, reasons=["few_jobs", "few_days"])
    page = text(as_("alice").get(f"{HERE}1/"))
    assert "You are not among those compared: too few jobs in the period, jobs on too few days of the period." in page


def test_a_member_of_a_project_sees_their_part_of_it(users: dict[str, User]) -> None:
    board = make_board("idle", kind="idle_accelerators", scope="project")
    edition = make_edition(board, State.PUBLISHED, 1)
    seat(edition, "alice", "physics", project="physics", band="B", best=1, worst=2, of=2, value=0.1, jobs=4711)
    page = text(as_("alice").get("/leaderboards/idle/1/"))
    assert "Your project: physics. You can't be told from the others (2 in all): band B." in page
    assert "4711" in page
    assert "4711" not in text(as_("charlie").get("/leaderboards/idle/1/"))


# --- Objections -----------------------------------------------------------------------------------


def test_an_objection_holds_an_edition_up_until_it_is_answered(review: Edition) -> None:
    alice, omar = as_("alice"), as_("omar")
    assert alice.post(f"{HERE}1/object/", {"text": "  "}).status_code == 422
    assert "noted" in said(alice.post(f"{HERE}1/object/", {"text": "The node failed <b>twice</b>."}))
    assert b"The node failed &lt;b&gt;twice&lt;/b&gt;." in alice.get(f"{HERE}1/review/").content
    assert alice.post(f"{HERE}1/object/", {"text": "again"}).status_code == 404, "once"
    assert "The node failed" not in text(as_("charlie").get(f"{HERE}1/review/")), "only admins read it"
    Edition.objects.update(review_until=timezone.now() - timedelta(seconds=1))
    assert "Answer them first" in said(omar.post(f"{HERE}1/do/approve/"))
    found = Objection.objects.get()
    answer = f"{HERE}1/objections/{found.pk}/"
    assert as_("alice").post(answer, {"answer": "x", "upheld": "0"}).status_code == 404
    assert "decision" in said(omar.post(answer, {"answer": "They are excused.", "upheld": ""}))
    omar.post(answer, {"answer": "They are excused.", "upheld": "0"})
    assert "They are excused." in text(alice.get(f"{HERE}1/review/"))
    assert "is published" in said(omar.post(f"{HERE}1/do/approve/"))
    assert Edition.objects.get().state == State.PUBLISHED


def test_an_objection_that_is_upheld_takes_the_edition_back_to_draft(review: Edition) -> None:
    as_("alice").post(f"{HERE}1/object/", {"text": "I do not want to."})
    as_("omar").post(f"{HERE}1/objections/{Objection.objects.get().pk}/", {"answer": "Of course.", "upheld": "1"})
    assert Edition.objects.get().state == State.DRAFT
    assert Edition.objects.get().left_out == ["alice"]


# --- Names ----------------------------------------------------------------------------------------


def test_a_name_is_shown_by_consent_and_taken_back(board: Board) -> None:
    edition = make_edition(board, State.PUBLISHED, 1)
    seat(edition, "alice", "amber-kite")
    alice, before = as_("alice"), text(Client().get(f"{HERE}1/"))
    etag = Client().get(f"{HERE}1/").headers["ETag"]
    assert "drawn anew in each edition" in text(alice.get(f"{HERE}name/"))
    assert alice.post(f"{HERE}name/", {"do": "name"}).headers["Location"] == f"{HERE}name/"
    assert "You are named on this board" in text(alice.get(f"{HERE}name/"))
    named = text(Client().get(f"{HERE}1/"))
    assert "alice, brisk-mole, calm-otter" in named, "in the place of her pseudonym"
    assert Client().get(f"{HERE}1/").headers["ETag"] != etag
    assert "alice" in bytes(Client().get(f"{HERE}1/edition.csv").getvalue()).decode()
    assert "alice" not in bytes(Client().get(f"{HERE}1/edition.json").getvalue()).decode(), "the frozen bytes stay"
    alice.post(f"{HERE}name/", {"do": "unname"})
    assert text(Client().get(f"{HERE}1/")) == before
    assert Client().get(f"{HERE}1/").headers["ETag"] == etag
    assert [event.what for event in BoardEvent.objects.all()] == ["named", "unnamed"]


def test_who_left_the_group_can_still_take_their_name_back(board: Board) -> None:
    Board.objects.update(audience="group", project=Project.objects.get())
    as_("alice").post(f"{HERE}name/", {"do": "name"})
    Membership.objects.all().delete()
    assert as_("alice").get(HERE).status_code == 404
    assert as_("charlie").get(f"{HERE}name/").status_code == 404
    as_("alice").post(f"{HERE}name/", {"do": "unname"})
    assert not NameConsent.objects.exists()
    assert as_("alice").get(f"{HERE}name/").status_code == 404


def test_nobody_is_named_where_the_board_has_no_names(board: Board) -> None:
    Board.objects.update(names=False)
    assert as_("alice").get(f"{HERE}name/").status_code == 404
    assert "Nobody is named" in said(as_("alice").post(f"{HERE}name/", {"do": "name"}))
    assert not NameConsent.objects.exists()


# --- Steps ----------------------------------------------------------------------------------------


def test_each_step_is_asked_once_more_and_takes_post_with_a_token(review: Edition) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="omar"))
    for name, action in ACTIONS.items():
        page = client.get(f"{HERE}1/do/{name}/")
        assert page.status_code == (200 if State.REVIEW in action.states else 404), name
        assert client.post(f"{HERE}1/do/{name}/").status_code == 403, name
        assert Edition.objects.get().state == State.REVIEW
    assert as_("omar").get(f"{HERE}1/do/explode/").status_code == 404
    for path in ("1/object/", "1/objections/1/"):
        assert as_("omar").get(HERE + path).status_code == 405, path


def test_who_put_it_up_does_not_approve_it(review: Edition) -> None:
    Edition.objects.update(review_until=timezone.now() - timedelta(seconds=1))
    assert "Two admins are needed" in said(as_("olga").post(f"{HERE}1/do/approve/"))
    assert "Two admins are needed" not in said(as_("omar").post(f"{HERE}1/do/approve/"))


def test_a_review_is_not_cut_short(review: Edition) -> None:
    assert "It can be approved after that" in said(as_("omar").post(f"{HERE}1/do/approve/"))
    page = text(as_("omar").get(f"{HERE}1/review/"))
    assert "Those in it may object until" in page
    assert 'class="button" href="/leaderboards/failed/1/do/approve/"' in page, "it is not the next thing to do"


@pytest.mark.parametrize("step", ["correct", "withdraw"])
def test_a_correction_and_a_withdrawal_need_a_reason(board: Board, step: str) -> None:
    make_edition(board, State.PUBLISHED, 1)
    omar = as_("omar")
    assert "This field is required" in text(omar.post(f"{HERE}1/do/{step}/", {"reason": " "}))
    answer = omar.post(f"{HERE}1/do/{step}/", {"reason": "The meters were mixed up."})
    there = {"correct": "1.1", "withdraw": "1"}[step]
    assert answer.headers["Location"] == f"{HERE}{there}/review/"
    assert Client().get(f"{HERE}1/").status_code == {"correct": 200, "withdraw": 410}[step]
    assert "The meters were mixed up." in text(omar.get(f"{HERE}manage/"))


def test_a_board_is_made_and_its_period_must_be_over(users: dict[str, User]) -> None:
    olga = as_("olga")
    fields = {"title": "Idle", "slug": "idle", "kind": "idle_accelerators", "scope": "project", "smallest_group": "5"}
    assert (
        olga.post("/leaderboards/new/", fields | {"audience": "public"}).headers["Location"].endswith("/idle/manage/")
    )
    today = timezone.localdate()
    page = olga.post("/leaderboards/idle/manage/", {"first": str(today - timedelta(days=9)), "last": str(today)})
    assert "The period is not over" in text(page)
    assert olga.post("/leaderboards/new/", fields | {"audience": "site"}).status_code == 200, "the address is taken"
    assert Board.objects.count() == 1


def test_boards_of_persons_are_refused_in_words_while_they_are_off(users: dict[str, User]) -> None:
    fields = {"title": "F", "slug": "f", "kind": "failed_energy", "scope": "user", "audience": "site"}
    with override_settings(BOARDS_OF_PERSONS=False):
        page = as_("olga").post("/leaderboards/new/", fields | {"smallest_group": "5"})
    assert "Boards of persons are switched off" in text(page)
    assert not Board.objects.exists()


# --- How many queries -----------------------------------------------------------------------------


def test_ten_queries_are_enough_for_each_page(review: Edition) -> None:
    make_edition(review.board, State.PUBLISHED, 2)
    NameConsent.objects.create(board=review.board, username="alice", given_at=timezone.now())
    most = {}
    for name in ("", "alice", "omar"):
        client = as_(name)
        paths = ["/leaderboards/", HERE, f"{HERE}2/", "/leaderboards/feed.xml"]
        paths += [f"{HERE}name/"] if name else []
        paths += [f"{HERE}1/review/"] if name in ("alice", "omar") else []
        paths += (
            [f"{HERE}manage/", f"{HERE}change/", "/leaderboards/new/", f"{HERE}1/", f"{HERE}1/do/approve/"]
            if name == "omar"
            else []
        )
        for path in paths:
            with CaptureQueriesContext(connection) as seen:
                assert client.get(path).status_code == 200, (name, path)
            most[name, path] = len(seen)
    assert max(most.values()) <= MOST_QUERIES, {key: count for key, count in most.items() if count > MOST_QUERIES}


def test_a_board_is_changed_as_far_as_its_editions_allow(board: Board) -> None:
    omar, page = as_("omar"), f"{HERE}change/"
    whole = {"title": "Failed", "kind": "failed_energy", "scope": "project", "audience": "site", "smallest_group": "6"}
    assert 'value="failed"' not in text(omar.get(page)), "its address stays"
    refused = omar.post(page, whole | {"audience": "group"})
    assert refused.status_code == 200
    assert "needs the project" in text(refused)
    assert omar.post(page, whole | {"note": "Asked by the board of users."}).headers["Location"] == f"{HERE}manage/"
    board.refresh_from_db()
    assert (board.slug, board.scope, board.smallest_group, board.audience) == ("failed", "project", 6, "site")
    make_edition(board, State.DRAFT, 1)
    assert 'name="kind"' not in text(omar.get(page))
    assert omar.post(page, whole | {"scope": "user", "title": "Failed energy"}).status_code == 302
    board.refresh_from_db()
    assert (board.title, board.scope) == ("Failed energy", "project"), "what its editions mean stays"
    (last, *_) = BoardEvent.objects.filter(board=board, what=BoardEvent.What.CHANGED).order_by("-pk")
    assert (last.username, last.note) == ("omar", "note, title")
    assert "board changed" in text(omar.get(f"{HERE}manage/"))


@pytest.mark.parametrize("name", ["", "alice", "charlie"])
def test_whoever_may_not_publish_changes_no_board(board: Board, name: str) -> None:
    for answer in (as_(name).get(f"{HERE}change/"), as_(name).post(f"{HERE}change/", {"title": "x"})):
        assert answer.status_code == (404 if name else 302)
    board.refresh_from_db()
    assert board.title == "Board failed"
