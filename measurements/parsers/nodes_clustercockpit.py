"""ClusterCockpit's ``cluster.json``: its subclusters are node types."""

from __future__ import annotations

from typing import Any

from measurements.parsers.job_rows import COUNT_LIMIT, RowRefused, clean, hosts_of
from measurements.parsers.json_text import loads
from measurements.parsers.nodes_csv import THREADS_LIMIT, TYPE_LIMIT, Nodes
from measurements.parsers.records import NodeRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.source import Source


def matches(head: str) -> bool:
    """Whether a text begins like a cluster description."""
    return head.lstrip().startswith("{") and ('"subClusters"' in head or '"metricConfig"' in head)


def read_nodes(source: Source, options: ParseOptions) -> Nodes:
    """The nodes of all subclusters; a refusal's line is the subcluster's place. A node in two is of the first."""
    records: dict[str, NodeRecord] = {}
    refusals: list[Refusal] = []
    twice: list[str] = []
    for place, subcluster in enumerate(_subclusters(source), start=1):
        try:
            found = _records(place, subcluster)
        except RowRefused as refused:
            refusals.append(Refusal(refused.reason, place, str(refused)))
            continue
        twice += [record.node for record in found if record.node in records]
        records |= {record.node: record for record in found if record.node not in records}
    warning = f"in two subclusters, taken as of the first: {', '.join(twice[:10])}" + (" …" if len(twice) > 10 else "")
    return list(records.values()), refusals, [warning] if twice else []


def _subclusters(source: Source) -> list[Any]:
    try:
        cluster = loads(source.read_all())
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{source.name}: no JSON ({str(error)[:200]}); copy the file anew") from error
    subclusters = cluster.get("subClusters") if isinstance(cluster, dict) else None
    if not isinstance(subclusters, list):
        raise UnusableFile(f"{source.name}: no subClusters; give the cluster.json of a ClusterCockpit archive")
    return subclusters


def _records(place: int, subcluster: Any) -> list[NodeRecord]:
    if not isinstance(subcluster, dict) or not isinstance(subcluster.get("name"), str) or not subcluster["name"]:
        raise RowRefused("subcluster without name")
    nodes = subcluster.get("nodes")
    topology = subcluster.get("topology")
    accelerators = topology.get("accelerators") if isinstance(topology, dict) else None
    gpus = [entry for entry in accelerators if isinstance(entry, dict)] if isinstance(accelerators, list) else []
    threads = _whole(subcluster.get("threadsPerCore")) or 0
    models = dict.fromkeys(str(gpu.get("model") or gpu.get("type") or "") for gpu in gpus)
    return [
        NodeRecord(
            line=place,
            node=host,
            node_type=clean(subcluster["name"], TYPE_LIMIT),
            cpus=_cpus(subcluster),
            gpus=len(gpus),
            threads_per_core=threads if 0 < threads <= THREADS_LIMIT else None,
            cpu_model=clean(str(subcluster.get("processorType") or "").strip()),
            gpu_model=clean("/".join(model for model in models if model)),
        )
        for host in hosts_of(nodes if isinstance(nodes, str) else "")
    ]


def _cpus(subcluster: dict[str, Any]) -> int | None:
    """Hardware threads: sockets × cores × threads; the topology's lists have misprints in real files."""
    product = 1
    for key in ("socketsPerNode", "coresPerSocket", "threadsPerCore"):
        factor = _whole(subcluster.get(key))
        if factor is None:
            return None
        product *= factor
    return product if product <= COUNT_LIMIT else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= COUNT_LIMIT else None
