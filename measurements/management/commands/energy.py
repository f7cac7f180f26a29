"""Tells what a job, user, project, node or cluster drew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from measurements.domain.units import kwh_from_joules
from measurements.management.base import (
    NOTHING_USABLE,
    USAGE,
    JoulebookCommand,
    cluster_named,
    until_day,
    utc_day,
)
from measurements.models import Job, Node
from measurements.selectors.energy import (
    Energy,
    Period,
    energy_of_cluster,
    energy_of_job,
    energy_of_jobs,
    energy_of_node,
)
from measurements.selectors.lookup import find_jobs


class Command(JoulebookCommand):
    """See help."""

    help = "Tell the energy of: job CLUSTER JOBID | user NAME | project NAME | node NAME | cluster NAME."

    def add_arguments(self, parser: CommandParser) -> None:
        """What, which, when."""
        parser.add_argument("what", choices=["job", "user", "project", "node", "cluster"])
        parser.add_argument("names", nargs="+", metavar="NAME", help="of a job: its cluster and its id")
        parser.add_argument("--cluster", metavar="C", help="only on this cluster")
        parser.add_argument("--since", type=utc_day, metavar="D", help="first UTC day")
        parser.add_argument("--until", type=utc_day, metavar="D", help="first UTC day not included any more")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Find, add up, tell."""
        what, names = options["what"], options["names"]
        if len(names) != (2 if what == "job" else 1):
            raise CommandError(f"give {what} {'CLUSTER JOBID' if what == 'job' else 'NAME'}", returncode=USAGE)
        period = Period(options["since"], until_day(options["since"], options["until"]))
        energy = getattr(self, f"_{what}")(names, options["cluster"], period)
        if options["json"]:
            self.print_json(energy.as_json())
        else:
            self.stdout.write(_sentence(what, names, energy))

    def _job(self, names: list[str], cluster_name: str | None, period: Period) -> Energy:
        cluster = cluster_named(names[0])
        jobs = list(find_jobs(cluster, names[1]))
        if not jobs:
            raise _unknown(f"no job {names[1]} on {cluster}")
        group = names[1].endswith("*")
        if len(jobs) > 1 and not group:
            self.say(f"note: {len(jobs)} jobs had the id {names[1]}; this is the newest")
        return energy_of_job(jobs if group else jobs[:1], period)

    def _user(self, names: list[str], cluster_name: str | None, period: Period) -> Energy:
        return self._jobs(Job.objects.filter(username=names[0]), cluster_name, f"no jobs of user {names[0]}", period)

    def _project(self, names: list[str], cluster_name: str | None, period: Period) -> Energy:
        return self._jobs(Job.objects.filter(account=names[0]), cluster_name, f"no jobs of project {names[0]}", period)

    def _jobs(self, jobs: QuerySet[Job], cluster_name: str | None, missing: str, period: Period) -> Energy:
        if cluster_name:
            jobs = jobs.filter(cluster=cluster_named(cluster_name))
        if not jobs.exists():
            raise _unknown(missing)
        return energy_of_jobs(jobs, period)

    def _node(self, names: list[str], cluster_name: str | None, period: Period) -> Energy:
        nodes = Node.objects.filter(name=names[0])
        if cluster_name:
            nodes = nodes.filter(cluster=cluster_named(cluster_name))
        found = list(nodes[:2])
        if not found:
            raise _unknown(f"no node {names[0]}")
        if len(found) > 1:
            raise CommandError(f"several clusters have a node {names[0]}; say --cluster", returncode=USAGE)
        return energy_of_node(found[0], period)

    def _cluster(self, names: list[str], cluster_name: str | None, period: Period) -> Energy:
        return energy_of_cluster(cluster_named(names[0]), period)


def _unknown(message: str) -> CommandError:
    return CommandError(message, returncode=NOTHING_USABLE)


def _sentence(what: str, names: list[str], energy: Energy) -> str:
    coverage = "nothing measured" if energy.coverage is None else f"{energy.coverage:.1%} covered"
    return (
        f"{what} {' '.join(names)}: {kwh_from_joules(energy.energy_j):.6g} kWh in {energy.jobs} jobs "
        f"and {energy.node_hours:.6g} node-hours; {coverage}, {energy.quality}"
    )
