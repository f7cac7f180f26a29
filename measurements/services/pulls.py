"""Pulls carbon intensity from the providers that a site has switched on; the one writer of `Pull`.

How far a pull has come stands in the database, and moves in the transaction that stores what came. A provider that
fails leaves the cursor and all stored values as they are: what is missing stays missing, and is priced by the next
rung. What was fetched in the last two days is fetched again, for providers revise it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from measurements.domain.carbon import Basis
from measurements.domain.units import (
    HOUR_MS,
    QUARTER_MS,
    datetime_from_ms,
    day_start_ms,
    ms_from_datetime,
)
from measurements.models import IntensitySeries, Pull
from measurements.parsers.intensity_records import IntensitySlots
from measurements.providers.about import Provider, Zone
from measurements.providers.answers import ProviderError
from measurements.providers.client import Access
from measurements.providers.known import PROVIDERS
from measurements.services.intensity import OtherZone, new_series, store_slots

logger = logging.getLogger(__name__)
EVERY_S = 900  # the chore; each provider has its own, longer time
OVERLAP_MS = 48 * HOUR_MS  # fetched again with each turn
LEASE = timedelta(minutes=15)  # longer than any turn: a process that dies holds its pull up for so long
LONGEST_WAIT = timedelta(hours=6)
LONGEST_ASKED_WAIT = timedelta(hours=24)  # by Retry-After
EMPTY_TIMES = 3  # a stretch that is answered empty so often has no slots
LONGEST_ERROR = 1024


class NotPossible(ValueError):
    """Why a pull cannot be switched on."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one pull did: slots new and revised, and the error that ended it."""

    pull: Pull
    stored: int
    changed: int
    behind: bool  # there is more to fetch
    error: str = ""


# --- Switching on and off -------------------------------------------------------------------------


def access_of(provider: str) -> Access:
    """Where the settings say that a provider is reached, and its token."""
    if provider == Pull.Provider.ENERGY_CHARTS:
        return Access(settings.ENERGY_CHARTS_URL)
    if provider == Pull.Provider.ELECTRICITY_MAPS:
        return Access(settings.ELECTRICITY_MAPS_URL, token=settings.ELECTRICITY_MAPS_TOKEN)
    return Access(settings.UK_CARBON_INTENSITY_URL)


def enable(provider: str, zone: str, basis: Basis, mix: str, since: date | None, now: datetime) -> Pull:
    """Switch a pull on, with its series if it is new; a ``since`` fetches from that day on again."""
    known = PROVIDERS[provider]
    area = _possible(known, zone, basis, mix, access_of(provider))
    with transaction.atomic():
        pull = Pull.objects.filter(provider=provider, series__slug=_slug(provider, area, basis)).first()
        if pull is None:
            series = _series(provider, area, basis, mix or known.mixes[0], now)
            first = since or now.date() - timedelta(days=2)
            pull = Pull(provider=provider, zone=area.asked, series=series, since=first)
        elif since is not None:
            pull.since, pull.cursor_ms = since, None
        if mix and pull.series.mix != mix:
            raise NotPossible(f"the series {pull.series} is of the {pull.series.mix} mix")
        pull.enabled, pull.next_at, pull.failures, pull.last_error = True, now, 0, ""
        pull.save()
    return pull


def disable(pull: Pull) -> None:
    """Switch a pull off; its series and all that it stored stay."""
    Pull.objects.filter(pk=pull.pk).update(enabled=False, next_at=None)


def _possible(known: Provider, zone: str, basis: Basis, mix: str, access: Access) -> Zone:
    try:
        area = known.zone(zone)
    except ValueError as fault:
        raise NotPossible(str(fault)) from fault
    if basis not in known.bases:
        raise NotPossible(f"{known.name} has no {basis.value} values, only {' or '.join(known.bases)}")
    if mix not in (*known.mixes, *([""] if len(known.mixes) == 1 else [])):
        raise NotPossible(f"say which mix {known.name} counts: {' or '.join(known.mixes)}")
    if known.needs_token and not access.token:
        raise NotPossible(f"{known.name} needs a token: set JOULEBOOK_ELECTRICITY_MAPS_TOKEN")
    return area


def _slug(provider: str, area: Zone, basis: Basis) -> str:
    return f"{provider}-{area.series}-{basis.value}".lower().replace("_", "-")


def _series(provider: str, area: Zone, basis: Basis, mix: str, now: datetime) -> IntensitySeries:
    known, slug = PROVIDERS[provider], _slug(provider, area, basis)
    if IntensitySeries.objects.filter(slug=slug).exists():
        raise NotPossible(f"there is a series {slug} that no pull made: rename it first")
    return new_series(
        now,
        slug=slug,
        zone=area.series,
        basis=basis.value,
        gas=known.gas,
        mix=mix,
        source_title=f"{known.name}, {area.title}",
        source_url=known.url,
        licence=known.licence,
        attribution=known.attribution,
        note=known.note,
        retrieved_on=None,  # again and again: each of its days says when
    )


# --- Pulling --------------------------------------------------------------------------------------


def pull_due(now: datetime) -> list[Turn]:
    """Give a turn to each pull whose time has come; without one nothing is asked of the network."""
    due = Pull.objects.filter(_due(now)).order_by("next_at", "pk").values_list("pk", flat=True)
    turns = [pull_one(pk, now) for pk in list(due)]
    return [turn for turn in turns if turn is not None]


