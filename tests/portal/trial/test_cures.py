"""Every reason that is in the code has a cure, and a name in each language of the site."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from measurements.domain.losses import LOST
from measurements.parsers.intensity_published import NO_YEAR
from measurements.parsers.mapping_files import rules_of
from measurements.parsers.mapping_rules import Action
from measurements.parsers.mappings import SHIPPED
from measurements.parsers.series import CURES_OF_SERIES
from measurements.parsers.times import REASONS, TimeFault
from measurements.services import intensity
from measurements.services.intensity_import import ANOTHER
from measurements.services.judged import CURES as JUDGED
from portal.cures import COMMON, cure_of
from portal.trial import cures
from portal.wording_reasons import NAMES, identifier, reason_name

ROOT = Path(settings.ROOT)
RAISED = re.compile(r"""(?:RowRefused|Refusal|_BadLine|BrokenStream|\.refused|refuse_line)\(\s*"([^"]+)\"""")
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


# --- What pages call them --------------------------------------------------------------------------------

OTHERS = [code for code, _ in settings.LANGUAGES if not code.startswith("en")]
COLUMNS = {"bad exclusive", "bad max_rss_bytes", "bad gpu_indices", "bad exec_host"}  # named by their column


def shown() -> set[str]:
    """All reasons that a page may show: those with a cure, of senders, of carbon intensity, of shipped mappings."""
    of_series = {intensity.NEGATIVE, intensity.ABSURD, intensity.OFF_GRID, ANOTHER, NO_YEAR}
    tables = [(path.name, tomllib.loads(path.read_text(encoding="utf-8"))) for path in SHIPPED.glob("*.toml")]
    rules = [rule for name, table in tables for rule in rules_of(table, name)]
    mapped = {rule.reason for rule in rules if rule.action == Action.REFUSE}
    assert len(mapped) > 3, "nothing is looked at"
    return reasons() | set(COMMON) | {LOST, "unknown node", "above ceiling"} | of_series | mapped


@pytest.mark.parametrize("language", OTHERS)
def test_every_reason_has_a_name_in_each_language(language: str) -> None:
    with translation.override(language):
        assert {reason for reason in shown() if reason_name(reason) == reason} == set()
        assert {reason for reason in shown() if identifier(reason) != reason} == set()


def test_in_english_a_reason_is_shown_as_it_is() -> None:
    assert {reason for reason in shown() if reason_name(reason) != reason or identifier(reason)} == set()


def test_no_name_is_of_a_reason_that_is_gone() -> None:
    assert {str(name) for name in NAMES} == shown() - COLUMNS


@pytest.mark.parametrize("language", OTHERS)
def test_the_names_of_reasons_differ(language: str) -> None:
    with translation.override(language):
        assert len({reason_name(reason) for reason in shown()}) == len(shown())


def test_a_column_is_named_and_what_a_site_says_itself_stays() -> None:
    own = "no power of ours"
    with translation.override("de"):
        assert reason_name("bad cpus") == "cpus nicht lesbar"
        assert (reason_name(own), identifier(own), reason_name("")) == (own, "", "")


@pytest.mark.parametrize("language", ["en", *OTHERS])
def test_a_cure_ends_with_one_full_stop(language: str) -> None:
    with translation.override(language):
        said = [cure_of(reason) for reason in sorted(shown() | {"bad cpus"})]
    assert [cure for cure in said if cure.endswith("..")] == []
