"""What a Prometheus or VictoriaMetrics holds, as raw samples: no function, no step, so that no point is made up.

Prometheus answers an instant query for a range, ``{…}[900s]`` at the end of a window, with the samples as they were
scraped; VictoriaMetrics exports them (``/api/v1/export``). Which metrics there are is asked first: a window is asked
for those alone that are wanted, by their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measurements.domain.units import MS_PER_S
from measurements.feeds.about import FeedError
from measurements.feeds.web import Answer, Site, TooLarge, ask
from measurements.parsers.json_stream import BrokenJson, JsonList
from measurements.parsers.prometheus_json import answer_chunks, fault_of, told_with
from measurements.parsers.records import PowerChunk
from measurements.parsers.series import Catalogue
from measurements.parsers.source import Source
from measurements.parsers.victoria_export import export_chunks

PROMETHEUS, VICTORIA_METRICS = "prometheus", "victoriametrics"
FLAVOURS = (PROMETHEUS, VICTORIA_METRICS)
_HEAD_BYTES = 64
MOST_NAMES = 200_000
ROWS_PER_LINE = 10_000  # of an export
_STATUS = {
    400: "it does not understand the question",
    401: "it wants a token (token_file) or a password (user, password_file)",
    403: "it does not let us ask",
    404: "there is no such interface below this address (of VictoriaMetrics' cluster …/select/0/prometheus)",
    405: "it does not take the question",
    429: "asked too often",
}
_SMALLER = (422, 503, 504)  # too many samples or series, no end in time: said by the interface itself, in JSON
_LABEL = r'\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*'
_MATCH = re.compile(rf"\{{({_LABEL}(?:,{_LABEL})*),?\s*\}}")


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, what it is, and which series are meant: ``match`` is ``{label="value", …}`` or empty."""

    site: Site
    flavour: str = PROMETHEUS
    match: str = ""
    partial: bool = False  # answers that lack a part are taken as whole

    def names(self, start_ms: int, end_ms: int, spool: Path) -> list[str]:
        """The names of all metrics that have samples about then; perhaps of some more."""
        fields = [("start", _seconds(start_ms)), ("end", _seconds(end_ms))]
        fields += [("match[]", self.match)] if self.match else []
        answer = self._asked("GET", "/api/v1/label/__name__/values", fields, spool / "names")
        found = self._listed(answer)
        if len(found) > MOST_NAMES:
            raise FeedError(f"{self.site.address} has {len(found)} metrics: say which are meant (metrics, match)")
        return found

    def samples(
        self, names: Sequence[str], start_ms: int, end_ms: int, catalogue: Catalogue, now_ms: int, spool: Path
    ) -> Iterator[PowerChunk]:
        """What metrics have in the window (start, end]; raises at its end where the answer is not whole."""
        into = spool / "samples"
        if self.flavour == VICTORIA_METRICS:
            chunks = self._exported(names, start_ms, end_ms, catalogue, now_ms, into)
        else:
            chunks = self._selected(names, start_ms, end_ms, catalogue, now_ms, into)
        try:
            for chunk in chunks:
                yield _later_than(chunk, start_ms)
        except BrokenJson as broken:
            raise FeedError(f"{self.site.address}: the answer breaks off or is no JSON ({broken})") from broken
        finally:
            into.unlink(missing_ok=True)

    def _selected(
        self, names: Sequence[str], start_ms: int, end_ms: int, catalogue: Catalogue, now_ms: int, into: Path
    ) -> Iterator[PowerChunk]:
        query = f"{self._selector(names)}[{-(-(end_ms - start_ms) // MS_PER_S)}s]"
        fields = [("query", query), ("time", _seconds(end_ms)), ("timeout", f"{self.site.longest_s:g}s")]
        self._asked("POST", "/api/v1/query", fields, into)
        answer = JsonList(Source(into, self.site.address), "result", ("data",))
        yield from answer_chunks(answer, catalogue, now_ms)
        self._judge(answer.beside)
        if not answer.found:
            raise FeedError(f"{self.site.address} answered without a list of series: is it a Prometheus?")

    def _exported(
        self, names: Sequence[str], start_ms: int, end_ms: int, catalogue: Catalogue, now_ms: int, into: Path
    ) -> Iterator[PowerChunk]:
        fields = [
            ("match[]", self._selector(names)), ("start", _seconds(start_ms + 1)), ("end", _seconds(end_ms)),
            ("max_rows_per_line", str(ROWS_PER_LINE)), ("timeout", f"{self.site.longest_s:g}s"),
            ("deny_partial_response", "0" if self.partial else "1"),
        ]  # fmt: skip
        self._asked("POST", "/api/v1/export", fields, into)
        with into.open("rb") as lines:
            yield from export_chunks(lines, catalogue, now_ms)

    def _selector(self, names: Sequence[str]) -> str:
        """All series of these names."""
        text = json.dumps("|".join(map(re.escape, names)), ensure_ascii=False)
        return f"{{__name__=~{text}{',' if self.match else ''}{inside(self.match)}}}"

    def _listed(self, answer: Answer) -> list[str]:
        listed = JsonList(Source(answer.path, self.site.address), "data")
        try:
            found = [str(name) for name in listed]
        except BrokenJson as broken:
            raise FeedError(f"{self.site.address}: the answer breaks off or is no JSON ({broken})") from broken
        self._judge(listed.beside)
        if not listed.found:
            raise FeedError(f"{self.site.address} answered without a list of names: is it a Prometheus?")
        return found

    def _judge(self, beside: dict[str, Any]) -> None:
        """Raise where an answer is an error, or lacks a part."""
        if fault := fault_of(beside):
            raise FeedError(f"{self.site.address}: {fault}")
        told = told_with(beside)
        if told and not self.partial:
            raise FeedError(f"{self.site.address}: {told[0]}. Nothing of it is taken; it is asked for again")

    def _asked(self, method: str, target: str, fields: list[tuple[str, str]], into: Path) -> Answer:
        answer = ask(self.site, method, target, fields, into)
        if answer.status == 200:
            if answer.start(_HEAD_BYTES).startswith("<"):
                raise FeedError(f"{self.site.address} answered with a page: is it a Prometheus, or a login before one?")
            return answer
        said = _error_of(answer)
        why = said or _STATUS.get(answer.status) or answer.start() or "it did not say why"
        words = f"{self.site.address} answered {answer.status}: {why}"
        if answer.status in _SMALLER and said:
            raise TooLarge(words, answer.wait_s)
        raise FeedError(words, answer.wait_s)


def inside(match: str) -> str:
    """What stands between the braces of a selector of labels; raises ValueError if it is none."""
    if not match:
        return ""
    found = _MATCH.fullmatch(match.strip())
    if found is None:
        raise ValueError(match)
    return found[1].strip()


def _later_than(chunk: PowerChunk, start_ms: int) -> PowerChunk:
    """Without what lies at the beginning of the window: before its version 3 Prometheus gives that, too."""
    keep = chunk.t_ms > start_ms
    if keep.all():
        return chunk
    return replace(
        chunk, node=chunk.node[keep], channel=chunk.channel[keep], t_ms=chunk.t_ms[keep], value=chunk.value[keep],
        line=chunk.line[keep],
    )  # fmt: skip


def _error_of(answer: Answer) -> str:
    """What the interface itself says went wrong; empty where something else answered."""
    try:
        said = json.loads(answer.path.read_bytes()[: 1 << 20])
    except ValueError:
        return ""
    if not isinstance(said, dict) or "errorType" not in said:
        return ""
    return f"{str(said['errorType'])[:50]}: {str(said.get('error', ''))[:300]}"


def _seconds(ms: int) -> str:
    return f"{ms // MS_PER_S}.{ms % MS_PER_S:03d}"
