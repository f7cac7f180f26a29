"""An edition of a leaderboard in words: its figures, ties, what it is of, what is withheld; one's own place in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from measurements.domain.board_document import Document, Measure
from measurements.domain.boards import Reason
from measurements.selectors.boards import Changed, Own
from portal.quantities import NBSP, percent
from portal.wording_boards import Kind, Scope, minute, period
from portal.wording_report import phase_word

LONGEST_SYMBOL = 3  # ns, GPs: symbols of units, no words

# --- Figures --------------------------------------------------------------------------------------


def unit(measure: Measure) -> str:
    """What a value is in, as it stands in a table's head."""
    if measure.energy_unit:
        return _("%(energy)s per %(work)s") % {"energy": measure.energy_unit, "work": one_of(measure.work_unit)}
    return _("÷ before") if measure.what == Kind.IMPROVEMENT else "%"


def shown_size(measure: Measure) -> int:
    """By what a frozen figure is multiplied to be shown: shares are shown in percent."""
    return 100 if unit(measure) == "%" else 1


def value(figure: float | None, measure: Measure) -> str:
    """A frozen figure to the digits it has; a share in percent."""
    if figure is None:
        return "–"
    exact = Decimal(repr(figure)) * shown_size(measure)
    if exact:
        exact = exact.quantize(Decimal(1).scaleb(exact.adjusted() - measure.digits + 1), ROUND_HALF_UP)
    return f"{exact:f}".replace(".", str(get_format("DECIMAL_SEPARATOR")))


def bound(figure: float | None, measure: Measure) -> str:
    """An end of an interval; one that is not bounded says so."""
    return _("open") if figure is None else value(figure, measure)


def with_unit(figure: float | None, measure: Measure) -> str:
    """A figure with its unit behind it."""
    return "–" if figure is None else f"{value(figure, measure)}{NBSP}{unit(measure)}"


def one_of(unit: str) -> str:
    """One of what was declared in the plural: case of cases. Units such as ns, and what is no plain plural, stay."""
    is_plural = len(unit) > LONGEST_SYMBOL and unit.endswith("s") and not unit.endswith(("ss", "us", "is", "ies"))
    return unit[:-1] if is_plural else unit


# --- Ties and ranks -------------------------------------------------------------------------------


def rank_range(best: int, worst: int) -> str:
    """1–3; a single number where there is one."""
    return str(best) if best == worst else f"{best}–{worst}"


BANDS = {
    "A": gettext_lazy("least"),
    "B": gettext_lazy("less than most"),
    "C": gettext_lazy("in the middle"),
    "D": gettext_lazy("more than most"),
    "E": gettext_lazy("most"),
}


def band_words(band: str) -> str:
    """What a band, or several that are shown together, means."""
    first, dash, last = band.partition("–")
    words = str(BANDS.get(first, ""))
    if dash and last in BANDS:
        return f"{words} – {BANDS[last]}"
    return words


def ties(document: Document) -> str:
    """What can and what can't be told from the figures."""
    if document.bands:
        return _ties_of_bands(document)
    ranks = [(row.best, row.worst) for row in document.rows]
    number = len(ranks)
    if number < 2:
        return ""
    if all(rank == (1, number) for rank in ranks):
        return _("None of them can be told from the others: they all share one place.")
    if all(best == worst for best, worst in ranks):
        return _("Each of them can be told from the others: no place is shared.")
    first = sum(best == 1 for best, _worst in ranks)
    said = ngettext(
        "One alone may be first.", "%(first)d of them may be first: the figures do not tell which.", first
    ) % {"first": first}
    said += " " + _("A place such as 1–3 says how far it can be told.")
    if _overlap(ranks):
        said += " " + _(
            "Each place is told from the intervals of the others alone, so that nobody gains by widening theirs: that "
            "is why a single place can stand beside a range that holds it."
        )
    return said


def _overlap(ranks: Sequence[tuple[int, int]]) -> bool:
    """Whether somebody's one place is among those that another may have."""
    return any(best == worst and sum(low <= best <= high for low, high in ranks) > 1 for best, worst in ranks)


def _ties_of_bands(document: Document) -> str:
    if len(document.bands) == 1:
        return _("Nobody can be told from the others, or the bands would be too small to be shown: all are in one.")
    return _("Within a band nobody is ahead of anybody: names stand in alphabetical order, and figures are the band's.")


# --- What an edition is of ------------------------------------------------------------------------

