"""Set up the simulated cluster: write the files a site would have and send them through the real pipeline."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from measurements.demo.cluster import CLUSTER_NAME, MODEL_OF_NODE
from measurements.demo.logs import nodes_csv, power_csv, sacct_text, write_text
from measurements.demo.schedule import DAY_S
from measurements.domain.units import MS_PER_S, day_from_ms, ms_from_datetime
from measurements.models import Cluster

DAYS = 14
SEED = 2212
PASSWORD = "demo"  # noqa: S105 - of people who exist only in the simulation
LOGINS = ("alice", "bob")  # simulated users; olga, the operator, runs no jobs
OPERATOR = "olga"
SETTLED_S = 3_600  # a later start does not bother with less than this


@dataclass(frozen=True, slots=True)
class Simulated:
    """What has been through the pipeline: everything before `until_s`."""

    seed: int
    until_s: int


class Command(BaseCommand):
    """Simulate a small cluster up to now and book its energy; a later start adds only what is new."""

    help = "Simulate a small cluster that ends now, and ingest and attribute it as a site's own logs would be."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=DAYS, help=f"whole UTC days before today (default {DAYS})")
        parser.add_argument("--seed", type=int, default=SEED, help="same seed and instant, same cluster")
        parser.add_argument("--now", default="", help="ISO 8601 instant with offset at which the simulation ends")

    def handle(self, *_args: Any, **options: Any) -> None:
        now_s, folder = _instant_s(options["now"]), Path(settings.JOULEBOOK_VAR) / "demo"
        if options["days"] < 0 or options["seed"] < 0:
            raise CommandError("--days and --seed are 0 or more")
        _refuse_a_real_site()
        done = _simulated(folder, options["seed"])
        since_s = done.until_s if done else now_s // DAY_S * DAY_S - options["days"] * DAY_S
        if done and now_s - since_s < SETTLED_S:
            self._say("Simulated cluster: nothing new.")
        else:
            self._simulate(folder, options["seed"], since_s, now_s)
        self._create_logins()

    def _simulate(self, folder: Path, seed: int, since_s: int, now_s: int) -> None:
        """Write files for [since, now), run the pipeline over them, and note that it is done."""
        folder.mkdir(parents=True, exist_ok=True)
        days = (now_s - since_s) / DAY_S
        self._say(f"Simulated cluster: {len(MODEL_OF_NODE)} nodes, {days:.1f} days. No figure of it is a measurement.")
        nodes = write_text(folder / "nodes.csv", nodes_csv())
        jobs = write_text(folder / f"jobs-{_stamp(now_s)}.txt", sacct_text(seed, since_s, now_s))
        power = self._write_power(folder, seed, since_s, now_s)
        self._pipeline(nodes, power, jobs)
        write_text(folder / "simulated.json", json.dumps(asdict(Simulated(seed, now_s))))
        self._say(f"Simulated cluster: booked up to {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC.")

    def _write_power(self, folder: Path, seed: int, since_s: int, now_s: int) -> list[Path]:
        """One power log per UTC day."""
        paths = []
        for from_s in range(since_s // DAY_S * DAY_S, now_s, DAY_S):
            start_s, end_s = max(from_s, since_s), min(from_s + DAY_S, now_s)
            text = power_csv(seed, day_from_ms(from_s * MS_PER_S), start_s, end_s)
            paths.append(write_text(folder / f"power-{_stamp(start_s)}.csv", text))
        self._say(f"Simulated cluster: wrote {len(paths)} power logs to {folder}.")
        return paths

    def _pipeline(self, nodes: Path, power: list[Path], jobs: Path) -> None:
        """The same commands that a site runs."""
        steps: dict[str, list[Path]] = {
            "load_nodes": [nodes],
            "ingest_power": power,
            "ingest_jobs": [jobs],
            "attribute": [],
        }
        for number, (command, paths) in enumerate(steps.items(), start=1):
            self._say(f"Simulated cluster: step {number} of {len(steps)}, {command} ...")
            call_command(command, *map(str, paths), "--cluster", CLUSTER_NAME, stdout=self.stdout, stderr=self.stderr)

    def _create_logins(self) -> None:
        """People to look around as, only where the site says that it is a demo."""
        if not settings.JOULEBOOK_DEMO:
            self._say("No logins made: set JOULEBOOK_DEMO=1 for alice, bob and olga with the password 'demo'.")
            return
        for name in (*LOGINS, OPERATOR):
            if not User.objects.filter(username=name).exists():
                boss = name == OPERATOR
                User.objects.create_user(name, password=PASSWORD, is_staff=boss, is_superuser=boss)
        self._say(f"Log in as {', '.join(LOGINS)} or {OPERATOR} (operator), password '{PASSWORD}'.")

    def _say(self, line: str) -> None:
        self.stderr.write(line, self.style.SUCCESS)
        self.stderr.flush()


def _instant_s(text: str) -> int:
    """The instant the simulation ends at, in whole seconds since the epoch."""
    if not text:
        return int(datetime.now(UTC).timestamp())
    try:
        return ms_from_datetime(datetime.fromisoformat(text)) // MS_PER_S
    except ValueError as fault:
        raise CommandError(f"--now {text}: {fault}; give an instant such as 2025-03-14T12:00:00+00:00") from fault


def _refuse_a_real_site() -> None:
    """Simulated joules and well-known passwords do not belong beside a real cluster's."""
    other = Cluster.objects.exclude(name=CLUSTER_NAME).values_list("name", flat=True).first()
    if other is not None:
        raise CommandError(f"this site has the cluster '{other}': the demo is for a site of its own (JOULEBOOK_VAR)")


def _simulated(folder: Path, seed: int) -> Simulated | None:
    """What an earlier start finished in this folder and database, if anything."""
    note = folder / "simulated.json"
    if not note.exists() or not Cluster.objects.filter(name=CLUSTER_NAME).exists():
        return None
    done = Simulated(**json.loads(note.read_text(encoding="utf-8")))
    if done.seed != seed:
        raise CommandError(f"the simulated cluster here has --seed {done.seed}: another one needs a site of its own")
    return done


def _stamp(instant_s: int) -> str:
    """An instant for a file's name: the day, and the time where it is not midnight."""
    instant = datetime.fromtimestamp(0, UTC) + timedelta(seconds=instant_s)
    return f"{instant:%Y-%m-%d}" if instant_s % DAY_S == 0 else f"{instant:%Y-%m-%dT%H%M%S}"
