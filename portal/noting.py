"""Notes who is shown what is somebody else's, before it is sent; see `measurements.services.audit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol, TypeVar

from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from measurements.services.audit import Page, note_project_read, note_reads

ROWS_AT_ONCE = 1_000


class OfSomebody(Protocol):
    """A job, or a row about one."""

    @property
    def username(self) -> str:
        """Who ran it."""


Row = TypeVar("Row", bound=OfSomebody)


def note_jobs(request: HttpRequest, jobs: Iterable[OfSomebody], page: Page) -> None:
    """Note whose jobs this page shows; nothing of one's own."""
    note_reads(request.user.get_username(), {job.username for job in jobs}, page, timezone.now())


def note_projects(request: HttpRequest, names: Iterable[str], page: Page) -> None:
    """Note which projects' sums this page shows."""
    note_project_read(request.user.get_username(), names, page, timezone.now())


def note_change(request: HttpRequest, row: Model, flag: int, said: str = "") -> None:
    """Note who changed what of the site's settings: where Django's own administration notes it, too."""
    assert request.user.pk is not None  # noqa: S101 - logged in
    LogEntry.objects.log_actions(request.user.pk, [row], flag, change_message=said, single_object=True)


def noted(request: HttpRequest, rows: Iterable[Row], page: Page) -> Iterator[Row]:
    """The same rows, of a file that is streamed: each person is noted, once, before their first row goes out."""
    source, known = iter(rows), {request.user.get_username()}
    while lot := list(islice(source, ROWS_AT_ONCE)):
        new = {row.username for row in lot} - known
        note_reads(request.user.get_username(), new, page, timezone.now())
        known |= new
        yield from lot
