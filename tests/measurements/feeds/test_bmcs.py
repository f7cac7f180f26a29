"""Which BMCs are asked, which chassis is a node, who is left alone: what needs no BMC to be seen."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from measurements.feeds import bmc_round
from measurements.feeds.about import FeedError, fault_of_address, is_allowed
from measurements.feeds.bmc import AskError, Bmc, by_file, by_template, fault_of_template, password_of
from measurements.feeds.bmc_memory import LONGEST_WAIT_S, Memory
from measurements.feeds.bmc_round import NOT_REACHED, Leash, Limits, ask_all
from measurements.feeds.ipmi import host_of, own_time_ms
from measurements.feeds.redfish_chassis import choose

ALLOWED = {"slurm.example.org", "*.bmc.example.org", "10.1.0.0/16", "fd00:1::/32", "127.0.0.1"}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("slurm.example.org", True),
        ("n1.bmc.example.org", True),
        ("N1.BMC.example.org", True),
        ("bmc.example.org", False),  # the domain itself is none of its hosts
        ("a.b.bmc.example.org", False),  # one label, not any number of them
        ("n1-bmc.example.org", False),
        ("n1.bmc.example.org.evil.net", False),
        ("10.1.255.7", True),
        ("10.2.0.1", False),
        ("[fd00:1::7]", True),
        ("fd00:2::7", False),
        ("167837697", False),  # 10.1.0.1 as one number: not written as an address
        ("10.1", False),
        ("0x0a.1.0.1", False),
        ("10.1.0.1.nip.io", False),
        ("127.0.0.1", True),
        ("", False),
    ],
)
def test_a_host_is_allowed_by_name_by_domain_or_by_network(host: str, *, allowed: bool) -> None:
    assert is_allowed(host, ALLOWED) is allowed


def test_the_list_holds_for_addresses() -> None:
    assert fault_of_address("https://n7.bmc.example.org", ALLOWED) == ""
    assert fault_of_address("https://[fd00:1::7]:8443", ALLOWED) == ""
    assert "JOULEBOOK_FEED_HOSTS" in fault_of_address("https://10.2.0.1", ALLOWED)


def test_a_file_names_bmcs_with_what_else_its_first_line_says(tmp_path: Path) -> None:
    path = tmp_path / "bmcs"
    path.write_text(
        "# ours\nnode,address,chassis,user,password_file\nn1,https://b1,Sled1,,\n\nn2, https://b2,,root,/x\n"
    )
    assert by_file(path) == [Bmc("n1", "https://b1", "Sled1"), Bmc("n2", "https://b2", "", "root", "/x")]
    assert by_template("https://{node}-bmc", ["n1"]) == [Bmc("n1", "https://n1-bmc")]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("n1\n", "entry 1: 'n1' is no node,address"),
        ("n1,b1,x\n", "entry 1: 'n1,b1,x' is no node,address"),
        ("node,address\n,b1\n", "entry 1"),
        ("node,host\nn1,b1\n", "the first line names node, host"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_list_of_bmcs_that_is_none_says_where(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "bmcs").write_bytes(text.encode("latin-1"))
    with pytest.raises(FeedError, match=sentence):
        by_file(tmp_path / "bmcs")


def test_a_template_has_the_node_and_nothing_else_in_braces() -> None:
    assert fault_of_template("https://{node}.bmc.example.org") == ""
    assert fault_of_template("https://bmc")
    assert fault_of_template("https://{node}{0}")


def test_a_password_is_read_anew_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("one\nmore\n")
    assert password_of(str(path)) == "one"
    time.sleep(0.02)
    path.write_text("two\n")
    assert password_of(str(path)) == "two"
    path.chmod(0o640)  # a group may read it
    assert password_of(str(path)) == "two"
    for mode in (0o644, 0o620):
        path.chmod(mode)
        with pytest.raises(AskError, match="open to others"):
            password_of(str(path))
    with pytest.raises(AskError, match="No such file"):
        password_of(str(tmp_path / "none"))


def chassis(name: str, kind: str = "", systems: int = 1, **links: Any) -> dict[str, Any]:
    found = {key: [{"@odata.id": f"/redfish/v1/Chassis/{one}"} for one in ones] for key, ones in links.items()}
    found["ComputerSystems"] = [{"@odata.id": f"/redfish/v1/Systems/{i}"} for i in range(systems)]
    return {"@odata.id": f"/redfish/v1/Chassis/{name}", "Id": name, "ChassisType": kind, "Links": found}


@pytest.mark.parametrize(
    ("found", "node", "shared"),
    [
        ([chassis("1", "RackMount")], "1", ()),
        ([chassis("1")], "1", ()),  # a type is not required
        ([chassis("Self", "Sled"), chassis("Encl", "Enclosure", 4)], "Self", ("Encl",)),
        ([chassis("1", "RackMount", 2)], None, ("1",)),  # two machines share it
        ([chassis("Encl", "Enclosure")], None, ("Encl",)),
        ([chassis("1", "RackMount", Contains=["GPU0"]), chassis("GPU0", "Module", 0)], "1", ()),
        ([chassis("1", Contains=["2"]), chassis("2")], "1", ()),
        ([chassis("1"), chassis("2", ContainedBy=["1"])], "1", ()),
        ([chassis("Backplane", "Other", 0), chassis("1", "Other", 1)], "1", ()),  # the one with a machine in it
        ([chassis("1"), chassis("2")], None, ()),
        ([chassis("GPU0", "Module")], None, ()),
        ([], None, ()),
    ],
)
def test_the_node_is_the_topmost_chassis_of_one_machine(
    found: list[dict[str, Any]], node: str | None, shared: tuple[str, ...]
) -> None:
    chosen = choose(found)
    assert (chosen.document["Id"] if chosen.document else None, chosen.shared) == (node, shared)
    assert bool(chosen.why) == (node is None)


def bmcs(count: int) -> list[Bmc]:
    return [Bmc(f"n{i}", f"https://b{i}") for i in range(count)]


def test_no_more_are_asked_at_once_than_was_said() -> None:
    busy, most, lock, all_busy = 0, 0, threading.Lock(), threading.Event()

    def ask(bmc: Bmc, leash: Leash) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
            if most == 7:
                all_busy.set()
        assert all_busy.wait(60)
        time.sleep(0.01)  # for one more to come
        with lock:
            busy -= 1
        return bmc.node

    given = list(ask_all(bmcs(40), ask, Limits(7, 120.0, 240.0)))
    assert sorted(one.value or "" for one in given) == sorted(bmc.node for bmc in bmcs(40))
    assert most == 7


def ask(bmc: Bmc, leash: Leash) -> str:
    """A BMC that answers only when it is cut off."""
    over = threading.Event()
    leash.hold(over.set)
    assert over.wait(120)
    leash.left_s()
    return "never"


def test_the_time_of_one_is_over_when_it_is_and_the_next_gets_its_turn() -> None:
    began = time.monotonic()
    given = list(ask_all(bmcs(4), ask, Limits(2, 0.3, 240.0)))
    assert time.monotonic() - began < 60
    assert [(one.fault, one.asked) for one in given] == [("no answer within 0.3 s", True)] * 4


def test_the_time_of_a_round_ends_it_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmc_round, "_GRACE_S", 60.0)  # for what was cut to notice it, however busy the machine
    for round_s in (0.3, 5.0, 60.0):  # a busy machine may not even come to begin in a short one
        began = time.monotonic()
        given = list(ask_all(bmcs(5), ask, Limits(2, 600.0, round_s)))
        if [one.asked for one in given].count(True) == 2:
            break
    assert time.monotonic() - began < 240
    assert sorted(one.fault for one in given) == ["no answer within 600 s"] * 2 + [NOT_REACHED] * 3
    assert [one.asked for one in given].count(False) == 3


def test_who_fails_is_left_alone_the_longer_the_more_often_and_no_longer_than_five_minutes(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "feeds" / "1.json")
    good, bad = bmcs(2)
    waits, now_ms = [], 1_000
    for _ in range(6):
        memory.failed(bad, "away", None, 60.0, now_ms)
        waits.append((memory.of(bad).wait_until_ms - now_ms) / 1_000)
    assert waits == [0.0, 60.0, 180.0, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    memory.answered(good, now_ms)
    assert memory.in_order([bad, good], now_ms) == [good]
    assert memory.in_order([bad, good], now_ms + 300_000) == [good, bad]  # who answers comes first
    memory.save([bad, good])
    again = Memory(memory.path)
    assert (again.of(bad).failures, again.of(bad).fault) == (6, "away")
    again.answered(bad, now_ms)
    assert again.in_order([bad], now_ms) == [bad]
    again.save([good])
    assert Memory(memory.path).of(bad).asked_ms == 0  # who is no longer asked is forgotten


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("b1", ("b1", 623)),
        ("10.1.0.7:6230", ("10.1.0.7", 6230)),
        ("[fd00::1]:623", ("fd00::1", 623)),
        ("[fd00::1]", ("fd00::1", 623)),
        ("-f/etc/shadow", None),
        ("b1:0", None),
        ("b1 -v", None),
        ("https://b1", None),
    ],
)
def test_an_address_of_ipmi_is_a_host_and_perhaps_a_port(address: str, place: tuple[str, int] | None) -> None:
    assert host_of(address) == place


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("    IPMI timestamp:     11/21/26 22:00:51 UTC    Sampling period:   00000001 Seconds.\n", 1_795_298_451_000),
        ("    IPMI timestamp:                           Wed Feb 14 17:09:10 2024\n", 1_707_930_550_000),
        ("Time Stamp                           : 11/21/2026 - 22:16:03\n", 1_795_299_363_000),
        ("    IPMI timestamp:                           01/01/70 00:00:05 UTC\n", None),  # no clock at all
        ("    IPMI timestamp:                           soon\n", None),
        ("Sys Power | 270 Watts | ok\n", None),
    ],
)
def test_a_bmcs_own_time_is_read_as_the_programs_print_it(text: str, ms: int | None) -> None:
    assert own_time_ms(text) == ms
