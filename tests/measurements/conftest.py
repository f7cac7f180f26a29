"""A provider of carbon intensity that replays what a test gives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.measurements.providers.replaying import Replay, replaying


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody stands between a test and its provider."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def provider(no_proxy: None) -> Iterator[Replay]:
    """Listens on this machine."""
    with replaying() as replay:
        yield replay
