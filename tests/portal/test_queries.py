"""Pages take ten queries at most, however much there is; that an operator looked is noted by one more."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import People
from tests.portal.test_jobs import made
from tests.portal.world import DAY, PERIOD

MOST = 10
PAGES = [
    f"/?{PERIOD}",
    "/jobs/",
    "/jobs/?q=train",
    "/jobs/?q=123",
    "/jobs/?q=36_*",
    "/jobs/?state=failed&quality=none&type=thin&partition=x",
    f"/jobs/?first={DAY}&last={DAY}&project=physics&array=36&running=on",
    f"/clusters/alpha/?{PERIOD}",
    f"/carbon/?{PERIOD}",
    f"/node-types/?{PERIOD}",
    "/mails/",
    f"/waste/?{PERIOD}",
    f"/waste/lines/?{PERIOD}",
]


def queries(client: Client, url: str) -> int:
    assert client.get(url).status_code == 200
    with CaptureQueriesContext(connection) as seen:
        client.get(url)
    notes = [query for query in seen.captured_queries if query["sql"].startswith("INSERT")]
    assert len(notes) <= 2, "who looked is noted in one statement for people and one for projects"
    return len(seen.captured_queries) - len(notes)


@pytest.mark.parametrize("who", ["alice", "operator"])
def test_ten_queries_are_enough_for_any_amount_of_jobs(site: None, people: People, client: Client, who: str) -> None:
    """Session, user and two of permissions are four of them."""
    operator = User.objects.create_user("operator")
    operator.user_permissions.add(*Permission.objects.filter(codename__in=["view_all_jobs", "view_operations"]))
    client.force_login(User.objects.get(username=who))
    before = {url: queries(client, url) for url in PAGES}
    made(120, state="FAILED")
    after = {url: queries(client, url) for url in PAGES}
    assert max(before.values()) <= MOST, before
    assert max(after.values()) <= MOST, after
