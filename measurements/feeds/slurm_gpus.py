"""Which GPUs running jobs hold, from the controller: accounting keeps only how many.

JSON where this version has it (23.02): in the text the names of jobs may hold whole lines (`parsers.gpu_holds`).
"""

from __future__ import annotations

from pathlib import Path

from measurements.feeds.about import FeedError
from measurements.feeds.slurm_commands import Commands, run, text
from measurements.parsers import slurm_json
from measurements.parsers.gpu_holds import GpuHoldRecord, of_jobs, of_text
from measurements.parsers.records import ParseOptions, Refusal
from measurements.parsers.source import Source

_NO_JSON = ("unrecognized option", "invalid option", "unknown option", "not built", "data_parser")
_JOBS = ("show", "job", "--details")


def held(slurm: Commands, spool: Path, now_ms: int) -> tuple[list[GpuHoldRecord], list[Refusal]]:
    """The GPUs of all jobs that run now, and what could not be read."""
    try:
        run(slurm, "scontrol", "show", "job", "--json", into=spool / "jobs.json")
    except FeedError as fault:
        if not any(words in str(fault) for words in _NO_JSON):
            raise
        return _from_text(slurm, spool)
    chunks = list(slurm_json.read(Source(spool / "jobs.json", "scontrol"), ParseOptions(), now_ms))
    return of_jobs([job for chunk in chunks for job in chunk.records]), [r for chunk in chunks for r in chunk.refusals]


def _from_text(slurm: Commands, spool: Path) -> tuple[list[GpuHoldRecord], list[Refusal]]:
    described = text(slurm, "scontrol", "--details", "show", "job", into=spool / "jobs")
    queue = text(slurm, "squeue", "--noheader", "--states=R,S,CG,ST", "--format=%A", into=spool / "queue")
    return of_text(described, set(queue.split()))
