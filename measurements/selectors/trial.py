"""What a trial tells of a cluster whose logs were just taken: does it close, how good is it, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import numpy as np
import pandas as pd
from django.db.models import F, Max, Min

from measurements.domain.alignment import ClockFit, clock_fit
from measurements.domain.quality import ratio
from measurements.domain.units import DAY_MS, MS_PER_S, S_PER_HOUR, US_PER_S, datetime_from_ms, day_start_ms
from measurements.models import (
    Allocation,
    Cluster,
    Job,
    JobEnergy,
    Node,
    NodeConfig,
    Quality,
    TypeDay,
)
from measurements.selectors.energy import total
from measurements.selectors.frames import frame_of
from measurements.selectors.job import JobReport, job_report
from measurements.selectors.meters import JobMeter, meters_of
from measurements.selectors.observed import Gpus, gpus_of, node_hours

LARGEST = 10
_TYPE_DAY = ("metered_j", "jobs_j", "unallocated_j", "unplaced_j", "covered_us", "off_us", "nodes", "measured_nodes")


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last instant of something."""

    start_at: datetime
    end_at: datetime

    def apart_from(self, other: Span) -> bool:
        """Whether the two have no instant in common."""
        return self.end_at < other.start_at or other.end_at < self.start_at


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A UTC day, or a node type over all days: metered = jobs + unallocated, wall = covered + off + gap."""

    name: str  # the day, or the type
    day: date | None
    nodes: int  # of a type: the most on any day
    measured_nodes: int
    metered_j: float
    jobs_j: float
    unallocated_j: float
    covered_s: float
    off_s: float
    wall_s: float

    @property
    def gap_s(self) -> float:
        """Neither covered nor off."""
        return max(0.0, self.wall_s - self.covered_s - self.off_s)

    @property
    def coverage(self) -> float | None:
        """Covered ÷ wall time that was not off."""
        return ratio(self.covered_s, self.wall_s - self.off_s)

    @property
    def mean_node_w(self) -> float | None:
        """Mean power of one node while it was measured [W]."""
        return ratio(self.metered_j, self.covered_s)


@dataclass(frozen=True, slots=True)
class QualityRow:
    """The jobs of one quality."""

    quality: str
    jobs: int
    energy_j: float  # metered
    filled_j: float  # reported or estimated instead
    node_hours: float


class Blind(StrEnum):
    """Why nothing of a job was measured, most remediable first."""

    UNKNOWN_NODE = "unknown_node"
    NO_POWER = "no_power"
    OUTSIDE = "outside"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class BlindRow:
    """Jobs of which nothing was measured, for one reason."""

    cause: Blind
    jobs: int
    node_hours: float
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialFigures:
    """All of it."""

    days: tuple[ClosedDay, ...]
    types: tuple[ClosedDay, ...]
    qualities: tuple[QualityRow, ...]
    blind: tuple[BlindRow, ...]
    largest: tuple[JobReport, ...]
    meters: tuple[JobMeter, ...]
    power: Span | None
    jobs: Span | None
    held_nodes: int  # that jobs ran on
    measured_nodes: int  # that the power logs have
    both: int  # that are both
    unrated_nodes: int
    clocks: ClockFit | None
    gpus: Gpus
    facility_measured: bool  # by a meter above all nodes


def trial_figures(cluster: Cluster, now_ms: int) -> TrialFigures:
    """The figures of a cluster; its ledger has to be booked."""
    nodes = _nodes(cluster)
    parts = _parts(cluster)
    held = set(parts["node_name"])
    held_ids = set(parts.loc[parts["node_id"] > 0, "node_id"])
    measured = set(nodes.index[nodes["first_ms"] >= 0])
    days, types = _closed(cluster, now_ms)
    return TrialFigures(
        days=days,
        types=types,
        qualities=_qualities(cluster),
        blind=_blind(cluster, parts, nodes),
        largest=_largest(cluster),
        meters=_meters(nodes),
        power=_power_span(nodes),
        jobs=_jobs_span(cluster),
        held_nodes=len(held),
        measured_nodes=len(measured),
        both=len(measured & held_ids),
        unrated_nodes=_unrated(cluster),
        clocks=clock_fit(node_hours(parts, measured & held_ids)),
        gpus=gpus_of(cluster),
        facility_measured=_measured(cluster, Node.Level.FACILITY),
    )


def _measured(cluster: Cluster, level: str) -> bool:
    return Node.objects.filter(cluster=cluster, level=level, last_sample_ms__isnull=False).exists()


def _nodes(cluster: Cluster) -> pd.DataFrame:
    """By id: name, and the first and last instant of its power, -1 where it has none."""
    rows = Node.objects.filter(cluster=cluster, level=Node.Level.NODE).order_by("name")
    columns = {"pk": "pk", "name": "name", "first_ms": "first_sample_ms", "last_ms": "last_sample_ms"}
    frame = frame_of(rows.values_list(*columns.values()), list(columns)).set_index("pk")
    for name in ("first_ms", "last_ms"):
        frame[name] = pd.to_numeric(frame[name]).fillna(-1).astype(np.int64)
    return frame


def _parts(cluster: Cluster) -> pd.DataFrame:
    """One row an allocation; node_id is 0 where its node is not known, end_ms nan while it runs."""
    columns = {
        "job_id": "run__job_id",
        "node_id": "node_id",
        "node_name": "node_name",
        "start_ms": "start_ms",
        "end_ms": "end_ms",
        "cpus": "cpus",
    }
    rows = Allocation.objects.filter(run__job__cluster=cluster).order_by("pk").values_list(*columns.values())
    frame = frame_of(rows, list(columns))
    frame["node_id"] = pd.to_numeric(frame["node_id"]).fillna(0).astype(np.int64)
    frame["end_ms"] = pd.to_numeric(frame["end_ms"]).astype(np.float64)
    return frame


# --- What closes --------------------------------------------------------------------------------


def _closed(cluster: Cluster, now_ms: int) -> tuple[tuple[ClosedDay, ...], tuple[ClosedDay, ...]]:
    """By day and by node type, from the roll-up of both."""
    columns = ("day", "node_type__name", *_TYPE_DAY)
    rows = TypeDay.objects.filter(cluster=cluster).order_by("day", "node_type__name")
    frame = frame_of(rows.values_list(*columns), columns)
    lengths = {day: float(np.clip(now_ms - day_start_ms(day), 0, DAY_MS)) / MS_PER_S for day in set(frame["day"])}
    frame["wall_s"] = [nodes * lengths[day] for nodes, day in zip(frame["nodes"], frame["day"], strict=True)]
    days = (_row(day.isoformat(), day, int(g["nodes"].sum()), g) for day, g in frame.groupby("day", sort=True))
    types = (_row(name, None, int(g["nodes"].max()), g) for name, g in frame.groupby("node_type__name", sort=True))
    return tuple(days), tuple(types)


def _row(name: str, day: date | None, nodes: int, group: pd.DataFrame) -> ClosedDay:
    return ClosedDay(
        name=name,
        day=day,
        nodes=nodes,
        measured_nodes=int(group["measured_nodes"].sum() if day else group["measured_nodes"].max()),
        metered_j=total(group["metered_j"]),
        jobs_j=total(group["jobs_j"]),
        unallocated_j=total(group["unallocated_j"]),
        covered_s=int(group["covered_us"].sum()) / US_PER_S,
        off_s=int(group["off_us"].sum()) / US_PER_S,
        wall_s=float(group["wall_s"].sum()),
    )


# --- How good it is -----------------------------------------------------------------------------


def _qualities(cluster: Cluster) -> tuple[QualityRow, ...]:
    """Best first; only qualities that occur."""
    columns = ("quality", "energy_j", "filled_j", "elapsed_us")
    rows = JobEnergy.objects.filter(job__cluster=cluster).order_by("job_id").values_list(*columns)
    found = {str(word): group for word, group in frame_of(rows, columns).groupby("quality")}
    return tuple(
        QualityRow(
            word,
            len(found[word]),
            total(found[word]["energy_j"]),
            total(found[word]["filled_j"]),
            int(found[word]["elapsed_us"].sum()) / US_PER_S / S_PER_HOUR,
        )
        for word in reversed(Quality.values)
        if word in found
    )


def _blind(cluster: Cluster, parts: pd.DataFrame, nodes: pd.DataFrame) -> tuple[BlindRow, ...]:
    """Jobs that lasted and of which nothing was measured, by why."""
    rows = JobEnergy.objects.filter(job__cluster=cluster, covered_us=0, elapsed_us__gt=0)
    blind = set(rows.values_list("job_id", flat=True))
    frame = parts[parts["job_id"].isin(blind)].copy()
    if frame.empty:
        return ()
    first, last = (frame["node_id"].map(nodes[name]).fillna(-1).to_numpy() for name in ("first_ms", "last_ms"))
    unknown = frame["node_id"].to_numpy() == 0
    outside = (frame["end_ms"].to_numpy() <= first) | (frame["start_ms"].to_numpy() >= last)
    ranks = np.select([unknown, first < 0, outside], [0, 1, 2], 3)
    end = np.where(np.isnan(frame["end_ms"]), frame["start_ms"], frame["end_ms"])
    frame["hours"] = (end - frame["start_ms"]) / MS_PER_S / S_PER_HOUR
    frame["rank"] = ranks
    frame["rank"] = frame.groupby("job_id")["rank"].transform("min")  # one reason a job
    causes = tuple(Blind)
    return tuple(
        BlindRow(
            causes[int(rank)],
            int(group["job_id"].nunique()),
            float(group["hours"].sum()),
            tuple(sorted(set(group["node_name"]))),
        )
        for rank, group in frame.groupby("rank", sort=True)
    )


def _largest(cluster: Cluster) -> tuple[JobReport, ...]:
    """The jobs of which most was metered, or, where nothing was, reported or estimated."""
    rows = Job.objects.filter(cluster=cluster, energy__isnull=False).annotate(
        shown_j=F("energy__energy_j") + F("energy__filled_j")
    )
    jobs = rows.filter(shown_j__gt=0).select_related("cluster").order_by("-shown_j", "-start_ms", "pk")[:LARGEST]
    return tuple(job_report(job) for job in jobs)


def _meters(nodes: pd.DataFrame) -> tuple[JobMeter, ...]:
    measured = nodes[nodes["first_ms"] >= 0]
    if measured.empty:
        return ()
    names = {int(pk): str(name) for pk, name in zip(measured.index, measured["name"], strict=True)}
    return meters_of(names, int(measured["first_ms"].min()), int(measured["last_ms"].max()))


def _power_span(nodes: pd.DataFrame) -> Span | None:
    measured = nodes[nodes["first_ms"] >= 0]
    if measured.empty:
        return None
    return Span(datetime_from_ms(measured["first_ms"].min()), datetime_from_ms(measured["last_ms"].max()))


def _jobs_span(cluster: Cluster) -> Span | None:
    """From the first start to the last end; of jobs that run, to their start."""
    rows = Allocation.objects.filter(run__job__cluster=cluster)
    found = rows.aggregate(first=Min("start_ms"), last=Max("end_ms"), started=Max("start_ms"))
    if found["first"] is None:
        return None
    return Span(datetime_from_ms(found["first"]), datetime_from_ms(max(found["last"] or 0, found["started"])))


def _unrated(cluster: Cluster) -> int:
    """Nodes whose rated power nobody said: nothing can be estimated on them."""
    rated = NodeConfig.objects.filter(rated_w__isnull=False).values("node")
    return Node.objects.filter(cluster=cluster, level=Node.Level.NODE).exclude(pk__in=rated).count()
