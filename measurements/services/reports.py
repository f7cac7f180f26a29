"""Freezes what people report: the only writer of `Report`, which adds rows and marks them withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from measurements.domain.statement import canonical_json, hash_of
from measurements.models import Report


def freeze_report(username: str, body: dict[str, Any], now: datetime) -> Report:
    """Keep a body for ever under its hash; the same body is one report. Whoever withdrew it may show it again."""
    text = canonical_json(body)
    report, _made = Report.objects.get_or_create(
        sha256=hash_of(text), defaults={"username": username, "created_at": now, "body": text}
    )
    if report.withdrawn_at is not None and report.username == username:
        report.withdrawn_at = None
        report.save(update_fields=["withdrawn_at"])
    return report


def withdraw_report(report: Report, now: datetime) -> None:
    """Show it no longer; that it was there stays known."""
    if report.withdrawn_at is None:
        report.withdrawn_at = now
        report.save(update_fields=["withdrawn_at"])
