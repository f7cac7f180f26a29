"""What to do about lines that were refused in a trial: as everywhere, but for its own options (docs/trial.md)."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from measurements.parsers.times import REASONS, TimeFault
from portal.cures import BROKEN, COMMON

_OWN: dict[str, Promise] = {
    REASONS[TimeFault.NO_ZONE]: gettext_lazy(
        "say the zone of the file's clock: TIME_ZONE=Europe/Berlin, say, or TIME_ZONE=UTC"
    ),
    REASONS[TimeFault.NONEXISTENT]: gettext_lazy("the clock was set forward over it: is TIME_ZONE right?"),
    "unknown node": gettext_lazy("no such node is described: name it in NODES, or leave out --no-guess"),
    "above ceiling": gettext_lazy(
        "more than ceiling_w of the node, or 1 MW where none is stated: watts, or milliwatts?"
    ),
    "no node": gettext_lazy("the node's name is empty: ARGS='--node NAME' says it for the whole file"),
}
_CURES = COMMON | _OWN


def cure_of(reason: str) -> str:
    """What to do about lines refused for a reason."""
    if reason.startswith("bad ") and reason not in _CURES:
        return _("the column %(name)s cannot be read: look at the line in the file") % {
            "name": reason.removeprefix("bad ")
        }
    return str(_CURES.get(reason, BROKEN))
