"""Who stands above whom: nodes, chassis, racks and what supplies them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.models import Cluster, Node

_LEVELS = (Node.Level.CHASSIS, Node.Level.RACK, Node.Level.INFRASTRUCTURE, Node.Level.FACILITY)


@dataclass(frozen=True, slots=True)
class Place:
    """A meter or a node in the tree."""

    pk: int
    name: str
    level: str
    parent: int | None
    first_sample_ms: int | None


@dataclass(frozen=True, slots=True)
class Tree:
    """Who stands above whom; what has no meter of its own is looked through to what lies below it."""

    places: dict[int, Place]
    children: dict[int, list[Place]]

    @classmethod
    def of(cls, viewer: AbstractUser | AnonymousUser, cluster: Cluster) -> Tree:
        """Of a cluster; for those who may not see nodes there is nothing in it."""
        rows = Node.objects.visible_to(viewer).filter(cluster=cluster).order_by("name")
        found = [Place(*row) for row in rows.values_list("pk", "name", "level", "parent_id", "first_sample_ms")]
        children: dict[int, list[Place]] = defaultdict(list)
        for place in found:
            if place.parent:
                children[place.parent].append(place)
        return cls({place.pk: place for place in found}, dict(children))

    @property
    def nodes(self) -> list[Place]:
        """Compute nodes."""
        return [place for place in self.places.values() if place.level == Node.Level.NODE]

    @property
    def above(self) -> list[Place]:
        """Everything else that has a meter, from the lowest level up."""
        metered = [p for p in self.places.values() if p.level != Node.Level.NODE and p.first_sample_ms is not None]
        return sorted(metered, key=lambda place: (_LEVELS.index(Node.Level(place.level)), place.name))

    def below(self, pk: int) -> list[Place]:
        """What is compared with a meter."""
        found: list[Place] = []
        for child in self.children.get(pk, []):
            looked_through = child.first_sample_ms is None and child.pk in self.children
            found += self.below(child.pk) if looked_through else [child]
        return found
