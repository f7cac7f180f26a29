"""Writes by which policy shared nodes are split, and marks what that changes."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from measurements.domain.nodeday import Policy
from measurements.domain.units import EPOCH_DAY
from measurements.models import Cluster, DirtyNodeDay, NodeDay, PolicyPeriod
from measurements.services.marks import mark_jobs, mark_node_days
from measurements.services.periods import begun_jobs, held_node_days


def policy_on(cluster: Cluster, day: date) -> Policy:
    """The policy in force on a UTC day."""
    row = PolicyPeriod.objects.filter(cluster=cluster, valid_from__lte=day).order_by("-valid_from").first()
    return Policy(row.policy) if row else Policy.ALLOCATION


@transaction.atomic
def set_policy(cluster: Cluster, policy: Policy, since: date | None, until: date | None) -> None:
    """Split shared nodes by ``policy`` on the days [since, until); what that changes is marked dirty."""
    first = since or EPOCH_DAY
    after = policy_on(cluster, until) if until else None
    changed = policy_on(cluster, first) != policy
    inside = PolicyPeriod.objects.filter(cluster=cluster, valid_from__gte=first)
    if until:
        inside = inside.filter(valid_from__lt=until)
    changed |= inside.exclude(policy=policy).exists()
    if not changed:
        return
    inside.delete()
    PolicyPeriod.objects.update_or_create(cluster=cluster, valid_from=first, defaults={"policy": policy})
    if until and after is not None:
        PolicyPeriod.objects.get_or_create(cluster=cluster, valid_from=until, defaults={"policy": after})
    mark_period(cluster, since, until)


def mark_period(cluster: Cluster, since: date | None, until: date | None) -> None:
    """Mark all node-days of [since, until) dirty that the ledger has booked or that there is input for."""
    pairs = held_node_days(cluster, since, until)
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)  # no day is sealed meanwhile
        for model in (NodeDay, DirtyNodeDay):
            rows = model.objects.filter(cluster=cluster)
            if since:
                rows = rows.filter(day__gte=since)
            if until:
                rows = rows.filter(day__lt=until)
            pairs |= set(rows.values_list("node_id", "day"))
        mark_node_days(cluster, pairs)
        mark_jobs(begun_jobs(cluster, since, until))  # those without a node-day as well
