"""Why input was refused, as pages say it (docs/formats.md has the list).

In the database, the interface, files, addresses and commands a reason is its English sentence, which never changes.
A page shows it in the reader's language; in English it is that sentence. What a mapping file of a site's own says stays
as it is.
"""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from measurements.services.tokens import NOT_IN_QUARANTINE

_COLUMN = "bad "  # followed by the column's name

NAMES = (  # for the catalogue, which holds what it finds in the code
    pgettext_lazy("refused", "unreadable time"),
    pgettext_lazy("refused", "time without zone"),
    pgettext_lazy("refused", "ambiguous local time"),
    pgettext_lazy("refused", "nonexistent local time"),
    pgettext_lazy("refused", "time out of range"),
    pgettext_lazy("refused", "no time"),
    pgettext_lazy("refused", "unknown node"),
    pgettext_lazy("refused", "zero watts"),
    pgettext_lazy("refused", "below floor"),
    pgettext_lazy("refused", "above ceiling"),
    pgettext_lazy("refused", "from the future (clock skew)"),
    pgettext_lazy("refused", "negative power"),
    pgettext_lazy("refused", "negative counter"),
    pgettext_lazy("refused", "no value (sentinel)"),
    pgettext_lazy("refused", "out of range"),
    pgettext_lazy("refused", "not a number"),
    pgettext_lazy("refused", "power measurement not active"),
    pgettext_lazy("refused", "estimate without a time"),
    pgettext_lazy("refused", "dropped by the sender (buffer full)"),
    pgettext_lazy("refused", "another source feeds this channel"),
    pgettext_lazy("refused", "two series for one channel"),
    pgettext_lazy("refused", "no mapping for this metric"),
    pgettext_lazy("refused", "no mapping for these labels"),
    pgettext_lazy("refused", "series without a name"),
    pgettext_lazy("refused", "unusable label"),
    pgettext_lazy("refused", "name and labels too long"),
    pgettext_lazy("refused", "unreadable series"),
    pgettext_lazy("refused", "no node"),
    pgettext_lazy("refused", "no GPU"),
    pgettext_lazy("refused", "GPU of unknown index"),
    pgettext_lazy("refused", "GPU index out of range"),
    pgettext_lazy("refused", "unreadable line"),
    pgettext_lazy("refused", "line too long"),
    pgettext_lazy("refused", "repeated header"),
    pgettext_lazy("refused", "wrong number of fields"),
    pgettext_lazy("refused", "too few fields"),
    pgettext_lazy("refused", "broken quotes"),
    pgettext_lazy("refused", "truncated gzip"),
    pgettext_lazy("refused", "corrupt gzip"),
    pgettext_lazy("refused", "truncated zstd"),
    pgettext_lazy("refused", "corrupt zstd"),
    pgettext_lazy("refused", "truncated tar"),
    pgettext_lazy("refused", "truncated JSON"),
    pgettext_lazy("refused", "broken JSON"),
    pgettext_lazy("refused", "broken XML"),
    pgettext_lazy("refused", "unusable body"),
    pgettext_lazy("refused", "broken mapping file"),
    pgettext_lazy("refused", "not a record"),
    pgettext_lazy("refused", "not a job"),
    pgettext_lazy("refused", "not a node"),
    pgettext_lazy("refused", "unreadable job"),
    pgettext_lazy("refused", "job described ambiguously"),
    pgettext_lazy("refused", "bad job id"),
    pgettext_lazy("refused", "bad host"),
    pgettext_lazy("refused", "bad hostlist"),
    pgettext_lazy("refused", "unknown state"),
    pgettext_lazy("refused", "no state"),
    pgettext_lazy("refused", "no submit time"),
    pgettext_lazy("refused", "no start time"),
    pgettext_lazy("refused", "no run time"),
    pgettext_lazy("refused", "ended without end"),
    pgettext_lazy("refused", "end before start"),
    pgettext_lazy("refused", "node twice"),
    pgettext_lazy("refused", "node or node_type missing"),
    pgettext_lazy("refused", "unknown level"),
    pgettext_lazy("refused", "subcluster without name"),
    # of series of carbon intensity
    pgettext_lazy("refused", "negative carbon intensity"),
    pgettext_lazy("refused", "carbon intensity above 3000 g/kWh"),
    pgettext_lazy("refused", "slot that is no whole number of quarter hours"),
    pgettext_lazy("refused", "no year or month"),
    pgettext_lazy("refused", "another value for the same time"),
    # of the mapping files that come with it
    pgettext_lazy(
        "refused",
        "a difference shown as a gauge: scrapes miss some and see others twice, so it can't be summed or integrated",
    ),
    pgettext_lazy(
        "refused",
        "a difference since the last reading, not a running total: what is lost between two can't be seen; "
        "send the power",
    ),
    pgettext_lazy(
        "refused",
        "estimated or of unknown origin: a platform's energy is read where its source is ACPI, IPMI or Redfish",
    ),
    pgettext_lazy(
        "refused",
        "its device is named by a PCI address, which is no index: read the GPU with the node agent or dcgm-exporter",
    ),
    pgettext_lazy("refused", "made by rules that hold PUE or a job's share already: send the exporter's own series"),
)


def reason_name(reason: str) -> str:
    """A reason in the reader's language."""
    said = pgettext("refused", reason)
    if said == reason and reason.startswith(_COLUMN):
        return _("bad %(column)s") % {"column": reason.removeprefix(_COLUMN)}
    return said


def identifier(reason: str) -> str:
    """What a reason is called in files, commands and the documentation; empty where the page says just that."""
    return "" if reason_name(reason) == reason else reason


def in_quarantine(reason: str) -> bool:
    """Whether lines refused for a reason are kept: of a body that was never read there are none."""
    return reason not in NOT_IN_QUARANTINE
