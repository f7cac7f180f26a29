"""manage.py doubts: what plausibility rules found, taken in again or left out; what a cluster does with a rule."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError, CommandParser

from measurements.domain.plausibility import Rule, Setting
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, cluster_named, now, until_day, utc_day
from measurements.models import Doubt
from measurements.selectors.doubts import DoubtFilter, OneDoubt, doubts
from measurements.services.doubts import NotPossible, decide, set_rule, setting_of

BY = "manage.py doubts"


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Samples that plausibility rules found. list shows them, lift takes them in again, refuse leaves them out of "
        "the ledger (the store keeps them), rule says what a cluster does with what a rule finds. docs/plausibility.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, with which of them."""
        what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        for name, text in (
            ("list", "show them, newest days first"),
            ("lift", "take the samples in again"),
            ("refuse", "leave the samples out"),
        ):
            one = what.add_parser(name, help=text)
            if name != "list":
                one.add_argument("ids", nargs="*", type=int, metavar="ID", help="default: all that the options say")
                one.add_argument("--note", default="", help="why")
                one.add_argument("--by", default=BY, help=argparse.SUPPRESS)
            one.add_argument("--cluster", metavar="C")
            one.add_argument("--node", metavar="N")
            one.add_argument("--rule", choices=[rule.value for rule in Rule])
            one.add_argument("--state", choices=Doubt.State.values)
            one.add_argument("--since", type=utc_day, metavar="D", help="first UTC day")
            one.add_argument("--until", type=utc_day, metavar="D", help="first UTC day not included any more")
        rule = what.add_parser("rule", help="what a cluster does with what a rule finds; without arguments: show it")
        rule.add_argument("--cluster", metavar="C", required=True)
        rule.add_argument("rule", nargs="?", choices=[one.value for one in Rule])
        rule.add_argument("setting", nargs="?", choices=[one.value for one in Setting])
        for one in what.choices.values():
            self.add_json(one)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, and say what became of it."""
        try:
            if options["what"] == "rule":
                self._rule(options)
            elif options["what"] == "list":
                self._show(_chosen(options), as_json=options["json"])
            else:
                self._decide(options)
        except NotPossible as fault:
            raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault

    def _show(self, found: list[OneDoubt], *, as_json: bool) -> None:
        if as_json:
            self.print_json({"doubts": [one.as_json() for one in found]})
            return
        for one in found:
            energy = "" if one.energy_j is None else f", about {one.energy_j:.6g} J"
            start, end = f"{one.started_at:%Y-%m-%dT%H:%M:%SZ}", f"{one.ended_at:%H:%M:%SZ}"
            self.stdout.write(
                f"{one.pk}  {one.cluster}  {one.node}/{one.channel}  {start}–{end}  {one.rule}: {one.state}, "
                f"{one.samples} samples{energy}"
            )
        if not found:
            self.say("no rule found anything of that kind")

    def _decide(self, options: dict[str, Any]) -> None:
        chosen = options["ids"] or [one.pk for one in _chosen(options)]
        if not options["ids"] and not any(options[name] for name in ("cluster", "node", "rule", "state", "since")):
            raise CommandError("say which: ids as list shows them, or --cluster, --node, --rule", returncode=USAGE)
        missing = set(chosen) - set(Doubt.objects.filter(pk__in=chosen).values_list("pk", flat=True))
        if missing:
            raise CommandError(f"no doubt {min(missing)}; list shows those there are", returncode=NOTHING_USABLE)
        state = Doubt.State.LIFTED if options["what"] == "lift" else Doubt.State.REFUSED
        changed = decide(chosen, state, options["by"], now(), options["note"])
        words = "taken in again" if state == Doubt.State.LIFTED else "left out"
        self.say(f"{len(changed)} {words}; attribute books the days anew")
        if options["json"]:
            self.print_json({"changed": [row.pk for row in changed], "state": state.value})

    def _rule(self, options: dict[str, Any]) -> None:
        cluster = cluster_named(options["cluster"])
        if options["rule"] and not options["setting"]:
            raise CommandError(f"say what to do: {', '.join(Setting)}", returncode=USAGE)
        if options["rule"]:
            set_rule(cluster, Rule(options["rule"]), Setting(options["setting"]))
        said = {rule.value: setting_of(cluster, rule).value for rule in Rule}
        if options["json"]:
            self.print_json({"cluster": cluster.name, "rules": said})
            return
        for rule, setting in said.items():
            self.stdout.write(f"{rule}: {setting}")


def _chosen(options: dict[str, Any]) -> list[OneDoubt]:
    cluster = cluster_named(options["cluster"]) if options["cluster"] else None
    until = until_day(options["since"], options["until"])
    wanted = DoubtFilter(
        cluster=cluster.name if cluster else "",
        node=options["node"] or "",
        rule=options["rule"] or "",
        state=options["state"] or "",
        first=options["since"],
        before=until,
    )
    return doubts(wanted, limit=None)
