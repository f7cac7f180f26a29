"""The scratch site that is measured: a cluster, its busy day as files, and the real services over them."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path

from django.core.management import call_command

from measurements.domain.units import day_from_ms
from measurements.models import Cluster
from measurements.services import upkeep
from tests.bench.generate import (
    DAY_START_MS,
    SLOTS_PER_DAY,
    Jobs,
    PowerDay,
    jobs_of_day,
    node_names,
    write_jobs_csv,
    write_nodes_csv,
    write_power_csv,
)
from tests.bench.harness import Scale, timed

DAY: date = day_from_ms(DAY_START_MS)


class World:
    """Made piece by piece, as rows ask for it."""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.folder = folder

    @cached_property
    def power(self) -> PowerDay:
        """The day's power in memory."""
        return PowerDay(self.scale.nodes)

    @cached_property
    def names(self) -> list[str]:
        """Host names of the cluster."""
        return node_names(self.scale.nodes)

    @cached_property
    def jobs(self) -> Jobs:
        """The day's jobs in memory."""
        return jobs_of_day(self.scale.nodes)

    @cached_property
    def power_file(self) -> Path:
        """The day as one power log, in order of arrival."""
        path = self.folder / "power.csv"
        write_power_csv(path, self.power.slots(0, SLOTS_PER_DAY), self.scale.nodes)
        return path

    @cached_property
    def samples(self) -> int:
        """How many samples the day has."""
        return len(self.power)

    @cached_property
    def clusters(self) -> list[Cluster]:
        """Clusters of the same nodes, one for each time that ingest is measured; the first is used further."""
        names = [f"bench{number}" for number in range(self.scale.repeats)]
        return [load_cluster(name, self.scale.nodes, self.folder) for name in names]

    @property
    def cluster(self) -> Cluster:
        """The cluster of all rows but ingest's."""
        return self.clusters[0]

    @cached_property
    def ingest_s(self) -> list[float]:
        """Seconds from opening the day's log to the commit, by cluster."""
        path = self.power_file
        return [timed(partial(ingest, cluster, path)) for cluster in self.clusters]

    @cached_property
    def compact_s(self) -> list[float]:
        """Seconds to make one segment of the day, by cluster."""
        assert self.ingest_s
        return [timed(partial(compact_day, cluster)) for cluster in self.clusters]

    @cached_property
    def booked_jobs(self) -> float:
        """The day's jobs in the database; seconds their ingest took."""
        path = self.folder / "jobs.csv"
        write_jobs_csv(path, self.jobs)
        return timed(lambda: ingest_jobs(self.cluster, path))

    @cached_property
    def attribute_s(self) -> list[float]:
        """Seconds to book the whole day anew, ledger and roll-ups committed."""
        assert self.compact_s
        assert self.booked_jobs
        return [timed(partial(attribute, self.cluster)) for _ in range(self.scale.repeats)]


def load_cluster(name: str, nodes: int, folder: Path) -> Cluster:
    """A cluster of one node type."""
    path = folder / f"nodes-{name}.csv"
    write_nodes_csv(path, nodes)
    command("load_nodes", str(path), "--cluster", name)
    return Cluster.objects.get(name=name)


def ingest(cluster: Cluster, path: Path) -> None:
    """A power log into committed segments."""
    command("ingest_power", str(path), "--cluster", cluster.name)


def ingest_jobs(cluster: Cluster, path: Path) -> None:
    """Job records into the database."""
    command("ingest_jobs", str(path), "--cluster", cluster.name)


def attribute(cluster: Cluster) -> None:
    """Book the day anew: ledger, job totals and roll-ups, committed."""
    command("attribute", "--cluster", cluster.name, "--since", DAY.isoformat(), "--until", DAY.isoformat())


def compact_day(cluster: Cluster) -> None:
    """One sorted segment of the day."""
    upkeep.compact(cluster, DAY)


def command(name: str, *arguments: str) -> None:
    """A management command, its words kept off the screen."""
    call_command(name, *arguments, stdout=io.StringIO(), stderr=io.StringIO())


def now() -> datetime:
    """An instant well after the measured day."""
    return datetime(2025, 4, 1, tzinfo=UTC)
