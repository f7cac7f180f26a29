"""Which power format a source is in, by its content; file names say nothing.

A new format: a module with ``matches`` and ``read``, and one entry here. The first entry that
matches is taken: plain CSV, which is read most freely, comes last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from measurements.parsers import (
    clustercockpit,
    geopm,
    ipmi_dcmi,
    ipmi_sdr,
    line_protocol,
    mlperf_log,
    nvidia_smi_csv,
    nvidia_smi_xml,
    openmetrics,
    power_csv,
    prometheus_json,
    ptdaemon,
    redfish_json,
    victoria_export,
)
from measurements.parsers.csv_layout import DELIMITERS
from measurements.parsers.records import ParseOptions, PowerChunk, UnusableFile
from measurements.parsers.source import Source
from measurements.parsers.tar_text import FILE_LINE, dated_name, node_of_path


def nothing_named(_path: str) -> None:
    """Most formats name their nodes inside, or not at all."""


@dataclass(frozen=True, slots=True)
class PowerParser:
    """One power format: how it is called, how it is known, how it is read.

    ``matches(head)`` gets the first 64 KiB as text; ``read(source, options, now_ms)`` gives
    the samples and raises nothing but UnusableFile.
    """

    name: str
    looks_like: str  # for messages
    matches: Callable[[str], bool]
    read: Callable[[Source, ParseOptions, int], Iterator[PowerChunk]]
    named: Callable[[str], str | None] = nothing_named  # what the file's name says of the node
    by_mappings: bool = False  # whether what it gives depends on mapping files


POWER_PARSERS: dict[str, PowerParser] = {
    parser.name: parser
    for parser in (
        PowerParser(
            "clustercockpit",
            "a job folder with meta.json and data.json[.gz]",
            clustercockpit.matches_power,
            clustercockpit.read_power,
        ),
        PowerParser("ptdaemon", "Time,MM-DD-YYYY HH:MM:SS.mmm,Watts,W,…", ptdaemon.matches, ptdaemon.read),
        PowerParser("nvidia-smi", "timestamp, index, power.draw [W]", nvidia_smi_csv.matches, nvidia_smi_csv.read),
        PowerParser("nvidia-smi-xml", "<nvidia_smi_log>", nvidia_smi_xml.matches, nvidia_smi_xml.read),
        PowerParser(
            "ipmitool",
            "Sys Power | 270 Watts | ok (sdr, sensor, ipmi-sensors)",
            ipmi_sdr.matches,
            ipmi_sdr.read,
            dated_name,
        ),
        PowerParser(
            "dcmi",
            "Instantaneous power reading: 2578 Watts (ipmitool, FreeIPMI, ipmiutil)",
            ipmi_dcmi.matches,
            ipmi_dcmi.read,
            dated_name,
        ),
        PowerParser(
            "mlperf-training", ':::MLLOG {…"power_reading"…}', mlperf_log.matches, mlperf_log.read, node_of_path
        ),
        PowerParser("geopm", "# geopm_version, then TIME|…|BOARD_ENERGY|…", geopm.matches, geopm.read),
        PowerParser(
            "redfish",
            "a Redfish resource: Power, EnvironmentMetrics, Sensor",
            redfish_json.matches,
            redfish_json.read,
            str,
        ),
        PowerParser(
            "prometheus",
            'metric{label="value"} 1.5 [time]',
            openmetrics.matches,
            openmetrics.read,
            by_mappings=True,
        ),
        PowerParser(
            "prometheus-json",
            'an answer of Prometheus: {"status": …, "data": {"resultType": …, "result": […]}}',
            prometheus_json.matches,
            prometheus_json.read,
            by_mappings=True,
        ),
        PowerParser(
            "victoria-export",
            'an export of VictoriaMetrics: {"metric": {…}, "values": […], "timestamps": […]}',
            victoria_export.matches,
            victoria_export.read,
            by_mappings=True,
        ),
        PowerParser(
            "influx",
            "measurement,tag=value field=1.5 [time]",
            line_protocol.matches,
            line_protocol.read,
            by_mappings=True,
        ),
        PowerParser("csv", "timestamp,node,watts[,channel]", power_csv.matches, power_csv.read),
    )
}


def _cure(first: str) -> str:
    """What helps with some that are not known, by their first line."""
    if re.fullmatch(FILE_LINE, first.strip()):
        return "; files of this kind are not read from an archive: unpack it and give the folder"
    if re.match(r"# ?(?:Date,?\s+)?(?:Time,?\s+)?gpu\b.*\bpwr\b", first):
        asked = "nvidia-smi --query-gpu=timestamp,index,power.draw --format=csv"
        return f"; of nvidia-smi dmon there is no reader: log {asked}"
    if first[:1] not in "{[<" and any(delimiter in first for delimiter in DELIMITERS):
        return "; of a table say what its columns are: --format csv --rename COLUMN=timestamp …"
    return ""


def detect_power(source: Source, fmt_override: str | None = None) -> PowerParser:
    """The parser for a source; ``fmt_override`` names it outright."""
    if fmt_override is not None:
        if fmt_override not in POWER_PARSERS:
            raise UnusableFile(f"no power format {fmt_override!r}; known: {', '.join(POWER_PARSERS)}")
        return POWER_PARSERS[fmt_override]
    head = source.head().decode("utf-8", errors="replace")
    for parser in POWER_PARSERS.values():
        if parser.matches(head):
            return parser
    first = next((line for line in head.splitlines() if line.strip()), "")
    known = "; ".join(f"{parser.name} ({parser.looks_like})" for parser in POWER_PARSERS.values())
    raise UnusableFile(
        f"{source.name}, line 1: no power log that is known: {first[:120]!r}{_cure(first)}; known formats: {known}; "
        "name the format with --format if it is one of them"
    )
