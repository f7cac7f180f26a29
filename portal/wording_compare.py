"""What a comparison of jobs says in words: only what the figures bear out."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from measurements.domain.units import datetime_from_ms
from measurements.selectors.compare import ComparedJob
from portal.quantities import NBSP, format_quantity, number

EQUAL = 0.05  # estimates this near to each other are called equal
DIFFERENT = 1.05  # a ratio from which on energies are called different
_Named = tuple[ComparedJob, str]


def names(jobs: Sequence[ComparedJob]) -> list[str]:
    """What each job is called: its id, with as much more as tells it from the others."""
    ids = [job.job.job_id for job in jobs]
    if len(set(ids)) == len(ids):
        return ids
    full = [f"{job.job.cluster.name} {job.job.job_id}" for job in jobs]
    if len(set(full)) == len(full):
        return full
    return [f"{name} ({_started(job)})" for job, name in zip(jobs, full, strict=True)]


def _started(job: ComparedJob) -> str:
    if job.job.start_ms is None:
        return "–"
    return date_format(localtime(datetime_from_ms(job.job.start_ms)), pgettext("minute", "j M Y, H:i"))


def sentences(jobs: Sequence[ComparedJob], shown: Sequence[str]) -> list[str]:
    """How the jobs compare; nothing is said of those that were not measured well enough."""
    pairs = list(zip(jobs, shown, strict=True))
    whole = [(job, name) for job, name in pairs if job.whole]
    left_out = [name for job, name in pairs if not job.whole]
    said = [_extremes(whole), _flip(whole)] if len(whole) > 1 else []
    if left_out:
        listed = get_text_list(left_out, _("and"))
        said.append(
            ngettext(
                "Nothing is said of job %(jobs)s: less than 95 %% of its time was measured.",
                "Nothing is said of jobs %(jobs)s: less than 95 %% of their time was measured.",
                len(left_out),
            )
            % {"jobs": listed}
        )
    if len(whole) > 1:
        said.append(_("Whichever drew less is the more economical only if they did the same work."))
    return [sentence for sentence in said if sentence]


def _extremes(pairs: Sequence[_Named]) -> str:
    """The two jobs that drew most and least, and what runtime alone says of them."""
    (most, most_name), (least, least_name) = max(pairs, key=_metered), min(pairs, key=_metered)
    if _metered((least, "")) <= 0:
        return ""
    times = _metered((most, "")) / _metered((least, ""))
    values = {"more": most_name, "less": least_name, "times": number(times)}
    metered = _("job %(more)s drew %(times)s times as much as job %(less)s") if times >= DIFFERENT else ""
    estimates = (most.estimate.energy_j, least.estimate.energy_j)
    if estimates[0] is None or estimates[1] is None or min(estimates[0], estimates[1]) <= 0:
        if not metered:
            return _("Metered, they drew about the same.")
        return _("Metered, %(comparison)s.") % {"comparison": metered % values}
    return _beside_estimates(metered % values if metered else "", most_name, least_name, estimates[0], estimates[1])


def _beside_estimates(metered: str, more: str, less: str, first_j: float, second_j: float) -> str:
    values = {
        "more": more,
        "less": less,
        "first": format_quantity(first_j, "energy"),
        "second": format_quantity(second_j, "energy"),
    }
    metered = metered or _("they drew about the same")
    apart = max(first_j, second_j) / min(first_j, second_j) - 1
    if apart <= EQUAL:
        within = {"within": f"{max(1, -int(-apart * 100 // 1))}{NBSP}%", "metered": metered}
        return _(
            "Runtime alone calls jobs %(more)s and %(less)s equal (%(first)s and %(second)s, within %(within)s); "
            "metered, %(metered)s."
        ) % (values | within)
    said = _("From runtime alone job %(more)s is put at %(first)s and job %(less)s at %(second)s") % values
    return _("%(estimated)s; metered, %(metered)s.") % {"estimated": said, "metered": metered}


def _flip(pairs: Sequence[_Named]) -> str:
    """Whether the most economical job is another one by the meter than by runtime."""
    if any(job.estimate.energy_j is None for job, _name in pairs):
        return ""
    by_runtime, by_meter = min(pairs, key=_estimated), min(pairs, key=_metered)
    if by_runtime[0] is by_meter[0]:
        return ""
    clear = _estimated(by_meter) >= DIFFERENT * _estimated(by_runtime)
    if not clear or _metered(by_runtime) < DIFFERENT * _metered(by_meter):
        return ""
    return _(
        "By runtime alone job %(first)s comes out most economical; metered, it is job %(second)s: the ranking flips."
    ) % {"first": by_runtime[1], "second": by_meter[1]}


def _metered(pair: _Named) -> float:
    return pair[0].figures.energy_j or 0.0


def _estimated(pair: _Named) -> float:
    return pair[0].estimate.energy_j or 0.0
