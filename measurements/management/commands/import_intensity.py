"""Takes files of carbon intensities."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from measurements.domain.carbon import Basis, Method
from measurements.domain.units import datetime_from_ms
from measurements.domain.zones import is_zone, near_zones
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, known_format, now, time_zone
from measurements.models import IntensitySeries
from measurements.parsers.detect_intensity import INTENSITY_PARSERS
from measurements.parsers.intensity_records import IntensityOptions
from measurements.parsers.intensity_steps import MINUTE_MS
from measurements.parsers.intensity_units import to_g_per_kwh
from measurements.parsers.records import UnusableFile
from measurements.parsers.source import Source
from measurements.services.intensity_import import Taken, take_intensity

OF_A_SERIES = ("zone", "basis", "mix", "gas", "method", "source_title", "edition", "licence", "attribution", "note")
_COUNTS = ("read", "stored", "changed", "unchanged", "missing", "elsewhere")


def minutes(text: str) -> int:
    """An argument in minutes, as ms."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1440:
        raise argparse.ArgumentTypeError(f"{text!r}: give the length of a slot in minutes, as in --step 60")
    return int(text) * MINUTE_MS


def unit(text: str) -> str:
    """An argument that is a unit of carbon intensity."""
    if to_g_per_kwh(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no unit that is known: g/kWh, kg/MWh, t/MWh, g/MJ, lbs/MWh")
    return text


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Store carbon intensities from files (docs/formats.md) in a series, and price the days anew that it prices. "
        "A series that is not there yet is created with --zone and --basis."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH… --series, what the files do not say themselves, and what a new series is."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, or - for standard input")
        parser.add_argument("--series", required=True, metavar="SLUG", help="where the values belong")
        parser.add_argument("--format", metavar="F", help="the format, where it is not to be detected")
        parser.add_argument("--unit", type=unit, metavar="U", help="of the values, where the header does not say it")
        parser.add_argument("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times")
        parser.add_argument("--step", type=minutes, metavar="MIN", help="length of a slot, where the times do not tell")
        parser.add_argument("--column", metavar="NAME", help="the column of the values, where several could be it")
        parser.add_argument("--year", type=int, metavar="Y", help="of a table that names none")
        parser.add_argument("--zone-in-file", metavar="Z", help="how the file calls the series' zone")
        parser.add_argument("--estimated", action="store_true", help="all of it is estimated or forecast")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, store nothing")
        self.add_json(parser)
        series = parser.add_argument_group("a new series")
        series.add_argument("--zone", metavar="Z", help="DE, FR, US-CAL-CISO, …")
        series.add_argument("--basis", choices=[basis.value for basis in Basis], help="what the values count")
        series.add_argument("--mix", choices=IntensitySeries.Mix.values, help="which electricity")
        series.add_argument("--gas", choices=IntensitySeries.Gas.values, help="default: CO2e")
        series.add_argument("--method", choices=[method.value for method in Method], help="default: location_based")
        series.add_argument("--source-title", metavar="T", help="who publishes it")
        series.add_argument("--edition", metavar="E", help="of the publication: a year, a number, a version")
        series.add_argument("--licence", metavar="L")
        series.add_argument("--url", metavar="URL", dest="source_url", help="where it is published")
        series.add_argument("--attribution", metavar="A", help="what the licence asks to be shown")
        series.add_argument("--note", metavar="N")

    def handle(self, *args: Any, **options: Any) -> None:
        """Each path is an import of its own."""
        known_format(options["format"], INTENSITY_PARSERS)
        series = _series(options)
        said = IntensityOptions(
            zone=options["zone_in_file"] or "",
            unit=options["unit"] or "",
            column=options["column"] or "",
            time_zone=options["time_zone"],
            step_ms=options["step"],
            year=options["year"],
            estimated=options["estimated"],
        )
        taken: list[Taken] = []
        faults: list[str] = []
        for path in options["paths"]:
            try:
                with self.sources([path]) as sources:
                    for source in sources:
                        self._take(source, series, said, options, taken, faults)
            except CommandError as fault:  # not there, or not readable: the others go in
                self._refuse(str(fault), faults)
        if options["json"]:
            self.print_json(_as_json(series, taken, faults, dry_run=options["dry_run"]))
        if not any(one.usable for one in taken):
            sys.exit(NOTHING_USABLE)

    def _take(
        self,
        source: Source,
        series: IntensitySeries,
        said: IntensityOptions,
        options: dict[str, Any],
        taken: list[Taken],
        faults: list[str],
    ) -> None:
        try:
            one = take_intensity(source, series, said, now(), fmt=options["format"], dry_run=options["dry_run"])
        except UnusableFile as fault:
            self._refuse(str(fault), faults)
        except ValidationError as fault:
            raise CommandError(f"series {series.slug}: {'; '.join(fault.messages)}", returncode=USAGE) from fault
        else:
            taken.append(one)
            self._tell(one, dry_run=options["dry_run"])

    def _refuse(self, reason: str, faults: list[str]) -> None:
        self.say(f"refused: {reason}")
        faults.append(reason)

    def _tell(self, one: Taken, *, dry_run: bool) -> None:
        done = one.stored
        what = {"slots": "slots", "year": "years", "month": "months"}[one.resolution]
        would = " (dry run: nothing is stored)" if dry_run else ""
        self.say(
            f"{one.source}: {done.read} rows read as {one.fmt}; {what}: {done.stored} new, {done.changed} revised, "
            f"{done.unchanged} as before, {done.missing} without a value{would}"
        )
        if done.mean_g_per_kwh is not None:
            self.say(
                f"  {_text(done.first_ms)} to {_text(done.last_ms)}, mean over time {done.mean_g_per_kwh:.1f} g/kWh, "
                f"{done.estimated} estimated"
            )
        if done.changed:
            self.say(f"  the largest revision is {done.largest_change_g_per_kwh:.1f} g/kWh")
        if done.elsewhere:
            self.say(f"  {done.elsewhere} rows of other zones are left")
        if done.incomplete:
            self.say(f"  {done.incomplete} slots leave their quarter hour unfilled and are left")
        for note in one.notes:
            self.say(f"  note: {note}")
        for row in done.refused:
            self.say(f"  {row['count']} × {row['reason']}, first on line {row['first_line']}: {row['example']}")


