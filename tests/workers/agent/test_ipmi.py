"""The BMC by way of ipmitool and FreeIPMI: programs that print, hang, or have nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.agent.ipmi import Ipmi, current_watts
from workers.agent.trouble import Trouble

READING = """
    Instantaneous power reading:                  {watts} Watts
    Minimum during sampling period:               118 Watts
    Maximum during sampling period:               294 Watts
    Average power reading over sample period:     167 Watts
    IPMI timestamp:                           Wed Feb 14 17:09:10 2024
    Sampling period:                          00000300 Seconds.
    Power reading state is:                   {state}
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node with a BMC, and a folder for the program that asks it."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "ipmi0").touch()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def program(node: Path, script: str, name: str = "ipmitool") -> None:
    path = node / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def prints(node: Path, watts: int, state: str = "activated") -> None:
    program(node, f"/bin/cat <<'END'\n{READING.format(watts=watts, state=state)}\nEND")


def ipmi(node: Path, trouble: Trouble, timeout_s: float = 60.0) -> Ipmi:
    made = Ipmi(trouble, node / "dev", timeout_s)
    made.look()
    return made


def test_the_present_power_is_read_and_not_the_mean_of_the_bmc(node: Path) -> None:
    prints(node, 257)
    found = ipmi(node, Trouble())
    assert [one.name for one in found.channels] == ["node"]
    assert [(one.column, one.value) for one in found.read()] == [("node_w", 257_000)]


def test_a_measurement_that_is_switched_off_is_no_reading(node: Path) -> None:
    prints(node, 257, "deactivated")
    trouble = Trouble()
    assert ipmi(node, trouble).channels == ()
    assert trouble.counts == {"ipmi_dcmi": 1}


def test_a_bmc_that_falls_silent_gives_nothing_and_comes_back(node: Path) -> None:
    prints(node, 257)
    trouble = Trouble()
    found = ipmi(node, trouble)
    program(node, "echo 'Could not open device at /dev/ipmi0' >&2; exit 1")
    assert found.read() == []
    assert "Could not open device" in dict(trouble.now())["ipmi_dcmi"]
    prints(node, 260)
    assert [one.value for one in found.read()] == [260_000]
    assert dict(trouble.now()) == {}


def test_a_program_that_hangs_is_ended(node: Path) -> None:
    prints(node, 257)
    trouble = Trouble()
    found = ipmi(node, trouble)
    found.timeout_s = 0.3
    program(node, "exec /bin/sleep 600")
    assert found.read() == []
    assert "timed out" in dict(trouble.now())["ipmi_dcmi"]


def test_without_a_bmc_no_program_is_started(node: Path) -> None:
    (node / "dev" / "ipmi0").unlink()
    program(node, f"touch {node}/asked")
    assert ipmi(node, Trouble()).channels == ()
    assert not (node / "asked").exists()


def test_a_bmc_without_a_program_says_what_is_missing(node: Path) -> None:
    found = ipmi(node, Trouble())
    assert found.channels == ()
    assert "ipmitool" in found.hints()[0]


def test_freeipmi_is_asked_where_ipmitool_is_not_there(node: Path) -> None:
    program(
        node, "echo 'Current Power                        : 332 Watts'; echo 'Power Measurement : Active'", "ipmi-dcmi"
    )
    assert [one.value for one in ipmi(node, Trouble()).read()] == [332_000]


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        (READING.format(watts=2578, state="activated"), 2578),
        (READING.format(watts=0, state="activated"), None),
        ("Current Power : 332 Watts\nPower Measurement : Active", 332),
        ("Current Power : 332 Watts\nPower Measurement : Not Available", None),
        ("Current Power : N/A", None),
        ("DCMI request failed because: Invalid command (c1)", None),
    ],
)
def test_both_programs_are_understood(text: str, watts: int | None) -> None:
    assert current_watts(text) == watts


def test_the_shared_excerpts_are_understood(shared_data: Path) -> None:
    folder = shared_data / "ipmi" / "dcmi_text"
    assert current_watts((folder / "ipmitool_dcmi_power_reading.txt").read_text()) == 2578
    assert current_watts((folder / "ipmi-dcmi.txt").read_text()) == 332
