"""Makes, lists and revokes the tokens that senders show."""

from __future__ import annotations

import os
import pwd
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.domain.token_secrets import PREFIX_LENGTH
from measurements.management.base import NOTHING_USABLE, JoulebookCommand, cluster_named, now, whole_from_1
from measurements.models import Token
from measurements.selectors.tokens import TokenState, token_states
from measurements.services.tokens import TokenFault, make_token, revoke_token


class Command(JoulebookCommand):
    """See help."""

    help = "Make, list and revoke tokens: what whoever pushes readings shows instead of a login (docs/push.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """One verb, and what it needs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="make one; its secret is printed once, and kept nowhere")
        add.add_argument("name", help="who sends with it: a rack, an agent, a Telegraf")
        add.add_argument("--cluster", required=True, metavar="C", help="the one it may write to")
        add.add_argument("--scope", action="append", choices=Token.Scope.values, help="default: power:write")
        add.add_argument("--days", type=whole_from_1, metavar="D", help="it expires after so many days; default: never")
        add.add_argument("--late-after", type=whole_from_1, metavar="S", help="silent for longer [s]: it is late")
        self.add_json(add)
        listing = verbs.add_parser("list", help="all of them, with their last use")
        self.add_json(listing)
        revoke = verbs.add_parser("revoke", help="end one, at once and for ever")
        revoke.add_argument("prefix", help="its first letters, as the list shows them, or all of it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says."""
        {"add": self._add, "list": self._list, "revoke": self._revoke}[options["verb"]](options)

    def _add(self, options: dict[str, Any]) -> None:
        expires = None if options["days"] is None else now() + timedelta(days=options["days"])
        try:
            token, secret = make_token(
                cluster_named(options["cluster"]),
                options["name"],
                options["scope"] or [Token.Scope.POWER_WRITE],
                by=pwd.getpwuid(os.getuid()).pw_name,
                now=now(),
                expires_at=expires,
                late_after_s=options["late_after"],
            )
        except TokenFault as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault
        self.say(f"{token}: {', '.join(token.scopes)} of {token.cluster}; the secret is shown this once")
        if options["json"]:
            self.print_json(_as_json(TokenState(token, None, usable=True, late=False)) | {"secret": secret})
        else:
            self.stdout.write(secret)

    def _list(self, options: dict[str, Any]) -> None:
        states = token_states(now())
        if options["json"]:
            self.print_json({"tokens": [_as_json(state) for state in states]})
            return
        if not states:
            self.say("there is no token; token add makes one, see docs/push.md")
        for state in states:
            token = state.token
            seen = f"last used {_minute(token.last_used_at)}" if token.last_used_at else "never used"
            end = "" if state.usable else ", revoked" if token.revoked_at else ", expired"
            end += ", still used" if state.knocks else ", ends soon" if state.ends_soon else ""
            late = f", all refused: {token.refused_for}" if state.refused else ", late" if state.late else ""
            scopes = ",".join(token.scopes)
            self.stdout.write(f"{token.prefix}  {token.cluster}  {token.name}  {scopes}  {seen}{late}{end}")

    def _revoke(self, options: dict[str, Any]) -> None:
        prefix = options["prefix"][:PREFIX_LENGTH]  # of a whole secret, found somewhere, no more is shown again
        token = Token.objects.filter(prefix=prefix).first()
        if token is None:
            cure = (
                "see token list" if len(prefix) == PREFIX_LENGTH else f"give all {PREFIX_LENGTH} letters of token list"
            )
            raise CommandError(f"no token begins with {prefix!r}; {cure}", returncode=NOTHING_USABLE)
        self.say(f"{token} is revoked" if revoke_token(token, now()) else f"{token} was revoked before")


def _as_json(state: TokenState) -> dict[str, Any]:
    token = state.token
    return {
        "name": token.name,
        "prefix": token.prefix,
        "cluster": token.cluster.name,
        "scopes": token.scopes,
        "made_by": token.made_by,
        "made_at": token.made_at.isoformat(),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "revoked_at": token.revoked_at.isoformat() if token.revoked_at else None,
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
        "newest": state.newest.isoformat() if state.newest else None,
        "usable": state.usable,
        "late": state.late,
        "all_refused": token.refused_for if state.refused else None,
        "used_after_its_end": token.knocked_at.isoformat() if token.knocked_at else None,
    }


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"
