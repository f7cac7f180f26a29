"""What Prometheus' HTTP interface answers: matrices of range queries and range selectors, vectors, errors.

Times are seconds, values texts (``[1435781451.781, "1"]``). A sample's line is its position, from 1, among all values
of the answer. An answer that a collector wrapped (``{"status": 200, "content": {…}}``) is read as well. A range query
repeats the newest value over gaps of up to five minutes: for what was measured ask an instant query for ``metric[1h]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from measurements.domain.units import MS_PER_S, FloatArray, IntArray
from measurements.parsers.json_stream import BrokenJson, JsonList
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal, UnusableFile
from measurements.parsers.series import Catalogue, SeriesSamples
from measurements.parsers.series_texts import finished
from measurements.parsers.source import Source, shown

CHUNK_ROWS = 200_000
_FAR_S = 1e14
_PARTIAL = "the answer lacks the part of a store that is away"
_SORTED = re.compile(r'\{\s*"data"\s*:\s*\{\s*"result"\s*:\s*\[\s*\{\s*"(?:metric|values?)"\s*:')
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.ASCII | re.IGNORECASE)


def matches(head: str) -> bool:
    """Whether a text begins like an answer of Prometheus."""
    start = head.lstrip()[:4096]
    if not start.startswith("{"):
        return False
    if _SORTED.match(start):  # what names the kind of answer may stand behind it
        return True
    return bool(re.search(r'"resultType"\s*:|"errorType"\s*:', start)) and '"status"' in head


def read(source: Source, options: ParseOptions, now_ms: int) -> Iterator[PowerChunk]:
    """The power samples of an answer."""
    catalogue = Catalogue(load_mappings(options.mappings), options.node)
    answer = JsonList(source, "result", ("data", "content"))
    try:
        yield from answer_chunks(answer, catalogue, now_ms)
    except BrokenJson as broken:
        raise UnusableFile(f"{source.name}: {broken.reason} ({broken}); copy the file anew") from broken
    fault = fault_of(answer.beside)
    if fault:
        raise UnusableFile(f"{source.name}: {fault}")
    if not answer.found:
        raise UnusableFile(f"{source.name}: no list of series under data.result; give the answer as it came")
    done = finished(catalogue, source)
    yield replace(done, warnings=[*told_with(answer.beside), *done.warnings])


def fault_of(answer: dict[str, Any]) -> str:
    """What is wrong with an answer as a whole, as a sentence; empty if nothing is."""
    if answer.get("status") != "error" and "errorType" not in answer:
        return ""
    kind, text = (str(answer.get(key, ""))[:300] for key in ("errorType", "error"))
    return f"Prometheus answered with an error ({kind}: {text}); correct the query and ask again"


def told_with(answer: dict[str, Any]) -> list[str]:
    """What Prometheus warns of, and VictoriaMetrics' word for it: an answer may lack a part."""
    told = answer.get("warnings")
    listed = told if isinstance(told, list) else [told] if told else []
    warned = [f"Prometheus warns: {str(one)[:300]}; the answer may not be whole" for one in listed[:10]]
    return [*warned, *([_PARTIAL] if answer.get("isPartial") is True else [])]


def answer_chunks(members: Iterable[Any], catalogue: Catalogue, now_ms: int) -> Iterator[PowerChunk]:
    """The samples of the members of ``data.result``, some series at a time."""
    held = HeldSeries()
    for member in members:
        held.take(member, catalogue)
        if held.rows >= CHUNK_ROWS:
            yield held.chunk(catalogue, now_ms)
    yield held.chunk(catalogue, now_ms)


