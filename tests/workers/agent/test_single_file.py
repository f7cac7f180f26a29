"""The single file: it holds all it needs, runs on every Python there is here, and says the same as the sources."""

from __future__ import annotations

import ast
import configparser
import csv
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house import ROOT
from tests.services.process import free_port
from tests.workers.agent.driver import Driver
from tests.workers.agent.program import SECONDS, node
from tests.workers.agent.receiver import Receiver
from workers.agent.build import build, modules
from workers.agent.settings import PLACE, Settings
from workers.agent.trim import trimmed

UNIT = ROOT / "workers" / "agent" / "joulebook-agent.service"
OLDEST = (3, 9)
# What came after 3.9 and would only be missed when a line is run.
TOO_NEW = {"slots", "kw_only", "pairwise", "UTC", "StrEnum", "ExceptionGroup", "removeprefix_", "bit_count"}


@pytest.fixture(scope="module")
def single_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist") / "joulebook-agent.pyz")


def pythons() -> list[str]:
    """Every Python of this machine that is new enough; at least the one that runs this."""
    found = {os.path.realpath(sys.executable): sys.executable}
    homes = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    homes += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    for home in homes:
        for path in home.glob("python3.*"):
            version = re.fullmatch(r"python3\.(\d+)", path.name)
            if version and int(version[1]) >= OLDEST[1] and "shims" not in path.parts:
                found.setdefault(os.path.realpath(path), str(path))
    return sorted(found.values())


@pytest.mark.parametrize("python", pythons())
def test_it_runs_on_a_node_with_python_and_nothing_else(
    single_file: Path, python: str, driver: Driver, server: Receiver, tmp_path: Path
) -> None:
    here = node(tmp_path, driver, server.address)
    done = here.run("--once", program=(python, "-I", "-S", str(single_file)))
    assert done.returncode == 0, done.stderr
    (row, *_) = [row for row in csv.DictReader(io.StringIO(done.stdout)) if row["gpu0_j"]]
    assert row["gpu0_j"] == "1000.123000"
    with here.running((python, "-I", "-S", str(single_file))) as process:
        server.wait_for(2)
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert {column for _, column, _ in server.power()} >= {"gpu1_j", "cpu0_j", "psys_j"}


def test_it_lives_through_faults_with_the_pynvml_that_is_in_it(
    single_file: Path, driver: Driver, tmp_path: Path
) -> None:
    """Exceptions of the reduced module are those of the whole one."""
    here = node(tmp_path, driver, f"http://127.0.0.1:{free_port()}")
    driver.boards[0].energy_error = 4
    driver.boards[1].mig = ("MIG-1",)
    driver.write()
    done = here.run("--check", program=(sys.executable, "-I", "-S", str(single_file)))
    assert "nvml gpu0: Insufficient Permissions: no permission" in done.stdout
    assert "MIG-1" in done.stdout


def test_two_builds_hold_the_same(single_file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(single_file) as one, zipfile.ZipFile(build(tmp_path / "again.pyz")) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


def test_the_licence_of_pynvml_goes_with_it_and_the_tools_of_the_build_do_not(single_file: Path) -> None:
    with zipfile.ZipFile(single_file) as archive:
        names, pynvml = archive.namelist(), archive.read("pynvml.py").decode()
    assert "Redistribution and use in source and binary forms" in pynvml
    assert "nvmlDeviceGetTotalEnergyConsumption" in pynvml
    assert len(pynvml) < 40_000
    assert "workers/agent/build.py" not in names
    assert not [name for name in names if "tests" in name or name.endswith((".service", ".ini"))]


def test_a_trimmed_module_keeps_what_is_needed_and_nothing_else() -> None:
    source = (
        '"""Words."""\nimport os\nONE = 1\nTWO = 2\nERR_A = 7\n\ndef used():\n    """Words."""\n    return helper()\n\n'
        "def helper():\n    return ONE\n\ndef unused():\n    return TWO\n\nclass Kept:\n    pass\n\nKept.x = 5\n"
    )
    kept = trimmed(source, {"used"}, ("ERR_",))
    names: dict[str, object] = {}
    exec(kept, names)  # noqa: S102 - our own text of above
    assert names["used"]() == 1  # type: ignore[operator]
    assert names["ERR_A"] == 7
    assert "unused" not in kept
    assert "TWO" not in kept
    assert "Words" not in kept


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.name)
def test_its_modules_are_of_the_oldest_python(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)
    words = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert words & TOO_NEW == set()
    strict = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "strict"]
    assert strict == []
    assert "from __future__ import annotations" in path.read_text() or path.name == "__init__.py"


def test_make_agent_builds_it_and_sees_that_it_runs(tmp_path: Path) -> None:
    target = tmp_path / "joulebook-agent.pyz"
    words = ["make", "-o", ".venv/.locked", "agent", f"AGENT={target}"]  # whatever waits to be installed: not now
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([target, "--version"], capture_output=True, text=True, check=True).stdout == "0.1\n"


def test_the_unit_gives_no_powers_and_keeps_the_state() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == ""
    assert service["StateDirectory"] == "joulebook-agent"
    assert service["Restart"] == "always"
    assert service["ProtectSystem"] == "strict"
    page = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    for path in (service["ExecStart"].split()[-1], str(PLACE), str(Settings().token_file)):
        assert path in page
