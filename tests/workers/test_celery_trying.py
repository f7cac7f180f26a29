"""A file given on the page is tried, and taken, by a real Celery worker on a real Redis: nobody waits for a sweep."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from tests.house import ROOT
from tests.pipeline.site import Farm, Site
from tests.workers.compose import environment
from tests.workers.staff import Post
from tests.workers.warm import warm

SECONDS = 240.0
NEVER_S = "600"  # nobody sweeps: only what is asked for is done
NODES = "node,node_type\nn1,a\n"
POWER = "timestamp,node,watts\n2026-03-01T12:00:00Z,n1,100\n2026-03-01T12:01:00Z,n1,110\n2026-03-01T12:00:00Z,n9,1\n"
GIVE = """
from datetime import UTC, datetime
from pathlib import Path
from measurements import models
from measurements.services.giving import Upload
from portal.views.operations_imports import nudge
for path in {logs!r}:
    upload = Upload(Path(path).name)
    upload.write(Path(path).read_bytes())
    upload.close()
    upload.give(models.Cluster.objects.get(), "", {{}}, "olga", datetime.now(UTC))
nudge()
"""
TAKE = """
from datetime import UTC, datetime
from measurements import models
from measurements.services.trying import accept
from portal.views.operations_imports import nudge
for row in models.Intake.objects.order_by("pk"):
    assert accept(row.pk, row.preview["version"], datetime.now(UTC))
nudge()
"""


@contextmanager
def one_worker(url: str, variables: dict[str, str], folder: Path) -> Iterator[None]:
    """A worker as docker-compose starts it, and no beat."""
    with warm(variables) as forks, closing(psycopg.connect(url, autocommit=True)) as connection:
        post = Post("worker", "w1", folder, forks)
        post.fill()
        try:
            post.wait_until_seen(connection)
            yield
        finally:
            post.dismiss()


def until(true: Callable[[], bool]) -> None:
    patience = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < patience, "it never came to that"
        time.sleep(0.1)


def told(variables: dict[str, str], source: str) -> None:
    """What the page does, in a process that knows the queue."""
    words = [sys.executable, "manage.py", "shell", "-c", source]
    subprocess.run(words, cwd=ROOT, env=variables, check=True, capture_output=True)


def states(site: Site) -> list[str]:
    return [row["state"] for row in site.rows("Intake")]


def test_files_are_tried_and_taken_by_a_celery_worker_as_soon_as_they_are_given(
    postgres_farm: Farm, redis_url: str, tmp_path: Path
) -> None:
    site = postgres_farm.new()
    (tmp_path / "nodes.csv").write_text(NODES)
    site.do("load_nodes", tmp_path / "nodes.csv", "--cluster", "c")
    logs = [tmp_path / f"day{day}.csv" for day in (1, 2, 3)]
    for day, path in enumerate(logs, start=1):
        path.write_text(POWER.replace("03-01", f"03-0{day}"))
    url = f"{postgres_farm.url.rpartition('/')[0]}/{site.database}"
    settings = {"JOULEBOOK_VAR": str(site.var), "JOULEBOOK_WORKER_PROCESSES": "1", "JOULEBOOK_SWEEP_S": NEVER_S}
    variables = environment("worker", tmp_path, url, redis_url, **settings)
    with one_worker(url, variables, tmp_path):
        told(variables, GIVE.format(logs=[str(path) for path in logs]))
        until(lambda: states(site) == ["tried"] * 3)
        found = [row["preview"] for row in site.rows("Intake")]
        assert [(one["stored"], one["refused_count"]) for one in found] == [(2, 1)] * 3
        assert site.rows("Batch") == []
        told(variables, TAKE)
        until(lambda: states(site) == ["done"] * 3)
    assert sorted((row["stored"], row["refused"]) for row in site.rows("Batch")) == [(2, 1)] * 3
