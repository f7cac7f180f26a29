"""Senders as node agents are: each node sends its channels every so often, and keeps what was not acknowledged.

What a node reads is a function of node, channel and turn: only which turns were acknowledged has to be remembered.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sin

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("node", "cpu0", "cpu1", "dram0", "gpu0", "gpu1", "gpu2", "gpu3")
COUNTERS = frozenset({"cpu0", "cpu1", "dram0"})
HEADER = "timestamp,node," + ",".join(f"{c}_j" if c in COUNTERS else f"{c}_w" for c in CHANNELS) + "\n"
MOST_TURNS = 200  # of one body, when an agent catches up
PATIENCE_S = 20.0
REFUSED_S = 1.0  # before it tries again: its own back-off


@dataclass(frozen=True)
class Plan:
    """Who sends what, when."""

    nodes: Sequence[str]
    turns: int
    every_s: float
    start_ms: int

    def t_ms(self, node: int, turn: int) -> int:
        """When a node reads: its own second of the interval, and a jitter of some milliseconds."""
        phase = int(1000 * self.every_s * ((node * 0.6180339887) % 1.0))
        return self.start_ms + phase + round(1000 * self.every_s * turn) + _noise(node, turn, 99, 5)

    def values(self, node: int, turn: int) -> list[int]:
        """Its readings as the store keeps them: mW, or µJ of a counter."""
        found = []
        for place, channel in enumerate(CHANNELS):
            if channel == "node":
                found.append(1000 * (900 + round(150 * sin(turn / 9 + node)) + _noise(node, turn, place, 12)))
            elif channel in COUNTERS:
                step = 1_500_000_000 if channel != "dram0" else 250_000_000
                found.append(10**9 * (node + 1) + turn * step + _noise(node, turn, place, step // 50))
            else:
                found.append(180_000 + round(60_000 * sin(turn / 7 + place)) + _noise(node, turn, place, 3_000))
        return found

    def row(self, node: int, turn: int) -> str:
        """The same as a line of CSV."""
        at = self.t_ms(node, turn)
        values = self.values(node, turn)
        cells = [f"{v / 1e6:.6f}" if c in COUNTERS else f"{v / 1e3:.3f}" for c, v in zip(CHANNELS, values, strict=True)]
        return f"{at // 1000}.{at % 1000:03d},{self.nodes[node]},{','.join(cells)}\n"


def _noise(node: int, turn: int, salt: int, most: int) -> int:
    """Some number from 0 to below ``most``, always the same."""
    mixed = (node * 2_654_435_761 + turn * 40_503 + salt * 97_003 + 12_345) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 12)) & 0xFFFFFFFF) % most


@dataclass
class Outcome:
    """What the senders saw."""

    sent: NDArray[np.bool_]  # [node, turn]: given to the network at least once
    acknowledged: NDArray[np.bool_]
    answers_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # answers that should not have been


class Senders:
    """Threads that share the nodes among them."""

    def __init__(self, plan: Plan, port: int, secret: str, threads: int) -> None:
        self.plan, self.port, self.secret = plan, port, secret
        shape = (len(plan.nodes), plan.turns)
        self.outcome = Outcome(np.zeros(shape, bool), np.zeros(shape, bool))
        self._lock = threading.Lock()
        self.gates: list[tuple[int, threading.Event]] = []  # from which turn on all wait for what
        shares = [range(first, len(plan.nodes), threads) for first in range(threads)]
        self._threads = [threading.Thread(target=self._work, args=(share,), daemon=True) for share in shares]

    def start(self) -> None:
        """Begin at once."""
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Until all is acknowledged, or for so long."""
        last = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, last - time.monotonic()))

    def _work(self, share: Sequence[int]) -> None:
        connection: http.client.HTTPConnection | None = None
        events = sorted((self.plan.t_ms(node, turn), node, turn) for node in share for turn in range(self.plan.turns))
        waiting: dict[int, list[int]] = {}
        again_at: dict[int, float] = {}
        place = 0
        while place < len(events) or waiting:
            while place < len(events) and events[place][0] <= time.time() * 1000 and self._may(events[place][2]):
                _, node, turn = events[place]
                waiting.setdefault(node, []).append(turn)
                place += 1
            ready = [node for node in waiting if again_at.get(node, 0.0) <= time.monotonic()]
            for node in ready:
                turns = waiting[node][:MOST_TURNS]
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
                wait_s = self._send(connection, node, turns)
                if wait_s is None:
                    waiting[node] = waiting[node][len(turns) :]
                    if not waiting[node]:
                        del waiting[node]
                else:
                    connection.close()
                    connection = None
                    again_at[node] = time.monotonic() + wait_s
            if not ready:
                time.sleep(0.005)
        if connection is not None:
            connection.close()

    def _may(self, turn: int) -> bool:
        return all(happened.is_set() for first, happened in self.gates if turn >= first)

    def _send(self, connection: http.client.HTTPConnection, node: int, turns: list[int]) -> float | None:
        """One body; None if it was acknowledged, else after how long to try again [s]."""
        body = HEADER + "".join(self.plan.row(node, turn) for turn in turns)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "text/csv"}
        self.outcome.sent[node, turns] = True
        began = time.monotonic()
        try:
            connection.request("POST", "/api/v1/power", body.encode(), headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException):
            self._count(0, None)
            return REFUSED_S
        self._count(answer.status, time.monotonic() - began)
        if answer.status != 200:
            if answer.status not in (429, 503):
                self.outcome.wrong.append(f"{answer.status}: {told[:300]!r}")
            return REFUSED_S
        if b'"refused": []' not in told:
            self.outcome.wrong.append(f"refused: {told[:300]!r}")
        self.outcome.acknowledged[node, turns] = True
        return None

    def _count(self, status: int, seconds: float | None) -> None:
        with self._lock:
            self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1
            if seconds is not None and status == 200:
                self.outcome.answers_s.append(seconds)
