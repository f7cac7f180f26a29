"""What a review of the pages of usage found: odd periods, jobs that are not measured, fair comparisons."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.conftest import People

PAGES = ("/", "/energy.csv", "/energy/jobs/", "/energy/jobs.csv", "/report/", "/waste/", "/calendar/", "/clusters/alpha/")
ENDS_OF_TIME = (
    "first=0001-01-01&last=0001-01-02",
    "first=9999-12-30&last=9999-12-31",
    *(f"span={span}&at={at}" for span in ("day", "week", "month", "year") for at in ("0001-01-01", "9999-12-31")),
)


@pytest.mark.parametrize("period", ENDS_OF_TIME)
def test_a_period_at_the_end_of_time_is_no_fault_of_the_server(
    site: None, people: People, client: Client, period: str
) -> None:
    client.force_login(people.alice)
    assert [client.get(f"{page}?{period}").status_code for page in PAGES] == [200] * len(PAGES)
    assert b"Give days of the years 1971 to 2099." in client.get(f"/?{period}").content
    answer = client.get(f"/api/v1/users/me/usage?{period}")
    assert answer.status_code in (200, 422)
