"""What a feed remembers of its BMCs from turn to turn: where their power stands, and which are left alone for a while.

A file that may go at any time: what it held is found out again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measurements.feeds.bmc import Bmc

LONGEST_WAIT_S = 300.0  # of a BMC that fails: a power that is not asked for now can't be had later
_VERSION = 1


@dataclass(slots=True)
class Known:
    """One BMC."""

    failures: int = 0
    fault: str = ""
    asked_ms: int = 0
    wait_until_ms: int = 0
    found: dict[str, Any] = field(default_factory=dict)  # where its power stands, as its protocol has it
    found_ms: int = 0
    told: dict[str, list[Any]] = field(default_factory=dict)  # channel → its own time and value, where its clock is off


class Memory:
    """All BMCs of one feed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)

    def of(self, bmc: Bmc) -> Known:
        """What is known of one; at first nothing."""
        return self._known.setdefault(bmc.key, Known())

    def in_order(self, bmcs: Iterable[Bmc], now_ms: int) -> list[Bmc]:
        """Those to be asked now: who answers before who fails, longest ago first; some are left alone."""
        due = [bmc for bmc in bmcs if self.of(bmc).wait_until_ms <= now_ms]
        return sorted(due, key=lambda bmc: (self.of(bmc).failures, self.of(bmc).asked_ms))

    def answered(self, bmc: Bmc, now_ms: int) -> None:
        """It gave something."""
        known = self.of(bmc)
        known.failures, known.fault, known.asked_ms, known.wait_until_ms = 0, "", now_ms, 0

    def failed(self, bmc: Bmc, fault: str, wait_s: float | None, every_s: float, now_ms: int) -> None:
        """It gave nothing: it is left alone the longer the more often in a row."""
        known = self.of(bmc)
        by_count_s = min(LONGEST_WAIT_S, every_s * (2 ** min(known.failures, 10) - 1))
        known.failures, known.fault, known.asked_ms = known.failures + 1, fault, now_ms
        known.wait_until_ms = now_ms + round(1_000 * max(by_count_s, wait_s or 0.0))

    def forget_waits(self) -> None:
        """Somebody wants to know now: whoever failed is asked in the next turn. All else stays known."""
        for known in self._known.values():
            known.wait_until_ms = 0
        if self._known:
            self._write(self._known)

    def save(self, bmcs: Iterable[Bmc]) -> None:
        """Keep what is known of these, and of no others."""
        self._write({bmc.key: self.of(bmc) for bmc in bmcs})

    def _write(self, known: Mapping[str, Known]) -> None:
        kept = {key: asdict(one) for key, one in known.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        draft.write_text(json.dumps({"version": _VERSION, "bmcs": kept}), encoding="utf-8")
        draft.replace(self.path)


def _read(path: Path) -> dict[str, Known]:
    try:
        held = json.loads(path.read_bytes())
        return {key: Known(**one) for key, one in held["bmcs"].items()} if held["version"] == _VERSION else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
