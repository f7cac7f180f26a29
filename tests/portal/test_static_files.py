"""Static files are packed for whoever takes that, and as they are for everybody else; pages never are."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

CHART = "/static/vendor/chartjs/chart.umd.min.js"
STYLE = "/static/css/components.css"
ON_DISK = settings.ROOT / "static"


def content(client: Client, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    response = client.get(path, headers=headers)
    return b"".join(response), dict(response.items())


@pytest.mark.parametrize("path", [CHART, STYLE])
def test_a_browser_gets_it_packed_and_unpacks_what_lies_on_the_disk(client: Client, path: str) -> None:
    as_is = Path(ON_DISK / path.removeprefix("/static/")).read_bytes()
    body, headers = content(client, path, accept_encoding="gzip, deflate, br, zstd")
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert int(headers["Content-Length"]) == len(body) < len(as_is) / 2
    assert gzip.decompress(body) == as_is


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "gzip; q=0.0, br"])
def test_whoever_cannot_unpack_gets_it_as_it_is(client: Client, accepted: str) -> None:
    body, headers = content(client, STYLE, accept_encoding=accepted)
    assert body == (ON_DISK / "css/components.css").read_bytes()
    assert "Content-Encoding" not in headers
    assert headers["Vary"] == "Accept-Encoding"  # a cache on the way keeps the two apart


def test_what_the_browser_has_is_not_sent_again(client: Client) -> None:
    _, headers = content(client, STYLE, accept_encoding="gzip")
    again = client.get(STYLE, headers={"if_none_match": headers["ETag"], "accept_encoding": "gzip"})
    assert again.status_code == 304
    assert again["Vary"] == "Accept-Encoding"


def test_a_part_of_a_file_is_a_part_of_the_file_as_it_is(client: Client) -> None:
    body, headers = content(client, STYLE, accept_encoding="gzip", range="bytes=0-9")
    assert body == (ON_DISK / "css/components.css").read_bytes()[:10]
    assert "Content-Encoding" not in headers


def test_a_look_at_the_head_says_the_packed_length(client: Client) -> None:
    body, headers = content(client, CHART, accept_encoding="gzip")
    head = client.head(CHART, headers={"accept_encoding": "gzip"})
    assert head["Content-Length"] == headers["Content-Length"] == str(len(body))
    assert b"".join(head) == b""


@pytest.mark.django_db
def test_a_page_is_never_packed_as_its_length_could_tell_what_it_holds(client: Client) -> None:
    assert "Content-Encoding" not in client.get("/login/", headers={"accept_encoding": "gzip"})


@pytest.mark.django_db  # the page says whether there are public leaderboards
def test_what_is_not_there_is_not_found(client: Client) -> None:
    assert client.get("/static/css/nothing.css").status_code == 404
    assert client.get("/static/css").status_code == 404
