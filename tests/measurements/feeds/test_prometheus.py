"""What is made of the answers of a Prometheus that is not well, or is none: a sentence, a smaller window, no guess."""

from __future__ import annotations

import gzip
import io
import json
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from measurements.domain.units import Kind
from measurements.feeds.about import FeedError
from measurements.feeds.prometheus import VICTORIA_METRICS, Server, inside
from measurements.feeds.web import Site, TooLarge
from measurements.parsers.json_stream import BrokenJson
from measurements.parsers.mappings import load_mappings
from measurements.parsers.series import Catalogue
from measurements.parsers.victoria_export import export_chunks
from tests.services.redfish import certificate_of_own

START_MS, END_MS, NOW_MS = 1_740_830_400_000, 1_740_831_300_000, 1_740_831_400_000
WATTS = "ipmi_dcmi_power_consumption_watts"
Answering = Callable[[], tuple[int, dict[str, str], bytes]]
Rows = list[tuple[str, str, int, int]]


def matrix(*values: tuple[float, str], **beside: object) -> bytes:
    """An answer with one series."""
    result = [{"metric": {"__name__": WATTS, "instance": "n1:9290"}, "values": [list(pair) for pair in values]}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}} | beside).encode()


def error(kind: str, text: str) -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


@dataclass
class Peer:
    """Something that answers as a test says, and what it was asked."""

    address: str
    answer: tuple[int, dict[str, str], bytes] = (200, {}, matrix())
    drips_s: float = 0.0
    asked: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def peer(certificate: tuple[Path, Path] | None = None) -> Iterator[Peer]:
    told = Peer("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            told.asked.append((self.command, parts.path, parse_qs(body or parts.query)))
            told.headers = dict(self.headers)
            status, headers, content = told.answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for i in range(0, len(content), 1_000 if told.drips_s else 1 << 20):
                    time.sleep(told.drips_s)
                    self.wfile.write(content[i : i + (1_000 if told.drips_s else 1 << 20)])
            except OSError:
                pass

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    told.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def told() -> Iterator[Peer]:
    with peer() as started:
        yield started


def asked(told: Peer, tmp_path: Path, flavour: str = "prometheus", *, partial: bool = False, **site: Any) -> Rows:
    """The rows of a window."""
    server = Server(Site(told.address, **site), flavour, partial=partial)
    catalogue = Catalogue(load_mappings(None))
    found: Rows = []
    for chunk in server.samples([WATTS], START_MS, END_MS, catalogue, NOW_MS, tmp_path):
        columns = (chunk.node.tolist(), chunk.channel.tolist(), chunk.t_ms.tolist(), chunk.value.tolist())
        found += [(chunk.nodes[n], chunk.channels[c], t, v) for n, c, t, v in zip(*columns, strict=True)]
        assert set(chunk.kinds) <= {Kind.GAUGE}
    assert not (tmp_path / "samples").exists()
    return found


def test_a_window_is_asked_for_as_raw_samples_and_its_beginning_belongs_to_the_one_before(
    told: Peer, tmp_path: Path
) -> None:
    told.answer = (200, {}, matrix((START_MS / 1000, "1"), (START_MS / 1000 + 0.001, "2"), (END_MS / 1000, "3")))
    assert asked(told, tmp_path) == [("n1", "node", START_MS + 1, 2_000), ("n1", "node", END_MS, 3_000)]
    [(method, path, fields)] = told.asked
    assert (method, path) == ("POST", "/api/v1/query")
    assert fields["query"] == [f'{{__name__=~"{WATTS}"}}[900s]']
    assert fields["time"] == ["1740831300.000"]


def test_names_and_labels_are_quoted() -> None:
    server = Server(Site(""), match='{a="x\\"y", b=~"n|m"}')
    assert server._selector(["a.b", 'c"d']) == '{__name__=~"a\\\\.b|c\\"d",a="x\\"y", b=~"n|m"}'


@pytest.mark.parametrize("match", ["up", '{a="b"', '{a="b"}[5m]', '{a="b"} or {c="d"}', "{}", '{a="b"} # "}'])
def test_a_match_that_is_more_than_labels_is_none(match: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        inside(match)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, error("execution", "away"), FeedError, "away"),
        (200, b"\n<html>proxy</html>", FeedError, "answered with a page"),
        (200, matrix((START_MS / 1000 + 1, "1"))[:-9], FeedError, "breaks off"),
        (200, b'{"status": "success", "data": {}}', FeedError, "is it a Prometheus"),
        (200, matrix(warnings=["a store is away"]), FeedError, "a store is away"),
        (200, matrix(isPartial=True), FeedError, "lacks the part"),
        (422, error("execution", "would load too many samples"), TooLarge, "too many samples"),
        (503, error("timeout", "query timed out"), TooLarge, "timed out"),
        (503, b"no backend", FeedError, "no backend"),
        (400, error("bad_data", "parse error"), FeedError, "parse error"),
        (502, b"", FeedError, "did not say why"),
        (401, b"", FeedError, "token_file"),
        (404, b"nothing", FeedError, "/select/0/prometheus"),
    ],
)
def test_what_is_no_whole_answer_is_said_and_nothing_else(
    told: Peer, tmp_path: Path, status: int, body: bytes, kind: type[FeedError], words: str
) -> None:
    told.answer = (status, {"Retry-After": "90"}, body)
    with pytest.raises(FeedError, match=words) as raised:
        asked(told, tmp_path)
    assert type(raised.value) is kind
    assert status == 200 or raised.value.wait_s == 90


