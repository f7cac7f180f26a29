"""What quarantine keeps of refused power, read again: kept lines in, the samples of today's rules and what stays out.

Three forms are kept. *Plain*: samples that a parser read and the ingest refused, with what their source said of the
channel. *Series*: a line for each series that nobody mapped, and beside it some of its samples as OpenMetrics writes
them. *Lines*: the original lines that a parser refused; they are read by the same parser, where a line of the
format says all there is to say, or the header is kept.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings

from measurements.domain.losses import LOST
from measurements.domain.units import MW_PER_W, UJ_PER_J, BoolArray, IntArray, Kind
from measurements.models import Batch, Quarantine
from measurements.parsers.body import Body
from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.line_table import as_mask, coded
from measurements.parsers.mapping_rules import Action, Mappings
from measurements.parsers.mappings import load_mappings
from measurements.parsers.openmetrics import NO_TIME, OpenMetrics
from measurements.parsers.records import ChannelFacts, ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.series import Catalogue
from measurements.parsers.source import TEXT_LIMIT
from measurements.parsers.times import REASONS, TimeFault, parse_instant
from measurements.services.catalogues import OWN_MAPPINGS
from measurements.services.judged import CURES
from measurements.services.quarantine import BESIDE, HEADED, MORE

LOT_LINES = 10_000
_BY_LINE = HEADED | {"ptdaemon", "prometheus", "influx"}  # the others say elsewhere what a line is about
_OUT_OF_TIME = REASONS[TimeFault.OUT_OF_RANGE]
_OF_LINES = frozenset(REASONS.values()) | {
    NO_TIME, "not a number", "unreadable line", "wrong number of fields", "repeated header", "out of range",
    "line too long", "no GPU", "broken quotes",
}  # fmt: skip
_SAMPLE = r"^(?P<series>.+) (?P<value>-?[0-9.]+(?:e[-+]?[0-9]+)?) (?P<t>-?[0-9]+)$"
_PLAIN = (
    r"^(?P<when>[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9:.]{12})Z,(?P<node>.+),"
    r"(?P<value>-?[0-9.]+(?:e[-+]?[0-9]+)?) (?P<unit>[WJ]),(?P<channel>[^,]+)(?P<facts>(?:,[a-z_]+=[^,]+)*)$"
)

Form = Literal["plain", "series", "lines", ""]


@dataclass(slots=True)
class Read:
    """Some kept lines, read again: samples with their old line numbers, and the lines that stay as they are."""

    told: int  # lines of this lot that were counted as refused
    chunks: list[PowerChunk] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # of these lines, as they are kept
    beside: list[str] = field(default_factory=list)  # samples of series and a header that stay with them


def form_of(row: Quarantine) -> Form:
    """How the lines of a reason are kept; empty where they can't be read again."""
    reason, fmt = row.reason, row.batch.options.get("format", "")
    if row.batch.content != Batch.Content.POWER or reason == LOST:
        return ""
    if reason in CURES:
        return "plain"
    if reason == _OUT_OF_TIME and fmt not in HEADED | {"ptdaemon"}:
        return "lines"
    if reason in _OF_LINES or reason.startswith(("truncated ", "corrupt ")):
        return "lines" if fmt in _BY_LINE else ""
    return "series" if not fmt or POWER_PARSERS[fmt].by_mappings else ""


def lines_again(row: Quarantine, now_ms: int) -> Iterator[Read]:
    """All that is kept of a reason, in lots."""
    match form_of(row):
        case "plain":
            yield from map(_plain, lots(bytes(row.lines)))
        case "series":
            yield _series(row, now_ms)
        case "lines":
            yield from _original(row, now_ms)


def kept_lines(packed: bytes) -> Iterator[str]:
    """The lines that a row keeps, with their numbers and newlines, unpacked as they are asked for."""
    with gzip.open(io.BytesIO(packed), "rt", encoding="utf-8", newline="\n") as lines:
        yield from lines


def more_than_kept(packed: bytes) -> bool:
    """Whether there were more samples of refused series than are kept."""
    return packed.endswith(MORE)


def head_kept(packed: bytes) -> list[str]:
    """The header that is kept with lines."""
    return [line for line in islice(kept_lines(packed), 1) if line.startswith(f"{BESIDE}\t")]


