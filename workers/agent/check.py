"""``--check`` and ``--once``: what is on this node, and whether the server answers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from workers.agent import batch
from workers.agent.readings import Channel, Reading, value_text
from workers.agent.run import interval_s, sources
from workers.agent.settings import Settings, SettingsFault
from workers.agent.sources import Source
from workers.agent.trouble import Trouble
from workers.agent.wire import POWER, Answer, Wire


def once(settings: Settings) -> int:
    """One reading of every channel as a plain power CSV; 1 if there is none."""
    found, readings = _look(settings, Trouble())
    channels = [channel for _, own in found for channel in own]
    columns = {channel.column: place for place, channel in enumerate(channels)}
    head = batch.head(settings.node, channels).split(b"\n")[1] + b"\n" if channels else b""
    sys.stdout.write((head + batch.rows(settings.node, columns, readings)).decode())
    if not readings:
        sys.stderr.write("nothing can be read on this node; --check says what was looked for\n")
    return 0 if readings else 1


def check(settings: Settings) -> int:
    """Everything in words; 1 if nothing can be read, or nothing can be sent."""
    trouble = Trouble()
    found, readings = _look(settings, trouble)
    values = {one.column: one for one in readings}
    lines = [f"node {settings.node}"]
    for source, own in found:
        lines += list(_source_lines(source, own, values, settings))
    lines += [f"  ! {key}: {words}" for key, words in trouble.now()]
    answer = _server(settings)
    lines.append(f"server {settings.server or '(none)'}: {_in_words(answer)}")
    if settings.server.startswith("http://"):
        lines.append("  ! without TLS the token can be read on the way")
    if _is_open(settings.token_file):
        lines.append(f"  ! {settings.token_file} can be read by others: chmod 600 it")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if readings and answer.stored else 1


def _look(settings: Settings, trouble: Trouble) -> tuple[list[tuple[Source, list[Channel]]], list[Reading]]:
    """Sources with the channels that are theirs, and a reading of each."""
    found: list[tuple[Source, list[Channel]]] = []
    readings: list[Reading] = []
    taken: set[str] = set()
    for source in sources(settings, trouble):
        source.look()
        every_ms = round(interval_s(source, settings) * 1_000)
        own = [channel.every(every_ms) for channel in source.channels if channel.name not in taken]
        taken.update(channel.name for channel in own)
        columns = {channel.column for channel in own}
        if own:
            readings += [one for one in source.read() if one.column in columns]
        found.append((source, own))
    return found, readings


def _source_lines(
    source: Source, own: Sequence[Channel], values: dict[str, Reading], settings: Settings
) -> Iterator[str]:
    every = f"every {interval_s(source, settings):g} s"
    counted = f"{len(own)} channel{'s' if len(own) > 1 else ''}, {every}" if own else "nothing found"
    yield f"{source.name}: {counted}"
    for channel in own:
        one = values.get(channel.column)
        unit = "J" if channel.counter else "W"
        shown = f"{value_text(one.column, one.value)} {unit} at {_utc(one.t_ms)}" if one else "no value"
        extra = [channel.uuid] + ([f"starts again after {channel.wrap_uj / 1e6:.0f} J"] if channel.wrap_uj else [])
        yield f"  {channel.name}: {shown}; {channel.origin} {' '.join(extra)}".rstrip()
        yield from (f"    {uuid}" for uuid in channel.mig)
    yield from (f"  ! {channel.name}: another source has it" for channel in source.channels if _is_not_in(channel, own))
    yield from (f"  ! {hint}" for hint in source.hints())


def _utc(t_ms: int) -> str:
    """For eyes, which compare it with a clock."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(t_ms // 1_000))}.{t_ms % 1_000:03d}Z"


def _is_open(path: Path) -> bool:
    """Whether others on this node can read a file."""
    with suppress(OSError):
        return bool(path.stat().st_mode & 0o077)
    return False


def _is_not_in(channel: Channel, own: Sequence[Channel]) -> bool:
    return channel.name not in {one.name for one in own}


def _server(settings: Settings) -> Answer:
    """Ask with a body without readings: nothing is stored, and the server says whether it knows the node."""
    if not settings.server:
        return Answer(0, "no server is set")
    try:
        settings.token()
    except SettingsFault as fault:
        return Answer(0, str(fault))
    wire = Wire(settings)
    answer = wire.post(POWER, json.dumps({"node": settings.node, "samples": []}).encode(), "application/json")
    wire.close()
    if answer.stored and answer.names_unknown_node:
        why = (
            "answers, and takes the token; but it does not know this node, and would refuse its readings (unknown node)"
        )
        return Answer(0, f"{why} until somebody describes it there")
    return Answer(200, "answers, and takes the token") if answer.status in (200, 400, 422) else answer


def _in_words(answer: Answer) -> str:
    return answer.text if answer.stored else answer.words()
