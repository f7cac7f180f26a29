"""What senders lost before they could send it, as they tell it: in quarantine, a batch a sender and UTC day.

A line is one loss of one node: told again it counts once, told larger it takes the larger figure, whoever started anew
or asked again in between. The lines are sentences, not samples: there is nothing to try again.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from measurements.domain.losses import LOST, Loss
from measurements.domain.units import datetime_from_ms, day_from_ms
from measurements.models import Batch, Cluster, Quarantine, Token
from measurements.services.batches import options_key

MOST_LINES = 20_000  # of a sender and day: a line a node and start of its agent
_LINE = re.compile(r"(?P<node>\S+): (?P<readings>\d+) readings from \S+ to \S+ \((?P<number>[\w-]+)\)")


@transaction.atomic
def note_losses(token: Token, losses: Sequence[Loss], now: datetime) -> int:
    """Keep what a sender told of its losses; how many readings of it are new."""
    if not losses:
        return 0
    Cluster.objects.select_for_update(no_key=True).get(pk=token.cluster_id)
    days = sorted({day_from_ms(loss.first_ms) for loss in losses})
    return sum(
        _note(_of_day(token, day.isoformat(), now), [one for one in losses if day_from_ms(one.first_ms) == day], now)
        for day in days
    )


def _of_day(token: Token, day: str, now: datetime) -> Batch:
    options: dict[str, object] = {"lost": token.name, "day": day}
    batch, _ = Batch.objects.get_or_create(
        cluster=token.cluster, content=Batch.Content.POWER, options_key=options_key(options),
        sha256=hashlib.sha256(f"lost {token.pk} {day}".encode()).hexdigest(),
        defaults={"options": options, "source": f"lost by {token.name} {day}", "committed_at": now},
    )  # fmt: skip
    return batch


def _note(batch: Batch, losses: Sequence[Loss], now: datetime) -> int:
    row = batch.quarantine.filter(reason=LOST).first()
    row = row or Quarantine(batch=batch, reason=LOST, count=0, first_line=1, lines=b"")
    lines = [line.partition("\t")[2] for line in gzip.decompress(bytes(row.lines)).decode().splitlines()]
    at = {_key(line): place for place, line in enumerate(lines)}
    new = 0
    for loss in losses:
        place = at.get((loss.node, loss.number))
        more = loss.readings - (_readings(lines[place]) if place is not None else 0)
        if more <= 0 or (place is None and len(lines) >= MOST_LINES):
            continue
        if place is None:
            place = at[loss.node, loss.number] = len(lines)
            lines.append("")
        lines[place] = row.example = _sentence(loss)
        new += more
    if new:
        text = "".join(f"{number}\t{line}\n" for number, line in enumerate(lines, start=1))
        row.lines, row.count = gzip.compress(text.encode(), 1, mtime=0), row.count + new
        row.save()
        batch.read, batch.refused, batch.committed_at = batch.read + new, batch.refused + new, now
        batch.save(update_fields=["read", "refused", "committed_at"])
    return new


def _sentence(loss: Loss) -> str:
    first, last = (f"{datetime_from_ms(ms):%Y-%m-%dT%H:%M:%SZ}" for ms in (loss.first_ms, loss.last_ms))
    return f"{loss.node}: {loss.readings} readings from {first} to {last} ({loss.number})"


def _key(line: str) -> tuple[str, str]:
    said = _LINE.fullmatch(line)
    return (said["node"], said["number"]) if said else (line, "")


def _readings(line: str) -> int:
    said = _LINE.fullmatch(line)
    return int(said["readings"]) if said else 0
