"""The mail that says which sources are late and which are back; `measurements.services.alerts` sends it."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from measurements.models import Token
from measurements.selectors.sources import SENDER, SourceState
from measurements.services.alerts import News
from portal.quantities import duration
from portal.wording_boards import minute


def compose(news: News, now: datetime) -> tuple[str, str]:
    """Subject and text, in the language of the site's mails."""
    with translation.override(settings.DIGEST_LANGUAGE):
        return _subject(news), _text(news, now)


def _subject(news: News) -> str:
    parts = []
    if news.late:
        count = len(news.late)
        parts.append(ngettext("%(count)d source is late", "%(count)d sources are late", count) % {"count": count})
    if news.back:
        count = len(news.back)
        parts.append(ngettext("%(count)d is back", "%(count)d are back", count) % {"count": count})
    names = ", ".join(one.name for one in (*news.late, *news.back)[:3])
    return f"Joulebook: {', '.join(parts)} ({names})"


def _text(news: News, now: datetime) -> str:
    lines = []
    if news.late:
        lines += [_("Late, so that what they should bring is missing on all pages:"), *map(_late, news.late), ""]
    if news.back:
        lines += [_("Back again:"), *map(_back, news.back), ""]
    where = f"{settings.SITE_URL.scheme}://{settings.SITE_URL.netloc}{reverse('sources')}"
    lines += [_("All sources: %(address)s") % {"address": where}]
    lines += [_("Each is told once when it becomes late, and once when it is back.")]
    lines += [_("Times are in the zone %(zone)s.") % {"zone": timezone.get_current_timezone_name()}]
    return "\n".join(lines) + "\n"


def _brings(one: SourceState) -> str:
    """What it should bring: of a sender what its token is for, of a feed whom it asks."""
    if one.kind != SENDER:
        return one.about
    words = {Token.Scope.POWER_WRITE: _("pushed readings"), Token.Scope.JOBS_WRITE: _("which job holds which GPU")}
    return ", ".join(word for scope, word in words.items() if scope in one.about)


def _late(one: SourceState) -> str:
    what = f"– {one.name} ({one.cluster}, {_brings(one)})"
    if one.newest_at is None:
        said = _("nothing came from it yet")
    else:
        said = _("nothing newer than %(at)s, %(lag)s ago") % {
            "at": minute(one.newest_at),
            "lag": duration(one.lag_s or 0),
        }
    return ": ".join([what, said, *([one.error[:300]] if one.error else [])])


def _back(one: SourceState) -> str:
    return f"– {one.name} ({one.cluster}, {_brings(one)})"
