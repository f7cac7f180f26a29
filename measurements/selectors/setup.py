"""What a site still lacks before it shows anybody's energy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import User
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from measurements.domain.carbon import Method
from measurements.domain.units import datetime_from_ms
from measurements.models import Batch, Cluster, Node, SiteFactor, Supply


class State(StrEnum):
    """Of one step of the set-up."""

    DONE = "done"
    MISSING = "missing"
    OPTIONAL = "optional"  # figures are made without it, and say so


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
    lacking: tuple[str, ...] = ()  # the clusters that lack it, those that are furthest along first


@dataclass(frozen=True, slots=True)
class Checklist:
    """All steps, and the clusters there are: those that are furthest along first."""

    items: tuple[Item, ...]
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Machine:
    """A cluster: how many of its steps are done, and its factors."""

    name: str
    steps: int
    has_pue: bool
    has_supply: bool


def checklist() -> Checklist:
    """How far the set-up is; four queries."""
    people = User.objects.filter(is_active=True).aggregate(seen_at=Max("last_login"), newest=Max("pk"))
    machine = Node.objects.aggregate(
        newest_ms=Max("last_sample_ms"), nodes=Count("pk", filter=Q(level=Node.Level.NODE))
    )
    jobs_at = jobs_taken().aggregate(newest=Max("committed_at"))["newest"]
    newest_ms = machine["newest_ms"]
    nodes = machine["nodes"]
    clusters = _clusters()
    begun = [one for one in clusters if one.steps] or clusters  # one by a typing error lacks nothing
    without_pue = tuple(one.name for one in begun if not one.has_pue)
    without_supply = tuple(one.name for one in begun if not one.has_supply)
    return Checklist(
        (
            Item(Step.SIGN_IN, _state(people["newest"] is not None), seen_at=people["seen_at"]),
            Item(Step.NODES, _state(nodes > 0), nodes),
            Item(Step.POWER, _state(newest_ms is not None), seen_at=_instant(newest_ms)),
            Item(Step.JOBS, _state(jobs_at is not None), seen_at=jobs_at),
            Item(
                Step.PUE,
                State.OPTIONAL if without_pue or not clusters else State.DONE,
                lacking=without_pue,
            ),
            Item(
                Step.FACTOR,
                _state(bool(clusters) and not without_supply),
                lacking=without_supply,
            ),
        ),
        tuple(one.name for one in clusters),
    )


def _clusters() -> list[_Machine]:
    """Those that are furthest along first."""
    of_cluster = {"cluster": OuterRef("pk")}
    nodes = Node.objects.filter(**of_cluster)
    typed = SiteFactor.objects.filter(**of_cluster, kind=SiteFactor.Kind.PUE)
    metered = nodes.filter(level=Node.Level.FACILITY, last_sample_ms__isnull=False)
    supplies = Supply.objects.filter(**of_cluster, method=Method.LOCATION)
    rows = Cluster.objects.annotate(
        described=Exists(nodes),
        has_power=Exists(nodes.filter(last_sample_ms__isnull=False)),
        has_jobs=Exists(jobs_taken().filter(**of_cluster)),
        has_pue=Exists(typed) | Exists(metered),
        has_supply=Exists(supplies),
    )
    named = rows.order_by("name").values_list("name", "described", "has_power", "has_jobs", "has_pue", "has_supply")
    found = [_Machine(name, sum(steps), has_pue, has_supply) for name, *steps, has_pue, has_supply in named]
    return sorted(found, key=lambda one: -one.steps)


def jobs_taken() -> QuerySet[Batch]:
    """The inputs that brought any job; one of which all was refused brought none."""
    return Batch.objects.filter(content=Batch.Content.JOBS, stored__gt=0)


def _state(there: bool) -> State:  # noqa: FBT001 - a question
    return State.DONE if there else State.MISSING


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime_from_ms(ms)
