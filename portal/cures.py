"""What to do about lines that were refused, by reason (docs/formats.md): the one place where it is said.

The trial says a few of them otherwise (`portal.trial.cures`), for its options are called otherwise.
"""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from measurements.parsers.times import REASONS, TimeFault

BROKEN = gettext_lazy("the line is broken there: look at it in the file, and at what writes the file")
COPY = gettext_lazy("the file breaks off there; all whole lines before it were taken: copy the file anew")
_ID = gettext_lazy("a job id such as 123, 36_1 or 93+1, or one word of another batch system")

COMMON: dict[str, Promise] = {
    REASONS[TimeFault.UNREADABLE]: gettext_lazy("write times as ISO 8601 with an offset, or as epoch seconds"),
    REASONS[TimeFault.AMBIGUOUS]: gettext_lazy(
        "the hour comes twice, for the clock was set back: export with TZ=UTC, or log with an offset"
    ),
    REASONS[TimeFault.OUT_OF_RANGE]: gettext_lazy(
        "before 2000 or more than a day ahead, often epoch milliseconds: epoch times are in seconds"
    ),
    "zero watts": gettext_lazy("a powered node never draws 0 W: the sensor gave no value"),
    "below floor": gettext_lazy("less than floor_w of a node that is on: was it off? Then load its states"),
    "from the future (clock skew)": gettext_lazy("its clock is ahead of the site's: set it, then try them again"),
    "negative power": gettext_lazy("a node draws no negative power: check sign and sensor"),
    "negative counter": gettext_lazy("a counter of energy is never negative: check the sensor"),
    "no value (sentinel)": gettext_lazy("the sensor's mark for 'no value', not a reading"),
    "out of range": gettext_lazy("no power or energy is that large: check the unit"),
    "not a number": BROKEN,
    "wrong number of fields": BROKEN,
    "too few fields": BROKEN,
    "bad exec_host": gettext_lazy("the list of hosts can't be read: was the line cut?"),
    "job described ambiguously": gettext_lazy("a job's name may pretend to be another field: it is left out"),
    "unreadable line": BROKEN,
    "broken quotes": gettext_lazy("a quoted field that is not closed, or text behind it"),
    "another source feeds this channel": gettext_lazy(
        "two sensors of one thing are never mixed: leave one of them out"
    ),
    "GPU of unknown index": gettext_lazy("nothing says which index this GPU has: log its index beside its UUID"),
    "no mapping for this metric": gettext_lazy(
        "nobody said what this metric is: a mapping file does (docs/how-to/add-an-exporter.md)"
    ),
    "no mapping for these labels": gettext_lazy(
        "the metric is known, but not with these labels: a mapping file says it"
    ),
    "series without a name": gettext_lazy("ask Prometheus for the metric itself, not for a function or a sum of it"),
    "unusable label": gettext_lazy("no node or channel can be called so: correct the label, or name another one"),
    "two series for one channel": gettext_lazy("two series say different things of one channel: keep one of them"),
    "repeated header": gettext_lazy("files put together: each line was read by the first header; give them one by one"),
    "line too long": gettext_lazy("more than 1 MiB without a line end: is it a text file?"),
    "truncated gzip": COPY,
    "truncated tar": COPY,
    "broken XML": gettext_lazy("the document breaks off there; what stands before it was taken: copy the file anew"),
    "no time": gettext_lazy("a snapshot that does not say when it was taken: log it with a time above it"),
    "no GPU": gettext_lazy("the line does not say which GPU it is of: query index or uuid as well"),
    "power measurement not active": gettext_lazy(
        "the BMC says that it does not measure: activate it (ipmitool dcmi power activate)"
    ),
    "estimate without a time": gettext_lazy("a constant estimate is no reading: meter it, or leave it out"),
    "corrupt gzip": COPY,
    "truncated zstd": COPY,
    "corrupt zstd": COPY,
    "truncated JSON": COPY,
    "broken JSON": COPY,
    "unreadable series": gettext_lazy("a series without a host name: which node is it of?"),
    "end before start": gettext_lazy("the job ends before it starts: correct its times, or export it anew"),
    "no start time": gettext_lazy("it ended and has no start: export Start as well"),
    "ended without end": gettext_lazy("it ended and has neither an end nor an elapsed time: export End and ElapsedRaw"),
    "not a record": gettext_lazy("no line of the batch system's accounting: was it cut, or written by something else?"),
    "no run time": gettext_lazy("how long the job ran is not known: it holds no hours"),
    "no submit time": gettext_lazy("a job without a submit time cannot be placed in time"),
    "bad host": gettext_lazy("a name of a node that is none: look at the line in the file"),
    "unknown state": gettext_lazy("no state of Slurm's, such as COMPLETED or FAILED"),
    "bad hostlist": gettext_lazy("the list of nodes cannot be read: was the column cut? Export with --parsable2"),
    "bad job id": _ID,
    "bad exclusive": gettext_lazy("say true or false, or nothing"),
    "bad max_rss_bytes": gettext_lazy("write a whole number of bytes, or leave it empty"),
    "bad gpu_indices": gettext_lazy("write them as 0-1 or 0;2, as many as gpus says"),
    "GPU index out of range": gettext_lazy("indices count from 0 within each node, to 62 at most"),
    "not a job": BROKEN,
    "not a node": BROKEN,
    "node twice": gettext_lazy("the node is described above already, from the same date: keep one row"),
    "node or node_type missing": gettext_lazy("each row names both"),
    "unknown level": gettext_lazy("a level is node, chassis, rack, infrastructure or facility"),
    "no state": gettext_lazy("each row names the node's state, such as DOWN or POWERED_DOWN"),
    "subcluster without name": gettext_lazy("give the subcluster a name: it becomes the node type"),
}

