"""What the feed of Redfish does: all BMCs are asked, some at once; what they say goes where pushed power goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from measurements.domain.units import Kind
from measurements.feeds.about import FeedError
from measurements.feeds.bmc import AskError, Bmc, login_of
from measurements.feeds.bmc_memory import Known, Memory
from measurements.feeds.bmc_round import Leash
from measurements.feeds.redfish import Client, Tls
from measurements.feeds.redfish_power import LARGEST_SKEW_S, Sample, Told, ask
from measurements.parsers.chunks import STORED_MAX
from measurements.parsers.records import ChannelFacts, PowerChunk, Refusal
from measurements.services import bmc_feeds
from measurements.services.bmc_feeds import Given, ask_bmcs, names
from measurements.services.feed_turns import Turn
from measurements.services.power_feeds import store

OPTIONS: Mapping[str, type] = {**bmc_feeds.OPTIONS, "ca_file": str, "insecure": bool, "auth": str}
LONGEST_S = 10.0
WAYS = ("basic", "session")
IN_CLEAR = "a password over http:// can be read by anybody on the way: use https://, or say insecure=true"


def fault_of(options: Mapping[str, Any]) -> str:
    """What is wrong with a feed's options, or nothing."""
    if options.get("auth", WAYS[0]) not in WAYS:
        return f"auth is one of {', '.join(WAYS)}"
    if str(options.get("bmc", "")).startswith("http:") and options.get("password_file") and not options.get("insecure"):
        return IN_CLEAR
    return bmc_feeds.fault_of(options, host_of)


def host_of(address: str) -> str:
    """The host of ``https://bmc1`` or ``http://bmc1:8000``; empty if it is no such address."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return ""
    plain = parts.scheme in ("http", "https") and parts.path in ("", "/") and not (parts.query or parts.fragment)
    return parts.hostname or "" if plain and parts.username is None and parts.password is None else ""


def ask_redfish(turn: Turn) -> None:
    """One turn: every BMC once."""
    asking = _Asking(turn)
    given, memory, bmcs = ask_bmcs(turn, host_of, asking.one, LONGEST_S)
    for bmc, told in given:
        _remember(memory.of(bmc), told)
    _tell(turn, given, memory, bmcs)
    store(turn, [chunk_of(given)], cursor_ms=turn.now_ms)
    memory.save(bmcs)


class _Asking:
    """What all threads of a turn share."""

    def __init__(self, turn: Turn) -> None:
        self.option, self.insecure = turn.option, bool(turn.option("insecure", default=False))
        try:
            self.context = Tls(turn.option("ca_file"), insecure=self.insecure).context()
        except AskError as fault:
            raise FeedError(str(fault)) from fault

    def one(self, bmc: Bmc, known: Known, leash: Leash) -> Told:
        """One BMC, from login to logout."""
        login = login_of(bmc, self.option("user"), self.option("password_file"))
        if bmc.address.startswith("http:") and login.password and not self.insecure:
            raise AskError(IN_CLEAR)
        sessions = self.option("auth", WAYS[0]) == "session"
        client = Client(bmc.address, login, leash, self.context, sessions=sessions, clock=bmc_feeds.clock)
        try:
            return ask(client, known, bmc.chassis or self.option("chassis"), round(bmc_feeds.clock() * 1_000))
        finally:
            client.close()


def _remember(known: Known, told: Told) -> None:
    if known.found is not told.found:
        known.found, known.found_ms = told.found, round(bmc_feeds.clock() * 1_000)
    known.told = told.own


def _tell(turn: Turn, given: Given[Told], memory: Memory, bmcs: Sequence[Bmc]) -> None:
    """What an operator should know of those that answered."""
    skewed = [bmc for bmc, told in given if told.skew_s is not None and abs(told.skew_s) > LARGEST_SKEW_S]
    if skewed:
        worst = max((told.skew_s or 0.0 for _, told in given), key=abs)
        turn.note(f"clocks of BMCs that are off by more than 5 s, up to {worst:+.0f} s: {names(skewed)}; ours counts")
    shared = [bmc for bmc in bmcs if memory.of(bmc).found.get("shared")]
    if shared:
        turn.note(f"not booked, for nodes may share it: the enclosure's power that the BMCs of {names(shared)} name")
    empty = [bmc for bmc, told in given if told.missing]
    if empty:
        turn.note(f"no value now (null): {names(empty)}")
    turn.count({"repeated": sum(told.repeated for _, told in given)})


def chunk_of(given: Given[Told]) -> PowerChunk:
    """All readings of a turn as columns."""
    refusals = [Refusal("not a number", 0, fault, bmc.node) for bmc, told in given for fault in told.faults]
    taken: list[tuple[str, Sample, int]] = []
    for number, (name, one) in enumerate(_samples(given), start=1):
        stored = one.value * one.kind.stored_per_unit
        if not math.isfinite(stored) or abs(stored) > STORED_MAX:
            refusals.append(Refusal("out of range", number, f"{one.value:g} is no power or energy", one.name))
        else:
            taken.append((name, one, round(stored)))
    nodes: dict[str, int] = {}
    channels: dict[tuple[str, Kind], int] = {}
    node = [nodes.setdefault(name, len(nodes)) for name, _, _ in taken]
    channel = [channels.setdefault((one.channel, one.kind), len(channels)) for _, one, _ in taken]
    return PowerChunk(
        list(nodes), [name for name, _ in channels], [kind for _, kind in channels],
        np.array(node, np.int32), np.array(channel, np.int32),
        np.array([one.t_ms for _, one, _ in taken], np.int64), np.array([value for *_, value in taken], np.int64),
        np.arange(1, len(taken) + 1, dtype=np.int64), refusals,
        facts=[ChannelFacts("redfish")] * len(channels),
    )  # fmt: skip


def _samples(given: Given[Told]) -> Iterator[tuple[str, Sample]]:
    return ((bmc.node, one) for bmc, told in given for one in told.samples)
