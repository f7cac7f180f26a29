"""What every test can ask for: the same four people, the shared data, a folder of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from measurements.services.directories import forget_directories
from tests.order import spread
from tests.services.fixtures import (
    chromium,
    postgres,
    postgres_site_url,
    postgres_url,
    redis_service,
    redis_url,
    slurm,
)
from tests.services.once import begin_run, end_run
from tests.services.tables import sqlite_tables

__all__ = ["chromium", "postgres", "postgres_site_url", "postgres_url", "redis_service", "redis_url", "slurm"]
ROOT = Path(__file__).resolve().parent.parent

hypothesis_settings.register_profile("dev", max_examples=30, deadline=None)
hypothesis_settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True)
hypothesis_settings.register_profile(
    "fuzz", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


IN_CI = os.environ.get("JOULEBOOK_CI", "") == "1"  # there a skipped test is a failure


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must run, a skip is a failure that names its reason."""
    report = yield
    return _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself."""
    report = yield
    return _no_skip(report)


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _no_skip(report: Report) -> Report:
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped where a skip is a failure (JOULEBOOK_CI=1): {report.longrepr}"
    return report


def pytest_configure(config: pytest.Config) -> None:
    """What several test processes share has a folder, made by the one that starts them."""
    if not hasattr(config, "workerinput"):
        begin_run()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes each begins with a test that takes long."""
    if hasattr(config, "workerinput"):
        order = spread([item.nodeid for item in items], config.workerinput["workercount"])
        items[:] = [items[place] for place in order]


def pytest_unconfigure(config: pytest.Config) -> None:
    """A test process may end without its exit functions: what tests/settings.py made goes here."""
    shutil.rmtree(os.environ["JOULEBOOK_VAR"], ignore_errors=True)
    if not hasattr(config, "workerinput"):
        end_run()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The test database, in memory, has its tables before Django would migrate it: they are made once a run."""
    tables = sqlite_tables(tmp_path_factory.mktemp("tables") / "tables.sqlite3")
    name: str = getattr(connection.creation, "_get_test_db_name")()  # noqa: B009 - not in its types
    with closing(sqlite3.connect(tables)) as migrated, closing(sqlite3.connect(name, uri=True)) as here:
        migrated.backup(here)
        yield


@dataclass(frozen=True)
class People:
    """alice and bob run jobs, charlie is a stranger, olga is the operator and may see every job."""

    alice: User
    bob: User
    charlie: User
    olga: User


@pytest.fixture
def people(db: None) -> People:
    """The four people of every test."""
    alice, bob, charlie = (User.objects.create_user(name) for name in ("alice", "bob", "charlie"))
    return People(alice, bob, charlie, User.objects.create_superuser("olga"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real logs with official figures, kept beside the clone and never in it."""
    folder = Path(os.environ.get("JOULEBOOK_SHARED_DATA") or ROOT.parent / "shared" / "data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set JOULEBOOK_SHARED_DATA")
    return folder


@pytest.fixture(autouse=True)
def own_var(tmp_path: Path) -> Iterator[Path]:
    """Each test writes its segments into its own folder, as its database rows are its own."""
    forget_directories()
    with override_settings(JOULEBOOK_VAR=tmp_path / "var"):
        yield tmp_path / "var"
