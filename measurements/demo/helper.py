"""A second process for the first start: it writes the files, then books beside the first one.

What is to be written is known from the start. What may be booked is told as it is taken in: a day is released once its
jobs and its power, and those of the day after it, are there, for it would be booked twice otherwise.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.lots import Lot, write_lot

if TYPE_CHECKING:
    from measurements.models import Cluster

WAIT_S = 0.2
PATIENCE_S = 5.0
EVERYTHING = date.max


class HelperEnded(RuntimeError):
    """The second process is gone; its last words are on stderr."""


class Helper:
    """The first process's end of the line."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def written(self, lots: list[Lot]) -> Iterator[tuple[Lot, list[Path]]]:
        """Lots with their files, as they are written."""
        for lot in lots:
            try:
                yield lot, self._line.recv()
            except EOFError as gone:
                raise HelperEnded("the process that writes the simulated logs has ended") from gone

    def release(self, before: date) -> None:
        """Have all days before this one booked."""
        try:
            self._line.send(before)
        except BrokenPipeError as gone:
            raise HelperEnded("the process that books beside this one has ended") from gone


@contextmanager
def helping(folder: Path, lots: list[Lot]) -> Iterator[Helper]:
    """A second process at work on some lots, gone when the block is left."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_help, args=(folder, lots, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Helper(ours)
    finally:
        ours.close()  # it ends when nobody listens any more
        process.join(PATIENCE_S)
        process.terminate()  # what it was at is claimed by whoever comes next
        process.join()


def _help(folder: Path, lots: list[Lot], line: Connection) -> None:
    """The second process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the first one
    import django

    django.setup()
    try:
        for lot in lots:
            line.send(write_lot(folder, lot))
        _book(line)
    except (EOFError, BrokenPipeError):
        return


def _book(line: Connection) -> None:
    """Book what is released; over when the other end is closed."""
    from measurements.demo.site import book_some, roll_up
    from measurements.models import Cluster

    cluster: Cluster = Cluster.objects.get(name=CLUSTER_NAME)
    before = date.min
    while True:  # until the line breaks
        booked = book_some(cluster, before=None if before == EVERYTHING else before)
        if before == EVERYTHING and not booked:
            roll_up(cluster)
        while line.poll(0 if booked else WAIT_S):
            before = line.recv()