REASONS: dict[str, Any] = {
    Reason.FEW_JOBS: gettext_lazy("too few jobs in the period"),
    Reason.FEW_DAYS: gettext_lazy("jobs on too few days of the period"),
    Reason.LITTLE_ENERGY: gettext_lazy("too little energy in the period"),
    Reason.LOW_COVERAGE: gettext_lazy("too much of the time was not measured"),
    Reason.OTHER_SCOPE: gettext_lazy("metered in another way than most"),
    Reason.NO_WORK: gettext_lazy("no completed job declared work in the board's unit"),
    Reason.NO_PAST: gettext_lazy("no such work in the period before"),
    Reason.NO_ACCELERATORS: gettext_lazy("held no accelerators of which it is known whether they idled"),
    Reason.FEW_PEOPLE: gettext_lazy("too few people stand behind it"),
    Reason.DOMINATED: gettext_lazy("one or two people make most of it"),
    Reason.FEW_ROWS: gettext_lazy("fewer than two are left to compare"),
    Reason.SMALL_CHANGE: gettext_lazy("the change goes back to too few people"),
    Reason.UNKNOWN_SCOPE: gettext_lazy("it is not known what most meters cover"),
    Reason.IDLE_POWER: gettext_lazy("its idle power is not described"),
    Reason.LEFT_OUT: gettext_lazy("an objection was upheld"),
}
CURES: dict[str, Any] = {  # of an edition that is withheld
    Reason.FEW_PEOPLE: gettext_lazy(
        "Too few people are left to be shown without telling something of one of them. Choose a longer period, or a"
        " larger group."
    ),
    Reason.FEW_ROWS: gettext_lazy(
        "Fewer than two are left to compare. Choose a longer period, or see that jobs declare their work."
    ),
    Reason.DOMINATED: gettext_lazy("One or two people make most of it. Choose a longer period, or a larger group."),
    Reason.SMALL_CHANGE: gettext_lazy(
        "The change goes back to so few people that it would tell something of them. It can be shown with a later"
        " edition."
    ),
    Reason.UNKNOWN_SCOPE: gettext_lazy(
        "It is not known what most meters cover, so that figures can't be held against each other. Describe the meters"
        " of the nodes, or choose one cluster."
    ),
    Reason.IDLE_POWER: gettext_lazy(
        "The idle power of a node type is not described: without it nothing above idle can be told. Describe it"
        " (idle_w) in the list of nodes."
    ),
}
SCOPES = {
    "NODE_AC": gettext_lazy("whole nodes, at the mains"),
    "NODE_DC": gettext_lazy("whole nodes, behind the power supply"),
    "NODE_WITHOUT_GPUS": gettext_lazy("nodes without their GPUs"),
    "PARTS": gettext_lazy("processors, memory and GPUs"),
    "PARTS_WITHOUT_GPUS": gettext_lazy("processors and memory, without GPUs"),
    "MIXED": gettext_lazy("different meters"),
    "UNKNOWN": gettext_lazy("not known"),
}


def reason(code: str) -> str:
    """Why something is not shown."""
    return str(REASONS[Reason(code)])


def scope_words(name: str) -> str:
    """What the meters cover."""
    return str(SCOPES.get(name, name))


def facts(document: Document) -> list[tuple[str, str]]:
    """What an edition is of."""
    board, edition = document.board, document.edition
    days = period(date.fromisoformat(str(edition["first"])), date.fromisoformat(str(edition["last"])))
    said = [
        (_("Period"), f"{days} ({edition['zone']})"),
        (_("Data until"), _instant(str(edition["cutoff_at"]))),
        (_("Workload"), _work(document)),
        (_("Project"), board.get("project", "")),
        (_("Cluster"), board.get("cluster", "") or _("all clusters")),
        (_("Coverage"), percent(document.coverage) if document.coverage is not None else ""),
        (_("Meters cover"), scope_words(document.scope) if document.scope else ""),
        (_("Fewest people behind a figure"), str(document.smallest_group)),
        (_("People compared"), str(document.people) if document.bands else ""),
        (_("Factors"), document.factors),
        (_("Code"), document.code),
    ]
    return [(name, text) for name, text in said if text]


def _work(document: Document) -> str:
    board = document.board
    if not board.get("workload"):
        return ""
    parts = [board["workload"], phase_word(board["phase"]) if board.get("phase") else "", board.get("size", "")]
    return ", ".join(part for part in (*parts, board.get("target", "")) if part)


def _instant(text: str) -> str:
    return minute(datetime.fromisoformat(text)) if text else ""


def method(document: Document) -> str:
    """How sure the figures are, and from when on somebody is compared."""
    rules = document.rules
    return _(
        "Method %(method)s. Intervals are %(level)s bootstrap intervals over days (%(draws)d draws, seed %(seed)d). A"
        " place is what the intervals of the others leave open; one's own interval has no part in it."
        " Compared is who has at least %(jobs)d jobs on %(days)d days, %(kwh)s and %(coverage)s of it measured. No"
        " figure is shown of fewer than %(k)d people, or if one of them makes more than %(one)s of it, or two more than"
        " %(two)s."
    ) % {
        "method": document.method,
        "level": level(document),
        "draws": rules.draws,
        "seed": rules.seed,
        "jobs": rules.least_jobs,
        "days": rules.least_days,
        "kwh": f"{rules.least_kwh:g}{NBSP}kWh",
        "coverage": _whole(rules.least_coverage),
        "k": document.smallest_group,
        "one": _whole(rules.largest_one),
        "two": _whole(rules.largest_two),
    }


def level(document: Document) -> str:
    """Of its intervals."""
    return _whole(document.rules.level)


def _whole(share: float) -> str:
    """A share that somebody chose: without decimals that nobody chose."""
    return f"{100 * share:g}{NBSP}%"


