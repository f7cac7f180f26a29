"""The nodes of clusters, kept for a moment: a hundred pushes a second must not read all nodes each time."""

from __future__ import annotations

import time
from collections.abc import Iterable

from measurements.models import Cluster
from measurements.services.judge import NodeDirectory

KEPT_S = 10.0  # a ceiling or a rename is known to pushes after that
UNKNOWN_KEPT_S = 1.0  # where somebody names a node that is not known: it may just have been loaded

_kept: dict[int, tuple[float, NodeDirectory]] = {}


def directory_of(cluster: Cluster, names: Iterable[str]) -> NodeDirectory:
    """The nodes of a cluster, by which ``names`` are about to be looked up."""
    read_at, directory = _kept.get(cluster.pk, (float("-inf"), None))
    age_s = time.monotonic() - read_at
    if directory is not None and age_s < UNKNOWN_KEPT_S:
        return directory
    if directory is not None and age_s < KEPT_S and all(directory.lookup(name) >= 0 for name in names):
        return directory
    directory = NodeDirectory(cluster)
    _kept[cluster.pk] = (time.monotonic(), directory)
    return directory


def forget_directories() -> None:
    """Read them anew at the next push."""
    _kept.clear()
