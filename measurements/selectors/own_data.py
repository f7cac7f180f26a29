"""All that is kept of a person, table by table: what they can take away, and what `/privacy/` names.

A test fails when a model names persons and stands neither in `OWN` nor in `EXEMPT`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import models

from measurements.domain.packing import unpacked
from measurements.models import (
    Allocation,
    AllocationEnergy,
    BoardEvent,
    Budget,
    Digest,
    DigestChoice,
    Dismissal,
    FactorImport,
    Job,
    JobEnergy,
    JobTags,
    Membership,
    NameConsent,
    Objection,
    PageRead,
    Report,
    Run,
    Seat,
    SiteFactor,
    Statement,
    Supply,
    TagEdit,
    UsageDay,
    WorkloadJob,
)
from measurements.selectors.audit import reads_rows
from measurements.selectors.seats import seats_of

ROWS_AT_ONCE = 1_000
Value = Any


@dataclass(frozen=True, slots=True)
class Own:
    """A table with rows about persons: how a row names the person, and which fields are not that person's."""

    name: str
    model: type[models.Model]
    whose: str
    left_out: tuple[str, ...] = ()
    found: Callable[[str], models.QuerySet[Any]] | None = None  # where ``whose`` alone does not say it

    def rows(self, username: str) -> models.QuerySet[Any]:
        """This person's, and nobody else's."""
        if self.found:
            return self.found(username)
        return self.model._default_manager.filter(**{self.whose: username})

    def fields(self) -> list[models.Field[Any, Any]]:
        """Those that the person gets."""
        return [field for field in self.model._meta.concrete_fields if field.name not in self.left_out]

    def columns(self) -> dict[str, str]:
        """The header of its file, and where each column is from: rows of machine and projects by their names."""
        return dict(_column(field) for field in self.fields())

    def values(self, username: str) -> Iterator[list[Value]]:
        """The person's rows, oldest first, read in lots."""
        rows = self.rows(username).order_by("pk").values_list(*self.columns().values())
        for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
            yield [_plain(value) for value in row]


def _column(field: models.Field[Any, Any]) -> tuple[str, str]:
    if field.primary_key and not field.is_relation:
        return "row", field.name
    if not isinstance(field, models.ForeignKey):
        return field.name, field.name
    named = {f.name for f in field.related_model._meta.concrete_fields} & {"username", "name"}
    if field.related_model is Job or not named:
        return f"{field.name}_row", field.attname
    return field.name, f"{field.name}__{max(named)}"


def _plain(value: Any) -> Value:
    """Packed figures one by one, what is nested as JSON."""
    if isinstance(value, bytes | memoryview):
        return " ".join(map(repr, unpacked(value).tolist()))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


OWN: tuple[Own, ...] = (
    Own("account", User, "username", ("password",)),
    Own("groups", User.groups.through, "user__username"),
    Own("permissions", User.user_permissions.through, "user__username"),
    Own("jobs", Job, "username"),
    Own("runs", Run, "job__username", ("cancelled_by_uid",)),
    Own("allocations", Allocation, "run__job__username"),
    Own("job-energy", JobEnergy, "job__username"),
    Own("ledger", AllocationEnergy, "job__username"),
    Own("usage", UsageDay, "username"),
    Own("tags", JobTags, "job__username"),
    Own("tags-set", TagEdit, "job__username", ("edited_by",)),
    Own("compared", WorkloadJob, "username"),
    Own("memberships", Membership, "username"),
    Own("budgets", Budget, "owner"),
    Own("reports", Report, "username"),
    Own("dismissed-advice", Dismissal, "username"),
    Own("mail-choice", DigestChoice, "username"),
    Own("mails", Digest, "username"),
    Own("reads-by-others", PageRead, "username", found=reads_rows),
    Own("reads-of-others", PageRead, "reader", ("username", "project")),
    Own("places-on-boards", Seat, "whose", found=seats_of),
    Own("names-on-boards", NameConsent, "username"),
    Own("objections", Objection, "username", ("answered_by",)),
    Own("board-events", BoardEvent, "username"),
    Own("tags-set-by-me", TagEdit, "edited_by", ("job",)),
    Own("objections-answered", Objection, "answered_by", ("username", "text")),
    Own("declared-factors", SiteFactor, "author"),
    Own("declared-supplies", Supply, "author"),
    Own("imported-factors", FactorImport, "author"),
    Own("closed-statements", Statement, "closed_by__username", ("figures",)),
    Own("admin-log", LogEntry, "user__username", ("object_id", "object_repr", "change_message")),
)

# Models that name persons, or hang on jobs, and are not in it; why.
EXEMPT: dict[str, str] = {
    "measurements.DirtyJob": "that a job's total is to be made anew: gone in seconds, and nothing but the job's number",
    "measurements.Board": "who made it stands in board-events",
    "measurements.Edition": "who drafted, submitted, approved it stands in board-events; who objected, in objections",
}

# Fields of the tables above that are left out of the file; why.
LEFT_OUT: dict[str, str] = {
    "password": "only a check value is kept; whoever has it could try passwords",
    "cancelled_by_uid": "the number of whoever cancelled the run, who may be somebody else",
    "edited_by": "who set the tags may be somebody else",
    "job": "whose tags one set may be somebody else's job",
    "answered_by": "who answered is somebody else",
    "text": "what somebody objected is theirs",
    "username": "whose page one looked at, or whose objection one answered, is that person's",
    "project": "likewise",
    "figures": "the machine's, not the person's",
    "object_id": "what was changed in the administration may be somebody else's",
    "object_repr": "likewise",
    "change_message": "likewise",
}
