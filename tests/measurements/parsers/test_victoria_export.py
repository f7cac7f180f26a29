"""Files that VictoriaMetrics exported: lines of JSON, of which one may be broken, and lines of many samples."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from measurements.parsers.records import ParseOptions
from measurements.parsers.source import LINE_LIMIT_BYTES
from tests.measurements.parsers.reading import ms, read_log, source_of

T0_MS = ms("2025-03-01T12:00:00Z")
METRIC = {"__name__": "ipmi_dcmi_power_consumption_watts", "instance": "n1:9290"}


def line(values: list[Any], times: list[Any], **labels: str) -> str:
    return json.dumps({"metric": METRIC | labels, "values": values, "timestamps": times}, separators=(",", ":")) + "\n"


def test_each_line_is_a_series_or_a_part_of_one_and_null_is_no_sample(tmp_path: Path) -> None:
    text = line([300.5, None], [T0_MS, T0_MS + 10_000]) + line([7], [T0_MS], instance="n}2:9290") + "\n"
    text += line([301], [T0_MS + 20_000])
    for content in (text.encode(), gzip.compress(text.encode()), text.removesuffix("\n").encode()):
        log = read_log(source_of(tmp_path, content))
        assert log.rows == [
            ("n1", "node", T0_MS, 300_500, 1), ("n}2", "node", T0_MS, 7_000, 3),
            ("n1", "node", T0_MS + 20_000, 301_000, 4),
        ]  # fmt: skip
        assert log.refused == []


def test_a_broken_line_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    text = line([1], [T0_MS]) + '{"metric": {}\n' + line([1, 2], [T0_MS]) + line([3], [T0_MS + 1])
    log = read_log(source_of(tmp_path, text + line([4], [T0_MS + 2])[:60]))
    assert [row[2:] for row in log.rows] == [(T0_MS, 1_000, 1), (T0_MS + 1, 3_000, 4)]
    assert log.refused == [("broken JSON", 2), ("unreadable series", 3), ("truncated JSON", 5)]


def test_a_line_with_a_day_of_seconds_is_read_although_other_texts_have_no_such_lines(tmp_path: Path) -> None:
    count = 86_400
    text = line([300 + i % 7 for i in range(count)], [T0_MS + 1_000 * i for i in range(count)])
    assert len(text) > LINE_LIMIT_BYTES
    log = read_log(source_of(tmp_path, text), ParseOptions())
    assert (len(log.rows), log.refused) == (count, [])
    assert sum(value for *_, value, _ in log.rows) == 1_000 * sum(300 + i % 7 for i in range(count))
