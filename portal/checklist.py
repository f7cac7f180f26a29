"""The set-up in words: what each step is for, how it stands, and the command that does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.parsers.time_zone_country import country_of
from measurements.selectors.setup import Checklist, Item, State, Step

PYTHON = ".venv/bin/python manage.py"
NEW_CLUSTER = "NAME"  # what a command says where no cluster is known yet


@dataclass(frozen=True, slots=True)
class Line:
    """A step as it is shown."""

    title: str
    state: State
    sentence: str
    seen_at: datetime | None
    commands: tuple[str, ...]  # to paste; none where nothing is to be done


def lines(found: Checklist, looked_at: str = "") -> list[Line]:
    """The steps in words; the cure of what is missing: for the cluster looked at, else the one furthest along."""
    cluster = looked_at if looked_at in found.clusters else next(iter(found.clusters), NEW_CLUSTER)
    return [
        Line(_title(item.step), item.state, _sentence(item), item.seen_at, _commands(item, cluster))
        for item in found.items
    ]


def _title(step: Step) -> str:
    return {
        Step.SIGN_IN: _("Sign-in"),
        Step.NODES: _("Nodes"),
        Step.POWER: _("Power logs"),
        Step.JOBS: _("Jobs"),
        Step.PUE: _("Power usage effectiveness (PUE)"),
        Step.FACTOR: _("Emission factor"),
    }[step]


def _sentence(item: Item) -> str:
    if item.step == Step.NODES and item.state == State.DONE:
        return ngettext("%(count)d node is described.", "%(count)d nodes are described.", item.count) % {
            "count": item.count
        }
    if item.state == State.DONE:
        return {
            Step.SIGN_IN: _("There is somebody who can log in."),
            Step.POWER: _("Power samples come in."),
            Step.JOBS: _("Job records have come in."),
            Step.PUE: _("A PUE is declared, or the facility's meter gives it."),
            Step.FACTOR: _("A carbon intensity is declared: energy becomes emissions."),
        }[item.step]
    return {
        Step.SIGN_IN: _("Nobody can log in yet: make an administrator."),
        Step.NODES: _(
            "No node is known: have Slurm asked again and again (docs/slurm.md), or describe them from what Slurm "
            "says, from a ClusterCockpit file or a table."
        ),
        Step.POWER: _(
            "No power sample is known: give the log of any meter of the nodes, or have readings sent (docs/push.md) "
            "or fetched (docs/pull.md)."
        ),
        Step.JOBS: _(
            "No job is known: have Slurm asked again and again (docs/slurm.md), or export them from the batch system."
        ),
        Step.PUE: _(
            "None is declared: emissions leave out cooling and power distribution, and say so. A facility meter in the "
            "list of nodes measures it; or declare the one that the computing centre reports."
        ),
        Step.FACTOR: _(
            "No carbon intensity is declared, so there are no emissions yet. Published values of some 90 countries "
            "come with Joulebook: name the country whose grid feeds the cluster by its code (DE, FR, GB, …)."
        ),
    }[item.step]


def _zone() -> str:
    """The country of the site's time zone, where it is of one."""
    return country_of(timezone.get_default_timezone_name()) or "CODE"


def _commands(item: Item, cluster: str) -> tuple[str, ...]:
    if item.state == State.DONE:
        return ()
    lacking = cluster if cluster in item.lacking else next(iter(item.lacking), cluster)
    fields = "JobID,JobIDRaw,Cluster,Partition,Account,User,UID,Submit,Start,End,ElapsedRaw,State,NNodes,NCPUS"
    return {
        Step.SIGN_IN: (f"{PYTHON} createsuperuser",),
        Step.NODES: (
            _fed(cluster, "nodes"),
            _("# or, from files:"),
            "scontrol show node > nodes.txt",
            f"{PYTHON} load_nodes nodes.txt --cluster {cluster}",
        ),
        Step.POWER: (
            f"{PYTHON} ingest_power power.csv --cluster {cluster}",
            f"{PYTHON} attribute --cluster {cluster}",
        ),
        Step.JOBS: (
            _fed(cluster, "jobs"),
            _("# or, from files:"),
            f"TZ=UTC sacct --allusers --duplicates --allocations --parsable2 -S now-7days -E now "
            f"-o {fields},AllocTRES,NodeList,JobName > jobs.txt",
            f"{PYTHON} ingest_jobs jobs.txt --cluster {cluster} --time-zone UTC",
            f"{PYTHON} attribute --cluster {cluster}",
        ),
        Step.PUE: (f"{PYTHON} set_factors --cluster {lacking} --pue VALUE --source TEXT",),
        Step.FACTOR: (f"{PYTHON} load_factors", f"{PYTHON} set_factors --cluster {lacking} --zone {_zone()}"),
    }[item.step]


def _fed(cluster: str, what: str) -> str:
    """Have Slurm asked for it; a feed's name has no dots."""
    return f"{PYTHON} feed add {cluster.replace('.', '-')[:58]}-{what} --kind slurm-{what} --cluster {cluster}"
