"""Without scripts: every figure of a chart is in the page as a table, and nothing waits for a script to show it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from measurements.demo.people import OPERATOR, STUDENT
from tests.browser.conftest import PLAIN
from tests.browser.looking import Reader
from tests.browser.test_every_page import PAGES, Page
from tests.services.demo_site import DemoSite
from tests.services.fixtures import chromium_here

SEEN = [(page, who) for page in PAGES for who in [STUDENT if STUDENT in page.seen_by else OPERATOR]]
# Each chart: its figure or the table it names has figures, and a sentence; and what has to be clicked can be.
WITHOUT = """
    const faults = [];
    for (const canvas of document.querySelectorAll(".plot canvas")) {
        const figure = canvas.closest("figure");
        const table = document.getElementById(canvas.getAttribute("aria-details")) ?? figure.querySelector("table");
        if (![...(table?.querySelectorAll("td") ?? [])].some((cell) => /[0-9]/.test(cell.textContent)))
            faults.push(`${canvas.id}: no figures`);
        const details = table?.closest("details");
        if (table && !details) { if (!table.checkVisibility()) faults.push(`${canvas.id}: its table is hidden`); }
        else if (!details?.querySelector("summary")?.checkVisibility()) faults.push(`${canvas.id}: cannot be opened`);
        if (!figure.querySelector("figcaption")?.checkVisibility()) faults.push(`${canvas.id}: no caption`);
    }
    for (const late of document.querySelectorAll("[data-load]"))
        if (!late.querySelector("a[href]")) faults.push("a part that only a script fetches, and no link to it");
    if (document.querySelector("main [hidden]:not([role=alert]):not(p):not(progress)")) faults.push("something hidden");
    return faults;
"""


@pytest.fixture(scope="module")
def scriptless(site: DemoSite) -> Iterator[Reader]:
    """A browser whose pages may run no script; the tests still may."""
    with chromium_here() as chromium:
        reader = Reader.at(site.address, PLAIN, chromium)
        for person in (STUDENT, OPERATOR):
            reader.become(person)
        reader.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        yield reader


@pytest.mark.parametrize(("page", "person"), SEEN, ids=[f"{page.path}-{who}" for page, who in SEEN])
def test_a_page_has_its_figures(scriptless: Reader, names: dict[str, str], page: Page, person: str) -> None:
    scriptless.become(person)
    browser = scriptless.browser
    browser.get(f"{scriptless.address}{page.path.format(**names)}")
    assert browser.execute_script("return window.Chart") is None  # else the page ran a script
    assert browser.execute_script(WITHOUT) == []
