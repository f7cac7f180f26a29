"""What the header of a power CSV says: which column is what, in long and in wide tables.

- long: a column ``watts`` or ``joules``; one sample a line.
- wide by channel: a column with node names (``node``, ``host``, ``hostname``) or ``--node``, and
  columns named like channels: ``node``, ``cpu0``, ``dram0``, ``gpu0_w``, ``gpu1 [mW]``, ``cpu0_j`` (a counter).
- wide by node: neither; every other column is a node, in W, or with ``[J]`` behind its name a counter; a meter's
  ``[kW]``, ``[kWh]``, ``[MWh]`` and the like are taken too, and a power and a counter of one meter side by side.

What the operator renames is read as if the header said so.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measurements.domain.units import Kind
from measurements.parsers.records import ParseOptions, UnusableFile

DELIMITERS = ",;\t|"
EXPECTED = "timestamp,node,watts[,channel] (or joules for a counter), or a table with a column for each node or channel"
WHOLE_NODE = "node"  # the channel that is the whole node
_TIME = frozenset({"timestamp", "time"})
_NODE = frozenset({"node", "host", "hostname"})
_VALUE = {"watts": Kind.GAUGE, "watt": Kind.GAUGE, "joules": Kind.COUNTER, "joule": Kind.COUNTER}
_QUANTITY = {("power", Kind.GAUGE): True, ("energy", Kind.COUNTER): True}  # power_w, energy [J]
# Blanks are taken from where they begin: from each of them anew a header of blanks would take for ever.
_UNIT = re.compile(r"(?:_|(?<!\s)\s*[\[(]\s*)(?P<unit>w|watts?|j|joules?)(?:\s*[\])])?$")
_IN_BRACKETS = re.compile(r"(?<!\s)\s*[\[(]\s*(?P<unit>\w+)\s*[\])]$")
_KINDS = {"w": Kind.GAUGE, "watt": Kind.GAUGE, "watts": Kind.GAUGE} | dict.fromkeys(
    ("j", "joule", "joules"), Kind.COUNTER
)
_SCALED = {  # W or J in one unit; as written, for mW and MW differ by nothing but their case
    "kW": (Kind.GAUGE, 1e3), "MW": (Kind.GAUGE, 1e6), "mW": (Kind.GAUGE, 1e-3),
    "Wh": (Kind.COUNTER, 3.6e3), "kWh": (Kind.COUNTER, 3.6e6), "MWh": (Kind.COUNTER, 3.6e9),
    "GWh": (Kind.COUNTER, 3.6e12),
    "kJ": (Kind.COUNTER, 1e3), "MJ": (Kind.COUNTER, 1e6), "GJ": (Kind.COUNTER, 1e9),
}  # fmt: skip
_OTHER_UNITS = frozenset({"va", "kva", "a", "v"}) | {unit.casefold() for unit in _SCALED}
_DEVICES = frozenset({"cpu", "package", "dram", "gpu", "core", "psu", "fan", "nic", "disk", "board"})
_POWER = re.compile("power|watt|energy|joule")
_CHANNEL = re.compile(r"(?:node|psys|(?:cpu|package|dram|gpu|core|psu|fan|nic|disk|board)(?:0|[1-9]\d*)?)")
_NO_NODE = frozenset({"power", "energy", "value", "kwh", "wh", "w", "j", "channel", "unit"})


class UnnamedColumns(UnusableFile):
    """A table of power or energy whose columns can't be read as they are named."""


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """One column of values; ``node`` or ``channel`` where the header names them."""

    index: int
    kind: Kind
    node: str | None = None
    channel: str | None = None
    scale: float = 1.0  # W or J in one unit of its values

    @property
    def unit(self) -> str:
        """The unit of its values."""
        scaled = (unit for unit, said in _SCALED.items() if said == (self.kind, self.scale))
        return next(scaled, "J" if self.kind == Kind.COUNTER else "W")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column is what. ``node`` and ``channel`` are columns of names, None if there are none."""

    delimiter: str
    header: tuple[str, ...]  # names as compared: lower case, without blanks around
    time: int
    node: int | None
    channel: int | None
    values: tuple[ValueColumn, ...]
    default_node: str | None
    default_channel: str
    warnings: tuple[str, ...]

    @property
    def is_long(self) -> bool:
        return len(self.values) == 1 and self.values[0].node is None and self.values[0].channel is None


@dataclass(frozen=True, slots=True)
class _Column:
    """A header cell taken apart."""

    index: int
    written: str  # lower case
    shown: str  # as written, or as renamed
    name: str  # as compared
    base: str  # without its unit
    kind: Kind | None  # by its unit
    scale: float = 1.0  # W or J in one unit

    @property
    def value_kind(self) -> Kind | None:
        """What its values are if it is the value column of a long table."""
        if self.name in _VALUE:
            return _VALUE[self.name]
        if self.scaled:
            return self.scaled[0]
        return self.kind if (self.base, self.kind) in _QUANTITY else None

    @property
    def scaled(self) -> tuple[Kind, float] | None:
        """Kind and scale of ``power [kW]``, ``energy (kWh)``; None of any other column."""
        unit = _IN_BRACKETS.search(self.shown)
        said = _SCALED.get(unit["unit"]) if unit else None
        quantity = self.shown[: unit.start()].casefold() if unit else ""
        return said if said and (quantity, said[0]) in _QUANTITY else None

    @property
    def is_channel(self) -> bool:
        return _CHANNEL.fullmatch(self.base) is not None


def find_layout(line: str, options: ParseOptions, where: str) -> Layout:
    """The layout a header line describes; ``where`` names file and line for messages."""
    rename = dict(options.rename)
    delimiter = _delimiter(line, rename)
    if delimiter is None:
        raise UnusableFile(
            f"{where}: no header with a column named timestamp in {line[:120]!r}; expected {EXPECTED}; "
            "put a header line on top, fields separated by a comma, semicolon, tab or |, or where it calls the time "
            "otherwise, say how: --rename COLUMN=timestamp"
        )
    columns = [_column(i, cell.strip(), rename) for i, cell in enumerate(split_line(line, delimiter))]
    time = next(column for column in columns if column.name in _TIME)
    rest = [column for column in columns if column is not time]
    if any(column.value_kind for column in rest):
        return _long(delimiter, columns, time, rest, options, where)
    return _wide(delimiter, columns, time, rest, options, where)


def split_line(line: str, delimiter: str) -> list[str]:
    """The cells of one line; raises csv.Error if its quotes do not close."""
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _delimiter(line: str, rename: Mapping[str, str]) -> str | None:
    """The delimiter under which the line has a time column, and the most columns."""
    counts: dict[str, int] = {}
    for delimiter in DELIMITERS:
        try:
            written = [cell.strip() for cell in split_line(line, delimiter)]
        except csv.Error:
            continue
        cells = [rename.get(cell, cell).strip().casefold() for cell in written]
        if len(cells) > 1 and not _TIME.isdisjoint(cells):
            counts[delimiter] = len(cells)
    return max(counts, key=lambda delimiter: counts[delimiter]) if counts else None


def _column(index: int, cell: str, rename: Mapping[str, str]) -> _Column:
    shown = rename.get(cell, cell).strip()
    name = shown.casefold()
    scaled = _IN_BRACKETS.search(shown)
    if scaled and scaled["unit"] in _SCALED:
        base = shown[: scaled.start()].casefold()
        return _Column(index, cell.casefold(), shown, name, base, *_SCALED[scaled["unit"]])
    unit = _UNIT.search(name)
    kind = None if unit is None else (Kind.GAUGE if unit["unit"].startswith("w") else Kind.COUNTER)
    return _Column(index, cell.casefold(), shown, name, name[: unit.start()] if unit else name, kind)


def _long(
    delimiter: str, columns: Sequence[_Column], time: _Column, rest: list[_Column], options: ParseOptions, where: str
) -> Layout:
    valued = sorted((column for column in rest if column.value_kind), key=lambda column: column.value_kind != "gauge")
    value = valued[0]  # watts before joules
    node = next((column for column in rest if column.name in _NODE), None)
    channel = next((column for column in rest if column.name == "channel"), None)
    unused = [column for column in rest if column not in (value, node, channel)]
    warnings = _ignored(unused, where)
    if node is None and options.node is None:
        raise UnusableFile(f"{where}: no column node; expected {EXPECTED}; name the node with --node")
    if node is not None and options.node is not None:
        warnings.append(f"{where}: the file names its nodes; --node stands in only where that is empty")
    return Layout(
        delimiter, tuple(column.written for column in columns), time.index,
        node.index if node else None, channel.index if channel else None,
        (ValueColumn(value.index, value.value_kind or Kind.GAUGE, scale=value.scaled[1] if value.scaled else 1.0),),
        options.node, options.channel or WHOLE_NODE, tuple(warnings),
    )  # fmt: skip


def _wide(
    delimiter: str, columns: Sequence[_Column], time: _Column, rest: list[_Column], options: ParseOptions, where: str
) -> Layout:
    names = next((column for column in rest if column.name in _NODE), None)
    # without --node a lone "node" column holds names; with it, and no other column of that name, the same holds
    valued = [column for column in rest if column is not names]
    channels = [column for column in valued if column.is_channel]
    by_channel = bool(channels) and (names is not None or options.node is not None)
    if by_channel:
        _no_numbers_of_devices(valued, where)
        values = _channel_columns(channels)
    elif names is None:
        values = _node_columns(valued, where)
    else:
        values = []
    if not values:
        raise UnusableFile(
            f"{where}: no column watts or joules in {_shown(columns)}; expected {EXPECTED}; where it is called "
            'otherwise, say how: --rename COLUMN=watts, or with its unit --rename "COLUMN=power [kW]"'
        )
    used = {value.index for value in values}
    warnings = _ignored([column for column in valued if column.index not in used], where)
    return Layout(
        delimiter, tuple(column.written for column in columns), time.index, names.index if names else None, None,
        tuple(values), options.node if by_channel else None, options.channel or WHOLE_NODE, tuple(warnings),
    )  # fmt: skip


def _no_numbers_of_devices(columns: list[_Column], where: str) -> None:
    """Refuse ``gpu,socket_power``: the number of a GPU is no power, and whose power it is stands beside it."""
    number = next((one for one in columns if one.kind is None and one.base in _DEVICES), None)
    power = next((one for one in columns if not one.is_channel and _POWER.search(one.name)), None)
    if number and power:
        raise UnnamedColumns(
            f"{where}: {number.shown!r} looks like the number of a device, for {power.shown!r} is there as well; "
            f"name the columns channel (with {number.base}0, {number.base}1, … in it) and watts"
        )


def _channel_columns(channels: list[_Column]) -> list[ValueColumn]:
    """A column each channel; of a channel in W and in J the one in W, of two alike the first."""
    best: dict[str, _Column] = {}
    for column in sorted(channels, key=lambda column: column.kind is Kind.COUNTER):
        best.setdefault(column.base, column)
    chosen = sorted(best.values(), key=lambda column: column.index)
    return [
        ValueColumn(column.index, column.kind or Kind.GAUGE, channel=column.base, scale=column.scale)
        for column in chosen
    ]


def _node_columns(columns: list[_Column], where: str) -> list[ValueColumn]:
    """A column each node, with its own unit; only a unit in brackets is one, for a node may be called gpu_w."""
    for column in columns:
        if column.name in _NO_NODE or (column.is_channel and (column.base == WHOLE_NODE or column.kind)):
            raise UnusableFile(
                f"{where}: column {column.shown!r} names no node; expected {EXPECTED}; "
                "name the node of this file with --node"
            )
    found = [_node_column(column, where) for column in columns]
    named = [value for value in found if value.node is not None and _is_node_name(value.node)]
    if not named and any(column.kind for column in columns):
        raise UnnamedColumns(
            f"{where}: no node can be called like the columns {_shown(columns)}; name what each one measures: "
            f'--rename "{columns[0].shown}=NODE", with [J] behind NODE for a counter'
        )
    return named


def _node_column(column: _Column, where: str) -> ValueColumn:
    unit = _IN_BRACKETS.search(column.shown)
    if unit is None:
        return ValueColumn(column.index, Kind.GAUGE, node=column.shown)
    name, said = column.shown[: unit.start()], unit["unit"]
    if said in _SCALED:
        kind, scale = _SCALED[said]
        return ValueColumn(column.index, kind, node=name, scale=scale)
    if said.casefold() in _OTHER_UNITS:
        raise UnusableFile(
            f"{where}: column {column.shown!r} is in no unit that is read: W, J, or as written {', '.join(_SCALED)}"
        )
    return ValueColumn(column.index, _KINDS.get(said.casefold(), Kind.GAUGE), node=name)


def _is_node_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.:-]*", name) is not None


def _ignored(columns: Sequence[_Column], where: str) -> list[str]:
    return [f"{where}: columns not used: {_shown(columns)}"] if columns else []


def _shown(columns: Sequence[_Column]) -> str:
    names = ", ".join(column.shown or "(no name)" for column in columns[:20])
    return f"{names}, …" if len(columns) > 20 else names
