"""Reads who belongs to which project."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from measurements.management.base import NOTHING_USABLE, JoulebookCommand, known_format, utc_day
from measurements.models import Membership
from measurements.parsers.csv_rows import columns_in
from measurements.parsers.members import MemberList, joined
from measurements.parsers.members_csv import read_members_csv
from measurements.parsers.records import Refusal, UnusableFile
from measurements.parsers.sacctmgr import read_sacctmgr
from measurements.parsers.source import Source
from measurements.services.people import PeopleReport, load_members

READERS = {"csv": read_members_csv, "sacctmgr": read_sacctmgr}
SOURCES = {"csv": Membership.Source.CSV, "sacctmgr": Membership.Source.SACCTMGR}


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Read projects, members, leaders and deputies from CSV "
        "project,username,role[,valid_from,valid_to,parent,title] or from Slurm ('sacctmgr dump CLUSTER', several "
        "clusters in one call). Slurm's members who are gone end today; what was entered in the admin stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH…"""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file; - is standard input")
        parser.add_argument("--format", metavar="F", help="csv or sacctmgr (default: what the file looks like)")
        parser.add_argument(
            "--since", type=utc_day, metavar="D", help="first day of roles that are new in Slurm's list"
        )
        parser.add_argument("--partial", action="store_true", help="the list is not complete: end nobody's role")
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read all, then write in one transaction."""
        known_format(options["format"], READERS)
        form, found = self._read(options["paths"], options["format"])
        if options["partial"] and found.complete:
            found.complete = frozenset({"nobody"})  # a state still, but of no role
        report = load_members(
            found, SOURCES[form], timezone.localdate(), since=options["since"], dry_run=options["dry_run"]
        )
        refusals = [*found.refusals, *report.refusals]
        for refusal in report.refusals:
            self._say_refusal("", refusal)
        self._report(report, len(refusals), dry_run=options["dry_run"], as_json=options["json"])
        if not found.members and not found.projects:
            sys.exit(NOTHING_USABLE)

    def _read(self, paths: list[str], form: str | None) -> tuple[str, MemberList]:
        lists: list[MemberList] = []
        forms: set[str] = set()
        try:
            with self.sources(paths) as sources:
                for source in sources:
                    forms.add(form or _form_of(source))
                    lists.append(READERS[form or _form_of(source)](source))
                    self._say_all(source.name, lists[-1])
        except UnusableFile as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        if len(forms) != 1:
            raise CommandError("files of both formats, or none: load them one format at a time", returncode=2)
        return forms.pop(), joined(lists)

    def _say_all(self, name: str, found: MemberList) -> None:
        for warning in found.warnings:
            self.say(f"{name}: note: {warning}")
        for refusal in found.refusals:
            self._say_refusal(f"{name}: ", refusal)
        if found.refusals and found.complete:
            self.say(f"{name}: note: lines were refused, so nobody's role ends")

    def _say_refusal(self, name: str, refusal: Refusal) -> None:
        self.say(f"{name}line {refusal.line}: {refusal.reason}: {refusal.detail or refusal.text}")

    def _report(self, report: PeopleReport, refused: int, *, dry_run: bool, as_json: bool) -> None:
        would = "would be " if dry_run else ""
        self.say(
            f"{would}projects: {report.projects_created} new, {report.projects_changed} changed; "
            f"memberships: {report.created} new, {report.changed} changed, {report.ended} ended, "
            f"{report.unchanged} as before; {refused} lines refused"
        )
        if as_json:
            self.print_json(
                {
                    "dry_run": dry_run,
                    "projects_created": report.projects_created,
                    "projects_changed": report.projects_changed,
                    "created": report.created,
                    "changed": report.changed,
                    "ended": report.ended,
                    "unchanged": report.unchanged,
                    "refused": refused,
                }
            )


def _form_of(source: Source) -> str:
    """A CSV names its columns."""
    return "csv" if "project" in columns_in(source.head().decode("utf-8", errors="replace")) else "sacctmgr"
