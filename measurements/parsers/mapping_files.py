"""The content of a mapping file, checked and made rules; what a key means is in docs/how-to/add-an-exporter.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from measurements.domain.units import Kind
from measurements.parsers.mapping_rules import Action, Hosts, MappingFault, Rule
from measurements.parsers.mapping_units import ENERGY, POWER
from measurements.parsers.records import ChannelFacts

_TABLES = ("about", "node", "series", "ignore", "refuse", "gpu_index")
NODE_KEYS = ("labels", "strip_port", "strip_domain", "strip_suffixes", "names")
_MATCH_KEYS = ("metric", "metric_like", "where")
SERIES_KEYS = (
    *_MATCH_KEYS,
    *("channel", "unit", "kind", "source", "covers_gpus", "dc", "wrap", "interval_s"),
    *("gpu_uuid", "instead_of", "repeats", "add", "node"),
)
_CHANNEL = re.compile(r"(?=[a-z{])[a-z0-9_]*(@?\{[^{}]+\}[a-z0-9_]*)*")
_LONGEST_REASON = 128
_LONGEST_PATTERN = 500
_WORDS = {str: "text", bool: "true or false", float: "a number", list: "a list of texts", dict: "a table of texts"}


class _Entry:
    """One table of a file: gives its values by key, or says what is wrong with one."""

    def __init__(self, table: object, where: str, keys: tuple[str, ...]) -> None:
        self.where = where
        if not isinstance(table, dict):
            raise MappingFault(f"{where}: no table; write its keys below it, one a line")
        self.table: dict[str, Any] = table
        name = table.get("metric") or table.get("metric_like")
        if isinstance(name, str):
            self.where = f"{where} ({name})"
        for key in table:
            if key not in keys:
                raise self.fault(key, "unknown key", f"known are {', '.join(keys)}")

    def fault(self, key: str, reason: str, cure: str) -> MappingFault:
        """What is wrong with a key, and what to do."""
        return MappingFault(f"{self.where}: {key}: {reason}; {cure}")

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of a key, of its kind."""
        value = self.table.get(key, default)
        if value is None or value is default:
            return default
        fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or value is not True)
        if fits and kind in (list, dict):
            inside = value.values() if isinstance(value, dict) else value
            fits = all(isinstance(one, str) for one in inside)
        if not fits:
            raise self.fault(key, f"{value!r} is not {_WORDS[kind]}", f"write {_WORDS[kind]}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        value = self.table.get(key)
        return (value,) if isinstance(value, str) else tuple(self.get(key, list, []))

    def needed(self, key: str) -> str:
        """A text that must be there."""
        value: str = self.get(key, str, "")
        if not value:
            raise self.fault(key, "missing", "every entry of this kind needs it")
        return value

    def pattern(self, key: str, text: str) -> re.Pattern[str]:
        """A regular expression that must fit as a whole."""
        if len(text) > _LONGEST_PATTERN:
            raise self.fault(key, f"longer than {_LONGEST_PATTERN} characters", "split it into several entries")
        try:
            return re.compile(text)
        except re.error as error:
            raise self.fault(
                key, f"{text!r} is no regular expression ({error})", "escape what is meant as it is"
            ) from None


def rules_of(content: Mapping[str, Any], name: str) -> list[Rule]:
    """The rules of one file, in its order: series, then indices of GPUs, refusals, and what is ignored."""
    top = _Entry(content, name, _TABLES)
    top.get("about", str)
    hosts = _hosts(_Entry(content.get("node", {}), f"{name}: [node]", NODE_KEYS))
    rules = [_series(entry, hosts) for entry in _entries(content, name, "series", SERIES_KEYS)]
    rules += [_index(entry, hosts) for entry in _entries(content, name, "gpu_index", (*_MATCH_KEYS, "gpu_uuid"))]
    rules += [_told(entry, Action.REFUSE) for entry in _entries(content, name, "refuse", (*_MATCH_KEYS, "reason"))]
    rules += [_told(entry, Action.IGNORE) for entry in _entries(content, name, "ignore", (*_MATCH_KEYS, "reason"))]
    if not rules:
        raise MappingFault(f"{name}: no entry; a mapping has at least one [[series]]")
    return rules


def _entries(content: Mapping[str, Any], name: str, table: str, keys: tuple[str, ...]) -> list[_Entry]:
    listed = content.get(table, [])
    if not isinstance(listed, list):
        raise MappingFault(f"{name}: {table}: one table; write [[{table}]] with two brackets, for there may be several")
    return [_Entry(one, f"{name}: [[{table}]] {i}", keys) for i, one in enumerate(listed, start=1)]


def _hosts(entry: _Entry) -> Hosts:
    return Hosts(
        entry.texts("labels") or ("instance",),
        entry.get("strip_port", bool, True),
        entry.get("strip_domain", bool, False),
        entry.texts("strip_suffixes"),
        entry.get("names", dict, {}),
    )


def _match(entry: _Entry) -> tuple[re.Pattern[str], tuple[tuple[str, re.Pattern[str]], ...]]:
    """Which metric and labels an entry is for."""
    exact, like = entry.get("metric", str, ""), entry.get("metric_like", str, "")
    if bool(exact) == bool(like):
        raise entry.fault("metric", "missing, or beside metric_like", "name the metric, or a pattern, not both")
    metric = entry.pattern("metric_like", like or re.escape(exact))
    where = entry.get("where", dict, {})
    return metric, tuple((label, entry.pattern(f"where.{label}", text)) for label, text in where.items())


def _series(entry: _Entry, hosts: Hosts) -> Rule:
    metric, where = _match(entry)
    kind, scale = _unit(entry)
    own = entry.texts("node")
    if own:
        hosts = Hosts(own, hosts.strip_port, hosts.strip_domain, hosts.strip_suffixes, hosts.names)
    return Rule(
        entry.where, metric, where, Action.READ, "", hosts, _channel(entry), kind, scale, _facts(entry, kind, scale),
        entry.texts("gpu_uuid"), frozenset(entry.texts("instead_of")), entry.get("repeats", bool, False), _parts(entry),
    )  # fmt: skip


def _index(entry: _Entry, hosts: Hosts) -> Rule:
    metric, where = _match(entry)
    uuid = entry.texts("gpu_uuid")
    if not uuid:
        raise entry.fault("gpu_uuid", "missing", "name the label that holds the GPU's UUID")
    return Rule(entry.where, metric, where, Action.INDEX, "", hosts, gpu_uuid=uuid)


def _told(entry: _Entry, action: Action) -> Rule:
    metric, where = _match(entry)
    reason = entry.needed("reason")
    if len(reason) > _LONGEST_REASON:
        raise entry.fault("reason", f"{len(reason)} characters", f"say it in {_LONGEST_REASON}")
    return Rule(entry.where, metric, where, action, reason)


def _unit(entry: _Entry) -> tuple[Kind, float]:
    unit, said = entry.needed("unit"), entry.get("kind", str, "")
    known = POWER | ENERGY
    if unit not in known:
        raise entry.fault("unit", f"{unit!r} is none that is known", f"one of {', '.join(known)}")
    kind = Kind.GAUGE if unit in POWER else Kind.COUNTER
    if said and said not in list(Kind):
        raise entry.fault("kind", f"{said!r} is neither gauge nor counter", "leave it out: the unit decides")
    if said and said != kind:
        cure = "joules that are no running total can't be integrated" if kind == Kind.COUNTER else "watts are a gauge"
        raise entry.fault("kind", f"{said} in {unit}", cure)
    return kind, known[unit]


def _channel(entry: _Entry) -> str:
    channel = entry.needed("channel")
    if not _CHANNEL.fullmatch(channel):
        raise entry.fault("channel", f"{channel!r} is no name", 'as in "node", "cpu{package}", "gpu{gpu}"')
    try:
        plain = not any(spec or conversion for _, _, spec, conversion in Formatter().parse(channel))
    except ValueError:  # braces that do not match
        plain = False
    if not plain:
        raise entry.fault("channel", f"{channel!r} has more than a label's name in braces", "write the name alone")
    return channel


def _facts(entry: _Entry, kind: Kind, scale: float) -> ChannelFacts:
    wrap, interval = entry.get("wrap", float), entry.get("interval_s", float)
    for key, value in (("wrap", wrap), ("interval_s", interval)):
        if value is not None and not 0 < value < 1e15:
            raise entry.fault(key, f"{value} is not above 0", "leave it out where it is not known")
    if wrap is not None and kind != Kind.COUNTER:
        raise entry.fault("wrap", "a gauge does not wrap", "leave it out")
    source = entry.needed("source")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,31}", source):
        raise entry.fault("source", f"{source!r} is too long or odd", "lower case, digits, _ . -, 32 at most")
    return ChannelFacts(
        source, entry.get("covers_gpus", bool), entry.get("dc", bool),
        None if wrap is None else max(1, min(round(wrap * scale), 2**63 - 1)),
        None if interval is None else round(interval * 1000),
    )  # fmt: skip


def _parts(entry: _Entry) -> tuple[str, tuple[str, ...]] | None:
    """The label whose values are parts that are added up, and those values."""
    table = entry.table.get("add")
    if table is None:
        return None
    if not isinstance(table, dict) or len(table) != 1 or not all(isinstance(one, list) for one in table.values()):
        raise entry.fault("add", f"{table!r} is not one label with its values", 'as in { mode = ["dynamic", "idle"] }')
    ((label, values),) = table.items()
    if len(values) < 2 or not all(isinstance(one, str) for one in values):
        raise entry.fault("add", "fewer than two values", "name all parts that are added up")
    return label, tuple(values)
