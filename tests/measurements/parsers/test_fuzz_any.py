"""Whatever comes in, of whatever types: a parser of jobs or nodes gives records and refusals, or says why not."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measurements.parsers.detect_jobs import JOB_PARSERS, detect_jobs
from measurements.parsers.detect_nodes import NODE_PARSERS, detect_nodes
from measurements.parsers.records import ParseOptions, UnusableFile
from measurements.parsers.source import Source
from tests.measurements.parsers.job_oracle import taken

OPTIONS = ParseOptions(time_zone=UTC)
FORMATS = [name for name in JOB_PARSERS if name != "clustercockpit"]
WORDS = st.sampled_from(
    [
        *("JobID", "State", "Start", "End", "NodeList", "JobName", "AllocTRES", "Elapsed", "ReqMem", "job_id", "user"),
        *("account", "state", "start", "end", "nodes", "cpus", "gpu_indices", "node", "node_type", "valid_from"),
        *(
            "1",
            "36_1",
            "1_[1-3]",
            "12.batch",
            "93+1",
            "COMPLETED",
            "RUNNING",
            "CANCELLED by 1",
            "FOO",
            "n[1-3]",
            "n[3-1]",
        ),
        *(
            "n[1-99999]",
            "2025-03-01T12:00:00",
            "1740830400",
            "Unknown",
            "1-00:00:00",
            "cpu=4,gres/gpu=1",
            "cpu=",
            "4Gc",
        ),
        *(
            "|",
            ",",
            "\n",
            "\r\n",
            '"',
            " ",
            "\t",
            "\0",
            "é",
            "",
            "-1",
            "1e400",
            "nan",
            "NodeName=",
            "Gres=gpu:4",
            "=",
            "0-1",
        ),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(WORDS, max_size=60).map("".join), st.lists(WORDS, max_size=60).map("|".join))
CSV_HEADS = [
    "job_id,user,account,state,start,end,nodes,name,cpus\n",
    "JobID|State|Start|End|Elapsed|NodeList|JobName\n",
]
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["set", "infinite", "number", "current", "count", "name", "type"]), inner),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *(
            "job_id",
            "state",
            "job_state",
            "nodes",
            "time",
            "array",
            "het",
            "tres",
            "tres_alloc_str",
            "gres_detail",
            "user",
        ),
        *(
            "job_resources",
            "shared",
            "comment",
            "wckey",
            "sluid",
            "start_time",
            "end_time",
            "time_limit",
            "association",
        ),
        *("name", "cpus", "gres", "real_memory", "threads", "subClusters", "topology", "processorType"),
    ]
)
GOOD_JOB = {"job_id": 7, "state": "COMPLETED", "nodes": "n1", "time": {"start": 1_740_830_400, "end": 1_740_830_460}}


def _written(folder: str, content: bytes) -> Source:
    path = Path(folder) / "input"
    path.write_bytes(content)
    return Source(path)


def _read_jobs(content: bytes, fmt: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = _written(folder, content)
            chunks = list(detect_jobs(source, fmt)(source, OPTIONS))
        except UnusableFile:
            return
    taken(chunks)


def _read_nodes(content: bytes, fmt: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = _written(folder, content)
            nodes, *_ = detect_nodes(source, fmt)(source, OPTIONS)
        except UnusableFile:
            return
    assert all(node.node and node.node_type for node in nodes)


@pytest.mark.parametrize("fmt", [None, *FORMATS, "sacct:JobID,State,JobName,Start,End,NodeList"])
@given(content=st.one_of(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary()))
def test_any_bytes_as_jobs(fmt: str | None, content: bytes) -> None:
    _read_jobs(content, fmt)


@pytest.mark.parametrize("head", CSV_HEADS)
@given(text=TEXTS)
@example(text='1,a,b,COMPLETED,1740830400,1740830460,n1,"' + "\n" * 100)
def test_any_rows_below_a_good_header(head: str, text: str) -> None:
    _read_jobs((head + text).encode("utf-8", "surrogatepass"), None)


@given(more=st.dictionaries(KEYS, VALUES, max_size=6), key=st.sampled_from(["jobs", "nodes", "subClusters"]))
@example(more={"job_id": 2.5, "state": "RUNNING"}, key="jobs")
def test_any_members_of_a_json_list(more: dict[str, object], key: str) -> None:
    content = json.dumps({key: [{**GOOD_JOB, **more}, more]}).encode("utf-8", "surrogatepass")
    _read_jobs(content, "slurm-json")
    for fmt in NODE_PARSERS:
        _read_nodes(content, fmt)


@pytest.mark.parametrize("fmt", [None, *NODE_PARSERS])
@given(content=st.one_of(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary()))
def test_any_bytes_as_nodes(fmt: str | None, content: bytes) -> None:
    _read_nodes(content, fmt)
