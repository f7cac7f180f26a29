"""A process that has imported all a worker and beat import, and forks one for each that is asked for.

Started as ``python -m tests.workers.warm`` in the environment of those it forks. On standard input comes a JSON line
for each, {"argv": […], "log": PATH}; the answer is its process id. What is spared is only the interpreter's start:
ninety processes are killed and replaced in one test, and each would spend longer on its imports than on its work.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.house import ROOT
from tests.services.process import as_account

PR_SET_PDEATHSIG = 1
MODULES = (
    "celery.__main__",
    "celery.bin.worker",
    "celery.bin.beat",
    "celery.apps.worker",
    "celery.apps.beat",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "workers.schedule",
    "workers.signals",
    "workers.tasks",
    "django.db.backends.postgresql.base",
)


@dataclass(slots=True)
class Warm:
    """Whom to ask for a process."""

    process: subprocess.Popen[str]

    def start(self, argv: Sequence[str], log: Path) -> int:
        """The id of a new process, leader of a group of its own; whoever kills it need not wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"argv": list(argv), "log": str(log)}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def warm(environment: Mapping[str, str]) -> Iterator[Warm]:
    """One for processes of this environment; they end with it."""
    command = as_account([sys.executable, "-m", "tests.workers.warm"], None)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Warm(process)


def become(argv: list[str], log: str, parent: int) -> None:
    """In a new process: what the command line of a fresh interpreter would be."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, handle), (2, handle)):
        os.dup2(source, number)
    sys.argv = argv
    import_module("celery.__main__").main()


def main() -> None:
    """Serve until standard input ends."""
    import_module("workers.celery")  # the settings first, as in the real program
    import django

    django.setup()
    for name in MODULES:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        request = json.loads(line)
        parent, pid = os.getpid(), os.fork()
        if not pid:
            code = 70
            try:
                become(request["argv"], request["log"], parent)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            finally:
                os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
