"""What a trial found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.selectors.energy import Energy
from measurements.selectors.meters import JobMeter
from measurements.selectors.reconciliation import Closing
from measurements.selectors.trial import Blind, Span, TrialFigures
from portal.quantities import format_quantity, number, percent
from portal.trial.scramble import Pseudonyms
from portal.wording import meter_sentence

MOST_NAMES = 200  # characters of a list of nodes
SOME = 0.5  # of the jobs' time: below it something is probably wrong


def answer(closed: Closing) -> str:
    """Does it close?"""
    if not closed.covered_s:
        return _("Nothing was metered: there is no power to book, and so nothing that could close.")
    return _("It closes: of %(metered)s metered, %(jobs)s went to jobs, and %(rest)s (%(share)s) nobody held.") % {
        "metered": format_quantity(closed.metered_j, "energy"),
        "jobs": format_quantity(closed.jobs_j, "energy"),
        "rest": format_quantity(closed.unallocated_j, "energy"),
        "share": percent(closed.unallocated_j / closed.metered_j if closed.metered_j else None),
    }


def span_sentence(span: Span) -> str:
    """From … to …, UTC."""
    form = pgettext("instant of a trial", "j M Y, H:i")
    return _("%(start)s to %(end)s UTC") % {
        "start": date_format(span.start_at, form),
        "end": date_format(span.end_at, form),
    }


def hints(figures: TrialFigures, energy: Energy, guessed: int, nodes_file: str) -> Iterator[str]:
    """What is probably wrong, most important first."""
    power, jobs = figures.power, figures.jobs
    if power and jobs and figures.held_nodes and not figures.both:
        yield _(
            "Not one node occurs both in the jobs and in the power logs. Are they of the same cluster, and do both "
            "call the nodes alike? A name such as n001-bmc is not n001."
        )
    elif power and jobs and power.apart_from(jobs):
        yield _("Jobs and power do not meet: jobs are from %(jobs)s, power from %(power)s. Export the same days.") % {
            "jobs": span_sentence(jobs),
            "power": span_sentence(power),
        }
    elif figures.clocks and figures.clocks.suspicious:
        yield clock_hint(figures.clocks.shift_h, figures.clocks.fit, figures.clocks.fit_as_dated)
    elif power and energy.coverage is not None and energy.coverage < SOME:
        yield _("Only %(share)s of the jobs' time was measured: see below which jobs have no measurement, and why.") % {
            "share": percent(energy.coverage)
        }
    if guessed and nodes_file:
        yield ngettext(
            "Nobody described %(count)s node: what was seen of it is in %(file)s, beside this page. Its type, cores "
            "and GPUs decide how shared nodes are split: put them right and run again with it in NODES.",
            "Nobody described %(count)s nodes: what was seen of them is in %(file)s, beside this page. Their types, "
            "cores and GPUs decide how shared nodes are split: put them right and run again with it in NODES.",
            guessed,
        ) % {"count": guessed, "file": nodes_file}


def clock_hint(shift_h: int, fit: float, fit_as_dated: float) -> str:
    """The classic fault."""
    moved = ngettext("%(count)s hour", "%(count)s hours", abs(shift_h)) % {"count": abs(shift_h)}
    words = {"moved": moved, "fit": number(fit), "dated": number(fit_as_dated)}
    if shift_h < 0:
        sentence = _(
            "Power would follow the jobs much better if they had run %(moved)s earlier (correlation %(fit)s instead of "
            "%(dated)s)."
        )
    else:
        sentence = _(
            "Power would follow the jobs much better if they had run %(moved)s later (correlation %(fit)s instead of "
            "%(dated)s)."
        )
    cure = _("One of the two clocks is probably in another time zone than was said: check TIME_ZONE.")
    return f"{sentence % words} {cure}"


def blind_sentence(cause: Blind) -> str:
    """Why nothing of some jobs was measured, and what to do."""
    return {
        Blind.UNKNOWN_NODE: _("They ran on nodes that nothing describes: name them in NODES."),
        Blind.NO_POWER: _("They ran on nodes of which no power log was given."),
        Blind.OUTSIDE: _(
            "They ran before the power log of their nodes begins, or after it ends: export the same days."
        ),
        Blind.GAP: _("They ran in gaps of the power log."),
    }[cause]


def meter_rows(meters: tuple[JobMeter, ...], names: Pseudonyms) -> Iterator[str]:
    """What each group of nodes is metered by."""
    for meter in meters:
        count = ngettext("%(count)s node", "%(count)s nodes", meter.node_count) % {"count": meter.node_count}
        shown = "" if names.wanted.nodes else f" ({_shorter(meter.nodes)})"
        yield f"{count}{shown}: {meter_sentence(meter)}"


def _shorter(text: str) -> str:
    return text if len(text) <= MOST_NAMES else f"{text[:MOST_NAMES]}…"


def node_sentences(figures: TrialFigures, described: int, guessed: str, count: int) -> Iterator[str]:
    """How nodes, jobs and power logs go together."""
    yield _("%(described)s described, %(held)s used by jobs, %(measured)s in power logs, %(both)s in both.") % {
        "described": described,
        "held": figures.held_nodes,
        "measured": figures.measured_nodes,
        "both": figures.both,
    }
    if count and guessed:
        yield _("Named by jobs or power logs, and described by nobody: %(nodes)s.") % {"nodes": guessed}
