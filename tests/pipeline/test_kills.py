"""Commands killed at random points, then run again: the ledger is the undisturbed one, bit for bit.

Kills come as SIGKILL at an exact event (a sync, rename or removal of a file, a writing statement, a commit: before or
after it), and after random delays. Each series runs on until it has seen enough kills that really hit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.pipeline.conftest import Bases
from tests.pipeline.ledger_dump import differences
from tests.pipeline.site import Answer, Site

KILLS = 30  # of each kind of work, on each database
IN_A_ROW = 6  # on one site, before it may finish
SMALL_BLOCKS = {
    "measurements.services.attribution.BLOCK_NODES": 2,
    "measurements.services.attribution.COMMIT_ROWS": 30,
    "measurements.services.rollups.JOBS_AT_ONCE": 5,
}
KEEPS_ITS_STORE = """
from pathlib import Path
from django.conf import settings
from measurements.store import SampleStore
root = Path(settings.JOULEBOOK_VAR) / "samples"
paths = set(models.Segment.objects.exclude(path="").values_list("path", flat=True))
assert all((root / path).is_file() for path in paths), "a row without a file"
SampleStore().sweep(age_s=-1)
left = {p.relative_to(root).as_posix() for p in root.rglob("*.parquet")}
assert left == paths, "rubbish is left after a sweep, or more than rubbish was swept"
"""


Look = Callable[[Site], None]


class Executioner:
    """Runs a task and kills it: two times of three at an exact event, else after a delay."""

    def __init__(self, seed: str, undisturbed: Callable[[], Answer]) -> None:
        self.draw = random.Random(seed)
        before = time.monotonic()
        self.events = undisturbed().done().events
        self.seconds = time.monotonic() - before
        self.kills = 0
        assert self.events > 5

    def attempt(self, site: Site, *task: str, part: int = 1) -> bool:
        """Whether the task was killed, in the first 1/part of its work; otherwise it has come to its end."""
        if self.draw.random() < 2 / 3:
            answer = site.run(
                *task, watch=True, kill_at=self.draw.randint(1, max(self.events // part, 1)), set=SMALL_BLOCKS
            )
        else:
            running = site.start(*task, watch=True, set=SMALL_BLOCKS)
            answer = running.wait(kill_after_s=self.draw.uniform(0, self.seconds / part))
        if not answer.killed:
            answer.done()
            return False
        self.kills += 1
        return True

    def series(self, base: Site, task: str, look: Look, look_at_end: Look) -> None:
        """Kill a task until it has been killed often enough; look at the site after each kill and at the end."""
        while self.kills < KILLS:
            site = base.copy()
            for part in range(1, IN_A_ROW + 1):  # each leaves less to do
                if not self.attempt(site, task, part=part):
                    break
                look(site)
            site.run(task).done()
            look_at_end(site)


def finished_as(bases: Bases, site: Site) -> list[str]:
    """What differs from the undisturbed ledger once all is booked."""
    site.do("attribute")
    site.evaluate(KEEPS_ITS_STORE)
    return differences(site.dump(), bases.dump)


def test_ingest_killed_again_and_again(bases: Bases) -> None:
    whole = bases.described.copy()
    kills = 0
    executioners = {}
    for command in bases.commands:
        task = ("manage", *map(str, command))
        executioners[task] = Executioner(Path(command[1]).name, partial(whole.run, *task, watch=True))
    while kills < KILLS:
        site = bases.described.copy()
        for task, executioner in executioners.items():
            before = executioner.kills
            for _ in range(2):
                if not executioner.attempt(site, *task):
                    break
            site.run(*task).done()
            kills += executioner.kills - before
        assert finished_as(bases, site) == []


@pytest.mark.parametrize("task", ["fold_all", "compact_all"])
def test_fold_and_compaction_killed_again_and_again(bases: Bases, task: str) -> None:
    samples = bases.ingested.samples()
    executioner = Executioner(task, lambda: bases.ingested.copy().run(task, watch=True))
    last: list[Site] = []

    def unchanged(site: Site) -> None:
        assert differences(site.samples(), samples) == []
        last[:] = [site]

    executioner.series(bases.ingested, task, unchanged, unchanged)
    assert finished_as(bases, last[0]) == []


@pytest.mark.parametrize("task", ["book_only", "roll_up_only"])
def test_attribution_and_roll_ups_killed_again_and_again(bases: Bases, task: str) -> None:
    base = bases.ingested if task == "book_only" else bases.booked
    executioner = Executioner(task, lambda: base.copy().run(task, watch=True, set=SMALL_BLOCKS))

    def same(site: Site) -> None:
        assert finished_as(bases, site) == []

    executioner.series(base, task, lambda site: None, same)
