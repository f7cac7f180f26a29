"""While the demo's site runs, its cluster goes on: the minutes since the last time, through the same pipeline."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.conf import settings

from measurements.demo.cluster import CLUSTER_NAME
from measurements.demo.logs import late_csv, power_csv, sacct_news
from measurements.demo.lots import Lot, late_logs, stamp
from measurements.demo.note import OtherLayout, Simulated, read_note, write_bytes, write_note
from measurements.demo.rhythm import DAY_S
from measurements.demo.site import folder, take_files, take_states
from measurements.demo.supply import blow
from measurements.domain.units import MS_PER_S, S_PER_HOUR, datetime_from_ms, day_from_ms, ms_from_datetime
from measurements.models import Cluster

EVERY_S = 60.0
LEAST_S = 20  # not worth a batch
MOST_S = 6 * S_PER_HOUR  # one call's work; what is left comes with the next
MOST_BEHIND_S = 7 * DAY_S  # beyond it a start is under way, or due, which does it all at once


def carry_on(now: datetime) -> bool:
    """Simulate up to now, or a piece of the way there; whether anything was.

    What is done is noted afterwards: killed in between, the next call sends the same again, which changes nothing.
    """
    cluster = Cluster.objects.filter(name=CLUSTER_NAME).first()
    done = _done() if cluster else None
    if cluster is None or done is None:
        return False
    now_s = ms_from_datetime(now) // MS_PER_S
    midnight_s = done.until_s // DAY_S * DAY_S + DAY_S
    until_s = min(now_s, done.until_s + MOST_S, midnight_s)
    too_soon = until_s - done.until_s < LEAST_S and until_s != midnight_s
    if too_soon or now_s - done.until_s > MOST_BEHIND_S:
        return False
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        take_files(cluster, _write_piece(Path(scratch), done, until_s))
    take_states(cluster, done, until_s)
    blow(done, datetime_from_ms(until_s * MS_PER_S))
    write_note(Path(settings.JOULEBOOK_VAR), replace(done, until_s=until_s))
    return True


def _done() -> Simulated | None:
    try:
        return read_note(Path(settings.JOULEBOOK_VAR))
    except OtherLayout:
        return None


def _write_piece(scratch: Path, done: Simulated, until_s: int) -> list[Path]:
    """What was logged in [done, until), all on one UTC day; logs that came late stay beside the others."""
    label, day = stamp(done.until_s), day_from_ms(done.until_s * MS_PER_S)
    paths = []
    jobs = sacct_news(done.seed, done.until_s, until_s)
    if jobs:
        paths.append(write_bytes(scratch / f"jobs-{label}.txt", jobs.encode()))
    power = power_csv(done.seed, day, done.until_s, until_s)
    if power.count(b"\n") > 1:
        paths.append(write_bytes(scratch / f"power-{label}.csv", power))
    lot = Lot(done.seed, done.until_s, until_s, until_s, done.fine_from_s, first=True)
    return paths + [write_bytes(folder() / log.file_name, late_csv(done.seed, log)) for log in late_logs(lot)]
