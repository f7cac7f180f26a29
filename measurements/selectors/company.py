"""Who else was on a job's nodes: times and cores, and names only of jobs the viewer may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Q

from measurements.domain.quality import ratio
from measurements.models import Allocation, Job, NodeConfig
from measurements.selectors.node_jobs import Band, laid_out, visible_names

MOST_NODES = 8  # that are looked at
MOST_BANDS = 120  # over all of them


@dataclass(frozen=True, slots=True)
class NodeCompany:
    """One node of a job: when the job held it, and the others meanwhile."""

    node: str
    cpus: int | None  # that it has
    own: tuple[tuple[int, int], ...]  # [start, end) in ms
    bands: tuple[Band, ...]
    lanes: int

    def share(self, band: Band) -> float | None:
        """A band's part of the node's cores."""
        return ratio(band.cpus, self.cpus) if band.cpus is not None and self.cpus else None


@dataclass(frozen=True, slots=True)
class Company:
    """The nodes of a job that it shared."""

    start_ms: int
    end_ms: int
    nodes: tuple[NodeCompany, ...]  # those on which others were
    at_once: int  # most other jobs on them at one time
    in_part: bool  # there are more nodes, or more jobs, than were looked at


def company(job: Job, viewer: AbstractUser | AnonymousUser, now_ms: int) -> Company | None:
    """The other jobs on the first nodes of a job while it was there; None if it was alone."""
    held = _held(job, now_ms)
    if not held:
        return None
    looked_at = dict(sorted(held.items(), key=lambda item: item[1][0])[:MOST_NODES])
    start = min(begin for _, times in looked_at.values() for begin, _ in times)
    end = max(finish for _, times in looked_at.values() for _, finish in times)
    others = _others(job, list(looked_at), start, end)
    names = visible_names({other for other, *_ in others}, viewer)
    cpus = dict(
        NodeConfig.objects.filter(node__in=looked_at).order_by("valid_from").values_list("node_id", "cpus")
    )  # as described last
    nodes, met = [], []
    for pk, (name, times) in looked_at.items():
        bands = []
        for other, node, begin, finish, cores, gpus in others[:MOST_BANDS]:
            until = now_ms if finish is None else finish
            for low, high in times:
                if node == pk and begin < high and until > low:
                    cut = (max(begin, low), min(until, high))
                    bands.append(Band(*cut, begin < low, until > high, cores, gpus, names.get(other)))
                    met.append((*cut, other))
        if bands:
            laid = laid_out(bands)
            lanes = 1 + max(band.lane for band in laid)
            nodes.append(NodeCompany(name, cpus.get(pk), tuple(times), laid, lanes))
    in_part = len(held) > len(looked_at) or len(others) > MOST_BANDS
    return Company(start, end, tuple(nodes), _at_once(met), in_part) if nodes else None


def _held(job: Job, now_ms: int) -> dict[int, tuple[str, list[tuple[int, int]]]]:
    rows = Allocation.objects.filter(run__job=job, node__isnull=False).order_by("start_ms", "node_name")
    found: dict[int, tuple[str, list[tuple[int, int]]]] = {}
    for node, name, start, end in rows.values_list("node_id", "node_name", "start_ms", "end_ms"):
        until = now_ms if end is None else end
        if node is not None and until > start:
            found.setdefault(node, (name, []))[1].append((start, until))
    return found


def _others(
    job: Job, nodes: list[int], start_ms: int, end_ms: int
) -> list[tuple[int, int, int, int | None, int | None, int | None]]:
    """Job, node, start, end, cores and GPUs of other allocations, in order of their start; one more than is shown."""
    earliest = start_ms - job.cluster.longest_run_ms - 1
    lasting = Q(end_ms__gt=start_ms, start_ms__gt=earliest) | Q(end_ms__isnull=True)
    rows = Allocation.objects.filter(lasting, node__in=nodes, start_ms__lt=end_ms).exclude(run__job=job)
    columns = ("run__job_id", "node_id", "start_ms", "end_ms", "cpus", "gpus")
    return list(rows.order_by("start_ms", "pk").values_list(*columns)[: MOST_BANDS + 1])


def _at_once(met: Iterable[tuple[int, int, int]]) -> int:
    """The most different jobs at one time; one that is on several nodes counts once."""
    steps = sorted(
        (at, change, other) for start, end, other in met for at, change in ((start, 1), (end, -1))
    )  # an end comes before a beginning at the same instant
    there: dict[int, int] = {}
    most = 0
    for _, change, other in steps:
        there[other] = there.get(other, 0) + change
        if not there[other]:
            del there[other]
        most = max(most, len(there))
    return most