def _series(options: dict[str, Any]) -> IntensitySeries:
    """The series that is named, or one that is not stored yet."""
    slug = options["series"]
    said = {name: options[name] for name in (*OF_A_SERIES, "source_url") if options[name]}
    series = IntensitySeries.objects.filter(slug=slug).first()
    if series is None:
        if not (options["zone"] and options["basis"]):
            known = ", ".join(IntensitySeries.objects.values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(
                f"no series {slug!r} (known: {known}); create it with --zone Z --basis direct or lifecycle",
                returncode=NOTHING_USABLE,
            )
        if not is_zone(options["zone"]):
            raise CommandError(
                f"zone {options['zone']!r} is not known: give a country's code, perhaps with a part behind a hyphen "
                f"(DE, US-CAL-CISO); near to it: {', '.join(near_zones(options['zone']))}",
                returncode=NOTHING_USABLE,
            )
        return IntensitySeries(slug=slug, **said)
    for name, value in said.items():
        if getattr(series, name) != value:
            raise CommandError(
                f"series {slug} has {name.replace('_', ' ')} {getattr(series, name)!r}, not {value!r}; "
                "a series stays what it is: import into another one",
                returncode=USAGE,
            )
    return series


def _as_json(series: IntensitySeries, taken: list[Taken], faults: list[str], *, dry_run: bool) -> dict[str, Any]:
    done = [one.stored for one in taken]
    timed = [one for one in done if one.mean_g_per_kwh is not None]
    quarters = sum(one.quarters for one in timed)
    total = sum((one.mean_g_per_kwh or 0.0) * one.quarters for one in timed)
    return {
        "series": series.slug,
        "zone": series.zone,
        "basis": series.basis,
        "resolution": sorted({one.resolution for one in taken}),
        **{name: sum(getattr(one, name) for one in done) for name in (*_COUNTS, "estimated")},
        "refused": _refused(taken, faults),
        "first": _text(min((one.first_ms for one in timed if one.first_ms is not None), default=None)),
        "last": _text(max((one.last_ms for one in timed if one.last_ms is not None), default=None)),
        "mean_g_per_kwh": total / quarters if quarters else None,
        "dry_run": dry_run,
        "notes": [note for one in taken for note in one.notes],
    }


def _refused(taken: list[Taken], faults: list[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in taken:
        for row in one.stored.refused:
            known = found.setdefault(
                row["reason"], {"reason": row["reason"], "count": 0, "first_line": row["first_line"]}
            )
            known["count"] += row["count"]
    whole = [{"reason": fault, "count": 1, "first_line": 1} for fault in faults]
    return [*found.values(), *whole]


def _text(ms: int | None) -> str | None:
    return None if ms is None else datetime_from_ms(ms).strftime("%Y-%m-%dT%H:%MZ")
