"""Every page of the demo in a real browser: different people, phone and desktop, light and dark, both languages.

A new page is a line in PAGES; an address of the site that is neither there nor in EXEMPT fails the first test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import translation
from django.utils.translation import gettext
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from measurements.demo.people import OPERATOR, STUDENT, SUSTAINABILITY
from tests.browser.looking import Reader, View
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP, PHONE
from tests.services.demo_site import DemoSite, demo_site, empty_site
from tests.services.fixtures import OpenBrowser, chromium_here, programs

NOBODY = ""
DAYS = 4
VIEWS = (
    View("desktop-light-en", DESKTOP, dark=False, language="en-gb"),
    View("desktop-dark-de", DESKTOP, dark=True, language="de"),
    View("phone-light-de", PHONE, dark=False, language="de"),
    View("phone-dark-en", PHONE, dark=True, language="en-gb"),
)
WITH_BARRIERS = ("desktop-light-en", "desktop-dark-de")  # each page × scheme once


@dataclass(frozen=True, slots=True)
class Page:
    """An address of the site, and who looks at it; {names} are filled in for this demo."""

    route: str
    path: str
    readers: tuple[str, ...] = (STUDENT,)
    status: int = 200


PAGES = (
    Page("energy", "/", (NOBODY, STUDENT, OPERATOR)),
    Page("jobs", "/jobs/", (STUDENT, OPERATOR)),
    Page("jobs", "/jobs/?q=nothing+has+this+name"),
    Page("compare", "/jobs/compare/?job=demo/{one}&job=demo/{other}"),
    Page("compare", "/jobs/compare/"),
    Page("job", "/jobs/demo/{one}/", (STUDENT, OPERATOR)),
    Page("job", "/jobs/demo/{running}/"),
    Page("job", "/jobs/demo/{on_gpus}/", (OPERATOR,)),
    Page("job", "/jobs/demo/{foreign}/", status=404),
    Page("waste", "/waste/", (STUDENT, OPERATOR)),
    Page("carbon", "/carbon/", (STUDENT, OPERATOR)),
    Page("carbon", "/carbon/?days=1&method=market"),
    Page("clusters", "/clusters/"),
    Page("cluster", "/clusters/demo/", (STUDENT, OPERATOR)),
    Page("cluster", "/clusters/demo/?days=1"),
    Page("statement", f"/clusters/demo/statement/{datetime.now(UTC):%Y}/", (STUDENT, SUSTAINABILITY)),
    Page("statement", "/clusters/demo/statement/2019/", (OPERATOR,)),
    Page("node", "/clusters/demo/nodes/gpu01/", (OPERATOR, SUSTAINABILITY)),
    Page("node", "/clusters/demo/nodes/facility/", (OPERATOR,)),
    Page("methodology", "/methodology/", (NOBODY,)),
    Page("privacy", "/privacy/", (NOBODY, STUDENT, OPERATOR)),
    Page("mails", "/mails/", (STUDENT, OPERATOR)),
    Page("operations", "/operations/", (OPERATOR,)),
    Page("batch", "/operations/batches/1/", (OPERATOR,)),
    Page("quarantine", "/operations/quarantine/", (OPERATOR,)),
    Page("coverage", "/operations/coverage/", (OPERATOR,)),
    Page("reconciliation", "/operations/reconciliation/", (OPERATOR,)),
    Page("factors", "/operations/factors/", (OPERATOR, SUSTAINABILITY)),
    Page("declare", "/operations/factors/declare/tariff/", (SUSTAINABILITY,)),
    Page("declare", "/operations/factors/declare/intensity/", (OPERATOR,)),
    Page("factor-series", "/operations/factors/series/?zone=DE", (OPERATOR,)),
    Page("series", "/operations/factors/series/simulated-grid/", (SUSTAINABILITY,)),
    Page("series", "/operations/factors/series/uba-2025-ghg-upstream-de/", (OPERATOR,)),
    Page("login", "/login/", (NOBODY,)),
)
FROM_THE_FOOTER = ("privacy", "mails")  # in no place of the navigation
EXEMPT = {
    "job-curve": "what the script of a job's page fetches",
    "jobs-csv": "a file",
    "waste-lines": "a part of the page energy",
    "refused-lines": "a file",
    "my-data": "a file",
    "mails-preview": "a mail, which has no navigation and follows no choice of the page: tests/browser/test_mails.py",
    "mails-stop": "needs a signed token: tests/browser/test_mails.py",
    "coverage-csv": "a file",
    "reconciliation-csv": "a file",
    "statement-csv": "a file",
    "statement-close": "takes POST and leads on",
    "logout": "takes POST and leads on",
    "set_language": "takes POST and leads on",
    "look-as": "takes POST and leads on",
    "story": "leads on",
    "livez": "for machines",
    "readyz": "for machines",
}
VISITS = [(page, reader) for page in PAGES for reader in page.readers]


def named(routes: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """The names of all addresses but the admin's, which are Django's own, and those for machines."""
    for route in routes:
        if isinstance(route, URLPattern):
            yield route.name or str(route.pattern)
        elif route.namespace not in {"admin", "api"}:
            yield from named(route.url_patterns)


def test_every_address_is_looked_at_or_exempt() -> None:
    looked_at = {page.route for page in PAGES}
    assert looked_at.isdisjoint(EXEMPT)
    known = set(named(get_resolver().url_patterns))
    assert known <= looked_at | set(EXEMPT)
    assert looked_at | set(EXEMPT) <= known


@pytest.fixture(scope="module")
def site() -> Iterator[DemoSite]:
    """A demo of its own, for all pages."""
    programs(CHROMIUM)  # without a browser nobody needs to wait for it
    with demo_site(DAYS) as served:
        yield served


@pytest.fixture(scope="module")
def empty() -> Iterator[DemoSite]:
    """A site that nobody has set up yet."""
    programs(CHROMIUM)
    with empty_site() as served:
        yield served


@pytest.fixture(scope="module", params=VIEWS, ids=[view.name for view in VIEWS])
def reader(request: pytest.FixtureRequest, site: DemoSite) -> Iterator[Reader]:
    """One browser for all pages seen in one way."""
    with chromium_here() as chromium:
        yield Reader.at(site.address, request.param, chromium)


@pytest.fixture(scope="module")
def names(site: DemoSite) -> dict[str, str]:
    """Two jobs of the student that are over, one that is running, one of somebody else, and an array."""
    query = "SELECT job_id FROM measurements_job WHERE username {} AND end_ms IS {} ORDER BY start_ms DESC LIMIT 2"
    (one,), (other,) = site.ask(query.format("= ?", "NOT NULL"), STUDENT)
    return {
        "one": one,
        "other": other,
        "running": site.ask(query.format("= ?", "NULL"), STUDENT)[0][0],
        "foreign": site.ask(query.format("<> ?", "NOT NULL"), STUDENT)[0][0],
        "on_gpus": site.ask(ON_GPUS)[0][0],
    }


ON_GPUS = """
    SELECT job.job_id FROM measurements_job job JOIN measurements_jobenergy energy ON energy.job_id = job.id
    WHERE end_ms NOT NULL AND gpu_held_us > 0 ORDER BY start_ms DESC
