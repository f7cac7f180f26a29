"""Sites on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pipeline.rich_input import write_history, write_nodes
from tests.pipeline.site import Farm, Site, farm
from tests.services.tables import sqlite_tables


@pytest.fixture(scope="session")
def sqlite_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Sites on SQLite."""
    folder = tmp_path_factory.mktemp("sqlite-farm")
    with farm(f"sqlite:///{sqlite_tables(folder / 'template.sqlite3')}", folder) as found:
        yield found


@pytest.fixture(scope="session")
def postgres_farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Sites on a private PostgreSQL."""
    server = request.getfixturevalue("postgres")
    with farm(server.new_site(), tmp_path_factory.mktemp("postgres-farm")) as found:
        yield found


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def any_farm(request: pytest.FixtureRequest) -> Farm:
    """Sites on either."""
    found: Farm = request.getfixturevalue(f"{request.param}_farm")
    return found


@dataclass(frozen=True, slots=True)
class Bases:
    """A rich history up to some point; copies of these are worked on."""

    described: Site  # the nodes are loaded
    ingested: Site  # all is in, nothing booked
    booked: Site  # the ledger stands, totals and roll-ups do not
    finished: Site
    commands: list[list[str | Path]]  # from described to ingested
    dump: str  # of finished


def _undisturbed(farm: Farm, folder: Path) -> Bases:
    described = farm.new()
    for command in write_nodes(folder):
        described.do(*command)
    commands = write_history(folder)
    ingested = described.copy()
    for command in commands:
        ingested.do(*command)
    booked = ingested.copy()
    booked.run("book_only").done()
    finished = booked.copy()
    finished.do("attribute")
    return Bases(described, ingested, booked, finished, commands, finished.dump())


@pytest.fixture(scope="session")
def sqlite_bases(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """The undisturbed history on SQLite."""
    return _undisturbed(sqlite_farm, tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="session")
def postgres_bases(postgres_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """The undisturbed history on PostgreSQL."""
    return _undisturbed(postgres_farm, tmp_path_factory.mktemp("history"))


@pytest.fixture(params=["sqlite", "postgres"])
def bases(request: pytest.FixtureRequest) -> Bases:
    """The undisturbed history on either."""
    found: Bases = request.getfixturevalue(f"{request.param}_bases")
    return found


@pytest.fixture
def site(sqlite_farm: Farm) -> Site:
    """An empty site."""
    return sqlite_farm.new()
