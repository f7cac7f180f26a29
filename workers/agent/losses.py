"""What was dropped before it could be sent, until the server knows: by UTC day, counted once however often it is told.

A loss grows under one number as long as this process lives; the server keeps the largest figure it was told. What the
last process left is told as it is, and what is dropped later has a number of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workers.agent.batch import Batch

DAY_S = 86_400
MOST_TOLD = 50  # in a request

Loss = dict[str, Any]  # id, readings, from and to [s since 1970]; told: how many the server knows of


class Losses:
    """The losses of a buffer, in a file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved = True
        self.dropped: list[int] = []  # files that are counted, and may still be there after a kill
        self._rows: list[Loss] = []
        self._growing: dict[int, Loss] = {}  # UTC day → the loss of this process
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_text(encoding="ascii"))
            rows = [{name: row[name] for name in ("id", "readings", "from", "to", "told")} for row in said["losses"]]
            self._rows, self.dropped = rows, [int(number) for number in said["dropped"]]

    @property
    def readings(self) -> int:
        """How many the server does not know of."""
        return sum(row["readings"] - row["told"] for row in self._rows)

    def add(self, gone: Batch, number: int | None) -> None:
        """Count a batch, whose file is about to be removed."""
        by_day: dict[int, list[str]] = {}
        for line in gone.lines:
            by_day.setdefault(int(float(line.partition(",")[0]) // DAY_S), []).append(line)
        for day, lines in by_day.items():
            self._grow(day, Batch(gone.facts, gone.header, tuple(lines)))
        self.dropped += [] if number is None else [number]
        self.save()

    def _grow(self, day: int, part: Batch) -> None:
        first, last = part.span
        row = self._growing.get(day)
        if row is None:
            row = {"id": os.urandom(8).hex(), "readings": 0, "from": first, "to": last, "told": 0}
            self._growing[day] = row
            self._rows.append(row)
        row["readings"] += part.readings
        row["from"], row["to"] = min(row["from"], first), max(row["to"], last)

    def untold(self) -> list[Loss]:
        """What the server does not know yet, as it is told."""
        rows = [row for row in self._rows if row["readings"] > row["told"]][:MOST_TOLD]
        return [{name: row[name] for name in ("id", "readings", "from", "to")} for row in rows]

    def told(self, said: Sequence[Loss]) -> None:
        """The server knows of these."""
        known = {row["id"]: row["readings"] for row in said}
        for row in self._rows:
            row["told"] = max(row["told"], known.get(row["id"], 0))
        newest = max(self._growing, default=None)
        self._growing = {
            day: row for day, row in self._growing.items() if day == newest or row["readings"] > row["told"]
        }
        growing = {row["id"] for row in self._growing.values()}
        self._rows = [row for row in self._rows if row["readings"] > row["told"] or row["id"] in growing]
        self.save()

    def removed(self) -> None:
        """The files that are counted are gone."""
        self.dropped = []

    def save(self) -> None:
        """Write it down; what a full disk does not take is tried again when it has room."""
        said = json.dumps({"losses": self._rows, "dropped": self.dropped})
        new = self.path.with_suffix(".new")
        try:
            new.write_text(said, encoding="ascii")
            new.replace(self.path)
        except OSError:
            self.saved = False
        else:
            self.saved = True
