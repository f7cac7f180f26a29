"""What operators are told of a batch: the command that takes its file again, what was said of it, what was refused."""

from __future__ import annotations

import re
import shlex

from django.utils.translation import gettext as _

from measurements.domain.units import MS_PER_S, UJ_PER_J
from measurements.models import Batch, Quarantine
from measurements.parsers.times import CURES
from portal.cures import cure_of, on_page
from portal.operations_forms import REFUSED_CONTENTS, REFUSED_STATES
from portal.wording_reasons import reason_name

STANDARD_INPUT = "standard input"  # what a batch's source is called then
_CURES_ALONE = frozenset(CURES.values())  # examples that name no line
_COPY_ANEW = "; copy the file anew"
_TRIED_AGAIN = re.compile(r"tried again: (?P<what>.*) \((?P<count>\d+)\)")  # as the view of replays notes it
_ASKED = re.compile(r"(?:^|, )(cluster|reason|source|node|content|state|batch): ")


def command_of(batch: Batch) -> str:
    """The command that takes the same file again: what it refused is tried anew, the rest is known."""
    options = batch.options
    source = "-" if batch.source == STANDARD_INPUT else batch.source
    words = ["manage.py", f"ingest_{batch.content}", source, "--cluster", batch.cluster.name]
    for flag, key in (
        ("--format", "format"),
        ("--node", "node"),
        ("--channel", "channel"),
        ("--time-zone", "time_zone"),
        ("--at", "at"),
    ):
        if options.get(key):
            words += [flag, str(options[key])]
    declared = options.get("declared") or {}
    sizes = (
        ("--interval", "nominal_ms", MS_PER_S),
        ("--max-gap", "max_gap_ms", MS_PER_S),
        ("--wrap-joules", "wrap_uj", UJ_PER_J),
    )
    for flag, key, size in sizes:
        if declared.get(key):
            words += [flag, f"{declared[key] / size:.15g}"]
    for column, name in (options.get("rename") or {}).items():
        words += ["--rename", f"{column}={name}"]
    return shlex.join(words)


def option_words(batch: Batch) -> list[tuple[str, str]]:
    """What was said of a batch's file when it was taken."""
    labels = {
        "format": _("format"),
        "node": _("node"),
        "channel": _("channel"),
        "time_zone": _("zone of naive times"),
        "at": _("taken at"),
        "rename": _("columns renamed"),
        "declared": _("declared of its channels"),
        "named": _("node in the file's name"),
        "precision": _("time stamps count"),
        "mappings": _("mapping files"),
        "feed": _("feed"),
        "lost": _("lost by"),
        "day": _("day"),
        "push": _("hour"),
        "after": _("behind batch"),
    }
    return [(labels.get(key, key), _option(value)) for key, value in batch.options.items() if value]


def example_of(row: Quarantine) -> str:
    """What the first line of a reason held; the parser's cure only where this page has none of its own."""
    if not cure_of(row.reason):
        return on_page(row.example)
    held = row.example.partition(": ")[0]
    return "" if held in _CURES_ALONE or held.endswith(_COPY_ANEW) else held


def asked_again(noted: str) -> str:
    """Which refusals somebody had tried again, as it was noted, in the reader's language."""
    found = _TRIED_AGAIN.fullmatch(noted)
    if not found:
        return noted
    labels = {
        "cluster": _("cluster"),
        "reason": _("reason"),
        "source": _("source"),
        "node": _("node"),
        "content": _("content"),
        "state": _("state"),
        "batch": _("batch"),
    }
    _all, *pieces = _ASKED.split(found["what"])
    asked = zip(pieces[::2], pieces[1::2], strict=True)
    said = [f"{labels[name]}: {_asked_value(name, value)}" for name, value in asked]
    return f"{_('tried again')}: {', '.join(said) or _('all')} ({found['count']})"


def _asked_value(name: str, value: str) -> str:
    if name == "reason":
        return reason_name(value)
    said = {"content": REFUSED_CONTENTS, "state": REFUSED_STATES}.get(name, {})
    return str(said.get(value, value))


def tail(text: str, length: int) -> str:
    """The end of a path: its file name says most."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


def _option(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {part}" for name, part in value.items())
    return str(value)
