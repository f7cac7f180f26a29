"""What the chart of an edition is drawn from: a row's interval as a bar, its figure as a mark, in the document's order.

It is drawn as `portal.charts_spread` has it, by static/js/ranges.js.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from measurements.domain.board_document import BandRow, Document, NamedRow
from portal import wording_editions as in_words
from portal.board_rows import rows_of
from portal.charts import Payload


def interval_chart(document: Document) -> Payload | None:
    """Rows with a figure; None where there is none."""
    rows = [row for row in rows_of(document) if row.value is not None]
    if not rows:
        return None
    names = [row.band if isinstance(row, BandRow) else row.name for row in rows]
    return {
        "title": _("Figures with their intervals"),
        "unit": in_words.unit(document.measure),
        "labels": names,
        "titles": names,
        "rows": [_row(row, document) for row in rows],
        "words": {"half": _("interval (%(level)s)") % {"level": in_words.level(document)}, "median": _("figure")},
    }


def _row(row: BandRow | NamedRow, document: Document) -> Payload:
    size = in_words.shown_size(document.measure)
    value = (row.value or 0.0) * size
    low, high = (value if end is None else end * size for end in (row.low, row.high))
    open_end = [_("The interval is open.")] if row.low is None or row.high is None else []
    return {"low": low, "median": value, "high": high, "interval": None, "notes": open_end}
