"""One request: bounded in time and size, tried again where that may help, and never a secret in what is said of it."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from measurements.providers.answers import Fields, ProviderError
from measurements.providers.client import Access, get_json, shown
from tests.measurements.providers.replaying import Replay, Reply
from tests.services.process import free_port

TOKEN = "tell-nobody-4711"


def fails(access: Access, path: str = "/x") -> ProviderError:
    """The error of asking."""
    with pytest.raises(ProviderError) as caught:
        get_json("Somebody", access, path, {"zone": "DE"}, {"auth-token": access.token})
    return caught.value


def test_a_good_answer_is_read_and_what_was_sent_is_little(provider: Replay) -> None:
    provider.give({"data": 1})
    assert get_json("Somebody", provider.access(), "/x", {"zone": "DE"}).of("data").whole() == 1
    (asked,) = provider.asked
    assert (asked.path, asked.query) == ("/x", {"zone": "DE"})
    assert {name.lower() for name in asked.headers} == {"host", "accept-encoding", "user-agent", "accept"}


def test_a_server_error_is_tried_again(provider: Replay) -> None:
    provider.give(Reply(status=500), Reply(status=502), Reply({"data": 1}))
    assert get_json("Somebody", provider.access(), "/x", {}).of("data").whole() == 1
    assert len(provider.asked) == 3


def test_a_server_error_that_stays_is_told_with_provider_and_address(provider: Replay) -> None:
    provider.rule = lambda _: Reply({"error": {"message": "maintenance"}}, 500)
    fault = fails(provider.access())
    assert str(fault) == (
        f"""Somebody: {provider.url}/x?zone=DE: HTTP 500: it says '{{"error": {{"message": "maintenance"}}}}'"""
    )
    assert len(provider.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_whoever_says_when_to_come_again_is_not_asked_before(provider: Replay, status: int) -> None:
    provider.rule = lambda _: Reply({}, status, {"Retry-After": "120"})
    began = time.monotonic()
    fault = fails(provider.access())
    assert (fault.status, fault.wait_s, len(provider.asked)) == (status, 120.0, 1)
    assert time.monotonic() - began < 60


def test_when_to_come_again_may_be_a_date(provider: Replay) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    provider.give(Reply({}, 429, {"Retry-After": format_datetime(later, usegmt=True)}))
    assert fails(provider.access()).wait_s == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("said", ["soon", "-5", ""])
def test_a_senseless_retry_after_is_none(provider: Replay, said: str) -> None:
    provider.give(Reply({}, 429, {"Retry-After": said}))
    assert fails(provider.access()).wait_s is None


def test_a_wrong_token_is_told_without_the_token(provider: Replay, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    provider.give(Reply({"message": f"unknown token {TOKEN}"}, 401))
    access = provider.access(token=TOKEN)
    fault = fails(access)
    assert provider.asked[0].headers["auth-token"] == TOKEN
    assert "HTTP 401: the token is missing or wrong; it says" in str(fault)
    assert TOKEN not in str(fault) + repr(fault) + repr(access) + caplog.text


def test_user_and_password_of_an_address_are_not_shown() -> None:
    assert shown("https://me:hush@mirror.example.org:8443/v3?zone=DE") == "https://mirror.example.org:8443/v3?zone=DE"


def test_a_page_instead_of_json_is_told_with_its_beginning(provider: Replay) -> None:
    provider.give(Reply(b"<!DOCTYPE html>\n<title>Please log in</title>", headers={"Content-Type": "text/html"}))
    text = str(fails(provider.access()))
    assert text.endswith("the answer is no JSON, it begins with '<!DOCTYPE html> <title>Please log in</title>'")


def test_json_nested_too_deep_is_no_json_for_us(provider: Replay) -> None:
    provider.give(Reply(b"[" * 200_000))
    assert "the answer is no JSON" in str(fails(provider.access()))


def test_an_answer_that_breaks_off_is_not_used(provider: Replay) -> None:
    provider.give(Reply(b'{"data": [1, 2', length=5_000))
    assert str(fails(provider.access())).endswith("the connection broke off in the middle of the answer")


def test_an_answer_without_an_end_is_cut_off(provider: Replay) -> None:
    provider.give(Reply(b" " * 50_000))
    assert str(fails(provider.access(largest_bytes=10_000))).endswith("the answer is larger than 10000 bytes")


def test_a_packed_answer_is_measured_unpacked(provider: Replay) -> None:
    packed = gzip.compress(b" " * 5_000_000)
    provider.give(Reply(packed, headers={"Content-Encoding": "gzip"}))
    assert len(packed) < 10_000
    assert str(fails(provider.access(largest_bytes=1_000_000))).endswith("the answer is larger than 1000000 bytes")


def test_a_silent_provider_is_given_up(provider: Replay) -> None:
    provider.give(Reply({}, wait_s=600))
    began = time.monotonic()
    assert str(fails(provider.access(read_s=0.2))).endswith("no answer in time")
    assert time.monotonic() - began < 60
    assert len(provider.asked) == 1


def test_an_answer_that_drips_is_given_up(provider: Replay) -> None:
    provider.give(Reply(b" " * 200_000))
    assert str(fails(provider.access(longest_s=0.0))).endswith("the answer took longer than 0 s")


@pytest.mark.usefixtures("no_proxy")
def test_nobody_there_is_told_in_words() -> None:
    access = Access(f"http://127.0.0.1:{free_port()}", backoff_s=0.01)
    assert str(fails(access)).endswith("no connection: refused or unreachable")


def test_the_usual_variables_name_a_proxy_and_whom_to_ask_without_it(
    provider: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", provider.url)
    provider.give({"data": 1})
    get_json("Somebody", Access("http://provider.invalid"), "/x", {})
    assert [(asked.path, asked.headers["Host"]) for asked in provider.asked] == [("/x", "provider.invalid")]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    provider.give({"data": 2})
    assert get_json("Somebody", provider.access(), "/x", {}).of("data").whole() == 2


def test_a_redirection_is_not_followed_with_the_token(provider: Replay) -> None:
    provider.give(Reply({}, 302, {"Location": f"{provider.url}/elsewhere"}))
    assert "HTTP 302: redirected elsewhere, which is not followed" in str(fails(provider.access(token=TOKEN)))
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("value", "read", "sentence"),
    [
        ({}, lambda f: f.of("a"), "here: 'a' is missing"),
        ([], lambda f: f.of("a"), "here: no object, but a list"),
        ({"a": {}}, lambda f: f.of("a").items(), "here: a: no list, but an object"),
        ({"a": [1, "b"]}, lambda f: [i.whole() for i in f.of("a").items()], "here: a[1]: no whole number, but a text"),
        ({"a": 1.5}, lambda f: f.of("a").whole(), "here: a: no whole number, but 1.5"),
        ({"a": True}, lambda f: f.of("a").number_or_nan(), "here: a: no number, but true or false"),
        ({"a": float("inf")}, lambda f: f.of("a").number_or_nan(), "here: a: no number, but inf"),
        ({"a": 1}, lambda f: f.of("a").flag(), "here: a: neither true nor false, but 1"),
        ({"a": None}, lambda f: f.of("a").text(), "here: a: no text, but null"),
        ({"a": "2026-03-01T00:00"}, lambda f: f.of("a").instant_ms(), "'2026-03-01T00:00' is no time with an offset"),
        ({"a": "yesterday"}, lambda f: f.of("a").instant_ms(), "here: a: 'yesterday' is no time with an offset"),
    ],
)
def test_a_field_of_another_kind_is_named(value, read, sentence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ProviderError) as caught:
        read(Fields("here", value))
    assert sentence in str(caught.value)
