"""The pages' small cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from measurements.selectors.equivalents import shown_rows
from tests.portal import world


@pytest.fixture(autouse=True)
def default_language() -> Iterator[None]:
    """A page in German leaves its thread in German."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture(autouse=True)
def no_equivalents_of_another_test() -> None:
    """They are remembered for a minute."""
    shown_rows.cache_clear()


@pytest.fixture
def site(db: None, own_var: Path, tmp_path: Path) -> None:
    """The cluster alpha, booked."""
    world.build(tmp_path)
