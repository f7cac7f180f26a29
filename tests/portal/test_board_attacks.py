"""What an outsider, a member, or some people together can learn of one person from leaderboards: nothing.

The jobs are those of `attack_world`: the expectations are the rules of docs/leaderboards.md, not what the code does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise, product
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import HttpResponseBase
from django.test import Client, override_settings

from measurements.models import Board, Edition, Job, NodeConfig, SiteFactor, UsageDay, WorkloadJob
from measurements.selectors.boards import own_seat, shown
from measurements.services.editions import (
    BoardRefused,
    Refusal,
    answer,
    consent,
    correct,
    draft,
    forget_seats,
    object_to,
    send_back,
    submit,
    withdraw,
)
from tests.portal.attack_world import (
    FIRST,
    KWH,
    LAST,
    NOW,
    PEOPLE,
    Part,
    add,
    add_usage,
    board,
    machine,
    publish,
    published,
    user,
    usual,
)

K = 5
EVERYBODY = [person for people in PEOPLE.values() for person in people]
LATER = NOW + timedelta(days=40)


@pytest.fixture(autouse=True)
def persons_on(db: None) -> Iterator[None]:
    with override_settings(BOARDS_OF_PERSONS=True):
        yield


def client_of(name: str = "") -> Client:
    client = Client()
    if name:
        client.force_login(user(name))
    return client


def sent(response: HttpResponseBase) -> bytes:
    return bytes(response.getvalue())


def addresses(edition: Edition) -> list[str]:
    """All that is public of it."""
    slug = edition.board.slug
    number = f"{edition.number}.{edition.revision}" if edition.revision else str(edition.number)
    here = f"/leaderboards/{slug}/{number}/"
    return [here, f"{here}edition.json", f"{here}edition.csv", f"/api/v1/boards/{slug}/{number}"]


def everything(edition: Edition, name: str = "") -> dict[str, tuple[int, bytes]]:
    """Each form of it as it comes over the wire; what is drawn anew for each reader (the form's token) taken off."""
    client = client_of(name)
    found = {}
    for path in addresses(edition):
        response = client.get(path)
        body = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"', b"", sent(response))
        found[path] = (response.status_code, body)
    return found


def figures(edition: Edition) -> list[dict[str, Any]]:
    """Rows of its bands, without who is in them."""
    bands = json.loads(edition.frozen)["bands"]
    return [{**row, "members": len(row["members"])} for row in bands]


def told(edition: Edition) -> dict[str, tuple[float | None, ...]]:
    return {row["band"]: (row["value"], row["low"], row["high"]) for row in json.loads(edition.frozen)["bands"]}


# --- One edition ------------------------------------------------------------------------------------------------------


def test_no_form_of_an_edition_names_anybody_or_any_job() -> None:
    add(usual())
    edition = published(board())
    for reader in ("", "zoe", "low-person-3"):
        for path, (status, body) in everything(edition, reader).items():
            assert status == 200, path
            words = [name for name in EVERYBODY if name != reader]  # whoever is logged in stands in the head
            for word in (*words, "secret-of", "7000", "account-"):
                assert word.encode() not in body, (path, word)
    lists = (
        "/leaderboards/",
        "/leaderboards/thrift/",
        "/leaderboards/feed.xml",
        "/api/v1/boards",
        "/api/v1/boards/thrift",
    )
    for path in lists:
        body = sent(client_of().get(path))
        assert b"-person-" not in body, path


def test_figures_are_of_whole_bands_of_enough_people() -> None:
    add(usual())
    rows = figures(published(board()))
    assert [(row["band"], row["members"], row["value"]) for row in rows] == [
        ("A", 6, 1.0),
        ("C", 6, 2.0),
        ("E", 6, 4.0),
    ]


def test_a_band_in_which_one_has_most_tells_no_figure_in_any_form() -> None:
    parts = [replace(part, joules=part.joules * 40, work=part.work * 40) if part.person == "middle-person-5" else part
             for part in usual()]  # fmt: skip
    add(parts)
    edition = published(board())
    dominated = figures(edition)[1]
    assert (dominated["value"], dominated["low"], dominated["high"], dominated["reason"]) == (
        None,
        None,
        None,
        "dominated",
    )
    assert figures(edition)[0]["value"] == 1.0
    table = sent(client_of().get(addresses(edition)[2])).decode().splitlines()
    [line] = [line for line in table if "dominated" in line]
    assert not re.search(r"\d\.\d", line), line


def test_one_who_has_most_of_the_work_but_little_of_the_energy_hides_the_figure_too() -> None:
    parts = usual()
    for place, part in enumerate(parts):
        if part.person.startswith("low"):  # thrifty enough to stay in A, with 90 % of its work
            parts[place] = replace(part, joules=8 * KWH, work=8 * KWH * (1 if part.person != "low-person-0" else 60))
    add(parts)
    first = figures(published(board()))[0]
    assert first["reason"] == "dominated"


@pytest.mark.parametrize("number", [9, 4, 1])
def test_fewer_than_twice_k_people_are_no_edition(number: int) -> None:
    add(usual()[:number])
    edition = draft(board(), FIRST, LAST, user("olga"), NOW)
    with pytest.raises(BoardRefused) as refused:
        submit(edition, user("olga"), NOW)
    assert refused.value.code is Refusal.NOTHING_TO_SHOW
    assert client_of().get("/leaderboards/thrift/1/").status_code in (302, 404)


def test_nobody_can_be_behind_a_figure_of_fewer_people_than_three() -> None:
    machine()
    with pytest.raises(ValidationError):
        board(smallest_group=2)
    add(usual())
    with override_settings(SMALLEST_GROUP=5):
        edition = published(board(smallest_group=3))
    assert json.loads(edition.frozen)["smallest_group"] == K, "the site's word is above the board's"


def test_who_is_below_what_it_takes_leaves_no_trace() -> None:
    add(usual())
    without = published(board())
    extra = [Part("zoe", 3 * KWH, KWH, jobs=9), Part("olga", 0.5 * KWH, KWH), Part("omar", 50 * KWH, 0.0)]
    april = date(2025, 4, 1)
    add([replace(part, first=april) for part in (*usual(), *extra)])
    with_them = published(without.board, april, date(2025, 5, 1))
    assert figures(without) == figures(with_them)
    for name in ("coverage", "left_out", "withheld", "scope", "rules"):
        assert json.loads(without.frozen)[name] == json.loads(with_them.frozen)[name], name


def test_pseudonyms_stand_in_an_order_and_rows_in_a_place_that_say_nothing() -> None:
    add(usual())
    orders = set()
    of = board()
    for month in (3, 4):
        if month == 4:
            add([replace(part, first=date(2025, 4, 1)) for part in usual()])
        edition = published(of, date(2025, month, 1), date(2025, month, 30))
        rows = json.loads(edition.frozen)["bands"]
        assert all(row["members"] == sorted(row["members"]) for row in rows)
        seats = {own_seat(edition, user(name))[0].pseudonym: name for name in EVERYBODY}
        orders.add(tuple(seats[one] for row in rows for one in row["members"]))
    assert len(orders) == 2, "not the order of names, energies, or the one of the edition before"


# --- Two editions, two boards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (FIRST, LAST), (FIRST, LAST + timedelta(days=1)), (FIRST - timedelta(days=1), LAST), (LAST, LAST),
        (FIRST + timedelta(days=3), LAST - timedelta(days=3)), (date(2025, 1, 1), date(2025, 4, 30)),
    ],
)  # fmt: skip
def test_no_two_editions_share_a_day(first: date, last: date) -> None:
    add(usual())
    of = board()
    published(of)
    with pytest.raises(BoardRefused) as refused:
        draft(of, first, last, user("olga"), NOW)
    assert refused.value.code is Refusal.OVERLAPS_EDITION


