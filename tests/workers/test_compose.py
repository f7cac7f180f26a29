"""docker-compose.yml and Dockerfile as far as they can be held to account without Docker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT, house_files
from tests.test_docs import documented
from tests.workers.compose import compose, environment

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES = compose()["services"]
OURS = ("migrate", "web", "worker", "beat")
OTHERS = {"GUNICORN_CMD_ARGS", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}


def test_everything_that_a_service_names_is_there() -> None:
    whole = compose()
    assert set(SERVICES) == {*OURS, "redis", "postgres"}
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(whole["secrets"]), name
        assert set(service.get("networks", [])) <= set(whole["networks"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(whole["volumes"]), name
        files = [value for value in service.get("environment", {}).values() if value.startswith("/run/secrets/")]
        assert {Path(value).name for value in files} <= set(service.get("secrets", [])), name
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(whole["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in whole["secrets"].values())


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting(name: str) -> None:
    variables = {variable.removesuffix("_FILE") for variable in SERVICES[name].get("environment", {})}
    assert variables <= documented() | {other.removesuffix("_FILE") for other in OTHERS}


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root_and_everybody_is_watched(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].partition(":")[0]) > 0
    assert "no-new-privileges:true" in service["security_opt"]
    assert ("healthcheck" in service) == (name != "migrate")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), "only the proxy comes in"
    if name in OURS:
        assert service["read_only"]
        assert service["user"] in DOCKERFILE


def test_the_site_waits_for_its_tables_and_only_one_makes_them() -> None:
    for name in ("web", "worker", "beat"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    commands = {name: " ".join(service.get("command", [])) for name, service in SERVICES.items()}
    assert [name for name, command in commands.items() if "manage.py migrate" in command] == ["migrate"]


def test_the_image_holds_what_the_site_needs_and_nothing_else() -> None:
    lines = re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source for line in lines for source in line.split()} - {"/opt/joulebook"}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    houses = {path.parts[0] for path in house_files() if len(path.parts) > 1 and path.suffix in {".py", ".html", ".js"}}
    assert houses - {"tests"} <= copied
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.rindex("\nUSER 10001") > DOCKERFILE.rindex("\nRUN ")


def test_the_tables_are_made_by_the_command_of_the_file(postgres_url: str, tmp_path: Path) -> None:
    """Twice, as at each start."""
    variables = environment("migrate", tmp_path, postgres_url, "redis://localhost:1/0", JOULEBOOK_VAR=str(tmp_path))
    for _ in range(2):
        answer = subprocess.run(
            SERVICES["migrate"]["command"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
    assert "No migrations to apply" in answer.stdout
    assert "factors: nothing new" in answer.stdout, "the published factors are loaded after the tables are made"


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_the_program_of_each_command_is_in_the_environment(name: str) -> None:
    program = Path(sys.executable).parent / SERVICES[name]["command"][0]
    assert os.access(program, os.X_OK)
