"""The watched folder: ``JOULEBOOK_VAR/inbox/<cluster>/{nodes,states,power,jobs}/``.

A file is taken once it has been neither written to nor renamed for as long as the interval of two sweeps; names that
begin with a dot or end in .part or .tmp are still being written. It is moved into a folder of its own, entered in the
table `Intake`, and moved on to ``done/`` or ``failed/`` when that says so: each step can be repeated after a crash.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from measurements.models import Cluster, Intake
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import job_folder
from measurements.services.intake import SPOOL, var
from measurements.services.machine import create_cluster
from measurements.services.taking import FAULT, check_options
from measurements.store import sync_to_disk

INBOX, TAKEN = "inbox", ".taken"
CONTENTS = (Intake.Content.NODES, Intake.Content.STATES, Intake.Content.POWER, Intake.Content.JOBS)  # in this order
UNFINISHED = (".part", ".tmp")
FINISHED = (Intake.State.DONE, Intake.State.FAILED, Intake.State.WITHDRAWN)
OPTIONS = "options.json"
RUBBISH_AGE_S = 3_600
AT_ONCE = 1_000  # files of a folder that stand in the table; the others follow as these are done


def look_into_inbox(now: datetime, settled_s: float) -> int:
    """Enter the files that have come; how many. Calling it twice, or from two machines at once, enters none twice."""
    inbox = var() / INBOX
    inbox.mkdir(parents=True, exist_ok=True)
    for cluster in Cluster.objects.all():
        for content in CONTENTS:
            (inbox / cluster.name / content).mkdir(parents=True, exist_ok=True)
    entered = 0
    for folder in sorted(path for path in inbox.iterdir() if path.is_dir()):
        for content in CONTENTS:
            if (folder / content).is_dir():
                _set_aside(folder / content, now, settled_s)
                entered += _enter(folder / content, content, now)
    return entered


def _set_aside(folder: Path, now: datetime, settled_s: float) -> None:
    """Move what is complete out of the writers' reach, the oldest first."""
    complete = [(changed, path) for path in _visible(folder) if (changed := _changed(path)) is not None]
    for changed, path in sorted(complete):
        if now.timestamp() - changed < settled_s:
            continue
        place = folder / TAKEN / f"{int(changed * 1000):016d}-{uuid.uuid4().hex}"
        place.mkdir(parents=True)
        with suppress(FileNotFoundError):  # another process was quicker
            path.rename(place / path.name)
        sync_to_disk(place)
        sync_to_disk(folder)


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        unfinished = path.name.startswith(".") or path.name.endswith(UNFINISHED) or path.name == OPTIONS
        if not unfinished and (path.is_file() or job_folder(path)):
            yield path


def _changed(path: Path) -> float | None:
    """When it was last written to or renamed, by the kernel's own account, which no tool sets back."""
    try:
        inside = list(path.iterdir()) if path.is_dir() else []
        return max(entry.lstat().st_ctime for entry in (path, *inside))
    except FileNotFoundError:
        return None


def _enter(folder: Path, content: str, now: datetime) -> int:
    """A row for each file that was set aside and has none."""
    waiting = sorted((folder / TAKEN).glob("*"))[:AT_ONCE]
    places = {path.relative_to(var()).as_posix(): path for path in waiting}
    known = set(Intake.objects.filter(path__in=places).values_list("path", flat=True))
    cluster = _cluster(folder.parent.name, content) if places else None
    entered = 0
    for name, place in places.items():
        source = next(iter(place.iterdir()), None)
        if name in known or cluster is None or source is None:
            continue
        values = {
            "cluster": cluster,
            "content": content,
            "source": source.name,
            "options": _options(folder),
            "queued_at": now,
        }
        entered += Intake.objects.get_or_create(path=name, defaults=values)[1]
    return entered


def _cluster(name: str, content: str) -> Cluster | None:
    """The cluster of a folder; files of an unknown one wait until its nodes are described, which makes it."""
    if content != Intake.Content.NODES:
        return Cluster.objects.filter(name=name).first()
    with suppress(ValueError):
        return create_cluster(name)
    return None


def _options(folder: Path) -> dict[str, Any]:
    """What the operator says of all files of a folder, as ``{"time_zone": "Europe/Berlin"}``."""
    try:
        found = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
        check_options(folder.name, found)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, UnusableFile) as fault:
        return {FAULT: f"{OPTIONS}: {fault}"}  # the files it is for fail with this sentence
    return dict(found)


def clear_away(now: datetime) -> None:
    """Move what is done or failed out of the way, and remove what nothing refers to."""
    folders = {
        path.relative_to(var()).as_posix(): path
        for path in (*(var() / INBOX).glob(f"*/*/{TAKEN}/*"), *(var() / SPOOL).glob("*"))
    }
    names = sorted(folders)
    for i in range(0, len(names), AT_ONCE):
        lot = names[i : i + AT_ONCE]
        rows = {row.path: row for row in Intake.objects.filter(path__in=lot).select_related("cluster")}
        for name in lot:
            row = rows.get(name)
            if row is None:
                _clear_rubbish(folders[name], now)
            elif row.state in FINISHED:
                _clear_finished(row, folders[name])


def _clear_finished(row: Intake, folder: Path) -> None:
    """What came through the watched folder is kept, and so is what failed."""
    if row.state == Intake.State.FAILED or not row.path.startswith(SPOOL):
        kept = var() / INBOX / row.cluster.name / row.state
        kept.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            entry.rename(kept / f"{row.pk}-{entry.name}")
        if row.error:
            (kept / f"{row.pk}.reason.txt").write_text(f"{row.source}: {row.error}\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)


def _clear_rubbish(folder: Path, now: datetime) -> None:
    """Of the spool a copy whose entry never came; of the watched folder an empty place."""
    with suppress(FileNotFoundError):
        empty_or_copy = folder.parent.name == SPOOL or not any(folder.iterdir())
        changed = _changed(folder)  # a large file that is still coming in is no rubbish
        if empty_or_copy and changed is not None and now.timestamp() - changed > RUBBISH_AGE_S:
            shutil.rmtree(folder, ignore_errors=True)
