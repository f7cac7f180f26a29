"""Another source feeds channels from a UTC day on: declared for many at once, and which refused samples ask for it.

`channel_facts` holds samples of a second source back until a person says so. Rows are written by `channels`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby, islice

import numpy as np
from django.db import transaction
from django.db.models import Max, QuerySet

from measurements.domain.integrate import wrap_limit_mw
from measurements.domain.units import DAY_MS, EPOCH_DAY, Kind, day_start_ms
from measurements.models import Channel, ChannelPeriod, Cluster, Quarantine, SealedDay
from measurements.parsers.records import PowerChunk
from measurements.services.channel_facts import KnownFacts
from measurements.services.channels import write_periods
from measurements.services.directories import forget_directories
from measurements.services.judged import SECOND_SOURCE
from measurements.services.names import NodeNames
from measurements.services.replay_lines import lines_again

_SOURCE = re.compile(r"[^\s,\x00-\x1f\x7f]{1,32}")  # as a kept line can name it
_OF_THE_SENSOR = {"wrap_uj": None, "dc": False}  # what another source's format says with its first samples
ROWS_LOOKED_INTO = 300  # of quarantine, for who wants to feed what
LINES_LOOKED_AT = 200_000


class NotChangeable(ValueError):
    """Nothing can be declared so; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which channels of a cluster; None where all."""

    nodes: Collection[str] | None = None  # names
    names: Collection[str] | None = None  # of channels
    ids: Collection[int] | None = None
    instead_of: str | None = None  # only those that this source feeds until then


@dataclass(slots=True)
class SourceChange:
    """What a change of source did, or would do."""

    source: str
    day: date
    changed: int = 0  # channels
    already_so: int = 0
    nodes: int = 0  # of the changed channels
    nodes_booked_anew: int = 0
    instead_of: Counter[str] = field(default_factory=Counter)  # changed channels by what fed them; empty: nobody said
    later: int = 0  # channels of which another source is declared from a later day on: that holds from then on
    unknown_nodes: tuple[str, ...] = ()
    without_channel: tuple[str, ...] = ()  # named nodes that have no channel of these names yet


@transaction.atomic
def change_source(cluster: Cluster, source: str, day: date, chosen: Chosen, *, dry_run: bool = False) -> SourceChange:
    """Declare that ``source`` feeds channels from a UTC day on.

    It holds until the day from which a person declared still another source. Interval, longest gap and whether the
    GPUs are in it stay as they are; at what a counter goes round and where it is measured (AC, DC) are of the sensor,
    and the new one's format says them with its first samples.
    """
    Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    _check(cluster, source, day)
    done = SourceChange(source, day)
    touched: dict[int, date] = {}
    fresh: list[ChannelPeriod] = []
    changed: list[ChannelPeriod] = []
    nodes: set[int] = set()
    for channel, rows in _periods(_channels(cluster, day, chosen, done)):
        feeder, later = _fed_by(rows, day)
        if chosen.instead_of not in (None, feeder):
            done.already_so += feeder == source
            continue
        done.later += any(row.source not in ("", source) for row in later)
        written = list(_rewritten(channel.pk, rows, day, source))
        if not written:
            done.already_so += 1
            continue
        done.changed += 1
        done.instead_of[feeder] += 1
        nodes.add(channel.node_id)
        for before, row in written:
            (changed if row.pk else fresh).append(row)
            if before is not None and _counts(before) != _counts(row):
                touched[channel.node_id] = min(row.valid_from, touched.get(channel.node_id, row.valid_from))
    done.nodes, done.nodes_booked_anew = len(nodes), len(touched)
    if not dry_run:
        write_periods(cluster, fresh, changed, ["source", *_OF_THE_SENSOR], touched)
        transaction.on_commit(forget_directories)
    return done


def first_open_day(cluster: Cluster) -> date:
    """The day after the last sealed one; 1970-01-01 where none is."""
    last: date | None = SealedDay.objects.filter(cluster=cluster).aggregate(last=Max("day"))["last"]
    return EPOCH_DAY if last is None else last + timedelta(days=1)


def _check(cluster: Cluster, source: str, day: date) -> None:
    if not _SOURCE.fullmatch(source):
        raise NotChangeable(f"{source[:80]!r} names no source: 1 to 32 characters, no blank and no comma, as redfish")
    first = first_open_day(cluster)
    if day < first:
        raise NotChangeable(
            f"{cluster.name} is sealed up to {first - timedelta(days=1)}, and no sealed day changes: "
            f"declare it from {first} on, or from a later day"
        )


def _channels(cluster: Cluster, day: date, chosen: Chosen, done: SourceChange) -> list[Channel]:
    """The channels that are meant; names that mean none are noted."""
    rows = Channel.objects.filter(node__cluster=cluster)
    wanted: dict[int, str] = {}
    if chosen.nodes is not None:
        names = NodeNames(cluster)
        ids = {name: names.at(name, day_start_ms(day)) for name in chosen.nodes}
        done.unknown_nodes = tuple(sorted(name for name, pk in ids.items() if pk < 0))
        wanted = {pk: name for name, pk in ids.items() if pk >= 0}
        rows = rows.filter(node__in=wanted)
    if chosen.names is not None:
        rows = rows.filter(name__in=chosen.names)
    if chosen.ids is not None:
        rows = rows.filter(pk__in=chosen.ids)
    found = list(rows.order_by("pk"))
    having = {channel.node_id for channel in found}
    done.without_channel = tuple(sorted(name for pk, name in wanted.items() if pk not in having))
    return found


def _periods(channels: Sequence[Channel]) -> Iterator[tuple[Channel, list[ChannelPeriod]]]:
    """Channels with what is declared of them, in the order of their days."""
    rows = ChannelPeriod.objects.filter(channel__in=channels).order_by("channel", "valid_from")
    found = {pk: list(group) for pk, group in groupby(rows, key=lambda row: row.channel_id)}
    yield from ((channel, found.get(channel.pk, [])) for channel in channels)


def _fed_by(rows: Sequence[ChannelPeriod], day: date) -> tuple[str, list[ChannelPeriod]]:
    """The source that a change from a day on is in place of, and the rows from which on another one is declared.

    Where nobody said anything up to that day, it is the first that is named later: of a reading by way of trial, say.
    """
    current = next((row.source for row in reversed(rows) if row.valid_from <= day), "")
    after = [row for row in rows if row.valid_from > day]
    feeder = current or next((row.source for row in after if row.source), "")
    declared = next((i for i, row in enumerate(after) if row.source not in ("", feeder)), len(after))
    return feeder, after[declared:]


def _rewritten(
    channel: int, rows: Sequence[ChannelPeriod], day: date, source: str
) -> Iterator[tuple[ChannelPeriod | None, ChannelPeriod]]:
    """The rows to write so that ``source`` holds from a day on: each with what held on its days before."""
    current = next((row for row in reversed(rows) if row.valid_from <= day), None)
    if current is None:
        yield None, ChannelPeriod(channel_id=channel, valid_from=day, source=source)
    elif current.source != source:
        yield current, _fed(current, source, day)
    _, later = _fed_by(rows, day)
    following = [row for row in rows if row.valid_from > day]
    for row in following[: len(following) - len(later)]:
        if row.source != source:
            yield row, _fed(row, source, row.valid_from)


def _fed(row: ChannelPeriod, source: str, day: date) -> ChannelPeriod:
    """A row with another source; a new one where it begins on another day."""
    made = copy(row)
    made.source = source
    if row.source:
        for name, value in _OF_THE_SENSOR.items():
            setattr(made, name, value)
    if row.valid_from != day:
        made.pk, made.valid_from = None, day
        made._state.adding = True
    return made


def _counts(row: ChannelPeriod) -> tuple[int | None, int]:
    """What of a row that changes with its source a figure depends on."""
    return row.wrap_uj, wrap_limit_mw(row.source, row.wrap_uj or 0)


# --- What was refused for it --------------------------------------------------------------------------


@dataclass(slots=True)
class Asking:
    """Refused samples of a source, of channels that another one feeds on their days; by it nobody, if it is ready."""

    cluster: Cluster
    source: str
    feeder: str
    first: date
    last: date
    lines: int = 0
    channels: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    nodes: set[int] = field(default_factory=set)

    @property
    def ready(self) -> bool:
        """Whether nothing stands in their way any more: they can be tried again."""
        return self.feeder in ("", self.source)


_Said = tuple[str, str, Kind, str, int]  # node, channel, kind, source, day's number


def asking(rows: QuerySet[Quarantine]) -> tuple[list[Asking], bool]:
    """Which sources want to feed what in place of which, as kept lines tell; whether all lines were looked at."""
    counts: dict[int, Counter[_Said]] = {}
    clusters: dict[int, Cluster] = {}
    left, whole = LINES_LOOKED_AT, True
    wanted = rows.filter(reason=SECOND_SOURCE).select_related("batch__cluster").order_by("batch_id", "pk")
    for place, row in enumerate(wanted[: ROWS_LOOKED_INTO + 1].iterator(chunk_size=10)):
        if place >= ROWS_LOOKED_INTO or left <= 0:
            whole = False
            break
        cluster = row.batch.cluster
        clusters[cluster.pk] = cluster
        told = 0
        for read in islice(lines_again(row, 0), -(-left // 10_000)):
            told += read.told
            for chunk in read.chunks:
                counts.setdefault(cluster.pk, Counter()).update(_said(chunk))
        left -= told
        whole &= told >= row.count
    found = [one for pk, said in counts.items() for one in _grouped(clusters[pk], said)]
    return sorted(found, key=lambda one: (one.cluster.name, -len(one.channels), one.source, one.feeder)), whole


def _said(chunk: PowerChunk) -> Counter[_Said]:
    """How many samples of each source, channel and day."""
    key = np.stack((chunk.node, chunk.channel, chunk.t_ms // DAY_MS), axis=1)
    pairs, counts = np.unique(key, axis=0, return_counts=True)
    return Counter(
        {
            (chunk.nodes[n], chunk.channels[c], chunk.kinds[c], chunk.facts[c].source, day): count
            for (n, c, day), count in zip(pairs.tolist(), counts.tolist(), strict=True)
            if chunk.facts[c].source
        }
    )


def _grouped(cluster: Cluster, said: Counter[_Said]) -> Iterable[Asking]:
    names, known = NodeNames(cluster), KnownFacts(cluster)
    located = []
    for (node_name, channel_name, kind, source, number), count in said.items():
        node = names.at(node_name, number * DAY_MS)
        channel = known.name_of(node, channel_name) if node >= 0 else None
        if channel is not None:
            located.append(((node, channel, kind), source, number, count))
    fed = _fed_channels({node for (node, _, _), *_ in located})
    found: dict[tuple[str, str], Asking] = {}
    for key, source, number, count in located:
        if key not in fed:
            continue
        day = EPOCH_DAY + timedelta(days=number)
        pk, steps = fed[key]
        feeder = next((step for since, step in reversed(steps) if since <= day), "")
        one = found.setdefault((source, feeder), Asking(cluster, source, feeder, day, day))
        one.first, one.last = min(one.first, day), max(one.last, day)
        one.lines += count
        one.channels.add(pk)
        one.names.add(key[1])
        one.nodes.add(key[0])
    return found.values()


def _fed_channels(nodes: set[int]) -> dict[tuple[int, str, Kind], tuple[int, list[tuple[date, str]]]]:
    """The channels of some nodes: id, and from which day on which source feeds it."""
    rows = Channel.objects.filter(node__in=nodes).order_by("pk", "periods__valid_from")
    found: dict[tuple[int, str, Kind], tuple[int, list[tuple[date, str]]]] = {}
    for pk, node, name, kind, day, source in rows.values_list(
        "pk", "node_id", "name", "kind", "periods__valid_from", "periods__source"
    ):
        _, steps = found.setdefault((node, name, Kind(kind)), (pk, []))
        steps += [(day, source)] if day is not None else []
    return found
