"""The first view is small: what a browser with an empty cache loads of My energy."""

from __future__ import annotations

import pytest

from measurements.demo.people import LEADER, STUDENT
from tests.browser.conftest import PLAIN
from tests.browser.first_view import first_view
from tests.browser.looking import Reader
from tests.browser.site_people import NOBODY

MOST_BYTES = 150_000
CHART = "/static/vendor/chartjs/chart.umd.min.js"


@pytest.mark.parametrize("person", [STUDENT, LEADER, NOBODY])
def test_my_energy_takes_at_most_150_kb(reader: Reader, person: str) -> None:
    reader.see(PLAIN)
    reader.become(person)
    seen = first_view(reader, "/")
    names = {name.removeprefix(reader.address) for name in seen.sent_bytes}
    assert {"/", CHART} <= names  # else something came from a cache, or is not counted
    assert min(seen.sent_bytes.values()) > 0
    assert seen.total_bytes <= MOST_BYTES, seen.sent_bytes
