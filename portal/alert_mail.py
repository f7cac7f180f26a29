"""The mail that says which sources are late or all refused, which are back, and which tokens end.

`measurements.services.alerts` sends it.
"""

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
from portal.next_steps import refused_address, when
from portal.quantities import duration
from portal.wording_boards import minute
from portal.wording_reasons import reason_name


def compose(news: News, now: datetime) -> tuple[str, str]:
    """Subject and text, in the language of the site's mails."""
    with translation.override(settings.DIGEST_LANGUAGE):
        return _subject(news), _text(news, now)


def _subject(news: News) -> str:
    parts = []
    late, refused = _by_state(news)
    if late:
        count = len(late)
        parts.append(ngettext("%(count)d source is late", "%(count)d sources are late", count) % {"count": count})
    if refused:
        count = len(refused)
        said = ngettext(
            "all that %(count)d source sends is refused", "all that %(count)d sources send is refused", count
        )
        parts.append(said % {"count": count})
    if news.knocking:
        count = len(news.knocking)
        said = ngettext("%(count)d token is used after its end", "%(count)d tokens are used after their end", count)
        parts.append(said % {"count": count})
    if news.ending:
        count = len(news.ending)
        parts.append(ngettext("%(count)d token ends soon", "%(count)d tokens end soon", count) % {"count": count})
    if news.back:
        count = len(news.back)
        parts.append(ngettext("%(count)d is back", "%(count)d are back", count) % {"count": count})
    names = ", ".join(one.name for one in (*news.late, *news.knocking, *news.ending, *news.back)[:3])
    return f"Joulebook: {', '.join(parts)} ({names})"


def _text(news: News, now: datetime) -> str:
    lines = []
    late, refused = _by_state(news)
    if late:
        lines += [_("Late, so that what they should bring is missing on all pages:"), *map(_late, late), ""]
    if refused:
        lines += [_("All that they send is refused, and missing on all pages:"), *map(_refused, refused), ""]
    if news.back:
        lines += [_("Back again:"), *map(_back, news.back), ""]
    lines += _of_ends(news)
    lines += [_("All sources: %(address)s") % {"address": _absolute(reverse("sources"))}]
    if news.late or news.back:
        lines += [_("Each is told once when it becomes late or all of it is refused, and once when it is back.")]
    lines += [_("Times are in the zone %(zone)s.") % {"zone": timezone.get_current_timezone_name()}]
    return "\n".join(lines) + "\n"


def _of_ends(news: News) -> list[str]:
    lines = []
    if news.knocking:
        lines += [_("Used after their end, so that nothing of it is taken, and some senders drop it:")]
        lines += [*map(_knocking, news.knocking), ""]
    if news.ending:
        lines += [_("Tokens in use that end soon:"), *map(_ending, news.ending), ""]
    if news.knocking or news.ending:
        lines += [
            _(
                "To replace a token make another under another name, write it over the file that the sender reads,"
                " and revoke the old one when it is no longer used. What Prometheus has dropped a feed fetches from"
                " its own store (docs/push.md)."
            ),
            _("All tokens: %(address)s") % {"address": _absolute(reverse("tokens"))},
        ]
    return lines


def _knocking(one: SourceState) -> str:
    said = _("ended %(end)s, used last %(at)s") % {"end": when(one.ends_at), "at": when(one.knocked_at)}
    return f"– {one.name} ({one.cluster}, {_brings(one)}): {said}{_whom(one)}"


def _ending(one: SourceState) -> str:
    return f"– {one.name} ({one.cluster}, {_brings(one)}): {_('ends %(end)s') % {'end': when(one.ends_at)}}{_whom(one)}"


def _whom(one: SourceState) -> str:
    return "; " + _("ask %(who)s") % {"who": one.ask} if one.ask else ""


def _by_state(news: News) -> tuple[list[SourceState], list[SourceState]]:
    """Those that are late, and those of which all is refused."""
    refused = [one for one in news.late if one.state == "refused"]
    return [one for one in news.late if one.state != "refused"], refused


def _absolute(path: str) -> str:
    return f"{settings.SITE_URL.scheme}://{settings.SITE_URL.netloc}{path}"


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
    if one.behind_s is not None:
        said += "; " + _("it sends, but what is so old: is its clock wrong, or does it catch up?")
    return ": ".join([what, said, *([one.error[:300]] if one.error else [])])


def _refused(one: SourceState) -> str:
    what = f"– {one.name} ({one.cluster}, {_brings(one)})"
    said = _("since %(at)s, mostly: %(reason)s") % {
        "at": when(one.refused_since),
        "reason": reason_name(one.refused_for),
    }
    return f"{what}: {said}\n  {_absolute(refused_address(one))}"


def _back(one: SourceState) -> str:
    return f"– {one.name} ({one.cluster}, {_brings(one)})"
