"""docs/how-to/add-a-power-format.md, followed word for word in a copy of the tree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT, clean_environment, copy_house

PAGE = ROOT / "docs" / "how-to" / "add-a-power-format.md"
WRITE = re.compile(r"^Write `([^`]+)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSERT = re.compile(r"^In `([^`]+)`, (above|below) `([^`]+)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = re.compile(r"^```sh\npython (.*?)^```", re.MULTILINE | re.DOTALL)


def follow(page: str, house: Path) -> None:
    """Write and insert what the page says."""
    for path, text in WRITE.findall(page):
        assert not (house / path).exists()
        (house / path).write_text(text)
    for path, where, line, text in INSERT.findall(page):
        whole = (house / path).read_text()
        assert whole.count(f"{line}\n") == 1, f"{path} no longer holds the line {line!r}"
        (house / path).write_text(
            whole.replace(f"{line}\n", text + f"{line}\n" if where == "above" else f"{line}\n" + text)
        )


def run(page: str, house: Path) -> subprocess.CompletedProcess[str]:
    """The page's command."""
    (command,) = RUN.findall(page)
    return subprocess.run(
        [sys.executable, *command.split(), "-p", "no:cacheprovider"],
        cwd=house, env=clean_environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the page was followed."""
    copy = copy_house(tmp_path_factory.mktemp("how-to") / "joulebook")
    follow(PAGE.read_text(encoding="utf-8"), copy)
    return copy


def test_the_page_works_as_written(house: Path) -> None:
    answer = run(PAGE.read_text(encoding="utf-8"), house)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"^[3-9] passed", answer.stdout, re.MULTILINE), answer.stdout  # the excerpt, and two properties
    lint = [sys.executable, "-m", "ruff", "check", "measurements/parsers/bmcwatch.py", "measurements/parsers/detect.py"]
    checked = subprocess.run(lint, cwd=house, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_its_tests_see_a_parser_that_invents(house: Path) -> None:
    module = house / "measurements" / "parsers" / "bmcwatch.py"
    good = module.read_text()
    module.write_text(good.replace("value=value,", "value=value + 1,"))
    answer = run(PAGE.read_text(encoding="utf-8"), house)
    module.write_text(good)
    assert answer.returncode == 1
    assert "test_damaged_files[bmcwatch]" in answer.stdout
    assert "test_every_trap_a_line" in answer.stdout
