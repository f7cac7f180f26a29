"""A node to play with: a driver, a tree, a server, and the agent as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.binaries import COMPILER
from tests.services.fixtures import programs
from tests.workers.agent.driver import Board, Driver, compile_library, install
from tests.workers.agent.receiver import Receiver, receiver

ROOT = Path(__file__).resolve().parents[3]
Ask = Callable[[str], object]


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The libraries of two versions of the driver."""
    compiler = programs(COMPILER)[0]
    folder = tmp_path_factory.mktemp("nvml")
    return {version: compile_library(compiler, folder, version) for version in (1, 2)}


@pytest.fixture
def driver(libraries: dict[int, Path], tmp_path: Path) -> Driver:
    """A driver with two GPUs whose counters stand still."""
    folder = tmp_path / "driver"
    folder.mkdir()
    install(libraries[1], folder)
    made = Driver(folder, [Board("GPU-a", 1_000_123), Board("GPU-b", 2_000_456)])
    made.write()
    return made


@pytest.fixture
def nvml(driver: Driver) -> Iterator[Ask]:
    """``nvml("read")``: the source in a process that sees the driver."""
    command = [sys.executable, "-m", "tests.workers.agent.reader"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=driver.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    entrance, exit_ = process.stdin, process.stdout

    def ask(word: str) -> object:
        entrance.write(word + "\n")
        entrance.flush()
        return json.loads(exit_.readline())

    with process:
        yield ask
        entrance.close()


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A server that takes everything until it is told otherwise."""
    with receiver() as here:
        yield here