ALIKE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"audience": "site"}),
    ({}, {"smallest_group": 7}),
    ({"audience": "site"}, {"names": False}),
    ({"kind": "failed_energy", "workload": "", "phase": "", "unit": ""},
     {"kind": "failed_energy", "phase": "", "unit": ""}),
    ({"kind": "failed_energy", "phase": "", "unit": ""}, {"kind": "failed_energy", "unit": ""}),
    ({"kind": "improvement"}, {"kind": "improvement", "phase": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), ALIKE)
@pytest.mark.parametrize("swapped", [False, True])
def test_no_two_boards_that_count_some_of_the_same_jobs_share_a_day(
    one: dict[str, Any], other: dict[str, Any], *, swapped: bool
) -> None:
    machine()
    first, second = (other, one) if swapped else (one, other)
    draft(board("one", **first), FIRST, LAST, user("olga"), NOW)
    with pytest.raises(BoardRefused) as refused:
        draft(board("other", **second), FIRST + timedelta(days=9), LAST + timedelta(days=9), user("olga"), NOW)
    assert refused.value.code is Refusal.OVERLAPS_BOARD


def test_filters_by_cluster_and_project_are_no_way_round() -> None:
    cluster = machine()
    fields: list[dict[str, Any]] = [{}, {"cluster": cluster}, {"project": _project("physics")}]
    for place, (one, other) in enumerate(product(fields, fields)):
        if one is other:
            continue
        draft(board(f"one-{place}", **one), date(2024, place + 1, 1), date(2024, place + 1, 20), user("olga"), NOW)
        with pytest.raises(BoardRefused):
            draft(
                board(f"two-{place}", **other), date(2024, place + 1, 9), date(2024, place + 1, 25), user("olga"), NOW
            )


