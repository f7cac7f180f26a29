"""The Celery app: ``celery --app workers.celery worker`` and ``celery --app workers.celery beat``.

The queue holds hints only. What there is to do stands in the database, so that any message may be lost, come twice or
come late: tasks carry no data, expire, and are asked for again by the sweep.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

from django.conf import settings

from workers.schedule import SCHEDULE

VISIBILITY_S = 3_600  # after that Redis gives a task that nobody acknowledged to another worker
HARD_LIMIT_S, SOFT_LIMIT_S = 3_300, 3_000  # hence every task ends before

app = Celery("joulebook", broker=settings.REDIS_URL or None, include=["workers.tasks", "workers.signals"])
app.conf.update(
    task_routes={"ingest.*": {"queue": "ingest"}, "rollup.*": {"queue": "rollup"}},
    task_default_queue="rollup",
    task_create_missing_queues=True,
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_time_limit=HARD_LIMIT_S,
    task_soft_time_limit=SOFT_LIMIT_S,
    worker_prefetch_multiplier=1,
    worker_concurrency=settings.WORKER_PROCESSES,
    worker_enable_remote_control=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"visibility_timeout": VISIBILITY_S, "socket_timeout": 30, "socket_connect_timeout": 5},
    beat_schedule=SCHEDULE,
    beat_scheduler="workers.schedule:Beat",
    timezone="UTC",
)


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Messages go where the settings say; Celery would set up its own otherwise."""
