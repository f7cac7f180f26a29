"""The one writer of `PageRead`: who was shown what is somebody else's, a row a reader, subject, page and UTC day.

The site promises people that they see who looked. So it is written before the page is sent, and what cannot be written
is not shown: `NotNoted` ends the request. One's own pages never get here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import DatabaseError, connection

from measurements.models import PageRead
from measurements.services.bulk import adapted

AT_ONCE = 200  # rows of one statement


class Page(StrEnum):
    """Where somebody was shown it; how a page calls it: `portal.privacy`."""

    JOB = "job"
    JOBS = "jobs"
    JOBS_TABLE = "jobs table"  # the list as a file
    COMPARISON = "comparison"
    NODE = "node"
    PROJECT = "project"
    PROJECT_TABLE = "project table"
    API_JOB = "api job"
    API_PROJECT = "api project"
    MAIL = "mail"  # a project's sums, in the mail to who leads it


class NotNoted(Exception):
    """It could not be noted that somebody reads what is somebody else's."""


def note_reads(reader: str, usernames: Iterable[str], page: Page, now: datetime) -> None:
    """Note that ``reader`` is shown what these people ran; their own and jobs of nobody are left out."""
    _note(reader, [(name, "") for name in sorted(set(usernames) - {reader, ""})], page, now)


def note_project_read(reader: str, projects: Iterable[str], page: Page, now: datetime) -> None:
    """Note that ``reader`` is shown what belongs to these projects."""
    _note(reader, [("", name) for name in sorted(set(projects) - {""})], page, now)


def _note(reader: str, subjects: list[tuple[str, str]], page: Page, now: datetime) -> None:
    for first in range(0, len(subjects), AT_ONCE):
        try:
            _count(reader, subjects[first : first + AT_ONCE], page, now)
        except DatabaseError as fault:
            raise NotNoted(f"{reader} reads {page}") from fault


def _count(reader: str, subjects: list[tuple[str, str]], page: Page, now: datetime) -> None:
    """One statement, so that two at once are both counted; sorted, so that two never wait for each other."""
    table = connection.ops.quote_name(PageRead._meta.db_table)
    day, at = adapted(now.astimezone(UTC).date()), connection.ops.adapt_datetimefield_value(now)
    values = [value for subject in subjects for value in (reader, *subject, str(page), day, 1, at)]
    rows = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(subjects))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (reader, username, project, page, day, count, last_at) VALUES {rows} "  # noqa: S608 - names of our own
            "ON CONFLICT (username, project, reader, page, day) "
            f"DO UPDATE SET count = {table}.count + 1, last_at = EXCLUDED.last_at",
            values,
        )


def forget_reads(now: datetime) -> int:
    """Remove what is older than the site keeps it; how many rows."""
    before = now.astimezone(UTC).date() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    return PageRead.objects.filter(day__lt=before).delete()[0]
