"""The pages' small cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import translation

from measurements.selectors.equivalents import shown_rows
from tests.conftest import People
from tests.portal import machine_world, world


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


@pytest.fixture
def hall(db: None, own_var: Path, tmp_path: Path) -> None:
    """The machine of four days, booked."""
    machine_world.build(tmp_path)


@pytest.fixture
def alice(client: Client, people: People) -> Client:
    """Logged in as alice."""
    client.force_login(people.alice)
    return client


@pytest.fixture
def olga(client: Client, people: People) -> Client:
    """Logged in as the operator."""
    client.force_login(people.olga)
    return client


@pytest.fixture
def operator(db: None) -> User:
    """May see nodes, and nobody's jobs."""
    user = User.objects.create_user("oskar")
    user.user_permissions.add(Permission.objects.get(codename="view_operations"))
    return user
