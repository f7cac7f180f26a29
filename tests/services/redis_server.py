"""A private Redis on loopback that writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.services.process import as_account, folder, free_port, running


def answers(url: str) -> bool:
    """Whether it takes commands already."""
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def redis_server(program: Path) -> Iterator[str]:
    """The address of a server as REDIS_URL takes it."""
    with folder("redis") as home:
        port = free_port()
        url = f"redis://127.0.0.1:{port}/0"
        command: list[str | Path] = [
            program,
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            home,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        with running(as_account(command, None), home / "log", lambda: answers(url)):
            yield url
