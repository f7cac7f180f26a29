"""The demo with people in every role, served once for all that look at it, and a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from measurements.demo.people import LEADER, STUDENT
from tests.browser.looking import SECONDS, Reader, View
from tests.browser.site_people import DEPUTY, peopled_site
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP
from tests.services.demo_site import DemoSite
from tests.services.fixtures import chromium_here, programs

PLAIN = View("plain", DESKTOP, dark=False, language="en-gb")
ON_GPUS = """
    SELECT job.job_id FROM measurements_job job JOIN measurements_jobenergy energy ON energy.job_id = job.id
    WHERE end_ms NOT NULL AND gpu_held_us > 0 AND username NOT IN (?, ?, ?) ORDER BY start_ms DESC
"""
OWN = "SELECT job_id, start_ms, end_ms FROM measurements_job WHERE username = ? AND end_ms IS {} ORDER BY start_ms DESC"


@pytest.fixture(scope="session")
def site() -> Iterator[DemoSite]:
    """A demo for all tests of pages; nothing changes it but what they report."""
    programs(CHROMIUM)  # without a browser nobody needs to wait for it
    with peopled_site(datetime.now(UTC).date()) as served:
        yield served


@pytest.fixture(scope="module")
def reader(site: DemoSite) -> Iterator[Reader]:
    """One browser; how it sees the site is changed from page to page."""
    with chromium_here() as chromium:
        yield Reader.at(site.address, PLAIN, chromium)


@pytest.fixture(scope="module")
def names(site: DemoSite, reader: Reader) -> dict[str, str]:
    """Jobs of the student that are over, one that runs, one of somebody none of the readers is; a report."""
    (one, start, end), (other, *_) = site.ask(OWN.format("NOT NULL"), STUDENT)[:2]
    quarter = (end - start) // 4
    return {
        "one": one,
        "other": other,
        "from": str(start + quarter),
        "to": str(end - quarter),
        "running": site.ask(OWN.format("NULL"), STUDENT)[0][0],
        "on_gpus": site.ask(ON_GPUS, STUDENT, LEADER, DEPUTY)[0][0],
        "report": frozen(reader),
    }


def frozen(reader: Reader) -> str:
    """The hash of what the student reports of a month."""
    reader.become(STUDENT)
    browser = reader.open("/report/")
    browser.find_element(By.CSS_SELECTOR, "main form button.primary").click()
    WebDriverWait(browser, SECONDS).until(lambda b: "/reports/" in b.current_url)
    return browser.current_url.rstrip("/").rpartition("/")[2]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures of the pages go."""
    asked = os.environ.get("JOULEBOOK_SCREENSHOTS", "")
    place = Path(asked) if asked else tmp_path_factory.mktemp("screenshots")
    place.mkdir(parents=True, exist_ok=True)
    return place
