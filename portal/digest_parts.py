"""Parts of a mail that other pages have as well: projects, budgets, the one best advice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from measurements.models import Budget, Project
from measurements.selectors.boards import reviews_for
from measurements.selectors.budgets import budget_states
from measurements.selectors.days import day_bounds_ms
from measurements.selectors.people import led
from measurements.selectors.project import Access, accesses
from measurements.selectors.project_totals import Totals, shown_months, totals
from measurements.selectors.usage import Dimension
from measurements.selectors.waste import dismissed, subject_of, waste
from portal.forms import Period, Span
from portal.quantities import format_quantity, percent
from portal.wording_boards import edition_number, minute
from portal.wording_budget import budget_sentence
from portal.wording_usage import change
from portal.wording_waste import in_a_mail

MOST_PROJECTS = 8
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ProjectPart:
    """A led project in a sentence."""

    name: str
    sentence: str
    path: str
    shown: bool  # False: no figures of it may be shown, or nothing ran
    energy_j: float


@dataclass(frozen=True, slots=True)
class Tip:
    """A sentence, and the page that goes with it."""

    sentence: str
    path: str
    project: str = ""  # whose sums it tells


def project_parts(user: User, period: Period, zone: ZoneInfo) -> list[ProjectPart]:
    """The led projects, most energy first, by the rule of their page; in mails of a month only: leaders see whole
    months, and in mails everybody does."""
    if period.span is not Span.MONTH:
        return []
    found = [_project(who, period, zone) for who in _led(user)]
    return sorted(found, key=lambda part: (-part.energy_j, part.name))[:MOST_PROJECTS]


def _page(name: str) -> str:
    return reverse("project", args=[name])


def _led(user: User) -> list[Access]:
    """Projects that a person leads; whoever may see all projects is not written about all of them."""
    mine = led(user)
    return [who for name, who in accesses(user).items() if name in mine] if mine else []


def _project(who: Access, period: Period, zone: ZoneInfo) -> ProjectPart:
    earlier, today = period.shifted(-1), period.last + _DAY
    months = shown_months(who, earlier.first, period.last, today)
    found = totals(who, months, zone, Dimension.NODE_TYPE)
    path = f"{_page(who.name)}?{period.query}"
    now = _month(found, period.first)
    if found is None or now is None:
        sentence = _("no figures: too few people ran jobs, or nobody did.")
        return ProjectPart(who.name, sentence, path, shown=False, energy_j=0.0)
    energy_j = float(found.usage.cells.energy_j[now].sum())
    sentence = _sentence(found, now, _month(found, earlier.first))
    return ProjectPart(who.name, sentence, path, shown=True, energy_j=energy_j)


def _month(found: Totals | None, first: date) -> int | None:
    """The place of a month whose sums are shown."""
    if found is None or first not in found.months:
        return None
    place = found.months.index(first)
    return place if found.shown[place] else None


def _sentence(found: Totals, now: int, before: int | None) -> str:
    """Energy against the month before, and what came to nothing."""
    cells = found.usage.cells
    if not cells.covered_s[now].sum():
        return _("jobs ran, but nothing was measured.")
    energy_j = float(cells.energy_j[now].sum())
    measured_before = before is not None and cells.covered_s[before].sum() > 0
    against = change(energy_j, float(cells.energy_j[before].sum())) if measured_before else ""
    values = {"energy": format_quantity(energy_j, "energy"), "change": against}
    said = (_("%(energy)s, %(change)s.") if against else _("%(energy)s.")) % values
    failed_j = found.failed_j[now]
    if failed_j and energy_j:
        said += " " + _("%(share)s of it in jobs that came to nothing.") % {"share": percent(failed_j / energy_j)}
    return said


def advice(user: User, period: Period, zone: ZoneInfo) -> Tip | None:
    """The one thing that would save most, as `/waste/` says it first; not what the person has put away."""
    start_ms, *_between, end_ms = day_bounds_ms(period.first, period.last, zone).tolist()
    away = dismissed(user.get_username())
    lines = waste(user.get_username(), start_ms, end_ms).lines
    line = next((one for one in lines if (one.kind.value, subject_of(one)) not in away), None)
    return Tip(in_a_mail(line), f"{reverse('waste')}?{period.query}") if line else None


def budget_warnings(user: User, today: date, zone: ZoneInfo) -> list[Tip]:
    """Led projects' budgets that reached a warning level, or will be used up before their end."""
    led_ones = {who.name: who for who in _led(user)}
    if not led_ones:
        return []
    having = Budget.objects.filter(project__name__in=led_ones).values("project")
    found = []
    for project in Project.objects.filter(pk__in=having).order_by("name"):
        found += _warnings(project, led_ones[project.name], today, zone)
    return found


def review_tips(user: User) -> list[Tip]:
    """Editions of leaderboards under review that the person is in: what they may look at, and object to."""
    found = []
    for review in reviews_for(user, timezone.now()):
        edition = review.edition
        said = {"board": edition.board.title, "until": minute(edition.review_until) if edition.review_until else "–"}
        sentence = _("You are in an edition of “%(board)s” that is under review until %(until)s.") % said
        path = reverse("edition-review", args=[edition.board.slug, edition_number(edition)])
        found.append(Tip(sentence, path))
    return found


def _warnings(project: Project, who: Access, today: date, zone: ZoneInfo) -> list[Tip]:
    now = timezone.make_aware(datetime.combine(today, datetime.min.time()), zone)
    states = budget_states(project, now, zone, who)
    return [
        Tip(f"{project.name}: {budget_sentence(state)}", _page(project.name), project.name)
        for state in states
        if state.warns
    ]
