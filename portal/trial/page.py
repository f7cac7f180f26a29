"""The page of a trial: one file that needs nothing else, written whole or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from measurements.selectors.trial import ClosedDay
from portal.quantities import Unit, unit_for
from portal.trial.report import TrialReport
from portal.trial.wording import span_sentence

GENERATOR = "Joulebook trial"
STYLES = ("css/variables.css", "css/base.css", "css/components.css", "css/print.css", "css/trial.css")
MODE = 0o644
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bar:
    """A day in both charts: heights in percent, from the bottom: jobs, unallocated; covered, off, gap."""

    day: ClosedDay
    x: float
    width: float
    jobs: float
    unallocated: float
    covered: float
    off: float
    gap: float

    @property
    def above_jobs(self) -> float:
        """Where the unallocated part begins, from the top."""
        return 100 - self.jobs - self.unallocated

    @property
    def top_jobs(self) -> float:
        """Where the jobs' part begins, from the top."""
        return 100 - self.jobs

    @property
    def top_covered(self) -> float:
        """Where the covered part begins, from the top."""
        return 100 - self.covered

    @property
    def top_off(self) -> float:
        """Where the off part begins, from the top."""
        return 100 - self.covered - self.off


def bars(days: Sequence[ClosedDay]) -> tuple[Bar, ...]:
    """The days as bars of two charts of 100 × 100."""
    largest = max((day.metered_j for day in days), default=0.0) or 1.0
    step = 100 / max(len(days), 1)
    found = []
    for place, day in enumerate(days):
        wall = day.wall_s or 1.0
        found.append(
            Bar(
                day=day,
                x=round(place * step + step * 0.1, 3),
                width=round(step * 0.8, 3),
                jobs=_percent(day.jobs_j / largest),
                unallocated=_percent(day.unallocated_j / largest),
                covered=_percent(day.covered_s / wall),
                off=_percent(day.off_s / wall),
                gap=_percent(day.gap_s / wall),
            )
        )
    return tuple(found)


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 3)


def render(report: TrialReport) -> str:
    """The page's HTML."""
    unit = _unit(report)
    figures = report.figures
    return render_to_string(
        "portal/trial.html",
        {
            "report": report,
            "closing": report.closing,
            "energy": report.energy,
            "styles": _styles(),
            "generator": GENERATOR,
            "bars": bars(report.days),
            "unit": unit,
            "last_day": report.days[-1].day if report.days else None,
            "highest": max((day.metered_j for day in report.days), default=0.0),
            "power_span": span_sentence(figures.power) if figures.power else "",
            "jobs_span": span_sentence(figures.jobs) if figures.jobs else "",
        },
    )


def _unit(report: TrialReport) -> Unit:
    """One unit for the columns of days and node types."""
    return unit_for(max((day.metered_j for day in report.days), default=0.0), "energy")


def _styles() -> SafeString:
    """The site's own style sheets; they are part of the program, hence safe."""
    paths = [finders.find(name) for name in STYLES]
    texts = [Path(path).read_text(encoding="utf-8") for path in paths if isinstance(path, str)]
    return mark_safe("\n".join(_COMMENT.sub("", text) for text in texts))  # noqa: S308


def write_page(path: Path, report: TrialReport) -> bool:
    """Write the page beside its place and move it there; whether it replaced an earlier one."""
    html = render(report)
    replaced = path.exists()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".trial-", delete=False) as draft:
        draft.write(html)
    Path(draft.name).chmod(MODE)
    Path(draft.name).replace(path)
    return replaced
