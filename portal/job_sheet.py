"""Jobs as a table to take away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, cast

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from measurements.selectors.joblist import JobRow
from portal.csvs import Cell
from portal.exports import MOST_ROWS, SHARE, TIME, Column, Sheet


def jobs_sheet(rows: Iterable[JobRow], asked: str) -> Sheet:
    """Jobs in base units; ``asked`` is the filter in words."""
    method = _("Energy of compute nodes as their meters show it: no cooling, no network, no storage.")
    about = {"filter": asked or _("All jobs"), "method": method}
    return Sheet("jobs", _("Jobs"), _columns(), (_cells(row) for row in rows), about, MOST_ROWS)


def _columns() -> list[Column]:
    return [
        Column("cluster"),
        Column("job_id"),
        Column("name"),
        Column("user"),
        Column("account", description=_("Project")),
        Column("partition"),
        Column("state", description=_("As the batch system says it")),
        Column("start", TIME, _("Start of the first run")),
        Column("end", TIME, _("End of the last run; empty: still running")),
        Column("node_hours", "h", _("Time on its nodes, each counted whole")),
        Column("energy_j", "J", _("Measured; empty: nothing was")),
        Column("gpu_energy_j", "J", _("GPUs' part of energy_j")),
        Column("filled_j", "J", _("Reported or estimated where nothing was measured; not in energy_j")),
        Column("coverage", SHARE, _("Measured share of the time on nodes")),
        Column("quality", description=_("How the energy is known")),
        Column("workload", description=_("What it counts as")),
        Column("phase"),
    ]


def _cells(row: JobRow) -> list[Cell]:
    return [
        row.cluster, row.job_id, row.name, row.username, row.account, row.partition, row.state,
        row.started_at, row.ended_at, row.node_hours, row.energy_j,
        row.gpu_energy_j if row.energy_j is not None else None, row.filled_j, row.coverage, row.quality,
        row.workload, row.phase,
    ]  # fmt: skip


def filter_in_words(form: forms.Form) -> str:
    """What a filter asks for, as its form names it; nothing of one that asks for nothing."""
    asked = [(form.fields[name], value) for name, value in form.cleaned_data.items() if value not in (None, "", False)]
    return "; ".join(f"{field.label}{_shown(field, value)}" for field, value in asked)


def _shown(field: forms.Field, value: Any) -> str:
    if value is True:
        return ""
    if isinstance(field, forms.ChoiceField):
        return f": {dict(cast(Any, field.choices)).get(value, value)}"
    return f": {date_format(value) if isinstance(value, date) else value}"
