"""Exported files of a small cluster as a site would have them, with secrets planted in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIELDS = (
    "JobID,JobIDRaw,Cluster,Partition,QOS,Account,User,UID,Submit,Start,End,ElapsedRaw,State,NNodes,NCPUS,AllocTRES,"
    "NodeList,JobName,TotalCPU,Suspended,Timelimit,ExitCode,Comment,ConsumedEnergyRaw"
)  # as docs/trial.md asks for them
SECRETS = ("wilhelmina", "ottokar", "plutonium", "divorce", "hushhush", "zebedee")
USERS = ("wilhelmina", "ottokar")
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 2
NODES = ("cn001", "cn002", "cn003", "cn004")
SILENT = "cn004"  # no power log has it
BUSY_W, IDLE_W = 400, 100


@dataclass(frozen=True)
class Export:
    """The files."""

    jobs: Path
    more_jobs: Path
    power: Path
    scontrol: Path


def export(folder: Path, *, late_h: int = 0) -> Export:
    """Write them; ``late_h`` is by how much the clock of the jobs is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {node: _held(i) for i, node in enumerate(NODES)}
    files = Export(*(folder / name for name in ("sacct-of-wilhelmina.txt", "more.csv", "power.csv", "scontrol.txt")))
    files.jobs.write_text(_sacct(held, timedelta(hours=late_h)), encoding="utf-8")
    files.more_jobs.write_text(
        "job_id,user,account,state,start,end,nodes,name,cpus,comment\n"
        f"zebedee.7,zebedee,plutonium,COMPLETED,{_iso(FIRST)},{_iso(FIRST + timedelta(minutes=20))},"
        "cn001,zebedee,64,x\n"
        "zebedee.8,zebedee,plutonium,COMPLETED,noon,noon,cn001,zebedee,64,x\n",
        encoding="utf-8",
    )
    files.power.write_text(_power(held), encoding="utf-8")
    files.scontrol.write_text(
        "".join(
            f"NodeName={node} Arch=x86_64 CPUTot=64 RealMemory=515000 State=IDLE ThreadsPerCore=2 Gres=(null)\n\n"
            for node in NODES
        ),
        encoding="utf-8",
    )
    return files


def _held(number: int) -> list[tuple[datetime, datetime]]:
    """Jobs of 3 h 20 min with 1 h 10 min between them, each node a little later."""
    starts = [FIRST + timedelta(minutes=30 + 25 * number + 270 * i) for i in range(DAYS * 5)]
    return [(start, start + timedelta(minutes=200)) for start in starts]


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _sacct(held: dict[str, list[tuple[datetime, datetime]]], late: timedelta) -> str:
    rows, job_id = ["|".join(FIELDS.split(","))], 100
    for node, parts in held.items():
        for begin, finish in parts:
            job_id += 1
            user = USERS[job_id % 2]
            start, end = (f"{at + late:%Y-%m-%dT%H:%M:%S}" for at in (begin, finish))
            rows.append(
                f"{job_id}|{job_id}|testor|main|normal|plutonium|{user}|1001|{start}|{start}|{end}|12000|COMPLETED|1|64|"
                f"cpu=64,node=1|{node}|divorce|{user}|01:00:00|00:00:00|1-00:00:00|0:0|hushhush|0"
            )  # the job's name holds a separator: it is 'divorce|wilhelmina'
    rows.append(rows[-1].replace("2026-", "whenever-").replace(f"{job_id}|", "900|"))
    return "\n".join(rows) + "\n"


def _power(held: dict[str, list[tuple[datetime, datetime]]]) -> str:
    rows = ["timestamp,node,watts"]
    for node in NODES:
        if node == SILENT:
            continue
        for minute in range(DAYS * 1440):
            at = FIRST + timedelta(minutes=minute)
            busy = any(begin <= at < end for begin, end in held[node])
            rows.append(f"{_iso(at)},{node},{(BUSY_W if busy else IDLE_W) + minute % 3}")
    rows += [f"{_iso(FIRST)},cn001,0", "wilhelmina was here"]
    return "\n".join(rows) + "\n"
