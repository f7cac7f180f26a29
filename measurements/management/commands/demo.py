"""Set up the simulated cluster: write the files a site would have and send them through the real pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.models import Q, QuerySet

from measurements.demo.beside import Ended, give_way, refuse_to_outlive
from measurements.demo.boards import correct_node_types, draft_projects, publish_node_types, publish_people
from measurements.demo.cluster import CLUSTER_NAME, NODES
from measurements.demo.helper import EVERYTHING, helping
from measurements.demo.lots import FINE_DAYS, LEAST_DAYS, Lot, newest_from_s, plan_lots
from measurements.demo.members import declare_budgets, declare_members
from measurements.demo.morning import leave_questions
from measurements.demo.note import OtherLayout, Simulated, read_note, read_past, write_note, write_past
from measurements.demo.people import LOOK_AS, OPERATOR, PASSWORD, PERMISSIONS, SECOND_OPERATOR
from measurements.demo.progress import Progress
from measurements.demo.rhythm import DAY_S
from measurements.demo.site import add_past, book_all, describe, folder, take_in, take_late, without, written
from measurements.demo.stories import Late, find_stories
from measurements.demo.supply import blow, declare
from measurements.domain.units import MS_PER_S, day_from_ms, ms_from_datetime
from measurements.models import Board, Cluster
from measurements.services.editions import BoardRefused
from measurements.services.factors import load_package

DAYS = 400
SEED = 2212
SETTLED_S = 3_600  # a later start does not bother with less than this: the running site carries on by itself
WORTH_A_HELPER_DAYS = 4
LOGINS = (*LOOK_AS.values(), SECOND_OPERATOR, "bob")
TAKING_IN = 0.5  # share of the whole work; the rest is booking and adding up


class Command(BaseCommand):
    """Simulate a small cluster up to now and book its energy; a later start adds only what is new."""

    help = "Simulate a small cluster that ends now, and ingest and attribute it as a site's own logs would be."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=DAYS, help=f"whole UTC days before today (default {DAYS})")
        parser.add_argument("--seed", type=int, default=SEED, help="same seed and instant, same cluster")
        parser.add_argument("--now", default="", help="ISO 8601 instant with offset at which the simulation ends")
        parser.add_argument("--newest", action="store_true", help="the newest months; the next start adds those before")
        parser.add_argument(
            "--beside", type=int, default=0, metavar="PID", help="give way to other programs, and end when this one has"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        now_s = _instant_s(options["now"])
        if options["days"] < 0 or options["seed"] < 0:
            raise CommandError("--days and --seed are 0 or more")
        _refuse_a_real_site()
        if options["beside"]:
            give_way()
        done = _simulated(options["seed"]) or _begun(options["seed"], now_s, options["days"], newest=options["newest"])
        late = _late_for_boards(done, now_s)
        if now_s - done.until_s < SETTLED_S:
            self._supply(Cluster.objects.get(name=CLUSTER_NAME), done, now_s)
            if not options["beside"]:
                self._say("Simulated cluster: nothing new.")
        else:
            self._simulate(done, now_s, late.file_name if late and not Board.objects.exists() else "")
        declare_members()
        declare_budgets()
        if not options["beside"]:  # whoever made the newest months did it
            self._create_logins()
        if late:
            self._boards(late, day_from_ms(done.since_s * MS_PER_S), datetime.fromtimestamp(now_s, UTC))
            leave_questions(Cluster.objects.get(name=CLUSTER_NAME), done.seed, datetime.fromtimestamp(now_s, UTC))
        if not options["newest"] and _lacks_past() and self._past(done, now_s, options["beside"]) and late:
            self._boards(late, day_from_ms(done.since_s * MS_PER_S), datetime.fromtimestamp(now_s, UTC))

    def _past(self, done: Simulated, now_s: int, beside: int) -> bool:
        """Add the months that an earlier start left out; whether they are all there."""
        progress = None if beside else Progress(self._print, terminal=self.stderr.isatty())

        def shown(share: float, what: str) -> None:
            if beside:
                refuse_to_outlive(beside)
            if progress:
                progress.show(share, what)

        try:
            add_past(Cluster.objects.get(name=CLUSTER_NAME), done, now_s, shown)
        except Ended:
            return False
        if progress:
            progress.end()
        self._say("Simulated cluster: all its months are booked.")
        return True

    def _simulate(self, done: Simulated, now_s: int, held: str) -> None:
        """Write files for [until, now), run the pipeline over them but for one that is held back, and note it."""
        lots = plan_lots(done, now_s)
        days = sum(lot.days for lot in lots)
        self._say(f"Simulated cluster: {len(NODES)} nodes, {days:.1f} days. No figure of it is a measurement.")
        write_note(Path(settings.JOULEBOOK_VAR), done)  # a start that is killed goes on where it was
        cluster = describe(done, now_s)
        self._supply(cluster, done, now_s)
        progress = Progress(self._print, terminal=self.stderr.isatty())
        if days >= WORTH_A_HELPER_DAYS and _is_shared_database() and (os.cpu_count() or 1) > 1:
            self._with_helper(cluster, done, lots, progress, held)
        else:
            files = without(held, written(lots))
            take_in(cluster, done, files, lambda lot: progress.show(_taken(lots, lot), _named(lot)))
        book_all(cluster, lambda share, what: progress.show(TAKING_IN + (1 - TAKING_IN) * share, what))
        progress.end()
        self._say(f"Simulated cluster: booked up to {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC.")

    def _supply(self, cluster: Cluster, done: Simulated, now_s: int) -> None:
        """Its electricity: before the ledger is rolled up, so that every day is priced once."""
        load_package(datetime.now(UTC))
        declare(cluster, datetime.now(UTC))
        blow(done, datetime.fromtimestamp(now_s, UTC))

    def _with_helper(self, cluster: Cluster, done: Simulated, lots: list[Lot], progress: Progress, held: str) -> None:
        """Two processes: one writes the logs, this one takes them in, and the first books behind it."""
        with helping(folder(), lots) as helper:

            def took(lot: Lot) -> None:
                helper.release(day_from_ms((lot.end_s - DAY_S) * MS_PER_S))
                progress.show(_taken(lots, lot), _named(lot))

            take_in(cluster, done, without(held, helper.written(lots)), took)
            helper.release(EVERYTHING)
            book_all(cluster, lambda share, what: progress.show(TAKING_IN + (1 - TAKING_IN) * share, what))

    def _boards(self, late: Late, since: date, until: datetime) -> None:
        """Leaderboards: made before the newest late log comes in, and corrected after it. A killed start goes on."""
        steps: tuple[Callable[[], object], ...] = (
            lambda: publish_node_types(late),
            lambda: None if _lacks_past() else publish_people(since, until),  # of whole months
            lambda: draft_projects(until),
            lambda: take_late(Cluster.objects.get(name=CLUSTER_NAME)),
            lambda: correct_node_types(late),
        )
        for step in steps:
            try:
                step()
            except BoardRefused as refused:
                self._say(f"Not all leaderboards could be made: {refused}.")

    def _create_logins(self) -> None:
        """People to look around as, only where the site says that it is a demo."""
        if not settings.JOULEBOOK_DEMO:
            self._say("No logins made: set JOULEBOOK_DEMO=1 for people with the password 'demo'.")
            return
        for name in LOGINS:
            user, new = User.objects.get_or_create(username=name, defaults={"is_staff": name == OPERATOR})
            if new:
                user.set_password(PASSWORD)
                user.save()
            user.user_permissions.add(*_permissions(name))
        self._say(
            f"Log in as {', '.join(LOGINS)}, password '{PASSWORD}'; {OPERATOR} and {SECOND_OPERATOR} are operators."
        )

    def _say(self, line: str) -> None:
        self._print(f"{line}\n")

    def _print(self, text: str) -> None:
        self.stderr.write(text, self.style.SUCCESS, ending="")
        self.stderr.flush()


def _permissions(name: str) -> QuerySet[Permission]:
    """What somebody may see beyond their own jobs; the operator may look at all tables in the admin."""
    of_ours = Permission.objects.filter(content_type__app_label="measurements")
    own = Q(codename__in=PERMISSIONS.get(name, ()))
    return of_ours.filter(own | Q(codename__startswith="view_") if name == OPERATOR else own)


def _late_for_boards(done: Simulated, now_s: int) -> Late | None:
    """The log that comes late in the boards' story; None where there are no people to make boards, or too few days."""
    if not settings.JOULEBOOK_DEMO or now_s - done.since_s < LEAST_DAYS * DAY_S:
        return None
    return find_stories(done.seed, done.since_s, now_s).late


