"""What operators are told of a batch: the command that takes its file again, what was said of it, what was refused."""

from __future__ import annotations

import shlex

from django.utils.translation import gettext as _

from measurements.domain.units import MS_PER_S, UJ_PER_J
from measurements.models import Batch, Quarantine
from portal.cures import cure_of, on_page

STANDARD_INPUT = "standard input"  # what a batch's source is called then


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
    }
    return [(labels.get(key, key), _option(value)) for key, value in batch.options.items() if value]


def example_of(row: Quarantine) -> str:
    """What the first line of a reason held; the cure behind it only where this page has none of its own."""
    return row.example.partition(": ")[0] if cure_of(row.reason) else on_page(row.example)


def tail(text: str, length: int) -> str:
    """The end of a path: its file name says most."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


def _option(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {part}" for name, part in value.items())
    return str(value)
