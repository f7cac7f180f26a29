"""`/livez` and `/readyz`: for whatever watches the processes. No login, and nothing that is anybody's secret."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from measurements.selectors.work import LATE_SWEEPS, SLACK_S, heartbeats
from measurements.services.heartbeats import BEAT, SWEEP

REDIS_TIMEOUT_S = 2


@require_safe
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("alive\n", content_type="text/plain")


@require_safe
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """Whether database, queue and workers do their part; 503 with the reasons where one does not."""
    reasons = [*_database_faults(), *_redis_faults()]
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


def _database_faults() -> list[str]:
    try:
        if not _is_migrated():
            _is_migrated.cache_clear()
            return ["the database waits for manage.py migrate"]
        return _silent_workers()
    except DatabaseError:
        return ["the database does not answer"]


@cache
def _is_migrated() -> bool:
    """Whether the tables are those of this program; once they are, they stay so while it runs."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _silent_workers() -> list[str]:
    seen = heartbeats(datetime.now(UTC))
    longest_s = LATE_SWEEPS * settings.SWEEP_S + SLACK_S
    expected = [SWEEP, BEAT] if settings.REDIS_URL else [SWEEP]
    reasons = []
    for name in expected:
        if name not in seen:
            reasons.append(f"{name}: not seen yet")
        elif seen[name].age_s > longest_s:
            reasons.append(f"{name}: not seen for {seen[name].age_s:.0f} s")
    return reasons


def _redis_faults() -> list[str]:
    if not settings.REDIS_URL:
        return []
    try:
        timeouts = {"socket_timeout": REDIS_TIMEOUT_S, "socket_connect_timeout": REDIS_TIMEOUT_S}
        with redis.Redis.from_url(settings.REDIS_URL, **timeouts) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return ["Redis does not answer"]
    return []
