"""The feed of published editions of public boards (Atom): the same bytes for everybody."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import override

from measurements.models import Edition
from measurements.selectors.boards import boards_for
from portal import wording_boards as wording
from portal.board_page import READABLE

MOST_ENTRIES = 50


def feed_xml() -> str:
    """Newest first; in English, as it is one feed for all."""
    with override("en-gb"):
        feed = Atom1Feed(
            title="Joulebook: leaderboards",
            link=_absolute(reverse("boards")),
            feed_url=_absolute(reverse("board-feed")),
            description="Editions of public leaderboards",
            language="en",
        )
        for edition in _published():
            _add(feed, edition)
        return str(feed.writeString("utf-8"))


def _published() -> list[Edition]:
    """What somebody who is not logged in may read, but for what was withdrawn."""
    boards = [listed.board for listed in boards_for(AnonymousUser(), timezone.now())]
    found = Edition.objects.filter(board__in=boards, state__in=READABLE).defer("frozen").select_related("board")
    return list(found.order_by("-published_at", "-pk")[:MOST_ENTRIES])


def _add(feed: Atom1Feed, edition: Edition) -> None:
    board = edition.board
    number = wording.edition_number(edition)
    link = _absolute(reverse("edition", args=[board.slug, number]))
    corrected = f" Corrected: {edition.reason}" if edition.revision else ""
    feed.add_item(
        title=f"{board.title}, edition {number}",
        link=link,
        unique_id=link,
        description=f"{wording.question(board.kind, board.scope)} {wording.edition_period(edition)}.{corrected}",
        pubdate=edition.published_at,
        updateddate=edition.published_at,
    )


def _absolute(path: str) -> str:
    return f"{settings.SITE_URL.scheme}://{settings.SITE_URL.netloc}{path}"
