"""What the job parsers share: rows to chunks, the times of a run, what a job holds on each of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from itertools import product
from typing import TypeVar

from measurements.domain.hostlist import HostlistError, expand
from measurements.domain.slurm import JobId, JobIdKind, State, UnknownState, parse_state
from measurements.domain.units import MS_PER_S
from measurements.parsers.records import JobChunk, JobRecord, NodeShare, Refusal, UnusableFile
from measurements.parsers.source import TEXT_LIMIT, Source
from measurements.parsers.times import AmbiguousTime, TimeRefused, check_range, decide_by_elapsed, instant_candidates

CHUNK_ROWS = 5_000
CHUNK_SHARES = 100_000  # a row may name 65 536 nodes: what a chunk holds is bounded by its shares too
NAME_LIMIT = 1_024  # characters of a job name that are kept
COMMENT_LIMIT = 1 << 16
WORD_LIMIT = 255  # of user, account, partition and the like
_LONGEST_S = 2**40
COUNT_LIMIT = 2**31 - 1  # of CPUs and GPUs: what a database integer holds
LATEST_MS = 4_102_444_800_000  # 2100-01-01: "now" where the caller has no clock
_NOT_SAID = frozenset({"", "unknown", "none", "none assigned", "n/a", "(null)", "0", "null"})

REFUSALS_LIMIT = 100_000  # of a file that is kept as a whole: no list of anything has more broken lines

Row = TypeVar("Row")


class RowRefused(ValueError):
    """A row that is not taken; ``reason`` is stable, the message says what the row held."""

    def __init__(self, reason: str, detail: object = "") -> None:
        super().__init__(str(detail))
        self.reason = reason


def require_few(count: int, name: str) -> None:
    """A file of broken lines alone is none of this kind; to keep them all would take memory without end."""
    if count > REFUSALS_LIMIT:
        raise UnusableFile(f"{name}: more than {REFUSALS_LIMIT} broken lines; is it a file of this kind?")


@dataclass(slots=True)
class Lines:
    """The lines of an input, some of which can be given back."""

    lines: Iterator[tuple[int, str]]
    returned: list[tuple[int, str]] = field(default_factory=list)  # the next one last

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        return self.returned.pop() if self.returned else next(self.lines)

    def give_back(self, taken: Sequence[tuple[int, str]]) -> None:
        """The next lines to be read are these."""
        self.returned.extend(reversed(taken))


def chunked(
    source: Source,
    rows: Iterable[tuple[int, str, Row | RowRefused]],
    parse: Callable[[int, Row], JobRecord | None],
    warnings: list[str],
) -> Iterator[JobChunk]:
    """Rows (line, text, row) as chunks; ``parse`` gives None for what is no job. ``warnings`` may grow meanwhile."""
    chunk, shares = JobChunk([], []), 0
    for line, text, row in rows:
        if chunk.read >= CHUNK_ROWS or shares >= CHUNK_SHARES:
            yield _closed(chunk, source, warnings)
            chunk, shares = JobChunk([], []), 0
        chunk.read += 1
        try:
            if isinstance(row, RowRefused):
                raise row
            record = parse(line, row)
            if record is not None:
                require_storable(record)
        except RowRefused as refused:
            chunk.refusals.append(Refusal(refused.reason, line, str(refused)[:TEXT_LIMIT], text[:TEXT_LIMIT]))
            continue
        if record is None:
            chunk.skipped += 1
        else:
            chunk.records.append(record)
            shares += len(record.shares)
    yield _closed(chunk, source, warnings)


def _closed(chunk: JobChunk, source: Source, warnings: list[str]) -> JobChunk:
    beyond = source.take_refusals()
    chunk.read += len(beyond)
    chunk.refusals = sorted([*chunk.refusals, *beyond], key=lambda refusal: refusal.line)
    chunk.warnings = warnings[:]
    warnings.clear()
    return chunk


def clean(text: str, limit: int = WORD_LIMIT) -> str:
    """A text that any database takes: no NUL, no half surrogates, cut."""
    if text.isascii() and "\0" not in text:
        return text[:limit]
    return text[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def require_storable(record: JobRecord) -> None:
    """Counts beyond the integers of a database refuse the row."""
    counts = (record.cpus, record.gpus, record.het_offset)
    if any(count is not None and count > COUNT_LIMIT for count in counts):
        raise RowRefused("out of range", f"cpus, gpus or component {counts}: at most {COUNT_LIMIT}")
    if record.time_limit_s is not None and record.time_limit_s > _LONGEST_S:
        record.time_limit_s = None  # no limit that anybody meant


def name_job(record: JobRecord, job: JobId) -> None:
    """Set what a job id says: array, het job, SLUID, and the raw id where the id is one."""
    if job.kind is JobIdKind.JOB:
        record.raw_id = job.job
    elif job.kind in (JobIdKind.ARRAY, JobIdKind.ARRAY_TASK):
        record.array_job_id, record.array_task_id = job.job, job.task
    elif job.kind is JobIdKind.HET_COMPONENT:
        record.het_job_id, record.het_offset = job.job, job.offset
    elif job.kind is JobIdKind.SLUID:
        record.sluid = job.text


def state_of(text: str) -> State:
    """A state, or the row is refused."""
    try:
        return parse_state(text)
    except UnknownState as unknown:
        raise RowRefused("unknown state", unknown) from unknown


def hosts_of(text: str) -> list[str]:
    """The hosts of a hostlist, or the row is refused."""
    try:
        hosts = expand(text)
    except HostlistError as error:
        raise RowRefused("bad hostlist", error) from error
    if hosts and (max(map(len, hosts)) > WORD_LIMIT or not text.strip().isprintable() or "\ufffd" in text):
        raise RowRefused("bad hostlist", f"a name is no printable text of at most {WORD_LIMIT} characters")
    return hosts


# --- times ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunTimes:
    """When a run was submitted, started and ended [ms since the epoch]; None where that is not known."""

    submit_ms: int | None
    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Clock:
    """How the times of one input are read: the zone of naive ones, and what time it is now."""

    zone: tzinfo | None = None
    now_ms: int = LATEST_MS

    def instants(self, text: str) -> tuple[int, ...]:
        """The instants a field can mean: none where it says nothing, two where the clock was set back."""
        if text.strip().lower() in _NOT_SAID:
            return ()
        try:
            candidates = _candidates(text, self.zone)
            for candidate in candidates:
                check_range(candidate, self.now_ms)
        except TimeRefused as refused:
            raise RowRefused(refused.reason, refused) from refused
        return candidates


@lru_cache(maxsize=8_192)
def _candidates(text: str, zone: tzinfo | None) -> tuple[int, ...]:
    """Rows of one array share their submit time, neighbours often their start: many texts come again."""
    return instant_candidates(text, zone)


def run_times(
    submits: tuple[int, ...],
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    wall_s: float | None,
    *,
    ended: bool,
    now_ms: int = LATEST_MS,
) -> RunTimes:
    """The times of a run from the instants its fields can mean.

    An ambiguous local time is decided by order (submit ≤ start ≤ end), else by the wall time
    [s]. An ended run without end (or start) gets it from its wall time, unless it never ran. The submit time only
    names the job: where it stays ambiguous it is left out, and the row is taken.
    """
    if not ended:
        ends = ()
    elif wall_s is not None and starts and not ends:
        ends = _checked((start + round(wall_s * MS_PER_S) for start in starts), now_ms)
    elif wall_s and ends and not starts:
        starts = _checked((end - round(wall_s * MS_PER_S) for end in ends), now_ms)
    start_ms, end_ms = _start_and_end(_behind(submits, starts), ends, wall_s)
    before = [submit for submit in submits if start_ms is None or submit <= start_ms] or list(submits)
    return RunTimes(before[0] if len(before) == 1 else None, start_ms, end_ms)


def _checked(instants: Iterable[int], now_ms: int) -> tuple[int, ...]:
    """Instants that an elapsed time leads to, if none lies before all logs or ahead of now."""
    try:
        return tuple(check_range(instant, now_ms) for instant in instants)
    except TimeRefused as refused:
        raise RowRefused(refused.reason, f"{refused} by its elapsed time") from refused


def _behind(submits: tuple[int, ...], starts: tuple[int, ...]) -> tuple[int, ...]:
    """The starts that do not come before the submission, if there are any."""
    return tuple(start for start in starts if not submits or start >= submits[0]) or starts


def _start_and_end(
    starts: tuple[int, ...], ends: tuple[int, ...], wall_s: float | None
) -> tuple[int | None, int | None]:
    if not starts or not ends:
        return _only(starts), _only(ends)
    pairs = [(start, end) for start, end in product(starts, ends) if start <= end]
    if not pairs:
        raise RowRefused("end before start", f"by {(starts[0] - ends[-1]) / MS_PER_S:.0f} s: correct its times")
    if len(pairs) == 1:
        return pairs[0]
    try:
        return decide_by_elapsed(starts, ends, wall_s)
    except AmbiguousTime as ambiguous:
        raise RowRefused(ambiguous.reason, ambiguous) from ambiguous


def _only(candidates: tuple[int, ...]) -> int | None:
    if len(candidates) > 1:
        ambiguous = AmbiguousTime("start or end")
        raise RowRefused(ambiguous.reason, ambiguous)
    return candidates[0] if candidates else None


def is_no_run(job: JobId, times: RunTimes, *, ended: bool) -> bool:
    """Whether a row is a step, or stands for array tasks of which none has run."""
    return job.kind is JobIdKind.STEP or (job.kind is JobIdKind.ARRAY and (times.start_ms is None or not ended))


def require_bookable(times: RunTimes, *, ended: bool, has_nodes: bool) -> None:
    """An ended run with nodes needs a start and an end, or it would be booked for ever."""
    if ended and has_nodes and times.start_ms is None:
        raise RowRefused("no start time", "an ended job with nodes: give its start")
    if ended and times.start_ms is not None and times.end_ms is None:
        raise RowRefused("ended without end", "an ended job without end or elapsed time: give one")


# --- shares -----------------------------------------------------------------------------------------------------------


def spread(total: int | None, parts: int) -> list[int | None]:
    """Whole numbers, as even as they can be, the larger ones first: 7 over 3 is 3, 2, 2."""
    if total is None:
        return [None] * parts
    each, left = divmod(total, parts) if parts else (0, 0)
    return [each + (1 if i < left else 0) for i in range(parts)]


def even_shares(hosts: Sequence[str], cpus: int | None, gpus: int | None) -> list[NodeShare]:
    """A job's totals over its nodes."""
    return [
        NodeShare(host, host_cpus, host_gpus)
        for host, host_cpus, host_gpus in zip(hosts, spread(cpus, len(hosts)), spread(gpus, len(hosts)), strict=True)
    ]
