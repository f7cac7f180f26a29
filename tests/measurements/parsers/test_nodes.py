"""Descriptions of nodes: CSV, ClusterCockpit, scontrol as text and JSON."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from measurements.parsers.detect_nodes import detect_nodes
from measurements.parsers.nodes_csv import Nodes
from measurements.parsers.records import NodeRecord, ParseOptions, Refusal, UnusableFile
from measurements.parsers.scontrol_nodes import installed_gib
from measurements.parsers.source import Source

SCONTROL = """\
NodeName=cn1 Arch=x86_64 CoresPerSocket=32
   CPUAlloc=0 CPUEfctv=128 CPUTot=128 CPULoad=0.02
   AvailableFeatures=icelake
   Gres=gpu:a100:4(S:0-1)
   NodeAddr=cn1 NodeHostName=cn1 Version=24.05.3
   OS=Linux 5.14.0 #1 SMP
   RealMemory=515000 AllocMem=0 FreeMem=1 Sockets=2 Boards=1
   State=IDLE+DRAIN ThreadsPerCore=2 TmpDisk=0 Weight=1
   Partitions=main
   Reason=was wrong: CPUTot=7 [root@2025-01-01T00:00:00]

NodeName=cn2 Arch=x86_64 CoresPerSocket=32
   CPUTot=128 Gres=(null) RealMemory=257000 State=IDLE ThreadsPerCore=2

