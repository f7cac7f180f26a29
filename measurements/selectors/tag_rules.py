"""The rules that tag jobs, as they are applied, and what there is for them to look at."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.db.models import Count, Q

from measurements.domain.tagging import Rule, compiled
from measurements.models import Batch, Cluster, Job, TagRule

READ = ("comment", "admin_comment", "wckey", "name", "submit_line", "partition", "account")  # fields of a job
SHOWN_CHANGES = 20
NEWEST = 20_000  # jobs that are looked at
SACCT = ("sacct", "sacct-xdmod", "slurm-json")  # formats of Slurm's accounting


@dataclass(frozen=True, slots=True)
class SaidOnCluster:
    """How many of a cluster's newest jobs come with words that tag them."""

    cluster: str
    jobs: int
    comments: int  # the user's or the operator's
    wckeys: int
    submit_lines: int
    from_slurm: bool  # the newest input was Slurm's accounting

    @property
    def comment_share(self) -> float:
        """Of the jobs."""
        return self.comments / self.jobs

    @property
    def wckey_share(self) -> float:
        """Of the jobs."""
        return self.wckeys / self.jobs

    @property
    def submit_line_share(self) -> float:
        """Of the jobs."""
        return self.submit_lines / self.jobs

    @property
    def lacks_comments(self) -> bool:
        """Whether Slurm seems not to hand comments over."""
        return self.from_slurm and not self.comments


def rules_in_force(cluster: Cluster) -> tuple[Rule, ...]:
    """The rules of a cluster in their order, those switched off and those that are no regular expression left out."""
    return applied(rows_in_force(cluster.pk))


def rows_in_force(cluster_id: int) -> list[TagRule]:
    """The rows of the rules of a cluster that are switched on, in their order."""
    rows = TagRule.objects.filter(enabled=True).order_by("position", "pk")
    return [row for row in rows if row.cluster_id in (None, cluster_id)]


def applied(rows: Iterable[TagRule]) -> tuple[Rule, ...]:
    """Rules as they are applied, saved or not (then their number is 0)."""
    rules = []
    for row in rows:
        with suppress(ValueError):  # written past the forms: it says nothing, and ingest goes on
            pattern = compiled(row.pattern)
            rules.append(Rule(row.pk or 0, row.field, pattern, row.workload, row.phase, row.size, row.target))
    return tuple(rules)


def rule_changes() -> list[LogEntry]:
    """Who changed which rule, newest first; one query."""
    of_rules = LogEntry.objects.filter(content_type__app_label="measurements", content_type__model="tagrule")
    return list(of_rules.select_related("user").order_by("-action_time", "-pk")[:SHOWN_CHANGES])


def said_on_clusters() -> list[SaidOnCluster]:
    """What the newest jobs of each cluster come with; two queries."""
    newest = Job.objects.filter(start_ms__isnull=False).order_by("-start_ms", "-pk").values("pk")[:NEWEST]
    counts = (
        Job.objects.filter(pk__in=newest)
        .order_by("cluster__name")
        .values_list("cluster__name", "cluster")
        .annotate(
            jobs=Count("pk"),
            comments=Count("pk", filter=~Q(comment="") | ~Q(admin_comment="")),
            wckeys=Count("pk", filter=~Q(wckey="")),
            submit_lines=Count("pk", filter=~Q(submit_line="")),
        )
    )
    batches = Batch.objects.filter(content=Batch.Content.JOBS).order_by("-pk").values_list("cluster", "options")[:200]
    formats: dict[int, str] = {}
    for cluster, options in batches:
        formats.setdefault(cluster, str(options.get("format", "")))
    return [
        SaidOnCluster(name, jobs, said, wckeys, lines, formats.get(cluster, "").partition(":")[0] in SACCT)
        for name, cluster, jobs, said, wckeys, lines in counts
    ]
