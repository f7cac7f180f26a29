"""The files a trial is made from: found, and each with the parser that reads it, before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from django.core.management.base import CommandError

from measurements.management.base import NOTHING_USABLE
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source, expand
from portal.trial.scramble import Pseudonyms

Parser = TypeVar("Parser")
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that is none of its kind."""

    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Input(Generic[Parser]):
    """One file with its parser; ``label`` is how the page calls it."""

    source: Source
    label: str
    parser: Parser
    path: str  # how the operator knows it


@dataclass(slots=True)
class Inputs(Generic[Parser]):
    """All files of one kind."""

    kind: str  # jobs, power, nodes
    usable: list[Input[Parser]] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)


def find(
    kind: str, paths: Sequence[str], spool: Path, detect: Callable[[Source], Parser], names: Pseudonyms
) -> Inputs[Parser]:
    """The files behind what was named: paths, patterns, folders, ``-``. One that is not there stops the trial."""
    found: Inputs[Parser] = Inputs(kind)
    try:
        sources = [source for path in paths for source in expand(_matching(path), spool)]
    except UnusableFile as fault:
        raise CommandError(f"{kind}: {fault}", returncode=NOTHING_USABLE) from fault
    for number, source in enumerate(sources, start=1):
        label = names.file(kind, number, len(sources), source.name)
        try:
            parser = detect(source)
        except UnusableFile as fault:
            found.unusable.append(Unusable(label, str(fault)))
        else:
            found.usable.append(Input(source, label, parser, source.name))
            source.name = label  # is stored with the batch
    if paths and not found.usable:
        raise CommandError(f"{kind}: {found.unusable[0].why}", returncode=NOTHING_USABLE)
    return found


def _matching(path: str) -> list[str]:
    """A pattern's files, in the order of their names; what is there, or is no pattern, as it is."""
    if not _GLOB & set(path) or Path(path).exists():
        return [path]
    pattern = Path(path)
    found = sorted(str(p) for p in Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor))))
    if not found:
        raise UnusableFile(f"{path}: no file is called like that; is the pattern right?")
    return found
