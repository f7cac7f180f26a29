"""What was reported of jobs, as a sentence for a paper and as an entry of a bibliography; made of the frozen body."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override, pgettext

from measurements.domain.units import kwh_from_joules
from portal.quantities import NBSP, format_quantity, number, percent

PARTS_NAMED = 4
LEAST_SHARE = 0.005  # of a part that is named


def statement(body: dict[str, Any]) -> str:
    """Two to five sentences."""
    if body["energy_j"] is None:
        return _("None of the energy of these jobs was measured: there is nothing to report.")
    said = [_drew(body), _parts(body), _failed(body), _filled(body), _emitted(body), _method(body)]
    return " ".join(sentence for sentence in said if sentence)


def _drew(body: dict[str, Any]) -> str:
    values = {
        "jobs": body["jobs"],
        "energy": format_quantity(body["energy_j"], "energy"),
        "coverage": percent(body["coverage"]),
        "when": _when(body),
    }
    if body["of"] == "job":
        return (
            _("The job drew %(energy)s at the nodes' power meters (%(coverage)s of its time measured), %(when)s.")
            % values
        )
    return (
        ngettext(
            "The computations (%(jobs)d job, %(when)s) drew %(energy)s at the nodes' power meters (%(coverage)s of the"
            " time measured).",
            "The computations (%(jobs)d jobs, %(when)s) drew %(energy)s at the nodes' power meters (%(coverage)s of the"
            " time measured).",
            body["jobs"],
        )
        % values
    )


def _when(body: dict[str, Any]) -> str:
    """The days, in words."""
    if body["of"] == "job":
        first = last = datetime.fromisoformat(body["start"]).date() if body["start"] else None
        if body["end"]:
            last = datetime.fromisoformat(body["end"]).date()
    else:
        first, last = date.fromisoformat(body["first"]), date.fromisoformat(body["last"])
    if first is None or last is None:
        return "–"
    form = pgettext("day of a report", "j F Y")
    if first == last:
        return _("on %(day)s") % {"day": date_format(first, form)}
    return _("%(first)s to %(last)s") % {"first": date_format(first, form), "last": date_format(last, form)}


def part_name(part: dict[str, Any]) -> str:
    """Workload and phase."""
    named = " ".join(word for word in (part["workload"], phase_word(part["phase"])) if word)
    return named or _("without a declared workload")


def phase_word(phase: str) -> str:
    """A phase in the reader's language."""
    return {
        "training": _("training"),
        "inference": _("inference"),
        "development": _("development"),
        "other": pgettext("phase", "other"),
    }.get(phase, phase)


def _parts(body: dict[str, Any]) -> str:
    named = [part for part in body["parts"] if part["share"] >= LEAST_SHARE and (part["workload"] or part["phase"])]
    if not named:
        return ""
    words = [f"{part_name(part)} {format_quantity(part['energy_j'], 'energy')}" for part in named[:PARTS_NAMED]]
    return _("By workload and phase: %(parts)s.") % {"parts": get_text_list(words, _("and"))}


def _failed(body: dict[str, Any]) -> str:
    if not body["failed_jobs"] or not body["failed_j"] or body["of"] == "job":
        return ""
    values = {"jobs": body["failed_jobs"], "energy": format_quantity(body["failed_j"], "energy")}
    return (
        ngettext(
            "%(energy)s of it by %(jobs)d run that failed, was cancelled or ran out of time or memory.",
            "%(energy)s of it by %(jobs)d runs that failed, were cancelled or ran out of time or memory.",
            body["failed_jobs"],
        )
        % values
    )


def _filled(body: dict[str, Any]) -> str:
    if not body["filled_j"]:
        return ""
    return _("For nodes without a meter %(energy)s more are estimated.") % {
        "energy": format_quantity(body["filled_j"], "energy")
    }


def _emitted(body: dict[str, Any]) -> str:
    grams = body["emissions_g_co2e"]
    if grams is None:
        return ""
    kwh = kwh_from_joules(body["facility_energy_j"])
    values = {
        "facility": format_quantity(body["facility_energy_j"], "energy"),
        "grams": format_quantity(grams, "emissions"),
        "mean": f"{number(grams / kwh)}{NBSP}g/kWh" if kwh else "–",
    }
    return (
        _(
            "With shared infrastructure and cooling (PUE) this is %(facility)s, which emitted %(grams)s (operational,"
            " location-based, %(mean)s on average over the quarter hours in which the jobs ran)."
        )
        % values
    )


def _method(body: dict[str, Any]) -> str:
    said = _("Accounted by %(method)s") % {"method": body["method"]}
    if not body["factor_edition"]:
        return said + "."
    return said + ", " + _("set of factors %(edition)s") % {"edition": body["factor_edition"]} + "."


def bibtex(body: dict[str, Any], sha256: str, url: str, made: date) -> str:
    """An entry for a bibliography; in English, as bibliographies are."""
    with override("en-gb"):
        energy = "not measured" if body["energy_j"] is None else format_quantity(body["energy_j"], "energy")
        title = f"Energy and emissions of {body['jobs']} computing job{'s' if body['jobs'] != 1 else ''}, {_when(body)}"
    title = title.replace(NBSP, "~")
    lines = [
        f"@misc{{joulebook-{sha256[:12]},",
        f"  title = {{{{{title}}}}},",
        f"  author = {{{{{body['site']}}}}},",
        f"  year = {{{made.year}}},",
        f"  month = {{{made.month}}},",
        f"  howpublished = {{\\url{{{url}}}}},",
        f"  note = {{{energy.replace(NBSP, '~')}; {body['method']}; SHA-256 {sha256}}},",
        "}",
    ]
    return "\n".join(lines)
