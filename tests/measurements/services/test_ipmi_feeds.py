"""Power by IPMI from ipmi_sim through ipmitool and FreeIPMI: DCMI, sensors, clocks, passwords, BMCs that are away."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from measurements.models import ChannelPeriod, Cluster, Feed, NodeDay
from measurements.services.attribution import attribute_dirty
from measurements.services.feeds import NotPossible, change
from measurements.services.push_folding import fold_pushes
from tests.measurements.services.bmcs import Clock, allowed, clock, feed_of, held, turn, values
from tests.measurements.services.pushing import cluster_of
from tests.services.binaries import COMPILER, IPMI
from tests.services.fixtures import programs
from tests.services.ipmi import USER, Bmc, compile_module, ipmi_bmc

__all__ = ["clock"]
pytestmark = pytest.mark.django_db
OPTIONS = {"user": USER, "level": "administrator", "cipher": "3"}  # ipmi_sim knows no newer suite, DCMI for nobody else


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gives ipmi_sim its DCMI."""
    programs(IPMI)
    return compile_module(programs(COMPILER)[0], tmp_path_factory.mktemp("ipmi"))


@pytest.fixture
def new_bmc(module: Path) -> Iterator[Callable[[], Bmc]]:
    """``new_bmc()`` starts one; the test's end stops all."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(ipmi_bmc(module))


@pytest.fixture
def bmc(new_bmc: Callable[[], Bmc]) -> Bmc:
    """One that draws 344 W."""
    made = new_bmc()
    made.dcmi(344)
    return made


def feed_for(cluster: Cluster, bmcs: dict[str, Bmc | str], folder: Path, **more: Any) -> Feed:
    """A feed that asks these, all with the password of the first."""
    path = folder / "bmcs.csv"
    lines = (f"{node},{one if isinstance(one, str) else one.address}\n" for node, one in bmcs.items())
    path.write_text("# node,address\n" + "".join(lines))
    secret = next(str(one.password_file) for one in bmcs.values() if isinstance(one, Bmc))
    options = {**OPTIONS, "password_file": secret, "bmc_file": str(path)} | more
    return feed_of(cluster, "ipmi", datetime.now(UTC), **options)


def test_dcmi_power_is_stored_at_the_bmcs_own_second(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = feed_for(cluster, {"n1": bmc}, tmp_path)
    own_s = int(time.time()) - 1
    bmc.dcmi(344, own_s=own_s)
    clock.at(datetime.fromtimestamp(own_s + 1, UTC))  # however long it took to get here
    ended = turn(feed, clock)
    assert (ended.error, ended.report["stored"], ended.report["refused"]) == ("", 1, [])
    assert held(cluster) == {("n1", "node", "gauge"): [(own_s * 1_000, 344_000)]}
    assert ChannelPeriod.objects.get().source == "ipmi_dcmi"
    clock.at(datetime.fromtimestamp(own_s + 2, UTC))
    assert turn(feed, clock).report["duplicates"] == 1  # not measured anew: one sample


def test_energies_are_those_that_were_told(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    """344 W for ten minutes, then 500 W for nine, the minute between them in a straight line."""
    cluster = cluster_of("n1")
    feed = feed_for(cluster, {"n1": bmc}, tmp_path)
    start = (datetime.now(UTC) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    for minute in range(21):
        instant = start + timedelta(minutes=minute)
        bmc.dcmi(344 if minute <= 10 else 500, own_s=int(instant.timestamp()))
        clock.at(instant)
        assert turn(feed, clock).error == ""
    assert len(values(cluster, "n1")) == 21
    fold_pushes(cluster)
    attribute_dirty(lambda: datetime.now(UTC))
    day = NodeDay.objects.get(node__name="n1", day=start.date())
    told = 344 * 630 + (344 + 500) / 2 * 60 + 500 * 570  # a reading stands for half a minute on either side
    assert day.metered_j == pytest.approx(told, rel=1e-9)
    assert day.metered_j == pytest.approx(day.jobs_j + day.unallocated_j + day.unplaced_j, rel=1e-9)


def test_a_bmc_whose_clock_is_off_is_told_and_our_clock_counts(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = feed_for(cluster, {"n1": bmc}, tmp_path)
    own_s = int(time.time()) + 7_200
    bmc.dcmi(344, own_s=own_s)
    ended = turn(feed, clock)
    assert any(
        "clocks of BMCs that are off by more than 5 s" in note and "n1" in note for note in ended.report["notes"]
    )
    [(t_ms, _)] = held(cluster)[("n1", "node", "gauge")]
    assert abs(t_ms - time.time() * 1_000) < 60_000
    assert turn(feed, clock).report["repeated"] == 1
    bmc.dcmi(344, own_s=own_s + 60)
    assert turn(feed, clock).report["stored"] == 1
    assert len(values(cluster, "n1")) == 2


def test_a_bmc_without_a_clock_is_read_at_ours_each_time(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = feed_for(cluster, {"n1": bmc}, tmp_path)
    bmc.dcmi(344, own_s=5)  # 1970: as some BMCs say it
    assert [turn(feed, clock).report["stored"] for _ in range(2)] == [1, 1]


def test_without_dcmi_its_sensors_are_read_and_remembered(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    bmc.no_dcmi()
    bmc.sensor(270)
    time.sleep(0.5)  # the simulator looks ten times a second
    feed = feed_for(cluster, {"n1": bmc}, tmp_path)
    ended = turn(feed, clock)
    assert (ended.error, ended.report["stored"], ended.report["by_sensors"]) == ("", 1, 1)
    assert values(cluster, "n1") == [270_000]
    assert ChannelPeriod.objects.get().source == "ipmi_sensor"
    bmc.dcmi(500)  # it is asked again tomorrow
    assert turn(feed, clock).report["by_sensors"] == 1
    assert values(cluster, "n1") == [270_000, 270_000]


def test_a_power_that_is_not_measured_is_refused_and_never_zero(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    bmc.dcmi(0, active=False)
    feed = feed_for(cluster, {"n1": bmc}, tmp_path, ask="dcmi")
    ended = turn(feed, clock)
    assert [row["reason"] for row in ended.report["refused"]] == ["power measurement not active"]
    assert held(cluster) == {}


def test_freeipmi_says_the_same(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = feed_for(cluster, {"n1": bmc}, tmp_path, program="ipmi-dcmi", interface="lan", cipher="")
    assert turn(feed, clock).error == ""
    assert values(cluster, "n1") == [344_000]


def test_a_bmc_that_dies_and_one_that_is_silent_hold_up_nobody(
    new_bmc: Callable[[], Bmc], module: Path, tmp_path: Path, clock: Clock
) -> None:
    stays = new_bmc()
    stays.dcmi(100)
    cluster = cluster_of("n1", "n2", "n3")
    with ipmi_bmc(module) as goes, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        goes.dcmi(200)
        silent.bind(("127.0.0.1", 0))
        bmcs: dict[str, Bmc | str] = {"n1": stays, "n2": goes, "n3": f"127.0.0.1:{silent.getsockname()[1]}"}
        feed = feed_for(cluster, bmcs, tmp_path, timeout_s=3)
        began = time.monotonic()
        ended = turn(feed, clock)
        assert time.monotonic() - began < 15
        assert (ended.error, ended.report["answered"], ended.report["failed"]) == ("", 2, 1)
        assert "1 of 3 BMCs, n3: no answer within 3 s" in ended.report["notes"]
    ended = turn(feed, clock)
    assert (ended.error, ended.report["answered"]) == ("", 1)
    assert any(note.startswith(("2 of 3 BMCs, n[2-3]", "1 of 3 BMCs, n2")) for note in ended.report["notes"])
    assert (len(values(cluster, "n1")), len(values(cluster, "n2"))) == (2, 1)


def test_a_level_that_is_too_low_is_told_with_the_option_that_raises_it(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    feed = feed_for(cluster_of("n1"), {"n1": bmc}, tmp_path, level="user")
    error = turn(feed, clock).error
    assert error.endswith("it wants a higher level: level=operator or administrator"), error


def test_what_is_said_otherwise_or_run_by_hand_is_asked_at_once_whatever_failed_before(
    bmc: Bmc, tmp_path: Path, clock: Clock
) -> None:
    bmc.dcmi(345)
    feed = feed_for(cluster_of("n1"), {"n1": bmc}, tmp_path, level="user")
    for _ in range(2):
        assert turn(feed, clock).error
    with allowed():
        change(feed, {"level": "administrator"}, clock.now())
    assert turn(feed, clock).error == ""
    with allowed():
        change(feed, {"level": "user"}, clock.now())
    for _ in range(2):
        assert turn(feed, clock).error
    Feed.objects.filter(pk=feed.pk).update(options=feed.options | {"level": "administrator"})
    assert turn(feed, clock).error, "it is left alone for a while"
    with allowed():
        call_command("feed", "run", feed.name, stdout=StringIO(), stderr=StringIO())


def test_a_wrong_password_is_told(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("not this one\n")
    feed = feed_for(cluster_of("n1"), {"n1": bmc}, tmp_path, password_file=str(wrong))
    assert "no session: it is away, or user, password or privilege level are wrong" in turn(feed, clock).error
    wrong.chmod(0o644)
    clock.ahead_s = 600
    assert "is open to others: chmod 600 it" in turn(feed, clock).error


def test_the_password_is_on_no_command_line(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    seen = tmp_path / "seen"
    tool = tmp_path / "ipmitool"
    tool.write_text(f'#!/bin/sh\ntr "\\0" " " </proc/$$/cmdline >>{seen}\nenv >>{seen}\nexec /usr/bin/ipmitool "$@"\n')
    tool.chmod(0o755)
    feed = feed_for(cluster_of("n1"), {"n1": bmc}, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert turn(feed, clock).error == ""
    told = seen.read_text()
    assert "dcmi power reading" in told
    assert bmc.password_file.read_text().strip() not in told


def test_hosts_that_are_not_allowed_are_never_asked(bmc: Bmc, tmp_path: Path, clock: Clock) -> None:
    feed = feed_for(cluster_of("n1"), {"n1": bmc}, tmp_path)
    assert "no BMC to ask: 127.0.0.1 may not be asked" in turn(feed, clock, "10.0.0.0/8").error


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bmc": "https://{node}"}, "is no address of a BMC"),
        ({"bmc": "-f{node}"}, "is no address of a BMC"),
        ({"bmc": "{node}:70000"}, "is no address of a BMC"),
        ({"bmc": "{node}", "ask": "all"}, "ask is one of dcmi, sdr"),
        ({"bmc": "{node}", "program": "/bin/sh"}, "program is one of ipmitool, ipmi-dcmi"),
        ({"bmc": "{node}", "cipher": "x"}, "the number of a cipher suite"),
        ({"bmc": "{node}", "chassis": "1"}, "no option 'chassis'"),
    ],
)
def test_what_is_wrong_with_options_is_said_at_once(options: dict[str, Any], sentence: str) -> None:
    with allowed(), pytest.raises(NotPossible, match=sentence):
        feed_of(Cluster.objects.create(name="atlas"), "ipmi", datetime.now(UTC), **options)