"""


@pytest.mark.parametrize(("page", "person"), VISITS, ids=[f"{page.path}-{who or 'nobody'}" for page, who in VISITS])
def test_a_page_is_as_it_should_be(reader: Reader, names: dict[str, str], page: Page, person: str) -> None:
    reader.become(person)
    browser = reader.open(page.path.format(**names))
    check_page(reader, page.status)
    check_notice(browser, reader.view.language)
    if person and page.status == 200:
        marked = len(browser.find_elements(By.CSS_SELECTOR, "nav.places [aria-current]"))
        assert marked == (0 if page.route in FROM_THE_FOOTER else 1)


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_a_site_that_is_empty_says_what_to_do(empty: DemoSite, chromium: OpenBrowser, view: View) -> None:
    reader = Reader.at(empty.address, view, chromium)
    reader.become(NOBODY)
    browser = reader.open("/")
    assert "load_nodes" in browser.find_element(By.TAG_NAME, "main").text
    assert not browser.find_elements(By.CLASS_NAME, "simulated")
    check_page(reader, 200)


def check_page(reader: Reader, expected: int) -> None:
    """The page that is open came with this status, is whole, accessible, and no wider than its window."""
    browser = reader.browser
    said = [line for line in reader.complaints() if expected == 200 or f"status of {expected}" not in line]
    assert said == []
    assert status(browser) == expected
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == reader.view.language
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    if reader.view.name in WITH_BARRIERS:
        assert reader.barriers() == []
    assert reader.sticking_out() <= 0


def status(browser: Chrome) -> int:
    """With which status the page came."""
    return int(browser.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus"))


def check_notice(browser: Chrome, language: str) -> None:
    """A simulated cluster says so, in the page and in its title."""
    with translation.override(language):
        words, word = gettext("Simulated cluster: no figure here is a measurement."), gettext("simulated")
    notice = browser.find_element(By.CSS_SELECTOR, ".simulated p")
    assert notice.is_displayed()
    assert notice.text == words
    assert browser.title.endswith(f"({word})")


def test_the_way_through_the_navigation_is_seen(reader: Reader) -> None:
    reader.become(OPERATOR)
    browser = reader.open("/clusters/")
    links = [link.text for link in browser.find_elements(By.CSS_SELECTOR, "nav.places a")]
    assert len(links) == 6
    found: list[dict[str, Any]] = []
    while len(found) < MOST_STEPS and [step["text"] for step in found[-6:]] != links:
        ActionChains(browser).send_keys(Keys.TAB).perform()
        found.append(browser.execute_script(FOCUS))
    assert [step["text"] for step in found[-6:]] == links
    unseen = [step for step in found if step["outline"] < 2 or not step["inside"] or step["height"] < 24]
    assert unseen == []


MOST_STEPS = 20  # skip link, whom a demo can be looked at as, and the site's name stand before the navigation
FOCUS = """
    const link = document.activeElement;
    const { left, right, top, bottom, height } = link.getBoundingClientRect();
    const style = getComputedStyle(link);
    return {
        text: link.textContent.trim(),
        outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
        inside: left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight,
        height,
    };
"""