def test_remarks_are_no_warnings_and_partial_answers_are_taken_where_that_was_said(told: Peer, tmp_path: Path) -> None:
    one = (START_MS / 1000 + 1, "250")
    told.answer = (200, {}, matrix(one, infos=["metric might not be a counter"]))
    assert len(asked(told, tmp_path)) == 1
    told.answer = (200, {}, matrix(one, warnings=["a store is away"], isPartial=True))
    assert len(asked(told, tmp_path, partial=True)) == 1


def test_nobody_is_followed_elsewhere(told: Peer, tmp_path: Path) -> None:
    with peer() as other:
        told.answer = (307, {"Location": f"{other.address}/api/v1/query"}, b"")
        with pytest.raises(FeedError, match="sends elsewhere"):
            asked(told, tmp_path)
        assert other.asked == []


def test_an_answer_is_bounded_packed_and_unpacked(told: Peer, tmp_path: Path) -> None:
    told.answer = (200, {}, b" " * 3_000_000)
    with pytest.raises(TooLarge, match="larger than 1 MiB"):
        asked(told, tmp_path, most_bytes=1 << 20)
    told.answer = (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 30_000_000))
    with pytest.raises(TooLarge, match="larger than 1 MiB"):
        asked(told, tmp_path, most_bytes=1 << 20)
    assert not (tmp_path / "samples").exists()
    one = gzip.compress(matrix((START_MS / 1000 + 1, "250")))
    told.answer = (200, {"Content-Encoding": "gzip"}, one)
    assert asked(told, tmp_path) == [("n1", "node", START_MS + 1_000, 250_000)]


def test_whoever_drips_or_stops_is_left(told: Peer, tmp_path: Path) -> None:
    told.answer, told.drips_s = (200, {}, b" " * 50_000), 0.05
    began = time.monotonic()
    with pytest.raises(TooLarge, match="longer than"):
        asked(told, tmp_path, longest_s=1.0)
    told.drips_s = 3.0
    with pytest.raises(TooLarge, match="no answer within"):
        asked(told, tmp_path, longest_s=0.3)
    assert time.monotonic() - began < 60
    told.answer, told.drips_s = (200, {"Content-Length": "90000"}, matrix()), 0.0
    with pytest.raises(FeedError, match="broke off"):
        asked(told, tmp_path)


