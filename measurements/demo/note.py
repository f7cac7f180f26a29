"""What the folder of the simulated files remembers of them: `simulated.json`; while months are missing, `past.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from measurements.demo.stories import Stories, find_stories

LAYOUT = 3  # of the simulated cluster: another one is another cluster
FOLDER = "demo"  # in JOULEBOOK_VAR


class OtherLayout(Exception):
    """The folder holds the cluster of an earlier version."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What has been through the pipeline: [since, until), from ``fine_from_s`` on with GPUs and every 30 s.

    Its oldest part may still be missing (`read_past`).
    """

    seed: int
    since_s: int
    fine_from_s: int
    until_s: int
    layout: int = LAYOUT


def note_path(var: Path) -> Path:
    """Where the note lies in JOULEBOOK_VAR."""
    return var / FOLDER / "simulated.json"


def read_note(var: Path) -> Simulated | None:
    """What was simulated in this site so far; None if nothing was."""
    path = note_path(var)
    if not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    if said.get("layout") != LAYOUT:
        raise OtherLayout
    return Simulated(**said)


def write_note(var: Path, done: Simulated) -> None:
    """Remember what is done."""
    write_bytes(note_path(var), json.dumps(asdict(done)).encode())


def past_path(var: Path) -> Path:
    """Where the note of what is missing lies in JOULEBOOK_VAR."""
    return var / FOLDER / "past.json"


def read_past(var: Path) -> int | None:
    """The instant (s) before which nothing is booked yet; None where nothing is missing."""
    try:
        return int(json.loads(past_path(var).read_text(encoding="utf-8"))["before_s"])
    except FileNotFoundError:
        return None


def write_past(var: Path, before_s: int | None) -> None:
    """Remember from where on all is booked; None: nothing is missing any more."""
    if before_s is None:
        past_path(var).unlink(missing_ok=True)
    else:
        write_bytes(past_path(var), json.dumps({"before_s": before_s}).encode())


def stories_of(var: Path) -> Stories | None:
    """The stories of the site's simulated cluster; None where there is none."""
    try:
        done = read_note(var)
    except OtherLayout:
        return None
    return find_stories(done.seed, done.since_s, done.until_s) if done else None


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_bytes(content)
    return unfinished.replace(path)
