"""An hour of power, written as each tool writes it: whatever the format, its joules are in the ledger."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.pipeline.site import Farm, Site

START_S = 1_748_995_200  # 2025-06-04T00:00:00Z
STEP_S = 10
COUNT = 361
TIMES = [START_S + STEP_S * i for i in range(COUNT)]
METRIC = "ipmi_dcmi_power_consumption_watts"
BERLIN = ZoneInfo("Europe/Berlin")
Said = tuple[str, ...]
Written = tuple[str, str | bytes, Said]  # name of the file, content, what the operator says


Watts = list[int]


def watts_of(node: str) -> Watts:
    """Each node has its own: the same hour on many would be a reading that they share, and be left out."""
    seed = int.from_bytes(node.encode(), "big")
    return [int(w) for w in np.random.default_rng(seed).integers(300, 900, COUNT)]


def joules(watts: Watts) -> float:
    """Linear between the readings, and half an interval held at both ends."""
    return sum((a + b) / 2 for a, b in pairwise(watts)) * STEP_S + (watts[0] + watts[-1]) * STEP_S / 2


def stamps(form: str, zone: ZoneInfo | None = None) -> list[str]:
    return [datetime.fromtimestamp(t, zone or UTC).strftime(form) for t in TIMES]


def each(form: Callable[[str, int], str], times: Iterable[object], node: str) -> str:
    """A piece of text for each reading of a node."""
    return "".join(form(str(t), w) for t, w in zip(times, watts_of(node), strict=True))


def csv_of_epochs(node: str) -> Written:
    return "p.csv", "timestamp,node,watts\n" + each(lambda t, w: f"{t},{node},{w}\n", TIMES, node), ()


def csv_of_another_clock(node: str) -> Written:
    rows = each(lambda t, w: f"{w};x;{node}.hpc.example.org;{t}\r\n", stamps("%Y-%m-%d %H:%M:%S", BERLIN), node)
    return "p.csv", "\ufeffWatts;room;Host;Timestamp\r\n" + rows, ("--time-zone", "Europe/Berlin")


def csv_by_node_backwards(node: str) -> Written:
    rows = each(lambda t, w: f"{t},{w / 1000}\n", stamps("%Y-%m-%dT%H:%M:%S.000+00:00"), node).splitlines(keepends=True)
    return "p.csv.gz", gzip.compress((f"time,{node} [kW]\n" + "".join(reversed(rows))).encode()), ()


def ptdaemon(node: str) -> Written:
    rows = each(
        lambda t, w: f"Time,{t}.000,Watts,{w}.0,Volts,230.1,Amps,2,PF,0.9,Mark,x,Ch1,Watts,1\n",
        stamps("%m-%d-%Y %H:%M:%S"),
        node,
    )
    return "spl.txt", rows, ("--node", node, "--time-zone", "UTC")


def sdr(node: str) -> Written:
    text = each(
        lambda t, w: f"{t}\nPower Meter | {w} Watts | ok\nFan | 3000 RPM | ok\nTemp | na | ns\n", stamps("%c"), node
    )
    return f"{node}-2025-06-04.log", text.replace(" 2025\n", " UTC 2025\n"), ()


def sensor(node: str) -> Written:
    text = each(
        lambda t, w: f"Timestamp: {t}\nPwr Consumption | {w}.000 | Watts | ok | na | na\n",
        stamps("%F %T %Z", BERLIN),
        node,
    )
    return "x.log", text, ("--node", node, "--time-zone", "Europe/Berlin")


def dcmi(node: str) -> Written:
    form = (
        "\n    Instantaneous power reading:   {w} Watts\n    Minimum during sampling period:   1 Watts\n"
        "    IPMI timestamp:    {t}    Sampling period:  00000010 Seconds.\n    Power reading state is:   activated\n\n"
    )
    return "x.log", each(lambda t, w: form.format(t=t, w=w), stamps("%m/%d/%y %T %Z", BERLIN), node), (
        "--node", node, "--time-zone", "Europe/Berlin",
    )  # fmt: skip


def freeipmi(node: str) -> Written:
    form = "{n}: Current Power : {w} Watts\n{n}: Time Stamp : {t}\n{n}: Power Measurement : Active\n\n"
    text = each(lambda t, w: form.format(n=node, t=t, w=w), stamps("%m/%d/%Y - %H:%M:%S"), node)
    return "x.log", text, ("--time-zone", "UTC")


def ipmi_sensors(node: str) -> Written:
    form = "{t}\n{n}: ID,Name,Type,Reading,Units,Event\n{n}: 5,Pwr Consumption,Current,{w}.00,W,'OK'\n"
    return "x.log", each(lambda t, w: form.format(n=node, t=t, w=w), TIMES, node), ()


def mlperf(node: str) -> Written:
    def entry(key: str, value: object, t: int) -> str:
        return ":::MLLOG " + json.dumps({"namespace": "", "time_ms": t * 1000, "key": key, "value": value}) + "\n"

    rows = "".join(entry("power_reading", w / 0.8, t) for t, w in zip(TIMES, watts_of(node), strict=True))
    return f"{node}.txt", rows + entry("conversion_eff", 0.8, START_S), ()


def geopm(node: str) -> Written:
    head = f"# geopm_version: 3.1.0\n# start_time: Wed Jun  4 02:00:00 2025\n# node_name: {node}\n"
    rows = each(lambda t, w: f"{t}|0|{w}|5\n", [t - START_S for t in TIMES], node)
    return "trace", head + "TIME|EPOCH_COUNT|BOARD_POWER|CPU_POWER\n" + rows, ("--time-zone", "Europe/Berlin")


def prometheus(node: str) -> Written:
    rows = each(lambda t, w: f'{METRIC}{{instance="{node}-bmc.cl:9290"}} {w} {t}000\n', TIMES, node)
    return "m.prom", f"# TYPE {METRIC} gauge\n" + rows, ()


def openmetrics(node: str) -> Written:
    rows = each(
        lambda t, w: f'{METRIC}{{rack="a \\"}}b",instance="{node}"}} {w:e} {t}.0 # {{trace_id="x"}} 1\n', TIMES, node
    )
    return "m.om", rows + "# EOF\n", ()


def matrix(node: str) -> Written:
    values = [[t, str(w)] for t, w in zip(TIMES, watts_of(node), strict=True)] + [[TIMES[-1] + 10, "NaN"]]
    result = [{"metric": {"__name__": METRIC, "instance": f"{node}:9290"}, "values": values}]
    return "m.json", json.dumps({"data": {"result": result, "resultType": "matrix"}, "status": "success"}), ()


def victoria_export(node: str) -> Written:
    metric = {"__name__": METRIC, "instance": f"{node}:9290"}
    text = each(
        lambda t, w: json.dumps({"metric": metric, "values": [w], "timestamps": [int(t) * 1000]}) + "\n", TIMES, node
    )
    return "m.jsonl", text, ()


def cluster_cockpit(node: str) -> Written:
    text = each(lambda t, w: f"node_power,hostname={node},type=node,type-id=0 value={w}u {t}\n", TIMES, node)
    return "m.lp", text, ("--precision", "s")


def telegraf(node: str) -> Written:
    form = "ipmi_sensor,host=mon,name=pwr_consumption,server={n},unit=watts,room=a\\ b value={w}.0,status=1i {t}\n"
    return "m.lp", each(lambda t, w: form.format(n=node, w=w, t=t), [t * 10**9 for t in TIMES], node), ()


FORMATS = (
    csv_of_epochs, csv_of_another_clock, csv_by_node_backwards, ptdaemon, sdr, sensor, dcmi, freeipmi, ipmi_sensors,
    mlperf, geopm, prometheus, openmetrics, matrix, victoria_export, cluster_cockpit, telegraf,
)  # fmt: skip


def node_of(form: Callable[[str], Written]) -> str:
    return form.__name__.replace("_", "-")


@pytest.fixture(scope="module")
def booked(sqlite_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site where each format feeds a node of its own."""
    folder = tmp_path_factory.mktemp("signal")
    site = sqlite_farm.new()
    (folder / "nodes.csv").write_text("node,node_type\n" + "".join(f"{node_of(form)},a\n" for form in FORMATS))
    site.do("load_nodes", folder / "nodes.csv", "--cluster", "c")
    for form in FORMATS:
        name, content, said = form(node_of(form))
        path = folder / node_of(form) / name
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        taken = site.json("ingest_power", path, "--cluster", "c", "--interval", str(STEP_S), *said)
        count = COUNT * (2 if form is geopm else 1)  # its parts are channels too
        assert (taken["stored"], taken["refused"]) == (count, []), node_of(form)
    site.do("attribute")
    return site


@pytest.mark.parametrize("form", FORMATS, ids=node_of)
def test_the_same_hour_has_the_same_joules_in_every_format(booked: Site, form: Callable[[str], Written]) -> None:
    found = booked.json("energy", "node", node_of(form))
    assert found["metered_j"] == pytest.approx(joules(watts_of(node_of(form))), rel=1e-9)
