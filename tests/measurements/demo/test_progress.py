"""A long start says how far it is: plain lines in a pipe, one changing line on a terminal."""

from __future__ import annotations

import io

import pytest

from measurements.demo import progress
from measurements.demo.progress import Progress


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "TERMINAL_EVERY_S", 0.0)


def test_a_pipe_gets_lines() -> None:
    stream = io.StringIO()
    said = Progress(stream.write, terminal=False)
    said.show(0.25, "booking")
    said.show(0.5, "adding up")
    said.end()
    assert stream.getvalue() == "Simulated cluster:  25%  booking\nSimulated cluster:  50%  adding up\n"


def test_a_terminal_gets_one_line_that_is_gone_at_the_end() -> None:
    stream = io.StringIO()
    said = Progress(stream.write, terminal=True)
    said.show(0.25, "booking")
    said.show(1.0, "adding up")
    said.end()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")


def test_it_never_goes_back_and_never_beyond() -> None:
    stream = io.StringIO()
    said = Progress(stream.write, terminal=False)
    for share in (0.6, 0.4, 1.7):
        said.show(share, "booking")
    assert [line[18:23].strip() for line in stream.getvalue().splitlines()] == ["60%", "60%", "100%"]


def test_it_is_not_too_talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 60.0)
    stream = io.StringIO()
    said = Progress(stream.write, terminal=False)
    for share in range(100):
        said.show(share / 100, "booking")
    assert stream.getvalue().count("\n") <= 1