def _project(name: str) -> Any:
    from measurements.models import Project

    return Project.objects.get(name=name)


def test_a_board_of_jobs_without_a_size_has_none_of_those_with_one() -> None:
    """Else a board without a size less one with it would be the rest, and both may have editions of a time."""
    add([*usual(), *(replace(part, size="large", joules=part.joules * 3) for part in usual())])
    small, large = published(board("small")), published(board("large", size="large"))
    assert told(small)["A"][0] == 1.0
    assert told(large)["A"][0] == 3.0


def test_what_was_withdrawn_is_not_published_again_a_day_shorter() -> None:
    add(usual())
    of = board()
    edition = published(of)
    withdraw(edition, user("omar"), "a wrong meter", LATER)
    with pytest.raises(BoardRefused):
        draft(of, FIRST, LAST - timedelta(days=1), user("olga"), LATER)
    with pytest.raises(BoardRefused):
        draft(board("twin"), FIRST, LAST - timedelta(days=1), user("olga"), LATER)


# --- A correction -----------------------------------------------------------------------------------------------------


def late(person: str, ratio: float = 2.0) -> Part:
    return Part(person, 8 * KWH, 8 * KWH / ratio, jobs=2, first=FIRST + timedelta(days=20))


@pytest.mark.parametrize("number", [1, 4])
def test_a_correction_that_goes_back_to_few_people_tells_nothing_of_what_changed(number: int) -> None:
    add(usual())
    first = published(board())
    add([late(person, 1.0) for person in PEOPLE["low"][:number]])
    second = publish(correct(first, user("olga"), "late logs", LATER), LATER)
    before, after = told(first), told(second)
    assert after["A"] == (None, None, None)
    assert {name: after[name] for name in ("C", "E")} == {name: before[name] for name in ("C", "E")}


def test_a_correction_of_enough_people_is_told() -> None:
    add(usual())
    first = published(board())
    add([late(person, 1.1) for person in PEOPLE["low"]])
    second = publish(correct(first, user("olga"), "late logs", LATER), LATER)
    assert all(value is not None for value, _, _ in told(second).values())


def test_many_corrections_of_one_person_each_are_no_way_round() -> None:
    """Five corrections with one person's jobs each: each is held against all that was public."""
    add(usual())
    edition = published(board())
    public = [told(edition)]
    for place, person in enumerate(PEOPLE["low"]):
        add([late(person, 1.0)])
        now = LATER + timedelta(days=30 * place)
        edition = publish(correct(edition, user("olga"), "late logs", now), now)
        public.append(told(edition))
    shown_after = [place for place, rows in enumerate(public) if rows["A"][0] is not None]
    assert all(b - a >= K for a, b in pairwise(shown_after)), shown_after


