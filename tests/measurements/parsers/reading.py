"""What the parser tests share: a log in, plain rows out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from measurements.parsers.detect import detect_power
from measurements.parsers.records import ParseOptions, PowerChunk, Refusal
from measurements.parsers.source import Source
from measurements.parsers.times import parse_instant

NOW_MS = parse_instant("2026-01-01T00:00:00Z", None)

Row = tuple[str, str, int, int, int]  # node, channel, ms, mW or µJ, line


@dataclass(frozen=True, slots=True)
class Log:
    """What a parser gave for one source."""

    rows: list[Row]
    kinds: dict[str, str]
    refusals: list[Refusal]
    warnings: list[str]
    intervals_ms: set[int | None]

    @property
    def refused(self) -> list[tuple[str, int]]:
        return [(refusal.reason, refusal.line) for refusal in self.refusals]


def ms(text: str) -> int:
    """An instant with its offset as ms."""
    return parse_instant(text, None)


def source_of(folder: Path, content: bytes | str, name: str = "power.log") -> Source:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Source(path)


def read_log(source: Source, options: ParseOptions | None = None, fmt: str | None = None) -> Log:
    """Everything a source holds, by the parser that its content calls for."""
    parser = detect_power(source, fmt)
    return collected(parser.read(source, options or ParseOptions(), NOW_MS))


def collected(chunks: Iterable[PowerChunk]) -> Log:
    log = Log([], {}, [], [], set())
    for chunk in chunks:
        assert len({len(chunk.node), len(chunk.channel), len(chunk.t_ms), len(chunk.value), len(chunk.line)}) == 1
        log.kinds.update({name: kind.value for name, kind in zip(chunk.channels, chunk.kinds, strict=True)})
        log.rows.extend(
            (chunk.nodes[node], chunk.channels[channel], t, value, line)
            for node, channel, t, value, line in zip(
                chunk.node.tolist(), chunk.channel.tolist(), chunk.t_ms.tolist(), chunk.value.tolist(),
                chunk.line.tolist(), strict=True,
            )
        )  # fmt: skip
        log.refusals.extend(chunk.refusals)
        log.warnings.extend(chunk.warnings)
        log.intervals_ms.add(chunk.interval_ms)
    return log
