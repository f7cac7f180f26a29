"""The files a site with this cluster would have: nodes.csv, sacct text and a power log per day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.demo.cluster import CLUSTER_NAME, GPU_INTERVAL_S, MODEL_OF_NODE, NODE_MODELS, NodeModel
from measurements.demo.physics import NodePower, node_power, read_sensor
from measurements.demo.schedule import DAY_S, Run, plan_period
from measurements.domain.units import EPOCH_DAY, MS_PER_S, IntArray, datetime_from_ms, day_start_ms

NODES_HEADER = "node,node_type,cpus,gpus,cpu_model,gpu_model,memory_gib,idle_w,rated_w,ceiling_w"
POWER_HEADER = "timestamp,node,watts,channel"
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
    "JobName",
)
EXIT_CODES = {"FAILED": "1:0", "OUT_OF_MEMORY": "0:125", "NODE_FAIL": "1:0"}
OUTAGE_EVERY_DAYS = 14
OUTAGE_S = 5_700  # one BMC silent for 95 minutes


def nodes_csv() -> str:
    """The plain nodes form."""
    lines = [NODES_HEADER]
    for model in NODE_MODELS:
        described = f"{model.name},{model.cpus},{model.gpus},{model.cpu_model},{model.gpu_model},{model.memory_gib}"
        budget = f"{model.idle_w:g},{model.rated_w:g},{model.ceiling_w:g}"
        lines += [f"{node},{described},{budget}" for node in model.nodes]
    return "\n".join(lines) + "\n"


def sacct_text(seed: int, start_s: int, now_s: int) -> str:
    """`sacct --allusers --duplicates --allocations --parsable2` of [start, now), as seen at `now`."""
    rows = [SACCT_FIELDS, *(_sacct_row(run, now_s) for run in plan_period(seed, start_s, now_s))]
    return "\n".join("|".join(row) for row in rows) + "\n"


def _sacct_row(run: Run, now_s: int) -> tuple[str, ...]:
    """One run as accounting shows it at `now`: ended, running or pending."""
    started, ended = run.start_s < now_s, run.end_s <= now_s
    state = run.state if ended else "RUNNING" if started else "PENDING"
    elapsed_s = (run.end_s if ended else now_s) - run.start_s if started else 0
    cpus = run.lane.cpus * len(run.lane.nodes)
    busy_s = cpus * elapsed_s * run.recipe.profile.mean(run.recipe.profile.cpu) if ended else 0.0
    return (
        run.job_id,
        str(run.raw_id),
        CLUSTER_NAME,
        run.lane.partition,
        "normal",
        run.person.account,
        run.person.username,
        str(run.person.uid),
        _slurm_time(run.submit_s),
        _slurm_time(run.start_s) if started else "Unknown",
        _slurm_time(run.end_s) if ended else "Unknown",
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
        run.recipe.name,
    )


def _slurm_time(instant_s: int) -> str:
    """As with SLURM_TIME_FORMAT=%Y-%m-%dT%H:%M:%S%z and TZ=UTC."""
    return f"{datetime_from_ms(instant_s * MS_PER_S):%Y-%m-%dT%H:%M:%S%z}"


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


def power_csv(seed: int, day: date, start_s: int, end_s: int) -> str:
    """The plain power form: what the pollers logged on a UTC day within [start, end), in order of time."""
    day_s = day_start_ms(day) // MS_PER_S
    runs = plan_period(seed, day_s - DAY_S, day_s + DAY_S)
    t_ms, watts, names = _day_samples(seed, day, runs)
    kept = (t_ms >= start_s * MS_PER_S) & (t_ms < end_s * MS_PER_S)
    order = np.flatnonzero(kept)[np.argsort(t_ms[kept], kind="stable")]
    stamps = np.datetime_as_string(t_ms[order].astype("datetime64[ms]"), unit="ms").tolist()
    columns = zip(stamps, watts[order].tolist(), names[order].tolist(), strict=True)
    lines = [POWER_HEADER, *(f"{stamp}Z,{node},{value},{channel}" for stamp, value, (node, channel) in columns)]
    return "\n".join(lines) + "\n"


def _day_samples(seed: int, day: date, runs: Sequence[Run]) -> tuple[IntArray, NDArray[np.int64], NDArray[np.str_]]:
    """All samples of all channels on a UTC day: instant [ms], whole watts, (node, channel)."""
    times, watts, names = [], [], []
    silent = outage(seed, day)
    for number, (node, model) in enumerate(MODEL_OF_NODE.items()):
        rng = np.random.default_rng((seed, 2, number, (day - EPOCH_DAY).days))
        for channel, t_ms, values in _node_samples(node, model, day, runs, rng):
            heard = np.ones(t_ms.size, dtype=bool)
            if silent and channel == "node" and node == silent[0]:
                heard = (t_ms < silent[1] * MS_PER_S) | (t_ms >= silent[2] * MS_PER_S)
            times.append(t_ms[heard])
            watts.append(values[heard])
            names.append(np.tile(np.array([[node, channel]]), (int(heard.sum()), 1)))
    return np.concatenate(times), np.concatenate(watts), np.concatenate(names)


def _node_samples(
    node: str, model: NodeModel, day: date, runs: Sequence[Run], rng: np.random.Generator
) -> list[tuple[str, IntArray, NDArray[np.int64]]]:
    """The channels of one node on a UTC day: the BMC's whole-node power, and each GPU's own."""
    day_s = day_start_ms(day) // MS_PER_S
    loads = [run.load() for run in runs if node in run.lane.nodes]
    power: NodePower = node_power(model, loads, day_s, day_s + DAY_S, rng)
    read = [("node", *read_sensor(power, power.node_w, model.node_interval_s, rng))]
    for index, gpu_w in enumerate(power.gpu_w):
        read.append((f"gpu{index}", *read_sensor(power, gpu_w, GPU_INTERVAL_S, rng)))
    return read


def outage(seed: int, day: date) -> tuple[str, int, int] | None:
    """The node whose BMC is silent on a UTC day, from and until when (s); one such day in a fortnight."""
    number = (day - EPOCH_DAY).days
    rng = np.random.default_rng((seed, 3, number // OUTAGE_EVERY_DAYS))
    if number % OUTAGE_EVERY_DAYS != rng.integers(OUTAGE_EVERY_DAYS):
        return None
    node = str(rng.choice(list(MODEL_OF_NODE)))
    start_s = day_start_ms(day) // MS_PER_S + int(rng.integers(3_600, DAY_S - OUTAGE_S))
    return node, start_s, start_s + OUTAGE_S


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all; a reader never sees half of it."""
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)
