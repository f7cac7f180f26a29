"""What mapping files say, as rules: which series is which channel of which node, in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from measurements.domain.units import Kind
from measurements.parsers.records import ChannelFacts, UnusableFile

REMEMBERED_METRICS = 20_000
_IPV4 = re.compile(r"[0-9.]+")
_PORT = re.compile(r":\d+$")


class MappingFault(UnusableFile):
    """A mapping file that can't be used."""


class Action(Enum):
    """What becomes of a series."""

    READ = 0
    IGNORE = 1  # known, and no power drawn: left out, counted
    REFUSE = 2  # known, and not usable: goes to quarantine with the reason
    INDEX = 3  # its value is the index of the GPU that its labels name


@dataclass(frozen=True, slots=True)
class Hosts:
    """How a node's name is had from labels."""

    labels: tuple[str, ...]
    strip_port: bool = True
    strip_domain: bool = False
    strip_suffixes: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, labels: Mapping[str, str], default: str) -> str:
        """The node that the first label of a value names; ``default`` if none has one."""
        for label in self.labels:
            if value := labels.get(label, "").strip():
                return self._cleaned(value)
        return default

    def _cleaned(self, value: str) -> str:
        host = _PORT.sub("", value) if self.strip_port and not value.endswith("]") else value
        host = host.removeprefix("[").removesuffix("]")
        if named := self.names.get(value) or self.names.get(host):
            return named
        if _IPV4.fullmatch(host) or ":" in host:
            return host
        short, _, _ = host.partition(".")
        for suffix in self.strip_suffixes:
            if short.endswith(suffix) and short != suffix:  # the domain is that of the BMC, not of the node
                return short.removesuffix(suffix)
        return short if self.strip_domain else host


NO_HOSTS, NO_FACTS = Hosts(()), ChannelFacts()


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the series of a metric whose labels fit."""

    origin: str  # file and entry, for messages
    metric: re.Pattern[str]
    where: tuple[tuple[str, re.Pattern[str]], ...]
    action: Action
    reason: str = ""
    hosts: Hosts = NO_HOSTS
    channel: str = ""
    kind: Kind = Kind.GAUGE
    scale: float = 1.0  # mW or µJ in one unit of its values
    facts: ChannelFacts = NO_FACTS
    gpu_uuid: tuple[str, ...] = ()
    instead_of: frozenset[str] = frozenset()
    repeats: bool = False
    parts: tuple[str, tuple[str, ...]] | None = None  # label and the values that are added up

    def fits(self, metric: str, labels: Mapping[str, str]) -> dict[str, str] | None:
        """The labels, and what named groups caught, if the rule is for them; else None."""
        match = self.metric.fullmatch(metric)
        if match is None:
            return None
        caught = match.groupdict("")
        for label, pattern in self.where:
            found = pattern.fullmatch(labels.get(label, ""))
            if found is None:
                return None
            caught |= found.groupdict("")
        return {**labels, **caught}


class Mappings:
    """All rules, a site's own ones first; of those that fit a series the first counts."""

    def __init__(self, rules: list[Rule], fingerprint: str = "") -> None:
        self.fingerprint = fingerprint  # changes with whatever the files say
        self._rules = rules
        self._of_metric: dict[str, tuple[Rule, ...]] = {}

    def rules(self, metric: str) -> tuple[Rule, ...]:
        """The rules for a metric, in the order in which they are asked."""
        found = self._of_metric.get(metric)
        if found is None:
            if len(self._of_metric) >= REMEMBERED_METRICS:
                self._of_metric.clear()
            found = tuple(rule for rule in self._rules if rule.metric.fullmatch(metric))
            self._of_metric[metric] = found
        return found
