"""GPUs through the real pynvml and a driver that is played: nothing stops the agent, and no value is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.workers.agent.conftest import Ask
from tests.workers.agent.driver import LOST, NO_PERMISSION, NOT_SUPPORTED, Board, Driver, install


def troubles(nvml: Ask) -> tuple[dict[str, str], dict[str, int]]:
    said: Any = nvml("trouble")
    return said[0], said[1]


def test_counters_are_read_to_the_millijoule_and_gpus_are_known_by_uuid(nvml: Ask) -> None:
    found: Any = nvml("look")
    assert [one[:4] for one in found] == [["gpu0", True, "GPU-a", []], ["gpu1", True, "GPU-b", []]]
    assert nvml("read") == [["gpu0_j", 1_000_123_000], ["gpu1_j", 2_000_456_000]]
    assert troubles(nvml) == ({}, {})


def test_a_board_without_a_counter_gives_its_power(nvml: Ask, driver: Driver) -> None:
    driver.boards[1].energy_error = NOT_SUPPORTED
    driver.write()
    found: Any = nvml("look")
    assert [one[1] for one in found] == [True, False]
    assert "no energy counter" in found[1][4]
    assert nvml("read") == [["gpu0_j", 1_000_123_000], ["gpu1_w", 300_000]]


def test_a_counter_that_fails_later_does_not_become_a_power(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.boards[1].energy_error = NOT_SUPPORTED
    driver.write()
    assert nvml("read") == [["gpu0_j", 1_000_123_000]]
    assert "gpu1" in str(troubles(nvml))


def test_a_split_gpu_is_one_channel_and_its_instances_are_named(nvml: Ask, driver: Driver) -> None:
    driver.boards[1].mig = ("MIG-1", "MIG-2")
    driver.write()
    found: Any = nvml("look")
    assert found[1][3] == ["MIG-1", "MIG-2"]
    assert "one figure for all 2 instances" in found[1][4]
    assert nvml("read") == [["gpu0_j", 1_000_123_000], ["gpu1_j", 2_000_456_000]]


def test_a_lost_gpu_gives_no_value_while_the_others_go_on(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.boards[0].energy_error = driver.boards[0].handle_error = LOST
    driver.write()
    for _ in range(3):
        assert nvml("read") == [["gpu1_j", 2_000_456_000]]
    now, counts = troubles(nvml)
    assert "fallen off the bus" in now["nvml gpu0"]
    assert counts == {"nvml gpu0": 3}


def test_a_gpu_that_comes_back_is_read_again_under_its_own_index(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.boards[0].energy_error = driver.boards[0].handle_error = LOST
    driver.write()
    nvml("read")
    nvml("later")
    assert nvml("read") == [["gpu1_j", 2_000_456_000]]  # opened anew, and still lost
    driver.boards[0].energy_error = driver.boards[0].handle_error = 0
    driver.write()
    nvml("later")
    assert nvml("read") == [["gpu0_j", 1_000_123_000], ["gpu1_j", 2_000_456_000]]
    assert troubles(nvml)[0] == {}


def test_what_only_root_may_read_is_said_with_the_cure_and_tried_again(nvml: Ask, driver: Driver) -> None:
    driver.boards[0].energy_error = NO_PERMISSION
    driver.write()
    found: Any = nvml("look")
    assert [one[0] for one in found] == ["gpu1"]
    assert "no permission" in troubles(nvml)[0]["nvml gpu0"]
    driver.boards[0].energy_error = 0
    driver.write()
    nvml("look")
    assert [column for column, _ in _read(nvml)] == ["gpu0_j", "gpu1_j"]


def test_a_reloaded_driver_is_opened_anew_and_its_counters_begin_again(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.reload()
    driver.boards[0].energy_mj = 17
    driver.write()
    assert nvml("read") == []
    nvml("later")
    assert nvml("read") == [["gpu0_j", 17_000], ["gpu1_j", 0]]
    assert troubles(nvml)[0] == {}


def test_a_driver_that_is_away_is_asked_ever_more_rarely(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.version = 0
    driver.write()
    waits = []
    for _ in range(10):
        assert nvml("read") == []
        waits.append(nvml("wait"))
        nvml("later")
    assert waits[0] == 5.0
    assert waits[-1] == 300.0
    driver.version = 1
    driver.write()
    nvml("later")
    assert [column for column, _ in _read(nvml)] == ["gpu0_j", "gpu1_j"]


def test_an_updated_driver_wants_its_own_library_and_gets_it(
    nvml: Ask, driver: Driver, libraries: dict[int, Path]
) -> None:
    nvml("look")
    driver.version = 2
    driver.reload()
    assert nvml("read") == []
    assert "updated under the library" in str(troubles(nvml)[0])
    nvml("later")
    assert nvml("read") == []  # the package is not there yet
    install(libraries[2], driver.folder)
    nvml("later")
    assert [column for column, _ in _read(nvml)] == ["gpu0_j", "gpu1_j"]


def test_an_exchanged_gpu_is_told_by_its_uuid(nvml: Ask, driver: Driver) -> None:
    nvml("look")
    driver.boards[0] = Board("GPU-new", 5)
    driver.reload()
    nvml("read")
    nvml("later")
    nvml("read")
    found: Any = nvml("look")
    assert [one[2] for one in found] == ["GPU-new", "GPU-b"]


def test_a_node_without_a_driver_has_no_gpus_and_no_trouble(nvml: Ask, driver: Driver) -> None:
    driver.version = 0
    driver.write()
    assert nvml("look") == []
    assert nvml("read") == []
    assert troubles(nvml) == ({}, {})


def test_processes_are_told_with_their_gpu_be_it_whole_or_split(nvml: Ask, driver: Driver) -> None:
    driver.boards[1].mig = ("MIG-1", "MIG-2")
    driver.processes = [("GPU-a", 100), ("GPU-a", 101), ("MIG-2", 102)]
    driver.write()
    nvml("look")
    assert nvml("processes") == [["GPU-a", 100], ["GPU-a", 101], ["GPU-b", 102]]


def _read(nvml: Ask) -> list[tuple[str, int]]:
    return nvml("read")  # type: ignore[return-value]
