"""A site's own exported logs in, one page out."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.utils import translation

from measurements.domain.nodeday import Policy
from measurements.domain.units import MS_PER_S, UJ_PER_J
from measurements.management.base import USAGE, JoulebookCommand, known_format, seconds, time_zone
from measurements.parsers.detect import POWER_PARSERS, detect_power
from measurements.parsers.detect_jobs import JOB_PARSERS, detect_jobs
from measurements.parsers.detect_nodes import NODE_PARSERS, detect_nodes
from measurements.parsers.node_states import read_states
from measurements.parsers.records import ParseOptions
from measurements.parsers.source import Source
from measurements.services.channels import Declaration
from portal.trial import private
from portal.trial.guess import nodes_csv, write_beside
from portal.trial.inputs import find
from portal.trial.page import GENERATOR, write_page
from portal.trial.pipeline import Files, Outcome, Pipeline, Said, StateParser
from portal.trial.report import trial_report
from portal.trial.scramble import Pseudonyms, Scrambling

HEAD_BYTES = 2_000
OUT = "trial.html"
_PASSED = (
    *("jobs_time_zone", "power_time_zone", "jobs_format", "power_format", "nodes_format", "node", "channel"),
    *("wrap_joules", "policy", "language"),
)
_DURATIONS = ("interval", "max_gap")
_SWITCHES = ("scramble_nodes", "no_guess")


class Command(JoulebookCommand):
    """See help."""

    help = (
        "Take exported job records and power logs, book them in a folder of their own, and write one page: does it "
        "close, how good is it, what was refused, what would make it better. The site's own data is not touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, and what they do not say themselves."""
        add = parser.add_argument
        add("--jobs", nargs="+", default=[], metavar="PATH", help="sacct --parsable2, or another format of job records")
        add("--power", nargs="+", default=[], metavar="PATH", help="power logs")
        add("--nodes", nargs="+", default=[], metavar="PATH", help="scontrol show node, cluster.json, nodes.csv")
        add("--states", nargs="+", default=[], metavar="PATH", help="sacctmgr show event: when nodes were off")
        add("--out", default=OUT, metavar="FILE", help=f"the page (default {OUT})")
        add("--cluster", default="", metavar="C", help="its name (default: as the jobs say)")
        add("--time-zone", type=time_zone, metavar="Z", help="the zone of naive times in all files")
        add("--jobs-time-zone", type=time_zone, metavar="Z", help="the same of the jobs alone")
        add("--power-time-zone", type=time_zone, metavar="Z", help="the same of the power logs alone")
        add("--jobs-format", metavar="F", help="the format, where it is not to be detected")
        add("--power-format", metavar="F")
        add("--nodes-format", metavar="F")
        add("--node", metavar="N", help="the node, of a power log that names none")
        add("--channel", metavar="CH", help="the channel, of a power log that names none (default: node)")
        add("--interval", type=seconds, metavar="S", help="the nominal interval of the power logs [s]")
        add("--max-gap", type=seconds, metavar="S", help="the longest gap to bridge [s]")
        add("--wrap-joules", type=float, metavar="J", help="counters of energy wrap at this [J]")
        add("--policy", choices=[p.value for p in Policy], help="how shared nodes are split")
        add("--names", action="store_true", help="keep the names of users, projects and jobs, and of files")
        add("--scramble-nodes", action="store_true", help="replace the names of nodes on the page, too")
        add("--no-guess", action="store_true", help="take only nodes that --nodes describes")
        add("--language", choices=[code for code, _ in settings.LANGUAGES], help="of the page")
        add("--keep", metavar="DIR", help="use this folder and leave it: JOULEBOOK_VAR=DIR make run shows its pages")
        self.add_json(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        """In a process of its own, on a folder of its own."""
        if not private.is_private():
            sys.exit(private.run(argv[2:]))
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at what was asked for, then make the page."""
        if not private.is_private():
            raise CommandError("a trial takes a process of its own: start it as manage.py trial", returncode=USAGE)
        page = _page_path(options["out"])
        if not options["jobs"] and not options["power"]:
            raise CommandError(
                "nothing to read: make trial JOBS=sacct.txt POWER=power.csv [NODES=scontrol.txt]; docs/trial.md says "
                "how to export them",
                returncode=USAGE,
            )
        with translation.override(options["language"] or settings.LANGUAGE_CODE):
            self._make(page, options)

    def _make(self, page: Path, options: dict[str, Any]) -> None:
        names = Pseudonyms(Scrambling(people=not options["names"], nodes=options["scramble_nodes"]))
        with tempfile.TemporaryDirectory(dir=settings.JOULEBOOK_VAR) as spool:
            files = _files(options, Path(spool), names)
            _make_tables(kept=bool(options["keep"]))
            outcome = Pipeline(self, files, _said(options), names).run()
        nodes_file = write_beside(page, nodes_csv(outcome.guessed)) if outcome.guessed else None
        again = _again(options, nodes_file)
        report = trial_report(outcome, names, nodes_file.name if nodes_file else "")
        replaced = write_page(page, report)
        self.say(f"{page}: {'replaced' if replaced else 'written'}")
        if nodes_file:
            self.say(f"{nodes_file}: what is guessed of {report.guessed_nodes} nodes. Put it right, then run again:")
            self.say(f"  {again}")
        if options["json"]:
            self.print_json(_answer(outcome, page, nodes_file))


def _make_tables(*, kept: bool) -> None:
    """The tables as the models say; what is kept gets them by migrations, so that a site can go on with it."""
    if kept:
        call_command("migrate", verbosity=0)
        return
    with connection.schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)


def _page_path(text: str) -> Path:
    """Where the page goes; a file that is no page of a trial stays as it is."""
    page = Path(text).expanduser().absolute()
    if not page.parent.is_dir():
        raise CommandError(f"--out {text}: there is no folder {page.parent}; make it first", returncode=USAGE)
    if page.is_dir():
        raise CommandError(f"--out {text}: a folder; name a file in it", returncode=USAGE)
    if page.exists():
        with page.open("rb") as file:
            if GENERATOR.encode() not in file.read(HEAD_BYTES):
                raise CommandError(
                    f"--out {text}: there is a file that is no page of a trial; name another one", returncode=USAGE
                )
    return page


def _files(options: dict[str, Any], spool: Path, names: Pseudonyms) -> Files:
    known_format(options["jobs_format"], JOB_PARSERS)
    known_format(options["power_format"], POWER_PARSERS)
    known_format(options["nodes_format"], NODE_PARSERS)
    return Files(
        jobs=find("jobs", options["jobs"], spool, lambda s: detect_jobs(s, options["jobs_format"]), names),
        power=find("power", options["power"], spool, lambda s: detect_power(s, options["power_format"]), names),
        nodes=find("nodes", options["nodes"], spool, lambda s: detect_nodes(s, options["nodes_format"]), names),
        states=find("states", options["states"], spool, _states_of, names),
    )


def _states_of(source: Source) -> StateParser:
    """The one parser of states, if there is anything to be read."""
    source.head()
    return read_states


def _said(options: dict[str, Any]) -> Said:
    zone, wrap = options["time_zone"], options["wrap_joules"]
    return Said(
        cluster=options["cluster"],
        jobs=ParseOptions(time_zone=options["jobs_time_zone"] or zone),
        power=ParseOptions(
            options["node"], options["channel"], options["power_time_zone"] or zone, options["interval"]
        ),
        declaration=Declaration(
            options["interval"], options["max_gap"], None if wrap is None else round(wrap * UJ_PER_J)
        ),
        policy=options["policy"] or "",
        guess=not options["no_guess"],
    )


def _again(options: dict[str, Any], nodes_file: Path | None) -> str:
    """The call that reads the corrected file as well."""
    if nodes_file is None:
        return ""
    described = [path for path in options["nodes"] if Path(path).absolute() != nodes_file]
    flags = [f"--{name.replace('_', '-')} {options[name]}" for name in _PASSED if options[name]]
    flags += [f"--{name.replace('_', '-')} {options[name] / MS_PER_S:g}" for name in _DURATIONS if options[name]]
    flags += [f"--{name.replace('_', '-')}" for name in _SWITCHES if options[name]]
    said = {
        "JOBS": " ".join(options["jobs"]),
        "POWER": " ".join(options["power"]),
        "NODES": " ".join([*described, str(nodes_file)]),
        "STATES": " ".join(options["states"]),
        "TIME_ZONE": str(options["time_zone"] or ""),
        "CLUSTER": options["cluster"],
        "NAMES": "1" if options["names"] else "",
        "OUT": options["out"] if options["out"] != OUT else "",
        "ARGS": " ".join(flags),
    }
    return f"make trial {' '.join(f'{name}={shlex.quote(value)}' for name, value in said.items() if value)}"


def _answer(outcome: Outcome, page: Path, nodes_file: Path | None) -> dict[str, Any]:
    """What --json prints."""
    refused: dict[str, int] = {}
    for _, report in outcome.reports:
        for row in report.refused:
            refused[row.reason] = refused.get(row.reason, 0) + row.count
    return {
        "page": str(page),
        "nodes_csv": str(nodes_file) if nodes_file else None,
        "cluster": outcome.cluster.name,
        "guessed_nodes": sum(len(guess.nodes) for guess in outcome.guessed),
        "refused": refused,
        **outcome.closing,
    }
