"""Sends the simulated cluster's files through the pipeline that a site's own logs go through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from django.conf import settings

from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.faults import LATE
from measurements.demo.logs import nodes_csv, states_csv
from measurements.demo.lots import Lot, plan_past, write_lot
from measurements.demo.note import FOLDER, Simulated, read_past, write_bytes, write_note, write_past
from measurements.demo.rules import declare_rules
from measurements.models import Batch, Cluster, DirtyDay, DirtyDoubt, DirtyNodeDay, Intake
from measurements.parsers.source import Source
from measurements.services.attribution import attribute_next_block
from measurements.services.machine import create_cluster
from measurements.services.marks import dirty_jobs, release_dead
from measurements.services.rollups import rebuild_next
from measurements.services.taking import take

WAIT_S = 0.1  # for what another process is at
BOOKING = 0.5  # its share of what comes after all is taken in

Show = Callable[[float, str], None]  # which share is done, 0 to 1, and what is being done


def folder() -> Path:
    """Where the simulated cluster's files lie."""
    return Path(settings.JOULEBOOK_VAR) / FOLDER


def describe(done: Simulated, now_s: int) -> Cluster:
    """The list of nodes, and when they were switched off."""
    cluster = create_cluster(CLUSTER_NAME)
    nodes = Source(write_bytes(folder() / "nodes.csv", nodes_csv().encode()))
    take(Intake.Content.NODES, cluster, nodes, {}, datetime.now(UTC))
    take_states(cluster, done, now_s)
    declare_rules()
    return cluster


def take_states(cluster: Cluster, done: Simulated, now_s: int) -> None:
    """When nodes were switched off, if one was, or was switched on again, since the simulation was last carried on."""
    text = states_csv(done.seed, done.since_s, now_s)
    if text != states_csv(done.seed, done.since_s, done.until_s):
        states = Source(write_bytes(folder() / "states.csv", text.encode()), "states.csv")
        take(Intake.Content.STATES, cluster, states, {}, datetime.now(UTC))


def take_files(cluster: Cluster, paths: list[Path]) -> None:
    """A lot's files, in the order given."""
    for path in paths:
        content = Intake.Content.JOBS if path.name.startswith("jobs") else Intake.Content.POWER
        take(content, cluster, Source(path, path.name), {}, datetime.now(UTC))


def take_in(
    cluster: Cluster, done: Simulated, lots: Iterator[tuple[Lot, list[Path]]], took: Callable[[Lot], None]
) -> None:
    """Take in lots as they are written, and note each."""
    for lot, paths in lots:
        take_files(cluster, paths)
        done = replace(done, until_s=lot.end_s)
        write_note(Path(settings.JOULEBOOK_VAR), done)
        took(lot)


def add_past(cluster: Cluster, done: Simulated, now_s: int, show: Show) -> None:
    """Take in and book what is missing of the older part, month by month into the past, and note each."""
    var = Path(settings.JOULEBOOK_VAR)
    before_s = read_past(var)
    lots = plan_past(done, before_s, now_s) if before_s is not None else []
    for number, lot in enumerate(lots):

        def shown(share: float, what: str, at: int = number) -> None:
            show((at + share) / len(lots), what)

        take_files(cluster, write_lot(folder(), lot))
        book_all(cluster, shown)
        write_past(var, lot.start_s)
    write_past(var, None)


def written(lots: list[Lot]) -> Iterator[tuple[Lot, list[Path]]]:
    """Lots with their files, each written when it is asked for."""
    for lot in lots:
        yield lot, write_lot(folder(), lot)


def without(held: str, lots: Iterator[tuple[Lot, list[Path]]]) -> Iterator[tuple[Lot, list[Path]]]:
    """Lots with their files but for one, which `take_late` takes in later."""
    for lot, paths in lots:
        yield lot, [path for path in paths if path.name != held]


def take_late(cluster: Cluster) -> None:
    """Take in and book what was held back, if anything was."""
    waiting = sorted(folder().glob(f"{LATE}*.csv"))
    known = set(Batch.objects.filter(cluster=cluster, source__contains=LATE).values_list("source", flat=True))
    paths = [path for path in waiting if not any(source.endswith(path.name) for source in known)]
    if paths:
        take_files(cluster, paths)
        book_all(cluster, lambda _share, _what: None)


def book_all(cluster: Cluster, show: Show) -> None:
    """Book until nothing is dirty any more, beside whoever does the same."""
    node_days, days = max(DirtyNodeDay.objects.filter(cluster=cluster).count(), 1), 1

    def booked(left: int) -> None:
        show(BOOKING * (1 - left / node_days), "booking")

    def summed(left: int) -> None:
        show(BOOKING + (1 - BOOKING) * (1 - left / days), "adding up")

    while is_dirty(cluster):
        release_dead()
        done = book_some(cluster, booked)
        days = max(DirtyDay.objects.filter(cluster=cluster).count(), days)
        if not (roll_up(cluster, summed) or done):
            time.sleep(WAIT_S)


def book_some(cluster: Cluster, left: Callable[[int], None] = lambda _left: None, before: date | None = None) -> int:
    """Book node-days, those of days before a given one only, until there are none that are free; how many."""
    booked = 0
    waiting = DirtyNodeDay.objects.filter(cluster=cluster)
    while before is None or waiting.filter(day__lt=before).exists():
        done = attribute_next_block(datetime.now(UTC), cluster)
        if done is None:
            break
        booked += done
        left(waiting.count())
    return booked


def roll_up(cluster: Cluster, left: Callable[[int], None] = lambda _left: None) -> int:
    """Rebuild totals of jobs and days until there are none that are free; how many."""
    rebuilt = 0
    while (done := rebuild_next(datetime.now(UTC), cluster)) is not None:
        rebuilt += done
        left(DirtyDay.objects.filter(cluster=cluster).count())
    return rebuilt


def is_dirty(cluster: Cluster) -> bool:
    """Whether anything waits to be booked."""
    return (
        DirtyDoubt.objects.filter(cluster=cluster).exists()
        or DirtyNodeDay.objects.filter(cluster=cluster).exists()
        or dirty_jobs(cluster).exists()
        or DirtyDay.objects.filter(cluster=cluster).exists()
    )
