"""BMCs of both kinds asked by the site's own commands: a turn that is killed stores nothing, and the next one all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.bench.push_run import read_store
from tests.measurements.services.test_redfish_feeds import hanging
from tests.services.binaries import COMPILER, IPMI
from tests.services.demo_site import ROOT
from tests.services.fixtures import programs
from tests.services.ipmi import USER, compile_module, ipmi_bmc
from tests.services.process import as_account
from tests.services.prometheus import wait_until
from tests.services.push_site import CLUSTER, PushSite, push_site
from tests.services.redfish import static_bmc

HOSTS = "127.0.0.0/8"


def told(site: PushSite, *words: str) -> dict[str, object]:
    """What a command about one feed says of it."""
    found: dict[str, object] = json.loads(site.manage("feed", *words, "--json"))["feeds"][0]
    return found


def watts(site: PushSite) -> dict[str, list[int]]:
    """W by node, in order of time."""
    by_node: dict[str, list[int]] = {}
    for (node, channel, _), value in sorted(read_store(site.var, CLUSTER).items(), key=lambda item: item[0][2]):
        if channel == "node":
            by_node.setdefault(node, []).append(value // 1_000)
    return by_node


def start_turn(site: PushSite, name: str) -> subprocess.Popen[bytes]:
    command = as_account([sys.executable, "manage.py", "feed", "run", name], None)
    return subprocess.Popen(
        command, cwd=ROOT, env=site.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_turn_that_is_killed_stores_nothing_and_the_next_one_all(tmp_path: Path) -> None:
    with ExitStack() as stack:
        site = stack.enter_context(push_site(JOULEBOOK_FEED_HOSTS=HOSTS))
        site.prepare(["n1", "n2"])
        bmc = stack.enter_context(static_bmc())
        bmc.chassis("1", Power=True)
        bmc.watts(344)
        with hanging() as silent:
            (tmp_path / "bmcs").write_text(f"n1,{bmc.address}\nn2,{silent}\n")
            options = ("--option", f"bmc_file={tmp_path / 'bmcs'}", "--option", "timeout_s=30")
            told(site, "add", "racks", "--kind", "redfish", "--cluster", CLUSTER, *options)
            turn = start_turn(site, "racks")
            wait_until(lambda: bmc.log.read_text(errors="replace").count("GET /redfish/v1/Chassis/1/Power ") == 2)
            os.killpg(turn.pid, signal.SIGKILL)
            turn.wait()
            assert watts(site) == {}
        (tmp_path / "bmcs").write_text(f"n1,{bmc.address}\n")
        assert told(site, "run", "racks")["failures"] == 0
        assert watts(site) == {"n1": [344]}


def test_ipmi_by_the_sites_own_commands_is_stored(tmp_path: Path) -> None:
    programs(IPMI)
    with (
        push_site(JOULEBOOK_FEED_HOSTS=HOSTS) as site,
        ipmi_bmc(compile_module(programs(COMPILER)[0], tmp_path)) as bmc,
    ):
        site.prepare(["n1"])
        bmc.dcmi(344)
        (tmp_path / "bmcs").write_text(f"n1,{bmc.address}\n")
        login = {"user": USER, "password_file": str(bmc.password_file), "level": "administrator", "cipher": "3"}
        said = {"bmc_file": str(tmp_path / "bmcs"), **login}
        options = [word for name, value in said.items() for word in ("--option", f"{name}={value}")]
        told(site, "add", "racks", "--kind", "ipmi", "--cluster", CLUSTER, *options)
        report = told(site, "run", "racks")["report"]
        assert isinstance(report, dict)
        assert (report["answered"], report["stored"]) == (1, 1)
        assert watts(site) == {"n1": [344]}
