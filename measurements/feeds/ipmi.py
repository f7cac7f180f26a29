"""Asks one BMC by IPMI: a program a time (ipmitool, or FreeIPMI's ipmi-dcmi), killed when its time is over.

DCMI's power where the BMC has it, else its sensors (``sdr``). The password goes by a file, never by the command line.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from measurements.feeds.bmc import AskError, Login
from measurements.feeds.bmc_round import Leash
from measurements.parsers.clock_texts import iso_of
from measurements.parsers.times import EARLIEST_MS, TimeRefused, parse_instant

DCMI, SDR = "dcmi", "sdr"
LEVELS = ("callback", "user", "operator", "administrator")
LARGEST_SKEW_S = 5.0
PORT = 623
SBIN = "/usr/sbin:/usr/local/sbin"  # where FreeIPMI's programs are; not every account looks there
MOST_BYTES = 1 << 20
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*))(?::(?P<port>\d{1,5}))?")
_OWN_TIME = re.compile(r"^\s*(?:IPMI timestamp|Time Stamp)\s*:\s*(?P<time>.+?)(?:\s+Sampling period:.*)?$", re.M | re.I)
_NO_DCMI = re.compile(r"invalid command|not supported|\(c1\)|dcmi request failed because: command|compcode = c1", re.I)
_NOT_MEASURED = re.compile(r"power reading state is:\s*deactivated|power measurement\s*:\s*not", re.I)
_WRONG = re.compile(r"unauthorized name|hmac is invalid|password invalid|username invalid|invalid user name", re.I)
_LOW_LEVEL = re.compile(r"insufficient privilege|\(d4\)|privilege level insufficient", re.I)
AFTER_REFUSAL_S = 600.0


@dataclass(frozen=True, slots=True)
class Ipmi:
    """Which program asks, and how."""

    program: str = "ipmitool"  # or ipmi-dcmi
    interface: str = "lanplus"
    level: str = "user"
    cipher: str = ""  # "": the strongest that both have
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed of one BMC, and when it asked [ms since 1970, UTC]."""

    how: str
    text: str
    asked_ms: int


def host_of(address: str) -> tuple[str, int] | None:
    """Host and port of ``bmc1``, ``bmc1:6230`` or ``[fd00::1]:623``; None if it is none."""
    match = _HOST.fullmatch(address)
    if match is None or not 0 < int(match["port"] or PORT) < 65_536:
        return None
    return match["v6"] or match["name"], int(match["port"] or PORT)


def ask(address: str, login: Login, ipmi: Ipmi, how: str, spool: Path, leash: Leash) -> Printed:
    """A BMC's power now; ``how``: DCMI, SDR, or empty to try the one and then the other."""
    if how != SDR:
        printed = _ask(address, login, ipmi, DCMI, spool, leash)
        has_none = _NO_DCMI.search(printed.text) or (not how and _NOT_MEASURED.search(printed.text))
        if not has_none:
            return printed
        if how == DCMI or ipmi.program != "ipmitool":
            raise AskError("it has no power by DCMI: leave ask out, and its sensors are tried")
    return _ask(address, login, ipmi, SDR, spool, leash)


def own_time_ms(text: str) -> int | None:
    """What the BMC's clock said when it measured [ms since 1970]; None if it does not say, or has no clock."""
    match = _OWN_TIME.search(text)
    if match is None:
        return None
    try:
        own_ms = parse_instant(iso_of(match["time"]), UTC)
    except TimeRefused:
        return None
    return own_ms if own_ms >= EARLIEST_MS else None


def _ask(address: str, login: Login, ipmi: Ipmi, how: str, spool: Path, leash: Leash) -> Printed:
    place = host_of(address)
    if place is None:
        raise AskError(f"{address!r} is no host: give name, name:port or [address]:port")
    if not login.password_file:
        raise AskError("no password_file is said")
    command = _ipmitool(place, login, ipmi, how) if ipmi.program == "ipmitool" else _freeipmi(place, login, ipmi, spool)
    began = ipmi.clock()
    code, out, errors = _run(command, leash)
    asked_ms = round(500 * (began + ipmi.clock()))
    if code and not (how == DCMI and _NO_DCMI.search(out + errors)):
        raise _fault(ipmi.program, code, errors or out)
    return Printed(how, out + errors if code else out, asked_ms)


def _ipmitool(place: tuple[str, int], login: Login, ipmi: Ipmi, how: str) -> list[str]:
    cipher = ["-C", ipmi.cipher] if ipmi.cipher else []
    what = ["dcmi", "power", "reading"] if how == DCMI else ["sdr", "list", "full"]
    return [
        "ipmitool", "-I", ipmi.interface, "-H", place[0], "-p", str(place[1]), "-U", login.user,
        "-f", login.password_file, "-L", ipmi.level.upper(), *cipher, *what,
    ]  # fmt: skip


def _freeipmi(place: tuple[str, int], login: Login, ipmi: Ipmi, spool: Path) -> list[str]:
    """FreeIPMI reads user and password from a configuration of ours, in a folder that nobody else can enter."""
    config = spool / f"freeipmi-{abs(hash((login.user, login.password_file)))}.conf"
    if not config.exists():
        draft = config.with_suffix(f".{time.monotonic_ns()}")
        draft.touch(mode=0o600)
        draft.write_text(f"username {login.user}\npassword {login.password}\n", encoding="utf-8")
        draft.replace(config)
    driver = "LAN_2_0" if ipmi.interface == "lanplus" else "LAN"
    level = {"administrator": "ADMIN"}.get(ipmi.level, ipmi.level.upper())
    cipher = [f"--cipher-suite-id={ipmi.cipher}"] if ipmi.cipher else []
    return [
        "ipmi-dcmi", f"--config-file={config}", f"--hostname={place[0]}:{place[1]}", f"--driver-type={driver}",
        f"--privilege-level={level}", *cipher, "--get-system-power-statistics",
    ]  # fmt: skip


def _run(command: Sequence[str], leash: Leash) -> tuple[int, str, str]:
    """Exit code, output and errors of a program that ends in time."""
    found = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")
    if found is None:
        raise AskError(f"there is no program {command[0]} on this machine")
    with subprocess.Popen(
        [found, *command[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"}, start_new_session=True,
    ) as process:  # fmt: skip
        leash.hold(lambda: _kill(process))
        try:
            out, errors = process.communicate(timeout=leash.left_s())
        except subprocess.TimeoutExpired:
            raise AskError(f"no answer within {leash.longest_s:g} s") from None
        finally:
            _kill(process)
    if process.returncode < 0:
        leash.left_s()  # it was cut
    return process.returncode, _text(out), _text(errors)


def _text(said: bytes) -> str:
    return said[:MOST_BYTES].decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """A program that is still there, and what it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _fault(program: str, code: int, said: str) -> AskError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if _WRONG.search(said):
        return AskError("user or password is wrong; asked again in 10 minutes", AFTER_REFUSAL_S)
    if any("unable to establish" in line.lower() for line in lines):
        return AskError("no session: it is away, or user, password or privilege level are wrong")
    cure = "; it wants a higher level: level=operator or administrator" if _LOW_LEVEL.search(said) else ""
    return AskError(f"{program} ended with {code}: {lines[-1][:200] if lines else 'it did not say why'}{cure}")
