"""The web process alone: without Redis it does all the work, in a thread, and says how it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.house import ROOT, clean_environment
from tests.pipeline.ledger_dump import differences
from tests.pipeline.rich_input import write_history, write_nodes
from tests.pipeline.site import Farm, Site
from tests.services.process import as_account, free_port, running
from tests.workers.compose import command

PATIENCE_S = 180


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page; 0 if nobody answers."""
    try:
        with urlopen(f"http://localhost:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as answer:
        return answer.code, answer.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def web(site: Site, port: int, log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The site as docker-compose.yml starts it, on a port of its own."""
    url = f"sqlite:///{site.database}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"DATABASE_URL": url, "JOULEBOOK_VAR": str(site.var), "JOULEBOOK_SWEEP_S": "1", "PATH": path}
    own |= {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}", **variables}
    environment = clean_environment(**own)
    ready = lambda: get(port, "/livez")[0] == 200  # noqa: E731 - what `running` asks for
    with running(as_account(command("web"), None), log, ready, cwd=ROOT, env=environment) as process:
        yield process


def test_the_web_process_takes_what_is_dropped_and_books_it(sqlite_farm: Farm, tmp_path: Path) -> None:
    site, undisturbed, port = sqlite_farm.new(), sqlite_farm.new(), free_port()
    (tmp_path / "made").mkdir()
    nodes, commands = write_nodes(tmp_path / "made"), write_history(tmp_path / "made")
    for line in [*nodes, *commands]:
        undisturbed.do(*line)
    undisturbed.do("attribute")
    for line in nodes:
        site.do(*line)
    with web(site, port, tmp_path / "log") as process:
        plain = [line for line in commands if len(line) == 4]  # without options: the name of a file and the cluster
        for line in plain:
            folder = site.var / "inbox" / "c" / str(line[0]).removeprefix("ingest_")
            folder.mkdir(parents=True, exist_ok=True)
            draft = Path(shutil.copy(line[1], folder / f".{Path(line[1]).name}"))
            draft.rename(folder / Path(line[1]).name)  # whole at once, however long copying takes
            time.sleep(0.01)  # the order in which they came
        for line in commands:
            if line not in plain:
                site.do(*line, "--queue")
        until_booked(site, len(commands), tmp_path / "log")
        until_cleared_away(site.var / "inbox" / "c" / "done", len(plain))
        until_ready(port)
        assert get(port, "/login/")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert differences(site.dump(), undisturbed.dump()) == []


def until_cleared_away(done: Path, files: int) -> None:
    """Until all files of the inbox lie among those that are done: the sweep after their booking moves them."""
    limit = time.monotonic() + PATIENCE_S
    while (found := len(list(done.glob("*")))) != files:
        assert time.monotonic() < limit, f"{found} of {files} files lie in {done}"
        time.sleep(0.1)


def until_ready(port: int) -> None:
    """Until it says so: on a machine that stood still its last sweep is long ago, until the next one."""
    limit = time.monotonic() + PATIENCE_S
    while (said := get(port, "/readyz")) != (200, json.dumps({"ready": True, "reasons": []})):
        assert time.monotonic() < limit, said
        time.sleep(0.2)


def until_booked(site: Site, files: int, log: Path) -> None:
    """Until all files are done and nothing is dirty."""
    left = "print(models.Intake.objects.filter(state='done').count(), models.DirtyNodeDay.objects.count(), "
    left += "models.DirtyJob.objects.count(), models.DirtyDay.objects.count())"
    limit = time.monotonic() + PATIENCE_S
    while site.evaluate(left).split() != [str(files), "0", "0", "0"]:
        assert time.monotonic() < limit, f"{site.evaluate(left)}\n{log.read_text()}"
        time.sleep(0.2)


def test_a_site_without_workers_lives_but_is_not_ready(sqlite_farm: Farm, tmp_path: Path) -> None:
    site, port = sqlite_farm.new(), free_port()
    with web(site, port, tmp_path / "log", JOULEBOOK_WORKER_THREAD="0", REDIS_URL="redis://127.0.0.1:1/0"):
        assert get(port, "/livez") == (200, "alive\n")
        status, text = get(port, "/readyz")
    assert status == 503
    reasons = ["sweep: not seen yet", "beat: not seen yet", "Redis does not answer"]
    assert json.loads(text) == {"ready": False, "reasons": reasons}
    assert site.rows("Heartbeat") == []


def test_a_database_without_its_tables_is_named(tmp_path: Path, sqlite_farm: Farm) -> None:
    empty, port = Site(sqlite_farm, str(tmp_path / "empty.sqlite3"), tmp_path / "var"), free_port()
    with web(empty, port, tmp_path / "log", JOULEBOOK_SITE_URL="https://energy.example.org"):
        assert get(port, "/readyz") == (
            503, json.dumps({"ready": False, "reasons": ["the database waits for manage.py migrate"]}),
        )  # fmt: skip
