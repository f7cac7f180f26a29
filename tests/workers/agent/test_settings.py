"""Settings of the agent: a file, the environment over it, and sentences for what makes no sense."""

from __future__ import annotations

import re
import socket
from dataclasses import fields
from pathlib import Path

import pytest

from tests.house import ROOT
from workers.agent.settings import Settings, SettingsFault, load

PAGE = ROOT / "docs" / "agent.md"


def from_text(folder: Path, text: str, **environment: str) -> Settings:
    (folder / "agent.ini").write_text(text, encoding="utf-8")
    return load(folder / "agent.ini", environment)


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    text = "[agent]\nserver = https://a.example.org/joulebook # ours\nsources = nvml, rapl\ninterval_s = 2\n"
    text += "gpu_holds = yes\n[hwmon]\npmbus-i2c:power1 = psu0\n"
    found = from_text(tmp_path, text, JOULEBOOK_AGENT_INTERVAL_S="5", JOULEBOOK_AGENT_NODE="cn7", PATH="/bin")
    assert (found.server, found.interval_s, found.node) == ("https://a.example.org/joulebook", 5.0, "cn7")
    assert (found.sources, found.gpu_holds) == (("nvml", "rapl"), True)
    assert found.hwmon == {"pmbus-i2c:power1": "psu0"}


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    found = from_text(tmp_path, "")
    assert found.node == socket.gethostname().partition(".")[0]
    assert (found.interval_s, found.send_every_s, found.buffer_mib, found.gpu_holds) == (1.0, 10.0, 64.0, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[agent]\ninterval_s = 0.01", "interval_s = 0.01: from 0.1 to 3600"),
        ("[agent]\ninterval_s = often", "interval_s = 'often' is not understood"),
        ("[agent]\ngpu_holds = maybe", "gpu_holds = 'maybe'"),
        ("[agent]\nsevrer = x", "there is no setting 'sevrer'; there are server, "),
        ("[agent]\nsources = nvml dcgm", "dcgm unknown; there are nvml, rapl"),
        ("[agent]\nrapl_zones = uncore", "uncore unknown"),
        ("[agent]\nserver = energy.example.org", "an address like https://"),
        ("[agent]\nnode = a,b", "can't name a node"),
        ("server = x", "no section headers"),
    ],
)
def test_nonsense_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsFault, match=re.escape(words)):
        from_text(tmp_path, text)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="No such file"):
        load(tmp_path / "nowhere.ini")


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    defaults = {one.name: getattr(Settings(), one.name) for one in fields(Settings) if one.name != "hwmon"}
    assert list(rows) == list(defaults)
    shown = {name: text.strip().strip("`") for name, text in rows.items()}
    assert shown == {name: _written(value) for name, value in defaults.items()}


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "–"
