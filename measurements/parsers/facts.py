"""What a format knows of its channels beside their samples, put onto its chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from measurements.parsers.records import ChannelFacts, PowerChunk


def with_facts(
    chunks: Iterable[PowerChunk],
    facts: ChannelFacts,
    others: Mapping[str, ChannelFacts] | None = None,
    gpus: Mapping[tuple[str, str], str] | None = None,
) -> Iterator[PowerChunk]:
    """Chunks whose channels have ``facts``, or those of ``others`` by name; ``gpus`` is (node, channel) → UUID.

    Both mappings may grow while the chunks are made.
    """
    for chunk in chunks:
        yield replace(
            chunk,
            facts=[(others or {}).get(name, facts) for name in chunk.channels],
            gpus={
                (i, j): gpus[node, channel]
                for i, node in enumerate(chunk.nodes)
                for j, channel in enumerate(chunk.channels)
                if (node, channel) in gpus
            }
            if gpus
            else {},
        )
