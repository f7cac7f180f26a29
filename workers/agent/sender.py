"""Sends what waits in the buffer, oldest first; patient with a server that is away, and never in step with others."""

from __future__ import annotations

import logging
import random
import threading
import time

from workers.agent import batch
from workers.agent.losses import Loss
from workers.agent.spool import Spool
from workers.agent.trouble import Trouble
from workers.agent.wire import POWER, Answer, Wire

logger = logging.getLogger("joulebook-agent")
MOST_BYTES = 1 << 20  # of a request, unpacked
FACTS_EVERY_S = 3_600.0
LONGEST_WAIT_S, SLOW_WAIT_S = 300.0, 300.0
CSV, JSON = "text/csv", "application/json"


class Sender:
    """A thread: wakes when a batch is finished, or when it is time to try again."""

    def __init__(self, node: str, spool: Spool, wire: Wire, trouble: Trouble) -> None:
        self.node, self.spool, self.wire, self.trouble = node, spool, wire, trouble
        self.wake = threading.Event()
        self.sent = self.refused = 0  # readings
        self._failures, self._not_before = 0, 0.0
        self._most_bytes = MOST_BYTES
        self._facts, self._facts_at = "", 0.0
        self._reasons: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        """Until it is to stop."""
        while not stop.is_set():
            left_s = self._not_before - time.monotonic() if self._failures else 0.0
            if left_s > 0:
                self.wake.wait(left_s)
                self.spool.not_sent()  # what was finished meanwhile waits as well
            else:
                self.drain(stop)
                if not self._failures:
                    self.wake.wait()
            self.wake.clear()

    def drain(self, stop: threading.Event) -> None:
        """Send all that waits, or until the server wants a pause."""
        try:
            while not stop.is_set() and self.one():
                pass
        finally:
            self.wire.close()

    def one(self) -> bool:
        """One request; whether to go on at once."""
        found = self.spool.oldest(self._most_bytes)
        if not found:
            return False
        facts, lost = found[0][1].facts, self.spool.lost()
        if lost or facts != self._facts or time.monotonic() - self._facts_at > FACTS_EVERY_S:
            found, as_json = found[:1], True  # JSON says each name anew: one batch is enough of it
        else:
            as_json = False
        batches = [one for _, one in found]
        body = batch.as_json(self.node, batches, lost) if as_json else batch.as_csv(batches)
        answer = self.wire.post(POWER, body, JSON if as_json else CSV)
        if answer.stored:
            self._stored(found, answer, facts if as_json else "", lost if as_json else [])
            return True
        return self._refused(found, answer, len(body))

    def _stored(self, found: list[tuple[int, batch.Batch]], answer: Answer, facts: str, lost: list[Loss]) -> None:
        self.spool.sent([number for number, _ in found])
        self._failures, self._most_bytes = 0, min(MOST_BYTES, 2 * self._most_bytes)
        self.sent += sum(one.readings for _, one in found)
        self.trouble.end("server")
        if facts:
            self._facts, self._facts_at = facts, time.monotonic()
        if lost:
            self.spool.told_lost(lost)
        refused = answer.said().get("refused")
        for one in refused if isinstance(refused, list) else ():
            self._tell_refusal(one)

    def _tell_refusal(self, one: object) -> None:
        """Each reason is said once: it comes again with every batch until somebody cures it."""
        if not isinstance(one, dict):
            return
        self.refused += int(one.get("count", 0))
        reason = str(one.get("reason", ""))
        if reason not in self._reasons:
            self._reasons.add(reason)
            logger.warning("the server refuses readings: %s; %s", reason, one.get("detail", ""))

    def _refused(self, found: list[tuple[int, batch.Batch]], answer: Answer, size: int) -> bool:
        """What to do with an answer that stored nothing; whether to go on at once."""
        if answer.never and len(found) > 1:
            self._most_bytes = size // 2 if answer.status == 413 else 1  # one by one, to find the one it is about
            self.spool.not_sent()
            return True
        if answer.never:
            logger.error("set aside, the server will never take it: %s", answer.words())
            self.trouble.counts["set aside"] = self.trouble.counts.get("set aside", 0) + 1
            self.spool.set_aside(found[0][0], answer.words())
            return True
        self.trouble.begin("server", f"{answer.words()}; readings wait on the disk")
        self.spool.not_sent()
        self._failures += 1
        self._not_before = time.monotonic() + self._wait_s(answer)
        return False

    def _wait_s(self, answer: Answer) -> float:
        """As long as the server says; else longer and longer, and by chance, so that nodes do not come all at once."""
        if answer.wait_s is not None:
            return answer.wait_s + random.uniform(0.0, 2.0)  # noqa: S311 - spreads load, keeps no secret
        longest = SLOW_WAIT_S if answer.slowly else min(2.0**self._failures, LONGEST_WAIT_S)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311

    def last(self) -> None:
        """Before the end: send what is left, unless the server is known to be away."""
        if not self._failures:
            self.drain(threading.Event())
