"""Books dirty node-days: the one writer of the ledger's rows.

Work is found in the database. A block is some nodes of one cluster and day: claimed,
read, computed without a transaction, and committed with its marks removed in one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
from django.db import IntegrityError, transaction

from measurements.domain.attribution import NodeLedger, attribute_node
from measurements.domain.units import day_start_ms
from measurements.models import Cluster, DirtyNodeDay
from measurements.services import ledger_rows
from measurements.services.booking_input import Block, read_block
from measurements.services.doubts import examine_next
from measurements.services.marks import changed_since, claim, free, give_back, settle, still_mine

BLOCK_NODES = 50
COMMIT_ROWS = 5_000
CONSERVATION = 1e-9


class LedgerDoesNotClose(RuntimeError):
    """An error of the program: booked and metered energy differ. Nothing is committed."""


def attribute_dirty(
    now: Callable[[], datetime], cluster: Cluster | None = None, progress: Callable[[int], None] | None = None
) -> int:
    """Book all dirty node-days that nobody else is at; how many were rebuilt."""
    rebuilt = 0
    while True:
        done = attribute_next_block(now(), cluster)
        if done is None:
            return rebuilt
        rebuilt += done
        if progress:
            progress(done)


def attribute_next_block(
    now: datetime, cluster: Cluster | None = None, nodes: int = BLOCK_NODES, *, patient: bool = False
) -> int | None:
    """Claim and book one block of so many nodes at most; how many node-days, None if nothing is free.

    Days whose samples changed are looked through first: what is not plausible is not booked at all. ``patient``: of a
    day that is not over it may be booked for a while (`open_days.WAIT`).
    """
    if examine_next(now, cluster, patient=patient):
        return 0
    waiting = DirtyNodeDay.objects.filter(free(now))
    if cluster is not None:
        waiting = waiting.filter(cluster=cluster)
    first = waiting.order_by("cluster", "day", "node").first()
    if first is None:
        return None
    block = waiting.filter(cluster_id=first.cluster_id, day=first.day).order_by("node")[:nodes]
    marks = claim(block, now)
    if not marks:  # another process was quicker
        return 0
    return book(marks)


def book(marks: list[DirtyNodeDay]) -> int:
    """Rebuild the node-days of some marks, all of one cluster and day."""
    marks = sorted(marks, key=lambda mark: mark.node_id)
    block = read_block(marks[0].cluster, marks[0].day, [mark.node_id for mark in marks])
    ledgers = [attribute_node(node_day, day_start_ms(block.day)) for node_day in block.node_days]
    for mark, ledger in zip(marks, ledgers, strict=True):
        _check_closed(mark, ledger)
    done = sum(_write(block, ledgers, marks, group) for group in _groups(block))
    give_back(marks)
    return done


def _write(block: Block, ledgers: list[NodeLedger], marks: list[DirtyNodeDay], group: list[int]) -> int:
    """Commit some of a block's nodes with their marks removed; how many were still ours."""
    chosen = [marks[i] for i in group]
    try:
        with transaction.atomic():
            current = still_mine(chosen)
            kept = {mark.node_id for mark in chosen if mark.pk in current}
            ledger_rows.replace(block, ledgers, [i for i in group if marks[i].node_id in kept])
            settle(chosen, current)
    except IntegrityError:
        if not changed_since(chosen):
            raise
        return 0  # an allocation was withdrawn meanwhile; its node-days are marked anew
    return len(current)


def _check_closed(mark: DirtyNodeDay, ledger: NodeLedger) -> None:
    booked = ledger.allocations.energy_uj.sum() + ledger.unallocated_uj.sum()
    metered = ledger.metered_uj.sum()
    scale = np.abs(ledger.metered_uj).sum() + np.abs(ledger.allocations.energy_uj).sum()
    if abs(booked - metered) > CONSERVATION * scale:
        raise LedgerDoesNotClose(f"node {mark.node_id} on {mark.day}: booked {booked} µJ, metered {metered} µJ")


def _groups(block: Block) -> list[list[int]]:
    """Node positions, in lots of few enough rows for one transaction."""
    groups: list[list[int]] = [[]]
    rows = 0
    for i, node_day in enumerate(block.node_days):
        size = len(node_day.holdings.start_ms) + 25
        if groups[-1] and rows + size > COMMIT_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(i)
        rows += size
    return groups
