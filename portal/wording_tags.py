"""What jobs count as, in words: which tag, where it is from, why one was refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from measurements.domain.tag_edits import TagsRefused
from measurements.domain.tagging import COMMENT, EDIT, OPERATOR, Tagged
from measurements.models import TagRule
from measurements.selectors.job_tags import JobTagging, TagLine
from measurements.selectors.tag_preview import Effect, Preview
from portal.quantities import whole
from portal.wording_report import phase_word

LONGEST_PLAIN = 15  # digits of an amount of work, before its powers of ten are written
LABELS = {
    "workload": gettext_lazy("Workload"),
    "phase": gettext_lazy("Phase"),
    "size": gettext_lazy("Size"),
    "target": gettext_lazy("Target"),
    "work": gettext_lazy("Work done"),
}
HELP = {
    "workload": gettext_lazy("Application, model, data set: nnunet."),
    "phase": gettext_lazy("Training and inference are compared apart."),
    "size": gettext_lazy("Of the problem, or the scenario it runs in."),
    "target": gettext_lazy("Quality of the result that is asked for: 99.9."),
    "work": gettext_lazy("A number above 0."),
    "unit": gettext_lazy("Of the work: epochs, samples, queries."),
}


class Line(NamedTuple):
    """A tag as a page shows it."""

    key: str
    label: str
    value: str  # empty: none
    origin: str
    others: tuple[str, ...]
    by_edit: bool


def lines(found: JobTagging, viewer: str, *, rules: bool) -> list[Line]:
    """The tags of a job; with ``rules`` those name their patterns, for who makes them."""
    return [_line(line, found, viewer, rules=rules) for line in found.lines]


def _line(line: TagLine, found: JobTagging, viewer: str, *, rules: bool) -> Line:
    others = tuple(
        _("%(who)s: %(value)s")
        % {"who": _source(origin, found, rules=rules), "value": value_words(line.key, value, unit)}
        for origin, value, unit in line.others
    )
    origin = _set_by(found, viewer, empty=not line.value) if line.origin == EDIT else _origin(line, found, rules=rules)
    value = value_words(line.key, line.value or "", line.unit)
    return Line(line.key, str(LABELS[line.key]), value, origin, others, line.origin == EDIT)


def value_words(key: str, value: str | float, unit: str = "") -> str:
    """A tag's value: a phase in the reader's language, work with its unit."""
    if key == "phase":
        return phase_word(str(value))
    if key == "work" and value:
        return f"{_amount(float(value))} {unit}".strip()
    return str(value or "")


def _amount(value: float) -> str:
    """As it was declared, to the last digit."""
    plain = format(Decimal(repr(value)).normalize(), "f")
    return number_format(plain, force_grouping=True) if len(plain) <= LONGEST_PLAIN else f"{value:.6g}"


def tags_words(tagged: Tagged) -> str:
    """All tags of a job in a row."""
    tags = tagged.tags
    work = value_words("work", tags.work, tags.unit) if tags.work else ""
    said = [tags.workload, phase_word(tags.phase), tags.size, tags.target, work]
    return ", ".join(word for word in said if word)


def _set_by(found: JobTagging, viewer: str, *, empty: bool) -> str:
    day = date_format(localtime(found.edited_at), "j M Y") if found.edited_at else ""
    values = {"who": found.edited_by, "day": day}
    if found.edited_by == viewer:
        return (_("taken away by you on %(day)s") if empty else _("set by you on %(day)s")) % values
    return (_("taken away by %(who)s on %(day)s") if empty else _("set by %(who)s on %(day)s")) % values


def _origin(line: TagLine, found: JobTagging, *, rules: bool) -> str:
    if not line.origin:
        return _("nobody says it")
    if line.origin == OPERATOR:
        return _("from the operator's comment")
    if line.origin == COMMENT:
        return _("from the job's comment")
    return _("by %(rule)s") % {"rule": _rule(line.origin, found, rules=rules)}


def _source(origin: str, found: JobTagging, *, rules: bool) -> str:
    if origin == OPERATOR:
        return _("The operator's comment says")
    if origin == COMMENT:
        return _("The job's comment says")
    return _("%(rule)s says") % {"rule": _rule(origin, found, rules=rules, capital=True)}


def _rule(origin: str, found: JobTagging, *, rules: bool, capital: bool = False) -> str:
    row = found.rules.get(origin)
    word = _("Rule") if capital else _("rule")
    number = origin.rpartition(" ")[2]
    return f"{word} {number} ({rule_words(row) if rules else row.get_field_display()})" if row else f"{word} {number}"


def rule_words(rule: TagRule) -> str:
    """What a rule looks for, and where."""
    return _("%(field)s matches %(pattern)s") % {"field": rule.get_field_display(), "pattern": rule.pattern}


def rule_sets(rule: TagRule) -> list[str]:
    """What a rule sets, tag by tag."""
    said = {"workload": rule.workload, "phase": rule.phase, "size": rule.size, "target": rule.target}
    return [f"{LABELS[key]}: {value_words(key, value)}" for key, value in said.items() if value]


def refused(fault: TagsRefused) -> str:
    """Why a tag can't be kept, in the reader's language."""
    return {
        "workload": _("At most 64 letters a-z, digits and _ . + / : @ -, a letter or digit first."),
        "size": _("At most 32 letters a-z, digits and _ . + / : @ -, a letter or digit first."),
        "target": _("At most 32 letters a-z, digits and _ . + / : @ -, a letter or digit first."),
        "phase": _("It is none of training, inference, development, other."),
        "work": _("It is no number above 0."),
        "unit": _("At most 32 letters a-z, digits and _ / % -, a letter first; it comes with its work."),
    }.get(fault.key, fault.reason)


# --- What would change --------------------------------------------------------------------------


def preview_sentences(found: Preview) -> list[str]:
    """What a rule would do to the newest jobs."""
    counts = {"jobs": whole(found.looked_at), "found": whole(found.matched)}
    among = _("the newest %(jobs)s jobs") if found.more else _("all %(jobs)s jobs that you may see")
    if not found.looked_at:
        return [_("There is no job yet that it could be tried on.")]
    said = [
        ngettext(
            "The pattern is found in %(found)s of %(among)s.",
            "The pattern is found in %(found)s of %(among)s.",
            found.matched,
        )
        % (counts | {"among": among % counts})
    ]
    if found.stronger:
        said.append(
            ngettext(
                "In %(count)s of them it has no say: an edit, a comment or a rule before it goes first.",
                "In %(count)s of them it has no say: an edit, a comment or a rule before it goes first.",
                found.stronger,
            )
            % {"count": whole(found.stronger)}
        )
    return [*said, _changed(found.changed)]


def effect_sentence(found: Effect) -> str:
    """What an edit would do to some jobs."""
    return _changed(found.changed)


def _changed(count: int) -> str:
    if not count:
        return _("No job would count as something else.")
    return ngettext(
        "%(count)s job would count as something else; its energy moves with it.",
        "%(count)s jobs would count as something else; their energy moves with them.",
        count,
    ) % {"count": whole(count)}


def moves(found: Preview | Effect) -> list[dict[str, Any]]:
    """From which workload to which, and how many jobs."""
    none = _("none")
    return [{"before": a or none, "after": b or none, "jobs": count} for a, b, count in found.moves]
