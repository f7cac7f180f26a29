"""All that the page of a trial shows, in words and figures; no name is in it that is to be scrambled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from measurements.domain.quality import ratio
from measurements.domain.units import ms_from_datetime
from measurements.management.base import now
from measurements.selectors.energy import Energy, Period, energy_of_cluster
from measurements.selectors.job import JobReport
from measurements.selectors.reconciliation import Closing, closing
from measurements.selectors.trial import BlindRow, ClosedDay, QualityRow, TrialFigures, trial_figures
from measurements.services.batches import IngestReport
from portal.trial.cures import cure_of
from portal.trial.inputs import Unusable
from portal.trial.ladder import Rung, ladder, next_steps
from portal.trial.pipeline import Outcome
from portal.trial.scramble import Pseudonyms
from portal.trial.wording import answer, blind_sentence, hints, meter_rows, node_sentences

MOST_NAMES = 400  # characters of a list of nodes


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Lines of a file that were refused for one reason."""

    label: str
    reason: str
    count: int
    first_line: int
    cure: str
    example: str  # empty while names are scrambled


@dataclass(frozen=True, slots=True)
class BlindLine:
    """Jobs of which nothing was measured, and what to do."""

    row: BlindRow
    sentence: str
    nodes: str


@dataclass(frozen=True, slots=True)
class LargeJob:
    """One of the ten."""

    job: JobReport
    job_id: str
    who: str
    node_hours: float
    node_count: int

    @property
    def shown_j(self) -> float:
        """Metered, and what is reported or estimated in its place."""
        return (self.job.figures.energy_j or 0.0) + self.job.figures.filled_j


@dataclass(frozen=True, slots=True)
class TrialReport:
    """The page."""

    cluster: str
    made_at: datetime
    scrambled: bool
    closing: Closing
    energy: Energy
    figures: TrialFigures
    answer: str
    hints: tuple[str, ...]
    days: tuple[ClosedDay, ...]
    types: tuple[ClosedDay, ...]
    qualities: tuple[QualityRow, ...]
    blind: tuple[BlindLine, ...]
    largest: tuple[LargeJob, ...]
    meters: tuple[str, ...]
    node_sentences: tuple[str, ...]
    refused: tuple[RefusedRow, ...]
    unusable: tuple[Unusable, ...]
    inputs: tuple[tuple[str, IngestReport], ...]
    rungs: tuple[Rung, ...]
    next_steps: tuple[str, ...]
    guessed_nodes: int
    nodes_file: str

    @property
    def unallocated_share(self) -> float | None:
        """Unallocated ÷ metered."""
        return ratio(self.closing.unallocated_j, self.closing.metered_j)

    @property
    def difference_j(self) -> float:
        """What does not close."""
        return self.closing.metered_j - self.closing.jobs_j - self.closing.unallocated_j


def trial_report(outcome: Outcome, names: Pseudonyms, nodes_file: str) -> TrialReport:
    """The page's content, from the ledger of a cluster that is booked."""
    at = now()
    period = Period()
    figures = trial_figures(outcome.cluster, ms_from_datetime(at))
    closed = closing([outcome.cluster], period, at)
    energy = energy_of_cluster(outcome.cluster, period)
    guessed = [name for guess in outcome.guessed for name in guess.nodes]
    return TrialReport(
        cluster=outcome.cluster.name,
        made_at=at.astimezone(UTC),
        scrambled=names.wanted.people,
        closing=closed,
        energy=energy,
        figures=figures,
        answer=answer(closed),
        hints=tuple(hints(figures, energy, len(guessed), nodes_file)),
        days=figures.days,
        types=figures.types,
        qualities=figures.qualities,
        blind=tuple(BlindLine(row, blind_sentence(row.cause), _hosts(row.nodes, names)) for row in figures.blind),
        largest=tuple(_large(job) for job in figures.largest),
        meters=tuple(meter_rows(figures.meters, names)),
        node_sentences=tuple(node_sentences(figures, outcome.described, _hosts(guessed, names), len(guessed))),
        refused=tuple(_refused(outcome)),
        unusable=tuple(Unusable(row.label, "" if names.wanted.people else row.why) for row in outcome.unusable),
        inputs=tuple(outcome.reports),
        rungs=tuple(ladder(figures, energy)),
        next_steps=tuple(next_steps(figures, energy, len(guessed))),
        guessed_nodes=len(guessed),
        nodes_file=nodes_file,
    )


def _large(job: JobReport) -> LargeJob:
    who = ", ".join(part for part in (job.job.username, job.job.account, job.job.name) if part)
    hours = job.figures.elapsed_s / 3_600
    return LargeJob(job, job.job.job_id, who, hours, len(job.nodes))


def _hosts(names: tuple[str, ...] | list[str], pseudonyms: Pseudonyms) -> str:
    """Some nodes as a hostlist that is not too long."""
    text = pseudonyms.hosts(list(names))
    return text if len(text) <= MOST_NAMES else f"{text[:MOST_NAMES]}…"


def _refused(outcome: Outcome) -> list[RefusedRow]:
    rows = [
        RefusedRow(report.source, row.reason, row.count, row.first_line, cure_of(row.reason), row.example)
        for _, report in outcome.reports
        for row in report.refused
    ]
    return sorted(rows, key=lambda row: -row.count)
