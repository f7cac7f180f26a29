"""What a site still lacks before it shows anybody's energy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import User
from django.db.models import Max, QuerySet

from measurements.domain.units import datetime_from_ms
from measurements.models import Batch, Cluster, Node


class State(StrEnum):
    """Of one step of the set-up."""

    DONE = "done"
    MISSING = "missing"
    LATER = "later"  # of a later version: nothing to do yet


class Step(StrEnum):
    """The steps, in the order in which they are done."""

    SIGN_IN = "sign_in"
    NODES = "nodes"
    POWER = "power"
    JOBS = "jobs"
    PUE = "pue"
    FACTOR = "factor"


@dataclass(frozen=True, slots=True)
class Item:
    """One step: how it stands, what there is, and when it was last seen."""

    step: Step
    state: State
    count: int = 0
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checklist:
    """All steps, and the clusters there are."""

    items: tuple[Item, ...]
    clusters: tuple[str, ...]


def checklist() -> Checklist:
    """How far the set-up is; five queries."""
    people = User.objects.filter(is_active=True).aggregate(seen_at=Max("last_login"), newest=Max("pk"))
    machine = Node.objects.aggregate(newest_ms=Max("last_sample_ms"))
    jobs_at = jobs_taken().aggregate(newest=Max("committed_at"))["newest"]
    newest_ms = machine["newest_ms"]
    nodes = Node.objects.filter(level=Node.Level.NODE).count()
    return Checklist(
        (
            Item(Step.SIGN_IN, _state(people["newest"] is not None), seen_at=people["seen_at"]),
            Item(Step.NODES, _state(nodes > 0), nodes),
            Item(Step.POWER, _state(newest_ms is not None), seen_at=_instant(newest_ms)),
            Item(Step.JOBS, _state(jobs_at is not None), seen_at=jobs_at),
            Item(Step.PUE, State.LATER),
            Item(Step.FACTOR, State.LATER),
        ),
        tuple(Cluster.objects.values_list("name", flat=True)),
    )


def jobs_taken() -> QuerySet[Batch]:
    """The inputs that brought any job; one of which all was refused brought none."""
    return Batch.objects.filter(content=Batch.Content.JOBS, stored__gt=0)


def _state(there: bool) -> State:  # noqa: FBT001 - a question
    return State.DONE if there else State.MISSING


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime_from_ms(ms)
