"""Two workers and beat on Redis and PostgreSQL, killed again and again while input comes in, and Redis emptied.

The ledger is that of the commands run one after the other, bit for bit, and nothing waits longer than two sweeps.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from tests.pipeline.ledger_dump import differences
from tests.pipeline.rich_input import write_history, write_nodes
from tests.pipeline.site import Farm, Site
from tests.workers.compose import environment
from tests.workers.staff import Post
from tests.workers.waiting import Watch
from tests.workers.warm import warm

KILLS = 60  # of workers, and half as many of beat: thirty of each process
CLUSTERS = 3
STAFF = (("worker", "w1"), ("worker", "w2"), ("beat", "beat"))
LEAST_SWEEP_S = 5.0
LAST_WORK_S = 240.0
LONGEST_S = 120.0
Command = list[str | Path]


def history(folder: Path) -> tuple[list[Command], list[Command]]:
    """Descriptions of some clusters, and their input mixed as it may come in: in order for each of them."""
    nodes, queues = write_nodes(folder), write_history(folder)
    names = [f"c{i}" for i in range(CLUSTERS)]
    described = [[*line[:-1], name] for name in names for line in nodes]
    draw = random.Random(12)
    left = {name: [[name if word == "c" else word for word in line] for line in queues] for name in names}
    mixed: list[Command] = []
    while any(left.values()):
        mixed.append(left[draw.choice([name for name in names if left[name]])].pop(0))
    return described, mixed


@contextmanager
def staffed(posts: list[Post]) -> Iterator[None]:
    """All posts filled, and dismissed in the end."""
    for post in posts:
        post.fill()
    try:
        yield
    finally:
        for post in posts:
            post.dismiss()


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Somebody who looks at what waits, from beginning to end."""
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield
    finally:
        watch.stopping.set()
        thread.join()


def test_the_ledger_is_the_same_and_nothing_waits_longer_than_two_sweeps(
    postgres_farm: Farm, redis_url: str, tmp_path: Path
) -> None:
    described, commands = history(tmp_path)
    site = postgres_farm.new()
    began = time.monotonic()
    for line in described:
        site.do(*line)
    sweep_s = max(LEAST_SWEEP_S, 10 * (time.monotonic() - began) / len(described))  # this machine may be busy
    undisturbed = site.copy()
    url = f"{postgres_farm.url.rpartition('/')[0]}/{site.database}"
    variables = {"JOULEBOOK_VAR": str(site.var), "JOULEBOOK_WORKER_PROCESSES": "1"}
    variables["JOULEBOOK_SWEEP_S"] = f"{sweep_s:.1f}"
    environments = [environment(service, tmp_path, url, redis_url, **variables) for service in ("worker", "beat")]
    assert environments[0] == environments[1]  # so that one can be forked from where the other was
    watch = Watch(url, sweep_s)
    with warm(environments[0]) as forks:
        posts = [Post(service, name, tmp_path, forks) for service, name in STAFF]
        with staffed(posts), watched(watch):
            kill_again_and_again(posts, site, commands, url, redis_url, longest_s=sweep_s / LEAST_SWEEP_S)
            wait_until_done(site, posts)
    assert [post.kills for post in posts] == [KILLS // 2] * 3
    assert [row["error"] for row in site.rows("Intake") if row["faults"] or row["state"] != "done"] == []
    for line in commands:
        undisturbed.do(*line)
    undisturbed.do("attribute")
    assert differences(site.dump(), undisturbed.dump()) == []
    assert watch.seen > 100
    assert watch.most_sweeps <= 2, watch
    assert watch.longest_s <= max(6 * sweep_s, LONGEST_S), watch  # however slow the machine


def kill_again_and_again(
    posts: list[Post], site: Site, commands: list[Command], url: str, redis_url: str, *, longest_s: float
) -> None:
    """Give input bit by bit; at random points kill a worker, or beat, or both; once, empty Redis.

    A worker is spared while the other one starts: two that are dead do nothing, which is no news. From then on it has
    up to ``longest_s``: the slower the machine, the longer, for whoever is always killed before its end gets nowhere.
    """
    draw = random.Random(30)
    coming = list(commands)
    workers, beat = posts[:2], posts[2]
    with psycopg.connect(url, autocommit=True) as connection:
        for round_ in range(KILLS):
            for _ in range(-(-len(coming) // (KILLS - round_))):
                site.do(*coming.pop(0), "--queue")
            workers[round_ % 2 - 1].wait_until_seen(connection)
            time.sleep(draw.uniform(0.0, longest_s))
            for post in (workers[round_ % 2], beat) if round_ % 2 else (workers[0],):
                post.kill()
                post.fill()
            if round_ == KILLS // 2:
                with redis.Redis.from_url(redis_url) as client:
                    client.flushall()


def wait_until_done(site: Site, posts: list[Post]) -> None:
    """Until no file and no mark is left."""
    limit = time.monotonic() + LAST_WORK_S
    left = "print(models.Intake.objects.filter(state='queued').count(), models.DirtyNodeDay.objects.count(), "
    left += "models.DirtyJob.objects.count(), models.DirtyDay.objects.count())"
    while site.evaluate(left).split() != ["0"] * 4:
        if time.monotonic() > limit:
            pytest.fail(f"left: {site.evaluate(left)}\n" + "\n".join(post.log()[-3_000:] for post in posts))
        time.sleep(0.3)
