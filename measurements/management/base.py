"""What the commands share: exit codes, messages, progress, options."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import OperationalError, ProgrammingError
from tqdm import tqdm

from measurements.domain.units import EPOCH_DAY
from measurements.models import Cluster
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source, expand

NOTHING_USABLE = 1
USAGE = 2
NOBODY_READS = 128 + signal.SIGPIPE  # as a shell says it of a program that wrote to `head` for too long
LAST_DAY = date(9000, 1, 1)  # beyond any log, and far enough from the calendar's end to add a day


def cluster_named(name: str) -> Cluster:
    """A cluster that must be there."""
    cluster = Cluster.objects.filter(name=name).first()
    if cluster is None:
        known = ", ".join(Cluster.objects.values_list("name", flat=True)) or "none yet"
        raise CommandError(
            f"no cluster {name!r} (known: {known}); load its nodes first: load_nodes FILE --cluster {name}",
            returncode=NOTHING_USABLE,
        )
    return cluster


def time_zone(text: str) -> ZoneInfo:
    """An argument that names a time zone."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time zone; give a name such as Europe/Berlin or UTC"
        ) from fault


def whole_from_1(text: str) -> int:
    """An argument that is a whole number from 1 on."""
    if not text.isdecimal() or not 1 <= int(text) <= 10**7:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def utc_day(text: str) -> date:
    """An argument that is a UTC day."""
    try:
        return min(max(date.fromisoformat(text), EPOCH_DAY), LAST_DAY)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; give one as YYYY-MM-DD") from fault


def seconds(text: str) -> int:
    """An argument in seconds, as ms."""
    try:
        value = float(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from fault
    if not 0.001 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} s: give a number of seconds above 0")
    return round(value * 1000)


def known_format(name: str | None, known: Iterable[str]) -> None:
    """--format must name a format; of ``sacct:…`` what stands before the colon."""
    formats = sorted(known)
    if name is not None and name.partition(":")[0] not in formats:
        raise CommandError(f"no format {name!r}; known: {', '.join(formats)}", returncode=USAGE)


def until_day(since: date | None, until: date | None) -> date | None:
    """--until is not included; the same day twice means that day."""
    if since is not None and until is not None:
        if until < since:
            raise CommandError(f"--until {until} is before --since {since}", returncode=USAGE)
        if until == since:
            return date.fromordinal(until.toordinal() + 1)
    return until


def _nobody_reads(stream: TextIO) -> bool:
    """Whether the other end of a pipe is closed."""
    asked = select.poll()
    asked.register(stream, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))


class JoulebookCommand(BaseCommand):
    """A command with --json, messages on stderr, and the documented exit codes."""

    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django does; a reader that goes away (``| head``) ends the command, and nobody is told."""
        try:
            try:
                super().run_from_argv(argv)
            except SystemExit:
                sys.stdout.flush()
                raise
            sys.stdout.flush()  # the interpreter's own, at its end, could only complain
        except BrokenPipeError:
            gone = [stream for stream in (sys.stdout, sys.stderr) if _nobody_reads(stream)]
            if not gone:
                raise  # a connection to somebody else
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in gone:
                os.dup2(nowhere, stream.fileno())
            sys.exit(NOBODY_READS)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """As Django does; a database without its tables gets a sentence instead of a traceback."""
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as fault:
            if "no such table" in str(fault) or "does not exist" in str(fault):
                raise CommandError(
                    "the database has no tables yet; run: manage.py migrate", returncode=USAGE
                ) from fault
            raise

    def add_json(self, parser: CommandParser) -> None:
        """Offer --json."""
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def say(self, text: str) -> None:
        """A message to the operator."""
        self.stderr.write(text, ending="\n")

    def print_json(self, value: Any) -> None:
        """The one object of --json."""
        self.stdout.write(json.dumps(value, allow_nan=False))

    @contextmanager
    def progress(self, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar on a terminal, nothing in a pipe."""
        with tqdm(
            total=total, unit=unit, unit_scale=True, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False
        ) as bar:
            yield lambda count: bar.update(count) and None

    @contextmanager
    def sources(self, paths: list[str]) -> Iterator[list[Source]]:
        """The inputs behind the paths; what came through a pipe is removed afterwards."""
        spool = Path(settings.JOULEBOOK_VAR) / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=spool) as folder:
            try:
                found = expand(paths, Path(folder))
            except UnusableFile as fault:
                raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
            yield found


def now() -> datetime:
    """The clock of the commands."""
    return datetime.now(UTC)
