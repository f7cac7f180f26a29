"""docs/how-to/add-an-exporter.md, followed word for word: files written, commands run, what they print compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from measurements.parsers.mapping_files import NODE_KEYS, SERIES_KEYS
from tests.house import ROOT, clean_environment

PAGE = (ROOT / "docs" / "how-to" / "add-an-exporter.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"Write `(?P<path>[^`]+)`[^\n]*:\n\n```\w+\n(?P<text>.*?)^```|^```console\n(?P<console>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
MINUTES_S = 300.0


def commands(console: str) -> list[tuple[str, list[str]]]:
    """Each command with the lines that the page says it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A site of its own, whose folder for everything is the one in which the reader stands."""
    path = os.pathsep.join((str(Path(sys.executable).parent), str(ROOT), os.environ["PATH"]))
    (tmp_path / "mappings").mkdir()
    return clean_environment(PATH=path, JOULEBOOK_VAR=str(tmp_path))


def test_the_page_works_as_written(tmp_path: Path, environment: dict[str, str]) -> None:
    steps = list(STEP.finditer(PAGE))
    assert len(steps) >= 7
    run = 0
    for step in steps:
        if step["path"]:
            (tmp_path / step["path"]).write_text(step["text"], encoding="utf-8")
            continue
        for command, said in commands(step["console"]):
            answer = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=MINUTES_S, check=False,
            )  # fmt: skip
            printed = (answer.stdout + answer.stderr).splitlines()
            assert [line for line in said if line not in printed] == [], f"{command}\n{answer.stdout}{answer.stderr}"
            assert answer.returncode == (1 if any("refused: " in line or " 0 stored" in line for line in said) else 0)
            run += 1
    assert run >= 7


def test_the_page_tells_every_key_there_is() -> None:
    told = set(re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE))
    keys = {key for cell in told for key in re.findall(r"`(\w+)`", cell)}
    assert keys == {*NODE_KEYS, *SERIES_KEYS}
