"""The worked cases of docs/integration.md that need the site: files in, commands run as an operator runs them."""

from __future__ import annotations

import json
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.measurements.domain.cases import Case, worked_cases

COMMANDS = [pytest.param(case, id=case["case"]) for case in worked_cases("command")]


def run_command(argv: str) -> tuple[int, str]:
    """Exit code and standard output of a management command."""
    out = StringIO()
    try:
        call_command(*shlex.split(argv), stdout=out, stderr=StringIO())
    except CommandError as error:
        return error.returncode, out.getvalue()
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue()
    return 0, out.getvalue()


def misses(wanted: Any, actual: Any, where: str = "answer") -> list[str]:
    """What of the wanted part of an answer is not there; lists have to be equally long."""
    if isinstance(wanted, dict) and isinstance(actual, dict):
        absent = [f"{where}.{key} is missing" for key in wanted.keys() - actual.keys()]
        return absent + [
            m for key in wanted.keys() & actual.keys() for m in misses(wanted[key], actual[key], f"{where}.{key}")
        ]
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        return [m for i, pair in enumerate(zip(wanted, actual, strict=True)) for m in misses(*pair, f"{where}[{i}]")]
    if isinstance(wanted, float | int) and not isinstance(wanted, bool) and isinstance(actual, float | int):
        return [] if actual == pytest.approx(wanted, rel=1e-9, abs=1e-6) else [f"{where} = {actual}, not {wanted}"]
    return [] if wanted == actual else [f"{where} = {actual!r}, not {wanted!r}"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", COMMANDS)
def test_the_commands_answer_as_worked_out(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lines in case["files"].items():
        Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for step in case["run"]:
        code, answer = run_command(step["argv"])
        if step.get("fails"):
            assert code != 0, step["argv"]
            continue
        assert code == step.get("exit", 0), f"{step['argv']}: {answer}"
        if "json" in step:
            assert misses(step["json"], json.loads(answer)) == [], step["argv"]


def test_a_wrong_answer_would_be_found() -> None:
    answer = {"energy_j": 6000.0, "runs": [{"nodes": 1}], "quality": "metered", "coverage": None}
    assert misses({"energy_j": 6000, "runs": [{"nodes": 1}]}, answer) == []
    assert misses({"energy_j": 6000.1}, answer) == ["answer.energy_j = 6000.0, not 6000.1"]
    assert misses({"runs": []}, answer) == ["answer.runs = [{'nodes': 1}], not []"]
    assert misses({"joules": 1}, answer) == ["answer.joules is missing"]
    assert misses({"quality": "none", "coverage": 0}, answer) != []
