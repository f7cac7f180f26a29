"""Which job computes on which GPU: NVML's processes, and the cgroup that Slurm put each of them in."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workers.agent.rhythm import Rhythm
from workers.agent.trouble import Trouble
from workers.agent.wire import HOLDS, Wire

logger = logging.getLogger("joulebook-agent")
# …/slurm/uid_1000/job_123/step_0 (v1), …/slurmstepd.scope/job_123/step_0/user/task_0 (v2), and since Slurm 26.05
# …/slurmstepd.scope/s5K1KKYAYG5D00/step_0: a SLUID, s and 13 digits of base 32.
# Below user.slice anybody may call a cgroup what he likes.
_JOB = re.compile(
    r"/slurm[^/]*/uid_\d+/job_(?P<old>\d+)(?:/|$)"
    r"|(?!/user\.slice/)(?:/[^/]+)*?/[^/]*slurmstepd\.scope/(?:job_)?(?P<new>\d+|s[0-9A-HJKMNP-TV-Z]{13})(?:/|$)"
)
MOST_WAITING = 10_000
AGAIN_S = 3_600.0  # a hold that lasts is told again
Processes = Callable[[], "list[tuple[str, int]]"]


def job_of(cgroup: str) -> str:
    """The job in whose cgroup a process is, from /proc/<pid>/cgroup; empty where none is."""
    for line in cgroup.splitlines():
        match = _JOB.match(line.split(":", 2)[-1])
        if match:
            return match["old"] or match["new"]
    return ""


class Holds:
    """Looks now and then, and tells the server what is new; a job that computes nothing is not seen."""

    def __init__(self, node: str, processes: Processes, procfs: Path, wire: Wire, trouble: Trouble) -> None:
        self.node, self.processes, self.procfs, self.wire, self.trouble = node, processes, procfs, wire, trouble
        self.waiting: list[dict[str, object]] = []
        self._told: dict[tuple[str, str], float] = {}

    def run(self, every_s: float, stop: threading.Event) -> None:
        """Until it is to stop."""
        rhythm = Rhythm(every_s)
        while rhythm.wait(stop):
            self.look()
            self.tell()

    def look(self) -> None:
        """Note the pairs of job and GPU that are new, or that were told long ago."""
        now = time.time()
        seen = {(job, uuid) for uuid, pid in self.processes() if (job := self._job(pid))}
        for pair in sorted(seen):
            if now - self._told.get(pair, 0.0) >= AGAIN_S:
                self._told[pair] = now
                job, uuid = pair
                hold = {"job_id": job, "node": self.node, "gpu": uuid, "seen": round(now, 3), "via": "agent"}
                self.waiting.append(hold)
        self._told = {pair: at for pair, at in self._told.items() if pair in seen or now - at < AGAIN_S}
        if len(self.waiting) > MOST_WAITING:
            self.trouble.begin("gpu holds", "too many wait for the server, the oldest are dropped")
            del self.waiting[: len(self.waiting) - MOST_WAITING]

    def _job(self, pid: int) -> str:
        try:
            return job_of((self.procfs / str(pid) / "cgroup").read_text("utf-8", "replace"))
        except OSError:
            return ""  # it has ended

    def tell(self) -> None:
        """Send what waits; it goes on waiting where the server is away."""
        if not self.waiting:
            return
        answer = self.wire.post(HOLDS, json.dumps({"holds": self.waiting}).encode(), "application/json")
        self.wire.close()
        if answer.stored or answer.never:
            if answer.never:
                logger.error("gpu holds: the server will never take them: %s", answer.words())
            self.waiting.clear()
            self.trouble.end("gpu holds")
        else:
            self.trouble.begin("gpu holds", answer.words())
