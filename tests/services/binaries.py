"""Which of the services' programs this machine has; one counts only if it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SECONDS = 120.0  # the longest a program may take to say its version


@dataclass(frozen=True)
class Service:
    """One service: the programs it takes, in the order in which they are named, and where Debian has them."""

    name: str
    programs: tuple[tuple[str, ...], ...]  # per program its names, the first one found is taken
    packages: tuple[str, ...]
    folders: tuple[str, ...] = ()  # globs below / that are looked through besides PATH
    flag: str = "--version"  # what makes a program say its version and nothing else
    beside: tuple[str, ...] = ()  # programs that must be there, and say nothing without a configuration
    files: tuple[str, ...] = ()  # that must be there, too


REDIS = Service("redis", (("redis-server",),), ("redis-server",))
POSTGRES = Service("postgres", (("initdb",), ("postgres",)), ("postgresql",), ("usr/lib/postgresql/*/bin",))
CHROMIUM = Service(
    "chromium",
    (("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"), ("chromedriver",)),
    ("chromium", "chromium-driver"),
)
COMPILER = Service("compiler", (("cc", "gcc", "clang"),), ("gcc", "libc6-dev"))  # makes the fake GPU driver
SLURM = Service(
    "slurm",
    (("slurmctld",), ("munged",), ("mariadbd",), ("slurmrestd",), ("slurmd",)),
    (
        *("slurmctld", "slurmd", "slurmdbd", "slurm-client", "slurmrestd", "slurm-wlm-mysql-plugin"),
        *("munge", "mariadb-server"),
    ),
    ("usr/sbin",),
    flag="-V",
    beside=("slurmdbd", "sacct", "sacctmgr", "scontrol", "sbatch", "squeue", "sinfo"),
)
PROMETHEUS = Service(
    "prometheus",
    (("prometheus",), ("prometheus-node-exporter", "node_exporter")),
    ("prometheus", "prometheus-node-exporter"),
)
VICTORIA_METRICS = Service(
    "victoria-metrics",
    (("victoria-metrics", "victoria-metrics-prod"),),
    ("victoria-metrics",),
)
VMAGENT = Service("vmagent", (("vmagent", "vmagent-prod"),), ("victoria-metrics",))
IPMI = Service(
    "ipmi",
    (("ipmitool",),),
    ("openipmi", "ipmitool", "freeipmi-tools", "libopenipmi-dev"),
    ("usr/bin", "usr/sbin"),
    flag="-V",
    beside=("ipmi_sim", "ipmi-dcmi"),
    files=("/usr/include/OpenIPMI/mcserv.h",),  # of the module that gives the simulated BMC its DCMI
)
SERVICES = (REDIS, POSTGRES, CHROMIUM, SLURM, COMPILER, PROMETHEUS, VICTORIA_METRICS, VMAGENT, IPMI)


def find(service: Service) -> tuple[Path, ...] | None:
    """The service's programs, all from working installations, or None if one is missing."""
    if not all(any(map(shutil.which, _candidates(name, service.folders))) for name in service.beside):
        return None
    if not all(Path(file).exists() for file in service.files):
        return None
    found = tuple(_first_working(names, service.folders, service.flag) for names in service.programs)
    return tuple(path for path in found if path) if all(found) else None


def _first_working(names: Iterable[str], folders: Iterable[str], flag: str) -> Path | None:
    candidates = (path for name in names for path in _candidates(name, folders))
    return next((path for path in candidates if _runs(path, flag)), None)


def _candidates(name: str, folders: Iterable[str]) -> Iterable[Path]:
    """The newest installation below the folders first, then PATH."""
    for pattern in folders:
        yield from (folder / name for folder in sorted(Path("/").glob(pattern), key=_version, reverse=True))
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield Path(folder) / name


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())


def _runs(path: Path, flag: str) -> bool:
    if not shutil.which(path):
        return False
    try:
        answer = subprocess.run([path, flag], capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
