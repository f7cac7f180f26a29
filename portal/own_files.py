"""What a person takes away of what is kept of them: a file a table, and one that says what they are."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.selectors.own_data import OWN
from portal.csvs import csv_lines, written
from portal.privacy_tables import Kept, kept


def own_files(username: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Name and text of each; a table without rows has its header."""
    tables = kept()
    yield "read-me.txt", _read_me(username, tables)
    for own in OWN:
        yield f"{own.name}.csv", csv_lines(list(own.columns()), own.values(username))


def _read_me(username: str, tables: list[Kept]) -> Iterator[str]:
    yield _("What is kept of %(name)s, as of %(when)s.") % {"name": username, "when": written(timezone.now())} + "\n\n"
    yield _(
        "Each file is a table (CSV, UTF-8). Figures are in the unit that ends their name (_j joules, _us microseconds, "
        "_s seconds, _ms milliseconds since 1970 UTC, _w watts). A column that ends in _row leads to the column row of "
        "another table: runs to jobs, allocations to runs, ledger to allocations. The ledger's quarters are joules by "
        "quarter hour of a UTC day, from first_quarter on; the usage's hours have 12 figures for each hour. A text "
        "that a spreadsheet would compute begins with an apostrophe."
    )
    yield "\n\n"
    for table in tables:
        files = ", ".join(f"{name}.csv" for name in table.tables)
        yield f"{files}\n  {table.title}. {table.what.rstrip('.')}. {table.keeping}\n"
    yield "\n" + _("The readings of nodes hold no names and are not in it.") + "\n"
