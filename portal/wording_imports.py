"""Sentences about a file that was given: what it is, from when, how sure its zone is, what taking it would do."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from measurements.domain.units import datetime_from_ms
from measurements.models import Intake
from measurements.selectors.imports import Import
from portal.cures import lacking, on_page
from portal.quantities import NBSP, duration, number, whole
from portal.wording_formats import details, title

Facts = dict[str, Any]
WIDTH, HEIGHT = 640, 96  # of the small curve, in its own units
TABLE_ROWS = 24
_SIZES = (("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40))
_COVERAGE_DAYS = 92  # that one page of coverage shows
_WORKBOOK = gettext_lazy("It is an Excel workbook: save the sheet as CSV (UTF-8), and give that file.")
_ARCHIVE = gettext_lazy(
    "It is an archive that is not opened here: unpack it and give the files in it, or pack them as .tar.gz."
)
_OTHERWISE_PACKED = gettext_lazy("It is packed in a way that is not read: unpack it, or pack it with gzip or zstd.")
_EXPORT = gettext_lazy("It is no text: export its table as CSV (UTF-8), and give that file.")
_OFTEN = {  # pieces of the sentences of parsers
    "empty; nothing to read": gettext_lazy("The file is empty: was it copied before it was written?"),
    "an Excel workbook": _WORKBOOK,
    "an old Excel workbook": _WORKBOOK,
    "a zip archive": _ARCHIVE,
    "a 7z archive": _ARCHIVE,
    "a RAR archive": _ARCHIVE,
    "packed with xz": _OTHERWISE_PACKED,
    "packed with bzip2": _OTHERWISE_PACKED,
    "a Parquet file": _EXPORT,
    "a SQLite database": _EXPORT,
    "an HDF5 file": _EXPORT,
    ": a PDF": _EXPORT,
    "'==> ": gettext_lazy(
        "It is an archive of files that are read one by one: unpack it, and give all its files together."
    ),
    "not a text file": gettext_lazy("It is no text file: give text in UTF-8, plain or packed with gzip or zstd."),
    "data.json and meta.json are read together": gettext_lazy(
        "A ClusterCockpit job is two files, data.json and meta.json: give the job's folder by its path on the server, "
        "or with the command ingest_power."
    ),
}
_NO_FORMAT = "known formats:"  # of a file of which nothing is known
_LACKED = {  # fields that a file which can't be read asks for
    "node": gettext_lazy("It does not say which node it is of."),
    "time_zone": gettext_lazy("Its times name no zone."),
    "at": gettext_lazy("It does not say when it was taken."),
    "channel": gettext_lazy("It does not say which part of the node it is of."),
    "rename": gettext_lazy("Its columns are called as no node can be."),
}
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
        return _("can't be read so") if one.row.error else _("awaits a decision")
    return str(one.row.get_state_display())


def fault(row: Intake) -> str:
    """Why it can't be read, without what the page says anyway: its name, and all formats there are."""
    said = row.error.removeprefix(row.source).lstrip(":, ").partition(f"; {_NO_FORMAT}")[0]
    return on_page(said)


def plain_fault(row: Intake) -> str:
    """The same in the reader's language, where it is one of those that come often."""
    if said := _often(row):
        return said
    if _NO_FORMAT in row.error:  # what its message names as options is only what may help
        return ""
    return " ".join(str(_LACKED[field]) for field in lacks(row.preview, row) if field in _LACKED)


def brief(row: Intake) -> str:
    """Why it can't be read, for a list: from its row alone."""
    return _often(row) or fault(row)


def _often(row: Intake) -> str:
    return next((str(said) for part, said in _OFTEN.items() if part in row.error), "")


def other_guess(found: Facts, row: Intake) -> str:
    """That a file which can't be read as what was said looks like something else."""
    guess = found.get("guessed")
    if not found.get("fault") or not guess or guess == row.content:
        return ""
    words = {"said": row.get_content_display(), "guess": Intake.Content(guess).label}
    return _("It was given as %(said)s, and looks like %(guess)s: choose that below at “What they hold”.") % words


def folder(source: str) -> str:
    """Where a file lay that was given by its path; empty for an upload."""
    return source.rpartition("/")[0]


def file_name(source: str) -> str:
    """Its name alone."""
    return source.rpartition("/")[2] or source


def recognised(found: Facts, row: Intake) -> str:
    """What the file was read as, and why."""
    name = title(row.content, found.get("format", ""), found.get("shape"))
    words = {"content": row.get_content_display(), "format": name, "details": details(found, row.content)}
    if row.options.get("format"):
        said = _("Read as %(content)s, as was said: %(format)s") % words
    else:
        said = _("Recognised by its beginning as %(content)s: %(format)s") % words
    return f"{said}; {words['details']}." if words["details"] else f"{said}."


def hints(found: Facts) -> list[str]:
    """What is odd about the readings, and what to do if it is so."""
    rising = [channel["name"] for channel in found.get("channels") or () if channel.get("only_rises")]
    if not rising:
        return []
    return [
        _(
            "Readings of %(channels)s never fall, as those of a counter of energy: if it is one, rename its column at "
            "“Columns renamed” to a name with the unit behind it, such as joules or rack1 [kWh]."
        )
        % {"channels": ", ".join(rising[:3])}
    ]


def lacks(found: Facts, row: Intake) -> list[str]:
    """The fields of the form that would make a file usable, as it calls them."""
    if found.get("usable"):
        return []
    reasons = [one["reason"] for one in found.get("refused") or ()]
    fields = [option.replace("-", "_") for option in lacking(row.error, reasons)]
    if found.get("naive") and not row.options.get("time_zone") and "time_zone" not in fields:
        fields.append("time_zone")
    return fields


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
    if found.get("naive") is None and row.options.get("at"):
        return _("It says no time itself: what was said counts.")
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
        said = ngettext("%(shown)s node would be new or changed.", "%(shown)s nodes would be new or changed.", count)
        return [said % {"shown": whole(count)}]
    if row.content == Intake.Content.STATES:
        said = ngettext("%(shown)s state would be new or changed.", "%(shown)s states would be new or changed.", count)
        return [said % {"shown": whole(count)}]
    return _of_days(found)


def _of_days(found: Facts) -> list[str]:
    days = found.get("days", 0)
    if not days:
        return []
    words = {"count": whole(days), "first": _day(found["first_day"]), "last": _day(found["last_day"])}
    said = [
        _("The figures of %(first)s (UTC) are made anew.") % words
        if days == 1
        else _("It touches %(count)s UTC days from %(first)s to %(last)s: their figures are made anew.") % words
    ]
    booked = found.get("booked_days", 0)
    if booked and days == 1:
        said.append(_("There are figures of that day already."))
    elif booked:
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
