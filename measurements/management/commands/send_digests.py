"""Sends the mails of the last week and month, or shows what they would say."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, now
from measurements.models import Digest
from measurements.selectors.digests import Turn, addressees, kinds_sent, last_turn
from measurements.services.digests import composer, send_turns


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Send the mails of the last week and month that were not sent yet, without waiting for their hour. "
        "Each is sent once, whoever opted out gets none. --dry-run prints them instead, and sends and notes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which of them."""
        parser.add_argument("--kind", choices=Digest.Kind.values, help="only these; default: what the site sends")
        parser.add_argument("--user", metavar="NAME", help="only to this person")
        parser.add_argument("--dry-run", action="store_true", help="print the mails; works where none are sent, too")
        self.add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit with 1 if a mail failed."""
        self.as_json: bool = options["json"]
        turns = self._turns(options["kind"], dry_run=options["dry_run"])
        names = None if options["user"] is None else [_known(options["user"])]
        rows = self._shown(turns, names) if options["dry_run"] else self._sent(turns, names)
        if self.as_json:
            self.print_json({"mails": rows})
        else:
            counts = Counter(row["state"] for row in rows)
            self.say(", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing to send")
        if any(row["state"] == Digest.State.FAILED for row in rows):
            raise CommandError("not every mail could be sent; it is tried again in an hour", returncode=NOTHING_USABLE)

    def _turns(self, kind: str | None, *, dry_run: bool) -> list[Turn]:
        sent = kinds_sent()
        if not sent and not dry_run:
            cure = "set JOULEBOOK_DIGESTS and JOULEBOOK_MAIL_FROM"
            raise CommandError(f"this site sends no mails: {cure}", returncode=USAGE)
        kinds = [Digest.Kind(kind)] if kind else list(sent) or list(Digest.Kind)
        if not dry_run and not set(kinds) <= set(sent):
            raise CommandError(f"this site sends no {kind} mails: see JOULEBOOK_DIGESTS", returncode=USAGE)
        return [last_turn(each, timezone.localdate(now())) for each in kinds]

    def _sent(self, turns: list[Turn], names: list[str] | None) -> list[dict[str, Any]]:
        done = [outcome.digest for outcome in send_turns(turns, now(), names)]
        for digest in done:
            if digest.error:
                self.say(f"{digest.username}: {digest.error}")
        return [_row(d.username, d.kind, d.first.isoformat(), d.state) | {"error": d.error} for d in done]

    def _shown(self, turns: list[Turn], names: list[str] | None) -> list[dict[str, Any]]:
        rows = []
        for turn in turns:
            people = User.objects.filter(username__in=names) if names else addressees(turn, now())
            for user in people:
                letter = composer()(user, turn.kind, turn.first)
                if letter and not self.as_json:
                    self.stdout.write(f"To: {user.email or '-'}\nSubject: {letter.subject}\n\n{letter.text}\n")
                row = _row(user.get_username(), turn.kind, turn.first.isoformat(), "shown" if letter else "quiet")
                rows.append(row | ({"subject": letter.subject, "text": letter.text} if letter else {}))
        return rows


def _row(username: str, kind: str, first: str, state: str) -> dict[str, Any]:
    return {"user": username, "kind": str(kind), "first": first, "state": str(state)}


def _known(name: str) -> str:
    if not User.objects.filter(username=name).exists():
        raise CommandError(f"no user {name!r}", returncode=NOTHING_USABLE)
    return name
