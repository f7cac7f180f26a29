"""Jobs of accounting by ``sacct``: a stretch of time, or some jobs by their ids.

Names and comments are free text of users: they may hold any separator and line ends, and so whole rows that are not
theirs. What separates fields is therefore drawn anew for each call; what is handed on has one row a line, with fields
between ASCII's unit separators, and neither of them within a field.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from measurements.domain.units import MS_PER_S
from measurements.feeds.about import FeedError
from measurements.feeds.slurm_commands import Commands, run, text

UNIT = b"\x1f"  # ASCII's unit separator
WANTED = (
    "JobID", "JobIDRaw", "SLUID", "Cluster", "Partition", "QOS", "Account", "User", "State", "Submit", "Start", "End",
    "ElapsedRaw", "Suspended", "TimelimitRaw", "NCPUS", "ReqMem", "AllocTRES", "TotalCPU", "ConsumedEnergyRaw",
    "MaxRSS", "NTasks", "TRESUsageInMax", "NodeList", "WCKey", "JobName", "Comment", "AdminComment", "SubmitLine",
)  # fmt: skip
NEEDED = frozenset({"JobID", "JobIDRaw", "State", "Submit", "Start", "End", "NodeList"})
IDS_AT_ONCE = 500  # of jobs asked for by id
NO_COMMENTS = (
    "comments of jobs don't come: Slurm's accounting does not keep them before "
    "AccountingStoreFlags=job_comment stands in slurm.conf; what jobs compute is then told by rules alone"
)
_NONCE_BYTES = 8


def fields(slurm: Commands, spool: Path) -> tuple[str, ...]:
    """The fields of `WANTED` that this version of sacct knows."""
    known = {word.lower() for word in text(slurm, "sacct", "--helpformat", into=spool / "sacct-fields").split()}
    found = tuple(name for name in WANTED if name.lower() in known)
    if not set(found) >= NEEDED:
        raise FeedError(f"this sacct does not know {', '.join(sorted(NEEDED - set(found)))}: --helpformat names others")
    return found


def by_time(slurm: Commands, names: Sequence[str], start_ms: int, end_ms: int, spool: Path, *, steps: bool) -> Path:
    """All jobs that waited or ran in [start, end], whatever their state; each of their runs."""
    # sacct's times are whole seconds, and the last one is not in it: what began in it is, one second on.
    options = [f"--starttime={_utc(start_ms)}", f"--endtime={_utc(end_ms + MS_PER_S)}"]
    return _rows(slurm, names, [*options, *([] if steps else ["--allocations"])], spool)


def by_id(slurm: Commands, names: Sequence[str], ids: Sequence[str], spool: Path, *, steps: bool) -> Path:
    """The runs of some jobs, whenever they were."""
    options = [f"--jobs={','.join(ids[:IDS_AT_ONCE])}", "--starttime=1970-01-02T00:00:00"]
    return _rows(slurm, names, [*options, *([] if steps else ["--allocations"])], spool)


def _rows(slurm: Commands, names: Sequence[str], options: Sequence[str], spool: Path) -> Path:
    mark = f"<{secrets.token_hex(_NONCE_BYTES)}>"
    raw, clean = spool / "sacct-raw", spool / "sacct-rows"
    clusters = [f"--clusters={slurm.cluster}"] if slurm.cluster else []
    # Without --array: a row for tasks that have not started stands for no run, and older versions don't know it.
    always = ["--allusers", "--duplicates", "--parsable", f"--delimiter={mark}"]
    run(slurm, "sacct", *always, *clusters, *options, f"--format={','.join(names)}", into=raw)
    with raw.open("rb") as stream, clean.open("wb") as output:
        for row in rows(stream, mark.encode(), len(names)):
            output.write(UNIT.join(row) + b"\n")
    raw.unlink()
    return clean


def rows(stream: Iterator[bytes], mark: bytes, count: int) -> Iterator[list[bytes]]:
    """The rows of ``--parsable`` text, the header first: each field is followed by ``mark``, each row by a line end."""
    held, row, number = b"", list[bytes](), 0
    for line in stream:
        *whole, held = (held + line).split(mark)
        for field in whole:
            row.append(_plain(field))
            if len(row) < count:
                continue
            number += 1
            if number == 1 and not row[0].lower().startswith(b"jobid"):
                raise FeedError(f"sacct printed something else than its table: {row[0][:80]!r}")
            yield row
            row = []
        if not row and held == b"\n":
            held = b""
    if row or held.strip():
        raise FeedError(f"sacct's table breaks off: {len(row)} of {count} fields in its last row")
    if not number:
        raise FeedError("sacct printed nothing, not even the names of its columns")


def _plain(field: bytes) -> bytes:
    """A field on one line, without what separates fields."""
    return field.strip(b"\n").replace(b"\n", b" ").replace(b"\r", b" ").replace(UNIT, b" ")


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms // MS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def notes(slurm: Commands, spool: Path) -> list[str]:
    """What an operator should know of how this Slurm keeps its accounting; nothing where it does not say."""
    try:
        config = text(slurm, "scontrol", "show", "config", into=spool / "config")
    except FeedError:
        return []  # the controller may be away while accounting is not
    return [] if stores_comments(config) else [NO_COMMENTS]


def stores_comments(config: str) -> bool:
    """Whether accounting keeps the comments of jobs, from what ``scontrol show config`` says."""
    for line in config.splitlines():
        name, _, value = line.partition("=")
        if name.strip().lower() == "accountingstoreflags":
            return "job_comment" in value.lower()
    return False
