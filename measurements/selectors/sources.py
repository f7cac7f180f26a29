"""Every source of readings and jobs: how old what it brought last is, how often it comes, whether it is late."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from django.contrib.auth.models import AbstractUser, AnonymousUser

from measurements.domain.losses import LOST
from measurements.models import Batch, Quarantine, Token
from measurements.selectors.feeds import FeedState, feed_states
from measurements.selectors.tokens import TokenState, token_states

FEED, SENDER, FILES = "feed", "sender", "files"
BATCHES_LOOKED_AT = 500  # of files, newest first
GAPS_FOR_USUAL = 4  # so many files more than one show how often they come
TOGETHER_S = 60.0  # files that come nearer to each other are given together
USUAL_TIMES = 3.0  # longer than so many usual intervals: worth a look
_LIVE = ("push", "feed", "lost")  # options of batches that are no files
LOST_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source now."""

    kind: str  # feed, sender or files
    pk: int  # of the feed or token; 0 of files
    name: str
    about: str  # what kind of feed, what a token is for, which content
    cluster: str
    active: bool  # neither switched off nor revoked nor expired
    newest_at: datetime | None  # the newest reading; of files when they came in
    lag_s: float | None
    usual_s: float | None  # between two times it brings something, where that is known
    late_after_s: float | None  # what was said
    late: bool
    slow: bool = False  # nothing was said, and it takes longer than it mostly did
    failures: int = 0
    error: str = ""
    refused: int | None = None  # of the last time; None where nobody can tell whose it was
    ask: str = ""  # who made it
    alerted_at: datetime | None = None
    lost: int = 0  # readings that a sender told lately it had dropped
    refused_since: datetime | None = None  # nothing of what a sender sends is of use
    refused_for: str = ""  # the reason most often given
    ends_at: datetime | None = None  # of a token, where it is near or past, and the token is used
    knocked_at: datetime | None = None  # with a token after its end, lately
    end_told: str = ""  # what operators were told of its end
    behind_s: float | None = None  # how old a sender's newest reading was when it sent last, where that is too old

    @property
    def state(self) -> str:
        """In a word."""
        if not self.active:
            return "off" if self.knocked_at is None else "knocks"
        if self.refused_since is not None:
            return "refused"
        if self.late:
            return "late"
        if self.failures:
            return "fails"
        if self.slow:
            return "slow"
        return "waits" if self.newest_at is None else "ok"

    @property
    def brings_nothing(self) -> bool:
        """Whether it should bring something, and does not: late, or all of it is refused."""
        return self.state in ("late", "refused")


def source_states(now: datetime, viewer: AbstractUser | AnonymousUser | None = None) -> list[SourceState]:
    """All sources, those that are late first; for a viewer only if operations are theirs to see."""
    if viewer is not None and not (viewer.is_active and viewer.has_perm("measurements.view_operations")):
        return []
    found = [*live_states(now), *_files(now)]
    order = ("late", "refused", "knocks", "fails", "slow", "waits", "ok", "off")
    return sorted(found, key=lambda one: (order.index(one.state), one.cluster, one.kind, one.name))


def live_states(now: datetime) -> list[SourceState]:
    """Those of which one is told when they are late: feeds and senders."""
    return [*map(_feed, feed_states(now)), *(_sender(state, now) for state in token_states(now))]


def with_losses(states: Sequence[SourceState], now: datetime) -> list[SourceState]:
    """With what each sender said in the last `LOST_WITHIN` that it had lost; one query."""
    rows = Quarantine.objects.filter(reason=LOST, batch__committed_at__gt=now - LOST_WITHIN)
    lost: Counter[tuple[str, str]] = Counter()
    for cluster, options, count in rows.values_list("batch__cluster__name", "batch__options", "count"):
        lost[cluster, options["lost"]] += count
    return [replace(one, lost=lost[one.cluster, one.name]) if one.kind == SENDER else one for one in states]


def _feed(state: FeedState) -> SourceState:
    return SourceState(
        FEED, state.pk, state.name, state.kind_name, state.cluster, state.enabled, state.reached_at, state.lag_s,
        state.every_s, state.late_after_s, state.late, failures=state.failures, error=state.error,
        refused=state.refused, alerted_at=state.alerted_at,
    )  # fmt: skip


def _sender(state: TokenState, now: datetime) -> SourceState:
    token: Token = state.token
    newest = state.newest  # that it knocks says nothing of what it brings
    return SourceState(
        SENDER, token.pk, token.name, ", ".join(token.scopes), token.cluster.name, state.usable, newest,
        None if newest is None else max(0.0, (now - newest).total_seconds()), None, token.late_after_s, state.late,
        ask=token.made_by, alerted_at=token.alerted_at, refused_since=token.refused_since if state.refused else None,
        refused_for=token.refused_for if state.refused else "", behind_s=state.behind_s,
        ends_at=(token.revoked_at or token.expires_at) if state.ends_soon or state.knocks else None,
        knocked_at=token.knocked_at if state.knocks else None, end_told=token.end_told,
    )  # fmt: skip


def _files(now: datetime) -> list[SourceState]:
    """By cluster and content the files that came in, by whatever way."""
    rows = Batch.objects.select_related("cluster").order_by("-pk")
    for option in _LIVE:
        rows = rows.exclude(options__has_key=option)
    by_place: dict[tuple[str, str], list[Batch]] = defaultdict(list)
    for row in rows[:BATCHES_LOOKED_AT]:
        by_place[row.cluster.name, row.content].append(row)
    return [_of_files(cluster, content, batches, now) for (cluster, content), batches in sorted(by_place.items())]


def _of_files(cluster: str, content: str, batches: list[Batch], now: datetime) -> SourceState:
    times = sorted(row.committed_at for row in batches)
    steps = [(after - before).total_seconds() for before, after in pairwise(times)]
    gaps = [step for step in steps if step > TOGETHER_S]
    usual_s = median(gaps) if len(gaps) >= GAPS_FOR_USUAL else None
    lag_s = max(0.0, (now - times[-1]).total_seconds())
    slow = usual_s is not None and lag_s > USUAL_TIMES * max(usual_s, max(gaps))
    newest = batches[0]
    return SourceState(
        FILES, 0, newest.source, content, cluster, active=True, newest_at=times[-1], lag_s=lag_s, usual_s=usual_s,
        late_after_s=None, late=False, slow=slow, refused=newest.refused,
    )  # fmt: skip
