"""Bodies of long tables: a year has a row a day, and a template takes its time over each cell."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def table_rows(rows: Sequence[Sequence[str]], heading_class: str = "") -> SafeString:
    """Rows of a label and its cells, all of them texts and equally many."""
    heading = format_html(' class="{}"', heading_class) if heading_class else ""
    cells = "<td>{}</td>" * (len(rows[0]) - 1) if rows else ""
    return format_html_join("\n", f'<tr><th scope="row"{heading}>{{}}</th>{cells}</tr>', rows)
