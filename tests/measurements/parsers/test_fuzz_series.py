"""Whatever becomes of a text or body with series, no parser crashes, and no value is stored that is not in it."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path

import pytest

from measurements.domain.units import DAY_MS
from measurements.parsers.detect import POWER_PARSERS
from measurements.parsers.mappings import load_mappings
from measurements.parsers.records import ParseOptions, PowerChunk, UnusableFile
from measurements.parsers.remote_write import RemoteWrite, unpacked
from measurements.parsers.series import Catalogue
from measurements.parsers.source import Source
from tests.measurements.parsers.damage import damaged, each_example, put, replaced
from tests.measurements.parsers.reading import NOW_MS
from tests.measurements.parsers.series_reading import T0_MS
from tests.measurements.parsers.test_fuzz_files import said_in
from tests.measurements.parsers.test_remote_write import packed, request

T0_S = T0_MS // 1000
SCALES = (1e3, 1e6, 1e-3)  # W in mW and mJ in µJ, J in µJ, µW in mW
OPTIONS = [ParseOptions(node="n", at_ms=T0_MS, precision="s"), ParseOptions(precision="ns"), ParseOptions()]
GOOD: dict[str, list[bytes]] = {
    "prometheus": [
        b"# HELP a b\n# TYPE a gauge\nnode_load1 0.5\n"
        b'ipmi_dcmi_power_consumption_watts{instance="n1-bmc:9290"} 345.5\n'
        b'node_rapl_package_joules_total{index="0",instance="n1"} 1.5e+03 1740830400250\n'
        b'DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-1",Hostname="n \\"1\\""} NaN 1740830400\n'
        b'scaph_host_power_microwatts{instance="n1"} 90000001 1740830400 # {a="b"} 1\n'
        b'{"kepler_node_package_joules_total",instance="n1",package="0",mode="idle"} 12 1740830400\n'
        b'{__name__="kepler_node_package_joules_total",instance="n1",package="0",mode="dynamic"} 30 1740830400\n'
        b"# EOF\n",
    ],
    "influx": [
        f"cpu_power,hostname=e1208,type=socket,type-id=0 value=228.1 {T0_S}\n"
        f"ipmi_sensor,server=10.1.2.3,name=psu1,unit=watts status=1i,value=110 {T0_S}000000000\n"
        f'nvidia_smi,host=g\\ 1,index=0,uuid=GPU-1 name="a, b=c",power_draw=61.25,ok=true {T0_S}\n'
        f"node_power,hostname=n1,type=node value=5\n# c\nx,hostname=n event=\"y\" {T0_S}\n".encode(),
    ],
    "prometheus-json": [
        json.dumps(
            {
                "status": "success",
                "data": {
                    "resultType": "matrix",
                    "result": [
                        {
                            "metric": {"__name__": "ipmi_dcmi_power_consumption_watts", "instance": "n1:9290"},
                            "values": [[T0_S, "300"], [T0_S + 0.5, "NaN"], [T0_S + 1, "301.5"]],
                        },
                        {"metric": {"state": "idle"}, "values": [[T0_S, "3"]]},
                        {"metric": {"__name__": "node_rapl_dram_joules_total", "index": "0"}, "value": [T0_S, "7"]},
                    ],
                },
                "warnings": ["slow"],
            }
        ).encode(),
        json.dumps({"status": "error", "errorType": "bad_data", "error": "x"}).encode(),
    ],
    "victoria-export": [
        f'{{"metric":{{"__name__":"ipmi_dcmi_power_consumption_watts","instance":"n1:9290"}},'
        f'"values":[300.5,null,301],"timestamps":[{T0_MS},{T0_MS + 1},{T0_MS + 2}]}}\n'
        f'{{"metric":{{"__name__":"node_rapl_dram_joules_total","index":"0","instance":"n1"}},'
        f'"values":["Infinity",7.25],"timestamps":[{T0_MS},{T0_MS + 1}]}}\n'.encode(),
    ],
}  # fmt: skip
TOO_GREAT = bytes.fromhex(  # a power of 1.2e306 W
    "fd01e00a630a230a085f5f6e616d655f5f12174443474d5f46495f4445565f504f5745525f55534147450a080a0367707512"
    "01300a0e0a08486f737401311c12026e31121009000101242051401080bccf8cd532111210007c7f10810512100a3a0a160a"
    "1965540a6e6f64655f6c6f6164310a0e0a08696e7374616e63324e000c00e03f10094e0c0a5a0a2a1d3c001e053c90726170"
    "6c5f7061636b6167655f6a6f756c65735f746f74616c0a0a0a05696e646578120130625c00201d401080bccf8cd532"
)
FAILED: dict[str, list[bytes]] = {  # texts and bodies that once crashed a parser, or of which it invented a value
    "remote write": [TOO_GREAT],
}
BODY = request(
    ({"__name__": "DCGM_FI_DEV_POWER_USAGE", "gpu": "0", "Hostname": "n1"}, [(68.5, T0_MS), (math.nan, T0_MS + 1)]),
    ({"__name__": "node_load1", "instance": "n1"}, [(0.5, T0_MS)]),
    ({"__name__": "node_rapl_package_joules_total", "index": "0", "instance": "n1"}, [(7.25, T0_MS)]),
)


def check(chunk: PowerChunk) -> None:
    """What holds for every chunk."""
    columns = (chunk.node, chunk.channel, chunk.t_ms, chunk.value, chunk.line)
    assert len({len(column) for column in columns}) == 1
    assert len(chunk.kinds) == len(chunk.channels) == len(chunk.facts) or not len(chunk.t_ms)
    if len(chunk.t_ms):
        assert chunk.t_ms.min() >= 946_684_800_000
        assert chunk.t_ms.max() <= NOW_MS + DAY_MS
        assert chunk.line.min() >= 1
        assert max(chunk.node) < len(chunk.nodes)
    for name in (*chunk.nodes, *chunk.channels):
        assert name.isprintable()
        assert len(name) <= 255
    for refusal in chunk.refusals:
        assert refusal.reason
        assert refusal.line >= 1
        assert len(refusal.text) <= 500


def is_said(value: int, numbers: list[float]) -> bool:
    """Whether a stored value is a number of the text in one of the units, or the sum of two."""
    candidates = {n * scale for n in numbers for scale in SCALES}
    candidates |= {(n + m) * 1e6 for n in numbers for m in numbers}
    return any(abs(value - one) <= 0.5 + abs(one) * 1e-12 for one in candidates)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written again for each example."""
    return tmp_path_factory.mktemp("fuzz") / "series.log"


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", GOOD)
def test_damaged_texts_give_rows_refusals_or_a_reason(name: str, place: Path) -> None:
    def run(example: tuple[bytes, ParseOptions]) -> None:
        raw, options = example
        put(place, raw)
        try:
            numbers = said_in(Source(place))
            chunks = list(POWER_PARSERS[name].read(Source(place), options, NOW_MS))
        except UnusableFile:
            return
        for chunk in chunks:
            check(chunk)
            assert [value for value in chunk.value.tolist() if not is_said(value, numbers)] == []

    for raw in FAILED.get(name, []):
        for options in OPTIONS:
            run((raw, options))
    each_example(lambda draw: (damaged(draw, GOOD[name]), draw.choice(OPTIONS)), run)


def body_of(draw: random.Random) -> bytes:
    """A request that is damaged before or after it is packed."""
    body = packed(replaced(draw, BODY, most=12))
    return replaced(draw, body, most=5) if draw.random() < 0.3 else body


@pytest.mark.hypothesis
def test_damaged_bodies_of_remote_write_give_rows_refusals_or_a_reason() -> None:
    for body in (b"", *FAILED.get("remote write", [])):
        check_body(body)
    each_example(body_of, check_body)


def check_body(body: bytes) -> None:
    """Taken or turned away."""
    try:
        raw = unpacked(body)
        chunk = RemoteWrite(Catalogue(load_mappings())).chunk(body, NOW_MS)
    except UnusableFile:
        return
    check(chunk)
    doubles = {struct.unpack_from("<d", raw, at)[0] for at in range(len(raw) - 7)} | {0.0}
    said = [value for value in doubles if math.isfinite(value) and abs(value) < 1e18]
    assert [value for value in chunk.value.tolist() if not is_said(value, said)] == []
