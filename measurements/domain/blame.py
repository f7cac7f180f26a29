"""Whose waste a failed job is: its user's, or nobody's where the machine ended it."""

from __future__ import annotations

# A job that ended so has nothing to show for its energy.
WASTED = frozenset({"CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"})
# The machine or the scheduler ended it.
NOBODYS = frozenset({"BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED"})
# What a node's state holds while jobs on it can't go on (Slurm's words; a state may join several with "+").
STOPPED = ("DOWN", "FAIL", "MAINT", "NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "REBOOT")
# A job that ended so long before or after such a state began was ended by it: batch system and monitor notice late.
BEFORE_MS = AFTER_MS = 300_000


def stops_jobs(state: str) -> bool:
    """Whether no job survives a node's state.

    >>> [stops_jobs(state) for state in ("IDLE+MAINTENANCE", "DOWN*", "DRAIN", "MIXED", "FAILING")]
    [True, True, False, False, True]
    """
    return any(word in state.upper() for word in STOPPED)
