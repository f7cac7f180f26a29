"""The series that senders name, known once a process and cluster: looking a label set up is then one step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from measurements.parsers.mapping_rules import Mappings
from measurements.parsers.mappings import load_mappings
from measurements.parsers.series import Catalogue

MOST_SERIES = 200_000  # of a cluster: a sender with ever new labels must not fill the memory
MOST_NEW = 100_000  # of them in one request
OWN_MAPPINGS = "mappings"  # below JOULEBOOK_VAR: what a site says of its own exporters


@dataclass(slots=True)
class _Kept:
    mappings: Mappings
    catalogue: Catalogue
    lock: threading.Lock = field(default_factory=threading.Lock)


_kept: dict[int, _Kept] = {}


def site_mappings() -> Mappings:
    """The mappings as the site has them, its own before those that are shipped."""
    folder = Path(settings.JOULEBOOK_VAR) / OWN_MAPPINGS
    return load_mappings(folder if folder.is_dir() else None)


@contextmanager
def catalogue_of(cluster_id: int) -> Iterator[Catalogue]:
    """The series of a cluster, for one thread at a time; made anew when a mapping file changed."""
    mappings = site_mappings()
    kept = _kept.get(cluster_id)
    if kept is None or kept.mappings is not mappings or len(kept.catalogue) > MOST_SERIES:
        kept = _kept[cluster_id] = _Kept(mappings, Catalogue(mappings, most=MOST_SERIES + MOST_NEW))
    with kept.lock:
        yield kept.catalogue
