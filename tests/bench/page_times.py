"""Pages at a million jobs: server time of a request, view and template, and how many queries it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import quantiles

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from measurements.models import Job
from tests.bench.harness import Row, Scale, median_s, timed
from tests.bench.many_jobs import CLUSTER, HEAVY_USER, USUAL_USER, make

BOUND_MS = 100.0
BOUND_QUERIES = 10
MONTH = "first=2025-02-09&last=2025-03-10"
OPERATOR = "operator"
PERMISSIONS = ("view_all_jobs", "view_operations")


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, and by whom."""

    what: str
    viewer: str
    url: str


def page_rows(scale: Scale) -> list[Row]:
    """A row a page: the median of warm requests; and the most queries of any."""
    make(scale.many_jobs, scale.users)
    operator = User.objects.create_user(OPERATOR)
    operator.user_permissions.add(*Permission.objects.filter(codename__in=PERMISSIONS))
    clients = {OPERATOR: client_of(operator)}
    for name in (HEAVY_USER, USUAL_USER):
        clients[name] = client_of(User.objects.create_user(name))
    rows, queries = [], {}
    for page in pages(scale.many_jobs):
        client = clients[page.viewer]
        queries[page.what] = queries_of(client, page.url)
        milliseconds = median_s(lambda client=client, url=page.url: client.get(url), scale.requests) * 1e3  # type: ignore[misc]
        rows.append(Row(f"{page.what}, {scale.many_jobs:,} jobs", milliseconds, "ms", BOUND_MS))
    operations = queries.pop("operations", None)  # shows many tables, and is no page of jobs
    if operations is not None:
        rows.append(Row("queries of operations", operations, "queries"))
    rows += _every_user(scale)
    most = max(queries, key=lambda what: queries[what])
    rows.append(Row(f"most queries of these pages ({most})", queries[most], "queries", BOUND_QUERIES))
    return rows


def pages(jobs: int) -> Iterator[Page]:
    """The list of jobs in many ways, a user's month, and the cluster's."""
    listed = reverse("jobs")
    yield Page("job list, operator", OPERATOR, listed)
    yield Page("job list, deep", OPERATOR, f"{listed}?after={_place(jobs // 3)}")
    yield Page("job list, user with a third of all jobs", HEAVY_USER, listed)
    yield Page("the same, deep", HEAVY_USER, f"{listed}?after={_place(jobs // 4, HEAVY_USER)}")
    yield Page("job list, usual user with sums", USUAL_USER, listed)
    for what, query in FILTERS.items():
        yield Page(f"job list by {what}", OPERATOR, f"{listed}?{query}")
    yield Page("five days of one user with sums", HEAVY_USER, f"{listed}?first=2025-03-01&last=2025-03-05")
    yield Page("a user's month", USUAL_USER, f"{reverse('energy')}?{MONTH}")
    yield Page("month of the user with a third of all jobs", HEAVY_USER, f"{reverse('energy')}?{MONTH}")
    year = "/?first=2024-03-11&last=2025-03-10&group=state"
    yield Page("year of the user with a third of all jobs", HEAVY_USER, year)
    yield Page("report of a user's year", USUAL_USER, "/report/?first=2024-03-11&last=2025-03-10")
    yield Page("cluster page, month", OPERATOR, f"{reverse('cluster', args=[CLUSTER])}?{MONTH}")
    try:
        yield Page("operations", OPERATOR, reverse("operations"))
    except NoReverseMatch:
        return


def _every_user(scale: Scale) -> list[Row]:
    """Pages of usage of users drawn at random: the 95th percentile of one request each, after a first one."""
    draw = random.Random(3)
    names = [f"u{draw.randrange(scale.users):04d}" for _ in range(min(scale.drawn_users, scale.users))]
    clients = [client_of(User.objects.get_or_create(username=name)[0]) for name in names]
    rows = []
    for what, url in OF_EVERYBODY.items():
        seconds = []
        for client in clients:
            client.get(url)
            seconds.append(timed(partial(client.get, url)))
        p95_ms = 1e3 * quantiles(seconds, n=20)[-1]
        rows.append(Row(f"{what}, 95th percentile of {len(names)} users", p95_ms, "ms", BOUND_MS))
    return rows


OF_EVERYBODY = {
    "my energy, month": f"/?{MONTH}",
    "my energy, year by state": "/?first=2024-03-11&last=2025-03-10&group=state",
    "my energy, month of emissions": f"/?{MONTH}&metric=emissions&group=project",
    "jobs behind a month": f"/energy/jobs/?{MONTH}",
    "calendar": "/calendar/?year=2024",
}
FILTERS = {
    "user": f"user={HEAVY_USER}",
    "project": "project=p07",
    "state": "state=FAILED",
    "failed states": "state=failed",
    "a rare state": "state=NODE_FAIL",
    "node type": "type=mixed",
    "name": "q=step5-",
    "a name that none has": "q=nowhere",
    "id": "q=1500",
    "array": "q=1000_*",
    "day": "first=2025-03-01&last=2025-03-01",
    "all at once": "user=u0000&state=failed&partition=gpu&type=gpu4&quality=metered&q=train",
    "quality that none has": "quality=estimated",
    "running": "running=on",
}


def client_of(user: User) -> Client:
    """Somebody who is logged in."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


def _place(depth: int, username: str = "") -> str:
    jobs = Job.objects.order_by("-start_ms", "-pk")
    jobs = jobs.filter(username=username) if username else jobs
    return "{}-{}".format(*jobs.values_list("start_ms", "pk")[min(depth, jobs.count() - 1)])


def queries_of(client: Client, url: str) -> int:
    """Of a warm request, which has to succeed."""
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        response = client.get(url)
        count = sum(not query["sql"].startswith("INSERT") for query in seen.captured_queries)  # who looked is noted
    if response.status_code != 200:
        raise RuntimeError(f"{url} answers {response.status_code}")
    return count