_SITE: dict[str, Promise] = {
    "unknown node": gettext_lazy(
        "Load the node with load_nodes, or give it the name as an alias; then try its lines again."
    ),
    "zero watts": gettext_lazy(
        "A node that is on never draws 0 W: the sensor gave no value. Nothing is lost by leaving it out."
    ),
    "negative power": gettext_lazy(
        "No node draws negative power: check sign and sensor. Analysers write it for 'no reading'."
    ),
    "above ceiling": gettext_lazy(
        "Beyond ceiling_w of the node, or 1 MW where none is declared: declare it if it is right."
    ),
    "no value (sentinel)": gettext_lazy("The sensor's mark for 'no value', not a reading."),
    "negative counter": gettext_lazy("A counter of energy is never negative: check the export."),
    "time without zone": gettext_lazy("Give the zone of the file's clock with --time-zone."),
    "ambiguous local time": gettext_lazy("The clock was set back and the order of lines does not decide: log in UTC."),
    "nonexistent local time": gettext_lazy("The clock was set forward over it: is --time-zone right?"),
    "time out of range": gettext_lazy(
        "Before 2000 or more than a day ahead: often epoch milliseconds where seconds are read."
    ),
    "unreadable time": gettext_lazy("Write ISO 8601 with an offset, or epoch seconds."),
    "repeated header": gettext_lazy("Files were put together: nothing is lost."),
    "wrong number of fields": gettext_lazy("The line is broken there: look at it."),
    "not a number": gettext_lazy("The line is broken there: look at it."),
    "no node": gettext_lazy("The line names no node: say which with --node."),
    "unreadable line": gettext_lazy("The line is broken there: look at it."),
    "out of range": gettext_lazy("No power or energy is that large: look at the unit."),
    "line too long": gettext_lazy("More than 1 MiB without a line end: is it a text file?"),
    "unreadable series": gettext_lazy("A series without a host name."),
    "unknown state": gettext_lazy("No state of Slurm: was the column cut?"),
    "end before start": gettext_lazy("The record says that the job ended before it began: ask the batch system again."),
}
_BREAKS_OFF = gettext_lazy("The file breaks off there; all whole lines before it went in: copy the file anew.")


def cure_of(reason: str) -> str:
    """What to do about a refusal, as a sentence; empty where only its example can say."""
    if reason.startswith(("truncated ", "corrupt ")):
        return str(_BREAKS_OFF)
    if reason in _SITE:
        return str(_SITE[reason])
    said = str(COMMON.get(reason, ""))
    if not said and reason.startswith("bad "):
        said = _("the column %(name)s cannot be read: look at the line in the file") % {"name": reason.split(" ", 1)[1]}
    return f"{said[:1].upper()}{said[1:]}." if said else ""
