"""What becomes of each answer of the server: sent, kept, tried again later, or set aside with the reason."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.workers.agent.receiver import TOKEN, Receiver
from tests.workers.agent.test_spool import HEAD, MIB, rows
from workers.agent import batch
from workers.agent.sender import Sender
from workers.agent.settings import Settings
from workers.agent.spool import Spool
from workers.agent.trouble import Trouble
from workers.agent.wire import Wire

GO_ON = threading.Event()  # is never set


@pytest.fixture
def settings(server: Receiver, tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return Settings(server=f"{server.address}/below", token_file=tmp_path / "token", node="n1", timeout_s=60.0)


@pytest.fixture
def sender(settings: Settings, tmp_path: Path) -> Iterator[Sender]:
    spool = Spool(tmp_path / "state", 64 * MIB, Trouble())
    spool.begin(HEAD)
    yield Sender("n1", spool, Wire(settings), spool.trouble)
    spool.close()


def write(sender: Sender, first: int, batches: int = 1) -> None:
    for second in range(first, first + batches):
        sender.spool.append(rows(second))
        sender.spool.rotate()


def seconds(server: Receiver) -> list[float]:
    return [float(t) for t, _, _ in server.power()]


def drain(sender: Sender) -> tuple[float, float]:
    """How long it then waits [s]: between these two, however slow the machine."""
    before = time.monotonic()
    sender.drain(GO_ON)
    return sender._not_before - time.monotonic(), sender._not_before - before


def test_the_first_batch_tells_the_facts_and_the_others_go_together_as_csv(sender: Sender, server: Receiver) -> None:
    write(sender, 100, 10)
    sender.drain(GO_ON)
    assert [one.kind for one in server.sent] == ["application/json", "text/csv"]
    assert {(one.path, one.token) for one in server.sent} == {("/below/api/v1/power", TOKEN)}
    assert json.loads(server.sent[0].body)["channels"]["gpu0"]["uuid"] == "GPU-a"
    assert seconds(server) == list(range(100, 110))
    assert sender.sent == 10
    assert sender.spool.size() == 0


def test_facts_are_told_again_after_an_hour(sender: Sender, server: Receiver) -> None:
    write(sender, 100, 2)
    sender.drain(GO_ON)
    sender._facts_at -= 3_601
    write(sender, 102, 2)
    sender.drain(GO_ON)
    kinds = ["application/json", "text/csv", "application/json", "text/csv"]
    assert [one.kind for one in server.sent] == kinds


@pytest.mark.parametrize("status", [500, 502, 503, 507])
def test_a_server_in_trouble_is_asked_ever_more_rarely_and_nothing_is_lost(
    sender: Sender, server: Receiver, status: int
) -> None:
    server.always = (status, {}, "no")
    write(sender, 100, 3)
    waits = [drain(sender) for _ in range(12)]
    assert waits[0][0] <= 2.0
    assert waits[0][1] > 0.5
    assert waits[-1][0] <= 300
    assert waits[-1][1] > 140
    assert len(server.sent) == 12  # one request each time, however much waits
    server.always = (200, {}, "{}")
    sender.drain(GO_ON)
    assert seconds(server) == [100, 101, 102]


def test_waits_differ_from_node_to_node(sender: Sender, server: Receiver) -> None:
    server.always = (503, {}, "no")
    write(sender, 100)
    waits = set()
    for _ in range(5):
        sender._failures = 6
        waits.add(round(drain(sender)[1]))
    assert len(waits) > 1


@pytest.mark.parametrize("said", ["120", "date", "-5", "soon"])
def test_retry_after_is_honoured_in_all_its_forms(sender: Sender, server: Receiver, said: str) -> None:
    header = formatdate(time.time() + 3_500, usegmt=True) if said == "date" else said
    server.always = (429, {"Retry-After": header}, "slow down")
    write(sender, 100)
    at_least, at_most = drain(sender)
    least, most = {"120": (118, 123), "-5": (0.4, 2), "soon": (0.4, 2)}.get(said, (3_400, 3_503))
    assert at_least < most
    assert at_most > least


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_what_somebody_must_mend_is_kept_and_tried_slowly(sender: Sender, server: Receiver, status: int) -> None:
    server.answers = [(status, {"Location": "https://elsewhere.example.org/"}, "no")]
    write(sender, 100)
    at_least, at_most = drain(sender)
    assert at_least <= 300
    assert at_most > 140
    assert "server" in dict(sender.trouble.now())
    sender.drain(GO_ON)
    assert seconds(server) == [100]


def test_a_new_token_counts_at_once(sender: Sender, server: Receiver, settings: Settings) -> None:
    settings.token_file.unlink()
    write(sender, 100)
    sender.drain(GO_ON)
    assert server.sent == []
    assert "no token" in dict(sender.trouble.now())["server"]
    settings.token_file.write_text("jb_new")
    sender.drain(GO_ON)
    assert [one.token for one in server.sent] == ["jb_new"]


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_batch_that_will_never_do_is_set_aside_with_the_reason_and_the_others_go_on(
    sender: Sender, server: Receiver, status: int
) -> None:
    reason = json.dumps({"detail": "line 2: no node n1", "refused": []})
    server.answers = [(200, {}, "{}"), (status, {}, reason), (status, {}, reason)]
    write(sender, 100, 4)
    sender.drain(GO_ON)
    (told,) = (path.read_text() for path in sender.spool.aside.glob("*.reason"))
    assert told == f"{status} line 2: no node n1\n"
    assert sorted(seconds(server)) == [100, 102, 103]
    assert sender.spool.size() == 0


def test_readings_of_a_node_that_is_not_described_yet_wait_until_it_is(sender: Sender, server: Receiver) -> None:
    refused = [{"reason": "unknown node", "count": 1, "first_line": 2, "detail": "n1"}]
    server.answers = [(422, {}, json.dumps({"detail": "nothing of it is usable", "refused": refused}))]
    write(sender, 100)
    at_least, at_most = drain(sender)
    assert at_least <= 300
    assert at_most > 140
    told = dict(sender.trouble.now())["server"]
    assert told == "422 nothing of it is usable: unknown node; readings wait on the disk"
    assert list(sender.spool.aside.iterdir()) == []
    sender.drain(GO_ON)
    assert seconds(server) == [100]


def test_one_bad_batch_among_many_is_found(sender: Sender, server: Receiver) -> None:
    """A server that refuses whatever holds second 103."""
    write(sender, 100)
    sender.drain(GO_ON)
    write(sender, 101, 8)
    asked = Wire.post

    def post(wire: Wire, path: str, body: bytes, kind: str) -> object:
        server.answers = [(422, {}, "103 is bad")] if b"\n103.000" in body else []
        return asked(wire, path, body, kind)

    sender.wire.post = post.__get__(sender.wire)  # type: ignore[method-assign]
    sender.drain(GO_ON)
    assert sorted(seconds(server)) == [100, 101, 102, 104, 105, 106, 107, 108]
    assert len(list(sender.spool.aside.glob("*.csv"))) == 1


def test_a_request_that_is_too_large_is_halved(sender: Sender, server: Receiver) -> None:
    write(sender, 100)
    sender.drain(GO_ON)
    server.answers = [(413, {}, "too large")]
    write(sender, 101, 4)
    sender.drain(GO_ON)
    assert seconds(server) == [100, 101, 102, 103, 104]
    assert list(sender.spool.aside.iterdir()) == []


def test_a_server_that_is_not_there_costs_nothing_but_time(
    sender: Sender, server: Receiver, settings: Settings
) -> None:
    nobody = Settings(**{**settings.__dict__, "server": "http://127.0.0.1:9"})
    write(sender, 100)
    alone = Sender("n1", sender.spool, Wire(nobody), sender.trouble)
    alone.drain(GO_ON)
    assert alone._failures == 1
    assert "127.0.0.1:9" in dict(sender.trouble.now())["server"]
    sender.drain(GO_ON)
    assert seconds(server) == [100]
    assert dict(sender.trouble.now()) == {}


def test_losses_are_told_once(sender: Sender, server: Receiver) -> None:
    sender.spool._losses.add(batch.Batch("{}", "timestamp,node,node_w", ("1.0,n1,5", "9.0,n1,5")), None)
    lost = sender.spool.lost()
    write(sender, 100)
    sender.drain(GO_ON)
    write(sender, 101)
    sender.drain(GO_ON)
    assert json.loads(server.sent[0].body)["lost"] == lost
    assert (lost[0]["readings"], lost[0]["from"], lost[0]["to"]) == (2, 1.0, 9.0)
    assert server.sent[1].kind == "text/csv"


def test_what_the_server_refuses_is_said_once_a_reason(
    sender: Sender, server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    refused = [{"reason": "second source", "count": 10, "first_line": 2, "detail": "gpu0 comes from dcgm"}]
    server.always = (200, {}, json.dumps({"stored": 0, "duplicates": 0, "refused": refused}))
    for second in range(100, 105):
        write(sender, second)
        sender.drain(GO_ON)
    assert len([one for one in caplog.records if "second source" in one.message]) == 1
    assert sender.refused == 50


@pytest.mark.parametrize("text", ["", "<html>", "[1]", '{"refused": 5}', '{"refused": [1, {"count": 2}]}'])
def test_an_answer_that_is_not_as_agreed_still_counts_as_stored(sender: Sender, server: Receiver, text: str) -> None:
    server.always = (200, {}, text)
    write(sender, 100)
    sender.drain(GO_ON)
    assert sender.spool.size() == 0
