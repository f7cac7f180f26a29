"""Asking for tasks: a hint that is lost costs nothing but the time until the next sweep."""

from __future__ import annotations

import logging

import redis
from celery import Task
from celery.exceptions import OperationalError
from django.conf import settings

logger = logging.getLogger(__name__)
ENOUGH = 8  # messages in a queue: each task that finds work asks for the next one
TIMEOUT_S = 5


def hint(task: Task, *args: str, number: int = 1, even_if_full: bool = False) -> None:
    """Ask for a task so many times, as far as its queue is not full already."""
    queue = "ingest" if task.name.startswith("ingest.") else "rollup"
    try:
        room = number if even_if_full else min(number, ENOUGH - messages_in(queue))
        for _ in range(room):
            task.apply_async(args, expires=2 * settings.SWEEP_S, retry=False)
    except (redis.RedisError, OperationalError, OSError) as fault:
        logger.warning("no hint for %s: %s", task.name, fault)


def messages_in(queue: str) -> int:
    """How many messages wait in a queue."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
        return int(client.llen(queue))
