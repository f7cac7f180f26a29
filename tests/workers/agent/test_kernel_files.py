"""RAPL, hwmon and Cray's counters from a faithful tree: which zones, which units, and what is never a value."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workers.agent import tree
from workers.agent.cray import Cray
from workers.agent.hwmon import Hwmon
from workers.agent.rapl import Rapl
from workers.agent.sources import Source
from workers.agent.trouble import Trouble

ZONES = ("package", "dram", "psys")


def looked(source: Source) -> dict[str, int]:
    """Values by column, after a look."""
    source.look()
    return {one.column: one.value for one in source.read()}


def test_packages_memory_and_platform_are_read_and_parts_of_a_package_are_not(tmp_path: Path) -> None:
    tree.two_sockets(tmp_path)
    rapl = Rapl(Trouble(), tmp_path, ZONES)
    values = {"cpu0_j": 1_000_001, "cpu1_j": 2_000_002, "dram0_j": 300_003, "dram1_j": 400_004, "psys_j": 5_000_005}
    assert looked(rapl) == values
    wraps = {one.name: one.wrap_uj for one in rapl.channels}
    assert wraps["cpu0"] == tree.RANGE_UJ
    assert wraps["dram0"] == tree.DRAM_RANGE_UJ


def test_a_wrap_is_left_to_the_server_which_knows_the_range(tmp_path: Path) -> None:
    tree.two_sockets(tmp_path)
    rapl = Rapl(Trouble(), tmp_path, ("package",))
    assert looked(rapl)["cpu0_j"] == 1_000_001
    tree.set_zone(tmp_path, "intel-rapl:0", 5)
    assert rapl.read()[0].value == 5


def test_dies_of_a_package_are_channels_of_their_own(tmp_path: Path) -> None:
    zones = {f"intel-rapl:{i}": (f"package-{i // 2}-die-{i % 2}", i) for i in (3, 1, 0, 2)}
    tree.rapl(tmp_path, zones)
    assert looked(Rapl(Trouble(), tmp_path, ZONES)) == {f"cpu{i}_j": i for i in range(4)}


def test_packages_in_another_order_keep_their_socket(tmp_path: Path) -> None:
    tree.rapl(
        tmp_path, {"intel-rapl:0": ("package-1", 11), "intel-rapl:1": ("package-0", 10), "intel-rapl:0:0": ("dram", 21)}
    )
    assert looked(Rapl(Trouble(), tmp_path, ZONES)) == {"cpu0_j": 10, "cpu1_j": 11, "dram1_j": 21}


def test_a_counter_that_only_root_may_read_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tree.two_sockets(tmp_path)
    trouble = Trouble()
    rapl = Rapl(trouble, tmp_path, ("package",))
    with unreadable(tmp_path):
        assert looked(rapl) == {}
        assert looked(rapl) == {}
    assert trouble.counts == {"rapl cpu0": 2, "rapl cpu1": 2}
    assert len(caplog.records) == 2
    assert "run the agent as root" in caplog.text
    assert looked(rapl) == {"cpu0_j": 1_000_001, "cpu1_j": 2_000_002}
    assert "works again" in caplog.text


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """As an ordinary account finds the counters; root, whom the file's mode does not stop, becomes one for a moment."""
    files = list(folder.glob("devices/virtual/powercap/*/energy_uj"))
    above = [folder, *folder.parents]
    modes = {path: path.stat().st_mode for path in [*files, *above]}
    was_root = os.geteuid() == 0
    for path in files:
        path.chmod(0o400 if was_root else 0)
    if was_root:
        for path in above:
            path.chmod(modes[path] | 0o055)
        os.seteuid(65_534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for path, mode in modes.items():
            if path.stat().st_mode != mode:
                path.chmod(mode)


def test_a_zone_that_vanishes_gives_no_value_and_comes_back(tmp_path: Path) -> None:
    tree.two_sockets(tmp_path)
    trouble = Trouble()
    rapl = Rapl(trouble, tmp_path, ("package",))
    looked(rapl)
    home = tmp_path / "devices/virtual/powercap/intel-rapl:0"
    rapl.close()
    home.rename(home.with_name("gone"))
    assert [one.column for one in rapl.read()] == ["cpu1_j"]
    home.with_name("gone").rename(home)
    assert [one.column for one in rapl.read()] == ["cpu0_j", "cpu1_j"]
    assert dict(trouble.now()) == {}


@pytest.mark.parametrize("text", ["", "-", "12 34", "nan"])
def test_what_is_no_number_is_no_reading(tmp_path: Path, text: str) -> None:
    tree.two_sockets(tmp_path)
    trouble = Trouble()
    rapl = Rapl(trouble, tmp_path, ("package",))
    looked(rapl)
    path = tmp_path / "devices/virtual/powercap/intel-rapl:0/energy_uj"
    path.chmod(0o600)
    path.write_text(text)
    assert [one.column for one in rapl.read()] == ["cpu1_j"]
    assert trouble.counts == {"rapl cpu0": 1}


def test_a_node_without_powercap_has_no_channels(tmp_path: Path) -> None:
    assert looked(Rapl(Trouble(), tmp_path, ZONES)) == {}


def test_an_acpi_power_meter_is_the_node_in_watts(tmp_path: Path) -> None:
    tree.hwmon(tmp_path, 0, "coretemp", {"temp1_input": 40_000})
    tree.hwmon(tmp_path, 3, "power_meter", {"power1_average": 345_678_900, "power1_input": 1, "power1_cap": 5})
    meter = Hwmon(Trouble(), tmp_path, {})
    assert looked(meter) == {"node_w": 345_679}
    assert meter.channels[0].source == "acpi"


def test_the_sockets_of_a_grace_node_are_told_by_their_names(tmp_path: Path) -> None:
    names = ["Module Power Socket 0", "Grace Power Socket 0", "CPU Power Socket 0", "SysIO Power Socket 0"]
    for place, name in enumerate(names):
        tree.hwmon(tmp_path, place, "power_meter", {})
        tree.put(tmp_path / f"class/hwmon/hwmon{place}/device/power1_average", 10_000_000 * (place + 1))
        tree.put(tmp_path / f"class/hwmon/hwmon{place}/device/power1_oem_info", name)
    meter = Hwmon(Trouble(), tmp_path, {})
    assert looked(meter) == {"board0_w": 10_000, "cpu0_w": 20_000}
    assert "CPU Power Socket 0" in meter.hints()[0]


def test_two_meters_without_a_name_are_left_to_the_site(tmp_path: Path) -> None:
    for place in (0, 1):
        tree.hwmon(tmp_path, place, "power_meter", {"power1_average": 1_000_000})
    assert looked(Hwmon(Trouble(), tmp_path, {})) == {}


def test_a_site_names_its_own_sensors(tmp_path: Path) -> None:
    tree.hwmon(tmp_path, 0, "pmbus", {"power1_input": 100_000_000, "power1_label": "pin1", "power2_input": 90_000_000})
    tree.hwmon(tmp_path, 1, "amd_energy", {"energy1_input": 5, "energy1_label": "Ecore000", "energy9_input": 7_000_000})
    tree.put(tmp_path / "class/hwmon/hwmon1/energy9_label", "Esocket0")
    meter = Hwmon(Trouble(), tmp_path, {"pmbus:power1": "psu0"})
    assert looked(meter) == {"psu0_w": 100_000, "cpu0_j": 7_000_000}
    assert "pmbus:power2" in meter.hints()[0]


@pytest.mark.parametrize("number", [-1, 4_294_967_295_000, 4_294_967_295])
def test_what_a_chip_shows_when_it_cannot_measure_is_no_reading(tmp_path: Path, number: int) -> None:
    tree.hwmon(tmp_path, 0, "power_meter", {"power1_average": number})
    trouble = Trouble()
    assert looked(Hwmon(trouble, tmp_path, {})) == {}
    assert trouble.counts == {"hwmon node": 1}


def test_counters_of_a_cray_node_carry_their_own_time(tmp_path: Path) -> None:
    at_us = time.time_ns() // 1_000 - 80_000
    files = {"energy": f"9007199254 J {at_us} us", "cpu_energy": f"300 J {at_us} us", "memory_energy": "200 J 1 us"}
    files |= {"accel0_energy": f"40 J {at_us} us", "power": "345 W 1 us", "version": "2", "freshness": "12"}
    tree.pm_counters(tmp_path, files)
    cray = Cray(Trouble(), tmp_path)
    assert looked(cray) == {
        "gpu0_j": 40_000_000,
        "cpu_j": 300_000_000,
        "node_j": 9_007_199_254_000_000,
        "dram_j": 200_000_000,
    }
    times = {one.column: one.t_ms for one in cray.read()}
    assert times["node_j"] == at_us // 1_000
    assert times["dram_j"] > times["node_j"]  # a time that can't be is not taken


def test_a_cray_counter_that_is_cut_off_is_no_reading(tmp_path: Path) -> None:
    tree.pm_counters(tmp_path, {"energy": "9007199254"})
    assert looked(Cray(Trouble(), tmp_path)) == {}
