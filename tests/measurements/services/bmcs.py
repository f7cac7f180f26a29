"""What the tests of both feeds of BMCs share: a cluster, a clock of their own, a turn at an instant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from measurements.domain.units import ms_from_datetime
from measurements.models import Channel, Cluster, Feed, Node
from measurements.services import bmc_feeds
from measurements.services.feeds import Ended, add, ask
from measurements.store import SampleStore, Selection

LOOPBACK = frozenset({"127.0.0.1"})


@dataclass
class Clock:
    """Our clock, as far ahead of the machine's as is said: what a turn asks lies at the turn's instant."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def at(self, instant: datetime) -> None:
        """Have it say this now."""
        self.ahead_s = instant.timestamp() - time.time()

    def now(self) -> datetime:
        """What it says."""
        return datetime.fromtimestamp(self(), UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(bmc_feeds, "clock", made)
    return made


def feed_of(cluster: Cluster, kind: str, now: datetime, **options: Any) -> Feed:
    """A feed of some BMCs on loopback."""
    with allowed():
        return add(cluster, f"{kind}-feed", kind, options, now)


@contextmanager
def allowed(*hosts: str) -> Iterator[None]:
    with override_settings(FEED_HOSTS=frozenset(hosts) or LOOPBACK):
        yield


def turn(feed: Feed, clock: Clock, *hosts: str) -> Ended:
    """One turn now, whatever was said of when it is due."""
    with allowed(*hosts):
        ended = ask(feed.pk, clock.now(), at_once=True)
    assert ended is not None
    return ended


def held(cluster: Cluster) -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """(node, channel, kind) → (ms, stored value) of everything in the store."""
    nodes = dict(Node.objects.filter(cluster=cluster).values_list("pk", "name"))
    channels = {pk: (name, kind) for pk, name, kind in Channel.objects.values_list("pk", "name", "kind")}
    last = ms_from_datetime(datetime.now(UTC) + timedelta(days=3))
    found = SampleStore().scan(cluster.pk, Selection(np.array(sorted(nodes), np.int32), 0, last))
    rows = zip(found.node.tolist(), found.channel.tolist(), found.t_ms.tolist(), found.value.tolist(), strict=True)
    by_channel: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for node, channel, t_ms, value in rows:
        by_channel.setdefault((nodes[node], *channels[channel]), []).append((t_ms, value))
    return {key: sorted(rows) for key, rows in by_channel.items()}


def values(cluster: Cluster, node: str, channel: str = "node", kind: str = "gauge") -> list[int]:
    """The stored values of one channel, in order of time."""
    return [value for _, value in held(cluster).get((node, channel, kind), [])]
