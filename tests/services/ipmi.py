"""A private BMC by IPMI over LAN: ipmi_sim with two powers, DCMI's (by a module of ours) and a sensor's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import as_account, folder, free_port, running

MODULE = Path(__file__).with_name("ipmi_dcmi.c")
USER, PASSWORD = "meter", "s3cret-enough"
W_PER_STEP = 3  # of the sensor, which counts in bytes
SENSOR = "Sys Power"
_SECONDS = 120.0
_LAN = """\
name "bmc"
loadlib "{module}" "{told}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  user 2 true "{user}" "{password}" admin 10 md5
"""
_COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sensor_add 0x20 0 1 0x0b 0x01 poll 100 file "{sensor}"
main_sdr_add 0x20 {sdr}
sensor_set_event_support 0x20 0 1 enable scanning none \\
    000000000000000 000000000000000 000000000000000 000000000000000
mc_enable 0x20
"""


@dataclass(frozen=True)
class Bmc:
    """One BMC, and what it is told to say."""

    home: Path
    port: int

    @property
    def address(self) -> str:
        """As a feed names it."""
        return f"127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        """What asks it reads this."""
        return self.home / "password"

    def dcmi(self, watts: int, *, active: bool = True, own_s: int = 0) -> None:
        """What it says by DCMI, and at which second of its own clock (0: of ours)."""
        _write(self.home / "dcmi", f"{watts} {int(active)} {own_s}\n")

    def no_dcmi(self) -> None:
        """As a BMC that has none."""
        _write(self.home / "dcmi", "-\n")

    def sensor(self, watts: int) -> None:
        """What its sensor says; a multiple of what a step is worth."""
        _write(self.home / "sensor", f"{watts // W_PER_STEP}\n")


def compile_module(compiler: Path, home: Path) -> Path:
    """The module that gives ipmi_sim its DCMI."""
    path = home / "ipmi_dcmi.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, MODULE], check=True, timeout=_SECONDS)
    return path


@contextmanager
def ipmi_bmc(module: Path) -> Iterator[Bmc]:
    """A BMC on loopback, as an ordinary program; it ends with the block."""
    program = shutil.which("ipmi_sim") or "ipmi_sim"
    with folder("ipmi") as home:
        bmc = Bmc(home, free_port())
        bmc.dcmi(0, active=False)
        bmc.sensor(0)
        bmc.password_file.touch(mode=0o600)
        bmc.password_file.write_text(f"{PASSWORD}\n")
        (home / "state").mkdir()
        about = {"module": module, "told": home / "dcmi", "port": bmc.port, "user": USER, "password": PASSWORD}
        (home / "lan.conf").write_text(_LAN.format(**about))
        (home / "commands").write_text(_COMMANDS.format(sensor=home / "sensor", sdr=_sdr()))
        files: list[str | Path] = ["-c", home / "lan.conf", "-f", home / "commands", "-s", home / "state"]
        with running(as_account([program, *files, "-n"], None), home / "log", lambda: _answers(bmc)):
            yield bmc


def _answers(bmc: Bmc) -> bool:
    return subprocess.run(
        ["ipmitool", "-I", "lanplus", "-H", "127.0.0.1", "-p", str(bmc.port), "-U", USER, "-f", bmc.password_file,
         "-N", "1", "-R", "1", "mc", "guid"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
    ).returncode == 0  # fmt: skip


def _sdr() -> str:
    """The sensor's full record (IPMI 2.0, 43.1): unsigned watts, so many a step."""
    name = SENSOR.encode()
    body = [
        *(0x20, 0x00, 1),  # owner, LUN, number
        *(7, 1, 0x7F, 0x68, 0x0B, 0x01),  # system board; initialised; other units, thresholds
        *(0, 0, 0, 0, 0, 0),  # masks: nothing asserts, no threshold can be read
        *(0x00, 6, 0),  # unsigned; watts
        *(0, W_PER_STEP, 0, 0, 0, 0, 0),  # linear, M, B, accuracy, exponents
        *(0, 0, 0, 0, 255, 0),  # nominal, normal and sensor bounds
        *(0, 0, 0, 0, 0, 0, 0, 0),  # thresholds and hysteresis
        *(0, 0, 0, 0xC0 | len(name)),
        *name,
    ]
    return " ".join(f"0x{byte:02x}" for byte in (0, 0, 0x51, 0x01, len(body), *body))


def _write(path: Path, text: str) -> None:
    """In one step: a BMC never reads half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)
