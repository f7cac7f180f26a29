"""A private Slurm on loopback: munge, MariaDB, slurmdbd, slurmctld, four virtual nodes whose GPUs are plain files.

Everything runs as one ordinary account, so that all jobs are this account's; projects (Slurm's accounts) and further
people exist in accounting only.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.process import as_account, folder, free_port, running, unprivileged
from tests.services.slurm_files import write
from tests.services.slurm_handle import CLUSTER, NODES, SECONDS, Slurm, make, own, until

SYSTEM_TABLES = Path("/usr/share/mysql/mysql_system_tables.sql")


@contextmanager
def slurm_cluster(slurmctld: Path, munged: Path, mariadbd: Path, slurmrestd: Path) -> Iterator[Slurm]:
    """A cluster with empty accounting but for its projects and people."""
    account = unprivileged()
    with ExitStack() as stack:
        home = stack.enter_context(folder("slurm", account))
        names = ("ctld", "dbd", "sql", *NODES)
        slurm = Slurm(home, account, slurmctld.parent, {name: free_port() for name in names})
        for name in ("munge", "mysql", "run", "log", "state", "spool", "dev"):
            make(home / name, account)
        write(slurm)
        stack.enter_context(_munge(slurm, munged))
        stack.enter_context(_mariadb(slurm, mariadbd))
        stack.callback(slurm.stop_dbd)
        slurm.start_dbd()
        _people(slurm)
        stack.enter_context(_daemons(slurm))
        stack.callback(slurm.end_jobs)  # they have sessions of their own, and would outlive the daemons
        stack.enter_context(_rest(slurm, slurmrestd))
        yield slurm


# --- the daemons ------------------------------------------------------------------------------------------------------


@contextmanager
def _munge(slurm: Slurm, munged: Path) -> Iterator[None]:
    home = slurm.home / "munge"
    key = home / "key"
    key.write_bytes(secrets.token_bytes(1_024))
    key.chmod(0o600)
    own(key, slurm.account)
    files = {name: home / name for name in ("socket", "pid", "log", "seed")}
    options = [f"--{name}-file={path}" if name != "socket" else f"--socket={path}" for name, path in files.items()]
    command = as_account([munged, "--foreground", "--force", f"--key-file={key}", *options], slurm.account)
    with running(command, slurm.home / "log" / "munged", files["socket"].exists):
        yield


@contextmanager
def _mariadb(slurm: Slurm, mariadbd: Path) -> Iterator[None]:
    """A database with the system's tables and one account; nothing of it has to outlive the tests."""
    home = slurm.home / "mysql"
    base: list[str | Path] = [
        mariadbd,
        "--no-defaults",
        f"--datadir={home / 'data'}",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    base += ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--skip-name-resolve", "--skip-log-bin"]
    make(home / "data", slurm.account)
    tables = "CREATE DATABASE mysql;\nUSE mysql;\n" + SYSTEM_TABLES.read_text()
    subprocess.run(
        as_account([*base, "--bootstrap"], slurm.account), input=tables, text=True, check=True,
        capture_output=True, cwd=home, timeout=SECONDS,
    )  # fmt: skip
    first = home / "first.sql"
    first.write_text(
        f"CREATE USER slurm@'127.0.0.1' IDENTIFIED BY '{slurm.password}';\n"
        "GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1';\n"
    )
    own(first, slurm.account)
    listen = [f"--socket={home / 's'}", f"--pid-file={home / 'pid'}", f"--port={slurm.ports['sql']}"]
    command = as_account([*base, *listen, "--bind-address=127.0.0.1", f"--init-file={first}"], slurm.account)
    with running(command, slurm.home / "log" / "mariadb", lambda: listens(slurm.ports["sql"]), seconds=SECONDS):
        yield


@contextmanager
def _daemons(slurm: Slurm) -> Iterator[None]:
    """The controller and a daemon for each virtual node; ready when all nodes are idle."""
    with ExitStack() as stack:
        programs = {"slurmctld": ("-D", "-i")} | {f"slurmd.{name}": ("-D", "-N", name) for name in NODES}
        for name, options in programs.items():
            command = as_account([slurm.sbin / name.partition(".")[0], *options], slurm.account)
            log = slurm.home / "log" / f"{name}.out"
            stack.enter_context(running(command, log, lambda: True, env=slurm.environment))
        until(lambda: _idle(slurm) == len(NODES), SECONDS, "all nodes idle")
        yield


@contextmanager
def _rest(slurm: Slurm, slurmrestd: Path) -> Iterator[None]:
    """The REST interface on a unix socket, for its own account and root."""
    command = as_account([slurmrestd, "-a", "rest_auth/local", f"unix:{slurm.rest}"], slurm.account)
    environment = slurm.environment | {"SLURMRESTD_SECURITY": "disable_user_check"}
    with running(command, slurm.home / "log" / "slurmrestd", slurm.rest.exists, env=environment):
        yield


def _idle(slurm: Slurm) -> int:
    return slurm.call("sinfo", "--noheader", "-N", "--format=%N %t", check=False).count(" idle\n")


def listens(port: int) -> bool:
    """Whether somebody listens on a port of the loopback interface."""
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _people(slurm: Slurm) -> None:
    """A tree of two projects, whose people exist in accounting only."""

    def run(*words: str) -> None:
        slurm.call("sacctmgr", "--immediate", "--quiet", *words)

    run("add", "cluster", CLUSTER)
    run("add", "account", "physics", "Description=Physics", "Organization=science")
    run("add", "account", "lasers", "parent=physics", "Description=Lasers", "Organization=science")
    run("add", "user", f"{slurm.user},alice,bob", "account=physics,lasers", "DefaultAccount=physics", "WCKeys=beam")
    run("add", "coordinator", "account=lasers", "names=alice")
