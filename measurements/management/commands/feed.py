"""manage.py feed: what is asked again and again, switched on and off, asked at once, and how it stands."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from measurements.domain.units import datetime_from_ms, day_start_ms
from measurements.management.base import (
    NOTHING_USABLE,
    USAGE,
    JoulebookCommand,
    cluster_named,
    now,
    utc_day,
    whole_from_1,
)
from measurements.models import Feed
from measurements.selectors.feeds import FeedState, feed_states
from measurements.services.feed_kinds import KINDS
from measurements.services.feeds import Ended, NotPossible, add, ask, change, disable, enable, hurry, remove
from measurements.services.machine import create_cluster
from measurements.services.marks import release_dead

MOST_TURNS = 10_000


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Feeds: batch systems and monitoring that are asked again and again. add makes one, list shows how they "
        "stand, run asks one at once until it has caught up, set says its options otherwise, disable and enable "
        "switch it off and on, remove forgets it. "
        "docs/slurm.md, docs/pull.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, with which feed."""
        what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        new = what.add_parser("add", help="make a feed; its first turn is due at once")
        new.add_argument("name", help="letters, digits and -, of your choice")
        new.add_argument("--kind", required=True, choices=sorted(KINDS))
        new.add_argument(
            "--cluster",
            required=True,
            metavar="C",
            help="whose readings they are; feeds of Slurm make it where it is new",
        )
        other = what.add_parser("set", help="say some of it otherwise; the next turn is due at once")
        other.add_argument("name")
        for one, since in (
            (new, "first UTC day to ask for (default: the last two)"),
            (other, "ask from then on again"),
        ):
            one.add_argument("--since", metavar="D", type=utc_day, help=since)
            one.add_argument("--every", metavar="S", type=whole_from_1, help="seconds between two turns")
            one.add_argument("--late-after", metavar="S", type=whole_from_1, help="late when further behind [s]")
            one.add_argument(
                "--option", metavar="N=V", action="append", default=[],
                help="of the kind, again and again: conf=/etc/slurm/slurm.conf, address=https://prometheus:9090, …",
            )  # fmt: skip
        for name, text in (
            ("run", "ask it now, until it has caught up"),
            ("disable", "ask it no more; what it gave stays"),
            ("enable", "ask it again, from where it stopped"),
            ("remove", "forget it for good: its name is free again; its batches and what they brought stay"),
        ):
            what.add_parser(name, help=text).add_argument("name")
        what.add_parser("list", help="how feeds stand")
        for one in what.choices.values():
            self.add_json(one)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, then show the feeds it was about."""
        error = ""
        match options["what"]:
            case "add":
                self._add(options)
            case "set":
                self._set(_named(options["name"]), options)
            case "run":
                error = self._run(_named(options["name"]))
            case "disable":
                disable(_named(options["name"]))
            case "enable":
                enable(_named(options["name"]), now())
            case "remove":
                self._remove(_named(options["name"]), as_json=options["json"])
                return
        self._show(options.get("name"), as_json=options["json"])
        if error:
            raise CommandError(error, returncode=NOTHING_USABLE)

    def _add(self, options: dict[str, Any]) -> None:
        if not _is_slug(options["name"]):
            raise CommandError(f"{options['name']!r}: a name has letters, digits and - only", returncode=USAGE)
        makes = KINDS[options["kind"]].makes_cluster
        since = options["since"] and datetime_from_ms(day_start_ms(options["since"]))
        try:
            with transaction.atomic():  # what cannot be asked leaves no cluster behind
                cluster = create_cluster(options["cluster"]) if makes else cluster_named(options["cluster"])
                add(
                    cluster, options["name"], options["kind"], _said(options["kind"], options["option"]), now(),
                    since=since, every_s=options["every"], late_after_s=options["late_after"],
                )  # fmt: skip
        except ValueError as fault:  # NotPossible is one
            raise CommandError(str(fault), returncode=USAGE) from fault

    def _set(self, feed: Feed, options: dict[str, Any]) -> None:
        since = options["since"] and datetime_from_ms(day_start_ms(options["since"]))
        try:
            change(
                feed, _said(feed.kind, options["option"]), now(),
                since=since, every_s=options["every"], late_after_s=options["late_after"],
            )  # fmt: skip
        except NotPossible as fault:
            raise CommandError(str(fault), returncode=USAGE) from fault

    def _remove(self, feed: Feed, *, as_json: bool) -> None:
        remove(feed)
        if as_json:
            self.print_json({"removed": feed.name})
        else:
            self.stdout.write(
                f"{feed.name} is removed: nobody asks it any more; its batches and what they brought stay"
            )

    def _run(self, feed: Feed) -> str:
        """Turn after turn; the error that ended it."""
        release_dead()  # somebody may have broken off the run before this one
        hurry(feed)
        for _ in range(MOST_TURNS):
            turn = ask(feed.pk, now(), at_once=True)
            if turn is None:
                return f"{feed.name}: switched off, or somebody else is at it"
            if turn.error:  # it is said at the end
                return turn.error
            self.say(_told(turn))
            if not turn.behind:
                return ""
        return f"{feed.name}: still behind after {MOST_TURNS} turns"

    def _show(self, name: str | None, *, as_json: bool) -> None:
        states = [state for state in feed_states(now()) if name is None or state.name == name]
        if as_json:
            self.print_json({"feeds": [state.as_json() for state in states]})
            return
        for state in states:
            for line in _lines(state):
                self.stdout.write(line)
        if not states:
            self.say("there is no feed; feed add makes one, see docs/slurm.md and docs/pull.md")


def _named(name: str) -> Feed:
    feed = Feed.objects.select_related("cluster").filter(name=name).first()
    if feed is None:
        raise CommandError(f"no feed {name!r}; feed list shows those there are", returncode=USAGE)
    return feed


def _is_slug(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def _said(kind: str, words: list[str]) -> dict[str, Any]:
    """Options as their kind has them: text, a whole number, true or false."""
    said: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise CommandError(f"--option {word}: give it as NAME=VALUE", returncode=USAGE)
        known = KINDS[kind].options.get(name)
        try:
            said[name] = json.loads(value) if known in (int, bool) else value
        except ValueError:
            said[name] = value
    return said


def _told(turn: Ended) -> str:
    report = turn.report
    words = f"{report.get('read', 0)} read, {report.get('stored', 0)} stored, {report.get('duplicates', 0)} known"
    refused = sum(row["count"] for row in report.get("refused", []))
    up_to = "" if turn.feed.cursor_ms is None else f", up to {_second(datetime_from_ms(turn.feed.cursor_ms))}"
    nodes = report.get("nodes_created", 0)
    words += f", {nodes} nodes made" if nodes else ""
    return f"{turn.feed.name}: {words}{f', {refused} refused' if refused else ''}{up_to}"


def _lines(state: FeedState) -> list[str]:
    on = "off" if not state.enabled else "late" if state.late else "on"
    reached = "nothing yet" if state.reached_at is None else f"up to {_second(state.reached_at)}"
    lines = [f"{state.name} ({state.kind}, {state.cluster}): {on}, every {state.every_s} s, {reached}"]
    if state.failures:
        lines.append(f"  failed {_times(state.failures)}: {state.error}")
    lines += [
        f"  {row['count']} refused: {row['reason']} ({row['example']})" for row in state.report.get("refused", [])
    ]
    return [*lines, *(f"  note: {note}" for note in state.notes if note not in state.error)]


def _times(failures: int) -> str:
    return "once" if failures == 1 else f"{failures} times in a row"


def _second(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
