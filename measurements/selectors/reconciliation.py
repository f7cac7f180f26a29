"""Does it close? Metered = jobs + unallocated, and wall time = covered + off + gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from measurements.domain.units import DAY_MS, EPOCH_DAY, MS_PER_S, US_PER_S, day_start_ms, ms_from_datetime
from measurements.models import Cluster, NodeConfig
from measurements.selectors.energy import Period, compute_days, total
from measurements.selectors.frames import frame_of

_COLUMNS = ["node_id", "day", "metered_j", "jobs_j", "unallocated_j", "unplaced_j", "covered_us", "off_us"]


@dataclass(frozen=True, slots=True)
class Closing:
    """Sums over node-days, unrounded; ``unplaced_j`` are joules known of counters but not placed in time."""

    metered_j: float
    jobs_j: float
    unallocated_j: float
    unplaced_j: float
    covered_s: float
    off_s: float
    gap_s: float

    def as_json(self) -> dict[str, float]:
        """As the command prints it."""
        return asdict(self)


def closing(clusters: Sequence[Cluster], period: Period, now: datetime) -> Closing:
    """Of all booked node-days of some clusters in a period; what lies in the future is no gap."""
    frames = []
    for cluster in clusters:
        rows = period.days(compute_days(cluster)).order_by("day", "node__name").values_list(*_COLUMNS)
        frames.append(frame_of(rows, _COLUMNS))
    frame = pd.concat(frames) if frames else pd.DataFrame(columns=_COLUMNS)
    covered_s = int(frame["covered_us"].sum()) / US_PER_S
    wall_s = float(sum(_wall_s(frame, ms_from_datetime(now))))
    # A state that lasts is off up to the end of the day, of which only a part may be over.
    off_s = min(int(frame["off_us"].sum()) / US_PER_S, wall_s - covered_s)
    return Closing(
        metered_j=total(frame["metered_j"]),
        jobs_j=total(frame["jobs_j"]),
        unallocated_j=total(frame["unallocated_j"]),
        unplaced_j=total(frame["unplaced_j"]),
        covered_s=covered_s,
        off_s=off_s,
        gap_s=wall_s - covered_s - off_s,
    )


def _wall_s(frame: pd.DataFrame, now_ms: int) -> list[float]:
    """The length of each node-day: up to now, and from the day on from which its node is described."""
    first = _first_days()
    lengths = []
    for day, group in frame.groupby("day"):
        length = np.clip(now_ms - day_start_ms(day), 0, DAY_MS) / MS_PER_S
        there = sum(first.get(node, EPOCH_DAY) <= day for node in group["node_id"])
        lengths.append(float(length) * there)
    return lengths


def _first_days() -> dict[int, date]:
    rows = NodeConfig.objects.order_by("-valid_from").values_list("node_id", "valid_from")
    return dict(rows)
