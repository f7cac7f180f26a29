"""Slurm's names: job ids in all their forms, and job states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

JOB_ID_LIMIT = 200  # characters; Slurm cuts the list of pending tasks at 64

_JOB = re.compile(
    r"(?P<job>[0-9]{1,18})?"
    r"(?:_(?P<task>[0-9]{1,18})|_\[(?P<tasks>[^\[\]\s]*)(?:\]|\Z)|\+(?P<offset>[0-9]{1,18}))?"
    r"(?:\.(?P<step>(?:batch|extern|interactive|TBD|[0-9]{1,18})(?:\+[0-9]*)?|bat?c?\+|ext?e?r?n?\+|int[a-z]*\+))?"
)
_SLUID = re.compile(r"s[0-9ABCDEFGHJKMNPQRSTVWXYZ]{13}")
_OTHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@:\[\]-]*")


class JobIdKind(StrEnum):
    """What a job id names."""

    JOB = "job"
    ARRAY_TASK = "array task"
    ARRAY = "array"  # tasks of an array that share one row: 1080_[5-1024]
    HET_COMPONENT = "het component"
    STEP = "step"
    SLUID = "sluid"
    OTHER = "other"  # of another batch system


@dataclass(frozen=True, slots=True)
class JobId:
    """A job id taken apart. ``job`` is the number before ``_`` or ``+``; absent in ``_[1-7:2]`` and in a SLUID."""

    text: str
    kind: JobIdKind
    job: int | None = None
    task: int | None = None
    tasks: str = ""  # as in the brackets: 5-1024, 0-15%4
    offset: int | None = None
    step: str = ""


class UnknownJobId(ValueError):
    """A text that is no Slurm job id."""


class UnknownState(ValueError):
    """A word that is no Slurm job state."""


def parse_job_id(text: str) -> JobId:
    """Take a Slurm job id apart.

    Examples
    --------
    >>> parse_job_id("36_1").task, parse_job_id("93+1").offset, parse_job_id("20_[0-15%4]").tasks
    (1, 1, '0-15%4')
    >>> parse_job_id("123.batch").kind, parse_job_id("s0123456789ABC").kind
    (<JobIdKind.STEP: 'step'>, <JobIdKind.SLUID: 'sluid'>)

    Raises
    ------
    UnknownJobId
    """
    text = text.strip()
    if is_sluid(text):
        return JobId(text, JobIdKind.SLUID)
    match = _JOB.fullmatch(text) if 0 < len(text) <= JOB_ID_LIMIT else None
    if match is None or (match["job"] is None and match["tasks"] is None):
        raise UnknownJobId(f"{text[:80]!r} is no job id")
    return JobId(
        text,
        _kind(match),
        _int(match["job"]),
        _int(match["task"]),
        match["tasks"] or "",
        _int(match["offset"]),
        match["step"] or "",
    )


def is_sluid(text: str) -> bool:
    """Whether a text has the form of a SLUID: ``s`` and 13 base-32 digits without I, L, O, U."""
    return _SLUID.fullmatch(text) is not None


def is_plain_id(text: str) -> bool:
    """Whether a text can be the job id of another batch system (``6.host``, ``6[12]``): one word, no slashes."""
    return len(text) <= JOB_ID_LIMIT and _OTHER.fullmatch(text) is not None


def _kind(match: re.Match[str]) -> JobIdKind:
    if match["step"]:
        return JobIdKind.STEP
    if match["tasks"] is not None:
        return JobIdKind.ARRAY
    if match["task"]:
        return JobIdKind.ARRAY_TASK
    return JobIdKind.HET_COMPONENT if match["offset"] else JobIdKind.JOB


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


# --- states -----------------------------------------------------------------------------------------------------------

ENDED = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
)
NOT_ENDED = frozenset({"PENDING", "RUNNING", "SUSPENDED", "REQUEUED", "RESIZING"})
# A run that was requeued or resized is over once it has an end; without one it still goes on.
ENDED_BY_TIME = frozenset({"REQUEUED", "RESIZING"})
STATES = ENDED | NOT_ENDED

SHORT_STATES = {
    "BF": "BOOT_FAIL",
    "CA": "CANCELLED",
    "CD": "COMPLETED",
    "DL": "DEADLINE",
    "F": "FAILED",
    "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY",
    "PD": "PENDING",
    "PR": "PREEMPTED",
    "R": "RUNNING",
    "RQ": "REQUEUED",
    "RS": "RESIZING",
    "RV": "REVOKED",
    "S": "SUSPENDED",
    "TO": "TIMEOUT",
}
# Flags that some commands show in place of the base state, and the base state a job with nothing else has.
STATE_FLAGS = {
    **dict.fromkeys(
        ["COMPLETING", "CONFIGURING", "POWER_UP_NODE", "SIGNALING", "STAGE_OUT", "STOPPED", "UPDATE_DB"], "RUNNING"
    ),
    **dict.fromkeys(["EXPEDITING", "LAUNCH_FAILED", "RECONFIG_FAIL", "RESV_DEL_HOLD", "SPECIAL_EXIT"], "PENDING"),
    **dict.fromkeys(["REQUEUE", "REQUEUE_FED", "REQUEUE_HOLD"], "REQUEUED"),
}
_BY = re.compile(r"([A-Z_]+)(?: BY ([0-9]{1,10})?.*)?", re.DOTALL)


class Waste(StrEnum):
    """Whose doing it is that a run's energy bought no result."""

    NONE = ""
    USER = "user"
    SYSTEM = "system"


WASTE = {
    **dict.fromkeys(["FAILED", "OUT_OF_MEMORY", "TIMEOUT", "DEADLINE", "CANCELLED"], Waste.USER),
    **dict.fromkeys(["NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"], Waste.SYSTEM),
}


@dataclass(frozen=True, slots=True)
class State:
    """A base state in Slurm's spelling; who cancelled the job, where that is said."""

    name: str
    cancelled_by_uid: int | None = None


def parse_state(text: str) -> State:
    """The base state of ``CANCELLED by 423120``, ``CANCELLED+``, ``CD``, ``completed``, ``COMPLETED,COMPLETING``.

    Raises
    ------
    UnknownState
    """
    for word in re.split(r"[,|]", text.strip().upper()):
        match = _BY.fullmatch(word.strip().rstrip("+"))
        if match is None:
            continue
        name = SHORT_STATES.get(match[1], match[1])
        if name in STATES:
            return State(name, _int(match[2]))
        if name in STATE_FLAGS:
            return State(STATE_FLAGS[name])
    raise UnknownState(f"{text.strip()[:80]!r} is no state of Slurm")


def has_ended(name: str, *, end_known: bool) -> bool:
    """Whether a run of this state is over."""
    return name in ENDED or (name in ENDED_BY_TIME and end_known)


def waste_of(name: str) -> Waste:
    """Whose doing a lost run is; running and completed jobs are nobody's."""
    return WASTE.get(name, Waste.NONE)
