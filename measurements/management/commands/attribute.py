"""Books what is dirty."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Count, Sum

from measurements.domain.nodeday import Policy
from measurements.management.base import USAGE, JoulebookCommand, cluster_named, now, until_day, utc_day
from measurements.models import Cluster, DirtyDay, DirtyDoubt, DirtyJob, DirtyNodeDay, Doubt
from measurements.selectors.energy import Period
from measurements.selectors.reconciliation import closing
from measurements.services.attribution import attribute_dirty
from measurements.services.marks import dirty_jobs, release_dead
from measurements.services.policies import mark_period, set_policy
from measurements.services.push_folding import fold_pushes
from measurements.services.rollups import rebuild_rollups

WAIT_S = 0.2


class Command(JoulebookCommand):
    """See help."""

    help = "Book the energy of dirty node-days and rebuild totals; with dates, that period anew."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which cluster, which days, which policy."""
        parser.add_argument("--cluster", metavar="C", help="default: all clusters")
        parser.add_argument("--since", type=utc_day, metavar="D", help="first UTC day")
        parser.add_argument("--until", type=utc_day, metavar="D", help="first UTC day not included any more")
        parser.add_argument(
            "--policy",
            choices=[p.value for p in Policy],
            help="how shared nodes are split from now on, or in the period",
        )
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Until nothing is dirty, waiting for what others are at."""
        cluster = cluster_named(options["cluster"]) if options["cluster"] else None
        since, until = options["since"], until_day(options["since"], options["until"])
        clusters = [cluster] if cluster else list(Cluster.objects.all())
        if options["policy"] and not clusters:
            raise CommandError("no cluster to set a policy for; load nodes first", returncode=USAGE)
        for each in clusters:
            fold_pushes(each)
            if options["policy"]:
                set_policy(each, Policy(options["policy"]), since, until)
            if since or until:
                mark_period(each, since, until)
        rebuilt = self._book(cluster)
        figures = closing(clusters, Period(since, until), now())
        self.say(
            f"{rebuilt} node-days booked: metered {figures.metered_j:.6g} J = jobs {figures.jobs_j:.6g} J "
            f"+ unallocated {figures.unallocated_j:.6g} J"
        )
        self._tell_left_out(clusters, since, until)
        if options["json"]:
            self.print_json(figures.as_json() | {"node_days": rebuilt})

    def _tell_left_out(self, clusters: list[Cluster], since: date | None, until: date | None) -> None:
        """What plausibility rules keep out of these figures: nobody should look for it elsewhere."""
        left_out = Doubt.objects.filter(cluster__in=clusters, state=Doubt.State.REFUSED)
        left_out = left_out.filter(day__gte=since) if since else left_out
        left_out = left_out.filter(day__lt=until) if until else left_out
        rows = left_out.values_list("rule").annotate(samples=Sum("samples"), channels=Count("channel", distinct=True))
        for rule, samples, channels in rows.order_by("rule"):
            self.say(f"  left out by {rule}: {samples} samples of {channels} channels; see: manage.py doubts list")

    def _book(self, cluster: Cluster | None) -> int:
        rebuilt = 0
        while True:
            release_dead()
            waiting = DirtyNodeDay.objects.filter(cluster=cluster) if cluster else DirtyNodeDay.objects.all()
            with self.progress(" node-days", waiting.count()) as progress:
                rebuilt += attribute_dirty(now, cluster, progress)
            rebuild_rollups(now, cluster)
            if not _left(cluster):
                return rebuilt
            time.sleep(WAIT_S)  # another process holds the rest, or new input came in


def _left(cluster: Cluster | None) -> bool:
    if cluster is None:
        return any(model.objects.exists() for model in (DirtyDoubt, DirtyNodeDay, DirtyJob, DirtyDay))
    return (
        DirtyDoubt.objects.filter(cluster=cluster).exists()
        or DirtyNodeDay.objects.filter(cluster=cluster).exists()
        or dirty_jobs(cluster).exists()
        or DirtyDay.objects.filter(cluster=cluster).exists()
    )
