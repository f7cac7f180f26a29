"""Commands in a pipe whose reader goes away: they end as other programs do, and nobody is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import clean_environment

ROOT = Path(__file__).resolve().parent.parent.parent
KILLED = 128 + 13  # what a shell says of a program that SIGPIPE ended
FEEDS = 3_000  # more of them than a pipe holds
MAKE = f"""
from measurements.models import Cluster, Feed
c = Cluster.objects.create(name="c")
Feed.objects.bulk_create(
    Feed(cluster=c, name=f"feed-{{n}}", kind="prometheus", every_s=60, late_after_s=600) for n in range({FEEDS})
)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    environment = clean_environment(JOULEBOOK_VAR=str(tmp_path_factory.mktemp("site")), PYTHONUNBUFFERED="")
    for words in (["migrate", "--verbosity", "0"], ["shell", "-c", MAKE]):
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True)
    return environment


def without_reader(site: dict[str, str], *words: str, stream: str = "stdout") -> tuple[int, str]:
    """Exit code, and what it said on the other stream, of a command that writes to a pipe nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    kept = subprocess.PIPE
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=site,
            check=False,
            text=True,
            stdout=writing if stream == "stdout" else kept,
            stderr=writing if stream == "stderr" else kept,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr if stream == "stdout" else done.stdout


@pytest.mark.parametrize(
    "words",
    [("feed", "list"), ("feed", "list", "--json"), ("token", "list", "--json"), ("feed", "--help")],
    ids=" ".join,
)
def test_a_command_whose_reader_is_gone_ends_quietly(site: dict[str, str], words: tuple[str, ...]) -> None:
    assert without_reader(site, *words) == (KILLED, "")


def test_what_breaks_in_the_midst_of_printing_is_no_other(site: dict[str, str]) -> None:
    assert without_reader(site | {"PYTHONUNBUFFERED": "1"}, "feed", "list") == (KILLED, "")


def test_head_takes_one_line_and_nobody_complains(site: dict[str, str]) -> None:
    command = f'"{sys.executable}" manage.py feed list | head -1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=site, check=True, text=True, capture_output=True)
    line, code = done.stdout.splitlines()
    assert line.startswith("feed-0 (prometheus, c)")
    assert (code, done.stderr) == (str(KILLED), "")


def test_messages_that_nobody_reads_end_it_as_well(site: dict[str, str]) -> None:
    assert without_reader(site, "feed", "run", "none-such", stream="stderr") == (KILLED, "")


@pytest.mark.parametrize(("words", "code"), [(("feed", "list"), 0), (("feed", "run", "none-such"), 2)])
def test_with_a_reader_codes_are_as_ever(site: dict[str, str], words: tuple[str, ...], code: int) -> None:
    done = subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=site, capture_output=True, check=False)
    assert done.returncode == code


def test_a_failure_with_nothing_printed_keeps_its_code(site: dict[str, str]) -> None:
    code, said = without_reader(site, "feed", "run", "none-such")
    assert code == 2
    assert "no feed 'none-such'" in said
