"""The agent: a thread for each source, one that sends, and a beat that cuts batches."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable

from workers.agent import VERSION
from workers.agent.cray import Cray
from workers.agent.holds import Holds
from workers.agent.hwmon import Hwmon
from workers.agent.ipmi import Ipmi
from workers.agent.nvml import Nvml
from workers.agent.rapl import Rapl
from workers.agent.rhythm import Rhythm
from workers.agent.sampler import Sampler, Table
from workers.agent.sender import Sender
from workers.agent.settings import Settings
from workers.agent.sources import Source
from workers.agent.spool import Spool
from workers.agent.trouble import Trouble
from workers.agent.wire import Wire

logger = logging.getLogger("joulebook-agent")
TELL_EVERY_S = 3_600.0
PATIENCE_S = 5.0  # for threads that are to end


def sources(settings: Settings, trouble: Trouble) -> list[Source]:
    """Those that are wanted, in the order in which a channel is given to one of them."""
    makers: dict[str, Callable[[], Source]] = {
        "nvml": lambda: Nvml(trouble),
        "rapl": lambda: Rapl(trouble, settings.sysfs, settings.rapl_zones),
        "cray": lambda: Cray(trouble, settings.sysfs),
        "hwmon": lambda: Hwmon(trouble, settings.sysfs, settings.hwmon),
        "ipmi": lambda: Ipmi(trouble, settings.devices, settings.timeout_s),
    }
    return [make() for name, make in makers.items() if name in settings.sources]


def interval_s(source: Source, settings: Settings) -> float:
    """How often a source is read: a BMC more slowly than a counter."""
    return max(settings.interval_s, settings.ipmi_every_s) if isinstance(source, Ipmi) else settings.interval_s


class Agent:
    """All of it, from the first look to the last batch."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.trouble = settings, Trouble()
        self.spool = Spool(settings.state, int(settings.buffer_mib * (1 << 20)), self.trouble)
        self.table = Table(settings.node, self.spool)
        self.sources = sources(settings, self.trouble)
        self.samplers = [Sampler(one, interval_s(one, settings), self.table) for one in self.sources]
        self.sender = Sender(settings.node, self.spool, Wire(settings), self.trouble)
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Until ``stop`` is set."""
        logger.info("joulebook-agent %s: node %s to %s", VERSION, self.settings.node, self.settings.server)
        for sampler in self.samplers:
            sampler.look()
        for sampler in self.samplers:
            self._start(sampler.source.name, sampler.run, self.stop)
        self._start("send", self.sender.run, self.stop)
        self._watch_holds()
        self._beat()
        self._finish()

    def _watch_holds(self) -> None:
        nvml = next((one for one in self.sources if isinstance(one, Nvml)), None)
        if nvml and self.settings.gpu_holds:
            wire = Wire(self.settings)
            holds = Holds(self.settings.node, nvml.processes, self.settings.procfs, wire, self.trouble)
            self._start("holds", holds.run, self.settings.gpu_holds_every_s, self.stop)

    def _start(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _beat(self) -> None:
        """Cut a batch at each beat, at a moment of this node's own, so that not all nodes send at once."""
        every_s = self.settings.send_every_s
        rhythm = Rhythm(every_s, zlib.crc32(self.settings.node.encode()) % 1_000 / 1_000 * every_s)
        tell_at = time.monotonic() + TELL_EVERY_S
        self.sender.wake.set()  # what the last run left
        while rhythm.wait(self.stop):
            self.spool.rotate()
            self.sender.wake.set()
            if time.monotonic() >= tell_at:
                tell_at += TELL_EVERY_S
                self.tell()

    def tell(self) -> None:
        """How it goes, in a line of the log."""
        failed = ", ".join(f"{key} {count}" for key, count in sorted(self.trouble.counts.items())) or "nothing"
        skipped = sum(sampler.rhythm.skipped for sampler in self.samplers)
        logger.info(
            "%d readings taken, %d sent, %d refused, %d held back, %d beats skipped, %d KiB wait; failed so far: %s",
            self.table.taken, self.sender.sent, self.sender.refused, self.table.held_back, skipped,
            self.spool.size() >> 10, failed,
        )  # fmt: skip

    def _finish(self) -> None:
        """Readers first, then what they left: sent if the server is there, else it waits on the disk."""
        self.sender.wake.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self.spool.rotate()
        if not any(thread.name == "send" and thread.is_alive() for thread in self._threads):
            self.sender.last()
        self.tell()
        self.spool.close()