def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    own = certificate_of_own(tmp_path)
    with peer(own) as secured:
        with pytest.raises(FeedError, match="certificate is not trusted"):
            asked(secured, tmp_path)
        assert secured.asked == []
        assert asked(secured, tmp_path, ca_file=str(own[0])) == []
        with pytest.raises(FeedError, match="TLS failed"):
            asked(secured, tmp_path, ca_file=str(tmp_path / "gone"))


def test_nobody_there(tmp_path: Path) -> None:
    with peer() as gone:
        pass
    with pytest.raises(FeedError, match="no connection"):
        asked(gone, tmp_path)
    with pytest.raises(FeedError, match="not known here"):
        asked(Peer("http://no-such-host.invalid"), tmp_path)


def test_who_asks_is_read_from_files_each_time_and_never_told(told: Peer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for word in ("one", "two"):
        secret.write_text(f"{word}\n")
        asked(told, tmp_path, token_file=str(secret), tenant="team")
        assert (told.headers["Authorization"], told.headers["X-Scope-OrgID"]) == (f"Bearer {word}", "team")
    asked(told, tmp_path, user="alpha", password_file=str(secret))
    assert told.headers["Authorization"] == "Basic " + b64encode(b"alpha:two").decode()
    told.answer = (401, {}, b"")
    with pytest.raises(FeedError) as raised:
        asked(told, tmp_path, token_file=str(secret))
    assert "two" not in str(raised.value)
    for text in ("", "a\nb", "\x00"):
        secret.write_text(text)
        with pytest.raises(FeedError, match="no token"):
            asked(told, tmp_path, token_file=str(secret))
    with pytest.raises(FeedError, match="cannot be read"):
        asked(told, tmp_path, token_file=str(tmp_path / "gone"))


def line(values: list[object], times: list[object], metric: object = None) -> bytes:
    named = {"__name__": WATTS, "instance": "n1:9290"} if metric is None else metric
    return json.dumps({"metric": named, "values": values, "timestamps": times}).encode() + b"\n"


def exported(data: bytes) -> tuple[list[tuple[int, int]], list[str]]:
    rows, reasons = [], []
    for chunk in export_chunks(io.BytesIO(data), Catalogue(load_mappings(None)), NOW_MS):
        rows += list(zip(chunk.t_ms.tolist(), chunk.value.tolist(), strict=True))
        reasons += [refusal.reason for refusal in chunk.refusals]
    return rows, reasons


def test_an_export_has_its_window_and_stale_markers_are_no_samples(told: Peer, tmp_path: Path) -> None:
    times: list[object] = [START_MS + 1, START_MS + 2, START_MS + 3, START_MS + 4]
    told.answer = (200, {}, line([300.5, None, "Infinity", 12], times) + line([7], [END_MS]))
    found = asked(told, tmp_path, VICTORIA_METRICS)
    assert [row[2:] for row in found] == [(START_MS + 1, 300_500), (START_MS + 4, 12_000), (END_MS, 7_000)]
    [(_, path, fields)] = told.asked
    assert path == "/api/v1/export"
    assert (fields["start"], fields["end"]) == (["1740830400.001"], ["1740831300.000"])
    assert fields["deny_partial_response"] == ["1"]
    told.answer = (200, {}, b"")
    assert asked(told, tmp_path, VICTORIA_METRICS) == []


def test_an_export_that_breaks_off_is_none() -> None:
    whole = line([1.5], [START_MS])
    assert exported(whole) == ([(START_MS, 1_500)], [])
    with pytest.raises(BrokenJson):
        exported(whole + whole[:30])


@pytest.mark.parametrize(
    ("values", "times", "metric"),
    [([1], [1, 2], None), ([[1]], [1], None), ([1], ["x"], None), ([1], [1.5], None), ([1], [2**70], None),
     (["x"], [1], None), ([True], [1], None), ([1], [1], "up")],
)  # fmt: skip
def test_a_series_that_is_none_is_refused_and_the_next_one_read(
    values: list[object], times: list[object], metric: object
) -> None:
    rows, reasons = exported(line(values, times, metric) + line([1.5], [START_MS]))
    assert (rows, reasons) == ([(START_MS, 1_500)], ["unreadable series"])
