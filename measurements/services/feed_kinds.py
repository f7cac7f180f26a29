"""The kinds of feeds: how often each is asked, which options it takes, and what a turn does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from measurements.feeds.about import fault_of_address
from measurements.models import Feed
from measurements.services import ipmi_feeds, prometheus_feeds, redfish_feeds
from measurements.services.feed_turns import Turn
from measurements.services.slurm_feeds import ask_gpus, ask_jobs, ask_members, ask_nodes

_SLURM = {"conf": str, "clusters": str, "timeout_s": int}
_REST = {"address": str, "token_file": str, "user": str, "version": str}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind; a new one is an entry in `KINDS`."""

    every_s: int
    late_after_s: int
    options: Mapping[str, type]
    run: Callable[[Turn], None]
    check: Callable[[Mapping[str, Any]], str] = lambda options: ""  # what is wrong with options beside their types
    makes_cluster: bool = False  # it brings what readings need first: nodes, jobs, members

    def fault_of(self, options: Mapping[str, Any]) -> str:
        """What is wrong with some options, or nothing."""
        for name, value in options.items():
            kind = self.options.get(name)
            if kind is None:
                return f"no option {name!r} for this kind; known: {', '.join(sorted(self.options))}"
            if not _fits(value, kind):
                return f"the option {name!r} can't be {value!r}"
            if name.endswith("_file") and not Path(str(value)).is_absolute():
                return f"{name}: give the whole path of a file that this site can read"
        fault = fault_of_address(options["address"], settings.FEED_HOSTS) if "address" in options else ""
        return fault or self.check(options)


def _fits(value: Any, kind: type) -> bool:
    """A text, true or false, or a whole number above 0."""
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, kind)


KINDS: dict[str, Kind] = {
    Feed.Kind.SLURM_JOBS: Kind(
        120, 1_800, {**_SLURM, **_REST, "overlap_s": int, "piece_h": int, "steps": bool}, ask_jobs, makes_cluster=True
    ),
    Feed.Kind.SLURM_NODES: Kind(
        300, 3_600, {**_SLURM, "off_states": str, "describe": bool}, ask_nodes, makes_cluster=True
    ),
    Feed.Kind.SLURM_MEMBERS: Kind(3_600, 86_400, dict(_SLURM), ask_members, makes_cluster=True),
    Feed.Kind.SLURM_GPUS: Kind(60, 600, dict(_SLURM), ask_gpus),
    Feed.Kind.PROMETHEUS: Kind(
        60, 600, prometheus_feeds.OPTIONS, prometheus_feeds.ask, prometheus_feeds.fault_of_options
    ),
    Feed.Kind.REDFISH: Kind(60, 600, redfish_feeds.OPTIONS, redfish_feeds.ask_redfish, redfish_feeds.fault_of),
    Feed.Kind.IPMI: Kind(60, 600, ipmi_feeds.OPTIONS, ipmi_feeds.ask_ipmi, ipmi_feeds.fault_of),
}
