"""What the node agent takes from a node: eight GPUs and two sockets at 1 Hz, sent every ten seconds."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.bench.harness import Row
from tests.bench.world import World
from tests.services.binaries import COMPILER, find
from tests.workers.agent.driver import Board, Driver, compile_library, install
from tests.workers.agent.program import Node, node
from tests.workers.agent.receiver import Receiver, receiver
from workers.agent.build import build

CPU_PERCENT, MEMORY_MB = 0.1, 40.0
GPUS = 8
SECONDS = {"full": 120.0, "quick": 30.0, "tiny": 1.0}
HZ = {"interval_s": "1", "send_every_s": "10"}


def rows(world: World) -> list[Row]:
    """CPU by the scheduler's own count, memory at its peak; the driver is a fake, so its own work is not in it."""
    compiler = find(COMPILER)
    if not compiler:
        return [Row("node agent: not measured, there is no C compiler to make the fake driver with", 0.0, "")]
    with tempfile.TemporaryDirectory() as name, receiver() as server:
        folder = Path(name)
        command = (sys.executable, str(build(folder / "joulebook-agent.pyz")))
        here = node(folder, _driver(compiler[0], folder / "driver"), server.address, **HZ)
        return _measure(here, server, command, SECONDS[world.scale.name])


def _driver(compiler: Path, folder: Path) -> Driver:
    install(compile_library(compiler, folder), folder)
    now_ms = time.time_ns() // 1_000_000
    driver = Driver(folder, [Board(f"GPU-{i}", 10**9, since_ms=now_ms) for i in range(GPUS)], notes=False)
    driver.write()
    return driver


def _measure(here: Node, server: Receiver, command: tuple[str, ...], seconds: float) -> list[Row]:
    with here.running(command) as process:
        server.wait_for(2)  # the start is over, facts and the first CSV are sent
        start_s, began, sent = _cpu_s(process.pid), time.monotonic(), len(server.power())
        time.sleep(seconds)
        used_s, took_s = _cpu_s(process.pid) - start_s, time.monotonic() - began
        peak_mb = _peak_kib(process.pid) / 1_024
        readings = (len(server.power()) - sent) / took_s
    return [
        Row("node agent at 1 Hz, 8 GPUs and 2 sockets: CPU", 100 * used_s / took_s, "% of a core", CPU_PERCENT),
        Row("node agent: peak memory", peak_mb, "MB", MEMORY_MB),
        Row("node agent: readings sent", readings, "/s"),
        Row("node agent: CPU of its start and first two requests", start_s, "s"),
    ]


def _cpu_s(pid: int) -> float:
    """User and system time of all threads [s], as the scheduler counts it: to the nanosecond, not in ticks."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(text.split()[0]) for text in texts) / 1e9


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
