"""Runs behind a program that people wait for: with a lower priority, and no longer than it."""

from __future__ import annotations

import os
import signal

NICE = 10


class Ended(Exception):
    """The program that this one runs beside is gone."""


def give_way() -> None:
    """Let other programs come first; Ctrl-C is for the one that this one runs beside."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICE))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def refuse_to_outlive(pid: int) -> None:
    """Raise `Ended` where a process of this machine is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError as gone:
        raise Ended from gone
