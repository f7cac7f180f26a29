"""The services as fixtures: each is started when the first test asks for it, once per test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from selenium.webdriver import Chrome

from tests.services.binaries import CHROMIUM, POSTGRES, REDIS, SLURM, Service, find
from tests.services.browser import open_browser
from tests.services.install import services_mode
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.process import folder
from tests.services.redis_server import redis_server
from tests.services.slurm import slurm_cluster
from tests.services.slurm_handle import Slurm

OpenBrowser = Callable[..., Chrome]


def programs(service: Service) -> tuple[Path, ...]:
    """The service's programs; without them the test is skipped, or fails where services are required."""
    mode = services_mode()
    if mode == "skip":
        pytest.skip(f"SERVICES=skip: {service.name} is not wanted")
    found = find(service)
    if found:
        return found
    reason = f"{service.name} is missing: apt-get install {' '.join(service.packages)}"
    if mode == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A private PostgreSQL; ``postgres.new_database()`` gives the address of an empty database."""
    with postgres_server(*programs(POSTGRES)) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """A DATABASE_URL of an empty database of this test's own."""
    return postgres.new_database()


@pytest.fixture
def postgres_site_url(postgres: PostgresServer) -> str:
    """A DATABASE_URL of a database of this test's own in which a site's tables are."""
    return postgres.new_site()


@pytest.fixture(scope="session")
def redis_service() -> Iterator[str]:
    """The address of a private Redis."""
    with redis_server(*programs(REDIS)) as url:
        yield url


@pytest.fixture
def redis_url(redis_service: str) -> str:
    """A REDIS_URL, emptied for this test."""
    with redis.Redis.from_url(redis_service) as client:
        client.flushall()
    return redis_service


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A private Slurm of four virtual nodes, with accounting."""
    with slurm_cluster(*programs(SLURM)[:4]) as cluster:
        yield cluster


@contextmanager
def chromium_here() -> Iterator[OpenBrowser]:
    """``open(size=PHONE, dark=True)`` opens a browser; the block's end closes them all."""
    program, driver = programs(CHROMIUM)
    with ExitStack() as stack:

        def open_one(*, size: tuple[int, int] = (1280, 900), dark: bool = False) -> Chrome:
            profile = stack.enter_context(folder("chromium"))
            browser = open_browser(program, driver, profile, size=size, dark=dark)
            stack.callback(browser.quit)
            return browser

        yield open_one


@pytest.fixture
def chromium() -> Iterator[OpenBrowser]:
    """``chromium(size=PHONE, dark=True)`` opens a browser; the test's end closes them all."""
    with chromium_here() as open_one:
        yield open_one