NodeName=cn9 CPUTot=1 State=FUTURE ThreadsPerCore=1
"""


def read(path: Path, fmt: str | None = None) -> Nodes:
    source = Source(path)
    return detect_nodes(source, fmt)(source, ParseOptions())


def of(folder: Path, text: str) -> Nodes:
    path = folder / "nodes"
    path.write_text(text)
    return read(path)


def reasons(refusals: list[Refusal]) -> list[tuple[str, int]]:
    return [(refusal.reason, refusal.line) for refusal in refusals]


def test_csv_with_every_column_and_a_hostlist(tmp_path: Path) -> None:
    header = "node,node_type,cpus,gpus,cpu_model,gpu_model,memory_gib,idle_w,rated_w,ceiling_w,valid_from"
    nodes, refusals, warnings = of(
        tmp_path, f'{header}\n"g[01-02,7]",gpu,64,4,EPYC 7543,A100,512,150.5,900,3000,2025-03-01T12:00:00Z\n'
    )
    assert (refusals, warnings) == ([], [])
    assert [node.node for node in nodes] == ["g01", "g02", "g7"]
    assert nodes[0] == NodeRecord(
        line=2, node="g01", node_type="gpu", cpus=64, gpus=4, cpu_model="EPYC 7543", gpu_model="A100",
        memory_gib=512, idle_w=150.5, rated_w=900, ceiling_w=3000, valid_from_ms=1_740_830_400_000,
    )  # fmt: skip


def test_csv_with_the_two_columns_only(tmp_path: Path) -> None:
    nodes, *_ = of(tmp_path, "node,node_type\nn1,thin\n")
    assert nodes == [NodeRecord(line=2, node="n1", node_type="thin")]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_a_spreadsheets_separator(tmp_path: Path, separator: str) -> None:
    text = "node,node_type,cpus,idle_w\nn[1-2,7],thin,64,150.5\nx,thin,64,\n".replace(",", separator)
    nodes, refusals, _ = of(tmp_path, text.replace(f"1-2{separator}7", "1-2,7"))
    assert [(node.node, node.cpus, node.idle_w) for node in nodes] == [
        *(("n1", 64, 150.5), ("n2", 64, 150.5), ("n7", 64, 150.5), ("x", 64, None)),
    ]
    assert refusals == []


def test_a_decimal_comma_is_refused_with_the_cure(tmp_path: Path) -> None:
    _, (refusal,), _ = of(tmp_path, "node;node_type;idle_w\nn1;thin;150,5\n")
    assert (refusal.reason, refusal.detail) == (
        "bad idle_w",
        "'150,5' is no number from 0; write decimals with a point",
    )


def test_csv_refuses_what_makes_no_sense_and_a_node_twice(tmp_path: Path) -> None:
    nodes, refusals, _ = of(
        tmp_path,
        "node,node_type,cpus,valid_from\nn1,a,4,\nn1,b,4,\nn1,b,4,2025-03-01T12:00:00Z\nn2,a,-4,\n,a,4,\nn3,,4,\n"
        "n4,a,4,tomorrow\nn[2-1],a,4,\nn5\n",
    )
    assert [(node.node, node.node_type) for node in nodes] == [("n1", "a"), ("n1", "b")], "from another date on"
    assert reasons(refusals) == [
        *(("node twice", 3), ("bad cpus", 5), ("node or node_type missing", 6), ("node or node_type missing", 7)),
        *(("unreadable time", 8), ("bad hostlist", 9), ("too few fields", 10)),
    ]


@pytest.mark.parametrize(
    ("name", "types", "example"),
    [
        ("alex", {"a40": 44, "a100": 20, "a100m80": 15}, ("a0601", "a100", 128, 8, "AMD Milan", "A100")),
        ("emmy", None, ("w2201", "icelake", 32, 0, "Intel Xeon Gold 6326", "")),
        ("fritz", None, ("f0101", "main", 72, 0, "Intel Icelake", "")),
    ],
)
def test_clustercockpit_subclusters_are_node_types(
    shared_data: Path, name: str, types: dict[str, int] | None, example: tuple[object, ...]
) -> None:
    nodes, refusals, warnings = read(shared_data / "job_archive" / f"cluster_{name}.json")
    assert refusals == []
    if types is not None:
        assert Counter(node.node_type for node in nodes) == types
    found = next(node for node in nodes if node.node == example[0])
    assert (found.node, found.node_type, found.cpus, found.gpus, found.cpu_model, found.gpu_model) == example
    assert len({node.node for node in nodes}) == len(nodes)
    assert all(node.node_type == "spr1tb" for node in nodes if node.node in ("f2181", "f2288"))
    # Fritz names f2181-f2188 and f2281-f2288 in two subclusters
    assert [warning.startswith("in two subclusters") for warning in warnings] == ([True] if name == "fritz" else [])


def test_clustercockpit_broken_or_odd(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile):
        of(tmp_path, '{"subClusters": [')
    with pytest.raises(UnusableFile, match="no subClusters"):
        of(tmp_path, '{"metricConfig": [], "subClusters": 3}')
    nodes, refusals, _ = of(
        tmp_path, '{"subClusters": [{"name": "a", "nodes": "n[2-1]"}, {"nodes": "x"}, {"name": "b", "nodes": "n1"}]}'
    )
    assert [(node.node, node.cpus, node.gpus) for node in nodes] == [("n1", None, 0)]
    assert reasons(refusals) == [("bad hostlist", 1), ("subcluster without name", 2)]


@pytest.mark.parametrize("one_line", [False, True])
def test_scontrol_text(tmp_path: Path, *, one_line: bool) -> None:
    text = SCONTROL.replace("\n   ", " ").replace("\n\n", "\n") if one_line else SCONTROL
    nodes, refusals, warnings = of(tmp_path, text)
    assert (refusals, warnings) == ([], ["1 nodes of state FUTURE left aside"])
    assert [(node.node, node.node_type, node.line) for node in nodes] == [
        *(("cn1", "128c-4xa100-512g", 1), ("cn2", "128c-256g", 2 if one_line else 12)),
    ]
    assert (nodes[0].cpus, nodes[0].gpus, nodes[0].threads_per_core, nodes[0].gpu_model) == (128, 4, 2, "a100")
    assert nodes[0].memory_gib == pytest.approx(502.93, abs=0.01), "as Slurm says, not as rounded for the name"


def test_scontrol_text_behind_warnings_of_its(tmp_path: Path) -> None:
    nodes, refusals, _ = of(tmp_path, f"scontrol: warning: can't stat gres.conf\n\n{SCONTROL}")
    assert [(node.node, node.line) for node in nodes] == [("cn1", 3), ("cn2", 14)]
    assert reasons(refusals) == [("not a node", 1)]


def test_scontrol_json_of_both_versions(shared_data: Path) -> None:
    folder = shared_data / "slurm_accounting" / "slurmrestd_json"
    nodes, refusals, _ = read(folder / "25.11_0.0.44" / "slurm-nodes.json")
    assert (len(nodes), refusals) == (8, [])
    assert (nodes[0].node, nodes[0].node_type, nodes[0].cpus, nodes[0].gpus) == ("cn1", "64c-128g", 64, 0)
    for version in ("24.05_0.0.41", "25.11_0.0.44"):
        (gpu,), *_ = read(folder / version / "slurm-node-with-gpus-model-allocated.json")
        assert (gpu.gpus, gpu.gpu_model, gpu.memory_gib) == (4, "h100", 512)
        assert gpu.node_type == "32c-4xh100-512g"


def test_scontrol_broken_or_odd(tmp_path: Path) -> None:
    nodes, refusals, _ = of(tmp_path, '{"nodes": [{"name": "a"}, {"cpus": 3}, {"name": "b", "cpus": true}, {"na')
    assert [(node.node, node.node_type, node.cpus) for node in nodes] == [
        ("a", "unknown", None),
        ("b", "unknown", None),
    ]
    assert reasons(refusals) == [("not a node", 2), ("truncated JSON", 4)]


@pytest.mark.parametrize(
    ("offered_gib", "installed"),
    [
        (503, 512),
        (376, 384),
        (251, 256),
        (187, 192),
        (1007, 1024),
        (1510, 1536),
        (62, 64),
        (94, 96),
        (31, 32),
        (128, 128),
        (0.5, 1),
    ],
)
def test_memory_is_named_as_installed(offered_gib: float, installed: int) -> None:
    assert installed_gib(int(offered_gib * 1024)) == installed


def test_what_describes_no_nodes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="no description of nodes"):
        of(tmp_path, "job_id,user\n1,a\n")
    with pytest.raises(UnusableFile, match="no node format"):
        read(tmp_path / "nodes", "yaml")
