"""A private PostgreSQL on loopback, with a database for whoever asks for one."""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg

from tests.services.process import as_account, folder, free_port, running, unprivileged
from tests.services.tables import postgres_script

# Nothing here has to outlive the tests. What a test kills are Joulebook's own processes, never the server.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on", "max_connections": "60"}


@dataclass
class PostgresServer:
    """Where it listens; ``new_database`` gives the address of an empty database, ``new_site`` of one with tables."""

    port: int
    password: str
    programs: Path
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        """The address as DATABASE_URL takes it."""
        return f"postgresql://joulebook:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a new, empty database."""
        return self._create("template1")

    def new_site(self) -> str:
        """The address of a new database in which a site's tables are, empty."""
        return self._create(self._migrated)

    @cached_property
    def _migrated(self) -> str:
        """The name of a database that nobody writes to."""
        url = self.new_database()
        script = postgres_script(self.programs / "pg_dump", url)
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,):
                connection.execute(script)
        return url.rpartition("/")[2]

    def _create(self, template: str) -> str:
        name = f"test_{next(self.numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # the names are made here
        return self.url(name)

    def answers(self) -> bool:
        """Whether it takes connections already."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server(initdb: Path, postgres: Path) -> Iterator[PostgresServer]:
    """A server with its own data folder; run as an ordinary account, for it refuses root."""
    account = unprivileged()
    with folder("postgres", account) as home:
        server = PostgresServer(free_port(), secrets.token_hex(16), initdb.parent)
        password_file = home / "password"
        password_file.write_text(server.password)
        data = home / "data"
        command: list[str | Path] = [
            initdb,
            "-D",
            data,
            "-U",
            "joulebook",
            "-A",
            "scram-sha-256",
            "--pwfile",
            password_file,
        ]
        command += ["-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(as_account(command, account), check=True, capture_output=True, cwd=home)
        options = {**OPTIONS, "listen_addresses": "127.0.0.1", "port": str(server.port), "unix_socket_directories": ""}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        start = as_account([postgres, "-D", data, *settings], account)
        with running(start, home / "log", server.answers, stop=signal.SIGINT):
            yield server