def test_a_job_that_becomes_a_failed_one_is_a_change_too_where_nodes_draw_nothing_idle() -> None:
    """x + y stays as it was, x alone changes: of one person."""
    people = [(name, person) for name in GROUPS_OF_WASTE for person in PEOPLE[name]]
    add_usage([(person, 90 * KWH, 90 * KWH * GROUPS_OF_WASTE[name]) for name, person in people])
    of = board(kind="failed_energy", workload="", phase="", unit="")
    first = published(of)
    row = UsageDay.objects.filter(username="low-person-0", state="COMPLETED").order_by("day").first()
    assert row is not None
    row.state = "FAILED"
    row.save()
    second = publish(correct(first, user("olga"), "states were wrong", LATER), LATER)
    before, after = told(first), told(second)
    assert all(after[name] in ((None, None, None), before[name]) for name in before if name in after), (before, after)


GROUPS_OF_WASTE = {"low": 0.01, "middle": 0.2, "high": 0.6}


def test_who_is_forgotten_between_an_edition_and_its_correction_opens_nothing() -> None:
    add(usual())
    first = published(board())
    forget_seats("low-person-5")
    add([late("low-person-0", 1.0)])
    second = publish(correct(first, user("olga"), "late logs", LATER), LATER)
    assert told(second)["A"] == (None, None, None)


def test_pseudonyms_of_a_correction_cannot_be_joined_with_those_before() -> None:
    add(usual())
    first = published(board())
    second = publish(correct(first, user("olga"), "another method", LATER), LATER)
    names = [{one for row in json.loads(each.frozen)["bands"] for one in row["members"]} for each in (first, second)]
    assert not names[0] & names[1]
    assert len(names[0]) == len(names[1]) == len(EVERYBODY)


# --- Objections, reviews ----------------------------------------------------------------------------------------------


def in_review(of: Board, now: Any = NOW) -> Edition:
    return submit(draft(of, FIRST, LAST, user("olga"), now), user("olga"), now)


def seen_by_others(edition: Edition, reader: str) -> list[tuple[int, bytes]]:
    here = f"/leaderboards/{edition.board.slug}/"
    number = f"{edition.number}"
    client = client_of(reader)
    paths = (
        "/leaderboards/", here, f"{here}{number}/", f"{here}{number}/review/", "/leaderboards/feed.xml",
        f"/api/v1/boards/{edition.board.slug}", f"/api/v1/boards/{edition.board.slug}/{number}", "/",
    )  # fmt: skip
    clean = rb'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"|<updated>.*?</updated>'  # of no edition: now
    return [(one.status_code, re.sub(clean, b"", sent(one))) for one in map(client.get, paths)]


@pytest.mark.parametrize("reader", ["", "zoe", "low-person-0", "high-person-2"])
def test_nobody_else_sees_that_somebody_objected_or_was_answered(reader: str) -> None:
    add(usual())
    edition = in_review(board())
    before = seen_by_others(edition, reader)
    said = object_to(edition, "low-person-1", "these were not mine", NOW)
    assert seen_by_others(edition, reader) == before
    answer(said, user("omar"), "they were", NOW, upheld=False)
    assert seen_by_others(edition, reader) == before


def test_who_was_left_out_is_not_said_anywhere() -> None:
    add(usual())
    edition = in_review(board())
    answer(object_to(edition, "low-person-1", "not mine", NOW), user("omar"), "right", NOW, upheld=True)
    edition.refresh_from_db()
    publish(edition, NOW)
    edition.refresh_from_db()
    document = json.loads(edition.frozen)
    assert document["left_out"] is None
    assert [row["members"] for row in figures(edition)] == [5, 6, 6]
    for path, (status, body) in everything(edition, "zoe").items():
        assert status == 200
        assert b"-person-" not in body, path
        assert b"objection" not in body.lower() or b"left out" not in body.lower(), path


