"""Every reason that is in the code has a cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from measurements.parsers.series import CURES_OF_SERIES
from measurements.parsers.times import REASONS, TimeFault
from measurements.services.judged import CURES as JUDGED
from portal.trial import cures

ROOT = Path(settings.ROOT)
RAISED = re.compile(r"""(?:RowRefused|Refusal|_BadLine|BrokenStream)\(\s*"([^"]+)\"""")
OF_PEOPLE = {"members.py", "members_csv.py", "sacctmgr.py"}  # no trial reads a list of members
PARSERS = [path for path in (ROOT / "measurements/parsers").glob("*.py") if path.name not in OF_PEOPLE]
FILES = [*PARSERS, ROOT / "measurements/services/ingest_jobs.py"]


def reasons() -> set[str]:
    found = {reason for path in FILES for reason in RAISED.findall(path.read_text(encoding="utf-8"))}
    times = {text for fault, text in REASONS.items() if fault is not TimeFault.NONE}
    return (
        found
        | times
        | set(JUDGED)
        | set(CURES_OF_SERIES)
        | {"corrupt zstd", "truncated zstd", "broken JSON", "truncated JSON"}
    )


def test_reasons_are_found() -> None:
    assert {"bad hostlist", "time without zone", "zero watts", "wrong number of fields", "truncated gzip"} <= reasons()
    assert len(reasons()) > 30


def test_every_reason_has_a_cure_of_its_own() -> None:
    assert reasons() - set(cures._CURES) == set()


@pytest.mark.parametrize(
    ("reason", "word"), [("bad cpus", "cpus"), ("time without zone", "TIME_ZONE"), ("new", "line")]
)
def test_a_cure_is_a_sentence(reason: str, word: str) -> None:
    assert word in cures.cure_of(reason)
