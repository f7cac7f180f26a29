"""Which parser reads a description of nodes: by name, or by what it begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from measurements.parsers import nodes_clustercockpit, nodes_csv, scontrol_nodes
from measurements.parsers.nodes_csv import Nodes
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source


@dataclass(frozen=True, slots=True)
class NodeParser:
    """One format of node descriptions; call it with (source, options) for records, refusals and warnings."""

    name: str
    matches: Callable[[str], bool]
    read_nodes: Callable[[Source, ParseOptions], Nodes]

    def __call__(self, source: Source, options: ParseOptions) -> Nodes:
        """The nodes of a source; raises nothing but UnusableFile."""
        return self.read_nodes(source, options)


# In the order they are tried: a cluster.json of ClusterCockpit names "nodes" too.
NODE_PARSERS: dict[str, NodeParser] = {
    parser.name: parser
    for parser in (
        NodeParser("clustercockpit", nodes_clustercockpit.matches, nodes_clustercockpit.read_nodes),
        NodeParser("scontrol", scontrol_nodes.matches, scontrol_nodes.read_nodes),
        NodeParser("csv", nodes_csv.matches, nodes_csv.read_nodes),
    )
}


def detect_nodes(source: Source, fmt: str | None = None) -> NodeParser:
    """The parser for a source; ``fmt`` names it outright."""
    if fmt:
        if fmt not in NODE_PARSERS:
            raise UnusableFile(f"no node format {fmt!r}; known: {', '.join(NODE_PARSERS)}")
        return NODE_PARSERS[fmt]
    head = source.head().decode("utf-8", errors="replace")
    for parser in NODE_PARSERS.values():
        if parser.matches(head):
            return parser
    raise UnusableFile(
        f"{source.name}: no description of nodes that is known; give CSV with node,node_type, scontrol show node "
        "(text or JSON), or a ClusterCockpit cluster.json"
    )
