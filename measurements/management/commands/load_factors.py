"""manage.py load_factors: the offline package of published factors, or a site's own files of the same form."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.management.base import NOTHING_USABLE, JoulebookCommand, now
from measurements.parsers.records import UnusableFile
from measurements.services.factors import Loaded, OtherValue, load_package


class Command(JoulebookCommand):
    """Stores published factors; what is stored already stays as it is."""

    help = (
        "Stores the published factors that come with the software: carbon intensity of countries by year, emission "
        "factors of fuels, equivalents. Or those of TOML files of the same form (docs/factors.md). Run it after each "
        "migrate; what is known already changes nothing, and no network is needed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which files."""
        parser.add_argument("files", nargs="*", metavar="FILE", type=Path, help="a site's own; none: the package")
        parser.add_argument("--dry-run", action="store_true", help="only say what is new")
        self.add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load, and say what is new."""
        try:
            done = load_package(now(), options["files"] or None, dry_run=options["dry_run"])
        except (UnusableFile, OtherValue) as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        if options["json"]:
            self.print_json({"dry_run": options["dry_run"], "files": [asdict(one) for one in done]})
            return
        for one in done:
            if one.series or one.values or one.factors:
                self.stdout.write(f"{one.name}: {_words(one)}")
        if not any(one.values or one.factors for one in done):
            self.stdout.write("factors: nothing new")


def _words(one: Loaded) -> str:
    parts = [f"{one.series} new series", f"{one.values} new values", f"{one.factors} new factors"]
    if one.days_priced:
        parts.append(f"{one.days_priced} days priced anew")
    return ", ".join(part for part in parts if not part.startswith("0 "))
