"""What waits to be done, and who was seen doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from measurements.models import DirtyDay, DirtyDoubt, DirtyJob, DirtyNodeDay, Heartbeat, Intake

LATE_SWEEPS = 3  # a heartbeat older than this many intervals of the sweep is missing
SLACK_S = 15  # on top: a piece of work may take that long


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits, what is being done included."""

    files: int
    oldest_file_at: datetime | None
    node_days: int
    jobs: int
    days: int
    examinations: int = 0  # days to be looked through for what is not plausible
    untried: int = 0  # files to be tried before anybody decides on them

    @property
    def anything(self) -> bool:
        """Whether there is anything at all."""
        files, ledger = self.files or self.untried, self.node_days or self.jobs or self.days
        return bool(files or ledger or self.examinations)

    def as_json(self) -> dict[str, Any]:
        """For a heartbeat."""
        oldest = self.oldest_file_at
        return asdict(self) | {"oldest_file_at": oldest.isoformat() if oldest else None}


@dataclass(frozen=True, slots=True)
class Seen:
    """When something that runs again and again was last seen."""

    name: str
    age_s: float
    detail: dict[str, Any]


def waiting_work() -> Waiting:
    """Everything that is not done yet."""
    files = Intake.objects.filter(state=Intake.State.QUEUED)
    return Waiting(
        files=files.count(),
        oldest_file_at=files.order_by("pk").values_list("queued_at", flat=True).first(),
        node_days=DirtyNodeDay.objects.count(),
        jobs=DirtyJob.objects.count(),
        days=DirtyDay.objects.count(),
        examinations=DirtyDoubt.objects.count(),
        untried=Intake.objects.filter(state=Intake.State.TRYING).count(),
    )


def heartbeats(now: datetime) -> dict[str, Seen]:
    """By name: the sweep, beat, each worker and chore."""
    rows = Heartbeat.objects.all()
    return {row.name: Seen(row.name, (now - row.at).total_seconds(), row.detail) for row in rows}


def latest_files(number: int, state: str = "") -> list[Intake]:
    """The files that were given last, with cluster and batch; of one state if it is named."""
    rows = Intake.objects.select_related("cluster", "batch")
    return list((rows.filter(state=state) if state else rows).order_by("-pk")[:number])