def _taken(lots: list[Lot], last: Lot) -> float:
    """The share of the whole work when a lot is taken in."""
    return TAKING_IN * (last.end_s - lots[0].start_s) / (lots[-1].end_s - lots[0].start_s)


def _named(lot: Lot) -> str:
    return f"taking in the logs up to {datetime.fromtimestamp(lot.end_s, UTC):%Y-%m-%d}"


def _instant_s(text: str) -> int:
    """The instant the simulation ends at, in whole seconds since the epoch."""
    if not text:
        return int(datetime.now(UTC).timestamp())
    try:
        return ms_from_datetime(datetime.fromisoformat(text)) // MS_PER_S
    except ValueError as fault:
        raise CommandError(f"--now {text}: {fault}; give an instant such as 2025-03-14T12:00:00+00:00") from fault


def _refuse_a_real_site() -> None:
    """Simulated joules and well-known passwords do not belong beside a real cluster's."""
    other = Cluster.objects.exclude(name=CLUSTER_NAME).values_list("name", flat=True).first()
    if other is not None:
        raise CommandError(f"this site has the cluster '{other}': the demo is for a site of its own (JOULEBOOK_VAR)")


def _simulated(seed: int) -> Simulated | None:
    """What an earlier start finished in this folder and database, if anything."""
    var, known = Path(settings.JOULEBOOK_VAR), Cluster.objects.filter(name=CLUSTER_NAME).exists()
    try:
        done = read_note(var) if known else None
    except OtherLayout as fault:
        raise CommandError(
            f"{var} holds the simulated cluster of an earlier version: remove that folder and start again"
        ) from fault
    if known and done is None:
        raise CommandError(
            f"this site has a cluster '{CLUSTER_NAME}' that was not simulated here: the demo is for another"
        )
    if done is not None and done.seed != seed:
        raise CommandError(f"the simulated cluster here has --seed {done.seed}: another one needs a site of its own")
    return done


def _begun(seed: int, now_s: int, days: int, *, newest: bool) -> Simulated:
    """Nothing so far; where it begins, and what of it is left for later."""
    today_s = now_s // DAY_S * DAY_S
    since_s = today_s - days * DAY_S
    from_s = max(newest_from_s(now_s), since_s) if newest else since_s
    write_past(Path(settings.JOULEBOOK_VAR), from_s if from_s > since_s else None)
    return Simulated(seed, since_s, max(since_s, today_s - FINE_DAYS * DAY_S), from_s)


def _lacks_past() -> bool:
    """Whether months are still to be added before the newest ones."""
    return read_past(Path(settings.JOULEBOOK_VAR)) is not None


def _is_shared_database() -> bool:
    """Whether another process sees what this one writes: not in a transaction, nor in memory."""
    in_memory = connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]
    return not in_memory and not connection.in_atomic_block
