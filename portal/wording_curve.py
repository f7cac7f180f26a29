"""Sentences of a power curve: which part of it is shown, what was drawn in it, and why there is no such part."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from measurements.domain.curves import PartRefused, Refusal, Span
from measurements.domain.quality import ratio
from measurements.domain.units import MS_PER_S, datetime_from_ms
from measurements.selectors.curve import JobCurve
from portal.quantities import NBSP, duration, format_quantity, percent

MINUTE_S = 60


def span_words(span: Span) -> str:
    """10 Mar 2025, 01:00:00 to 01:30:00; the day comes again only where it is another."""
    start, end = (localtime(datetime_from_ms(ms)) for ms in (span.start_ms, span.end_ms))
    same = start.date() == end.date()
    return _("%(start)s to %(end)s") % {
        "start": date_format(start, pgettext("moment", "j M Y, H:i:s")),
        "end": date_format(end, pgettext("second on an axis", "H:i:s") if same else pgettext("moment", "j M Y, H:i:s")),
    }


def shown_sentence(curve: JobCurve) -> str:
    """Which part is shown, how finely, and what its nodes drew in it."""
    buckets = len(curve.total.mean_w)
    values = {"span": span_words(curve.shown), "each": step_words(curve.shown.length_ms / MS_PER_S / buckets)}
    if curve.shown == curve.whole:
        said = _("The whole job is shown, %(each)s a point.") % values
    else:
        said = _("Shown is %(span)s, %(each)s a point.") % values
    return f"{said} {drawn_sentence(curve)}"


def step_words(seconds: float) -> str:
    """How long a point is: 3.6 s, 1 min 5 s."""
    if seconds < MINUTE_S:
        return f"{number_format(Decimal(f'{seconds:.3g}'))}{NBSP}{_('s')}"
    return duration(seconds)


def drawn_sentence(curve: JobCurve) -> str:
    """Lowest and highest power, energy, coverage of what is shown."""
    total = curve.total
    coverage = ratio(float(total.covered_ms.sum()), float(total.held_ms.sum()))
    if not coverage:
        return _("Nothing was measured in this time.")
    said = [_("Energy of its nodes: %(energy)s.") % {"energy": format_quantity(curve.energy_j, "energy")}]
    if not np.isnan(total.min_w).all():
        low, high = (format_quantity(float(w), "power") for w in (np.nanmin(total.min_w), np.nanmax(total.max_w)))
        said.insert(0, _("Power: %(low)s to %(high)s.") % {"low": low, "high": high})
    if coverage < 1:
        said.append(_("Measured: %(share)s.") % {"share": percent(coverage)})
    return " ".join(said)


def refused_sentence(refused: PartRefused) -> str:
    """Why a part of a curve is not shown, and what would be."""
    return {
        Refusal.NO_TIMES: _("A part of the curve is named by two times: from and to, in milliseconds since 1970."),
        Refusal.NO_LENGTH: _("This part of the curve would end before it begins."),
        Refusal.OUTSIDE: _("This part of the curve lies outside of the job's time."),
        Refusal.TOO_SHORT: _("This part of the curve is too short: it needs at least %(shortest)s.")
        % {"shortest": step_words(refused.shortest_ms / MS_PER_S)},
        Refusal.TOO_MUCH: _("This part of the curve has too many samples to be drawn at once. Choose a shorter one."),
    }[refused.reason]
