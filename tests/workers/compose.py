"""docker-compose.yml as the tests use it: its commands and its environment, with this machine's services in it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.house import ROOT, clean_environment

FILE = ROOT / "docker-compose.yml"
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def compose() -> dict[str, Any]:
    """The file, with its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def command(service: str) -> list[str]:
    """What a service runs."""
    words: list[str] = compose()["services"][service]["command"]
    return words


def environment(service: str, folder: Path, database_url: str, redis_url: str, **variables: str) -> dict[str, str]:
    """What a service runs in: its own environment, with secrets in files of this test and a private Redis."""
    secrets = {"database_url": database_url, "secret_key": "made up for a test " * 3}
    (folder / "secrets").mkdir(exist_ok=True)
    for name, value in secrets.items():
        (folder / "secrets" / name).write_text(value, encoding="utf-8")
    found = {
        name: DEFAULT.sub(r"\1", value).replace("/run/secrets", str(folder / "secrets"))
        for name, value in compose()["services"][service]["environment"].items()
    }
    assert found["REDIS_URL"].startswith("redis://redis:")
    found |= {"REDIS_URL": redis_url, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return clean_environment(**{**found, **variables})
