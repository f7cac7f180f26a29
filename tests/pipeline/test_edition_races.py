"""Two admins at once: whoever comes second finds what the first one did, on both databases."""

from __future__ import annotations

import time

from tests.pipeline.site import Farm, Site

WORLD = """
from django.contrib.auth.models import User
from measurements.services import editions
from tests.measurements.services.edition_world import *
"""
BOARD = """
for kind in ("thin", "gpu"):
    people(on=kind, number=6)
board(kind="node_types", scope="node_type")
User.objects.create_superuser("olga")
"""
SUBMITTED = """
drafted = editions.draft(models.Board.objects.get(), FIRST, LAST, admins()[0], NOW)
editions.submit(drafted, admins()[0], NOW)
"""
TRY = """
try:
    {what}
    print("done")
except editions.BoardRefused as refused:
    print(refused.code.value)
"""
WAITS_S = 1.0  # for the second one to come to the lock


def at_once(site: Site, first: str, second: str, pause: str) -> tuple[str, str]:
    """What two changes say, the second of which comes while the first is in the middle of its own."""
    slow = site.start("evaluate", WORLD + TRY.format(what=first), pause=[f"measurements.services.editions.{pause}"])
    slow.until_reached()
    quick = site.start("evaluate", WORLD + TRY.format(what=second))
    time.sleep(WAITS_S)
    slow.go_on()
    one, other = (running.wait().done().out.strip() for running in (slow, quick))
    return one, other


def approved_by(name: str) -> str:
    """One approves the only edition there is."""
    return f"editions.approve(models.Edition.objects.get(), User.objects.get(username={name!r}), REVIEWED)"


def test_of_two_approvals_at_once_one_publishes(any_farm: Farm) -> None:
    site = any_farm.new()
    site.evaluate(WORLD + BOARD + SUBMITTED)
    said = at_once(site, approved_by("omar"), approved_by("olga"), "_refuse_approval")
    assert said == ("done", "wrong_state")
    (edition,) = site.rows("Edition")
    assert (edition["state"], edition["approved_by"]) == ("published", "omar")
    assert [event["what"] for event in site.rows("BoardEvent")].count("published") == 1


def test_an_edition_that_is_sent_back_meanwhile_is_not_published(any_farm: Farm) -> None:
    site = any_farm.new()
    site.evaluate(WORLD + BOARD + SUBMITTED)
    sent_back = "editions.send_back(models.Edition.objects.get(), User.objects.get(username='olga'), NOW)"
    said = at_once(site, sent_back, approved_by("omar"), "_thaw")
    assert said == ("done", "wrong_state")
    (edition,) = site.rows("Edition")
    assert (edition["state"], edition["frozen"]) == ("draft", "")


def test_of_two_drafts_of_the_same_days_at_once_one_is_made(any_farm: Farm) -> None:
    site = any_farm.new()
    site.evaluate(WORLD + BOARD + "board('second', kind='node_types', scope='node_type')")
    draft = "editions.draft(models.Board.objects.get(slug={!r}), FIRST, LAST, admins()[0], NOW)"
    said = at_once(site, draft.format("nnunet"), draft.format("second"), "_refuse_overlap")
    assert said == ("done", "overlaps_board")
    assert len(site.rows("Edition")) == 1
