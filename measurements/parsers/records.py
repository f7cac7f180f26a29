"""What every parser gives back: power samples as columns, job and node records as objects.

A parser turns one format into these and knows nothing of Django. It never stops at a
bad line: a line becomes rows or a `Refusal`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import IntArray, Kind


class UnusableFile(ValueError):
    """A file of which nothing can be read; the message names the reason and the cure."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line that was not taken.

    ``reason`` is a short stable sentence (the same for all lines refused for it, so
    that they can be counted); ``detail`` says what this line held and what to do.
    ``line`` is the physical line in the decompressed input, from 1.
    """

    reason: str
    line: int
    detail: str = ""
    text: str = ""  # the line itself, cut to 500 characters


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What the operator said on the command line; None where nothing was said."""

    node: str | None = None
    channel: str | None = None
    time_zone: tzinfo | None = None
    interval_ms: int | None = None
    rename: tuple[tuple[str, str], ...] = ()  # header cells of a table as written, and what to read instead
    at_ms: int | None = None  # when a snapshot that carries no time of its own was taken
    mappings: Path | None = None  # the folder of the site's own mapping files
    precision: str | None = None  # what whole numbers of time stamps count: ns, us, ms, s


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What is known of a channel beside its samples; empty where nothing is said."""

    source: str = ""  # ipmi_dcmi, redfish, rapl, nvml, …
    covers_gpus: bool | None = None
    dc: bool | None = None
    wrap_uj: int | None = None
    interval_ms: int | None = None


@dataclass(frozen=True, slots=True)
class GpuAt:
    """That a GPU has an index on a node, from an instant on."""

    node: str
    index: int
    uuid: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class UnreadSamples:
    """Samples of series that were refused for one reason, by which they can be read once a mapping knows them.

    ``code`` are codes into ``series``, which are as Prometheus writes them; ``more``: there were others.
    """

    reason: str
    series: Sequence[str]
    code: IntArray
    t_ms: IntArray
    value: NDArray[np.float64]
    line: IntArray
    more: bool = False

    def texts(self, most: int) -> list[str]:
        """The first ``most`` of them as kept lines: number, tab, series, value, time [ms]."""
        columns = (self.line, self.code, self.value, self.t_ms)
        rows = zip(*(column[: max(most, 0)].tolist() for column in columns), strict=True)
        return [f"{line}\t{self.series[code]} {value!r} {t_ms}\n" for line, code, value, t_ms in rows]


@dataclass(frozen=True, slots=True)
class PowerChunk:
    """Some samples of a power log, as columns of equal length.

    ``node`` and ``channel`` are codes into ``nodes`` and ``channels``, where a name may come
    more than once with other facts (a gauge of one node, a counter of another); ``kinds`` gives
    each channel's kind; ``value`` is mW for a gauge and µJ for a counter. Values are as
    in the log: plausibility (0 W, ceilings, unknown nodes) is judged by the ingest
    service, missing values (empty, null, NaN) are left out by the parser.
    ``interval_ms`` is what the format itself declares.
    """

    nodes: Sequence[str]
    channels: Sequence[str]
    kinds: Sequence[Kind]
    node: NDArray[np.int32]
    channel: NDArray[np.int32]
    t_ms: IntArray
    value: IntArray
    line: IntArray
    refusals: Sequence[Refusal] = ()
    interval_ms: int | None = None
    warnings: Sequence[str] = ()
    facts: Sequence[ChannelFacts] = ()  # one for each of ``channels``, or none at all
    gpus: Mapping[tuple[int, int], str] = field(default_factory=dict)  # (code of node, of channel) → UUID
    places: Sequence[GpuAt] = ()  # said for itself, not beside a sample
    unread: Sequence[UnreadSamples] = ()  # of series that are refused: told once a series, kept within a bound


@dataclass(slots=True)
class NodeShare:
    """What a job holds on one node; None where the source does not say."""

    node: str
    cpus: int | None = None
    gpus: int | None = None
    gpu_indices: tuple[int, ...] | None = None


@dataclass(slots=True)
class JobRecord:
    """One row of batch accounting: one run of one job. Instants in ms since the epoch, UTC."""

    line: int
    job_id: str  # as the batch system shows it: 123, 36_1, 93+0
    raw_id: int | None
    state: str  # Slurm's base state, upper case
    username: str = ""
    account: str = ""
    name: str = ""
    cluster: str = ""  # what the file says; "" if it does not
    partition: str = ""
    qos: str = ""
    sluid: str = ""
    array_job_id: int | None = None
    array_task_id: int | None = None
    het_job_id: int | None = None
    het_offset: int | None = None
    submit_ms: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None  # None while it runs or waits
    elapsed_s: float | None = None  # as the batch system says, where it does
    suspended_s: float = 0.0
    time_limit_s: int | None = None
    cpus: int | None = None  # of the whole job
    gpus: int | None = None
    memory_bytes: int | None = None
    max_rss_bytes: int | None = None  # most memory it can have used at once, over all its nodes
    exclusive: bool | None = None
    total_cpu_s: float | None = None
    consumed_energy_j: float | None = None
    cancelled_by_uid: int | None = None
    comment: str = ""
    admin_comment: str = ""
    wckey: str = ""
    submit_line: str = ""
    shares: list[NodeShare] = field(default_factory=list)


@dataclass(slots=True)
class JobChunk:
    """Job records and refusals, in file order."""

    records: list[JobRecord]
    refusals: list[Refusal]
    warnings: list[str] = field(default_factory=list)
    read: int = 0  # rows looked at: records, refusals and rows that are no jobs (steps)
    skipped: int = 0  # rows that are no jobs: steps


@dataclass(slots=True)
class NodeRecord:
    """One node as the operator describes it; None where nothing is said."""

    line: int
    node: str
    node_type: str
    cpus: int | None = None
    gpus: int | None = None
    threads_per_core: int | None = None
    cpu_model: str = ""
    gpu_model: str = ""
    memory_gib: float | None = None
    idle_w: float | None = None
    rated_w: float | None = None
    ceiling_w: float | None = None
    floor_w: float | None = None
    gpu_idle_w: float | None = None
    level: str = ""  # node, chassis, rack, infrastructure, facility; "" if nothing is said
    parent: str = ""  # name of the meter above
    valid_from_ms: int | None = None
