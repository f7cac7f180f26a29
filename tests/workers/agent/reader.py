"""``python reader.py``: a source of the agent, step by step, for the tests: a command a line in, a JSON line out.

It is a process of its own, for the library that pynvml loads is chosen when a process starts.
"""

from __future__ import annotations

import json
import sys

from workers.agent.nvml import Nvml
from workers.agent.trouble import Trouble


def main() -> None:
    """look, read, later (the time to wait is over), processes."""
    trouble = Trouble()
    nvml = Nvml(trouble)
    for line in sys.stdin:
        word = line.strip()
        out: object = None
        if word == "look":
            nvml.look()
            out = [[one.name, one.counter, one.uuid, list(one.mig), one.origin] for one in nvml.channels]
        elif word == "read":
            out = [[one.column, one.value] for one in nvml.read()]
        elif word == "later":
            nvml._again = 0.0
        elif word == "wait":
            out = nvml._wait_s
        elif word == "processes":
            out = nvml.processes()
        elif word == "trouble":
            out = [dict(trouble.now()), trouble.counts]
        sys.stdout.write(json.dumps(out) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
