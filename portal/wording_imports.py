"""Sentences about a file that was given: what it is, from when, how sure its zone is, what taking it would do."""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.units import datetime_from_ms
from measurements.models import Intake
from measurements.selectors.imports import Import
from portal.quantities import NBSP, duration, number

Facts = dict[str, Any]
WIDTH, HEIGHT = 640, 96  # of the small curve, in its own units
TABLE_ROWS = 24
_SIZES = (("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40))
_COVERAGE_DAYS = 92  # that one page of coverage shows
FIELDS = {  # what the commands' options are called on the page, for sentences that name them
    "node": "Node",
    "channel": "Channel",
    "time-zone": "Time zone",
    "at": "Taken at",
    "rename": "Columns renamed",
    "format": "Format",
    "interval": "Interval",
    "precision": "Time stamps count",
}
_FLAG = re.compile(rf"(?:with )?--({'|'.join(FIELDS)})\b")
STATE_SHAPES = {
    Intake.State.TRIED: "warn",
    Intake.State.WITHDRAWN: "off",
    Intake.State.DONE: "ok",
    Intake.State.FAILED: "bad",
}


def size(count: float | None) -> str:
    """1.5 GiB."""
    if count is None:
        return "–"
    if count < _SIZES[1][1]:
        return f"{count:.0f}{NBSP}B"
    label, unit = next((label, unit) for label, unit in reversed(_SIZES) if count >= unit)
    return f"{number(count / unit)}{NBSP}{label}"


def shape(one: Import) -> str:
    """Which sign stands before its state."""
    if one.at_work:
        return "run" if one.begun else "wait"
    if one.row.state == Intake.State.TRIED and one.row.error:
        return "bad"
    return STATE_SHAPES.get(Intake.State(one.row.state), "wait")


def state(one: Import) -> str:
    """In a word or two."""
    if one.row.state == Intake.State.TRYING:
        return _("being tried") if one.begun else _("to be tried")
    if one.row.state == Intake.State.QUEUED:
        return _("being taken") if one.begun else _("waits to be taken")
    if one.row.state == Intake.State.TRIED:
        return _("can't be read so") if one.row.error else _("decide")
    return str(one.row.get_state_display())


def fault(row: Intake) -> str:
    """Why it can't be read, without what the page says anyway: its name, and all formats there are."""
    said = row.error.removeprefix(row.source).lstrip(":, ").partition("; known formats:")[0]
    return _FLAG.sub(lambda flag: f"at “{FIELDS[flag[1]]}” below", said)


def folder(source: str) -> str:
    """Where a file lay that was given by its path; empty for an upload."""
    return source.rpartition("/")[0]


def file_name(source: str) -> str:
    """Its name alone."""
    return source.rpartition("/")[2] or source


def recognised(found: Facts, row: Intake) -> str:
    """What the file was read as, and why."""
    words = {"content": row.get_content_display(), "format": found.get("format", "")}
    if row.options.get("format"):
        return _("Read as %(content)s in the format %(format)s, as was said.") % words
    if found.get("looks_like"):
        words["like"] = found["looks_like"]
        return (
            _("Recognised by its beginning as %(content)s in the format %(format)s, which looks like this: %(like)s")
            % words
        )
    return _("Recognised by its beginning as %(content)s in the format %(format)s.") % words


def part(found: Facts) -> str:
    """That figures are of a part."""
    cut = found.get("part")
    if not cut:
        return ""
    return _(
        "Only the beginning was tried: %(done)s of %(all)s. All figures below are of this part; taking it takes the "
        "whole file."
    ) % {"done": size(cut["bytes"]), "all": size(cut["of"])}


def span(found: Facts) -> str:
    """From when until when."""
    if found.get("first_ms") is None:
        return "–"
    first, last = (localtime(datetime_from_ms(found[key])) for key in ("first_ms", "last_ms"))
    form = pgettext("minute", "j M Y, H:i")
    return f"{date_format(first, form)} – {date_format(last, form)}"


def zone(found: Facts, row: Intake) -> str:
    """Which zone was assumed, and how sure that is."""
    said = row.options.get("time_zone", "")
    if found.get("naive") is None:
        return _("Nothing could be seen of whether its times name their zone.")
    if not found["naive"]:
        sure = _("Its times say themselves when they are: nothing was assumed.")
        return f"{sure} {_('The zone that was said is not needed.')}" if said else sure
    if not said:
        return _("Its times name no zone, and none was said: choose the zone of the clock that wrote them.")
    return _(
        "Its times name no zone: they were read as %(zone)s because that was said. Nothing in the file can prove it; "
        "compare the span above with what you know."
    ) % {"zone": said}


def interval(found: Facts) -> str:
    """The time between two readings."""
    return duration(found["interval_s"]) if found.get("interval_s") else "–"


def effect(found: Facts, row: Intake) -> list[str]:
    """What taking it would change."""
    if not found.get("stored") and not found.get("pending"):
        return [_("Nothing: all that can be used of it is known already.")] if found.get("usable") else []
    count = found["stored"]
    if row.content == Intake.Content.NODES:
        said = ngettext("%(count)d node would be new or changed.", "%(count)d nodes would be new or changed.", count)
        return [said % {"count": count}]
    if row.content == Intake.Content.STATES:
        said = ngettext("%(count)d state would be new or changed.", "%(count)d states would be new or changed.", count)
        return [said % {"count": count}]
    return _of_days(found)


def _of_days(found: Facts) -> list[str]:
    days = found.get("days", 0)
    if not days:
        return []
    words = {"count": days, "first": _day(found["first_day"]), "last": _day(found["last_day"])}
    said = [
        _("The figures of %(first)s (UTC) are made anew.") % words
        if days == 1
        else _("It touches %(count)d UTC days from %(first)s to %(last)s: their figures are made anew.") % words
    ]
    booked = found.get("booked_days", 0)
    if booked:
        said.append(
            ngettext("%(count)d of them has figures already.", "%(count)d of them have figures already.", booked)
            % {"count": booked}
        )
    sealed = found.get("sealed_days", 0)
    if sealed:
        said.append(
            ngettext(
                "%(count)d of them is sealed and stays as it is: what concerns it is kept aside as a correction.",
                "%(count)d of them are sealed and stay as they are: what concerns them is kept aside as corrections.",
                sealed,
            )
            % {"count": sealed}
        )
    return said


def _day(iso: str) -> str:
    return date_format(date.fromisoformat(iso), pgettext("day", "D j M Y"))


def days_links(row: Intake) -> list[tuple[str, str]]:
    """Where the days can be looked at that a file touched."""
    found = row.preview
    if not found.get("first_day"):
        return []
    first, last = date.fromisoformat(found["first_day"]), date.fromisoformat(found["last_day"])
    period: Facts = {"first": max(first, date.fromordinal(last.toordinal() - _COVERAGE_DAYS + 1)), "last": last}
    coverage = urlencode(period | {"cluster": row.cluster.name})
    return [
        (_("Coverage of these days"), f"{reverse('coverage')}?{coverage}"),
        (_("Power of these days"), f"{reverse('cluster', args=[row.cluster.name])}?{urlencode(period)}"),
    ]


def drawing(found: Facts) -> Facts | None:
    """The small curve: its line in the units of a picture, a sentence and a table."""
    curve = found.get("curve")
    if not curve:
        return None
    points: list[tuple[int, float]] = [(int(ms), float(watts)) for ms, watts in curve["points"]]
    top = max(watts for _, watts in points) or 1.0
    start, length = points[0][0], points[-1][0] - points[0][0]
    path: list[str] = []
    before: int | None = None
    for ms, watts in points:
        place = f"{WIDTH * (ms - start) / length:.1f} {HEIGHT - (HEIGHT - 4) * max(watts, 0.0) / top - 2:.1f}"
        joined = before is not None and ms - before <= curve["step_ms"]
        path.append(f"{'L' if joined else 'M'}{place}")
        before = ms
    every = -(-len(points) // TABLE_ROWS)
    return {
        "channel": curve["channel"],
        "path": " ".join(path),
        "box": f"0 0 {WIDTH} {HEIGHT}",
        "low_w": min(watts for _, watts in points),
        "high_w": top,
        "step_s": curve["step_ms"] / 1000,
        "rows": [(datetime_from_ms(ms), watts) for ms, watts in points[::every]],
        "thinned": every > 1,
    }
