"""What plausibility rules found, in words: the rule, the sentence, what to do about it."""

from __future__ import annotations

from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from measurements.domain.plausibility import ONLY_REPORTED, Rule, Setting
from measurements.selectors.doubts import LeftOut, OneDoubt
from measurements.services.doubts import NotPossible
from portal.quantities import duration, format_quantity, number

NODES_NAMED = 6

RULES: dict[str, Any] = {
    Rule.SPIKE: gettext_lazy("Spike"),
    Rule.FROZEN: gettext_lazy("Frozen sensor"),
    Rule.JUMP: gettext_lazy("Counter jump"),
    Rule.SKEW: gettext_lazy("Clock skew"),
    Rule.CHASSIS: gettext_lazy("Shared chassis"),
}
MEANINGS: dict[str, Any] = {
    Rule.SPIKE: gettext_lazy("A single reading far above all others of the node on that day."),
    Rule.FROZEN: gettext_lazy("The very same reading for hours, while something speaks against it."),
    Rule.JUMP: gettext_lazy("A step of an energy counter that no node can have drawn."),
    Rule.SKEW: gettext_lazy("Readings that fit only if all of them are moved by whole quarter hours."),
    Rule.CHASSIS: gettext_lazy("One meter's readings under the names of several nodes: its energy would count often."),
}
SETTINGS: dict[str, Any] = {
    Setting.DEFAULT: gettext_lazy("leave out what is beyond doubt"),
    Setting.REFUSE: gettext_lazy("leave out all"),
    Setting.REPORT: gettext_lazy("only report"),
    Setting.OFF: gettext_lazy("do not look"),
}


def rule_word(rule: str) -> str:
    """The rule's name."""
    return str(RULES.get(rule, rule))


def settings_of(rule: Rule) -> list[tuple[str, str]]:
    """What a cluster can do with what a rule finds."""
    if rule in ONLY_REPORTED:
        return [(s.value, str(SETTINGS[s])) for s in (Setting.REPORT, Setting.OFF)]
    return [(s.value, str(SETTINGS[s])) for s in Setting]


def sentence(one: OneDoubt) -> str:
    """What was found."""
    detail = one.detail
    match one.rule:
        case Rule.SPIKE:
            return _("One reading of %(power)s; the highest other one of that day is %(usual)s.") % {
                "power": _power(detail["power_w"]),
                "usual": _power(detail["usual_w"]),
            }
        case Rule.FROZEN:
            return (
                _("The very same %(power)s for %(time)s.")
                % {
                    "power": _power(detail["power_w"]),
                    "time": duration((one.end_ms - one.start_ms) / 1000),
                }
                + f" {_evidence(detail)}"
            )
        case Rule.JUMP:
            said = {"energy": format_quantity(detail["energy_j"], "energy"), "ceiling": _power(detail["ceiling_w"])}
            return (
                ngettext(
                    "The counter rose by %(energy)s in one step too steep for %(ceiling)s.",
                    "The counter rose by %(energy)s in %(steps)s steps too steep for %(ceiling)s.",
                    detail["steps"],
                )
                % (said | {"steps": number(detail["steps"])})
                + " "
                + _("That energy is known and not placed in time: it is booked to nobody, whatever is said here.")
            )
        case Rule.SKEW:
            return _lag(detail)
        case Rule.CHASSIS:
            return _("The same readings at the same instants as %(nodes)s: one meter under several names.") % {
                "nodes": _others(one)
            }
    return ""


def _power(watts: float) -> str:
    return format_quantity(watts, "power")


def _evidence(detail: Any) -> str:
    match detail["evidence"]:
        case "parts":
            return _("Its own processors, memory or GPUs moved by %(power)s meanwhile.") % {
                "power": _power(detail["moved_w"])
            }
        case "resolution":
            return _("On the same day the sensor tells %(power)s apart.") % {"power": _power(detail["resolution_w"])}
    return ngettext(
        "Meanwhile the node turned from idle to busy or back once.",
        "Meanwhile the node turned from idle to busy or back %(turns)s times.",
        detail["turns"],
    ) % {"turns": number(detail["turns"])}


def _lag(detail: Any) -> str:
    time = {"lag": duration(abs(detail["lag_s"]))}
    behind = detail["lag_s"] > 0
    text = _("Its clock seems to be %(lag)s behind.") if behind else _("Its clock seems to be %(lag)s ahead.")
    known = {
        "parts": _("Moved by that, its power follows that of its GPUs."),
        "below": _("Moved by that, its power follows that of the meters below it."),
        "window": _("Moved by that, its readings lie where all others of that day lie; as they are, none does."),
    }
    return f"{text % time} {known[detail['known_by']]}"


def _others(one: OneDoubt) -> str:
    names = [name for name in one.detail["nodes"] if name != one.node]
    more = one.detail["count"] - 1 - len(names[:NODES_NAMED])
    shown = ", ".join(names[:NODES_NAMED])
    if not more:
        return shown
    return ngettext("%(nodes)s and %(more)s more", "%(nodes)s and %(more)s more", more) % {
        "nodes": shown,
        "more": number(more),
    }


def cure(rule: str) -> str:
    """What to do about it."""
    cures = {
        Rule.SPIKE: _("If it is true, take it in again. Against more of the kind, declare ceiling_w of the node."),
        Rule.FROZEN: _(
            "Look at the BMC or the exporter: it repeats its last reading. If it is true, take it in again."
        ),
        Rule.JUMP: _("If the node can draw as much, declare its ceiling_w. Else there is nothing to do."),
        Rule.SKEW: _(
            "Leave these readings out, then give the file again with the right --time-zone, or set the sender's clock."
        ),
        Rule.CHASSIS: _(
            "If it is the reading of the whole chassis: describe the chassis (level, and parent of its nodes, in the"
            " list of nodes) and give the log under its name. If it was divided between the nodes already: take it in"
            " again."
        ),
    }
    return cures.get(Rule(rule), "") if rule in set(Rule) else ""


def left_out_sentence(found: LeftOut) -> str:
    """How much is left out, and where it is."""
    if not found:
        return ""
    return ngettext(
        "Plausibility rules leave out %(samples)s reading (about %(energy)s, if it were taken).",
        "Plausibility rules leave out %(samples)s readings (about %(energy)s, if they were taken).",
        found.samples,
    ) % {"samples": number(found.samples), "energy": format_quantity(found.energy_j, "energy")}


def refusal(fault: NotPossible) -> str:
    """Why something cannot be done."""
    if fault.day is not None:
        return _("%(day)s is sealed: what it holds is not changed any more.") % {"day": date_format(fault.day)}
    return _("The joules of a counter's jump are not placed anyway: there is nothing to leave out.")
