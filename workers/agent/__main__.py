"""``python -m workers.agent``, and the single file: read this node's energy and send it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from workers.agent import VERSION, check
from workers.agent.run import Agent
from workers.agent.settings import PLACE, Settings, SettingsFault, load
from workers.agent.spool import InUse

logger = logging.getLogger("joulebook-agent")


def main() -> int:
    """0 after an orderly end; 1 where nothing was found; 2 where the settings make no sense."""
    asked = _arguments()
    logging.basicConfig(stream=sys.stderr, format=_format(), level=logging.DEBUG if asked.verbose else logging.INFO)
    try:
        settings = load(asked.config)
        if asked.check:
            return check.check(settings)
        return check.once(settings) if asked.once else _run(settings)
    except SettingsFault as fault:
        logger.error("%s", fault)
    except (InUse, OSError) as error:
        logger.error("%s", error)
    return 2


def _run(settings: Settings) -> int:
    if not settings.server:
        raise SettingsFault(f"server is not set: name it in {PLACE}")
    agent = Agent(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop.set())
    agent.run()
    return 0


def _format() -> str:
    """In the journal the time stands before each line anyway."""
    return "%(levelname)s %(message)s" if "JOURNAL_STREAM" in os.environ else "%(asctime)s %(levelname)s %(message)s"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="joulebook-agent", description="Read this node's energy and send it.")
    parser.add_argument("--config", type=Path, help=f"the settings (default {PLACE}, if it is there)")
    parser.add_argument("--check", action="store_true", help="say what is on this node and whether the server answers")
    parser.add_argument("--once", action="store_true", help="print one reading of each channel as a power CSV")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--version", action="version", version=VERSION)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
