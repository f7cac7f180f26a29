"""The way of a site's logs, from files to figures, by the very services and commands a site uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import numpy as np
from django.core.management import call_command
from django.core.management.base import CommandError

from measurements.domain.hostlist import HostlistError, expand
from measurements.domain.units import ms_from_datetime
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, now
from measurements.models import Cluster, Node
from measurements.parsers.detect import PowerParser
from measurements.parsers.detect_jobs import JobParser
from measurements.parsers.detect_nodes import NodeParser
from measurements.parsers.node_states import States
from measurements.parsers.records import ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source
from measurements.selectors.observed import held_names
from measurements.services.batches import IngestReport
from measurements.services.channels import Declaration
from measurements.services.ingest_jobs import JobsInput, ingest_jobs
from measurements.services.ingest_power import PowerInput, ingest_power
from measurements.services.machine import create_cluster, load_nodes
from measurements.services.names import NodeNames
from measurements.services.quarantine import QuarantineDraft
from measurements.services.states import load_states
from portal.trial.cures import cure_of
from portal.trial.guess import NOT_READ, Guess, guesses, unknown_names
from portal.trial.inputs import Input, Inputs, Unusable
from portal.trial.scramble import Pseudonyms

NAME_OF_A_CLUSTER = "trial"
StateParser = Callable[[Source, ParseOptions], States]


@dataclass(frozen=True, slots=True)
class Said:
    """What the operator said of the files."""

    cluster: str = ""
    jobs: ParseOptions = field(default_factory=ParseOptions)
    power: ParseOptions = field(default_factory=ParseOptions)
    declaration: Declaration = field(default_factory=Declaration)
    policy: str = ""
    guess: bool = True


@dataclass(frozen=True, slots=True)
class Files:
    """What is read."""

    jobs: Inputs[JobParser]
    power: Inputs[PowerParser]
    nodes: Inputs[NodeParser]
    states: Inputs[StateParser]


@dataclass(slots=True)
class Outcome:
    """What became of the files; the figures are in the database."""

    cluster: Cluster
    reports: list[tuple[str, IngestReport]] = field(default_factory=list)  # with its kind: jobs, power, nodes
    unusable: list[Unusable] = field(default_factory=list)
    guessed: list[Guess] = field(default_factory=list)
    described: int = 0  # nodes that NODES describes
    closing: dict[str, Any] = field(default_factory=dict)  # as `attribute --json` says it


class Pipeline:
    """One run through it; what it has to say goes to the terminal."""

    def __init__(self, command: JoulebookCommand, files: Files, said: Said, names: Pseudonyms) -> None:
        self.command, self.files, self.said, self.names = command, files, said, names
        self.now_ms = ms_from_datetime(now())

    def run(self) -> Outcome:
        """Nodes, jobs, nodes nobody described, power, booking."""
        outcome = Outcome(self._cluster())
        for kind in (self.files.nodes, self.files.jobs, self.files.power, self.files.states):
            outcome.unusable += kind.unusable
        self._load_nodes(outcome)
        for job_file in self.files.jobs.usable:
            self._take(outcome, "jobs", job_file)
        self._require(outcome, "jobs", self.files.jobs)
        if self.said.guess:
            self._guess(outcome)
        for power_log in self.files.power.usable:
            self._take(outcome, "power", power_log)
        self._require(outcome, "power", self.files.power)
        self._load_states(outcome)
        outcome.closing = self._attribute(outcome.cluster)
        return outcome

    def _cluster(self) -> Cluster:
        """The cluster that was named, else the one the jobs name."""
        if self.said.cluster:
            try:
                return create_cluster(self.said.cluster)
            except ValueError as fault:
                raise CommandError(f"--cluster: {fault}", returncode=USAGE) from fault
        with suppress(ValueError):  # of a file that cannot be read after all, or a name that cannot be one here
            return create_cluster(next(self._named_clusters(), NAME_OF_A_CLUSTER))
        return create_cluster(NAME_OF_A_CLUSTER)

    def _named_clusters(self) -> Iterator[str]:
        for file in self.files.jobs.usable:
            for chunk in file.parser(file.source, self.said.jobs, self.now_ms):
                yield from (record.cluster for record in chunk.records if record.cluster)
                break

    def _load_nodes(self, outcome: Outcome) -> None:
        for file in self.files.nodes.usable:
            try:
                records, refusals, warnings = file.parser(file.source, self.said.jobs)
            except UnusableFile as fault:
                self._unusable(outcome, file, str(fault))
                continue
            load_nodes(outcome.cluster, records)
            told = [warning for warning in warnings if warning != NOT_READ]
            self._tell(outcome, "nodes", file, _report(len(records), 0, refusals, told))
        self._require(outcome, "nodes", self.files.nodes)
        outcome.described = Node.objects.filter(cluster=outcome.cluster, level=Node.Level.NODE).count()

    def _load_states(self, outcome: Outcome) -> None:
        """When nodes were off; why is nobody's business here."""
        for file in self.files.states.usable:
            try:
                records, refusals, warnings = file.parser(file.source, self.said.jobs)
            except UnusableFile as fault:
                self._unusable(outcome, file, str(fault))
                continue
            loaded = load_states(outcome.cluster, [replace(record, reason="") for record in records])
            unknown = [Refusal("unknown node", record.line, record.node) for record in loaded.unknown]
            new = loaded.created + loaded.changed
            self._tell(outcome, "states", file, _report(new, loaded.unchanged, [*refusals, *unknown], warnings))
        self._require(outcome, "states", self.files.states)

    def _take(self, outcome: Outcome, kind: str, file: Input[Any]) -> None:
        """A file of jobs or power into the store, as ingest_jobs and ingest_power do."""
        try:
            with self.command.progress(" samples" if kind == "power" else " jobs") as progress:
                if kind == "power":
                    parser, named = file.parser, file.parser.named(file.source.name)
                    power = PowerInput(parser.read, parser.name, self.said.power, self.said.declaration, named)
                    report = ingest_power(outcome.cluster, file.source, power, now(), progress=progress)
                else:
                    jobs = JobsInput(self.names.jobs(file.parser), file.parser.name, self.said.jobs)
                    report = ingest_jobs(outcome.cluster, file.source, jobs, now(), progress=progress)
        except UnusableFile as fault:
            self._unusable(outcome, file, str(fault))
        else:
            self._tell(outcome, kind, file, report)

    def _guess(self, outcome: Outcome) -> None:
        """Describe the nodes that jobs or power logs name and nobody described."""
        cluster = outcome.cluster
        known = Node.objects.filter(cluster=cluster).values_list("name", flat=True)
        found = unknown_names(known, _hosts(held_names(cluster)), _hosts(self._power_names()))
        resolve = NodeNames(cluster)
        missing = [name for name in found if resolve.lookup(name) < 0]
        if missing:
            outcome.guessed = guesses(cluster, missing)
            load_nodes(cluster, [record for guess in outcome.guessed for record in guess.records()])
            self.command.say(f"{len(missing)} nodes that nothing describes: taken as of one type, 'unknown'")

    def _power_names(self) -> set[str]:
        """The nodes that the power logs name."""
        found: set[str] = set()
        for file in self.files.power.usable:
            with suppress(UnusableFile), self.command.progress(" samples looked at") as progress:
                for chunk in file.parser.read(file.source, self.said.power, self.now_ms):
                    found.update(chunk.nodes[code] for code in np.unique(chunk.node).tolist())
                    progress(len(chunk.t_ms))
        return found

    def _attribute(self, cluster: Cluster) -> dict[str, Any]:
        out = StringIO()
        policy = ["--policy", self.said.policy] if self.said.policy else []
        call_command("attribute", "--cluster", cluster.name, "--json", *policy, stdout=out, stderr=self.command.stderr)
        figures: dict[str, Any] = json.loads(out.getvalue())
        return figures

    # --- What is told -----------------------------------------------------------------------------

    def _tell(self, outcome: Outcome, kind: str, file: Input[Any], report: IngestReport) -> None:
        """On the terminal by the file's name, on the page by its label; no line is quoted while names are scrambled."""
        shown = self.names.report(file.label, report)
        outcome.reports.append((kind, shown))
        refused = sum(row.count for row in shown.refused)
        self.command.say(f"{file.path}: {shown.read} read, {shown.stored} stored, {refused} refused")
        for row in shown.refused:
            quoted = f": {row.example}" if row.example else f": {cure_of(row.reason)}"
            self.command.say(f"  {row.count} × {row.reason}, first on line {row.first_line}{quoted}")
        for warning in shown.warnings:
            self.command.say(f"  note: {warning}")

    def _unusable(self, outcome: Outcome, file: Input[Any], why: str) -> None:
        self.command.say(f"refused: {why}")
        outcome.unusable.append(Unusable(file.label, why))

    def _require(self, outcome: Outcome, kind: str, files: Inputs[Any]) -> None:
        """Nothing usable of what was given is the end; what was refused, and its cure, is said above."""
        usable = any(report.usable for of, report in outcome.reports if of == kind)
        if files.usable and not usable:
            raise CommandError(f"nothing in the {kind} could be used: see the reasons above", returncode=NOTHING_USABLE)


def _report(stored: int, known: int, refusals: Sequence[Refusal], warnings: list[str]) -> IngestReport:
    """What became of a file that is no batch."""
    draft = QuarantineDraft()
    draft.add(refusals)
    return IngestReport("", None, stored + known + len(refusals), stored, known, draft.counts(), warnings=warnings)


def _hosts(names: Sequence[str] | set[str]) -> list[str]:
    """Those that can be names of hosts; others are refused later, as unknown nodes."""
    found = []
    for name in names:
        with suppress(HostlistError):
            if expand(name) == [name]:
                found.append(name)
    return found