def _told_in_review(edition: Edition) -> tuple[Any, ...]:
    """What somebody is told of a project in which others are."""
    [own] = own_seat(edition, user("low-person-0"))
    assert own.energy_j, "one's own part is told"
    return own.value, own.low, own.high, own.best, own.worst, own.of, own.band


def test_people_of_a_project_cannot_hold_two_reviews_against_each_other() -> None:
    """Each sees their project's figure while it is in review; one who was then left out would be the difference."""
    add([replace(part, joules=part.joules * (1 + (part.person == "low-person-5"))) for part in usual()])
    of = board(scope="project", names=False)
    edition = in_review(of)
    seen = [_told_in_review(edition)]
    answer(object_to(edition, "low-person-5", "not mine", NOW), user("omar"), "right", NOW, upheld=True)
    edition.refresh_from_db()
    edition = submit(edition, user("olga"), NOW)
    seen.append(_told_in_review(edition))
    assert seen[0] == seen[1], seen


def test_a_project_s_figure_of_a_review_that_was_sent_back_is_not_one_job_away_from_the_next() -> None:
    add(usual())
    of = board(scope="project", names=False)
    edition = in_review(of)
    seen = [_told_in_review(edition)]
    add([Part("low-person-1", 100 * KWH, 0.0, account="account-low")])
    edition = submit(send_back(edition, user("olga"), NOW), user("olga"), NOW)
    seen.append(_told_in_review(edition))
    assert seen[0] == seen[1], seen


def test_one_s_own_place_says_no_figure_of_anybody_else() -> None:
    add(usual())
    edition = published(board())
    [own] = own_seat(edition, user("low-person-2"))
    assert (own.energy_j, own.jobs, own.value) == (16 * KWH, JOBS, 1.0)
    assert own_seat(edition, user("zoe")) == ()
    page = sent(client_of("low-person-2").get("/leaderboards/thrift/1/")).decode()
    others = [own_seat(edition, user(name))[0] for name in EVERYBODY if name != "low-person-2"]
    assert not [one for one in others if f"{one.energy_j / KWH:.1f} kWh" in page and one.energy_j > 100 * KWH]


JOBS = 12


def test_a_review_is_there_for_who_is_in_it_and_nowhere_else() -> None:
    add(usual())
    edition = in_review(board())
    for path in (f"/leaderboards/thrift/{edition.number}/review/", "/leaderboards/thrift/99/review/"):
        answers = {(reader, client_of(reader).get(path).status_code) for reader in ("", "zoe")}
        assert answers == {("", 302), ("zoe", 404)}, path
    assert client_of("low-person-1").get("/leaderboards/thrift/1/review/").status_code == 200
    page = sent(client_of("low-person-1").get("/leaderboards/thrift/1/review/")).decode()
    assert not [name for name in EVERYBODY if name in page and name != "low-person-1"]


# --- Names ------------------------------------------------------------------------------------------------------------


def test_a_name_given_and_taken_back_leaves_the_pages_as_they_were() -> None:
    add(usual())
    of = board()
    edition = published(of)
    before = everything(edition)
    consent(of, "middle-person-1", LATER, named=True)
    during = everything(edition)
    changed = [path for path in before if during[path] != before[path]]
    assert changed == [addresses(edition)[0], addresses(edition)[2]], "the page and the table, never the frozen bytes"
    assert b"middle-person-1" in during[addresses(edition)[0]][1]
    consent(of, "middle-person-1", LATER, named=False)
    assert everything(edition) == before


def test_a_name_is_not_shown_where_the_board_names_nobody_and_of_nobody_who_is_not_in_it() -> None:
    add(usual())
    of = board()
    edition = published(of)
    before = everything(edition)
    consent(of, "zoe", LATER, named=True)
    assert everything(edition) == before
    silent = board("silent", names=False, cluster=machine())
    with pytest.raises(BoardRefused):
        consent(silent, "low-person-1", LATER, named=True)


# --- What comes in later ----------------------------------------------------------------------------------------------


