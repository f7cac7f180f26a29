"""What to do about lines that were refused, by reason (docs/formats.md): the one place where it is said.

The trial says a few of them otherwise (`portal.trial.cures`), for its options are called otherwise. Parsers name the
commands' options; on a page these are fields, so whatever is shown of a parser's sentence goes through `on_page`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from measurements.domain.losses import LOST
from measurements.parsers.times import REASONS, TimeFault
from measurements.services.judged import SECOND_SOURCE
from measurements.services.tokens import BROKEN_MAPPING, UNUSABLE_BODY

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
    SECOND_SOURCE: gettext_lazy("two sensors of one thing are never mixed: leave one of them out"),
    "GPU of unknown index": gettext_lazy("nothing says which index this GPU has: log its index beside its UUID"),
    "no mapping for this metric": gettext_lazy(
        "nobody said what this metric is: a mapping file does (docs/how-to/add-an-exporter.md)"
    ),
    "no mapping for these labels": gettext_lazy(
        "the metric is known, but not with these labels: a mapping file says it"
    ),
    "series without a name": gettext_lazy("ask Prometheus for the metric itself, not for a function or a sum of it"),
    "unusable label": gettext_lazy("no node or channel can be called so: correct the label, or name another one"),
    "name and labels too long": gettext_lazy("nothing that long names a series: leave labels out where it is sent"),
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
    UNUSABLE_BODY: gettext_lazy("broken, too large, or of another form than it says: the sender's log has the answer"),
    BROKEN_MAPPING: gettext_lazy("correct the site's mapping file that the log names: senders keep what they have"),
    "unreadable series": gettext_lazy("a series without a host name: which node is it of?"),
    "unreadable job": gettext_lazy("what describes the job is not as its archive writes it: give the file unchanged"),
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
        "Give the list of nodes (at Imports, or with load_nodes), or an alias for the name; then try its lines again."
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
    "time without zone": gettext_lazy(
        "Of a file: give it again, and say the zone of its clock at “Time zone”. What is pushed writes an offset or Z "
        "behind its times, or epoch seconds."
    ),
    "ambiguous local time": gettext_lazy("The clock was set back and the order of lines does not decide: log in UTC."),
    "nonexistent local time": gettext_lazy("The clock was set forward over it: is the zone right that was said?"),
    "time out of range": gettext_lazy(
        "Before 2000 or more than a day ahead: often epoch milliseconds where seconds are read."
    ),
    "unreadable time": gettext_lazy("Write ISO 8601 with an offset, or epoch seconds."),
    "repeated header": gettext_lazy("Files were put together: nothing is lost."),
    "wrong number of fields": gettext_lazy("The line is broken there: look at it."),
    "not a number": gettext_lazy("The line is broken there: look at it."),
    "no node": gettext_lazy("The line names no node: give the file again, and say which at “Node”."),
    "no time": gettext_lazy("A snapshot that does not say when it was taken: give it again, and say it at “Taken at”."),
    "unreadable line": gettext_lazy("The line is broken there: look at it."),
    "out of range": gettext_lazy("No power or energy is that large: look at the unit."),
    "line too long": gettext_lazy("More than 1 MiB without a line end: is it a text file?"),
    "unreadable series": gettext_lazy("A series without a host name."),
    "unknown state": gettext_lazy("No state of Slurm: was the column cut?"),
    SECOND_SOURCE: gettext_lazy(
        "Two sensors of one thing are never mixed: switch one of them off, or declare from which day on the new one"
        " feeds the channel; then try its lines again."
    ),
    LOST: gettext_lazy(
        "The node's buffer was full while the site could not be reached: these readings are gone. Make it larger"
        " (buffer_mib), or look why the site was away."
    ),
    "end before start": gettext_lazy("The record says that the job ended before it began: ask the batch system again."),
}
_BREAKS_OFF = gettext_lazy("The file breaks off there; all whole lines before it went in: copy the file anew.")

_TRIED: dict[str, Promise] = {  # of a file that is only tried: what it lacks can be said at once
    "unreadable time": gettext_lazy(
        "Times are read as 2026-03-01T12:00:00+01:00 or as epoch seconds: in a spreadsheet give the column the format "
        "yyyy-mm-dd hh:mm:ss, and save it anew."
    ),
    "time without zone": gettext_lazy("Choose the zone of the file's clock at “Time zone” below."),
    "nonexistent local time": gettext_lazy("The clock was set forward over it: is “Time zone” below right?"),
    "no node": gettext_lazy("It names no node: say which at “Node” below."),
    "no time": gettext_lazy("It does not say when it was taken: say it at “Taken at” below."),
    "no GPU": gettext_lazy(
        "It does not say which GPU it is of: say it at “Channel” below (gpu0), or query index or uuid."
    ),
    "unknown node": gettext_lazy(
        "Give the list of nodes first, or these names as aliases of nodes; then try it again."
    ),
}
FIELDS: dict[str, Promise] = {  # the commands' options, as the page calls them
    "node": gettext_lazy("Node"),
    "channel": gettext_lazy("Channel"),
    "time-zone": gettext_lazy("Time zone"),
    "at": gettext_lazy("Taken at"),
    "rename": gettext_lazy("Columns renamed"),
    "format": gettext_lazy("Format"),
    "interval": gettext_lazy("Interval [s]"),
    "precision": gettext_lazy("Time stamps count"),
    "cluster": gettext_lazy("Cluster"),
}
_REASON_FIELDS = {
    "time without zone": "time-zone",
    "nonexistent local time": "time-zone",
    "no node": "node",
    "no time": "at",
    "no GPU": "channel",
}
_OPTION = rf"--(?P<option>{'|'.join(FIELDS)})(?![\w-])"
_FLAG = re.compile(rf"(?P<with>with )?(?:the )?{_OPTION}")
_OTHERS_FLAG = re.compile(r"(?:\b(?:sacct|squeue|sinfo|scontrol|sacctmgr|nvidia-smi)\b[^;:]*?\s)--(?:format|node)\b")


def on_page(sentence: str) -> str:
    """A parser's sentence with the page's fields for the commands' options: with --node → at “Node”."""
    kept = [match.span() for match in _OTHERS_FLAG.finditer(sentence)]

    def field(match: re.Match[str]) -> str:
        if any(start <= match.start("option") < end for start, end in kept):
            return match[0]
        return f"{'at ' if match['with'] else ''}“{FIELDS[match['option']]}”"

    return _FLAG.sub(field, sentence).replace(
        "load it with load_nodes, then give the same file again", "load its list of nodes, then try it again"
    )


def lacking(fault: str, reasons: Iterable[str] = ()) -> list[str]:
    """The options that a sentence asks for, and those that reasons do: as the commands call them, each once."""
    others = [match.span() for match in _OTHERS_FLAG.finditer(fault)]
    named = [
        match["option"]
        for match in _FLAG.finditer(fault)
        if not any(start <= match.start("option") < end for start, end in others)
    ]
    return list(dict.fromkeys([*named, *(_REASON_FIELDS[reason] for reason in reasons if reason in _REASON_FIELDS)]))


def cure_of(reason: str) -> str:
    """What to do about a refusal, as a sentence; empty where only its example can say."""
    if reason.startswith(("truncated ", "corrupt ")):
        return str(_BREAKS_OFF)
    if reason in _SITE:
        return str(_SITE[reason])
    said = str(COMMON.get(reason, ""))
    if not said and reason.startswith("bad "):
        said = _("the column %(name)s cannot be read: look at the line in the file") % {"name": reason.split(" ", 1)[1]}
    said = said.removesuffix(".")  # as some translations end
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def cure_of_tried(reason: str) -> str:
    """The same of a file that is tried: what it lacks is asked for on its page."""
    return str(_TRIED[reason]) if reason in _TRIED else cure_of(reason)
