"""The most memory that a run can have used, from what accounting keeps of each of its steps.

Slurm stores for a step the peak of its largest task (``MaxRSS``, ``TRESUsageInMax``) and the tasks' *last* samples
together (``TRESUsageInTot``, ``AveRSS``), which are near 0 once a task has freed its memory: they are no peak.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from measurements.domain.slurm_quantities import parse_memory_bytes

MOST_BYTES = 2**62  # no machine has that; Slurm's "no value" is above
_MEM = re.compile(r"(?:\A|,)\s*mem=([^,]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StepMemory:
    """What accounting says of one step; None where it does not."""

    largest_task_bytes: int  # peak of the task that used most
    tasks: int | None
    start_ms: int | None = None
    end_ms: int | None = None


def most_used_bytes(steps: Sequence[StepMemory], allocated_bytes: int | None) -> int | None:
    """The most memory a run can have used at once, over all its nodes [bytes]; None where that is not known.

    A step used at most its largest task's peak × its tasks; steps that ran at the same time are added. The sum
    counts no further than what was allocated, unless one task alone used more. With one task at a time this is the
    peak itself. A step whose number of tasks is not known leaves the run's figure open.
    """
    if not steps or any(step.tasks is None for step in steps):
        return None
    most = _at_once(steps)
    if allocated_bytes:
        most = min(most, max(allocated_bytes, *(step.largest_task_bytes for step in steps)))
    return most if most < MOST_BYTES else None


def _at_once(steps: Sequence[StepMemory]) -> int:
    """The largest sum of steps that ran together; a step without times ran all the while."""
    changes: list[tuple[float, int]] = []
    for step in steps:
        used = step.largest_task_bytes * (step.tasks or 1)
        start = -math.inf if step.start_ms is None else step.start_ms
        end = math.inf if step.end_ms is None else step.end_ms
        changes += [(start, used), (max(end, start + 1), -used)]  # one that began and ended in the same second ran too
    together = most = 0
    for _, change in sorted(changes):  # at the same instant those that end come first
        together += change
        most = max(most, together)
    return most


def resident_bytes(text: str) -> int | None:
    """Bytes of MaxRSS, with a suffix of 1024 or (``--noconvert``) without; None for 0, which is "not sampled".

    Raises
    ------
    ValueError
    """
    text = text.strip()
    used = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else parse_memory_bytes(text)
    return used if used and used < MOST_BYTES else None


def tres_memory(text: str) -> str:
    """The memory in a list of usage: ``mem=231092K`` of ``cpu=00:00:13,fs/disk=89478,mem=231092K``."""
    found = _MEM.search(text)
    return found[1] if found else ""
