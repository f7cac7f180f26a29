"""Bodies of long tables: a year has a row a day, and a template takes its time over each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from portal.views.calendar import Day

register = template.Library()


@register.simple_tag
def table_rows(rows: Sequence[Sequence[str]], heading_class: str = "") -> SafeString:
    """Rows of a label and its cells, all of them texts and equally many."""
    heading = format_html(' class="{}"', heading_class) if heading_class else ""
    cells = "<td>{}</td>" * (len(rows[0]) - 1) if rows else ""
    return format_html_join("\n", f'<tr><th scope="row"{heading}>{{}}</th>{cells}</tr>', rows)


@register.simple_tag
def heat_rows(months: Sequence[tuple[str, Sequence[Day]]]) -> SafeString:
    """Rows of a month and its days; one without an address is empty."""
    rows = ((name, format_html_join("", "{}", ((_heat_cell(day),) for day in days))) for name, days in months)
    return format_html_join("\n", '<tr><th scope="row">{}</th>{}</tr>', rows)


def _heat_cell(day: Day) -> SafeString:
    if not day.address:
        return _NO_DAY
    return format_html(_HEAT_CELL, style=day.style, address=day.address, said=escape(day.said), shown=day.shown)


_NO_DAY = format_html("<td>{}</td>", "")
_HEAT_CELL = '<td class="{style}"><a href="{address}" aria-label="{said}" title="{said}">{shown}</a></td>'
