"""Power by Redfish from real BMCs' stand-ins: what they say, when they said it, and what of it is nobody's own."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from measurements.domain.units import ms_from_datetime
from measurements.models import ChannelPeriod, Cluster, Feed, NodeDay
from measurements.services.attribution import attribute_dirty
from measurements.services.feeds import NotPossible
from measurements.services.push_folding import fold_pushes
from tests.measurements.services.bmcs import Clock, allowed, clock, feed_of, held, turn, values
from tests.measurements.services.pushing import cluster_of
from tests.services.redfish import Mockup, at, certificate_of_own, emulator, static_bmc

__all__ = ["clock"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def bmc() -> Iterator[Mockup]:
    """A BMC of a plain node that draws 344 W."""
    with static_bmc() as mockup:
        mockup.chassis("1", Power=True)
        mockup.watts(344)
        yield mockup


def listed(folder: Path, *lines: str) -> str:
    path = folder / "bmcs.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def one(cluster: Cluster, bmc: Mockup, folder: Path, **options: Any) -> Feed:
    """A feed that asks this BMC for n1."""
    return feed_of(cluster, "redfish", datetime.now(UTC), bmc_file=listed(folder, f"n1,{bmc.address}"), **options)


def secret(folder: Path, text: str = "open sesame", mode: int = 0o600) -> str:
    path = folder / "password"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return str(path)


def test_what_a_bmc_says_is_stored_at_the_instant_it_was_asked(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    before = ms_from_datetime(clock.now())
    ended = turn(feed, clock)
    after = ms_from_datetime(clock.now())
    assert (ended.error, ended.report["stored"], ended.report["answered"]) == ("", 1, 1)
    [(t_ms, value)] = held(cluster)[("n1", "node", "gauge")]
    assert value == 344_000
    assert before <= t_ms <= after
    assert ChannelPeriod.objects.get().source == "redfish"
    asked = bmc.asked()
    bmc.watts(351.5)
    turn(feed, clock)
    assert values(cluster, "n1") == [344_000, 351_500]
    assert bmc.asked() == asked + 1  # where the power stands is found once


def test_energies_are_those_that_were_told(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    """344 W for ten minutes, then 500 W for ten: 506.4 kJ, closed in the ledger."""
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    start = (datetime.now(UTC) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    for minute in range(21):
        bmc.watts(344 if minute <= 10 else 500)
        clock.at(start + timedelta(minutes=minute))
        assert turn(feed, clock).error == ""
    fold_pushes(cluster)
    attribute_dirty(lambda: datetime.now(UTC))
    day = NodeDay.objects.get(node__name="n1", day=start.date())
    told = 344 * 630 + (344 + 500) / 2 * 60 + 500 * 570  # a reading stands for half a minute on either side
    assert day.metered_j == pytest.approx(told, rel=2e-3)
    assert day.metered_j == pytest.approx(day.jobs_j + day.unallocated_j + day.unplaced_j, rel=1e-9)


def test_a_counter_is_taken_beside_the_power_and_whole_kwh_beside_the_node(
    bmc: Mockup, tmp_path: Path, clock: Clock
) -> None:
    bmc.chassis("1", Power=True, EnvironmentMetrics=True)
    bmc.put(
        "Chassis/1/EnvironmentMetrics",
        {"PowerWatts": {"Reading": 344}, "EnergyJoules": {"Reading": 5_000}, "EnergykWh": {"Reading": 0}},
    )
    control = [
        {"Name": "System", "PowerConsumedWatts": 999},
        {"Name": "CPU Sub-system Power", "PhysicalContext": "CPU", "PowerConsumedWatts": 130},
    ]
    bmc.put("Chassis/1/Power", {"PowerControl": control, "PowerSupplies": [{"PowerInputWatts": 360}]})
    cluster = cluster_of("n1")
    turn(one(cluster, bmc, tmp_path), clock)
    found = {key: [value for _, value in rows] for key, rows in held(cluster).items()}
    assert found == {
        ("n1", "node", "gauge"): [344_000],
        ("n1", "node", "counter"): [5_000_000_000],
        ("n1", "cpu", "gauge"): [130_000],
    }


def test_without_a_power_of_the_node_the_inputs_of_all_supplies_are_it(
    bmc: Mockup, tmp_path: Path, clock: Clock
) -> None:
    bmc.chassis("1", PowerSubsystem=True)
    bmc.put("Chassis/1/PowerSubsystem", {"PowerSupplies": at("Chassis/1/PowerSubsystem/PowerSupplies")})
    bays = [f"Chassis/1/PowerSubsystem/PowerSupplies/Bay{n}" for n in (1, 2)]
    bmc.put("Chassis/1/PowerSubsystem/PowerSupplies", {"Members": [at(bay) for bay in bays]})
    for bay, watts in zip(bays, (200, 144), strict=True):
        bmc.put(bay, {"Id": bay[-4:], "Metrics": at(f"{bay}/Metrics")})
        bmc.put(f"{bay}/Metrics", {"InputPowerWatts": {"Reading": watts}, "OutputPowerWatts": {"Reading": 90}})
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    turn(feed, clock)
    assert values(cluster, "n1") == [344_000]
    assert (values(cluster, "n1", "psu1"), values(cluster, "n1", "psu2")) == ([200_000], [144_000])
    bmc.put(f"{bays[0]}/Metrics", {"InputPowerWatts": {"Reading": None}})
    assert "no value now (null): n1" in turn(feed, clock).report["notes"]
    assert values(cluster, "n1") == [344_000]  # one of them alone is not the node


def test_a_reading_with_a_time_of_its_own_is_one_sample_however_often_it_is_read(
    bmc: Mockup, tmp_path: Path, clock: Clock
) -> None:
    own = datetime.now(UTC) - timedelta(seconds=40)
    bmc.chassis("1", Sensors=True)
    bmc.put("Chassis/1/Sensors", {"Members": [at("Chassis/1/Sensors/TotalPower"), at("Chassis/1/Sensors/Inlet")]})
    sensor = {"Id": "TotalPower", "ReadingType": "Power", "ReadingUnits": "W", "Reading": 374}
    bmc.put("Chassis/1/Sensors/TotalPower", {**sensor, "ReadingTime": own.isoformat()})
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    turn(feed, clock)
    assert turn(feed, clock).report["duplicates"] == 1
    assert held(cluster)[("n1", "node", "gauge")] == [(ms_from_datetime(own), 374_000)]


def test_a_bmc_whose_clock_is_off_is_told_and_our_clock_counts(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    bmc.chassis("1", Sensors=True)
    bmc.put("Chassis/1/Sensors", {"Members": [at("Chassis/1/Sensors/TotalPower")]})
    sensor = {"Id": "TotalPower", "ReadingType": "Power", "ReadingUnits": "W", "Reading": 374}
    bmc.put("Chassis/1/Sensors/TotalPower", {**sensor, "ReadingTime": datetime.now(UTC).isoformat()})
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    clock.ahead_s = -3_600.0
    ended = turn(feed, clock)
    [note] = ended.report["notes"]
    told = re.fullmatch(r"clocks of BMCs that are off by more than 5 s, up to \+(\d+) s: n1; ours counts", note)
    assert told
    assert abs(int(told[1]) - 3_600) <= 1  # the header Date counts whole seconds
    [(t_ms, _)] = held(cluster)[("n1", "node", "gauge")]
    assert abs(t_ms - (time.time() - 3_600) * 1_000) < 60_000
    again = turn(feed, clock)
    assert (again.report["repeated"], again.report["stored"]) == (1, 0)
    bmc.put("Chassis/1/Sensors/TotalPower", {**sensor, "ReadingTime": datetime.now(UTC).isoformat()})
    assert turn(feed, clock).report["stored"] == 1


@pytest.mark.parametrize("own", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:05Z", "soon"])
def test_a_time_that_was_never_set_is_none(own: str, bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    bmc.chassis("1", Sensors=True)
    bmc.put("Chassis/1/Sensors", {"Members": [at("Chassis/1/Sensors/TotalPower")]})
    sensor = {"Id": "TotalPower", "ReadingType": "Power", "ReadingUnits": "W", "Reading": 374, "ReadingTime": own}
    bmc.put("Chassis/1/Sensors/TotalPower", sensor)
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    assert [turn(feed, clock).report["stored"] for _ in range(2)] == [1, 1]
    assert all(abs(t_ms - time.time() * 1_000) < 60_000 for t_ms, _ in held(cluster)[("n1", "node", "gauge")])


def test_an_old_reading_that_is_told_again_and_again_is_no_new_one(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    own = datetime.now(UTC) - timedelta(days=3)
    bmc.chassis("1", Sensors=True)
    bmc.put("Chassis/1/Sensors", {"Members": [at("Chassis/1/Sensors/TotalPower")]})
    sensor = {"Id": "TotalPower", "ReadingType": "Power", "ReadingUnits": "W", "Reading": 374}
    bmc.put("Chassis/1/Sensors/TotalPower", {**sensor, "ReadingTime": own.isoformat()})
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    assert [turn(feed, clock).report["stored"] for _ in range(3)] == [1, 0, 0]


def test_each_node_of_the_cluster_has_the_bmc_that_the_template_names(bmc: Mockup, clock: Clock) -> None:
    cluster = cluster_of("localhost", "n2")
    template = bmc.address.replace("127.0.0.1", "{node}")
    feed = feed_of(cluster, "redfish", clock.now(), bmc=template)
    ended = turn(feed, clock, "localhost")
    assert (ended.report["bmcs"], ended.report["not_allowed"]) == (1, 1)
    assert values(cluster, "localhost") == [344_000]


@pytest.mark.parametrize(
    "odd",
    [
        {"Members": 5},
        {"Members": [{"@odata.id": "https://elsewhere/redfish/v1/Chassis/1"}, {"@odata.id": "//elsewhere"}]},
        {"Members": [at("Chassis")], "Members@odata.nextLink": "/redfish/v1/Chassis"},
        {"Members": [{"@odata.id": ["x"]}, None, "x"]},
    ],
)
def test_one_odd_bmc_does_not_end_the_turn_of_the_others(
    odd: dict[str, Any], bmc: Mockup, tmp_path: Path, clock: Clock
) -> None:
    cluster = cluster_of("n1", "n2")
    with static_bmc() as other:
        other.put("Chassis", odd)
        lines = (f"n2,{other.address}", f"n1,{bmc.address}")
        feed = feed_of(cluster, "redfish", clock.now(), bmc_file=listed(tmp_path, *lines))
        ended = turn(feed, clock)
    assert (ended.error, ended.report["answered"], ended.report["failed"]) == ("", 1, 1)
    assert values(cluster, "n1") == [344_000]


def test_the_power_of_an_enclosure_is_never_booked_to_a_node(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    bmc.chassis("Sled1", "Sled", Power=True, ContainedBy=at("Chassis/Enclosure"))
    bmc.chassis("Enclosure", "Enclosure", systems=0, Power=True, Contains=[at("Chassis/Sled1"), at("Chassis/1")])
    bmc.remove("Chassis/1")
    bmc.watts(410, "Sled1")
    bmc.watts(1_650, "Enclosure")
    bmc.put("Chassis", {"Members": [at("Chassis/Enclosure"), at("Chassis/Sled1"), at("Chassis/1")]})
    cluster = cluster_of("n1", "enclosure")
    ended = turn(one(cluster, bmc, tmp_path), clock)
    assert values(cluster, "n1") == [410_000]
    assert any("nodes may share it" in note and "n1" in note for note in ended.report["notes"])
    lines = (f"n1,{bmc.address},Sled1", f"enclosure,{bmc.address},Enclosure")
    named = listed(tmp_path, "node,address,chassis", *lines)
    Feed.objects.update(options={"bmc_file": named})
    turn(Feed.objects.get(), clock)
    assert (values(cluster, "n1"), values(cluster, "enclosure")) == ([410_000, 410_000], [1_650_000])


def test_only_an_enclosure_is_refused_with_its_cure(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    bmc.chassis("1", "Enclosure", Power=True)
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    assert "it knows only what nodes may share (1)" in turn(feed, clock).error
    assert held(cluster) == {}
    Feed.objects.update(options=Feed.objects.get().options | {"chassis": "1"})
    clock.ahead_s = 600
    assert turn(Feed.objects.get(), clock).error == ""
    assert values(cluster, "n1") == [344_000]


def test_several_chassis_that_could_be_the_node_are_not_guessed(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    bmc.chassis("2", Power=True)
    bmc.watts(200, "2")
    assert (
        "several chassis could be the node (1, 2): say which in chassis"
        in turn(one(cluster_of("n1"), bmc, tmp_path), clock).error
    )


def test_a_power_that_moved_is_found_again(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    turn(feed, clock)
    bmc.remove("Chassis/1/Power")
    bmc.chassis("1", EnvironmentMetrics=True)
    bmc.put("Chassis/1/EnvironmentMetrics", {"PowerWatts": {"Reading": 350}})
    assert turn(feed, clock).error == ""
    assert values(cluster, "n1") == [344_000, 350_000]


def test_dead_hanging_and_dripping_bmcs_hold_up_nobody_and_are_named(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1", "n2", "n3", "n4")
    with hanging() as silent, hanging(b"HTTP/1.1 200 OK\r\nX-Slow: ") as dripping, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # and does not listen: refused
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}"
        lines = (f"n1,{bmc.address}", f"n2,{silent}", f"n3,{dripping}", f"n4,{dead}")
        feed = feed_of(cluster, "redfish", clock.now(), bmc_file=listed(tmp_path, *lines), timeout_s=1)
        began = time.monotonic()
        ended = turn(feed, clock)
        waited_s = time.monotonic() - began
        assert waited_s < 15, "a dripping one is given up as well"
        assert (ended.error, ended.report["answered"], ended.report["failed"]) == ("", 1, 3)
        assert sorted(ended.report["notes"]) == [
            "1 of 4 BMCs, n4: no connection: refused or unreachable",
            "2 of 4 BMCs, n[2-3]: no answer within 1 s",
        ]
        assert values(cluster, "n1") == [344_000]
        turn(feed, clock)
        turn(feed, clock)  # twice failed: left alone for a while, and told all the same
        began = time.monotonic()
        assert turn(feed, clock).report["failed"] == 3
        assert time.monotonic() - began < waited_s
    assert values(cluster, "n1") == [344_000] * 4


@contextmanager
def hanging(start: bytes = b"") -> Iterator[str]:
    """A BMC that takes connections and never finishes an answer: silent, or a byte now and then."""
    over = threading.Event()

    def drip(taken: socket.socket) -> None:
        with taken:
            taken.settimeout(0.2)
            while not over.wait(0.1):
                try:
                    taken.sendall(start or b"")
                    if start:
                        taken.sendall(b"x")
                except OSError:
                    return

    def serve() -> None:
        while not over.is_set():
            try:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()
            except OSError:
                continue

    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(0.2)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def test_who_does_not_fit_into_a_turn_is_told_and_comes_first_in_the_next(
    bmc: Mockup, tmp_path: Path, clock: Clock
) -> None:
    cluster = cluster_of("n1", "n2")
    with hanging() as silent:
        lines = (f"n2,{silent}", f"n1,{bmc.address}")
        options = {"bmc_file": listed(tmp_path, *lines), "at_once": 1, "timeout_s": 10, "turn_s": 1}
        feed = feed_of(cluster, "redfish", clock.now(), **options)
        first = turn(feed, clock)
        assert "none of 2 BMCs gave anything" in first.error
        assert "1 of 2 BMCs, n1: not reached in this turn's time" in first.error
        assert turn(feed, clock).report["answered"] == 1
    assert values(cluster, "n1") == [344_000]


def test_a_bmc_that_dies_in_the_middle_loses_its_own_readings_only(tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1", "n2")
    with static_bmc() as stays:
        stays.chassis("1", Power=True)
        stays.watts(100)
        with static_bmc() as goes:
            goes.chassis("1", Power=True)
            goes.watts(200)
            lines = (f"n1,{stays.address}", f"n2,{goes.address}")
            feed = feed_of(cluster, "redfish", clock.now(), bmc_file=listed(tmp_path, *lines))
            assert turn(feed, clock).report["answered"] == 2
        ended = turn(feed, clock)
    assert (ended.error, ended.report["answered"], ended.report["failed"]) == ("", 1, 1)
    assert (values(cluster, "n1"), values(cluster, "n2")) == ([100_000, 100_000], [200_000])


def test_a_wrong_password_is_told_and_not_tried_again_at_once(tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    with emulator("meter", "right one") as address:
        options = {"user": "meter", "password_file": secret(tmp_path, "wrong one"), "insecure": True}
        feed = feed_of(cluster, "redfish", clock.now(), bmc_file=listed(tmp_path, f"n1,{address}"), **options)
        assert "user or password is wrong (401)" in turn(feed, clock).error
        secret(tmp_path, "right one")
        assert "user or password is wrong (401)" in turn(feed, clock).error  # left alone: nobody is locked out
        clock.ahead_s = 601
        assert "it knows only what nodes may share" in turn(feed, clock).error  # it is in; the emulator is an enclosure


@contextmanager
def behind_sessions(bmc: Mockup) -> Iterator[tuple[str, list[str]]]:
    """The same BMC for who logged in, over one connection; what it was asked. It redirects what is no session's."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(f"login {said['UserName']} {said['Password']}")
            self._say(201, b"{}", X_Auth_Token="t0ken", Location="/redfish/v1/SessionService/Sessions/7")

        def do_GET(self) -> None:
            heard.append(f"{self.headers.get('X-Auth-Token')} {self.headers.get('Authorization')}")
            if self.headers.get("X-Auth-Token") != "t0ken":
                self._say(302, Location=f"http://localhost:9{self.path}")
            else:
                body = bmc.home / self.path.removeprefix("/redfish/v1").strip("/") / "index.json"
                self._say(200, body.read_bytes())

        def do_DELETE(self) -> None:
            heard.append(f"logout {self.path}")
            self._say(204)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()


