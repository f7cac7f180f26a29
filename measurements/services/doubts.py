"""Looks stored days through for what is not plausible: the one writer of `Doubt` and of what becomes of it.

A day is examined as a whole, from what the store holds of it: whenever anything of it changed, before it is booked.
Of a day that is not over something changes every minute: workers examine it every quarter of an hour, and once it is
over. Its mark waits in the meantime, and what an examination finds then has the node-days booked anew.
Nothing is ever taken out of the store. What is refused is left out by attribution, and comes back bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from measurements.domain.plausibility import ONLY_REPORTED, Found, Rule, Setting
from measurements.domain.units import EPOCH_DAY
from measurements.models import Channel, Cluster, DirtyDoubt, Doubt, Segment
from measurements.services.examination import examine
from measurements.services.marks import (
    LEASE_S,
    claim,
    free,
    give_back,
    mark_examinations,
    mark_node_days,
    renew,
    sealed_days,
    settle,
    still_mine,
)
from measurements.services.open_days import examine_at_once, just_examined, note_examined
from measurements.services.reach import Reach, touched

State = Doubt.State
_FIELDS = ("end_ms", "samples", "detail", "state", "decided_by", "decided_at", "note")


class NotPossible(ValueError):
    """What an operator asked for cannot be; the message says why. ``day`` is set where it is for a sealed day."""

    def __init__(self, message: str, day: date | None = None) -> None:
        super().__init__(message)
        self.day = day


def examine_next(now: datetime, cluster: Cluster | None = None, *, patient: bool = False) -> bool:
    """Look through one day that has to be and that nobody is at; whether there was one.

    ``patient``: leave alone a day that is not over and was looked through a moment ago. Its mark stays.
    """
    waiting = DirtyDoubt.objects.filter(free(now))
    if cluster is not None:
        waiting = waiting.filter(cluster=cluster)
    if not waiting.exists():
        return False
    if patient and not (waiting := waiting.exclude(just_examined(now))).exists():
        return False
    for mark in claim(waiting.order_by("cluster", "day")[:1], now):
        _examine_marked(mark, now)
        give_back([mark])
    return True


def _examine_marked(mark: DirtyDoubt, now: datetime) -> None:
    cluster = Cluster.objects.get(pk=mark.cluster_id)
    is_sealed = bool(sealed_days(cluster, [mark.day]))
    found = [] if is_sealed else examine(cluster, mark.day, _renewing(mark, now))
    with transaction.atomic():
        # The cluster comes first, as for ingest, and marks of node-days before those of days.
        cluster = Cluster.objects.select_for_update(no_key=True).get(pk=mark.cluster_id)
        if not is_sealed and not sealed_days(cluster, [mark.day]):
            _replace(cluster, mark.day, found, now)
        current = still_mine([mark])
        if not current:  # somebody took it over: they look at newer samples
            transaction.set_rollback(True)
            return
        settle([mark], current)
        note_examined(cluster, mark.day, now)


def _renewing(mark: DirtyDoubt, now: datetime) -> Callable[[], None]:
    """What keeps the lease while a large day is read."""
    began = renewed = time.monotonic()

    def breathe() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > LEASE_S / 4:
            renewed = time.monotonic()
            renew([mark], now + timedelta(seconds=renewed - began))

    return breathe


def setting_of(cluster: Cluster, rule: Rule) -> Setting:
    """What a cluster does with what a rule finds."""
    said = cluster.plausibility.get(rule.value, Setting.DEFAULT)
    return Setting(said) if said in set(Setting) else Setting.DEFAULT


def _state_of(cluster: Cluster, found: Found) -> Doubt.State:
    setting = setting_of(cluster, found.rule)
    refused = setting is Setting.REFUSE or (setting is Setting.DEFAULT and found.sure)
    return State.REFUSED if refused and found.rule not in ONLY_REPORTED else State.REPORTED


def _replace(cluster: Cluster, day: date, found: Sequence[Found], now: datetime) -> None:
    """Write what was found of a day in place of what was; what an operator decided stays with the same samples."""
    old = list(Doubt.objects.filter(cluster=cluster, day=day).order_by("channel", "rule", "start_ms"))
    kept = {(row.channel_id, row.rule, row.start_ms): row for row in old}
    decided: dict[tuple[int, str], list[Doubt]] = {}
    for row in old:
        if row.decided_by:
            decided.setdefault((row.channel_id, row.rule), []).append(row)
    rows = [
        _row(cluster, day, one, decided.get((one.channel, one.rule.value), ()), now)
        for one in found
        if setting_of(cluster, one.rule) is not Setting.OFF
    ]
    fresh = [row for row in rows if (row.channel_id, row.rule, row.start_ms) not in kept]
    changed = []
    for row in rows:
        before = kept.pop((row.channel_id, row.rule, row.start_ms), None)
        if before is not None and any(getattr(before, name) != getattr(row, name) for name in _FIELDS):
            row.pk, row.found_at = before.pk, before.found_at
            changed.append(row)
    Doubt.objects.filter(pk__in=[row.pk for row in kept.values()]).delete()
    Doubt.objects.bulk_update(changed, _FIELDS, 500)
    Doubt.objects.bulk_create(fresh, 1000)
    _mark_changed(cluster, day, _refused(old), _refused(rows))


def _row(cluster: Cluster, day: date, found: Found, decided: Iterable[Doubt], now: datetime) -> Doubt:
    """A finding as it is kept; ``decided`` are those of its channel and rule on which an operator had a say."""
    row = Doubt(
        cluster=cluster,
        channel_id=found.channel,
        day=day,
        rule=found.rule.value,
        start_ms=found.start_ms,
        end_ms=found.end_ms,
        samples=found.samples,
        detail=found.detail | {"sure": found.sure},
        state=_state_of(cluster, found),
        found_at=now,
    )
    for before in decided:
        if before.start_ms < row.end_ms and row.start_ms < before.end_ms:
            row.state, row.decided_by, row.decided_at, row.note = (
                before.state, before.decided_by, before.decided_at, before.note,
            )  # fmt: skip
            break
    return row


_Span = tuple[int, int, int]  # channel, start, end


def _refused(rows: Iterable[Doubt]) -> set[_Span]:
    return {(row.channel_id, row.start_ms, row.end_ms) for row in rows if row.state == State.REFUSED}


def _mark_changed(cluster: Cluster, day: date, before: set[_Span], after: set[_Span]) -> None:
    """Have the node-days booked anew that read samples which count now and did not, or the other way round."""
    changed = before ^ after
    if not changed:
        return
    nodes = dict(Channel.objects.filter(pk__in={channel for channel, *_ in changed}).values_list("pk", "node_id"))
    reach: Reach = {}
    number = (day - EPOCH_DAY).days
    for channel, start, end in changed:
        first, last = reach.get((nodes[channel], number), (start, end - 1))
        reach[nodes[channel], number] = (min(first, start), max(last, end - 1))
    mark_node_days(cluster, touched(reach, cluster, sorted(set(nodes.values()))), examine=False)


# --- What an operator says ------------------------------------------------------------------------


@transaction.atomic
def decide(doubts: Iterable[int], state: Doubt.State, by: str, now: datetime, note: str = "") -> list[Doubt]:
    """Take samples in again (`LIFTED`) or leave them out (`REFUSED`); the doubts that changed. It holds from now on."""
    rows = Doubt.objects.filter(pk__in=list(doubts)).exclude(state=state)
    clusters = sorted(set(rows.values_list("cluster_id", flat=True)))
    changed: list[Doubt] = []
    for cluster in Cluster.objects.select_for_update(no_key=True).filter(pk__in=clusters).order_by("pk"):
        mine = list(rows.filter(cluster=cluster).order_by("day", "pk"))
        sealed = sealed_days(cluster, {row.day for row in mine})
        if state == State.REFUSED and any(row.rule in {rule.value for rule in ONLY_REPORTED} for row in mine):
            raise NotPossible("the joules of a counter's jump are not placed anyway: there is nothing to leave out")
        if any(row.day in sealed for row in mine):
            raise NotPossible(f"{min(sealed)} is sealed: what it holds is not changed any more", min(sealed))
        for day in sorted({row.day for row in mine}):
            _decide_day(cluster, day, [row for row in mine if row.day == day], state, (by, now, note))
        changed += mine
    return changed


def _decide_day(
    cluster: Cluster, day: date, rows: list[Doubt], state: Doubt.State, said: tuple[str, datetime, str]
) -> None:
    before = _refused(rows)
    for row in rows:
        row.state = state
        row.decided_by, row.decided_at, row.note = said
    Doubt.objects.bulk_update(rows, ("state", "decided_by", "decided_at", "note"), 500)
    _mark_changed(cluster, day, before, _refused(rows))


@transaction.atomic
def set_rule(cluster: Cluster, rule: Rule, setting: Setting) -> bool:
    """Say what a cluster does with what a rule finds; open days are looked through anew. False: it is so already."""
    row = Cluster.objects.select_for_update(no_key=True).get(pk=cluster.pk)
    if setting_of(row, rule) is setting:
        return False
    if rule in ONLY_REPORTED and setting is Setting.REFUSE:
        raise NotPossible("the joules of a counter's jump are not placed anyway: there is nothing to leave out")
    said: dict[str, Any] = {name: value for name, value in row.plausibility.items() if name != rule.value}
    row.plausibility = said if setting is Setting.DEFAULT else said | {rule.value: setting.value}
    row.save(update_fields=["plausibility"])
    cluster.plausibility = row.plausibility
    days = set(Segment.objects.filter(cluster=row).order_by().values_list("day", flat=True).distinct())
    mark_examinations(row, days - sealed_days(row, days))
    examine_at_once(row)  # who says so waits for it
    return True
