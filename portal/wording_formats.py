"""Formats by the names under which a site's admin knows them, and what was seen of a file beyond its format."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from measurements.parsers.shapes import BY_CHANNEL, BY_NODE, LONG
from portal.quantities import whole

Facts = dict[str, Any]
COLUMNS = "sacct:"
TITLES: dict[str, dict[str, Promise]] = {
    "power": {
        "csv": gettext_lazy("CSV table of power"),
        "ptdaemon": gettext_lazy("log of SPEC's PTDaemon"),
        "clustercockpit": gettext_lazy("metrics of a ClusterCockpit job"),
        "nvidia-smi": gettext_lazy("CSV of nvidia-smi"),
        "nvidia-smi-xml": gettext_lazy("XML of nvidia-smi"),
        "ipmitool": gettext_lazy("sensors as ipmitool and FreeIPMI print them"),
        "dcmi": gettext_lazy("DCMI power readings (ipmitool, FreeIPMI, ipmiutil)"),
        "mlperf-training": gettext_lazy("power log of MLPerf Training"),
        "geopm": gettext_lazy("trace of GEOPM"),
        "redfish": gettext_lazy("Redfish resource (JSON)"),
        "prometheus": gettext_lazy("metrics of an exporter (Prometheus text, OpenMetrics)"),
        "prometheus-json": gettext_lazy("answer of Prometheus (JSON)"),
        "victoria-export": gettext_lazy("export of VictoriaMetrics (lines of JSON)"),
        "influx": gettext_lazy("line protocol (Telegraf, cc-metric-collector)"),
    },
    "jobs": {
        "csv": gettext_lazy("plain CSV of jobs"),
        "sacct": gettext_lazy("output of sacct with its header"),
        "sacct-xdmod": gettext_lazy("rows of sacct as XDMoD asks for them"),
        "slurm-json": gettext_lazy("Slurm's JSON (sacct, scontrol, slurmrestd)"),
        "clustercockpit": gettext_lazy("ClusterCockpit job (meta.json)"),
        "pbs": gettext_lazy("accounting log of PBS or TORQUE"),
        "lsf": gettext_lazy("accounting file of LSF (lsb.acct)"),
        "sge": gettext_lazy("accounting file of Grid Engine"),
        "swf": gettext_lazy("trace in Standard Workload Format"),
    },
    "nodes": {
        "csv": gettext_lazy("CSV list of nodes"),
        "clustercockpit": gettext_lazy("ClusterCockpit cluster.json"),
        "scontrol": gettext_lazy("output of scontrol show node"),
    },
    "states": {},
}
_DECLARED = gettext_lazy("rows of sacct with the columns that were said")
_STATES = gettext_lazy("states of nodes as sacctmgr prints them, or as CSV")
_TABLES: dict[str, Promise] = {
    LONG: gettext_lazy("CSV table: one reading a line"),
    BY_NODE: gettext_lazy("wide CSV table: one column a node"),
    BY_CHANNEL: gettext_lazy("wide CSV table: one column a channel"),
}
_DELIMITERS: dict[str, Promise] = {
    ";": gettext_lazy("fields separated by semicolons"),
    "\t": gettext_lazy("fields separated by tabs"),
    "|": gettext_lazy("fields separated by bars"),
}
_PACKED: dict[str, Promise] = {
    "gzip": gettext_lazy("packed with gzip"),
    "zstd": gettext_lazy("packed with zstd"),
    "tar": gettext_lazy("a tar archive"),
    "UTF-16": gettext_lazy("text in UTF-16"),
}


def title(content: str, name: str, shape: Facts | None = None) -> str:
    """What a format is called; of a table also which kind it is."""
    if content == "states":
        return str(_STATES)
    if content == "jobs" and name.startswith(COLUMNS):
        return str(_DECLARED)
    table = _TABLES.get((shape or {}).get("table", "")) if content == "power" and name == "csv" else None
    return str(table or TITLES.get(content, {}).get(name) or name)


def details(found: Facts, content: str) -> str:
    """How many nodes and channels, in which units, how it is written and packed: one line, empty where nothing is."""
    shape = found.get("shape") or {}
    said = _counted(found, content) if content != "nodes" else []
    said += [str(_DELIMITERS[mark]) for mark in (shape.get("delimiter", ""),) if mark in _DELIMITERS]
    said += [_("decimal commas")] if shape.get("decimal_comma") else []
    said += [str(_PACKED[one]) for one in shape.get("packed") or () if one in _PACKED]
    return ", ".join(said)


def _counted(found: Facts, content: str) -> list[str]:
    nodes = sum((found.get("nodes") or {}).get(which, 0) for which in ("known", "unknown"))
    said = [ngettext("%(shown)s node", "%(shown)s nodes", nodes) % {"shown": whole(nodes)}] if nodes else []
    channels = len(found.get("channels") or ()) + (found.get("more_channels") or 0)
    if channels > 1:
        said.append(ngettext("%(shown)s channel", "%(shown)s channels", channels) % {"shown": whole(channels)})
    return said + [_unit(kind, unit) for kind, unit in _units(found)] if content == "power" else said


def _units(found: Facts) -> list[tuple[str, str]]:
    """Kinds of values with their units: a table's as its header says, other formats' as they are kept."""
    units = [(kind, unit) for kind, unit in (found.get("shape") or {}).get("units") or ()]
    kinds = dict.fromkeys(channel["kind"] for channel in found.get("channels") or ())
    return units or [(kind, "J" if kind == "counter" else "W") for kind in kinds]


def _unit(kind: str, unit: str) -> str:
    if kind == "counter":
        return _("energy that only rises, in %(unit)s") % {"unit": _("joules") if unit == "J" else unit}
    return _("power in %(unit)s") % {"unit": _("watts") if unit == "W" else unit}
