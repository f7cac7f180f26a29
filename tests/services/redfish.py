"""Private BMCs by Redfish: sushy-static serves a mockup of ours, sushy-emulator plays a machine behind a password."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.install import services_mode
from tests.services.process import as_account, folder, free_port, running
from tests.services.prometheus import listens

Json = dict[str, Any]
ROOT = "/redfish/v1"
_SECONDS = 120.0


def sushy(name: str) -> Path:
    """A program of sushy-tools, from the environment that runs the tests."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        reason = f"{name} is missing: pip install sushy-tools"
        if services_mode() == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@dataclass(frozen=True)
class Mockup:
    """The resources of one BMC, which may change while it is asked."""

    home: Path
    address: str
    log: Path

    def put(self, path: str, document: Json) -> None:
        """A resource at a path below /redfish/v1, in one step."""
        place = self.home / path.strip("/")
        place.mkdir(parents=True, exist_ok=True)
        draft = place / "draft"
        draft.write_text(json.dumps({"@odata.id": f"{ROOT}/{path.strip('/')}", **document}))
        draft.replace(place / "index.json")

    def remove(self, path: str) -> None:
        """A resource that is gone."""
        (self.home / path.strip("/") / "index.json").unlink()

    def chassis(self, name: str, kind: str = "RackMount", systems: int = 1, **more: Any) -> None:
        """A chassis; ``Power`` and the like lead to resources of these names, ``Contains`` to other chassis."""
        links: Json = {"ComputerSystems": [at(f"Systems/{name}-{i}") for i in range(systems)]}
        links |= {key: more.pop(key) for key in ("Contains", "ContainedBy") if key in more}
        leads = {key: at(f"Chassis/{name}/{key}") for key, value in more.items() if value is True}
        self.put(f"Chassis/{name}", {"Id": name, "Name": name, "ChassisType": kind, "Links": links, **leads})
        listed = sorted(path.parent.name for path in (self.home / "Chassis").glob("*/index.json"))
        self.put("Chassis", {"Members": [at(f"Chassis/{one}") for one in listed]})

    def watts(self, value: float | None, chassis: str = "1", **more: Any) -> None:
        """What the resource Power of a chassis says."""
        control = [{"Name": "System Power Control", "PowerConsumedWatts": value, **more}]
        self.put(f"Chassis/{chassis}/Power", {"@odata.type": "#Power.v1_7_0.Power", "PowerControl": control})

    def asked(self) -> int:
        """How many requests it has had."""
        return self.log.read_text(errors="replace").count('"GET ')


def at(path: str) -> Json:
    """A link."""
    return {"@odata.id": f"{ROOT}/{path}"}


@contextmanager
def static_bmc(certificate: tuple[Path, Path] | None = None) -> Iterator[Mockup]:
    """A BMC that serves a mockup: a root and no chassis yet; over TLS with a certificate and its key."""
    with folder("redfish") as home:
        port = free_port()
        scheme = "https" if certificate else "http"
        mockup = Mockup(home / "mockup", f"{scheme}://127.0.0.1:{port}", home / "log")
        mockup.put("", {"Id": "RootService", "Chassis": at("Chassis")})
        mockup.put("Chassis", {"Members": []})
        command: list[str | Path] = [sushy("sushy-static"), "-i", "127.0.0.1", "-p", str(port), "-m", mockup.home]
        if certificate:
            command += ["-c", certificate[0], "-k", certificate[1]]
        with running(as_account(command, None), mockup.log, lambda: listens(port)):
            yield mockup


@contextmanager
def emulator(user: str, password: str) -> Iterator[str]:
    """A whole machine as sushy-emulator plays it, for who knows the password: its address. It has no power."""
    program = sushy("sushy-emulator")
    import bcrypt  # comes with it

    with folder("sushy") as home:
        port = free_port()
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        (home / "users").write_text(f"{user}:{hashed}\n")
        (home / "emulator.conf").write_text(f"SUSHY_EMULATOR_AUTH_FILE = {str(home / 'users')!r}\n")
        command: list[str | Path] = [
            *(program, "--fake", "--config", home / "emulator.conf"),
            *("--interface", "127.0.0.1", "--port", str(port)),
        ]
        with running(as_account(command, None), home / "log", lambda: listens(port)):
            yield f"http://127.0.0.1:{port}"


def certificate_of_own(home: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody signed, and its key."""
    paths = home / "certificate.pem", home / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True, timeout=_SECONDS,
    )  # fmt: skip
    return paths
