"""The files a site with this cluster would have: nodes, states of nodes, sacct text, power logs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from measurements.demo import rhythm
from measurements.demo.cluster import (
    CLUSTER_NAME,
    FACILITY,
    GPUS,
    IT_FULL_W,
    METER_TYPE,
    MODEL_OF_NODE,
    NODE_MODELS,
    NODES,
    SWITCHES,
)
from measurements.demo.faults import LateLog, late_log
from measurements.demo.meters import coarse_day, fine_day
from measurements.demo.recipes import Run
from measurements.demo.rhythm import DAY_S
from measurements.demo.schedule import plan_period
from measurements.domain.units import MS_PER_S, IntArray, datetime_from_ms, day_from_ms

NODES_HEADER = (
    "node,node_type,cpus,gpus,cpu_model,gpu_model,memory_gib,idle_w,rated_w,ceiling_w,gpu_idle_w,level,parent"
)
STATES_HEADER = "node,start,end,state,reason"
SACCT_FIELDS = (
    "JobID",
    "JobIDRaw",
    "Cluster",
    "Partition",
    "QOS",
    "Account",
    "User",
    "UID",
    "Submit",
    "Start",
    "End",
    "ElapsedRaw",
    "Suspended",
    "TotalCPU",
    "Timelimit",
    "State",
    "ExitCode",
    "NNodes",
    "NCPUS",
    "AllocTRES",
    "NodeList",
    "Comment",
    "WCKey",
    "JobName",
)
EXIT_CODES = {"FAILED": "1:0", "OUT_OF_MEMORY": "0:125", "NODE_FAIL": "1:0"}
METERS = (*NODES, SWITCHES, FACILITY)
GPU_COLUMNS = tuple(f"gpu{index}_w" for index in range(max(model.gpus for model in NODE_MODELS)))


def nodes_csv() -> str:
    """The plain nodes form, with the meters above the nodes."""
    facility_w, switches_w = 2.0 * IT_FULL_W, 0.2 * IT_FULL_W
    lines = [
        NODES_HEADER,
        f"{FACILITY},{METER_TYPE},,,,,,,,{facility_w:g},,facility,",
        f"{SWITCHES},{METER_TYPE},,,,,,,,{switches_w:g},,infrastructure,{FACILITY}",
    ]
    for model in NODE_MODELS:
        described = f"{model.name},{model.cpus},{model.gpus},{model.cpu_model},{model.gpu_model},{model.memory_gib}"
        gpu_idle = f"{model.gpu_idle_w:g}" if model.gpus else ""
        budget = f"{model.idle_w:g},{model.rated_w:g},{model.ceiling_w:g},{gpu_idle}"
        lines += [f"{node},{described},{budget},node,{FACILITY}" for node in model.nodes]
    return "\n".join(lines) + "\n"


def states_csv(seed: int, start_s: int, now_s: int) -> str:
    """When nodes were switched off in [start, now), as seen at `now`."""
    day, lines = day_from_ms((start_s - DAY_S) * MS_PER_S), [STATES_HEADER]
    while day <= day_from_ms(now_s * MS_PER_S):
        for sleep in rhythm.sleeps(seed, day):
            if start_s < sleep.end_s and sleep.start_s < now_s:
                end = iso_time(sleep.end_s) if sleep.end_s <= now_s else ""
                lines.append(f"{sleep.node},{iso_time(sleep.start_s)},{end},POWERED_DOWN,nothing to do")
        day += timedelta(days=1)
    return "\n".join(lines) + "\n"


def sacct_text(seed: int, start_s: int, now_s: int) -> str:
    """`sacct --allusers --duplicates --allocations --parsable2` of [start, now), as seen at `now`."""
    return sacct_of(plan_period(seed, start_s, now_s), now_s)


def sacct_news(seed: int, start_s: int, now_s: int) -> str:
    """The same, but only of those runs to which something happened in [start, now); empty if there are none."""
    runs = plan_period(seed, start_s, now_s)
    news = [run for run in runs if any(start_s <= at < now_s for at in (run.submit_s, run.start_s, run.end_s - 1))]
    return sacct_of(news, now_s) if news else ""


def sacct_of(runs: Iterable[Run], now_s: int) -> str:
    """Rows under their header."""
    rows = ["|".join(SACCT_FIELDS), *("|".join(_sacct_row(run, now_s)) for run in runs)]
    return "\n".join(rows) + "\n"


def _sacct_row(run: Run, now_s: int) -> tuple[str, ...]:
    """One run as accounting shows it at `now`: ended, running or pending."""
    started, ended = run.start_s < now_s, run.end_s <= now_s
    state = run.state if ended else "RUNNING" if started else "PENDING"
    elapsed_s = (run.end_s if ended else now_s) - run.start_s if started else 0
    cpus = run.lane.cpus * len(run.lane.nodes)
    busy_s = cpus * elapsed_s * run.profile.mean(run.profile.cpu) if ended else 0.0
    return (
        run.job_id,
        str(run.raw_id),
        CLUSTER_NAME,
        run.lane.partition,
        "normal",
        run.person.account,
        run.person.username,
        str(run.person.uid),
        iso_time(run.submit_s),
        iso_time(run.start_s) if started else "Unknown",
        iso_time(run.end_s) if ended else "Unknown",
        str(elapsed_s),
        "00:00:00",
        _slurm_duration(round(busy_s)),
        _slurm_duration(run.limit_s),
        f"CANCELLED by {run.person.uid}" if state == "CANCELLED" else state,
        EXIT_CODES.get(state, "0:0"),
        str(len(run.lane.nodes)),
        str(cpus),
        _alloc_tres(run) if started else "",
        _node_list(run.lane.nodes) if started else "None assigned",
        run.comment,
        run.recipe.wckey,
        run.recipe.name,
    )


def iso_time(instant_s: int) -> str:
    """As Slurm prints it with SLURM_TIME_FORMAT=%Y-%m-%dT%H:%M:%S%z and TZ=UTC."""
    return f"{datetime_from_ms(instant_s * MS_PER_S):%Y-%m-%dT%H:%M:%S}+0000"


def _slurm_duration(seconds: int) -> str:
    """[DD-]HH:MM:SS."""
    days, rest_s = divmod(seconds, DAY_S)
    clock = f"{rest_s // 3600:02d}:{rest_s // 60 % 60:02d}:{rest_s % 60:02d}"
    return f"{days}-{clock}" if days else clock


def _alloc_tres(run: Run) -> str:
    """What it was given, over all its nodes."""
    count, model = len(run.lane.nodes), MODEL_OF_NODE[run.lane.nodes[0]]
    memory_gib = count * model.memory_gib * run.lane.cpus // model.cpus
    gpus = count * len(run.lane.gpu_indices)
    gres = f"gres/gpu={gpus}," if gpus else ""
    cpus = run.lane.cpus * count
    return f"billing={cpus},cpu={cpus},{gres}mem={memory_gib}G,node={count}"


def _node_list(nodes: Sequence[str]) -> str:
    """A hostlist; the lanes of this cluster hold neighbours of one kind."""
    if len(nodes) == 1:
        return nodes[0]
    return f"{nodes[0][:-2]}[{nodes[0][-2:]}-{nodes[-1][-2:]}]"


def power_csv(seed: int, day: date, start_s: int, end_s: int, *, late: bool = True) -> bytes:
    """What the pollers logged on a UTC day within [start, end), in order of time: a line a node, GPUs in columns.

    With ``late`` the node whose log comes later is left out.
    """
    missing = late_log(seed, day) if late else None
    return _fine_csv(seed, day, start_s, end_s, [name for name in METERS if not missing or name != missing.node])


def late_csv(seed: int, log: LateLog) -> bytes:
    """The log that is delivered late."""
    return _fine_csv(seed, log.day, 0, log.due_s, [log.node])


def _fine_csv(seed: int, day: date, start_s: int, end_s: int, meters: Sequence[str]) -> bytes:
    """Lines of some meters."""
    read = fine_day(seed, day)
    gpus = np.full((len(GPU_COLUMNS), *read.t_ms.shape), -1, np.int64)
    for number, (node, index) in enumerate(GPUS):
        gpus[index, METERS.index(node)] = read.gpu_watts[number]
    chosen = np.array([name in meters for name in METERS])[:, None]
    kept = chosen & (read.t_ms >= start_s * MS_PER_S) & (read.t_ms < end_s * MS_PER_S)
    kept &= (read.watts >= 0) | (gpus >= 0).any(axis=0)
    row, column = np.nonzero(kept)
    order = np.argsort(read.t_ms[row, column], kind="stable")
    row, column = row[order], column[order]
    names = pa.DictionaryArray.from_arrays(pa.array(row, pa.int32()), pa.array(METERS)).cast(pa.string())
    columns = {"timestamp": _stamps(read.t_ms[row, column]), "node": names, "node_w": _watts(read.watts[row, column])}
    columns |= {name: _watts(gpus[index, row, column]) for index, name in enumerate(GPU_COLUMNS)}
    return _csv(pa.table(columns))


def history_csv(seed: int, days: Iterable[date]) -> Iterator[bytes]:
    """The whole-node power of past days every 60 s, a column a node: a text for each day, a header in the first."""
    for number, day in enumerate(days):
        table = coarse_day(seed, day)
        columns = {"timestamp": _stamps(table.t_ms)}
        columns |= {name: _watts(table.watts[row]) for row, name in enumerate(METERS)}
        yield _csv(pa.table(columns), header=number == 0)


def _stamps(t_ms: IntArray) -> pa.Array:
    return pa.array(t_ms.astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="UTC"))


def _watts(watts: IntArray) -> pa.Array:
    return pa.array(watts, mask=watts < 0)


def _csv(table: pa.Table, *, header: bool = True) -> bytes:
    buffer = io.BytesIO()
    arrow_csv.write_csv(table, buffer, arrow_csv.WriteOptions(include_header=header, quoting_style="none"))
    return buffer.getvalue()
