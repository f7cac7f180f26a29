"""What takes longest comes first, each in another process: in the end nobody waits for one of them alone.

Tests that share a site, a farm or a cluster of servers stay together: each process that takes some of them would have
to make its own. pytest-xdist gives each process a stretch of the tests, and whoever is done takes over the end of
another's.
"""

from __future__ import annotations

from collections.abc import Sequence

# The longest three, then those that share something; what a process begins with is every n-th of these.
LONGEST_FIRST = (
    "tests/workers/test_kills.py::",
    "tests/test_docs.py::test_the_readme_works_as_written_from_a_clean_clone",
    "tests/bench/test_bench.py::test_every_group_gives_its_rows",
    "tests/pipeline/",
    "tests/browser/",
    "tests/measurements/demo/",
    "tests/workers/",
    "tests/test_how_to_exporter.py::",
    "tests/test_how_to_power_format.py::",
    "tests/test_settings.py::test_postgres_takes_the_migrations",
)


def spread(names: Sequence[str], processes: int) -> list[int]:
    """The places of the tests in the order in which to run them."""
    rank = {place: _rank(name) for place, name in enumerate(names)}
    long = sorted((place for place in rank if rank[place] < len(LONGEST_FIRST)), key=rank.__getitem__)
    others = [place for place in rank if rank[place] == len(LONGEST_FIRST)]
    order: list[int] = []
    for process in range(processes):
        length = (len(names) - len(order)) // (processes - process)  # as xdist divides them
        mine = [place for place in long if rank[place] % processes == process][:length]
        more = length - len(mine)
        order += mine + others[:more]
        others = others[more:]
    return order + sorted(set(rank) - set(order))


def _rank(name: str) -> int:
    found = (rank for rank, prefix in enumerate(LONGEST_FIRST) if name.startswith(prefix))
    return next(found, len(LONGEST_FIRST))
