"""What power and job ingest share: the batch, its identity, its report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from measurements.models import Batch, Cluster
from measurements.parsers.source import Source
from measurements.services.quarantine import QuarantineDraft, RefusedCount


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of one input: read = stored + duplicates + refused + pending."""

    source: str
    batch: int | None
    read: int
    stored: int
    duplicates: int
    refused: list[RefusedCount]
    pending: int = 0
    warnings: list[str] = field(default_factory=list)
    quarantine: QuarantineDraft | None = field(default=None, repr=False, compare=False)  # the lines themselves

    @property
    def usable(self) -> bool:
        """Whether anything in it was of use, now or before."""
        return self.stored + self.duplicates + self.pending > 0

    def as_json(self) -> dict[str, Any]:
        """The figures, as they are kept with a file that workers took."""
        return {
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "pending": self.pending,
            "refused": [asdict(row) for row in self.refused],
            "warnings": self.warnings,
        }


def options_key(options: dict[str, object]) -> str:
    """A fingerprint of what the operator said."""
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


def earlier_batch(cluster: Cluster, content: str, source: Source, options: dict[str, object]) -> Batch | None:
    """The batch that took the same bytes with the same options, if there is one."""
    return Batch.objects.filter(
        cluster=cluster, content=content, sha256=source.sha256, options_key=options_key(options)
    ).first()


def new_batch(cluster: Cluster, content: str, source: Source, options: dict[str, object], now: datetime) -> Batch:
    """A batch row, not saved."""
    return Batch(
        cluster=cluster,
        content=content,
        source=source.name[-1024:],
        sha256=source.sha256,
        options=options,
        options_key=options_key(options),
        committed_at=now,
    )