def left_out(document: Document) -> list[str]:
    """What is not shown, and why; no person is named."""
    said = [f"{withheld.subject}: {reason(withheld.reason)}" for withheld in document.withheld if withheld.subject]
    if document.left_out:
        said.append(
            ngettext(
                "%(count)d project of too few people, or that one person makes most of.",
                "%(count)d projects of too few people, or that one person makes most of.",
                document.left_out,
            )
            % {"count": document.left_out}
        )
    return said


def withheld(document: Document) -> str:
    """Why there is nothing to show, and the cure; empty if there is."""
    if document.bands or document.rows:
        return ""
    return " ".join([_("The ranking is withheld."), *_cures(document)])


def _cures(document: Document) -> list[str]:
    """Why, each reason once."""
    found = dict.fromkeys(one.reason for one in document.withheld)
    return [str(CURES.get(code) or _("Reason: %(reason)s.") % {"reason": reason(code)}) for code in found]


def rows_heading(scope: str) -> str:
    """What the rows are."""
    return {
        Scope.USER: _("Bands of people"),
        Scope.PROJECT: _("Projects"),
        Scope.NODE_TYPE: _("Node types"),
    }[Scope(scope)]


def first_column(scope: str) -> str:
    """What stands first in a row."""
    return {
        Scope.USER: _("Band"),
        Scope.PROJECT: _("Project"),
        Scope.NODE_TYPE: _("Node type"),
    }[Scope(scope)]


def footnote(document: Document) -> str:
    """How to read the table."""
    return _("Less is better. From and to are the ends of the interval (%(level)s).") % {"level": level(document)}


CHANGES: dict[str, Any] = {
    "value": gettext_lazy("value"),
    "low": gettext_lazy("from"),
    "high": gettext_lazy("to"),
    "band": gettext_lazy("band"),
    "best": gettext_lazy("best place"),
    "worst": gettext_lazy("worst place"),
    "people": gettext_lazy("people"),
    "row": gettext_lazy("in the ranking"),
    "coverage": gettext_lazy("coverage"),
    "scope": gettext_lazy("what the meters cover"),
    "left_out": gettext_lazy("projects left out"),
    "unit": gettext_lazy("unit of energy"),
}


def differences(found: Iterable[Changed], measure: Measure) -> list[tuple[str, str, str]]:
    """What a correction changed: what, before, now."""
    return [
        (
            " · ".join(part for part in (one.row, str(CHANGES[one.what])) if part),
            _changed(one.what, one.before, measure),
            _changed(one.what, one.after, measure),
        )
        for one in found
    ]


def _changed(what: str, figure: Any, measure: Measure) -> str:
    if figure is None or figure == "":
        return "–"
    if what == "row":
        return _("yes") if figure else _("no")
    if what == "coverage":
        return percent(figure)
    if what == "scope":
        return scope_words(figure)
    return value(figure, measure) if what in ("value", "low", "high") else str(figure)


# --- One's own place ------------------------------------------------------------------------------


def own_sentence(own: Own) -> str:
    """Where somebody stands, told to themselves."""
    if own.project and not own.band and not own.reasons:
        return _("Its figure is shown to everybody alike when the edition is published.")
    if not own.band:
        return _("You are not among those compared: %(reasons)s.") % {"reasons": ", ".join(map(reason, own.reasons))}
    if own.best is None or own.worst is None or own.of is None:
        return ""
    place = {"place": rank_range(own.best, own.worst), "of": own.of, "band": own.band}
    if (own.best, own.worst) == (1, own.of):
        return _("You can't be told from the others (%(of)d in all): band %(band)s.") % place
    return _("Your place is %(place)s of %(of)d: band %(band)s.") % place


def own_name(own: Own) -> str:
    """Whose figures these are, and what others call them."""
    if own.project:
        return _("Your project: %(project)s.") % {"project": own.project}
    return _("Others see you as %(pseudonym)s.") % {"pseudonym": own.pseudonym} if own.pseudonym else ""


def own_value_name(own: Own) -> str:
    """Of whom the figure is."""
    return _("The project's figure") if own.project else _("Your figure")


def interval(own: Own, measure: Measure) -> str:
    """From and to; empty where there is no figure."""
    if own.value is None:
        return ""
    return f"{bound(own.low, measure)} – {bound(own.high, measure)}{NBSP}{unit(measure)}"


def directive(kind: str) -> tuple[str, str]:
    """One thing to do, and the line to paste, if there is one."""
    return {
        Kind.IDLE_ACCELERATORS: (
            _("Ask for accelerators only in the jobs, and steps, that use them. In a CPU-only step leave this out:"),
            "#SBATCH --gpus=…",
        ),
        Kind.FAILED_ENERGY: (
            _("Try a long job on a short time limit first, and write checkpoints, so that a failure costs little:"),
            "#SBATCH --time=00:10:00",
        ),
    }.get(
        Kind(kind),
        (
            _("Try half the nodes: often the same work then takes less energy, and seldom twice as long:"),
            "#SBATCH --nodes=1",
        ),
    )
