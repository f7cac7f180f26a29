"""Celery's tasks: each does one piece of what stands in the database, and asks for the next."""

from __future__ import annotations

from math import ceil

from measurements.services import chores
from measurements.services.attribution import BLOCK_NODES
from measurements.services.intake import files_in_turn
from workers import work
from workers.celery import app
from workers.hints import hint


@app.task(name="rollup.sweep")
def sweep() -> None:
    """Find everything that is left over, and ask for it."""
    waiting = work.sweep()
    if waiting is None:
        return
    for name in chores.due(work.clock()):
        hint(chore, name)
    hint(try_file, number=waiting.untried)
    hint(take_file, number=len(files_in_turn()))
    hint(book, number=ceil(waiting.node_days / BLOCK_NODES) or min(waiting.examinations, 1))
    if waiting.jobs or waiting.days:
        hint(roll_up, even_if_full=True)  # totals advance however much is left to book


@app.task(name="ingest.file")
def take_file() -> None:
    """Take in one waiting file."""
    if work.take_file():
        hint(take_file)
        hint(book)


@app.task(name="ingest.try")
def try_file() -> None:
    """Try one file that was given on the page."""
    if work.try_file():
        hint(try_file)


@app.task(name="ingest.chore")
def chore(name: str) -> None:
    """Do what is due again."""
    if chores.run(name, work.clock()):
        hint(take_file)
        hint(book)


@app.task(name="rollup.book")
def book() -> None:
    """Book one block of dirty node-days; once all are booked, what they add up to."""
    hint(book if work.book_block() else roll_up)


@app.task(name="rollup.totals")
def roll_up() -> None:
    """Rebuild one lot of totals."""
    if work.roll_up():
        hint(roll_up)
