"""The Makefile and the lock files: a bare machine can start, nothing is installed that is not checked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house import ROOT, clean_environment

LOCKS = ("requirements.lock", "requirements-dev.lock")
PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", re.MULTILINE)
EXACT = re.compile(r"^[A-Za-z0-9._-]+")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What make looks at, with an environment that was made a moment ago."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (1_000_000, 1_000_000))
    (tmp_path / ".venv").mkdir()
    for age, stamp in enumerate((".python", ".locked", ".locked-dev")):
        (tmp_path / ".venv" / stamp).touch()
        os.utime(tmp_path / ".venv" / stamp, (2_000_000 + age, 2_000_000 + age))
    return tmp_path


def make(clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(**variables)
    command = ["make", *arguments]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", ["demo", "trial", "run", "agent", "test", "bench", "fuzz", "lint", "screenshots"])
def test_a_second_call_installs_nothing(clone: Path, verb: str) -> None:
    planned = make(clone, "--dry-run", verb)
    assert planned.returncode == 0, planned.stderr
    assert ".venv/bin/" in planned.stdout
    assert "pip install" not in planned.stdout


@pytest.mark.parametrize(("verb", "lock"), [("demo", "requirements.lock"), ("test", "requirements-dev.lock")])
def test_a_newer_lock_file_is_installed_by_its_hashes(clone: Path, verb: str, lock: str) -> None:
    (clone / lock).touch()
    planned = make(clone, "--dry-run", verb).stdout
    assert re.search(rf"pip install .*--require-hashes -r {re.escape(lock)}", planned)


@pytest.mark.parametrize("variables", [{"PORT": "9123"}, {"PORT": "9123", "HOST": "0.0.0.0"}])  # noqa: S104 - a word
def test_the_demo_is_served_where_it_is_asked_for(clone: Path, variables: dict[str, str]) -> None:
    planned = make(clone, "--dry-run", "demo", **variables).stdout
    host = variables.get("HOST", "127.0.0.1")
    assert f"--bind {host}:9123" in planned
    assert "http://localhost:9123" in planned
    assert "JOULEBOOK_DEMO=1 exec" in planned


PYTHON = """#!/bin/sh
case "$2" in
tests.services.room) echo "$ROOM" ;;
pytest) test -d "$TMPDIR" && touch "$TMPDIR/written" && echo "$TMPDIR" > told; exit 3 ;;
esac
"""


def test_the_tests_write_into_a_folder_that_goes_with_them_unless_one_is_named(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir()
    (clone / ".venv" / "bin" / "python").write_text(PYTHON)
    (clone / ".venv" / "bin" / "python").chmod(0o755)
    room, named = clone / "room", clone / "named"
    room.mkdir()
    named.mkdir()
    assert "Error 3" in make(clone, "test", ROOM=str(room), TMPDIR="").stderr
    assert Path((clone / "told").read_text().strip()).parent == room
    assert list(room.iterdir()) == []
    assert "Error 3" in make(clone, "test", ROOM=str(room), TMPDIR=str(named)).stderr
    assert [path.name for path in named.iterdir()] == ["written"]


def test_an_old_python_is_refused_and_a_new_one_found(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv" / ".python").unlink()
    programs = clone / "programs"
    programs.mkdir()
    for name in ("make", "sh", "touch", "echo"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    refused = make(clone, ".venv/.python", PATH=str(programs))
    assert refused.returncode != 0
    assert "Joulebook needs Python 3.11 or newer" in refused.stderr
    (programs / "python3.12").write_text('#!/bin/sh\necho "called $0 $*" >&2\n')
    (programs / "python3.12").chmod(0o755)
    assert "python3.12 -m venv .venv" in make(clone, ".venv/.python", PATH=str(programs)).stderr


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_none_says_where_it_came_from(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = [part for part in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if "==" in part]
    assert len(packages) == len(PINNED.findall(text)) > 15
    assert [part.split(" ")[0] for part in packages if "--hash=sha256:" not in part] == []
    assert re.findall(r"https?:|file:|--find-links|--(?:extra-)?index-url|--trusted-host|(?<!\w)/\w+", text) == []


def test_both_locks_agree_and_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    site, dev = (dict(PINNED.findall((ROOT / name).read_text())) for name in LOCKS)
    asked = [EXACT.match(line)[0].lower() for line in project["dependencies"]]  # type: ignore[index]
    asked_dev = [EXACT.match(line)[0].lower() for line in project["optional-dependencies"]["dev"]]  # type: ignore[index]
    assert site.keys() >= set(asked)
    assert dev.keys() >= set(asked_dev)
    assert site.items() <= dev.items()


def test_ci_wants_every_service_and_no_skip() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "SERVICES=required JOULEBOOK_CI=1" in script.read_text()


def test_a_skip_fails_where_everything_must_run(tmp_path: Path) -> None:
    """Run pytest on a test that skips, once as a developer and once as CI."""
    shutil.copytree(ROOT / "tests" / "services", tmp_path / "tests" / "services")
    for name in ("__init__.py", "conftest.py", "house.py", "order.py", "settings.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    (tmp_path / "tests" / "test_late.py").write_text("import pytest\ndef test_late():\n    pytest.skip('no moon')\n")
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nDJANGO_SETTINGS_MODULE = "tests.settings"\n')
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_late.py"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    for ci, code in (("0", 0), ("1", 1)):
        environment = clean_environment(PYTHONPATH=path, JOULEBOOK_CI=ci)
        answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == code, answer.stdout + answer.stderr
        assert ("skip is a failure" in answer.stdout) == bool(code)


def test_a_trial_gets_its_files_and_options(clone: Path) -> None:
    said = {"JOBS": "a.txt b.txt", "POWER": "p-*.csv", "TIME_ZONE": "UTC", "NAMES": "1", "ARGS": "--policy hybrid"}
    planned = make(clone, "--dry-run", "trial", **said).stdout
    assert " ".join(planned.split()).endswith(
        '-m portal.trial --jobs a.txt b.txt --power p-*.csv --time-zone "UTC" --names --policy hybrid'
    )
    assert "--names" not in make(clone, "--dry-run", "trial", NAMES="0").stdout
