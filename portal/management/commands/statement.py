"""Prints an annual statement of a cluster, checks its hash, and closes it."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import localtime

from measurements.domain.statement import StatementFigures
from measurements.domain.units import kwh_from_joules
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, cluster_named, now
from measurements.models import Cluster
from measurements.selectors.statement import (
    FIRST_YEAR,
    LAST_YEAR,
    ClosedStatement,
    closed_statements,
    statement_figures,
)
from measurements.services.statements import NotClosed, close_statement
from portal.csvs import cell
from portal.statement_csv import statement_table

TAMPERED = 1
REASON_LENGTH = 1024


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Print a cluster's annual statement: the newest closed edition, else the draft. The hashes of all closed "
        "editions are computed anew; if one does not match, the exit code is 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which statement, and what to do with it."""
        parser.add_argument("--cluster", required=True, metavar="C")
        parser.add_argument("--year", required=True, type=int, metavar="Y", help="of the site's time zone")
        parser.add_argument("--edition", type=int, metavar="N", help="a closed edition; 0: the draft")
        parser.add_argument("--close", action="store_true", help="close the draft; a closed one is restated")
        parser.add_argument("--reason", default="", metavar="R", help="of a restatement")
        parser.add_argument("--csv", action="store_true", help="print the months as CSV, in base units")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Close if asked, then check and print."""
        cluster, year = cluster_named(options["cluster"]), options["year"]
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise CommandError(f"give a year from {FIRST_YEAR} to {LAST_YEAR}", returncode=USAGE)
        if len(options["reason"]) > REASON_LENGTH:
            raise CommandError(f"a reason has {REASON_LENGTH} characters at most", returncode=USAGE)
        if options["close"]:
            self._close(cluster, year, options["reason"])
        editions = closed_statements(cluster, year)
        chosen = _chosen(editions, options["edition"])
        figures = chosen.figures if chosen else statement_figures(cluster, year, now())
        if figures is not None:
            self._print(figures, chosen, options)
        tampered = [edition for edition in editions if not edition.intact]
        for edition in tampered:
            self.say(
                f"TAMPERED: what is stored of {cluster} {year} edition {edition.edition} does not have the hash "
                f"{edition.sha256} with which it was closed; do not use its figures"
            )
        if tampered:
            sys.exit(TAMPERED)

    def _close(self, cluster: Cluster, year: int, reason: str) -> None:
        try:
            closed = close_statement(cluster, year, None, now(), reason)
        except NotClosed as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        self.say(f"{cluster} {year}: edition {closed.edition} is closed, SHA-256 {closed.sha256}")

    def _print(self, figures: StatementFigures, chosen: ClosedStatement | None, options: dict[str, Any]) -> None:
        edition = chosen.edition if chosen else None
        if options["csv"]:
            header, rows = statement_table(figures, edition)
            writer = csv.writer(self.stdout, lineterminator="\r\n")
            writer.writerow(header)
            writer.writerows([cell(value) for value in row] for row in rows)
        elif options["json"]:
            self.print_json({"edition": edition} | _hash(chosen) | asdict(figures))
        else:
            self.stdout.write(_sentence(figures, chosen))


def _chosen(editions: list[ClosedStatement], wanted: int | None) -> ClosedStatement | None:
    """An edition, or None for the draft."""
    if wanted is None:
        return editions[-1] if editions else None
    found = next((edition for edition in editions if edition.edition == wanted), None)
    if found is None and wanted != 0:
        raise CommandError(f"there is no edition {wanted}; closed: {len(editions)}", returncode=NOTHING_USABLE)
    return found


def _hash(chosen: ClosedStatement | None) -> dict[str, Any]:
    if chosen is None:
        return {"sha256": None, "intact": None, "closed_at": None, "reason": ""}
    closed_at = chosen.closed_at.isoformat()
    return {"sha256": chosen.sha256, "intact": chosen.intact, "closed_at": closed_at, "reason": chosen.reason}


def _sentence(figures: StatementFigures, chosen: ClosedStatement | None) -> str:
    total = figures.total
    state = "draft" if chosen is None else f"edition {chosen.edition}, closed {localtime(chosen.closed_at):%Y-%m-%d}"
    emitted = "not supplied" if total.location_g is None else f"{total.location_g / 1000:.6g} kg CO2e"
    covered = "nothing measured" if total.coverage is None else f"{total.coverage:.1%} covered"
    hashed = f"; SHA-256 {chosen.sha256}" if chosen else ""
    return (
        f"{figures.cluster} {figures.year} ({state}): facility {kwh_from_joules(total.facility_j):.6g} kWh, jobs "
        f"{kwh_from_joules(total.jobs_j):.6g} kWh, Scope 2 location-based {emitted}, {covered}{hashed}"
    )
