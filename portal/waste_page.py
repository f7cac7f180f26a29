"""Advice as pages show it: lines with their directive, saving and evidence, those put away, and how little there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.domain.advice_kinds import Advice, Kind
from measurements.models import Job
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.waste import (
    EVIDENCE,
    MOST_JOBS,
    EvidenceJob,
    Waste,
    dismissed,
    grams_per_joule,
    site_thresholds,
    subject_of,
    waste,
    waste_like,
)
from portal import wording_waste
from portal.forms import Period
from portal.quantities import Unit, format_quantity, unit_for

MOST_LINES = 15  # of a page


@dataclass(frozen=True, slots=True)
class Line:
    """One card."""

    advice: Advice
    label: str
    subject: str  # as a reader knows it
    names: str  # as a dismissal names it
    happened: str
    to_do: str
    directive: str
    saved: str  # empty: no figure
    emissions: str  # saved with it; empty: not known
    why: str  # where there is no figure
    evidence: tuple[EvidenceJob, ...]
    more: int  # jobs that are not listed
    unit: Unit  # of the evidence
    unmeasured: str

    @property
    def count(self) -> int:
        """How many jobs it is about."""
        return len(self.advice.jobs)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A line that its reader has put away."""

    label: str
    subject: str
    kind: str
    names: str


def waste_lines(
    viewer: User | AnonymousUser, period: Period, zone: ZoneInfo, today: date, most: int = MOST_LINES
) -> dict[str, Any]:
    """The context of ``_waste_lines.html``: a person's own jobs in a period; six queries at most."""
    start_ms, *_between, end_ms = day_bounds_ms(period.first, period.last, zone).tolist()
    name = viewer.get_username()
    found = waste(name, start_ms, end_ms)
    away = dismissed(name)
    shown = [line for line in found.lines if (line.kind.value, subject_of(line)) not in away]
    grams = grams_per_joule(found.clusters, start_ms, end_ms) if shown else {}
    return {
        "waste": found,
        "period": period,
        "waste_total": format_quantity(found.unused_j, "energy") if found.measured else "",
        "waste_words": wording_waste.unused_in_words(found.advised.lost_j, found.advised.idle_j, found.energy_j),
        "waste_lines": [_line(line, found.evidence, grams.get(line.cluster)) for line in shown[:most]],
        "waste_more": max(len(shown) - most, 0),
        "waste_notes": _notes(found),
        "waste_empty": _empty(found, period, today) if not shown else "",
        "hidden": _hidden(found, away),
    }


def job_advice(job: Job, viewer: User | AnonymousUser) -> dict[str, Any]:
    """The context of ``_job_advice.html``: what jobs like this one show; three queries at most.

    Lines that speak of this job too; only jobs that the viewer may see count.
    """
    if job.start_ms is None or not job.username:
        return {"job_advice": []}
    found = waste_like(job, Job.objects.visible_to(viewer))
    mine = [line for line in found.lines if job.pk in line.jobs]
    return {"job_advice": [_line(line, found.evidence, None) for line in mine]}


def limits() -> list[str]:
    """From when on there is a line."""
    return wording_waste.limits(site_thresholds())


def _line(line: Advice, evidence: Mapping[int, EvidenceJob], grams: float | None) -> Line:
    jobs = tuple(evidence[key] for key in line.jobs[:EVIDENCE])
    saved = line.saved_j or 0.0
    return Line(
        advice=line,
        label=wording_waste.kind_name(line.kind),
        subject=wording_waste.subject_name(line),
        names=subject_of(line),
        happened=wording_waste.happened(line),
        to_do=wording_waste.to_do(line),
        directive=line.directive.line,
        saved=format_quantity(saved, "energy") if saved else "",
        emissions=format_quantity(saved * grams, "emissions") if saved and grams else "",
        why=wording_waste.saving(line),
        evidence=jobs,
        more=len(line.jobs) - len(jobs),
        unit=unit_for(max((job.inside_j or 0.0 for job in jobs), default=0.0), "energy"),
        unmeasured=_unmeasured(line.unmeasured) if line.unmeasured else "",
    )


def _unmeasured(jobs: int) -> str:
    return ngettext(
        "%(jobs)d of them was not measured: what it drew isn't known.",
        "%(jobs)d of them were not measured: what they drew isn't known.",
        jobs,
    ) % {"jobs": jobs}


def _notes(found: Waste) -> list[str]:
    """What the figures leave out: neither not measured nor running is 0."""
    notes = []
    unmeasured = found.unmeasured
    if found.measured and unmeasured:
        notes.append(
            ngettext(
                "%(jobs)d job of the period was not measured: it is in no figure here.",
                "%(jobs)d jobs of the period were not measured: they are in no figure here.",
                unmeasured,
            )
            % {"jobs": unmeasured}
        )
    if found.running:
        notes.append(
            ngettext(
                "%(jobs)d job is still running: of it only idle GPUs count.",
                "%(jobs)d jobs are still running: of them only idle GPUs count.",
                found.running,
            )
            % {"jobs": found.running}
        )
    if found.cut_off:
        notes.append(_("There are more jobs than %(jobs)d: the lines are of the newest.") % {"jobs": MOST_JOBS})
    return notes


def _empty(found: Waste, period: Period, today: date) -> str:
    """Why there is no line."""
    if not found.jobs:
        if period.first > today:
            return _("This period has not begun.")
        return _("None of your jobs ran in this period, as far as this site knows.")
    if found.unmeasured and not found.measured:
        return _("Your jobs of this period were not measured: whether anything was unused isn't known.")
    if found.lines:
        return _("You have put away all there was to say of this period.")
    if found.running == found.jobs:
        return _("Your jobs of this period are still running: there is nothing to say yet.")
    return _("Nothing stands out in this period.")


def _hidden(found: Waste, away: set[tuple[str, str]]) -> list[Hidden]:
    """Put away, whether or not this period has such a line; those that it has know their name."""
    known = {(line.kind.value, subject_of(line)): wording_waste.subject_name(line) for line in found.lines}
    return [
        Hidden(label, known.get((kind, names)) or names.partition("/")[2] or names, kind, names)
        for kind, names, label in sorted(_labelled(away), key=lambda row: (row[2], row[1]))
    ]


def _labelled(away: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str, str]]:
    kinds = {kind.value: kind for kind in Kind}
    return ((kind, names, wording_waste.kind_name(kinds[kind])) for kind, names in away if kind in kinds)
