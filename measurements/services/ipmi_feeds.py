"""What the feed of IPMI does: what programs print of all BMCs is one log, and goes through the parser of such logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from measurements.feeds.bmc import AskError, Bmc, login_of
from measurements.feeds.bmc_memory import Known
from measurements.feeds.bmc_round import Leash
from measurements.feeds.ipmi import DCMI, LARGEST_SKEW_S, LEVELS, SDR, Ipmi, Printed, ask, own_time_ms
from measurements.feeds.ipmi import host_of as place_of
from measurements.parsers import ipmi_dcmi, ipmi_sdr
from measurements.parsers.records import ParseOptions, PowerChunk
from measurements.parsers.source import Source
from measurements.parsers.tar_text import node_of_path
from measurements.parsers.times import utc_text
from measurements.services import bmc_feeds
from measurements.services.bmc_feeds import Given, ask_bmcs, names
from measurements.services.feed_turns import Turn
from measurements.services.power_feeds import store

OPTIONS: Mapping[str, type] = {
    **{name: kind for name, kind in bmc_feeds.OPTIONS.items() if name != "chassis"},
    "ask": str,
    "program": str,
    "interface": str,
    "level": str,
    "cipher": str,
}
LONGEST_S = 20.0
FIND_AGAIN_MS = 24 * 3_600_000
READERS = {DCMI: ipmi_dcmi.read, SDR: ipmi_sdr.read}
_CHOICES = {"ask": (DCMI, SDR), "program": ("ipmitool", "ipmi-dcmi"), "interface": ("lanplus", "lan"), "level": LEVELS}


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a BMC gave, and the instant that counts [ms since 1970, UTC]."""

    printed: Printed
    t_ms: int
    skew_s: float | None
    repeated: bool


def fault_of(options: Mapping[str, Any]) -> str:
    """What is wrong with a feed's options, or nothing."""
    for name, choices in _CHOICES.items():
        if options.get(name, choices[0]) not in choices:
            return f"{name} is one of {', '.join(choices)}"
    if options.get("cipher") and not str(options["cipher"]).isdecimal():
        return "cipher is the number of a cipher suite, such as 17"
    return bmc_feeds.fault_of(options, host_of)


def host_of(address: str) -> str:
    """The host of ``bmc1`` or ``bmc1:623``; empty if it is no such address."""
    place = place_of(address)
    return place[0] if place else ""


def ask_ipmi(turn: Turn) -> None:
    """One turn: every BMC once."""
    asking = _Asking(turn)
    given, memory, bmcs = ask_bmcs(turn, host_of, asking.one, LONGEST_S)
    _tell(turn, given)
    for bmc, one in given:
        _remember(memory.of(bmc), one)
    store(turn, _chunks(turn, given), cursor_ms=turn.now_ms)
    memory.save(bmcs)


class _Asking:
    """What all threads of a turn share."""

    def __init__(self, turn: Turn) -> None:
        self.option, self.spool = turn.option, turn.spool
        self.ipmi = Ipmi(
            turn.option("program", "ipmitool"), turn.option("interface", "lanplus"), turn.option("level", "user"),
            turn.option("cipher"), bmc_feeds.clock,
        )  # fmt: skip

    def one(self, bmc: Bmc, known: Known, leash: Leash) -> _Reading:
        """One BMC, by the way that it answered the last time."""
        if node_of_path(bmc.node) != bmc.node:
            raise AskError("a log can't name this node, for it is called like a file")
        fresh = round(bmc_feeds.clock() * 1_000) - known.found_ms > FIND_AGAIN_MS
        how = self.option("ask") or ("" if fresh else known.found.get("how", ""))
        login = login_of(bmc, self.option("user"), self.option("password_file"))
        return _judged(ask(bmc.address, login, self.ipmi, how, self.spool, leash), known)


def _judged(printed: Printed, known: Known) -> _Reading:
    """The BMC's own time where its clock agrees; else ours, and what it says again unchanged is no new reading."""
    own_ms = own_time_ms(printed.text) if printed.how == DCMI else None
    skew_s = None if own_ms is None else (own_ms - printed.asked_ms) / 1_000
    if own_ms is None or skew_s is None:
        return _Reading(printed, printed.asked_ms, None, repeated=False)
    if abs(skew_s) <= LARGEST_SKEW_S:
        return _Reading(printed, own_ms, None, repeated=False)
    return _Reading(printed, printed.asked_ms, skew_s, known.told.get(DCMI) == [own_ms, printed.text])


def _remember(known: Known, one: _Reading) -> None:
    if known.found.get("how") != one.printed.how or one.t_ms - known.found_ms > FIND_AGAIN_MS:
        known.found, known.found_ms = {"how": one.printed.how}, one.t_ms
    own_ms = own_time_ms(one.printed.text)
    known.told = {} if one.skew_s is None else {DCMI: [own_ms, one.printed.text]}


def _tell(turn: Turn, given: Given[_Reading]) -> None:
    """What an operator should know of those that answered."""
    skewed = [(bmc, one.skew_s) for bmc, one in given if one.skew_s is not None]
    if skewed:
        worst = max((skew_s for _, skew_s in skewed), key=abs)
        nodes = names([bmc for bmc, _ in skewed])
        turn.note(f"clocks of BMCs that are off by more than 5 s, up to {worst:+.0f} s: {nodes}; ours counts")
    turn.count({"repeated": sum(one.repeated for _, one in given), "by_sensors": sum(_is_sdr(one) for _, one in given)})


def _is_sdr(one: _Reading) -> bool:
    return one.printed.how == SDR


def _chunks(turn: Turn, given: Given[_Reading]) -> Iterator[PowerChunk]:
    for how, read in READERS.items():
        fresh = [(bmc, one) for bmc, one in given if one.printed.how == how and not one.repeated]
        if fresh:
            log = _log(turn.spool / f"{how}.log", fresh)
            yield from read(Source(log, f"feed {turn.feed.name}"), ParseOptions(time_zone=UTC), turn.now_ms)


def _log(path: Path, given: Sequence[tuple[Bmc, _Reading]]) -> Path:
    """All outputs one below the other, each behind its node and the instant that counts."""
    with path.open("w", encoding="utf-8") as output:
        for bmc, one in given:
            output.write(f"==> {bmc.node} <==\nTimestamp: {utc_text(one.t_ms)}\n{one.printed.text.rstrip()}\n")
    return path
