"""A clean copy of the house in a folder of its own, and an environment that knows nothing of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = (
    *("JOULEBOOK_", "DJANGO_", "PYTEST_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
    *("DATABASE_URL", "REDIS_URL"),
)
OPTIONS_OF_MAKE = (
    "VENV",
    "BIN",
    "PORT",
    "HOST",
    "ARGS",
    "PYTHON",
    "SERVICES",
    "TEST_PROCESSES",
    "JOBS",
    "POWER",
    "NODES",
    "STATES",
    "OUT",
    "CLUSTER",
    "TIME_ZONE",
    "NAMES",
)


def house_files() -> list[Path]:
    """What a clone would hold, changes that are not committed yet included; relative paths."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no clone: git tells which files belong to it", allow_module_level=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file()]


def copy_house(target: Path) -> Path:
    """A clean clone in ``target``."""
    for path in house_files():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)
    return target


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment of a person who has just logged in, and ``variables``."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(OURS) and name not in OPTIONS_OF_MAKE
    }
    return kept | variables
