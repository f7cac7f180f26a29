"""The body of the list of jobs: in Python, because fifty rows of a template cost more than all queries of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from measurements.selectors.joblist import JobRow
from portal.quantities import Unit, percent
from portal.templatetags.quantities import minute, of_unit, plain_number, quality_word
from portal.wording_jobs import state_name
from portal.wording_report import phase_word

NAME_LENGTH = 60
register = template.Library()


@dataclass(frozen=True, slots=True)
class _Words:
    """What stands in every row, translated once."""

    compare: str
    user: str
    started: str
    state: str
    hours: str
    energy: str
    coverage: str
    quality: str
    none: str


@register.simple_tag
def job_rows(rows: Sequence[JobRow], unit: Unit, *, several_users: bool, several_clusters: bool) -> SafeString:
    """Rows with a box to tick, as the heading of `_job_rows.html` names them."""
    words = _Words(
        compare=_("Compare"),
        user=_("User"),
        started=_("Started"),
        state=_("State"),
        hours=_("Node-hours"),
        energy=f"{_('Energy')} [{unit.label}]",
        coverage=_("Coverage"),
        quality=_("Quality"),
        none=_("no measurement"),
    )
    shown = (_row(row, unit, words, user=several_users, cluster=several_clusters) for row in rows)
    return format_html_join("\n", '<tr role="row">{}</tr>', ((row,) for row in shown))


def _row(row: JobRow, unit: Unit, words: _Words, *, user: bool, cluster: bool) -> SafeString:
    cells = [_box(row, words), _heading(row, cluster=cluster), *_cells(row, unit, words)]
    if user:
        cells.insert(2, _user(row, words))
    return format_html_join("", "{}", ((cell,) for cell in cells))


def _box(row: JobRow, words: _Words) -> SafeString:
    start = f"/{_start(row)}" if row.id_used_again else ""
    return format_html(
        '<td role="cell" class="tick"><input type="checkbox" name="job" value="{}/{}{}" aria-label="{} {}"></td>',
        row.cluster,
        row.job_id,
        start,
        words.compare,
        row.job_id,
    )


def _start(row: JobRow) -> str:
    return "" if row.start_ms is None else str(row.start_ms)


def _heading(row: JobRow, *, cluster: bool) -> SafeString:
    query = f"?start={_start(row)}" if row.id_used_again else ""
    where = format_html(' <span class="fine">{}</span>', row.cluster) if cluster else ""
    name = Truncator(row.name).chars(NAME_LENGTH) if len(row.name) > NAME_LENGTH else row.name
    return format_html(
        '<th role="rowheader" scope="row"><a href="{}{}">{}</a>{}{}{}</th>',
        reverse("job", args=[row.cluster, row.job_id]),
        query,
        row.job_id,
        where,
        format_html(' <span class="name">{}</span>', name) if name else "",
        _counts_as(row.workload, row.phase) if row.workload or row.phase else "",
    )


def _counts_as(workload: str, phase: str) -> SafeString:
    """Workload, which leads to its page, and phase."""
    link = format_html('<a href="{}">{}</a> ', reverse("workload", args=[workload]), workload) if workload else ""
    return format_html(' <span class="fine counts-as">{}{}</span>', link, phase_word(phase))


def _user(row: JobRow, words: _Words) -> SafeString:
    account = format_html(' <span class="fine">{}</span>', row.account) if row.account else ""
    return format_html(
        '<td role="cell" class="text" data-label="{}">{}{}</td>', words.user, row.username or "–", account
    )


def _cells(row: JobRow, unit: Unit, words: _Words) -> Iterator[SafeString]:
    none = format_html('<span class="none">{}</span>', words.none)
    quality = format_html('<span class="quality {}">{}</span>', row.quality, quality_word(row.quality))
    yield from (
        format_html('<td role="cell"{} data-label="{}">{}</td>', kind, label, value)
        for kind, label, value in (
            (_TEXT, words.started, minute(row.started_at)),
            (_TEXT, words.state, format_html('<span class="state">{}</span>', state_name(row.state))),
            ("", words.hours, plain_number(row.node_hours)),
            ("", words.energy, none if row.energy_j is None else of_unit(row.energy_j, unit)),
            ("", words.coverage, percent(row.coverage)),
            (_TEXT, words.quality, quality),
        )
    )


_TEXT = SafeString(' class="text"')