class HeldSeries:
    """Series that were read and not yet given on."""

    def __init__(self) -> None:
        self.line = 1
        self.rows = 0
        self._parts: list[tuple[int, IntArray, FloatArray, IntArray]] = []
        self._refusals: list[Refusal] = []

    def take(self, member: Any, catalogue: Catalogue) -> None:
        """One series with its values."""
        metric = member.get("metric") if isinstance(member, dict) else None
        pairs = member.get("values", [member.get("value")]) if isinstance(member, dict) else None
        if not isinstance(metric, dict) or not isinstance(pairs, list):
            self.refuse(member)
            return
        code = _code(metric, catalogue)
        time_s, value, wrong = _columns(pairs)
        line = np.arange(self.line, self.line + len(pairs), dtype=np.int64)
        for at in np.flatnonzero(wrong).tolist() if catalogue.is_read(code) else ():
            text = shown(json.dumps(pairs[at]).encode())
            self._refusals.append(Refusal("not a number", int(line[at]), "not a time in s and a number as text", text))
        t_ms = np.rint(np.clip(time_s, -_FAR_S, _FAR_S) * MS_PER_S).astype(np.int64)
        self._parts.append((code, t_ms[~wrong], value[~wrong], line[~wrong]))
        self.line += len(pairs)
        self.rows += len(pairs)

    def put(self, metric: dict[str, Any], t_ms: IntArray, value: FloatArray, catalogue: Catalogue) -> None:
        """One series whose values are columns already."""
        line = np.arange(self.line, self.line + len(t_ms), dtype=np.int64)
        self._parts.append((_code(metric, catalogue), t_ms, value, line))
        self.line += len(t_ms)
        self.rows += len(t_ms)

    def refuse(self, member: Any) -> None:
        """What is no series with values."""
        self.refuse_line("unreadable series", "no metric with values", json.dumps(member).encode())

    def refuse_line(self, reason: str, detail: str, text: bytes) -> None:
        """What is nothing that could be read."""
        self._refusals.append(Refusal(reason, self.line, detail, shown(text)))
        self.line += 1

    def chunk(self, catalogue: Catalogue, now_ms: int) -> PowerChunk:
        """What is held, as a chunk."""
        parts, refusals = self._parts, self._refusals
        self._parts, self._refusals, self.rows = [], [], 0
        code = np.repeat([part[0] for part in parts], [len(part[1]) for part in parts]).astype(np.int32)
        none = np.zeros(0, np.int64)
        samples = SeriesSamples(
            code, np.concatenate([none, *(part[1] for part in parts)]),
            np.concatenate([none.astype(np.float64), *(part[2] for part in parts)]),
            np.concatenate([none, *(part[3] for part in parts)]),
        )  # fmt: skip
        chunk = catalogue.chunk(samples, now_ms)
        return replace(chunk, refusals=[*refusals, *chunk.refusals])


def _code(metric: dict[str, Any], catalogue: Catalogue) -> int:
    labels = {str(label): str(value) for label, value in metric.items()}
    return catalogue.code(labels.pop("__name__", ""), labels)


def _columns(pairs: list[Any]) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Times and values of a series, and which pairs are none."""
    try:
        times, texts = zip(*pairs, strict=True) if pairs else ((), ())
        typed = set(map(type, times)) <= {int, float} and set(map(type, texts)) <= {str}
        if typed and all(map(_NUMBER.fullmatch, texts)):
            value = np.array(texts, dtype="U").astype(np.float64)
            time_s = np.array(times, dtype=np.float64)
            return time_s, value, ~np.isfinite(time_s)
    except (TypeError, ValueError, OverflowError):
        pass
    rows = [_pair(pair) for pair in pairs]
    time_s, value = (np.array([row[i] if row else np.nan for row in rows], np.float64) for i in (0, 1))
    wrong = np.array([row is None for row in rows], bool)
    return np.nan_to_num(time_s), value, wrong


def _pair(pair: Any) -> tuple[float, float] | None:
    """One time and value; None if they are none."""
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    if type(pair[0]) not in (int, float) or not isinstance(pair[1], str):
        return None
    try:
        time_s = float(pair[0])
    except OverflowError:
        return None
    return (time_s, float(pair[1])) if _NUMBER.fullmatch(pair[1]) and abs(time_s) < _FAR_S else None
