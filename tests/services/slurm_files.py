"""The configuration of the private Slurm."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.services.slurm_handle import CLUSTER, NODES, Slurm, own

CPUS = 4  # of each node
GPUS = {"n1": 4, "n2": 4}  # of the others none
MEMORY_MIB = 2_000

SLURM_CONF = """\
ClusterName={cluster}
SlurmctldHost=localhost({address})
SlurmctldPort={ctld_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket,cred_expire=15
CommunicationParameters={listen}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool/%n
SlurmctldPidFile={home}/run/slurmctld.pid
SlurmdPidFile={home}/run/slurmd.%n.pid
SlurmctldDebug=info
SlurmdDebug=info
SlurmctldLogFile={home}/log/slurmctld
SlurmdLogFile={home}/log/slurmd.%n
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={dbd_port}
AccountingStoragePass={home}/munge/socket
AccountingStorageTRES=gres/gpu,gres/gpu:a100
AccountingStoreFlags=job_comment
TrackWCKey=yes
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000,bf_interval=5
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=1
InactiveLimit=0
MinJobAge=3600
JobRequeue=1
MaxArraySize=100
GresTypes=gpu
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=86400
SuspendTimeout=2
ResumeTimeout=3600
{nodes}
PrologFlags=Alloc
Prolog={home}/prolog.sh
EpilogSlurmctld={home}/epilog.sh
PartitionName=spare Nodes=n4 MaxTime=1-00:00:00 DefaultTime=10 State=UP
PartitionName=work Nodes=n[1-3] Default=YES MaxTime=1-00:00:00 DefaultTime=240 OverSubscribe=NO State=UP
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
DbdHost=localhost
DbdAddr={address}
DbdPort={dbd_port}
CommunicationParameters={listen}
SlurmUser={user}
DebugLevel=info
LogFile={home}/log/slurmdbd
PidFile={home}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct
TrackWCKey=yes
"""


def write(slurm: Slurm) -> None:
    here = address()
    # Elsewhere they listen on all of this machine's addresses, to which munge's key lets nobody else in.
    alone = here == _own_address()
    values = {
        "address": here, "listen": "NoCtldInAddrAny,NoInAddrAny" if alone else "",
        "home": slurm.home, "user": slurm.user, "cluster": CLUSTER,
        "ctld_port": slurm.ports["ctld"], "dbd_port": slurm.ports["dbd"], "sql_port": slurm.ports["sql"],
        "password": slurm.password, "nodes": "\n".join(map(_node_line(slurm), NODES)),
    }  # fmt: skip
    devices = [(node, slurm.home / "dev" / f"{node}-gpu{i}") for node, count in GPUS.items() for i in range(count)]
    for _, device in devices:
        device.symlink_to("/dev/null")  # Slurm wants a device, and hands out only its number
    gres = "".join(f"NodeName={node} Name=gpu Type=a100 File={device}\n" for node, device in devices)
    for name in ("prolog.sh", "epilog.sh"):
        slurm.script(name, "exit 0")
    files = {
        "slurm.conf": SLURM_CONF.format(**values), "slurmdbd.conf": SLURMDBD_CONF.format(**values), "gres.conf": gres,
    }  # fmt: skip
    for name, text in files.items():
        path = slurm.home / name
        path.write_text(text)
        path.chmod(0o600)
        own(path, slurm.account)


def address() -> str:
    """Where Slurm's daemons are reached: what the name of this machine means, if that is a loopback address."""
    return found if (found := _own_address()).startswith("127.") else "127.0.0.1"


def _own_address() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return ""


def _node_line(slurm: Slurm) -> Callable[[str], str]:
    def line(name: str) -> str:
        gres = f" Gres=gpu:a100:{GPUS[name]}" if name in GPUS else ""
        where = f"NodeHostname=localhost NodeAddr={address()} Port={slurm.ports[name]}"
        return f"NodeName={name} {where} CPUs={CPUS} RealMemory={MEMORY_MIB}{gres} State=UNKNOWN"

    return line
