"""What the feeds of BMCs share: which BMCs a turn asks, and what an operator is told of those that give nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings

from measurements.domain.hostlist import HostlistError, compress, expand
from measurements.feeds.about import FeedError, fault_of_host
from measurements.feeds.bmc import Bmc, by_file, by_template, fault_of_template
from measurements.feeds.bmc_memory import LONGEST_WAIT_S, Known, Memory
from measurements.feeds.bmc_round import AT_ONCE, TURN_S, Leash, Limits, ask_all
from measurements.models import Feed, Node
from measurements.services.feed_turns import Turn

T = TypeVar("T")
OPTIONS: Mapping[str, type] = {
    "bmc": str,
    "bmc_file": str,
    "nodes": str,
    "user": str,
    "password_file": str,
    "chassis": str,
    "at_once": int,
    "timeout_s": int,
    "turn_s": int,
}
MOST_AT_ONCE, LONGEST_TURN_S = 256, 600
SHOWN = 300  # characters of a folded list of nodes
Given = list[tuple[Bmc, T]]
clock: Callable[[], float] = time.time  # when a power was read, and when a BMC may be asked again


def fault_of(options: Mapping[str, Any], host_of: Callable[[str], str]) -> str:
    """What is wrong with what both kinds are told, or nothing."""
    template = str(options.get("bmc", ""))
    if bool(template) == bool(options.get("bmc_file")):
        return "say which BMCs: either bmc (an address with {node}) or bmc_file (a file of node,address)"
    fault = fault_of_template(template) if template else ""
    if fault or int(options.get("at_once", 1)) > MOST_AT_ONCE or int(options.get("turn_s", 1)) > LONGEST_TURN_S:
        return fault or f"at_once is at most {MOST_AT_ONCE}, turn_s at most {LONGEST_TURN_S}"
    try:
        nodes = expand(str(options.get("nodes", "")))
    except HostlistError as wrong:
        return f"nodes: {wrong}"
    bmcs = by_template(template, nodes[:1] or ["node"]) if template else []
    return next((said for bmc in bmcs if (said := fault_of_bmc(bmc, host_of)) and (nodes or "no address" in said)), "")


def fault_of_bmc(bmc: Bmc, host_of: Callable[[str], str]) -> str:
    """Why this BMC may not be asked, or nothing."""
    host = host_of(bmc.address)
    return fault_of_host(host, settings.FEED_HOSTS) if host else f"{bmc.address!r} is no address of a BMC"


def ask_bmcs(
    turn: Turn, host_of: Callable[[str], str], ask: Callable[[Bmc, Known, Leash], T], longest_s: float
) -> tuple[Given[T], Memory, list[Bmc]]:
    """Ask all that may be asked now; who gave something, and what is known of all. Raises where nobody did."""
    bmcs = _allowed(turn, _targets(turn), host_of)
    memory = memory_of(turn.feed)
    limits = Limits(
        int(turn.option("at_once", AT_ONCE)),
        float(turn.option("timeout_s", longest_s)),
        float(turn.option("turn_s", TURN_S)),
    )
    due = memory.in_order(bmcs, _now_ms())
    given: Given[T] = []
    unreached = []
    for one in ask_all(due, lambda bmc, leash: ask(bmc, memory.of(bmc), leash), limits):
        if one.value is not None:
            memory.answered(one.bmc, _now_ms())
            given.append((one.bmc, one.value))
        elif one.asked:
            memory.failed(one.bmc, one.fault, one.wait_s, turn.feed.every_s, _now_ms())
        else:
            unreached.append(one.bmc)
    faults = _faults(bmcs, memory, unreached)
    turn.report |= {"bmcs": len(bmcs), "answered": len(given), "failed": len(bmcs) - len(given)}
    for sentence in faults:
        turn.note(sentence)
    if not given:
        memory.save(bmcs)
        raise FeedError(
            f"none of {len(bmcs)} BMCs gave anything: {'; '.join(faults)}"[:1_000], at_most_s=LONGEST_WAIT_S
        )
    return given, memory, bmcs


def memory_of(feed: Feed) -> Memory:
    """What a feed remembers of its BMCs; of another kind of feed nothing."""
    return Memory(Path(settings.JOULEBOOK_VAR) / "feeds" / f"{feed.pk}.json")


def names(bmcs: Sequence[Bmc]) -> str:
    """Their nodes as a host list, cut where it is long."""
    listed = [bmc.node for bmc in bmcs]
    try:
        text = compress(listed)
    except HostlistError:  # a name that no host list can hold
        text = ", ".join(listed)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _targets(turn: Turn) -> list[Bmc]:
    if turn.option("bmc_file"):
        bmcs = by_file(Path(turn.option("bmc_file")))
        wanted = set(expand(turn.option("nodes")))
        return [bmc for bmc in bmcs if not wanted or bmc.node in wanted]
    nodes = expand(turn.option("nodes")) or list(
        Node.objects.filter(cluster=turn.feed.cluster, level=Node.Level.NODE).values_list("name", flat=True)
    )
    return by_template(turn.option("bmc"), nodes)


def _allowed(turn: Turn, bmcs: list[Bmc], host_of: Callable[[str], str]) -> list[Bmc]:
    """Without those whose host is not on the list; a BMC is asked once, whatever says it twice."""
    bmcs = list({bmc.key: bmc for bmc in bmcs}.values())
    refused = [bmc for bmc in bmcs if fault_of_bmc(bmc, host_of)]
    if refused:
        turn.report["not_allowed"] = len(refused)
        turn.note(f"not asked, for their hosts are not in JOULEBOOK_FEED_HOSTS: the BMCs of {names(refused)}")
    barred = {bmc.key for bmc in refused}
    kept = [bmc for bmc in bmcs if bmc.key not in barred]
    if not kept:
        why = fault_of_bmc(refused[0], host_of) if refused else "the cluster has no nodes yet: load them, or say nodes"
        raise FeedError(f"no BMC to ask: {why}")
    return kept


def _faults(bmcs: Sequence[Bmc], memory: Memory, unreached: Sequence[Bmc]) -> list[str]:
    """A sentence for each reason, the most frequent first."""
    groups: dict[str, list[Bmc]] = {}
    for bmc in bmcs:
        if memory.of(bmc).fault:
            groups.setdefault(memory.of(bmc).fault, []).append(bmc)
    if unreached:
        groups["not reached in this turn's time: raise at_once, turn_s, or --every"] = list(unreached)
    in_order = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [f"{len(group)} of {len(bmcs)} BMCs, {names(group)}: {fault}" for fault, group in in_order]


def _now_ms() -> int:
    return round(clock() * 1_000)
