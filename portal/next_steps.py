"""What an operator should do next, a line each: what is late, refused, doubtful, or waits for a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.models import Doubt
from measurements.selectors.open_questions import OpenQuestions
from measurements.selectors.operations import ClusterState
from measurements.selectors.sources import FILES, SENDER, SourceState
from portal.quantities import duration, whole
from portal.wording_boards import minute
from portal.wording_reasons import in_quarantine, reason_name

LONGEST_PERIOD_DAYS = 90  # that the page of doubts shows at once


@dataclass(frozen=True, slots=True)
class Step:
    """One line: how bad it is, what is the matter, why, and where it is mended."""

    shape: str  # of the sign: bad, warn, wait
    word: str
    sentence: str
    address: str
    link: str
    why: str = ""
    why_english: bool = False  # a fault as it was met, in whatever language the page is


def steps(
    sources: Sequence[SourceState], states: Sequence[ClusterState], found: OpenQuestions, days: int
) -> list[Step]:
    """All of them, the worst first."""
    return [
        *(_of_source(one) for one in sources if one.state in ("late", "refused", "fails", "slow")),
        *(_of_end(one) for one in sources if one.ends_at is not None),
        *_of_nodes(states),
        *_of_files(found),
        *_of_refusals(found, days),
        *_of_doubts(found),
    ]


def quiet_sentence(sources: Sequence[SourceState], days: int) -> str:
    """What is said where there is nothing to do."""
    said = ngettext(
        "Nothing. The %(count)s source is in time, nothing was refused in %(days)d days, and nothing waits for you.",
        "Nothing. All %(count)s sources are in time, nothing was refused in %(days)d days, and nothing waits for you.",
        len(sources),
    )
    return said % {"count": whole(len(sources)), "days": days}


def refused_address(one: SourceState) -> str:
    """Where what a sender's input was refused for is shown, as far as it is kept by sender: of its cluster."""
    if not in_quarantine(one.refused_for):
        return reverse("tokens")
    asked: dict[str, str | int] = {"days": LONGEST_PERIOD_DAYS, "cluster": one.cluster, "reason": one.refused_for}
    return f"{reverse('quarantine')}?{urlencode(asked)}"


def when(at: datetime | None) -> str:
    """An instant, where it is known."""
    return minute(at) if at is not None else "–"


def _of_source(one: SourceState) -> Step:
    if one.state == "refused":
        since = when(one.refused_since)
        said = _("Since %(at)s all that %(source)s sends has been refused.") % {"at": since, "source": one.name}
        why = reason_name(one.refused_for)
        place = _("Refused input") if in_quarantine(one.refused_for) else _("Tokens")
        return Step("bad", _("all refused"), said, refused_address(one), place, why)
    shape, word = {"late": ("bad", _("late")), "fails": ("warn", _("fails"))}.get(one.state, ("warn", _("slow")))
    link = (reverse("tokens"), _("Tokens")) if one.kind == SENDER else (reverse("sources"), _("Sources"))
    return Step(shape, word, _of_state(one), *link, why=one.error, why_english=True)


def _of_end(one: SourceState) -> Step:
    """Of a token that is used, and ends or has ended."""
    link = (reverse("tokens"), _("Tokens"))
    if one.active:
        said = _("The token of %(source)s ends on %(at)s, and it is in use: replace it.")
        return Step("warn", _("ends soon"), said % {"source": one.name, "at": when(one.ends_at)}, *link)
    said = _("The token of %(source)s ended on %(at)s, and is still used: nothing of it is taken.")
    return Step("bad", _("ended"), said % {"source": one.name, "at": when(one.ends_at)}, *link)


def _of_state(one: SourceState) -> str:
    if one.kind == FILES:
        words = {"cluster": one.cluster, "time": duration(one.lag_s)}
        if one.about == "jobs":
            return _("No file of jobs has come for %(cluster)s in %(time)s: longer than ever before.") % words
        return _("No file of power has come for %(cluster)s in %(time)s: longer than ever before.") % words
    if one.behind_s is not None:
        words = {"source": one.name, "time": duration(one.behind_s)}
        return _("What %(source)s sends is %(time)s old: is its clock wrong, or does it catch up?") % words
    if one.newest_at is None:
        return _("Nothing has come from %(source)s yet.") % {"source": one.name}
    return _("Nothing newer from %(source)s for %(time)s.") % {"source": one.name, "time": duration(one.lag_s)}


def _of_nodes(states: Sequence[ClusterState]) -> Iterator[Step]:
    for state in states:
        if state.heard.silent:
            said = ngettext(
                "%(count)s node of %(cluster)s sends nothing, though it is not switched off.",
                "%(count)s nodes of %(cluster)s send nothing, though they are not switched off.",
                state.heard.silent,
            ) % {"count": whole(state.heard.silent), "cluster": state.name}
            yield Step("warn", _("silent"), said, reverse("cluster", args=[state.name]) + "#nodes", _("Nodes"))


def _of_files(found: OpenQuestions) -> Iterator[Step]:
    if found.failed_files:
        said = ngettext(
            "%(count)s file could not be taken.", "%(count)s files could not be taken.", found.failed_files
        ) % {"count": whole(found.failed_files)}
        yield Step("bad", _("failed"), said, "#files", _("Files"))
    if found.tried_files:
        said = ngettext(
            "%(count)s file was tried and waits for your decision.",
            "%(count)s files were tried and wait for your decision.",
            found.tried_files,
        ) % {"count": whole(found.tried_files)}
        yield Step("wait", _("to decide"), said, reverse("imports"), _("Imports"))


def _of_refusals(found: OpenQuestions, days: int) -> Iterator[Step]:
    if not found.refused_lines:
        return
    said = ngettext(
        "%(count)s line of the last %(days)d days was refused.",
        "%(count)s lines of the last %(days)d days were refused.",
        found.refused_lines,
    ) % {"count": whole(found.refused_lines), "days": days}
    why = ", ".join(f"{reason_name(reason)} ({whole(lines)})" for reason, lines in found.reasons)
    address = f"{reverse('quarantine')}?{urlencode({'days': days})}"
    yield Step("warn", _("refused"), said, address, _("Refused input"), why + (", …" if found.more_reasons else ""))


def _of_doubts(found: OpenQuestions) -> Iterator[Step]:
    if not found.doubts:
        return
    said = ngettext(
        "%(count)s finding counts for now, and is doubtful: is it right?",
        "%(count)s findings count for now, and are doubtful: are they right?",
        found.doubts,
    ) % {"count": whole(found.doubts)}
    chosen: dict[str, str | int] = {"days": LONGEST_PERIOD_DAYS, "state": Doubt.State.REPORTED.value}
    yield Step("wait", _("to decide"), said, f"{reverse('doubts')}?{urlencode(chosen)}", _("Doubtful readings"))
