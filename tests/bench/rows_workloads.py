"""Workloads, node types and leaderboards at a million jobs, two in five of them tagged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse

from measurements.models import Board, Cluster
from measurements.services.editions import BoardRefused, Refusal, draft, make_board, submit
from tests.bench.harness import TINY, Row, Scale, median_s, timed
from tests.bench.many_jobs import USUAL_USER
from tests.bench.page_times import MONTH, client_of, queries_of
from tests.bench.workload_world import LARGEST, PHASE, SIZE, UNIT, make_workloads
from tests.bench.world import World

BOUND_MS, BOUND_QUERIES, BOUND_DRAFT_S = 200.0, 10, 10.0
REQUESTS = 7
ADMIN = "publisher"
PERMISSIONS = ("view_all_jobs", "view_operations", "publish_boards")
NOW = datetime(2025, 4, 15, tzinfo=UTC)
YEAR = date(2024, 3, 11), date(2025, 3, 10)
HALF = date(2024, 9, 10), date(2025, 3, 10)  # the half before it is its past
OF_WORK = {"workload": LARGEST, "phase": PHASE, "size": SIZE, "unit": UNIT}
BOARDS = {
    ("idle_accelerators", "user"): (YEAR, {}),
    ("failed_energy", "user"): (YEAR, {}),
    ("failed_energy", "project"): (YEAR, {}),
    ("energy_per_work", "user"): (YEAR, OF_WORK),
    ("energy_per_work", "project"): (YEAR, OF_WORK),
    ("improvement", "user"): (HALF, OF_WORK | {"size": ""}),
    ("node_types", "node_type"): (YEAR, OF_WORK),
}


def rows(world: World) -> list[Row]:
    """Pages and boards."""
    cluster = make_workloads(world.scale)
    admin = User.objects.get_or_create(username=ADMIN)[0]
    admin.user_permissions.add(*Permission.objects.filter(codename__in=PERMISSIONS))
    admin = User.objects.get(pk=admin.pk)  # permissions are kept with whom they were read for
    reader = User.objects.get_or_create(username=USUAL_USER)[0]
    with override_settings(BOARDS_OF_PERSONS=True):
        return [*_pages(world.scale, client_of(admin), client_of(reader)), *_drafts(world.scale, cluster, admin)]


def _pages(scale: Scale, admin: Client, reader: Client) -> Iterator[Row]:
    queries: dict[str, int] = {}
    for what, client, url in (
        ("page of the largest workload", reader, reverse("workload", args=[LARGEST])),
        ("page of the largest workload, all jobs seen", admin, reverse("workload", args=[LARGEST])),
        ("list of workloads", reader, reverse("workloads")),
        ("list of workloads, all jobs seen", admin, reverse("workloads")),
        ("node types, month", reader, f"{reverse('node-types')}?{MONTH}"),
        ("node types, month, operator", admin, f"{reverse('node-types')}?{MONTH}"),
        ("nodes that draw more, month", admin, f"{reverse('node-outliers')}?{MONTH}"),
    ):
        queries[what] = queries_of(client, url)
        milliseconds = median_s(partial(client.get, url), min(REQUESTS, scale.requests)) * 1e3
        yield Row(f"{what}, {scale.many_jobs:,} jobs", milliseconds, "ms", BOUND_MS)
    most = max(queries, key=lambda what: queries[what])
    yield Row(f"most queries of these ({most})", queries[most], "queries", BOUND_QUERIES)


def _drafts(scale: Scale, cluster: Cluster, admin: User) -> Iterator[Row]:
    for (kind, scope), (days, of_work) in BOARDS.items():
        board = make_board(
            admin, NOW, slug=f"{kind}-{scope}".replace("_", "-"), title=f"{kind} of {scope}", kind=kind, scope=scope,
            cluster=cluster, **of_work
        )  # fmt: skip
        seconds = timed(partial(_freeze, scale, board, days, admin))
        yield Row(f"board drafted and frozen: {kind}, {scope}", seconds, "s", BOUND_DRAFT_S)
        board.editions.all().delete()  # of two boards of the same jobs one would stand in the way of the other


def _freeze(scale: Scale, board: Board, days: tuple[date, date], admin: User) -> None:
    try:
        submit(draft(board, *days, admin, NOW), admin, NOW)
    except BoardRefused as refused:
        if scale is not TINY or refused.code is not Refusal.NOTHING_TO_SHOW:  # there are too few people at that size
            raise