def test_nothing_that_comes_in_later_changes_a_byte() -> None:
    add(usual())
    edition = published(board())
    Edition.objects.filter(pk=edition.pk).update(published_at=NOW + timedelta(days=20))
    before = {reader: everything(edition, reader) for reader in ("", "zoe", "low-person-0")}
    add([late(person) for person in EVERYBODY])
    Job.objects.filter(username="high-person-5").delete()
    WorkloadJob.objects.filter(username="low-person-1").update(work=1.0, unit="epoch", energy_j=1.0, size="huge")
    Job.objects.filter(username="low-person-2").update(username="zoe", workload="other", state="FAILED")
    NodeConfig.objects.update(idle_w=500.0)
    for kind in ("pue", "tariff"):
        SiteFactor.objects.create(cluster=machine(), kind=kind, value=1.9, valid_from=FIRST, created_at=NOW)
    with override_settings(SMALLEST_GROUP=10):
        after = {reader: everything(edition, reader) for reader in before}
    assert after == before


def test_a_board_that_is_changed_later_does_not_change_what_its_editions_say() -> None:
    add(usual())
    edition = published(board())
    frozen = sent(client_of().get(addresses(edition)[1]))
    Board.objects.update(title="Another", note="note", kind="failed_energy", smallest_group=3)
    assert sent(client_of().get(addresses(edition)[1])) == frozen
    assert shown(edition).document.measure.what == "energy_per_work"


# --- States and errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["", "zoe", "low-person-0"])
def test_what_is_not_public_looks_like_what_is_not_there(reader: str) -> None:
    add(usual())
    of = board()
    in_review(of)  # 1
    draft(
        board("hidden", audience="group", project=_project("physics"), kind="improvement"),
        FIRST,
        LAST,
        user("olga"),
        NOW,
    )
    client = client_of(reader)
    forms = ("{}/", "{}/edition.json", "{}/edition.csv", "{}/do/approve/", "{}/object/")
    for form in forms:
        there, nowhere = (client.get(f"/leaderboards/thrift/{form.format(n)}") for n in (1, 9))
        assert _same(there, nowhere), form
        there, nowhere = (client.get(f"/leaderboards/{slug}/{form.format(1)}") for slug in ("hidden", "nowhere"))
        assert _same(there, nowhere), form
    for form in ("", "manage/", "name/"):
        there, nowhere = (client.get(f"/leaderboards/{slug}/{form}") for slug in ("hidden", "nowhere"))
        assert _same(there, nowhere), form
    for one, other in (("thrift/1", "thrift/9"), ("hidden", "nowhere"), ("hidden/1", "nowhere/1")):
        there, nowhere = (client.get(f"/api/v1/boards/{path}") for path in (one, other))
        assert _same(there, nowhere), one


def _same(one: Any, other: Any) -> bool:
    """The same answer, but for the address that was asked for."""

    def clean(response: Any) -> tuple[Any, ...]:
        body = re.sub(rb'(value|content|nonce|href|action)="[^"]*"|\b(hidden|nowhere)\b|/[0-9]+/', b"", sent(response))
        names = {
            key: value
            for key, value in response.headers.items()
            if key not in ("Location", "X-Request-ID", "Content-Security-Policy", "Content-Length")
        }
        return response.status_code, body, sorted(names)

    return clean(one) == clean(other)


def test_an_edition_s_answer_has_no_header_that_says_more_than_its_bytes() -> None:
    add(usual())
    edition = published(board())
    for path in addresses(edition):
        one, other = (client_of().get(path) for _ in range(2))
        assert not {"Last-Modified", "Set-Cookie"} & set(one.headers), path
        assert one.headers.get("ETag") == other.headers.get("ETag"), path


def test_parameters_change_nothing() -> None:
    add(usual())
    edition = published(board())
    before = everything(edition)
    client = client_of()
    tricks = (
        "?user=low-person-1&first=2025-03-01&last=2025-03-02&sort=-value&k=1&smallest_group=1&band=A&names=1&preview=1"
    )
    for path, (_, body) in before.items():
        if path.endswith("/") and not path.startswith("/api"):
            continue  # a page's links carry its own address
        assert sent(client.get(path + tricks)) == body, path
    page = sent(client.get(addresses(edition)[0] + tricks))
    assert b"-person-" not in page.replace(b"low-person-1", b"")
