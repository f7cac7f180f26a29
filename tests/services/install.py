"""``python -m tests.services.install``: list the services the tests lack and install them with apt where it may.

The environment variable SERVICES says how much is wanted: ``auto`` (the default) installs what it can and lets
the tests skip the rest, ``required`` fails where one is missing, ``skip`` leaves the machine alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.binaries import SERVICES, Service, find

POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it before a package starts a service; 101 means no
POLICY_TEXT = "#!/bin/sh\nexit 101\n"
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/joulebook-tests.conf")
UNITS = {
    "redis": ("redis-server.service",),
    "postgres": ("postgresql.service",),
    "prometheus": ("prometheus.service", "prometheus-node-exporter.service"),
    "victoria-metrics": ("victoria-metrics.service", "vmagent.service", "vmalert.service", "vmauth.service"),
    "vmagent": ("vmagent.service",),
    "ipmi": ("openipmi.service", "ipmievd.service"),
    "slurm": tuple(f"{name}.service" for name in ("slurmctld", "slurmd", "slurmdbd", "slurmrestd", "munge", "mariadb")),
}
SECONDS = 900.0  # the longest apt may take
MODES = ("auto", "required", "skip")


class CannotInstallError(RuntimeError):
    """Why apt may not or could not install; one sentence."""


def services_mode() -> str:
    """How much of the services is wanted."""
    mode = os.environ.get("SERVICES", "").strip() or "auto"
    if mode not in MODES:
        raise SystemExit(f"SERVICES={mode!r} is none of {', '.join(MODES)}")
    return mode


def missing_services() -> list[Service]:
    """The services of which a program is missing or does not run."""
    return [service for service in SERVICES if not find(service)]


def install(services: list[Service]) -> None:
    """Install what the services take, each by itself: one that this system does not have keeps no other away."""
    prefix = _as_root()
    _apt(prefix, ["update"])
    with _file(prefix, POLICY, POLICY_TEXT, mode="755"), _file(prefix, NO_CLUSTER, "create_main_cluster = false\n"):
        _check_policy()
        for service in services:
            try:
                _install_one(prefix, service)
            except CannotInstallError as reason:
                say(f"services: {reason}")


def _install_one(prefix: list[str], service: Service) -> None:
    """The packages; their system service is started neither now nor at the next boot."""
    _apt(prefix, ["install", "--yes", "--no-install-recommends", *service.packages])
    if (units := UNITS.get(service.name)) and shutil.which("systemctl"):
        subprocess.run([*prefix, "systemctl", "disable", *units], capture_output=True, check=False)


def _as_root() -> list[str]:
    if not shutil.which("apt-get"):
        raise CannotInstallError("there is no apt-get on this machine")
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    raise CannotInstallError("apt-get needs root or a sudo that asks for no password")


def _apt(prefix: list[str], arguments: list[str]) -> None:
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2", *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise CannotInstallError(f"apt-get {arguments[0]} took longer than {SECONDS:.0f} s") from late
    if answer.returncode:
        last = (answer.stderr.strip() or answer.stdout.strip() or "no message").splitlines()[-1]
        raise CannotInstallError(f"apt-get {arguments[0]} failed: {last}")


@contextmanager
def _file(prefix: list[str], path: Path, text: str, mode: str = "644") -> Iterator[None]:
    """A system file for the time of the installation; one that is there already is left as it is."""
    if path.exists():
        yield
        return
    subprocess.run([*prefix, "mkdir", "-p", path.parent], check=True)
    subprocess.run([*prefix, "tee", path], input=text, text=True, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([*prefix, "chmod", mode, path], check=True)
    try:
        yield
    finally:
        subprocess.run([*prefix, "rm", "-f", path], check=True)


def _check_policy() -> None:
    answer = subprocess.run([POLICY, "redis-server", "start"], capture_output=True, check=False)
    if answer.returncode != 101:
        raise CannotInstallError(f"{POLICY} would let packages start system services")


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Exit code 1 only where services are required and still missing."""
    mode = services_mode()
    if mode == "skip":
        say("services: SERVICES=skip, tests that need one are skipped")
        return 0
    missing = missing_services()
    if missing:
        say(f"services: installing {', '.join(package for service in missing for package in service.packages)}")
        try:
            install(missing)
        except CannotInstallError as reason:
            say(f"services: {reason}")
        missing = missing_services()
    for service in missing:
        say(f"services: {service.name} is missing (apt-get install {' '.join(service.packages)})")
    return int(bool(missing) and mode == "required")


if __name__ == "__main__":
    raise SystemExit(main())
