"""Leaderboards as readers see them: who sees which edition, the same rows in every form, and nothing else."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client, override_settings

from measurements.models import Board, Edition, Project
from tests.portal.board_world import BANDS, PROJECTS, TYPES, make_board, make_edition, people

State = Edition.State
ROLES = ("", "charlie", "alice", "olga")
SEES = {"public": ROLES, "site": ROLES[1:], "group": ROLES[2:]}  # audience: who reads what is published


@pytest.fixture
def users(db: None) -> dict[str, User]:
    return people()


@pytest.fixture
def persons_on() -> Iterator[None]:
    with override_settings(BOARDS_OF_PERSONS=True):
        yield


def as_(name: str) -> Client:
    client = Client()
    if name:
        client.force_login(User.objects.get(username=name))
    return client


def sent(response: HttpResponseBase) -> str:
    return bytes(response.getvalue()).decode()


def board_of(audience: str) -> Board:
    project = Project.objects.get(name="physics") if audience == "group" else None
    return make_board(f"of-{audience}", audience=audience, project=project)


# --- Who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("audience", ["public", "site", "group"])
def test_each_state_of_an_edition_is_there_for_whom_it_should_be(users: dict[str, User], audience: str) -> None:
    board = board_of(audience)
    make_edition(board, State.CORRECTED, 1)
    make_edition(board, State.PUBLISHED, 1, 1, reason="a late log")
    make_edition(board, State.WITHDRAWN, 2, reason="a wrong meter")
    make_edition(board, State.REVIEW, 3)
    pages = {"1": 200, "1.1": 200, "2": 410, "3": 404, "4": 404, "1.2": 404}
    for role in ROLES:
        client = as_(role)
        for number, status in pages.items():
            wanted = status if role in SEES[audience] else 404
            shown = wanted if role or role in SEES[audience] else 302  # to the login, as for what there is not
            here = f"/leaderboards/{board.slug}/{number}/"
            for path in ("edition.json", "edition.csv", "edition.csv?format=xlsx"):
                assert client.get(here + path).status_code == shown, (role, number, path)
            assert client.get(f"/api/v1/boards/{board.slug}/{number}").status_code == wanted, (role, number)
            page = 200 if (role, number) == ("olga", "3") else shown
            assert client.get(here).status_code == page, (role, number)
        listed = client.get("/leaderboards/").content.decode()
        assert (board.title in listed) == (role in SEES[audience]), role
        assert (board.slug in client.get("/api/v1/boards").content.decode()) == (role in SEES[audience]), role
        there = 200 if role in SEES[audience] else 404
        assert client.get(f"/leaderboards/{board.slug}/").status_code == (there if role or there == 200 else 302)
        assert client.get(f"/api/v1/boards/{board.slug}").status_code == there


def test_what_waits_is_named_to_admins_only(users: dict[str, User]) -> None:
    board = board_of("public")
    make_edition(board, State.REVIEW, 7)
    for role in ROLES:
        client = as_(role)
        for path in ("/leaderboards/", f"/leaderboards/{board.slug}/", f"/api/v1/boards/{board.slug}"):
            said = client.get(path).content.decode()
            assert (f"/{board.slug}/7/" in said or '"edition": "7"' in said) == (
                role == "olga" and path == "/leaderboards/"
            ), path


def test_the_pages_of_the_workflow_exist_for_admins_alone(users: dict[str, User]) -> None:
    board = board_of("public")
    make_edition(board, State.REVIEW, 1)
    paths = ["/leaderboards/new/", *(f"/leaderboards/{board.slug}/{part}/" for part in ("manage", "1/do/approve"))]
    for path in paths:
        assert as_("").get(path).status_code == 302, path
        assert as_("charlie").get(path).status_code == 404, path
        assert as_("charlie").post(path).status_code == 404, path
        assert as_("omar").get(path).status_code == 200, path
    assert as_("charlie").get(f"/leaderboards/{board.slug}/1/review/").status_code == 404, "it is not in it"
    assert as_("charlie").post(f"/leaderboards/{board.slug}/1/object/", {"text": "no"}).status_code == 404


def test_boards_of_persons_do_not_exist_until_the_site_wants_them(users: dict[str, User]) -> None:
    board = make_board("of-persons", kind="failed_energy", scope="user")
    make_edition(board, State.PUBLISHED, 1)
    paths = [
        *(f"/leaderboards/of-persons/{part}" for part in ("", "manage/", "1/", "1/edition.json", "1/review/")),
        *(f"/api/v1/boards/of-persons{part}" for part in ("", "/1")),
    ]
    for role in ROLES:
        for path in paths:
            status = as_(role).get(path).status_code
            login = role == "" and not path.startswith("/api/")  # as for every board that there is not
            assert status == (302 if login else 404), (role, path)
        for path in ("/leaderboards/", "/leaderboards/feed.xml", "/api/v1/boards"):
            assert "of-persons" not in as_(role).get(path).content.decode(), (role, path)
    with override_settings(BOARDS_OF_PERSONS=True):
        assert as_("").get("/leaderboards/of-persons/1/").status_code == 200


# --- The same rows in every form ------------------------------------------------------------------


def rows_of_page(page: str) -> list[list[str]]:
    """Texts of the table's cells, its rows as they stand."""
    table = page[page.index('id="board-table"') :]
    body = table[table.index("<tbody") : table.index("</tbody>")]
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [
        [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", r, re.DOTALL)] for r in rows
    ]


@pytest.mark.parametrize(
    ("kind", "scope", "names"),
    [
        ("node_types", "node_type", [row.name for row in TYPES]),
        ("failed_energy", "project", [row.name for row in PROJECTS]),
        ("failed_energy", "user", [row.band for row in BANDS]),
    ],
)
def test_page_json_csv_and_interface_have_the_same_rows_in_the_same_order(
    users: dict[str, User], persons_on: None, kind: str, scope: str, names: list[str]
) -> None:
    edition = make_edition(make_board("rows", kind=kind, scope=scope), State.PUBLISHED, 1)
    client = Client()
    page = rows_of_page(client.get("/leaderboards/rows/1/").content.decode())
    raw = sent(client.get("/leaderboards/rows/1/edition.json"))
    api = sent(client.get("/api/v1/boards/rows/1"))
    table = list(csv.DictReader(StringIO(sent(client.get("/leaderboards/rows/1/edition.csv")))))
    assert raw == api == edition.frozen
    assert hashlib.sha256(raw.encode()).hexdigest() == edition.sha256
    frozen = json.loads(raw)
    rows = frozen["bands"] or frozen["rows"]
    assert [row[0] for row in page] == names
    assert [row.get("name", row["band"]) for row in rows] == names
    assert [row.get(scope, row["band"]) for row in table] == names
    for one, line in zip(rows, table, strict=True):
        for csv_name, json_name in (("value", "value"), ("low", "low"), ("high", "high"), ("withheld", "reason")):
            assert line[csv_name] == ("" if one[json_name] is None else str(one[json_name])), names
        if "members" in one:
            assert line["people"] == ", ".join(one["members"])
    if scope == "user":
        assert [row[2] for row in page] == [", ".join(row.members) for row in BANDS]
        assert page[1][3].startswith("one or two people"), "a withheld figure says why"
        assert (page[0][3], page[2][4]) == ("1.2", "30"), "shares in percent, to the digits they have"
    elif scope == "node_type":
        assert page[0][1:] == ["1–2", "A", "12.0", "11.5", "12.6"]
        assert page[2][1:] == ["3", "E", "120", "110", "open"]


def test_a_page_is_made_of_its_frozen_bytes_whatever_becomes_of_the_board(users: dict[str, User]) -> None:
    board = board_of("public")
    edition = make_edition(board, State.PUBLISHED, 1)
    before = Client().get(f"/leaderboards/{board.slug}/1/")
    page = before.content.decode()
    for said in (
        "Board of-public",
        "On which node types",
        edition.sha256,
        "whole nodes, at the mains",
        "98.0",
        "nnunet",
    ):
        assert said in page, said
    assert "2 of them may be first" in page
    assert "old-type: too little energy in the period" in page.replace("\n", " ")
    Board.objects.update(title="Another title")
    assert "Another title</h1>" not in Client().get(f"/leaderboards/{board.slug}/1/").content.decode()


def test_the_newest_published_edition_stands_at_the_board_s_address(users: dict[str, User]) -> None:
    board = board_of("public")
    assert "No edition is published yet" in Client().get(f"/leaderboards/{board.slug}/").content.decode()
    make_edition(board, State.PUBLISHED, 1)
    make_edition(board, State.PUBLISHED, 2)
    make_edition(board, State.WITHDRAWN, 3, reason="wrong")
    page = Client().get(f"/leaderboards/{board.slug}/")
    assert page.context["edition"].number == 2
    links = re.findall(rf'href="/leaderboards/{board.slug}/([\d.]+)/"', page.content.decode())
    assert links == ["3", "2", "1"], "earlier ones, and that one is gone"


def test_a_corrected_edition_stays_readable_and_says_why(users: dict[str, User]) -> None:
    board = board_of("public")
    make_edition(board, State.CORRECTED, 1)
    make_edition(board, State.PUBLISHED, 1, 1, reason="a late log of thin4")
    old, new = (Client().get(f"/leaderboards/{board.slug}/{number}/").content.decode() for number in ("1", "1.1"))
    assert "This edition was corrected, and stays readable as it was. Reason: a late log of thin4" in old
    assert f'href="/leaderboards/{board.slug}/1.1/"' in old
    assert "A correction. Reason: a late log of thin4" in new
    assert f'href="/leaderboards/{board.slug}/1/"' in new


def test_a_withdrawn_edition_is_gone_with_its_reason_and_without_its_figures(users: dict[str, User]) -> None:
    board = board_of("public")
    edition = make_edition(board, State.WITHDRAWN, 1, reason="The meters were mixed up.")
    page = Client().get(f"/leaderboards/{board.slug}/1/")
    assert page.status_code == 410
    said = page.content.decode()
    assert "The meters were mixed up." in said
    for secret in ("gpu-b", edition.sha256):
        assert secret not in said
    api = Client().get(f"/api/v1/boards/{board.slug}").json()
    assert api["editions"][0]["state"] == "withdrawn"
    assert api["editions"][0]["sha256"] == ""


def test_a_withheld_edition_says_why_and_what_would_help(users: dict[str, User]) -> None:
    board = board_of("public")
    make_edition(board, State.PUBLISHED, 1, doc={"rows": (), "withheld": ({"reason": "unknown_scope", "subject": ""},)})
    page = Client().get(f"/leaderboards/{board.slug}/1/").content.decode()
    assert "The ranking is withheld." in page
    assert "Describe the meters" in page
    assert "board-table" not in page


# --- Without a login ------------------------------------------------------------------------------

PUBLIC = ["/leaderboards/", "/leaderboards/of-public/", "/leaderboards/of-public/1/", "/leaderboards/feed.xml"]


@pytest.mark.parametrize("path", PUBLIC)
def test_a_reader_who_is_not_logged_in_gets_no_cookie_and_the_same_bytes_as_anybody(
    users: dict[str, User], path: str
) -> None:
    make_edition(board_of("public"), State.PUBLISHED, 1)
    one, other = Client().get(path), Client(REMOTE_ADDR="10.0.0.9", HTTP_USER_AGENT="another").get(path)
    assert one.status_code == 200
    assert not one.cookies
    assert "Set-Cookie" not in one.headers
    assert one.content == other.content
    assert b"csrf" not in one.content.lower()
    assert one.headers["ETag"] == other.headers["ETag"]
    assert "no-cache" in one.headers["Cache-Control"]
    again = Client().get(path, headers={"If-None-Match": one.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_page_of_somebody_who_is_logged_in_is_kept_by_no_shared_cache(users: dict[str, User]) -> None:
    make_edition(board_of("public"), State.PUBLISHED, 1)
    page = as_("charlie").get("/leaderboards/of-public/1/")
    assert "private" in page.headers["Cache-Control"]
    assert "public" not in page.headers["Cache-Control"]


def test_the_frozen_bytes_are_known_by_their_hash(users: dict[str, User]) -> None:
    edition = make_edition(board_of("public"), State.PUBLISHED, 1)
    for path in ("/leaderboards/of-public/1/edition.json", "/api/v1/boards/of-public/1"):
        answer = Client().get(path)
        assert answer.headers["ETag"] == f'"{edition.sha256}"', path
        assert answer.headers["Content-Type"] == "application/json"
        assert Client().get(path, headers={"If-None-Match": f'"{edition.sha256}"'}).status_code == 304


def test_a_language_is_chosen_by_a_link(users: dict[str, User]) -> None:
    client = Client()
    answer = client.get("/leaderboards/?language=de")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/leaderboards/")
    assert client.get("/leaderboards/").content.decode().count('lang="de"') >= 1
    assert '<html lang="de">' in client.get("/leaderboards/").content.decode()
    assert Client().get("/leaderboards/?language=tlh").status_code == 200


def test_the_feed_has_published_editions_of_public_boards_alone(users: dict[str, User]) -> None:
    make_edition(board_of("public"), State.CORRECTED, 1)
    make_edition(Board.objects.get(), State.PUBLISHED, 1, 1, reason="a late log")
    make_edition(Board.objects.get(), State.WITHDRAWN, 2)
    make_edition(Board.objects.get(), State.REVIEW, 3)
    make_edition(board_of("site"), State.PUBLISHED, 1)
    feed = as_("olga").get("/leaderboards/feed.xml").content.decode()
    assert re.findall(r"<id>\S*/leaderboards/(\S+)/</id>", feed) == ["of-public/1.1", "of-public/1"]
    assert "a late log" in feed
