"""The words and the code say the same: settings, links, and the README's commands, run as written."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from measurements.services import chores
from tests.house import ROOT, clean_environment, copy_house, house_files
from tests.services.process import free_port, running

SETTING = re.compile(r"\b(JOULEBOOK_[A-Z]+(?:_[A-Z]+)*|DATABASE_URL|REDIS_URL|SERVICES|HYPOTHESIS_PROFILE)\b")
READ_FROM_ENVIRONMENT = re.compile(r"""(?:env_\w+|environ(?:\.get)?)[(\[]\s*["']([A-Z_]+)["']""")
DOCUMENTED = re.compile(r"^\| `([A-Z_]+)`", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHERS = {"PATH", "DJANGO_SETTINGS_MODULE", "PATH_INFO"}  # no settings of Joulebook
SERVER = "make demo"
SECONDS = 420.0  # a new environment and the whole demo, on two busy cores

CODE = [path for path in house_files() if path.suffix in {".py", ".html", ".js"} or path.name in {"Makefile", "run"}]
PAGES = [path for path in house_files() if path.suffix == ".md"]


def documented() -> set[str]:
    return set(DOCUMENTED.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))


def read_in_code() -> set[str]:
    """Names read from the environment anywhere but in the tests that make some up."""
    made_up = {"tests/test_settings.py"}
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in CODE if path.as_posix() not in made_up]
    return {name for text in texts for name in READ_FROM_ENVIRONMENT.findall(text)} - OTHERS


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    assert read_in_code() == documented()


def test_pages_name_only_settings_that_exist() -> None:
    scripts = [(ROOT / path).read_text(encoding="utf-8") for path in house_files() if path.suffix == ".sh"]
    known = documented() | {name for text in scripts for name in re.findall(r"\$\{?(JOULEBOOK_\w+)", text)}
    named = {(path.name, name) for path in PAGES for name in SETTING.findall((ROOT / path).read_text(encoding="utf-8"))}
    unknown = {(page, name) for page, name in named if not known & {name, name.removesuffix("_FILE")}}
    assert unknown == set()


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    relative = [target.partition("#") for target in targets if not re.match(r"[a-z]+:", target)]
    places = [((ROOT / page.parent / name) if name else ROOT / page, anchor) for name, _, anchor in relative]
    assert [place for place, _ in places if not place.exists()] == []
    assert [(place.name, anchor) for place, anchor in places if anchor and anchor not in anchors(place)] == []


def test_every_chore_stands_in_the_page_about_workers() -> None:
    rows = re.findall(
        r"^\| ([a-z][^|]*) \| (?:15 s|15 min|minute|hour|day) \|", (ROOT / "docs" / "workers.md").read_text(), re.M
    )
    named = {name for row in rows for name in row.split(", ")}
    assert named == set(chores.names())


def test_every_verb_of_the_pages_is_in_the_makefile() -> None:
    verbs = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())
    named = {verb for path in PAGES for verb in re.findall(r"`(?:\w+=\S+ )*make (\w+)", (ROOT / path).read_text())}
    assert named <= verbs


@pytest.mark.clone
def test_the_readme_works_as_written_from_a_clean_clone(tmp_path: Path) -> None:
    clone = copy_house(tmp_path / "joulebook")
    port = free_port()
    environment = clean_environment(PORT=str(port))
    blocks = BLOCK.findall((clone / "README.md").read_text(encoding="utf-8"))
    assert blocks[0].strip() == SERVER
    with running(
        ["make", "demo"], clone.parent / "demo.log", lambda: _answers(port),
        cwd=clone, env=environment, seconds=SECONDS,
    ):  # fmt: skip
        pass  # its newest days are there; the year before them is booked no further
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks[1:])],
        cwd=clone, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    energy = json.loads("{" + f"\n{answer.stdout}".rpartition("\n{")[2])  # the last command's
    assert energy["energy_j"] > 0
    assert energy["jobs"] > 0


def _answers(port: int) -> bool:
    """Whether the site shows its login page."""
    try:
        with urlopen(f"http://localhost:{port}/", timeout=10) as page:
            return page.status == 200 and b"<form" in page.read()
    except OSError:
        return False