def pull_one(pk: int, now: datetime, *, at_once: bool = False) -> Turn | None:
    """Give a pull its turn, if nobody else has taken it; `at_once`: even if its time has not come."""
    until = now + LEASE
    waiting = Q(enabled=True) & ~Q(next_at=until) if at_once else _due(now)
    if Pull.objects.filter(waiting, pk=pk).update(next_at=until) != 1:
        return None
    turn = _Turn(Pull.objects.select_related("series").get(pk=pk), until, now)
    try:
        turn.run()
    except _Taken:
        return None
    except ProviderError as fault:
        return turn.failed(str(fault), fault.wait_s)
    except OtherZone as fault:
        return turn.failed(str(fault), None)
    except Exception as fault:  # whatever one provider does, the others have their turn
        logger.exception("pulling %s failed", turn.pull)
        return turn.failed(f"unexpected {type(fault).__name__}: see the log", None)
    return turn.done()


def _due(now: datetime) -> Q:
    return Q(enabled=True) & (Q(next_at__isnull=True) | Q(next_at__lte=now))


class _Taken(Exception):
    """Somebody switched the pull off or set it anew meanwhile: what they said holds."""


class _Turn:
    """One turn of one pull: a few pieces of time, one after the other."""

    def __init__(self, pull: Pull, until: datetime, now: datetime) -> None:
        self.pull, self.until, self.now = pull, until, now
        self.known = PROVIDERS[pull.provider]
        self.end_ms = ms_from_datetime(now) // QUARTER_MS * QUARTER_MS
        self.next_ms = self._start_ms()
        self.stored = self.changed = 0
        self.refused: list[str] = []

    def _start_ms(self) -> int:
        since_ms = day_start_ms(self.pull.since)
        return since_ms if self.pull.cursor_ms is None else max(since_ms, self.pull.cursor_ms - OVERLAP_MS)

    def run(self) -> None:
        """Fetch and store piece by piece, as many as the provider bears in a turn."""
        for _ in range(self.known.calls_a_turn):
            if self.next_ms >= self.end_ms:
                return
            end_ms = self.known.piece_end_ms(self.next_ms, self.end_ms)
            self._piece(self.next_ms, end_ms)
            self.next_ms = end_ms

    def _piece(self, start_ms: int, end_ms: int) -> None:
        basis = Basis(self.pull.series.basis)
        slots = self.known.fetch(self.pull.zone, start_ms, end_ms, access_of(self.pull.provider), basis)
        settled = end_ms <= self.end_ms - OVERLAP_MS
        if not len(slots.start_ms) and not (settled and self.pull.failures >= EMPTY_TIMES):
            raise ProviderError(f"{self.known.name}: no value from {_minute(start_ms)} to {_minute(end_ms)} (UTC)")
        reached_ms = max(self.pull.cursor_ms or start_ms, _reached_ms(slots, end_ms, settled=settled))
        with transaction.atomic():
            self._keep(cursor_ms=reached_ms)
            self._store(slots)
        self.pull.cursor_ms = reached_ms

    def _store(self, slots: IntensitySlots) -> None:
        done = store_slots(self.pull.series, slots, self.now, source=self.known.name, keep_quiet=True)
        self.stored += done.stored
        self.changed += done.changed
        self.refused += [f"{row['count']} refused: {row['reason']} ({row['example']})" for row in done.refused]

    def done(self) -> Turn:
        """Note the success, single values that were refused, and when to come again."""
        wait = timedelta(seconds=EVERY_S if self.next_ms < self.end_ms else self.known.every_s)
        refused = "; ".join(self.refused)[:LONGEST_ERROR]
        return self._ended(failures=0, last_error=refused, last_ok_at=self.now, next_at=self.now + wait)

    def failed(self, reason: str, wait_s: float | None) -> Turn:
        """Note the failure; the next turn is the later the more there were in a row."""
        logger.warning("%s", reason)
        failures = self.pull.failures + 1
        wait = min(LONGEST_WAIT, timedelta(seconds=EVERY_S) * 2 ** min(failures - 1, 10))
        if wait_s is not None:
            wait = max(wait, min(timedelta(seconds=min(wait_s, 1e6)), LONGEST_ASKED_WAIT))
        return self._ended(failures=failures, last_error=reason[:LONGEST_ERROR], next_at=self.now + wait)

    def _ended(self, **values: object) -> Turn:
        with suppress(_Taken):
            self._keep(**values)
        behind = self.next_ms < self.end_ms
        error = str(values["last_error"]) if values["failures"] else ""
        return Turn(self.pull, self.stored, self.changed, behind, error)

    def _keep(self, **values: object) -> None:
        """Write to the pull while this turn holds it: switching it on or off changes ``next_at``, too."""
        if Pull.objects.filter(pk=self.pull.pk, next_at=self.until).update(**values) != 1:
            raise _Taken


def _reached_ms(slots: IntensitySlots, end_ms: int, *, settled: bool) -> int:
    """How far a piece was fetched: to its end where it is old, else as far as there are slots."""
    return end_ms if settled else min(end_ms, int(slots.end_ms.max()))


def _minute(ms: int) -> str:
    return datetime_from_ms(ms).strftime("%Y-%m-%d %H:%M")
