"""Tells what a user's or a project's jobs drew, by time and group: the sums that the pages show."""

from __future__ import annotations

import argparse
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from measurements.domain.units import kwh_from_joules
from measurements.domain.usage import Granularity
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, utc_day
from measurements.models import Job
from measurements.selectors.usage import Asked, Dimension, Scope, Usage, usage
from measurements.selectors.usage_json import usage_json


class Command(JoulebookCommand):
    """See help."""

    help = "Tell what the jobs of a user or a project drew, by time and group: user NAME | project NAME."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, when, how it is divided."""
        parser.add_argument("what", choices=["user", "project"])
        parser.add_argument("name")
        parser.add_argument("--first", type=utc_day, metavar="D", help="first day, of the site's zone")
        parser.add_argument("--last", type=utc_day, metavar="D", help="last day, included")
        parser.add_argument("--group-by", type=Dimension, choices=list(Dimension), default=Dimension.NODE_TYPE)
        parser.add_argument("--bars", type=Granularity, choices=list(Granularity), default=Granularity.DAY)
        parser.add_argument(
            "--filter", type=_filter, action="append", default=[], metavar="KEY=VALUE", help="may be given again"
        )
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, and tell."""
        is_user = options["what"] == "user"
        scope = Scope(username=options["name"]) if is_user else Scope(projects=(options["name"],))
        key = "username" if is_user else "account"
        if not Job.objects.filter(**{key: options["name"]}).exists():
            raise CommandError(f"no jobs of {options['what']} {options['name']}", returncode=NOTHING_USABLE)
        found = usage(scope, _asked(options))
        if options["json"]:
            self.print_json(usage_json(found))
        else:
            self.stdout.write("\n".join(_lines(found)))


def _filter(text: str) -> tuple[Dimension, str]:
    key, sign, value = text.partition("=")
    if not sign or key not in set(Dimension):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(f'{name}=…' for name in Dimension)}")
    return Dimension(key), value


def _asked(options: dict[str, Any]) -> Asked:
    last: date = options["last"] or timezone.localdate()
    first: date = options["first"] or date(last.year, last.month, 1)
    if last < first:
        raise CommandError(f"--last {last} lies before --first {first}", returncode=USAGE)
    filters: dict[Dimension, tuple[str, ...]] = {}
    for name, value in options["filter"]:
        filters[name] = (*filters.get(name, ()), value)
    zone = ZoneInfo(timezone.get_default_timezone_name())
    return Asked(first, last, zone, options["bars"], options["group_by"], filters)


def _lines(found: Usage) -> list[str]:
    """A line a group."""
    joules = found.cells.energy_j.sum(axis=0).tolist()
    rows = [f"{kwh_from_joules(j):12.6g} kWh  {name or '-'}" for name, j in zip(found.groups, joules, strict=True)]
    total = f"{kwh_from_joules(found.energy_j):12.6g} kWh  from {found.asked.first} to {found.asked.last}"
    return [*(rows if found.elapsed_s else []), total]
