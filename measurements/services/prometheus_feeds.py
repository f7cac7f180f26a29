"""A feed of Prometheus or VictoriaMetrics: raw samples, asked for window by window, each stored with the cursor.

A turn begins an overlap behind the cursor and ends a little before now: scrapes that are still on their way come with
the next one. What comes later than that, after an outage of whoever scrapes, say, comes with the last day, which is
asked for once more at the beginning of each new one. A window that is too large is halved, and so are the next ones.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from measurements.domain.units import DAY_MS, MS_PER_S, S_PER_HOUR
from measurements.feeds.about import UNIX, FeedError
from measurements.feeds.prometheus import FLAVOURS, PROMETHEUS, Server, inside
from measurements.feeds.web import Site, TooLarge
from measurements.parsers.mapping_rules import Action, Mappings
from measurements.parsers.series import Catalogue
from measurements.parsers.series_known import is_powerlike
from measurements.services.catalogues import site_mappings
from measurements.services.feed_turns import Turn
from measurements.services.power_feeds import TooMuch, store

OPTIONS: Mapping[str, type] = {
    "address": str, "flavour": str, "match": str, "metrics": str, "token_file": str, "user": str,
    "password_file": str, "ca_file": str, "cert_file": str, "key_file": str, "tenant": str, "timeout_s": int,
    "overlap_s": int, "delay_s": int, "piece_s": int, "again_h": int, "partial": bool,
}  # fmt: skip
TIMEOUT_S, OVERLAP_S, DELAY_S, PIECE_S, AGAIN_H = 120, 120, 30, 900, 24
LEAST_PIECE_S = 10
FIRST_MS = 2 * DAY_MS  # so far back goes a feed of which nobody said since when
PIECES, PIECES_AGAIN = 16, 8  # of one turn: then others get theirs
LONGEST_TURN_S = 300.0
SHOWN = 5
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def fault_of_options(options: Mapping[str, Any]) -> str:
    """What is wrong with the options of such a feed beyond their types, or nothing."""
    if not options.get("address") or str(options["address"]).startswith(UNIX):
        return "give address=http://host:9090 or https://…, with the path below which /api/v1 is, if there is one"
    if options.get("flavour", PROMETHEUS) not in FLAVOURS:
        return f"flavour: one of {', '.join(FLAVOURS)}"
    try:
        inside(str(options.get("match", "")))
    except ValueError:
        return 'match: labels alone, as in {cluster="alpha",job=~"node|ipmi"}; metrics names metrics'
    if not all(map(_METRIC.fullmatch, _listed(options.get("metrics", "")))):
        return "metrics: names of metrics, separated by commas"
    if bool(options.get("user")) != bool(options.get("password_file")):
        return "user and password_file belong together"
    if options.get("user") and options.get("token_file"):
        return "either a token_file, or user and password_file"
    if bool(options.get("cert_file")) != bool(options.get("key_file")):
        return "cert_file and key_file belong together"
    if int(options.get("piece_s", PIECE_S)) < LEAST_PIECE_S:
        return f"piece_s: {LEAST_PIECE_S} at least"
    return "" if str(options.get("tenant", "")).isprintable() else "tenant: one line of plain text"


def ask(turn: Turn) -> None:
    """Everything from behind the cursor to a little before now; then a part of the day that is asked for once more."""
    end_ms = (turn.now_ms - int(turn.option("delay_s", DELAY_S)) * MS_PER_S) // MS_PER_S * MS_PER_S
    overlap_ms = int(turn.option("overlap_s", OVERLAP_S)) * MS_PER_S
    start_ms = turn.start_ms(FIRST_MS if turn.feed.cursor_ms is None else overlap_ms) // MS_PER_S * MS_PER_S
    again = _again(turn)
    walk = _Walk(turn)
    reached_ms = walk.through(start_ms, end_ms, PIECES, moves=True)
    turn.behind = reached_ms < end_ms
    if again and not turn.behind:
        reached_ms = walk.through(*again, PIECES_AGAIN, moves=False)
        again = (reached_ms, again[1]) if reached_ms < again[1] else None
    turn.report["again"] = list(again) if again else None
    for note in [*walk.catalogue.summary(), *walk.nothing_found()]:
        turn.note(note)


def _again(turn: Turn) -> tuple[int, int] | None:
    """Which stretch is to be asked for once more: the last day when a new one has begun, or what is left of it."""
    left = turn.feed.last_report.get("again")
    cursor_ms = turn.feed.cursor_ms
    if not left and cursor_ms is not None and _is_new_day(cursor_ms, turn.now_ms):
        since_ms = turn.feed.since_ms if turn.feed.since_ms is not None else 0
        first_ms = cursor_ms - int(turn.option("again_h", AGAIN_H)) * S_PER_HOUR * MS_PER_S
        left = [max(since_ms, first_ms), cursor_ms]
    turn.report["again"] = left  # also of a turn that fails
    return (int(left[0]), int(left[1])) if left else None


def _is_new_day(cursor_ms: int, now_ms: int) -> bool:
    """Whether a day has begun since; not while a feed that was away for long catches up."""
    settled_ms = now_ms - OVERLAP_S * MS_PER_S
    return cursor_ms // DAY_MS < settled_ms // DAY_MS and now_ms - cursor_ms < DAY_MS // 2


class _Walk:
    """Windows that are asked for one after the other."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.server = _server(turn)
        self.mappings = site_mappings()
        self.catalogue = Catalogue(self.mappings)
        longest_s = int(turn.option("piece_s", PIECE_S))
        self.piece_s = min(longest_s, 2 * int(turn.feed.last_report.get("piece_s") or longest_s))
        self.there: set[str] = set()  # metrics that there are, of the stretches of this turn
        self.asked_for_names = self.is_any_read = False
        self._until = time.monotonic() + LONGEST_TURN_S

    def through(self, start_ms: int, end_ms: int, pieces: int, *, moves: bool) -> int:
        """Ask for (start, end], so many windows of it; up to where they came. ``moves``: and the cursor with them."""
        if start_ms >= end_ms:
            return start_ms
        names = self._names(start_ms, min(end_ms, start_ms + pieces * self.piece_s * MS_PER_S))
        while start_ms < end_ms and pieces > 0 and time.monotonic() < self._until:
            until_ms = min(start_ms + self.piece_s * MS_PER_S, end_ms)
            try:
                self._take(names, start_ms, until_ms, moves=moves)
            except (TooLarge, TooMuch) as fault:
                self._halve(fault)
                continue
            start_ms, pieces = until_ms, pieces - 1
        self.turn.report["piece_s"] = self.piece_s
        return start_ms

    def _take(self, names: list[str], start_ms: int, until_ms: int, *, moves: bool) -> None:
        turn = self.turn
        chunks = self.server.samples(names, start_ms, until_ms, self.catalogue, turn.now_ms, turn.spool)
        store(turn, chunks if names else (), cursor_ms=until_ms if moves else None)

    def _halve(self, fault: FeedError) -> None:
        if self.piece_s <= LEAST_PIECE_S or time.monotonic() > self._until:
            raise FeedError(f"{fault}; make several feeds of it (match, metrics)", fault.wait_s) from fault
        self.piece_s = max(LEAST_PIECE_S, self.piece_s // 2)
        self.turn.report["piece_s"] = self.piece_s

    def _names(self, start_ms: int, end_ms: int) -> list[str]:
        """The metrics to ask for: those that were said, else all there are that the mappings read."""
        said = _listed(self.turn.option("metrics"))
        if said:
            return said
        self.asked_for_names = True
        names = self.server.names(start_ms, end_ms, self.turn.spool)
        self.there.update(names)
        found = sorted(name for name in names if _is_read(self.mappings, name))
        strange = sorted(name for name in names if is_powerlike(name) and not self.mappings.rules(name))
        if strange:
            shown = ", ".join(strange[:SHOWN]) + (", …" if len(strange) > SHOWN else "")
            self.turn.note(f"no mapping knows {_counted(len(strange))} ({shown}): docs/how-to/add-an-exporter.md")
        self.is_any_read = self.is_any_read or bool(found)
        return found

    def nothing_found(self) -> Iterator[str]:
        """What to say of a turn that found no metric to ask for; an empty stretch before the first scrape is none."""
        if self.is_any_read or not self.asked_for_names:
            return
        if self.there:
            yield f"none of the {_counted(len(self.there))} there is power or energy that a mapping reads"
        else:
            yield "there is no series at all in the time that was asked for: are address and match right?"


def _counted(metrics: int) -> str:
    return "1 metric" if metrics == 1 else f"{metrics} metrics"


def _is_read(mappings: Mappings, name: str) -> bool:
    return any(rule.action in (Action.READ, Action.INDEX) for rule in mappings.rules(name))


def _listed(text: Any) -> list[str]:
    return [word.strip() for word in str(text or "").split(",") if word.strip()]


def _server(turn: Turn) -> Server:
    said: Callable[[str], str] = turn.option
    site = Site(
        said("address"), said("token_file"), said("user"), said("password_file"), said("ca_file"), said("cert_file"),
        said("key_file"), said("tenant"), float(turn.option("timeout_s", TIMEOUT_S)),
    )  # fmt: skip
    return Server(site, said("flavour") or PROMETHEUS, said("match"), partial=bool(turn.option("partial")))
