"""Every page of the demo in a real browser, as everybody: phone and desktop, light and dark, both languages.

Each page is opened as each person who sees it, at least twice: each page and each person meets both widths, both
schemes and both languages. Its colours are measured and it is photographed once in light and once in dark. To whom a
page does not exist it is asked for without a browser. The pictures go into the folder JOULEBOOK_SCREENSHOTS, if it is
set. A new page is a line in PAGES; an address of the site that is neither there nor in EXEMPT fails the first test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import translation
from django.utils.translation import gettext
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from measurements.demo.people import LEADER, OPERATOR, STUDENT, SUSTAINABILITY
from portal.context import PLACES
from tests.browser.chart_rules import CHARTS
from tests.browser.hands import main
from tests.browser.looking import Reader, View
from tests.browser.site_people import DEPUTY, NOBODY, PEOPLE
from tests.services.binaries import CHROMIUM
from tests.services.browser import DESKTOP, PHONE
from tests.services.demo_site import DemoSite, empty_site
from tests.services.fixtures import OpenBrowser, programs

VIEWS = {
    (size, dark, language): View(f"{size[0]}-{'dark' if dark else 'light'}-{language}", size, dark, language)
    for size in (DESKTOP, PHONE)
    for dark in (False, True)
    for language in ("en-gb", "de")
}
SIGNED_IN = frozenset(PEOPLE) - {NOBODY}
EVERYBODY = frozenset(PEOPLE)
LEADING = frozenset({LEADER, DEPUTY, OPERATOR})
ALICE_S = frozenset({STUDENT, OPERATOR})  # what is hers, and the operator's to see
OPERATORS = frozenset({OPERATOR})
EMPTY_VIEWS = [VIEWS[DESKTOP, False, "en-gb"], VIEWS[PHONE, True, "de"]]
THIS_YEAR = f"{datetime.now(UTC):%Y}"


@dataclass(frozen=True, slots=True)
class Page:
    """An address of the site, and who sees it; {names} are filled in for this demo. To others it is not there."""

    route: str
    path: str
    seen_by: frozenset[str] = SIGNED_IN
    placed: bool = True  # is it below one of the navigation's entries
    mailed: frozenset[str] = frozenset()  # to whom it is a mail: it is in their own language, and looks like a mail


PAGES = (
    Page("energy", "/", EVERYBODY),
    Page("energy", "/?days=365&group=state&metric=emissions", EVERYBODY),
    Page("energy", "/?span=month&group=project&metric=waste&compare=year", EVERYBODY),
    Page("energy-jobs", "/energy/jobs/"),
    Page("calendar", "/calendar/"),
    Page("waste", "/waste/"),
    Page("jobs", "/jobs/"),
    Page("jobs", "/jobs/?q=nothing+has+this+name"),
    Page("compare", "/jobs/compare/?job=demo/{one}&job=demo/{other}", ALICE_S),
    Page("compare", "/jobs/compare/"),
    Page("job", "/jobs/demo/{one}/", ALICE_S),
    Page("job", "/jobs/demo/{one}/?from={from}&to={to}", ALICE_S),
    Page("job", "/jobs/demo/{running}/", ALICE_S),
    Page("job", "/jobs/demo/{on_gpus}/", OPERATORS),
    Page("jobs-tags", "/jobs/tags/?state=failed&t-workload=x"),
    Page("job-tags", "/jobs/demo/{one}/tags/", ALICE_S),
    Page("report-preview", "/report/"),
    Page("report-preview", "/report/?job=demo/{one}", frozenset({STUDENT})),
    Page("report", "/reports/{report}/", EVERYBODY, placed=False),
    Page("projects", "/projects/", LEADING),
    Page("project", "/projects/science/", LEADING),
    Page("project", "/projects/imaging/", LEADING),
    Page("project-budget", "/projects/science/budget/", LEADING),
    Page("project-members", "/projects/science/members/", OPERATORS),
    Page("carbon", "/carbon/"),
    Page("carbon", "/carbon/?days=1&method=market"),
    Page("clusters", "/clusters/"),
    Page("cluster", "/clusters/demo/"),
    Page("cluster", "/clusters/demo/?days=1"),
    Page("node-types", "/node-types/"),
    Page("node-types", "/node-types/?days=365&cluster=demo"),
    Page("node-outliers", "/node-types/nodes/", OPERATORS),
    Page("statement", f"/clusters/demo/statement/{THIS_YEAR}/"),
    Page("statement", "/clusters/demo/statement/2019/"),
    Page("node", "/clusters/demo/nodes/gpu01/", OPERATORS),
    Page("node", "/clusters/demo/nodes/facility/", OPERATORS),
    Page("workloads", "/workloads/"),
    Page("workload", "/workloads/nnunet/"),
    Page("workload", "/workloads/nnunet/?view=together&period=this-year"),
    Page("workload", "/workloads/unet-3d/"),
    Page("boards", "/leaderboards/", EVERYBODY),
    Page("board", "/leaderboards/nnunet-inference/", EVERYBODY),
    Page("edition", "/leaderboards/nnunet-inference/2/", EVERYBODY),
    Page("edition", "/leaderboards/failed-jobs/1/"),
    Page("edition", "/leaderboards/idle-gpus/1/", OPERATORS),
    Page("board-name", "/leaderboards/failed-jobs/name/"),
    Page("edition-review", "/leaderboards/idle-gpus/1/review/", OPERATORS),
    Page("edition-do", "/leaderboards/idle-gpus/1/do/submit/", OPERATORS),
    Page("board-manage", "/leaderboards/nnunet-inference/manage/", OPERATORS),
    Page("board-change", "/leaderboards/nnunet-inference/change/", OPERATORS),
    Page("board-new", "/leaderboards/new/", OPERATORS),
    Page("mails", "/mails/", placed=False),
    Page("mails-preview", "/mails/preview/monthly/", placed=False, mailed=frozenset({STUDENT, LEADER, DEPUTY})),
    Page("privacy", "/privacy/", EVERYBODY, placed=False),
    Page("methodology", "/methodology/", EVERYBODY, placed=False),
    Page("operations", "/operations/", OPERATORS),
    Page("batch", "/operations/batches/1/", OPERATORS),
    Page("imports", "/operations/imports/", OPERATORS),
    Page("import-new", "/operations/imports/new/", OPERATORS),
    Page("quarantine", "/operations/quarantine/", OPERATORS),
    Page("doubts", "/operations/doubts/", OPERATORS),
    Page("quarantine", "/operations/quarantine/?days=90&reason=zero+watts", OPERATORS),
    Page("quarantine-replay", "/operations/quarantine/replay/?days=90", OPERATORS),
    Page("quarantine-source", "/operations/quarantine/source/?days=90", OPERATORS),
    Page("sources", "/operations/sources/", OPERATORS),
    Page("coverage", "/operations/coverage/", OPERATORS),
    Page("reconciliation", "/operations/reconciliation/", OPERATORS),
    Page("tag-rules", "/operations/workloads/", OPERATORS),
    Page("tag-rule-new", "/operations/workloads/new/", OPERATORS),
    Page("tag-rule", "/operations/workloads/1/", OPERATORS),
    Page("tokens", "/operations/tokens/", OPERATORS),
    Page("token-new", "/operations/tokens/new/", OPERATORS),
    Page("factors", "/operations/factors/", OPERATORS),
    Page("declare", "/operations/factors/declare/tariff/", OPERATORS),
    Page("declare", "/operations/factors/declare/intensity/", OPERATORS),
    Page("factor-series", "/operations/factors/series/?zone=DE", OPERATORS),
    Page("series", "/operations/factors/series/simulated-grid/", OPERATORS),
    Page("series", "/operations/factors/series/uba-2025-ghg-upstream-de/", OPERATORS),
    Page("login", "/login/", EVERYBODY, placed=False),
)
EXEMPT = {
    "board-feed": "for machines",
    "edition-json": "a file",
    "edition-csv": "a file",
    "workload-csv": "a file",
    "edition-object": "takes POST and leads on",
    "edition-answer": "takes POST and leads on",
    "tag-rule-change": "takes POST and leads on",
    "doubts-change": "takes POST and leads on",
    "import": "needs a file, of which the demo has none: tests/browser/test_import_console.py",
    "import-do": "takes POST and leads on",
    "token-revoke": "needs a token, of which the demo has none: tests/portal/test_tokens.py",
    "influx-write": "for senders",
    "influx-write-1": "for senders",
    "influx-query": "for senders",
    "influx-ping": "for senders",
    "store-write": "for senders",
    "store-write-1": "for senders",
    "report-withdraw": "takes POST and leads on",
    "report-data": "a file",
    "energy-jobs-csv": "a file",
    "energy-csv": "a file",
    "job-curve": "what the script of a job's page fetches",
    "jobs-csv": "a file",
    "project-table": "a file",
    "waste-lines": "a part of the page energy",
    "board-reviews": "a part of the page energy",
    "refused-lines": "a file",
    "quarantine-lines": "a file",
    "my-data": "a file",
    "mails-stop": "needs a signed token: tests/browser/test_mails.py",
    "coverage-csv": "a file",
    "reconciliation-csv": "a file",
    "statement-csv": "a file",
    "statement-close": "takes POST and leads on",
    "logout": "takes POST and leads on",
    "set_language": "takes POST and leads on",
    "look-as": "takes POST and leads on",
    "story": "leads on",
    "favicon": "leads on",
    "livez": "for machines",
    "readyz": "for machines",
}
Visit = tuple[str, Page, View, bool]  # the last: is it looked at closely
# Two that follow each other have nothing in common.
TURNS = [
    VIEWS[turn]
    for first in ((DESKTOP, False, "en-gb"), (DESKTOP, True, "en-gb"), (DESKTOP, False, "de"), (DESKTOP, True, "de"))
    for turn in (first, (PHONE, not first[1], "de" if first[2] == "en-gb" else "en-gb"))
]


def visits() -> Iterator[Visit]:
    """Who opens which page, and how."""
    for at, page in enumerate(PAGES):
        people = [person for person in PEOPLE if person in page.seen_by]
        for turn in range(max(2, len(people))):
            yield people[(turn + at) % len(people)], page, TURNS[(turn + 2 * at) % len(TURNS)], turn < 2


VISITS = list(visits())


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
def empty() -> Iterator[DemoSite]:
    """A site that nobody has set up yet."""
    programs(CHROMIUM)
    with empty_site() as served:
        yield served


def visit_name(visit: Visit) -> str:
    person, page, view, _ = visit
    return f"{page.path}-{person or 'nobody'}-{view.name}"


def test_each_page_and_each_person_meets_every_width_scheme_and_language() -> None:
    for whose in (0, 1):
        for one in {visit[whose] for visit in VISITS}:
            views = [view for *pair, view, _ in VISITS if pair[whose] == one]
            assert {view.size for view in views} == {DESKTOP, PHONE}, one
            assert {view.dark for view in views} == {False, True}, one
            assert {view.language for view in views} == {"en-gb", "de"}, one
    for page in PAGES:
        assert {view.dark for _, seen, view, closely in VISITS if closely and seen == page} == {False, True}, page
    assert {(person, page) for person, page, *_ in VISITS} == {(who, page) for page in PAGES for who in page.seen_by}


@pytest.mark.parametrize("visit", VISITS, ids=visit_name)
def test_a_page_is_as_it_should_be(reader: Reader, names: dict[str, str], pictures: Path, visit: Visit) -> None:
    person, page, view, closely = visit
    reader.see(view)
    reader.become(person)
    browser = reader.open(page.path.format(**names))
    check_page(reader, 200, "en-gb" if person in page.mailed else view.language, contrast=closely)
    if person not in page.mailed:
        check_notice(browser, view.language)
    faults = browser.execute_script(CHARTS)
    assert faults == []
    if person and page.placed:
        assert len(browser.find_elements(By.CSS_SELECTOR, "nav.places [aria-current]")) == 1
    if closely:
        place = f"{PAGES.index(page):02}-{page.route}-{person or 'nobody'}-{view.name}.png"
        reader.keep_picture(pictures / place)


@pytest.mark.parametrize("person", PEOPLE)
def test_what_one_may_not_see_is_not_there(reader: Reader, names: dict[str, str], person: str) -> None:
    reader.become(person)
    found = {}
    for page in PAGES:
        if person not in page.seen_by:
            status, led_to = reader.ask(page.path.format(**names))
            found[page.path] = (status, urlsplit(led_to).path)
    assert found == dict.fromkeys(found, (404, "") if person else (302, "/login/"))
    assert found or person == OPERATOR


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_that_something_is_not_there_is_said_on_a_page_like_any_other(reader: Reader, view: View) -> None:
    reader.see(view)
    reader.become(STUDENT)
    browser = reader.open("/operations/")
    check_page(reader, 404)
    check_notice(browser, view.language)


def test_what_only_the_sustainability_office_sees(reader: Reader) -> None:
    for at, path in enumerate(OF_SUSTAINABILITY):
        reader.see(list(VIEWS.values())[(5 * at) % len(VIEWS)])
        reader.become(SUSTAINABILITY)
        reader.open(path)
        check_page(reader, 200)


OF_SUSTAINABILITY = (
    f"/clusters/demo/statement/{THIS_YEAR}/", "/clusters/demo/nodes/gpu01/", "/operations/factors/",
    "/operations/factors/declare/tariff/", "/operations/factors/series/simulated-grid/",
)  # fmt: skip


@pytest.mark.parametrize("view", EMPTY_VIEWS, ids=[view.name for view in EMPTY_VIEWS])
def test_a_site_that_is_empty_says_what_to_do(empty: DemoSite, chromium: OpenBrowser, view: View) -> None:
    reader = Reader.at(empty.address, view, chromium)
    reader.become(NOBODY)
    browser = reader.open("/")
    assert "load_nodes" in main(browser)
    assert not browser.find_elements(By.CLASS_NAME, "simulated")
    check_page(reader, 200)


def check_page(reader: Reader, expected: int, language: str = "", *, contrast: bool = True) -> None:
    """The page that is open came with this status, is whole, accessible, and no wider than its window."""
    browser = reader.browser
    said = [line for line in reader.complaints() if expected == 200 or f"status of {expected}" not in line]
    assert said == []
    assert status(browser) == expected, browser.current_url
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == (language or reader.view.language)
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    assert reader.barriers(contrast=contrast) == []
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


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_way_through_the_navigation_is_seen(reader: Reader, size: tuple[int, int]) -> None:
    reader.see(VIEWS[size, False, "en-gb"])
    reader.become(OPERATOR)
    browser = reader.open("/clusters/")
    links = [link.text for link in browser.find_elements(By.CSS_SELECTOR, "nav.places a")]
    assert len(links) == len(PLACES)
    found: list[dict[str, Any]] = []
    while len(found) < MOST_STEPS and [step["text"] for step in found[-len(links) :]] != links:
        ActionChains(browser).send_keys(Keys.TAB).perform()
        found.append(browser.execute_script(FOCUS))
    assert [step["text"] for step in found[-len(links) :]] == links
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
