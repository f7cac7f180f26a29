"""Rows of steps in sacct text: they come behind their allocation's row, which is read with what they say of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from measurements.domain.slurm import JobIdKind, UnknownJobId, parse_job_id
from measurements.parsers.job_rows import COUNT_LIMIT, Clock, RowRefused, hosts_of
from measurements.parsers.step_memory import StepMemory, resident_bytes, tres_memory

STEPS_LIMIT = 50_000  # of one job that are held; Slurm's own limit is 40 000

Fields = dict[str, str]


@dataclass(slots=True)
class Allocation:
    """An allocation's row, and the steps of which memory is known; None if some of them were lost."""

    fields: Fields
    steps: list[StepMemory] | None = field(default_factory=list)


Row = tuple[int, str, Allocation | RowRefused | None]  # None: a step


@dataclass(slots=True)
class _Held:
    """An allocation whose steps are still coming."""

    line: int
    text: str
    allocation: Allocation
    steps: list[int] = field(default_factory=list)  # their lines

    def take(self, line: int, step: str, fields: Fields, clock: Clock) -> bool:
        """Add a step's row; False if there are too many."""
        if len(self.steps) >= STEPS_LIMIT:
            return False
        self.steps.append(line)
        if job_id_of(fields).partition(".")[0] == job_id_of(self.allocation.fields):
            memory = _memory(step, fields, clock)
            if memory is not None and self.allocation.steps is not None:
                self.allocation.steps.append(memory)
        return True

    def rows(self) -> Iterator[Row]:
        yield self.line, self.text, self.allocation
        for line in self.steps:
            yield line, "", None


def with_steps(rows: Iterable[tuple[int, str, Fields | RowRefused]], clock: Clock) -> Iterator[Row]:
    """The same rows in the same order, an allocation only once all its steps are read: no chunk ends between them.

    A broken row behind an allocation may have been a step of it: the memory of that job is then not known.
    """
    held: _Held | None = None
    for line, text, row in rows:
        step = "" if isinstance(row, RowRefused) else _step(row)
        if held is not None:
            if step and not isinstance(row, RowRefused) and held.take(line, step, row, clock):
                continue
            if step or isinstance(row, RowRefused):
                held.allocation.steps = None
            yield from held.rows()
            held = None
        if step:
            yield line, "", None
        elif isinstance(row, RowRefused):
            yield line, text, row
        else:
            held = _Held(line, text, Allocation(row))
    if held is not None:
        yield from held.rows()


def job_id_of(fields: Fields) -> str:
    """The id as shown, else the raw one."""
    return fields.get("jobid") or fields.get("jobidraw", "")


def _step(fields: Fields) -> str:
    """The step's name where a row is one: batch, extern, 0."""
    text = job_id_of(fields)
    if "." not in text:
        return ""
    try:
        job = parse_job_id(text)
    except UnknownJobId:
        return ""
    return job.step if job.kind is JobIdKind.STEP else ""


def _memory(step: str, fields: Fields, clock: Clock) -> StepMemory | None:
    """A step's memory; None if it was not sampled."""
    try:
        used = resident_bytes(fields.get("maxrss", "") or tres_memory(fields.get("tresusageinmax", "")))
    except ValueError:
        used = None
    if used is None:
        return None
    starts, ends = _instants(fields.get("start", ""), clock), _instants(fields.get("end", ""), clock)
    return StepMemory(used, _tasks(step, fields), min(starts, default=None), max(ends, default=None))


def _tasks(step: str, fields: Fields) -> int | None:
    """NTasks; without it a script or a shell is one task, the extern step one on each node, srun's are not known."""
    text = fields.get("ntasks", "")
    if text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= COUNT_LIMIT:
        return int(text)
    if step.startswith("ext"):
        return _nodes(fields.get("nodelist", ""))
    return 1 if step.startswith(("bat", "int")) else None


def _nodes(text: str) -> int | None:
    try:
        return len(hosts_of(text)) or None
    except RowRefused:
        return None


def _instants(text: str, clock: Clock) -> tuple[int, ...]:
    """A step's time; one that cannot be read says nothing: the step ran all the while."""
    try:
        return clock.instants(text)
    except RowRefused:
        return ()
