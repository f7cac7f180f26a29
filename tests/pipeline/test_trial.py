"""A trial is the whole pipeline, in a folder that is gone afterwards, on a page that names nobody."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from portal.quantities import format_quantity, percent
from tests.house import clean_environment
from tests.pipeline.rich_input import write
from tests.pipeline.site import ROOT, Farm, Site
from tests.pipeline.trial_input import IDLE_W, SECRETS, SILENT, Export, export

SECONDS = 120
OUTSIDE = re.compile(r"""(?:src|href)=["'](?!#|data:)|https?://|url\((?!["']?data:)|@import|<script""", re.IGNORECASE)


@dataclass(frozen=True)
class Trial:
    """What a trial left behind."""

    code: int
    out: str
    err: str
    folder: Path
    temporary: Path

    @property
    def html(self) -> str:
        return (self.folder / "trial.html").read_text(encoding="utf-8")

    @property
    def text(self) -> str:
        """What a reader reads, in one line."""
        body = self.html.partition("</style>")[2]
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).replace("&#x27;", "'")

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def trial(folder: Path, *arguments: str | Path) -> Trial:
    """Run one in a folder; what it would leave in the folder of temporary files is counted."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "portal.trial", *map(str, arguments), "--out", str(folder / "trial.html")],
        cwd=ROOT, env=clean_environment(TMPDIR=str(temporary)), capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    return Trial(done.returncode, done.stdout, done.stderr, folder, temporary)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def done(files: Export, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """The logs without a description of the nodes."""
    folder = tmp_path_factory.mktemp("trial")
    found = trial(folder, "--jobs", files.jobs, files.more_jobs, "--power", files.power, "--time-zone", "UTC", "--json")
    assert found.code == 0, found.err
    return found


@pytest.fixture(scope="module")
def beside(files: Export, done: Trial, sqlite_farm: Farm) -> Site:
    """The same files in a site, with the description that the trial wrote."""
    site = sqlite_farm.new()
    site.do("load_nodes", done.folder / "nodes.csv", "--cluster", "testor")
    site.do("ingest_power", files.power, "--cluster", "testor")
    site.do("ingest_jobs", files.jobs, files.more_jobs, "--cluster", "testor", "--time-zone", "UTC")
    return site


# --- The same ledger --------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_a_site(done: Trial, beside: Site) -> None:
    booked = beside.json("attribute", "--cluster", "testor")
    said = {name: done.json[name] for name in ("metered_j", "jobs_j", "unallocated_j", "covered_s", "gap_s")}
    assert said == {name: booked[name] for name in said}
    for name in ("metered_j", "jobs_j", "unallocated_j"):
        assert format_quantity(booked[name], "energy").split("\xa0")[0] in done.text
        assert booked[name] > 0
    energy = beside.json("energy", "cluster", "testor")
    coverage, density = (percent(energy[name]).split("\xa0")[0] for name in ("coverage", "density"))
    assert f"Jobs {energy['jobs']} Coverage of the jobs' time {coverage}" in done.text
    assert f"Density of their samples {density}" in done.text


def test_the_largest_jobs_are_those_of_a_site(done: Trial, beside: Site) -> None:
    beside.do("attribute", "--cluster", "testor")
    rows = re.findall(r'<tr><th scope="row">(\w+) <span class="who">.*?data-label="Energy">([^<]+)<', done.html)
    assert len(rows) == 10
    for job_id, shown in rows:
        assert format_quantity(beside.json("energy", "job", "testor", job_id)["energy_j"], "energy") == shown


# --- Nobody's name ----------------------------------------------------------------------------------------------------


def test_no_name_of_the_input_is_on_the_page(done: Trial, files: Export) -> None:
    given = "".join(path.read_text() for path in (files.jobs, files.more_jobs, files.power)) + str(files.jobs)
    assert all(secret in given for secret in SECRETS)
    left = [path for path in done.folder.rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"trial.html", "nodes.csv"}
    for path in left:
        found = [secret for secret in SECRETS if secret in path.read_text(encoding="utf-8").lower()]
        assert found == [], path
    assert re.search(r"user \d+, project \d+, name \d+", done.text)


def test_names_stay_where_they_are_wanted(files: Export, tmp_path: Path) -> None:
    found = trial(tmp_path, "--jobs", files.jobs, "--power", files.power, "--time-zone", "UTC", "--names")
    assert found.code == 0, found.err
    assert "wilhelmina, plutonium, divorce|wilhelmina" in found.text
    assert "2026-03-02T00:00:00.000Z,cn001,0 W" in found.text  # a refused line is quoted
    assert "This page names users" in found.text


def test_nodes_are_scrambled_if_asked_for(files: Export, tmp_path: Path) -> None:
    """In another language."""
    found = trial(
        tmp_path, "--jobs", files.jobs, "--power", files.power, "--time-zone", "UTC", "--scramble-nodes",
        "--language", "de",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert "cn0" not in found.html
    assert '<html lang="de">' in found.html


# --- One file, nothing else -------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(done: Trial) -> None:
    assert OUTSIDE.findall(done.html.replace('href="#content"', "")) == []
    assert "--series-1" in done.html
    assert done.html.count("<h1") == 1


def test_nothing_is_left_behind(done: Trial) -> None:
    assert list(done.temporary.iterdir()) == []
    assert [path.name for path in done.folder.iterdir() if path.is_file()].count("trial.html") == 1


def test_a_trial_that_is_ended_leaves_nothing(files: Export, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    endless = tmp_path / "endless.csv"  # nobody writes into it: the trial is in the middle however late it is ended
    os.mkfifo(endless)
    command = [sys.executable, "-m", "portal.trial", "--jobs", str(files.jobs), "--power", str(endless)]
    environment = clean_environment(TMPDIR=str(temporary))
    with subprocess.Popen([*command, "--out", str(tmp_path / "t.html")], cwd=ROOT, env=environment) as process:
        limit = time.monotonic() + SECONDS
        while not list(temporary.glob("*/*")) and time.monotonic() < limit:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(SECONDS) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


def test_what_is_kept_is_a_site(files: Export, tmp_path: Path) -> None:
    found = trial(
        tmp_path, "--jobs", files.jobs, "--power", files.power, "--time-zone", "UTC", "--keep", tmp_path / "kept"
    )
    assert found.code == 0, found.err
    asked = subprocess.run(
        [sys.executable, "manage.py", "energy", "cluster", "testor", "--json"],
        cwd=ROOT, env=clean_environment(JOULEBOOK_VAR=str(tmp_path / "kept")), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert json.loads(asked.stdout)["jobs"] == 40
    database = (tmp_path / "kept" / "joulebook.sqlite3").read_bytes()
    assert [secret for secret in SECRETS if secret.encode() in database] == []
    again = trial(tmp_path, "--jobs", files.jobs, "--keep", tmp_path / "kept")
    assert (again.code, "something is there already" in again.err) == (2, True)


# --- What it says -----------------------------------------------------------------------------------------------------


def test_what_was_refused_has_its_line_and_its_cure(done: Trial) -> None:
    assert done.json["refused"] == {"unreadable time": 2, "zero watts": 1, "wrong number of fields": 1}
    for words in ("zero watts power 1 8642", "a powered node never draws 0 W", "unreadable time jobs 1/2 1 42"):
        assert words in done.text
    assert "No line was refused" not in done.text


def test_jobs_without_power_are_told(done: Trial) -> None:
    assert f"10 jobs, 33.3 node-hours. They ran on nodes of which no power log was given. {SILENT}" in done.text


def test_unknown_nodes_are_described_in_a_file_to_edit(done: Trial) -> None:
    rows = (done.folder / "nodes.csv").read_text().splitlines()
    assert rows[0] == "node,node_type,cpus,gpus,idle_w,rated_w,ceiling_w,gpu_idle_w,level,guessed"
    assert rows[1] == f"cn[001-004],unknown,64,,{IDLE_W + 1}.0,,,,,node_type cpus idle_w"
    assert "NODES=" in done.err
    assert "nodes.csv, beside this page" in done.text


def test_described_nodes_need_no_such_file(files: Export, tmp_path: Path) -> None:
    """And what is known to be off is no gap; the reason, which can name somebody, is not kept."""
    off = ["cn004,2026-03-02T00:00:00Z,2026-03-03T00:00:00Z,POWERED_DOWN,zebedee said so", "cn009,,,,"]
    states = write(tmp_path / "states.csv", "node,start,end,state,reason", off)
    found = trial(
        tmp_path, "--jobs", files.jobs, "--power", files.power, "--nodes", files.scontrol, "--states", states,
        "--time-zone", "UTC", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert not (tmp_path / "nodes.csv").exists()
    assert "4 described, 4 used by jobs, 3 in power logs, 3 in both." in found.text
    assert "64c-" in found.text
    assert found.json["off_s"] == 86_400
    assert "zebedee" not in found.html


def test_without_guesses_unknown_nodes_are_refused(files: Export, tmp_path: Path) -> None:
    nodes = write(tmp_path / "n.csv", "node,node_type", ["cn001,a"])
    found = trial(
        tmp_path, "--jobs", files.jobs, "--power", files.power, "--nodes", nodes, "--no-guess",
        "--time-zone", "UTC", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert found.json["refused"]["unknown node"] == 2 * 2880
    assert "30 jobs, 100 node-hours. They ran on nodes that nothing describes" in found.text


def test_a_wrong_time_zone_is_noticed(tmp_path: Path) -> None:
    wrong = export(tmp_path / "export", late_h=1)
    found = trial(tmp_path, "--jobs", wrong.jobs, "--power", wrong.power, "--time-zone", "UTC")
    assert found.code == 0, found.err
    assert "if they had run 1 hour earlier" in found.text


def test_a_right_time_zone_is_not_suspected(done: Trial) -> None:
    assert "much better if" not in done.text
    assert "do not meet" not in done.text


def test_jobs_alone_are_the_first_rung(files: Export, tmp_path: Path) -> None:
    found = trial(tmp_path, "--jobs", files.jobs, "--time-zone", "UTC")
    assert found.code == 0, found.err
    assert "Nothing was metered" in found.text
    assert re.search(r"reached job records .* next \+ node power", found.text)


def test_jobs_and_power_that_do_not_meet(files: Export, tmp_path: Path) -> None:
    far = write(tmp_path / "far.csv", "timestamp,node,watts", [f"2026-05-01T00:{m:02d}:00Z,cn001,9" for m in range(60)])
    elsewhere = write(
        tmp_path / "e.csv", "timestamp,node,watts", [f"2026-03-02T00:{m:02d}:00Z,x1,9" for m in range(60)]
    )
    for path, words in ((far, "Jobs and power do not meet"), (elsewhere, "Not one node occurs both")):
        found = trial(tmp_path, "--jobs", files.jobs, "--power", path, "--time-zone", "UTC")
        assert found.code == 0, found.err
        assert words in found.text


# --- What can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing to read"),
        (["--jobs", "nowhere.txt"], 1, "nowhere.txt: No such file or directory; is the path right"),
        (["--jobs", "{jobs}", "--power", "none-*.csv"], 1, "no file is called like that; is the pattern right?"),
        (["--jobs", "{empty}"], 1, "empty; nothing to read"),
        (["--jobs", "{power}"], 1, "no job records that are known"),
        (["--jobs", "{jobs}"], 1, "say the zone of the file's clock"),
        (["--jobs", "{jobs}", "--time-zone", "Mars"], 2, "'Mars' is no time zone"),
        (["--jobs", "{jobs}", "--jobs-format", "xls"], 2, "no format 'xls'"),
        (["--jobs", "{jobs}", "--time-zone", "UTC", "--cluster", "a b"], 2, "can't name a cluster"),
    ],
)
def test_what_cannot_be_used_ends_with_a_sentence(
    files: Export, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    given = [word.format(jobs=files.jobs, power=files.power, empty=empty) for word in arguments]
    found = trial(tmp_path, *given)
    assert (found.code, words in found.err) == (code, True), found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "trial.html").exists()


def test_a_file_of_somebody_s_is_not_replaced_and_a_page_is(files: Export, tmp_path: Path) -> None:
    (tmp_path / "trial.html").write_text("my notes")
    refused = trial(tmp_path, "--jobs", files.jobs, "--time-zone", "UTC")
    assert (refused.code, (tmp_path / "trial.html").read_text()) == (2, "my notes")
    (tmp_path / "trial.html").unlink()
    (tmp_path / "nodes.csv").write_text("mine")
    for word in ("written", "replaced"):
        found = trial(tmp_path, "--jobs", files.jobs, "--time-zone", "UTC")
        assert found.code == 0, found.err
        assert f"trial.html: {word}" in found.err
    assert (tmp_path / "nodes.csv").read_text() == "mine"
    assert (tmp_path / "nodes-2.csv").exists()
    assert not (tmp_path / "nodes-3.csv").exists()


def test_a_pattern_is_the_files_it_names(files: Export, tmp_path: Path) -> None:
    half = files.power.read_text().splitlines()
    write(tmp_path / "p-1.csv", half[0], half[1:3000])
    write(tmp_path / "p-2.csv", half[0], half[3000:])
    found = trial(tmp_path, "--jobs", files.jobs, "--power", tmp_path / "p-*.csv", "--time-zone", "UTC")
    assert found.code == 0, found.err
    assert "power 2/2" in found.text


def test_the_site_s_own_data_is_not_touched(files: Export, tmp_path: Path) -> None:
    var = tmp_path / "var"
    environment = clean_environment(JOULEBOOK_VAR=str(var), DATABASE_URL=f"sqlite:///{var / 'own.sqlite3'}")
    subprocess.run(
        [sys.executable, "-m", "portal.trial", "--jobs", str(files.jobs), "--time-zone", "UTC", "--out", "own.html"],
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    )  # fmt: skip
    assert not var.exists()
    assert (tmp_path / "own.html").exists()  # a path is the caller's
    assert (tmp_path / "nodes.csv").exists()


# --- Real logs --------------------------------------------------------------------------------------------------------


def test_emmy(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "job_archive" / "emmy_1403244"
    found = trial(tmp_path, "--jobs", folder, "--power", folder, "--json")
    assert found.code == 0, found.err
    assert (found.json["cluster"], found.json["guessed_nodes"]) == ("emmy", 32)
    assert found.json["refused"] == {"zero watts": 1}
    assert found.json["jobs_j"] / 3.6e6 == pytest.approx(175.190058, abs=1e-6)
    assert "It closes: of 175 kWh metered, 175 kWh went to jobs" in found.text.replace("\xa0", " ")
    assert "power 1 43161" in found.text


def test_phillips(shared_data: Path, tmp_path: Path) -> None:
    log = shared_data / "slurm_accounting" / "xdmod_phillips" / "phillips.log"
    hours = [f"2016-12-{22 + h // 24:02d}T{h % 24:02d}:00:00Z,cpn-f11-31,100" for h in range(240)]
    power = write(tmp_path / "power.csv", "timestamp,node,watts", hours)
    found = trial(
        tmp_path, "--jobs", log, "--jobs-format", "sacct-xdmod", "--power", power, "--interval", "3600",
        "--time-zone", "UTC", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert found.json["cluster"] == "phillips"
    assert "Jobs 4046" in found.text
    text = log.read_text()
    users = {line.split("|")[8] for line in text.splitlines()} | {line.split("|")[5] for line in text.splitlines()}
    body = found.html.partition("</style>")[2]
    assert [name for name in users if re.search(rf"\b{re.escape(name)}\b", body)] == []
