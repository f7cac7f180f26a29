"""What a sender is told: what was stored and what was not, with line and reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse, JsonResponse

from measurements.parsers.mapping_rules import MappingFault
from measurements.parsers.records import Refusal, UnusableFile
from measurements.selectors.tokens import TokenRefused
from measurements.services.batches import IngestReport
from measurements.services.push import NotDurable
from measurements.services.quarantine import RefusedCount
from portal.push_body import RETRY_AFTER_S, Refused

logger = logging.getLogger(__name__)
FAULTS = (Refused, NotDurable, TokenRefused, UnusableFile)
NOT_STORED = f"not stored: the disk is full or the database away; come again in {RETRY_AFTER_S} s"
UNMAPPED = ("no mapping for this metric", "no mapping for these labels")  # senders send all they have: no fault
_MOST_REASONS = 20
_TO_SENDERS = {  # what is said of a file, as it is for a sender
    "then give the same file again": "then try it again in quarantine",
    "give the zone of the file's clock with --time-zone": "write an offset or Z behind times, or epoch seconds",
}


def status_of(fault: Exception) -> tuple[int, str]:
    """Status and sentence of a fault that is one of `FAULTS`."""
    if isinstance(fault, NotDurable):
        return 503, NOT_STORED
    if isinstance(fault, MappingFault):  # of the site: what is answered with 400 senders drop
        logger.error("nothing that is pushed with labels is taken: %s", fault)
        return 503, f"not stored: a mapping file of this site is broken; come again in {RETRY_AFTER_S} s ({fault})"
    if isinstance(fault, UnusableFile):
        return 400, str(fault)
    return (fault.status if isinstance(fault, Refused | TokenRefused) else 500), str(fault)


def with_headers(response: HttpResponse) -> HttpResponse:
    """An answer with what its status asks for."""
    if response.status_code in (429, 503):
        response["Retry-After"] = str(RETRY_AFTER_S)
    if response.status_code == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Joulebook"'
    return response


def refusal(fault: Exception) -> HttpResponse:
    """The answer to a request that was not taken, in the interface's own form."""
    status, sentence = status_of(fault)
    return with_headers(JsonResponse({"detail": sentence}, status=status))


def told(report: IngestReport) -> JsonResponse:
    """What became of a body: 200 where anything of it was of use (or it was empty), 422 where nothing was."""
    content: dict[str, Any] = {
        "stored": report.stored,
        "duplicates": report.duplicates,
        "pending": report.pending,
        "refused": [_as_json(row) for row in report.refused[:_MOST_REASONS]],
    }
    if report.usable or not report.read:
        return JsonResponse(content)
    errors = [{"where": f"line {row.first_line}", "reason": in_words(row)} for row in report.refused[:_MOST_REASONS]]
    return JsonResponse({"detail": "nothing of it is usable", "errors": errors} | content, status=422)


def _as_json(row: RefusedCount) -> dict[str, Any]:
    said = asdict(row)
    return {name: said[name] for name in ("reason", "count", "first_line")} | {"detail": to_sender(row.example)}


def in_words(row: RefusedCount) -> str:
    """A reason with what was refused first for it."""
    return f"{row.reason}: {to_sender(row.example)}" if row.example else row.reason


def to_sender(sentence: str) -> str:
    """A sentence about a file, for who has none."""
    for of_file, of_sender in _TO_SENDERS.items():
        sentence = sentence.replace(of_file, of_sender)
    return sentence


def first_broken(refusals: Sequence[Refusal]) -> str:
    """The first line that could not be read, in words; empty if all could. A series without a mapping is none."""
    broken = [refusal for refusal in refusals if refusal.reason not in UNMAPPED]
    if not broken:
        return ""
    first = min(broken, key=lambda refusal: refusal.line)
    detail = f": {to_sender(first.detail)}" if first.detail else ""
    return f"line {first.line}: {first.reason}{detail}" + (f", and {len(broken) - 1} more" if len(broken) > 1 else "")


def first_words(report: IngestReport, leave_out: tuple[str, ...] = ()) -> str:
    """The most frequent reason in a line; empty if there is none."""
    rows = [row for row in report.refused if row.reason not in leave_out]
    if not rows:
        return ""
    return f"{rows[0].count} refused, first in line {rows[0].first_line}: {in_words(rows[0])}"
