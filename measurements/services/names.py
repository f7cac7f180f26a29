"""Which node a name means: its own name, an alias for the time it was in use, or its short name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from measurements.domain.units import IntArray, day_start_ms
from measurements.models import Cluster, Node, NodeAlias


class NodeNames:
    """The nodes of a cluster by name, alias and short name."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._ids = dict(Node.objects.filter(cluster=self.cluster).values_list("name", "pk"))
        self._aliases = list(
            NodeAlias.objects.filter(node__cluster=self.cluster).values_list(
                "alias", "node_id", "valid_from", "valid_to"
            )
        )

    def lookup(self, name: str) -> int:
        """The id of a node; -1 if it is not known."""
        if name in self._ids:
            return self._ids[name]
        return self._ids.get(name.partition(".")[0], -1)

    def at(self, name: str, t_ms: int) -> int:
        """The id of a node by its name at an instant; -1 if it is not known."""
        for alias, node_id, valid_from, valid_to in self._aliases:
            begun = alias == name and day_start_ms(valid_from) <= t_ms
            if begun and (valid_to is None or t_ms < day_start_ms(valid_to)):
                return node_id
        return self.lookup(name)

    def resolve(self, names: Sequence[str], code: NDArray[np.int32], t_ms: IntArray) -> NDArray[np.int32]:
        """Node ids of samples; aliases hold for the time they were in use."""
        ids = np.array([self.lookup(name) for name in names], np.int32)[code]
        for alias, node_id, valid_from, valid_to in self._aliases:
            for position, name in enumerate(names):
                if name == alias:
                    inside = (code == position) & (t_ms >= day_start_ms(valid_from))
                    if valid_to is not None:
                        inside &= t_ms < day_start_ms(valid_to)
                    ids[inside] = node_id
        return ids
