"""The mail of a week or month: what a person's jobs drew, against the time before, and what could be done.

`measurements.services.digests` says to whom and when, and finds `compose` by the setting `DIGEST_COMPOSER`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from measurements.models import Digest
from measurements.selectors.digests import choice_of
from measurements.selectors.usage import Dimension, Scope, Usage, usage
from measurements.services.digests import Letter
from portal import digest_words as words
from portal.digest_parts import ProjectPart, Tip, advice, budget_warnings, project_parts, review_tips
from portal.forms import Period, Span
from portal.quantities import NBSP
from portal.usage_view import Metric, View

SPANS = {Digest.Kind.WEEKLY: Span.WEEK, Digest.Kind.MONTHLY: Span.MONTH}
SALT = "mails.stop"


@dataclass(frozen=True, slots=True)
class Stop:
    """What the link at the end of a mail ends: a kind of mail to a person."""

    user: int
    kind: Digest.Kind


@dataclass(frozen=True, slots=True)
class Content:
    """What there is to say, before it is put into words."""

    kind: Digest.Kind
    view: View
    found: Usage
    earlier: Usage
    projects: list[ProjectPart]
    tip: Tip | None
    budgets: list[Tip]
    reviews: list[Tip]

    @property
    def quiet(self) -> bool:
        """Whether nothing ran, neither now nor before, and nobody else's work is the reader's."""
        return not (
            self.found.elapsed_s or self.earlier.elapsed_s or self.shown_projects or self.budgets or self.reviews
        )

    @property
    def shown_projects(self) -> list[str]:
        """Those of which there are figures."""
        return [part.name for part in self.projects if part.shown]


def compose(user: User, kind: Digest.Kind, first: date) -> Letter | None:
    """The mail of the week or month that begins on a day, in the person's language; None: there is nothing to say."""
    with translation.override(language_of(user)):
        content = content_of(user, kind, first)
        return None if content.quiet else _written(user, content)


def language_of(user: User) -> str:
    """The language a person chose, else the site's."""
    chosen = choice_of(user.get_username()).language
    return chosen if chosen in dict(settings.LANGUAGES) else settings.DIGEST_LANGUAGE


def content_of(user: User, kind: Digest.Kind, first: date) -> Content:
    """The figures: the page's own, by the same selectors and the same rules of who may see what."""
    zone = ZoneInfo(timezone.get_default_timezone_name())
    view = View(Period.of(SPANS[kind], first))
    today = view.period.last + timedelta(days=1)
    scope = Scope(username=user.get_username())
    found, earlier = usage(scope, view.asked(zone)), usage(scope, view.before(zone, today))
    return Content(
        kind=kind,
        view=view,
        found=found,
        earlier=earlier,
        projects=project_parts(user, view.period, zone),
        tip=advice(user, view.period, zone) if found.elapsed_s else None,
        budgets=budget_warnings(user, today, zone),
        reviews=review_tips(user),
    )


def _written(user: User, content: Content) -> Letter:
    stop = absolute(reverse("mails-stop", args=[stop_token(user, content.kind)]))
    view, found = content.view, content.found
    page = reverse("energy")
    context = {
        "kind": content.kind,
        "language": translation.get_language(),
        "heading": words.heading(content.kind, view.period),
        "lead": words.lead(content.kind, found, content.earlier),
        "facts": words.facts(found, content.earlier, view),
        "measured": words.measured(found, content.earlier),
        "unused": words.unused(found),
        "unused_address": absolute(page + View(view.period, Dimension.STATE, Metric.WASTE).but()),
        "tip": content.tip,
        "projects": content.projects,
        "budgets": content.budgets,
        "reviews": content.reviews,
        "page": absolute(page + view.but()) if found.elapsed_s or content.earlier.elapsed_s else "",
        "choices": absolute(reverse("mails")),
        "stop": stop,
        "simulated": settings.JOULEBOOK_DEMO,
        "contact": settings.CONTACT,
        "base": absolute(""),
    }
    text = render_to_string("mails/digest.txt", context)
    return Letter(
        subject=_subject(content).replace(NBSP, " "),
        text=text.replace(NBSP, " ").strip() + "\n",
        html=render_to_string("mails/digest.html", context),
        headers=unsubscribe_headers(stop),
        projects=tuple({*content.shown_projects, *(one.project for one in content.budgets)}),
    )


def _subject(content: Content) -> str:
    said = words.subject(content.kind, content.view.period, content.found, content.earlier)
    if not said:
        said = words.subject_of_projects(content.kind, content.view.period, content.shown_projects)
    return _("%(subject)s (simulated)") % {"subject": said} if settings.JOULEBOOK_DEMO else said


def absolute(path: str) -> str:
    """An address of the site as a mail needs it."""
    return f"{settings.SITE_URL.scheme}://{settings.SITE_URL.netloc}{path}"


# --- Ending it ------------------------------------------------------------------------------------


def stop_token(user: User, kind: Digest.Kind) -> str:
    """Signed, without a name, and good for ever: an old mail can be unsubscribed from, too."""
    return signing.dumps([user.pk, kind.value], salt=SALT)


def read_stop(token: str) -> Stop | None:
    """What a token ends; None: it is none of this site's."""
    try:
        user, kind = signing.loads(token, salt=SALT)
        return Stop(int(user), Digest.Kind(kind))
    except (signing.BadSignature, ValueError, TypeError):
        return None


def unsubscribe_headers(stop: str) -> dict[str, str]:
    """RFC 8058 for mail programs with a button; one click needs https."""
    one_click = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if stop.startswith("https:") else {}
    return {"List-Unsubscribe": f"<{stop}>", **one_click}
