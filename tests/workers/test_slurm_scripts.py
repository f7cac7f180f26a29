"""The scripts for Slurm's nodes, treated as slurmd treats them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.services.slurm_handle import until

PROLOG = Path(__file__).parents[2] / "workers" / "slurm" / "prolog.sh"


@pytest.mark.parametrize("run", range(5))
def test_what_the_prolog_sends_outlives_the_end_of_its_process_group(tmp_path: Path, run: int) -> None:
    """slurmd kills the prolog's process group the moment the prolog has ended."""
    told = tmp_path / "told"
    programs = tmp_path / "bin"
    programs.mkdir()
    curl = programs / "curl"
    keep_data = f'for word; do last=$data; data=$word; done\nprintf %s "$last" > {told}.part\nmv {told}.part {told}\n'
    curl.write_text(f"#!/bin/sh\n{keep_data}")
    curl.chmod(0o755)
    token = tmp_path / "token"
    token.write_text("jb_nobody")
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "JOULEBOOK_SETTINGS": "/nowhere",
        "JOULEBOOK_URL": "http://127.0.0.1:9",
        "JOULEBOOK_TOKEN_FILE": str(token),
        "SLURM_JOB_ID": "12",
        "SLURM_JOB_GPUS": "1,2",
        "SLURMD_NODENAME": "n2",
    }
    shell = shutil.which("sh")
    assert shell
    prolog = subprocess.Popen([shell, str(PROLOG)], env=environment, process_group=0)
    assert prolog.wait(60) == 0
    with suppress(ProcessLookupError):  # nobody is left in it
        os.killpg(prolog.pid, signal.SIGKILL)
    until(told.exists, 60, "the prolog has told")
    assert [(hold["job_id"], hold["index"]) for hold in json.loads(told.read_text())["holds"]] == [("12", 1), ("12", 2)]