def lots(packed: bytes) -> Iterator[list[str]]:
    """The refused lines themselves, some at a time."""
    lines = (line for line in kept_lines(packed) if not line.startswith(f"{BESIDE}\t"))
    while lot := list(islice(lines, LOT_LINES)):
        yield lot


def cut(lines: Sequence[str]) -> tuple[IntArray, list[str]]:
    """Numbers and texts of kept lines."""
    pairs = [line.rstrip("\n").partition("\t") for line in lines]
    return np.array([int(number) for number, _, _ in pairs], np.int64), [text for _, _, text in pairs]


# --- plain ------------------------------------------------------------------------------------------------------------


def _plain(lines: Sequence[str]) -> Read:
    numbers, texts = cut(lines)
    column = pa.array(texts, pa.string())
    fields = pc.extract_regex(column, _PLAIN)
    good = as_mask(pc.is_valid(fields))
    left = [line for line, whole in zip(lines, good.tolist(), strict=True) if not whole]
    fields, numbers = fields.filter(pa.array(good)), numbers[good]
    if not len(numbers):
        return Read(len(lines), left=left)
    when, value, unit = (pc.struct_field(fields, name) for name in ("when", "value", "unit"))
    counter = as_mask(pc.equal(unit, "J"))
    t_ms = pc.cast(pc.strptime(pc.utf8_slice_codeunits(when, 0, 19), "%Y-%m-%dT%H:%M:%S", "ms"), pa.int64())
    milliseconds = pc.cast(pc.utf8_slice_codeunits(when, 20, 23), pa.int64())
    node, nodes = coded(pc.struct_field(fields, "node"))
    about = pc.binary_join_element_wise(
        pc.struct_field(fields, "channel"), unit, pc.struct_field(fields, "facts"), "\n"
    )
    channel, abouts = coded(about)
    said = [one.split("\n") for one in abouts]
    chunk = PowerChunk(
        nodes, [name for name, _, _ in said], [Kind.COUNTER if one == "J" else Kind.GAUGE for _, one, _ in said],
        node, channel, (pc.add(t_ms, milliseconds)).to_numpy(zero_copy_only=False), _stored(value, counter), numbers,
        facts=[_facts(words) for _, _, words in said],
        gpus=_gpus(node, channel, [_words(words).get("uuid", "") for _, _, words in said]),
    )  # fmt: skip
    return Read(len(lines), [chunk], left)


