"""Files given to the import console, for whoever tests their way: a small cluster, uploads, what trying finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management import call_command

from measurements.models import Cluster, Intake
from measurements.services.giving import Upload
from measurements.services.trying import try_next

NODES = "node,node_type,cpus\nn1,a,8\nn2,a,8\n"
POWER = """timestamp,node,watts
2026-03-01T12:00:00Z,n1,100
2026-03-01T12:01:00Z,n1,110
2026-03-01T12:02:00Z,n1,120
2026-03-01T12:00:00Z,n3,70
"""
JOBS = """job_id,user,account,state,start,end,nodes
1,alice,physics,COMPLETED,2026-03-01T12:00:00Z,2026-03-01T12:01:00Z,n1
2,SECRETNAME,physics,COMPLETED,2026-03-01T12:05:00Z,2026-03-01T12:01:00Z,n1
"""


def now() -> datetime:
    """The clock that services are given."""
    return datetime.now(UTC)


def described(folder: Path, nodes: str = NODES) -> Cluster:
    """The cluster c with its nodes, as the command loads them."""
    (folder / "nodes.csv").write_text(nodes)
    call_command("load_nodes", folder / "nodes.csv", cluster="c")
    return Cluster.objects.get(name="c")


def uploaded(
    cluster: Cluster, content: str | bytes, name: str = "log.csv", *, holds: str = "", by: str = "olga", **options: Any
) -> Intake:
    """A file that was given and waits to be tried."""
    upload = Upload(name)
    upload.write(content.encode() if isinstance(content, str) else content)
    upload.close()
    return upload.give(cluster, holds, options, by, now())


def tried(row: Intake | None = None) -> Intake:
    """A file once it was tried: this one, or the newest."""
    assert try_next(now)
    found = Intake.objects.get(pk=row.pk) if row else Intake.objects.latest("pk")
    assert found.state == Intake.State.TRIED, found.error
    return found


def found_in(cluster: Cluster, content: str | bytes, name: str = "log.csv", **how: Any) -> dict[str, Any]:
    """What trying a file finds."""
    preview: dict[str, Any] = tried(uploaded(cluster, content, name, **how)).preview
    return preview
