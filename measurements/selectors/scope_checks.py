"""Meters that seem to cover something else than is declared of them."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Q

from measurements.models import Node, ScopeCheck


def check_of(node: Node) -> ScopeCheck | None:
    """The newest check of a node's meter."""
    return ScopeCheck.objects.filter(node=node).first()


def disagreeing(viewer: AbstractUser | AnonymousUser) -> list[ScopeCheck]:
    """The checks of nodes that a viewer may see of which declaration and power disagree, by cluster and name."""
    other = Q(verdict=ScopeCheck.Verdict.INCLUDES, declared_includes=False)
    other |= Q(verdict=ScopeCheck.Verdict.EXCLUDES, declared_includes=True)
    rows = ScopeCheck.objects.filter(other, node__in=Node.objects.visible_to(viewer))
    return list(rows.select_related("node__cluster").order_by("node__cluster__name", "node__name"))


def disagrees(check: ScopeCheck) -> bool:
    """Whether a meter seems to be other than it was declared when it was checked."""
    told = check.verdict != ScopeCheck.Verdict.UNCLEAR
    return told and (check.verdict == ScopeCheck.Verdict.INCLUDES) != check.declared_includes
