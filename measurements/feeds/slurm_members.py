"""Slurm's accounts and who belongs to them: ``sacctmgr dump``, or its tables where that may not be written."""

from __future__ import annotations

from pathlib import Path

from measurements.feeds.about import FeedError
from measurements.feeds.slurm_commands import Commands, run

_ASSOCIATIONS = ("show", "assoc", "format=cluster,account,user,parentname")


def dumped(slurm: Commands, cluster: str, spool: Path) -> Path:
    """A file with all accounts, members and coordinators; without a dump members only."""
    path = spool / "accounts.cfg"
    try:
        run(slurm, "sacctmgr", "dump", cluster, f"file={path}", into=spool / "dump")
    except FeedError:
        path.unlink(missing_ok=True)
    if not path.exists() or not _says_anything(path):
        run(slurm, "sacctmgr", "--parsable2", *_ASSOCIATIONS, f"clusters={cluster}", into=path)
        if not _says_anything(path):
            raise FeedError(f"sacctmgr knows no account of a cluster {cluster}: give Slurm's name in option clusters")
    return path


def _says_anything(path: Path) -> bool:
    """Whether there is more than comments or the names of columns."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("#")]
    return any(line.startswith(("Account -", "User -")) for line in said) or (len(said) > 1 and "|" in said[0])
