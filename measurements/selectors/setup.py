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
    cluster: str = ""  # the first that lacks it


@dataclass(frozen=True, slots=True)
class Checklist:
    """All steps, and the clusters there are."""

    items: tuple[Item, ...]
    clusters: tuple[str, ...]


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
    without_pue = [name for name, has_pue, _ in clusters if not has_pue]
    without_supply = [name for name, _, has_supply in clusters if not has_supply]
    return Checklist(
        (
            Item(Step.SIGN_IN, _state(people["newest"] is not None), seen_at=people["seen_at"]),
            Item(Step.NODES, _state(nodes > 0), nodes),
            Item(Step.POWER, _state(newest_ms is not None), seen_at=_instant(newest_ms)),
            Item(Step.JOBS, _state(jobs_at is not None), seen_at=jobs_at),
            Item(
                Step.PUE,
                State.OPTIONAL if without_pue or not clusters else State.DONE,
                cluster="".join(without_pue[:1]),
            ),
            Item(
                Step.FACTOR,
                _state(bool(clusters) and not without_supply),
                cluster="".join(without_supply[:1]),
            ),
        ),
        tuple(name for name, *_ in clusters),
    )


def _clusters() -> list[tuple[str, bool, bool]]:
    """Name, whether there is a PUE (typed or metered), and whether there is a carbon intensity."""
    of_cluster = {"cluster": OuterRef("pk")}
    typed = SiteFactor.objects.filter(**of_cluster, kind=SiteFactor.Kind.PUE)
    metered = Node.objects.filter(**of_cluster, level=Node.Level.FACILITY, last_sample_ms__isnull=False)
    supplies = Supply.objects.filter(**of_cluster, method=Method.LOCATION)
    found = Cluster.objects.annotate(has_pue=Exists(typed) | Exists(metered), has_supply=Exists(supplies))
    return list(found.values_list("name", "has_pue", "has_supply"))


def jobs_taken() -> QuerySet[Batch]:
    """The inputs that brought any job; one of which all was refused brought none."""
    return Batch.objects.filter(content=Batch.Content.JOBS, stored__gt=0)


def _state(there: bool) -> State:  # noqa: FBT001 - a question
    return State.DONE if there else State.MISSING


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime_from_ms(ms)
