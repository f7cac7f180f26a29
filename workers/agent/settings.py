"""What the agent is told: /etc/joulebook-agent.ini, and JOULEBOOK_AGENT_… from the environment, which wins."""

from __future__ import annotations

import configparser
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PLACE = Path("/etc/joulebook-agent.ini")
PREFIX = "JOULEBOOK_AGENT_"
SOURCES = ("nvml", "rapl", "cray", "hwmon", "ipmi")  # of a channel that several have, the first one is read
ZONES = ("package", "dram", "psys", "core")


class SettingsFault(Exception):
    """A setting that makes no sense: which, and what would."""


@dataclass(frozen=True)
class Settings:
    """Every setting, by the name it has in the file."""

    server: str = ""
    token_file: Path = Path("/etc/joulebook-agent.token")
    ca_file: str = ""
    node: str = ""
    interval_s: float = 1.0
    send_every_s: float = 10.0
    timeout_s: float = 20.0
    state: Path = Path("/var/lib/joulebook-agent")
    buffer_mib: float = 64.0
    sources: tuple[str, ...] = SOURCES
    rapl_zones: tuple[str, ...] = ("package", "dram", "psys")
    ipmi_every_s: float = 30.0
    gpu_holds: bool = False
    gpu_holds_every_s: float = 30.0
    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")
    devices: Path = Path("/dev")
    hwmon: Mapping[str, str] = field(default_factory=dict)

    def token(self) -> str:
        """The token, read anew each time: a new one counts at once."""
        try:
            return self.token_file.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise SettingsFault(f"no token in {self.token_file}: {error}") from None


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings; of a file that is named it is said if it is not there."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), inline_comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # chips of hwmon are written as they are
    try:
        with (path or PLACE).open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        if path is not None or not isinstance(error, FileNotFoundError):
            raise SettingsFault(f"{path or PLACE}: {error.strerror}") from None
    except (configparser.Error, ValueError) as error:
        raise SettingsFault(f"{path or PLACE}: {error}") from None
    said = dict(parser["agent"]) if parser.has_section("agent") else {}
    said.update({name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX)})
    own = dict(parser["hwmon"]) if parser.has_section("hwmon") else {}
    return _checked(Settings(**_typed(said), hwmon=own))


def _typed(said: Mapping[str, str]) -> dict[str, Any]:
    """Each word as what its setting is."""
    kinds = {one.name: one.type for one in fields(Settings) if one.name != "hwmon"}
    out: dict[str, Any] = {}
    for name, text in said.items():
        if name not in kinds:
            raise SettingsFault(f"there is no setting {name!r}; there are {', '.join(kinds)}")
        try:
            out[name] = _MAKERS[str(kinds[name])](text.strip())
        except ValueError:
            raise SettingsFault(f"{name} = {text!r} is not understood") from None
    return out


def _yes(text: str) -> bool:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}[text.lower()]


def _yes_or_fault(text: str) -> bool:
    try:
        return _yes(text)
    except KeyError:
        raise ValueError(text) from None


_MAKERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "Path": Path,
    "float": float,
    "bool": _yes_or_fault,
    "tuple[str, ...]": lambda text: tuple(text.replace(",", " ").split()),
}


def _checked(found: Settings) -> Settings:
    """The settings with the node's name, if they make sense."""
    limits = {"interval_s": (0.1, 3_600), "send_every_s": (1, 3_600), "timeout_s": (1, 600), "buffer_mib": (1, 65_536)}
    limits.update({"ipmi_every_s": (1, 3_600), "gpu_holds_every_s": (1, 3_600)})
    for name, (least, most) in limits.items():
        if not least <= getattr(found, name) <= most:
            raise SettingsFault(f"{name} = {getattr(found, name)}: from {least} to {most}")
    for name, known in (("sources", SOURCES), ("rapl_zones", ZONES)):
        if unknown := set(getattr(found, name)) - set(known):
            raise SettingsFault(f"{name}: {', '.join(sorted(unknown))} unknown; there are {', '.join(known)}")
    if found.server and (urlsplit(found.server).scheme not in ("http", "https") or not urlsplit(found.server).hostname):
        raise SettingsFault(f"server = {found.server!r}: an address like https://energy.example.org")
    node = found.node or socket.gethostname().partition(".")[0]
    if not node or any(char in node for char in ',"\r\n'):
        raise SettingsFault(f"node = {node!r} can't name a node")
    return Settings(**{**found.__dict__, "node": node})
