"""What waits for an operator: input that was refused lately, findings and files that nobody has decided about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from measurements.domain.plausibility import ONLY_REPORTED
from measurements.models import Doubt, Intake
from measurements.selectors.refused import RefusedFilter, refused_rows

REASONS_NAMED = 3


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """How much of each there is."""

    refused_lines: int
    reasons: tuple[tuple[str, int], ...]  # those with the most lines
    more_reasons: int
    doubts: int  # only reported, and nobody said whether they are right
    tried_files: int
    failed_files: int


def open_questions(since: datetime) -> OpenQuestions:
    """Of refusals and failed files those since an instant, of the rest all; three queries."""
    rows = refused_rows(RefusedFilter(start=since)).order_by().values_list("reason").annotate(lines=Sum("count"))
    by_reason = sorted(rows, key=lambda row: (-row[1], row[0]))
    doubts = Doubt.objects.filter(state=Doubt.State.REPORTED, decided_by="")
    tried = Q(state=Intake.State.TRIED)
    failed = Q(state=Intake.State.FAILED, queued_at__gte=since)
    files = Intake.objects.aggregate(tried=Count("pk", filter=tried), failed=Count("pk", filter=failed))
    return OpenQuestions(
        refused_lines=sum(lines for _, lines in by_reason),
        reasons=tuple(by_reason[:REASONS_NAMED]),
        more_reasons=max(0, len(by_reason) - REASONS_NAMED),
        doubts=doubts.exclude(rule__in=[rule.value for rule in ONLY_REPORTED]).count(),
        tried_files=files["tried"],
        failed_files=files["failed"],
    )
