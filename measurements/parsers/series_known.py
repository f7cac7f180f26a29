"""The distinct series of a stream, each looked up once in the mappings and known by a code from then on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import FloatArray, IntArray, Kind
from measurements.parsers.chunks import LONGEST_CHANNEL, LONGEST_NODE, Codes
from measurements.parsers.csv_lines import is_name
from measurements.parsers.gpu_index import gpu_uuid
from measurements.parsers.mapping_rules import Action, Mappings, Rule
from measurements.parsers.mapping_units import contradicts
from measurements.parsers.records import ChannelFacts, UnusableFile
from measurements.parsers.source import TEXT_LIMIT

TOO_LONG = "name and labels too long"
NO_POWER = "no power drawn, by the name"
_POWERLIKE = re.compile(r".*(watt|joule|(?<![a-z])(power|energy)(?![a-z])).*", re.IGNORECASE)
_NOT_DRAWN = re.compile(
    r".*(limit|(?<![a-z])(cap|capping|capacity|max|min|state|status|threshold|budget|tdp|rated|info|seconds|percent"
    r"|ratio|scrape|count|enabled|samples|errors|supply|created)(?![a-z])).*",
    re.IGNORECASE,
)
_CHANNEL_PART = re.compile(r"[A-Za-z0-9_.:-]{1,48}")
_PLAIN_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LONGEST_WHOLE = 4_000
LONGEST_SERIES = 4_000  # characters of a name with its labels; what is longer is not remembered, and refused
_TEMPLATE_LABEL = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Series:
    """What became of one series."""

    metric: str
    action: Action
    text: str = ""
    reason: str = ""  # why it is refused or left out
    rule: Rule | None = None
    slot: int = -1  # which channel of which node
    node: str = ""
    uuid: str = ""
    part: int = 0  # which of the parts that its rule adds up
    whole: str = ""  # as a line of OpenMetrics begins; empty where no line can say it


@dataclass(frozen=True, slots=True)
class Slot:
    """One channel of one node from one source."""

    node: int
    channel: int
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """The series as columns, by code."""

    action: NDArray[np.int8]
    slot: IntArray
    node: Codes
    channel: Codes
    scale: FloatArray
    part: IntArray
    parts: IntArray  # how many its rule adds up; 0: none


class Known:
    """All series met so far; ``node`` is the node of those whose labels name none."""

    def __init__(self, mappings: Mappings, node: str | None = None, most: int | None = None) -> None:
        self.mappings = mappings
        self.most = most
        self.node = node or ""
        self.series: list[Series] = []
        self.slots: list[Slot] = []
        self.nodes: dict[str, int] = {}
        self.channels: dict[tuple[str, Kind, ChannelFacts], int] = {}
        self.rivals: dict[tuple[int, str], list[int]] = {}  # (node, name of channel) → codes
        self._codes: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._plain: dict[str, int] = {}
        self._slot_of: dict[tuple[int, int], int] = {}
        self._columns: Table | None = None

    def __len__(self) -> int:
        return len(self.series)

    def plain(self, metric: str) -> int | None:
        """The code of a metric that is left out whatever its labels; None if they matter."""
        if len(metric) > LONGEST_SERIES:
            return None
        found = self._plain.get(metric)
        if found is None and (why := self._why_plain(metric)):
            found = self._plain[metric] = self._add(Series(metric, Action.IGNORE, metric[:TEXT_LIMIT], why))
        return found

    def _why_plain(self, metric: str) -> str:
        """Why a metric is left out whatever its labels; empty if they matter."""
        rules = self.mappings.rules(metric)
        if rules:
            return rules[0].reason if rules[0].action == Action.IGNORE and not rules[0].where else ""
        return NO_POWER if metric and not is_powerlike(metric) else ""

    def fixed(self, action: Action, text: str, reason: str) -> int:
        """A code for what is refused or left out whatever the mappings say."""
        key = (text, ((reason, action.name),))
        known = self._codes.get(key)
        if known is None:
            known = self._codes[key] = self._add(Series(text, action, text[:TEXT_LIMIT], reason))
        return known

    def code(self, metric: str, labels: Mapping[str, str]) -> int:
        """The code of a series, by which its samples are given."""
        known = self.plain(metric)
        if known is not None:
            return known
        if len(metric) + sum(map(len, labels)) + sum(map(len, labels.values())) > LONGEST_SERIES:
            return self.fixed(Action.REFUSE, f"{series_text(metric, {})[:80]}…", TOO_LONG)
        key = (metric, tuple(sorted(labels.items())))
        known = self._codes.get(key)
        if known is None:
            known = self._codes[key] = self._add(self._resolved(metric, labels))
        return known

    def table(self) -> Table:
        """The series as columns, made anew when there are new ones."""
        if self._columns is None:
            series = self.series
            slot = np.array([one.slot for one in series], np.int64)
            nodes = np.array([one.node for one in self.slots] + [-1], np.int32)
            channels = np.array([one.channel for one in self.slots] + [-1], np.int32)
            self._columns = Table(
                np.array([one.action.value for one in series], np.int8), slot, nodes[slot], channels[slot],
                np.array([one.rule.scale if one.rule else 0.0 for one in series], np.float64),
                np.array([one.part for one in series], np.int64),
                np.array([len(one.rule.parts[1]) if one.rule and one.rule.parts else 0 for one in series], np.int64),
            )  # fmt: skip
        return self._columns

    def _add(self, series: Series) -> int:
        if self.most is not None and len(self.series) >= self.most:
            raise UnusableFile(f"more than {self.most:,} different series: send fewer at once, and only what is power")
        self.series.append(series)
        self._columns = None
        if series.slot >= 0:
            slot = self.slots[series.slot]
            self.rivals.setdefault((slot.node, slot.name), []).append(len(self.series) - 1)
        return len(self.series) - 1

    def _resolved(self, metric: str, labels: Mapping[str, str]) -> Series:
        text = series_text(metric, labels)
        if not metric:
            return Series(metric, Action.REFUSE, text, "series without a name")
        rules = self.mappings.rules(metric)
        for rule in rules:
            values = rule.fits(metric, labels)
            if values is not None:
                return replace(self._by_rule(rule, metric, values, text), whole=whole_text(metric, labels, text))
        if not is_powerlike(metric) and not any(rule.action == Action.READ for rule in rules):
            return Series(metric, Action.IGNORE, text, NO_POWER)
        reason = "no mapping for these labels" if rules else "no mapping for this metric"
        return Series(metric, Action.REFUSE, text, reason, whole=whole_text(metric, labels, text))

    def _by_rule(self, rule: Rule, metric: str, values: Mapping[str, str], text: str) -> Series:
        if rule.action in (Action.IGNORE, Action.REFUSE):
            return Series(metric, rule.action, text, rule.reason)
        node = rule.hosts.name(values, self.node)
        if not node:
            return Series(metric, Action.REFUSE, text, "no node")
        name = channel_name(rule.channel, values)
        if name is None or not is_name(node) or len(node) > LONGEST_NODE:
            return Series(metric, Action.REFUSE, text, "unusable label")
        part = _part(rule, values)
        if part is None or contradicts(values.get("unit", ""), rule.kind, rule.scale):
            return Series(metric, Action.REFUSE, text, "no mapping for these labels")
        uuid = gpu_uuid(next((values[label] for label in rule.gpu_uuid if values.get(label)), ""))
        slot = self._slot(node, name, rule) if rule.action == Action.READ else -1
        return Series(metric, rule.action, text, rule=rule, slot=slot, node=node, uuid=uuid, part=part)

    def _slot(self, node: str, name: str, rule: Rule) -> int:
        at = (
            self.nodes.setdefault(node, len(self.nodes)),
            self.channels.setdefault((name, rule.kind, rule.facts), len(self.channels)),
        )
        if at not in self._slot_of:
            self._slot_of[at] = len(self.slots)
            self.slots.append(Slot(*at, name))
        return self._slot_of[at]


def series_text(metric: str, labels: Mapping[str, str]) -> str:
    """A series as Prometheus writes it, cut, without what no page can show."""
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    text = (f"{metric}{{{inside}}}" if inside else metric)[:TEXT_LIMIT]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def whole_text(metric: str, labels: Mapping[str, str], text: str = "") -> str:
    """A series so that it can be read again; empty where it is too long or holds what no line can."""
    named = bool(_PLAIN_METRIC.fullmatch(metric))
    inside = [] if named else [_quoted(metric)]
    inside += [f"{_label(name)}={_quoted(value)}" for name, value in sorted(labels.items())]
    found = (metric if named else "") + (f"{{{','.join(inside)}}}" if inside else "")
    if len(found) > LONGEST_WHOLE or not found.isprintable() or "" in labels:
        return ""
    return text if found == text else found


def _label(name: str) -> str:
    return name if _PLAIN_LABEL.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def is_powerlike(metric: str) -> bool:
    """Whether a metric calls itself power or energy, so that leaving it out in silence could lose some."""
    return _is_powerlike(metric[:TEXT_LIMIT])


@lru_cache(maxsize=20_000)
def _is_powerlike(start: str) -> bool:
    return bool(_POWERLIKE.fullmatch(start)) and not _NOT_DRAWN.fullmatch(start)


def channel_name(template: str, values: Mapping[str, str]) -> str | None:
    """A channel's name with labels filled in; None if one is missing or can't be part of a name."""
    name = template
    for label in _TEMPLATE_LABEL.findall(template):
        value = values.get(label, "").strip()
        if not _CHANNEL_PART.fullmatch(value):
            return None
        if f"@{{{label}}}" in template:
            value = gpu_uuid(value)
        elif value.isascii() and value.isdigit():
            value = str(int(value))
        name = name.replace(f"{{{label}}}", value)
    return name if len(name) <= LONGEST_CHANNEL else None


def _part(rule: Rule, values: Mapping[str, str]) -> int | None:
    """Which of the parts that a rule adds up; None if it is none of them."""
    if rule.parts is None:
        return 0
    label, parts = rule.parts
    return parts.index(values.get(label, "")) if values.get(label, "") in parts else None
