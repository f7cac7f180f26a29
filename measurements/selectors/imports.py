"""Files given on the page, as it lists and shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Sum

from measurements.models import Batch, Cluster, Intake, Node, NodeAlias

PER_PAGE = 30
AT_WORK = (Intake.State.TRYING, Intake.State.QUEUED)


@dataclass(frozen=True, slots=True)
class Import:
    """A file with how far it is."""

    row: Intake
    at_work: bool
    begun: bool  # somebody is at it
    share: float | None  # of its bytes that are read; None where nobody knows
    rows: int
    bytes_per_s: float | None

    @property
    def undecided(self) -> bool:
        """Whether an operator is to decide."""
        return bool(self.row.state == Intake.State.TRIED)


@dataclass(frozen=True, slots=True)
class ImportsPage:
    """Some files, newest first; ``next_key`` names the place to go on from, None at the end."""

    rows: tuple[Import, ...]
    next_key: int | None
    undecided: int
    undecided_bytes: int

    @property
    def at_work(self) -> bool:
        """Whether any of them goes on by itself."""
        return any(one.at_work for one in self.rows)


def imports(now: datetime, before: int | None = None) -> ImportsPage:
    """Those given on the page, from those older than ``before`` on."""
    given = Intake.objects.exclude(given_by="")
    rows = given.select_related("cluster", "batch").defer("preview").order_by("-pk")
    found = list((rows if before is None else rows.filter(pk__lt=before))[: PER_PAGE + 1])
    shown = tuple(progress(row, now) for row in found[:PER_PAGE])
    waiting = given.filter(state=Intake.State.TRIED).order_by().aggregate(count=Count("pk"), size=Sum("size_bytes"))
    next_key = shown[-1].row.pk if len(found) > PER_PAGE else None
    return ImportsPage(shown, next_key, waiting["count"], waiting["size"] or 0)


def progress(row: Intake, now: datetime) -> Import:
    """How far a file is."""
    at_work = row.state in AT_WORK
    begun_at = row.report.get("begun_at") if at_work else None
    seconds = (now - datetime.fromisoformat(begun_at)).total_seconds() if begun_at else 0.0
    share = (row.done_bytes or 0) / row.size_bytes if row.size_bytes and at_work else None
    rate = (row.done_bytes or 0) / seconds if seconds > 0 else None
    return Import(row, at_work, bool(at_work and row.claimed_by), share, int(row.report.get("rows", 0)), rate)


def what_changed(row: Intake) -> set[str]:
    """What is another one than when a file was tried: nodes, batches. Its preview may say something else now."""
    before: dict[str, Any] = row.preview.get("known") or {}
    if row.state != Intake.State.TRIED or not before:
        return set()
    now = known_of(row.cluster)
    nodes = any(now[key] != before.get(key) for key in ("node", "alias"))
    return ({"nodes"} if nodes else set()) | ({"batches"} if now["batch"] != before.get("batch") else set())


def taken_before(row: Intake) -> Batch | None:
    """The batch that the same bytes made in the same cluster, while it is to be decided on."""
    sha256 = row.preview.get("sha256") if row.state == Intake.State.TRIED else None
    return (
        Batch.objects.filter(cluster=row.cluster_id, content=row.content, sha256=sha256).order_by("pk").last()
        if sha256
        else None
    )


def known_of(cluster: Cluster) -> dict[str, Any]:
    """What a preview depends on beside the file; where it is another one, the preview is old."""
    nodes = Node.objects.filter(cluster=cluster).aggregate(newest=Max("pk"))["newest"]
    aliases = NodeAlias.objects.filter(node__cluster=cluster).aggregate(newest=Max("pk"))["newest"]
    batch = Batch.objects.filter(cluster=cluster).aggregate(newest=Max("pk"))["newest"]
    return {"node": nodes, "alias": aliases, "batch": batch}
