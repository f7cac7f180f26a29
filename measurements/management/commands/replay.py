"""Tries refused lines again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.domain.units import datetime_from_ms, day_start_ms
from measurements.management.base import NOTHING_USABLE, JoulebookCommand, cluster_named, now, utc_day
from measurements.models import Quarantine
from measurements.parsers.records import UnusableFile
from measurements.selectors.refused import RefusedFilter, refused_rows
from measurements.services.replay import Outcome, replay

BY = "manage.py replay"


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Read refused lines again, by the nodes, ceilings and mappings of today: what passes now goes in as a part of "
        "the batch that brought it, the rest stays in quarantine. Doing it twice changes nothing. docs/operations.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which refusals."""
        parser.add_argument("--cluster", metavar="C", help="of this cluster alone")
        parser.add_argument(
            "--reason",
            metavar="R",
            action="append",
            default=[],
            help="for this reason alone, as 'unknown node'; repeat it",
        )
        parser.add_argument("--batch", metavar="ID", type=int, help="of this batch alone")
        parser.add_argument("--since", metavar="D", type=utc_day, help="of batches that came in from this UTC day on")
        parser.add_argument("--dry-run", action="store_true", help="say what would go in, store nothing")
        self.add_json(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        """One reason of a batch after the other, the oldest batch first."""
        rows = refused_rows(_filter(options)).order_by("batch_id", "pk")
        done = [one for pk in list(rows.values_list("pk", flat=True)) if (one := self._one(pk, now(), options))]
        if options["json"]:
            self.print_json(_summed(done) | {"dry_run": options["dry_run"], "reasons": [asdict(one) for one in done]})
        else:
            self._tell(done, dry_run=options["dry_run"])

    def _one(self, pk: int, at: datetime, options: dict[str, Any]) -> Outcome | None:
        try:
            return replay(pk, BY, at, dry_run=options["dry_run"])
        except UnusableFile as fault:  # a mapping file of the site's own
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault

    def _tell(self, done: list[Outcome], *, dry_run: bool) -> None:
        for one in done:
            words = f"{one.tried} tried, {one.went_in} {'would go' if dry_run else 'went'} in"
            words += f", {one.tried - one.settled} refused as before" if one.tried > one.settled else ""
            words += f", {one.moved} refused for something else" if one.moved else ""
            untried = f", {one.untried} counted but not kept" if one.untried else ""
            more = ", more samples than were kept: give the same file again" if one.more else ""
            self.stdout.write(f"batch {one.batch}, {one.reason}: {words}{untried}{more}")
        if not done:
            self.say("nothing of this is refused")


def _filter(options: dict[str, Any]) -> RefusedFilter:
    cluster = cluster_named(options["cluster"]).name if options["cluster"] else ""
    since = options["since"]
    batch = options["batch"]
    if batch is not None and not Quarantine.objects.filter(batch=batch).exists():
        raise CommandError(f"nothing of a batch {batch} is or was refused", returncode=NOTHING_USABLE)
    return RefusedFilter(
        start=datetime_from_ms(day_start_ms(since)) if since else None,
        cluster=cluster,
        batch=batch,
        reasons=tuple(options["reason"]),
    )


def _summed(done: list[Outcome]) -> dict[str, int]:
    names = ("tried", "went_in", "settled", "moved", "untried")
    return {name: sum(getattr(one, name) for one in done) for name in names}
