"""manage.py pull_intensity: providers of carbon intensity, switched on and off, and how they stand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.domain.carbon import Basis
from measurements.domain.units import datetime_from_ms
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, now, utc_day
from measurements.models import Pull
from measurements.providers.known import PROVIDERS
from measurements.services.pulls import NotPossible, Turn, disable, enable, pull_one


class Command(JoulebookCommand):
    """Switches pulls on and off, pulls at once, lists them."""

    help = (
        "Shows which providers of carbon intensity are asked, and how that stands. None is asked before --enable: "
        "docs/carbon-providers.md says what is sent to whom, and under which licence the values come."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which pull, and what to do with it."""
        parser.add_argument("--provider", choices=sorted(PROVIDERS), help="all, where it is left out")
        parser.add_argument("--zone", metavar="Z", help="as the provider names it: de, DE, SE-SE3, GB, 13")
        parser.add_argument("--basis", choices=[basis.value for basis in Basis], help="what the values count")
        parser.add_argument("--mix", choices=["production", "consumption"], help="where the provider does not say")
        parser.add_argument("--since", metavar="D", type=utc_day, help="first UTC day; again from there if it is on")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--enable", action="store_true", help="ask this provider from now on")
        what.add_argument("--disable", action="store_true", help="do not ask it any more; what it gave stays")
        what.add_argument("--list", action="store_true", help="only show (as without any of these)")
        parser.add_argument("--now", action="store_true", help="pull at once, until all is fetched or a call fails")
        self.add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Switch, pull, show."""
        chosen = [self._enabled(options)] if options["enable"] else _chosen(options)
        if options["disable"]:
            for pull in chosen:
                disable(pull)
        errors = [error for pull in chosen for error in self._pulled(pull)] if options["now"] else []
        self._show([pull.pk for pull in chosen], as_json=options["json"])
        if errors:
            raise CommandError("; ".join(errors), returncode=NOTHING_USABLE)

    def _enabled(self, options: dict[str, Any]) -> Pull:
        if not (options["provider"] and options["zone"] and options["basis"]):
            raise CommandError("--enable needs --provider, --zone and --basis", returncode=USAGE)
        basis, mix = Basis(options["basis"]), options["mix"] or ""
        try:
            pull = enable(options["provider"], options["zone"], basis, mix, options["since"], now())
        except NotPossible as fault:
            raise CommandError(str(fault), returncode=USAGE) from fault
        self.say(f"series {pull.series}: it prices nothing before a cluster's supply names it")
        return pull

    def _pulled(self, pull: Pull) -> Iterator[str]:
        """Turn after turn, as fast as the provider bears; the error that ended it."""
        turn = pull_one(pull.pk, now(), at_once=True)
        while turn is not None and turn.behind and not turn.error:
            self.say(_progress(turn))
            time.sleep(PROVIDERS[pull.provider].pause_s * PROVIDERS[pull.provider].calls_a_turn)
            turn = pull_one(pull.pk, now(), at_once=True)
        if turn is None:
            self.say(f"{pull}: switched off, or somebody else is at it")
        elif turn.error:
            yield turn.error
        else:
            self.say(_progress(turn))

    def _show(self, chosen: list[int], *, as_json: bool) -> None:
        rows = [_as_json(pull) for pull in Pull.objects.filter(pk__in=chosen).select_related("series")]
        if as_json:
            self.print_json({"pulls": rows})
            return
        for row in rows:
            state = "on" if row["enabled"] else "off"
            self.stdout.write(f"{row['provider']} {row['zone']} {row['basis']} ({row['series']}): {state}")
            self.stdout.write(f"  since {row['since']}, fetched up to {row['fetched_up_to'] or 'nothing yet'}")
            self.stdout.write(f"  {row['attribution']} [{row['licence']}]")
            if row["failures"]:
                self.stdout.write(f"  failed {row['failures']} times in a row, tried again at {row['next_at']}")
            if row["last_error"]:
                self.stdout.write(f"  {row['last_error']}")
        if not rows:
            self.say("no provider is asked; see --help")


def _chosen(options: dict[str, Any]) -> list[Pull]:
    pulls = Pull.objects.select_related("series").order_by("provider", "zone", "pk")
    names = {"provider": "provider", "zone": "zone__iexact", "basis": "series__basis"}
    wanted = {field: options[name] for name, field in names.items() if options[name]}
    chosen = list(pulls.filter(**wanted))
    if wanted and not chosen:
        raise CommandError("no such pull; --list shows those there are", returncode=NOTHING_USABLE)
    if options["disable"] and not wanted:
        raise CommandError("--disable needs --provider, --zone or --basis", returncode=USAGE)
    return chosen


def _progress(turn: Turn) -> str:
    reached = datetime_from_ms(turn.pull.cursor_ms or 0)
    return f"{turn.pull}: {turn.stored} slots new, {turn.changed} revised, up to {_text(reached)}"


def _as_json(pull: Pull) -> dict[str, Any]:
    return {
        "provider": pull.provider,
        "zone": pull.zone,
        "basis": pull.series.basis,
        "series": pull.series.slug,
        "enabled": pull.enabled,
        "since": pull.since.isoformat(),
        "fetched_up_to": None if pull.cursor_ms is None else _text(datetime_from_ms(pull.cursor_ms)),
        "next_at": _text(pull.next_at),
        "last_ok_at": _text(pull.last_ok_at),
        "failures": pull.failures,
        "last_error": pull.last_error,
        "licence": pull.series.licence,
        "attribution": pull.series.attribution,
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%MZ")