def test_a_session_begins_and_ends_with_each_turn(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    options = {"user": "meter", "password_file": secret(tmp_path), "insecure": True}
    with behind_sessions(bmc) as (address, heard):
        named = listed(tmp_path, f"n1,{address}")
        feed = feed_of(cluster, "redfish", clock.now(), bmc_file=named, auth="session", **options)
        assert turn(feed, clock).error == ""
        assert (heard[0], heard[-1]) == ("login meter open sesame", "logout /redfish/v1/SessionService/Sessions/7")
        assert set(heard[1:-1]) == {"t0ken None"}
        Feed.objects.update(options=feed.options | {"auth": "basic"})
        ended = turn(Feed.objects.get(), clock)
        assert "redirects elsewhere, which is not followed (302)" in ended.error
    assert values(cluster, "n1") == [344_000]
    assert "open sesame" not in json.dumps([*Feed.objects.values("options", "last_report", "last_error")])


def test_the_emulators_machine_says_no_power_and_that_is_said(tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    with emulator("meter", "open sesame") as address:
        options = {"user": "meter", "password_file": secret(tmp_path), "insecure": True}
        named = listed(tmp_path, "node,address,chassis", f"n1,{address},fake-chassis")
        feed = feed_of(cluster, "redfish", clock.now(), bmc_file=named, **options)
        assert "it has no chassis fake-chassis: it names" in turn(feed, clock).error


def test_certificates_are_checked_unless_somebody_says_not_to(tmp_path: Path, clock: Clock) -> None:
    certificate = certificate_of_own(tmp_path)
    cluster = cluster_of("n1")
    with static_bmc(certificate) as bmc:
        bmc.chassis("1", Power=True)
        bmc.watts(344)
        feed = one(cluster, bmc, tmp_path)
        assert "its certificate is not trusted" in turn(feed, clock).error
        for more in ({"ca_file": str(certificate[0])}, {"insecure": True}):
            clock.ahead_s += 600
            Feed.objects.update(options=feed.options | more)
            assert turn(Feed.objects.get(), clock).error == ""
    assert values(cluster, "n1") == [344_000, 344_000]


def test_a_password_that_others_can_read_is_not_used(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    options = {"user": "meter", "password_file": secret(tmp_path, mode=0o644), "insecure": True}
    assert "is open to others: chmod 600 it" in turn(one(cluster_of("n1"), bmc, tmp_path, **options), clock).error
    assert bmc.asked() == 0


def test_hosts_that_are_not_allowed_are_never_asked_and_named(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1", "n2")
    lines = (f"n1,{bmc.address}", f"n2,{bmc.address.replace('127.0.0.1', 'localhost')}")
    feed = feed_of(cluster, "redfish", clock.now(), bmc_file=listed(tmp_path, *lines))
    ended = turn(feed, clock, "127.0.0.0/8")
    assert ended.report["not_allowed"] == 1
    assert any("JOULEBOOK_FEED_HOSTS: the BMCs of n2" in note for note in ended.report["notes"])
    assert (values(cluster, "n1"), values(cluster, "n2")) == ([344_000], [])
    asked = bmc.asked()
    assert "no BMC to ask: 127.0.0.1 may not be asked" in turn(feed, clock, "elsewhere").error
    assert bmc.asked() == asked


def test_what_is_known_of_bmcs_may_be_deleted_at_any_time(bmc: Mockup, tmp_path: Path, clock: Clock) -> None:
    cluster = cluster_of("n1")
    feed = one(cluster, bmc, tmp_path)
    turn(feed, clock)
    memory = Path(settings.JOULEBOOK_VAR) / "feeds" / f"{feed.pk}.json"
    for text in ("", "{", '{"version": 1, "bmcs": {"x": {"odd": 1}}}'):
        memory.write_text(text)
        assert turn(feed, clock).error == ""
    memory.unlink()
    assert turn(feed, clock).error == ""
    assert len(values(cluster, "n1")) == 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "either bmc .* or bmc_file"),
        ({"bmc": "https://bmc"}, "put {node} where"),
        ({"bmc": "https://{node}-{rack}"}, "nothing else in braces"),
        ({"bmc": "https://{node}/redfish"}, "is no address of a BMC"),
        ({"bmc": "ftp://{node}"}, "is no address of a BMC"),
        ({"bmc": "https://u:p@{node}"}, "is no address of a BMC"),
        ({"bmc": "https://{node}-bmc", "nodes": "n[001-010]"}, "n001-bmc may not be asked"),
        ({"bmc": "https://{node}", "nodes": "n[1"}, "nodes: "),
        ({"bmc": "http://{node}", "user": "a", "password_file": "/etc/x"}, "a password over http://"),
        ({"bmc": "https://{node}", "at_once": 1_000}, "at_once is at most 256"),
        ({"bmc": "https://{node}", "auth": "token"}, "auth is one of basic, session"),
        ({"bmc_file": "bmcs.csv"}, "the whole path"),
    ],
)
def test_what_is_wrong_with_options_is_said_at_once(options: dict[str, Any], sentence: str) -> None:
    with allowed(), pytest.raises(NotPossible, match=sentence):
        feed_of(Cluster.objects.create(name="atlas"), "redfish", datetime.now(UTC), **options)