def _stored(texts: pa.Array, counter: BoolArray) -> IntArray:
    """Values as stored, to the last digit: mW of W, µJ of J."""
    try:
        exact = pc.cast(texts, pa.decimal128(38, 6))
        micro = pc.cast(pc.multiply(exact, pa.scalar(UJ_PER_J)), pa.int64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # written with an exponent, as it once was
        floats = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
        micro = np.rint(floats * UJ_PER_J).astype(np.int64)
    found: IntArray = np.where(counter, micro, micro // (UJ_PER_J // MW_PER_W))
    return found


def _words(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in text.split(",") if "=" in word)


def _facts(text: str) -> ChannelFacts:
    said = _words(text)
    numbers = {name: int(said[name]) for name in ("wrap_uj", "interval_ms") if said.get(name, "").isdecimal()}
    flags = {name: said[name] == "1" for name in ("covers_gpus", "dc") if name in said}
    return ChannelFacts(said.get("source", ""), flags.get("covers_gpus"), flags.get("dc"), **numbers)


def _gpus(node: np.ndarray, channel: np.ndarray, uuids: Sequence[str]) -> dict[tuple[int, int], str]:
    if not any(uuids):
        return {}
    pairs = np.unique(np.stack((node, channel), axis=1), axis=0).tolist()
    return {(n, c): uuids[c] for n, c in pairs if uuids[c]}


# --- series -----------------------------------------------------------------------------------------------------------


def _series(row: Quarantine, now_ms: int) -> Read:
    """All at once, for sums need all their parts: a row keeps a bounded number of samples."""
    every = [line for line in kept_lines(bytes(row.lines)) if not line.startswith(f"{BESIDE}\t")]
    numbers, texts = cut(every)
    sample = as_mask(pc.match_substring_regex(pa.array(texts, pa.string()), _SAMPLE))
    said = [text for text, is_one in zip(texts, sample.tolist(), strict=True) if is_one]
    samples = [line for line, is_one in zip(every, sample.tolist(), strict=True) if is_one]
    told = [line for line, is_one in zip(every, sample.tolist(), strict=True) if not is_one]
    if not said:
        return Read(len(told), left=told)
    catalogue = Catalogue(_mappings(), row.batch.options.get("node"))
    chunk = OpenMetrics(catalogue).chunk("\n".join(said).encode(), now_ms, told=set())
    stays = sorted({line - 1 for unread in chunk.unread for line in unread.line.tolist()})
    still = {text for unread in chunk.unread for text in unread.series}
    known = catalogue.known.series
    settled = {one.text for one in known if one.action != Action.REFUSE and one.whole not in still}
    left = [line for line in told if line.rstrip("\n").partition("\t")[2] not in settled]
    of_lines = [_moved(one, numbers[sample]) for one in chunk.refusals if one.reason in _OF_LINES]
    renumbered = replace(chunk, line=numbers[sample][chunk.line - 1], refusals=of_lines, unread=())
    return Read(len(told), [renumbered], left, [samples[place] for place in stays])


def _moved(refusal: Refusal, numbers: IntArray) -> Refusal:
    return replace(refusal, line=int(numbers[refusal.line - 1]))


# --- lines ------------------------------------------------------------------------------------------------------------


def _original(row: Quarantine, now_ms: int) -> Iterator[Read]:
    fmt = row.batch.options.get("format", "")
    head = head_kept(bytes(row.lines))
    if row.reason == _OUT_OF_TIME and fmt not in HEADED | {"ptdaemon"}:
        fmt, head = "prometheus", []  # series with value and time
    for lot in lots(bytes(row.lines)):
        if fmt in HEADED and not head:
            yield Read(len(lot), left=list(lot))
        else:
            yield _by_parser(lot, fmt, head, _options(row.batch), now_ms)


def _by_parser(lot: Sequence[str], fmt: str, head: Sequence[str], options: ParseOptions, now_ms: int) -> Read:
    """Read lines by the parser that refused them; what it refuses again stays as it is."""
    numbers, texts = cut(lot)
    _, above = cut(head)
    text = "".join(f"{one if len(one) < TEXT_LIMIT else ''}\n" for one in [*above, *texts])  # what was cut off is lost
    try:
        chunks = list(POWER_PARSERS[fmt].read(Body(text.encode(), "refused lines"), options, now_ms))
    except UnusableFile:
        return Read(len(lot), left=list(lot), beside=list(head))
    again = {one.line for chunk in chunks for one in chunk.refusals}
    again |= {line for chunk in chunks for unread in chunk.unread for line in unread.line.tolist()}
    again |= {len(above) + 1 + place for place, one in enumerate(texts) if not one or len(one) >= TEXT_LIMIT}
    left = [lot[line - len(above) - 1] for line in sorted(again) if len(above) < line <= len(above) + len(lot)]
    parts = [_renumbered(chunk, numbers, len(above), again) for chunk in chunks]
    return Read(len(lot), [part for part in parts if len(part.t_ms)], left, list(head) if left else [])


def _renumbered(chunk: PowerChunk, numbers: IntArray, above: int, again: set[int]) -> PowerChunk:
    """The samples of lines that are read whole now, with the numbers that the lines have in their file."""
    keep = (chunk.line > above) & ~np.isin(chunk.line, list(again))
    return replace(
        chunk, node=chunk.node[keep], channel=chunk.channel[keep], t_ms=chunk.t_ms[keep], value=chunk.value[keep],
        line=numbers[chunk.line[keep] - above - 1], refusals=(), warnings=(), unread=(),
    )  # fmt: skip


def _options(batch: Batch) -> ParseOptions:
    """What was said of the batch's file, with today's mappings."""
    said: Mapping[str, Any] = batch.options
    zone = ZoneInfo(said["time_zone"]) if said.get("time_zone") else None
    at = said.get("at")
    return ParseOptions(
        said.get("node") or said.get("named"), said.get("channel"), zone, None,
        tuple((said.get("rename") or {}).items()), parse_instant(at, UTC) if at else None, _own_mappings(),
        said.get("precision"),
    )  # fmt: skip


def _mappings() -> Mappings:
    return load_mappings(_own_mappings())


def _own_mappings() -> Path | None:
    folder = Path(settings.JOULEBOOK_VAR) / OWN_MAPPINGS
    return folder if folder.is_dir() else None
