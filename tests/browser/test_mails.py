"""A mail as a browser shows it, which mail programs are, and the page that its link leads to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from selenium.webdriver.common.by import By

from measurements.demo.people import STUDENT
from tests.browser.hands import until
from tests.browser.looking import Reader, View
from tests.browser.site_people import days_of_site
from tests.browser.test_every_page import status
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP, PHONE
from tests.services.demo_site import DemoSite, demo_site
from tests.services.fixtures import chromium_here, programs

VIEWS = (
    View("desktop-dark", DESKTOP, dark=True, language="de"),
    View("phone-light", PHONE, dark=False, language="en-gb"),
)


@pytest.fixture(scope="module")
def site() -> Iterator[DemoSite]:
    """A demo of its own: the test changes it."""
    programs(CHROMIUM)
    with demo_site(days_of_site(datetime.now(UTC).date())) as served:
        yield served


@pytest.fixture(scope="module", params=VIEWS, ids=[view.name for view in VIEWS])
def reader(request: pytest.FixtureRequest, site: DemoSite) -> Iterator[Reader]:
    """One browser."""
    with chromium_here() as chromium:
        yield Reader.at(site.address, request.param, chromium)


def whole(reader: Reader) -> None:
    """It came, its style too, nothing sticks out, and axe finds no barrier."""
    said = [line for line in reader.complaints() if "favicon.ico" not in line]  # a mail names no icon
    assert said == []
    assert status(reader.browser) == 200
    assert len(reader.browser.find_elements(By.TAG_NAME, "h1")) == 1
    assert reader.sticking_out() <= 0
    assert reader.barriers() == []


def test_a_mail_is_legible_and_its_link_leads_to_its_end(reader: Reader) -> None:
    reader.become(STUDENT)
    browser = reader.open("/mails/preview/weekly/")
    whole(reader)
    assert browser.find_element(By.TAG_NAME, "body").value_of_css_property("max-width") != "none"
    link = browser.find_element(By.CSS_SELECTOR, "footer a").get_attribute("href") or ""
    assert re.search(r"/mails/stop/[^/]+/$", link)
    reader.become("")  # nobody is logged in where the mail is read
    browser = reader.open(link.removeprefix(reader.address))
    whole(reader)
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    until(browser, "no weekly mail any more")
    whole(reader)
